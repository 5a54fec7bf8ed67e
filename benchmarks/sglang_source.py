"""What SGLang's own source, at work on a CPU, makes of heads: the answers that the tests hold the rules against.

    tests/engines/sglang/install.sh /data/sglang 0.5.23 .venv-vllm
    python -m benchmarks.sglang_source /data/sglang/bin/python

Checkpoints (`tests/support/engines/sglang_cases.py`) are loaded without bytes by SGLang's model classes and their own loaders,
heads of many architectures alone (`sglang_probes.py`), and generated configs are dispatched. The answers are added to
`tests/engines_rules/sglang_source.json` under the release's version. Minutes, most of them for the architectures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import sglang_cases
import sglang_probes

from benchmarks import ROOT

ANSWERS: Final = ROOT / "tests" / "engines_rules" / "sglang_source.json"
READABLE: Final = ("quantized", "dense", "garbage")
"""Outcomes of a dense checkpoint whose class loads it at all."""
WORKER: Final = ROOT / "tests" / "engines" / "sglang" / "worker.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("python", type=Path, help="the interpreter that has SGLang")
    parser.add_argument("--quick", action="store_true", help="leave the architectures out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        version, answers = ask(
            Path(work), options.python.absolute(), [] if options.quick else sglang_cases.probe_names()
        )
    known = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    ANSWERS.write_text(json.dumps(known | {version: answers}, indent=1, sort_keys=True) + "\n")
    print(f"SGLang {version}: {', '.join(f'{len(found)} {kind}' for kind, found in answers.items())}")


def ask(work: Path, python: Path, probed: list[tuple[str, str]]) -> tuple[str, dict[str, Any]]:
    """Return the release's version and its answers, the probed architectures among them."""

    @cache
    def dense(family: str) -> Path:
        return sglang_probes.dense(family, work / "dense" / family)

    loads = {
        name: build(work / f"load-{number}", dense) for number, (name, build) in enumerate(sglang_cases.loads().items())
    }
    probes = {
        (family, probe): dense(family)
        if probe == "dense"
        else sglang_probes.probe(probe, dense(family), work / f"{family}-{probe}")
        for family, probe in probed
    }
    found = run(python, [*loads.values(), *probes.values()], work)
    answers = iter(found["loads"])
    return found["version"], {
        "loads": {name: word for name, answer in zip(loads, answers, strict=False) if (word := told(name, answer))},
        "probes": by_architecture(probes, list(answers)),
        "dispatch": found["dispatch"],
    }


def run(python: Path, folders: list[Path], work: Path) -> dict[str, Any]:
    """Ask SGLang in its own interpreter."""
    requests, answers = work / "requests.json", work / "answers.json"
    requests.write_text(
        json.dumps({"folders": [str(folder) for folder in folders], "configs": sglang_cases.dispatches()})
    )
    subprocess.run(
        [python, WORKER, requests, answers], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    found: dict[str, Any] = json.loads(answers.read_text())
    return found


def told(name: str, answer: dict[str, Any]) -> str | None:
    """Return the outcome; say which were left out, and why."""
    word = sglang_cases.word_of(answer)
    if word is None:
        print(f"left out: {name}: {answer['message']}")
    return word


def by_architecture(probes: dict[tuple[str, str], Path], answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Gather the probes of each family whose dense checkpoint loads; one that goes through a backend says so."""
    found: dict[str, Any] = {}
    for ((family, probe), folder), answer in zip(probes.items(), answers, strict=True):
        if probe == "dense" and told(f"{family} / dense", answer) in READABLE:
            [architecture] = json.loads((folder / "config.json").read_text())["architectures"]
            found[family] = {"architecture": architecture, "class": answer["architecture"], "heads": {}}
        if family in found:
            found[family]["heads"][probe] = sglang_cases.word_of(answer) or "fails"
            if answer.get("prefix"):
                found[family]["prefix"] = answer["prefix"]
    return found


if __name__ == "__main__":
    main()
