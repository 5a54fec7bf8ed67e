"""What older releases of vLLM, really installed, make of heads: the answers that the tests hold the rules by version against.

    tests/engines/install.sh /data/vllm-0.28.0 0.28.0
    python -m benchmarks.old_builds /data/vllm-0.28.0/bin/python

Each case of `tests/support/engines/old_build_cases.py` is loaded without bytes, and the outcome is added to
`tests/engines_rules/old_builds.json` under the release's version. What the release cannot load dense is left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Final

from families import build
from old_build_cases import FAMILIES, cases, make
from sweep_truth import Truth, serves, truth_of

from benchmarks import ROOT
from benchmarks.loads import observed

ANSWERS: Final = ROOT / "tests" / "engines_rules" / "old_builds.json"
WORDS: Final = {Truth.QUANTIZED: "quantized", Truth.DENSE: "dense", Truth.REFUSED: "fails", Truth.GARBAGE: "garbage"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("python", type=Path, help="the interpreter that has the release")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        version, answers = ask(Path(work), options.python.absolute())
    known = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    ANSWERS.write_text(json.dumps(known | {version: answers}, indent=1, sort_keys=True) + "\n")
    print(f"vLLM {version}: {len(answers)} answers")


def ask(work: Path, python: Path) -> tuple[str, dict[str, str]]:
    """Return the release's version and its outcome in each case."""
    dense = {family: build(family, work / "dense" / family) for family in FAMILIES}
    baselines = dict(zip(dense, observed(dense.values(), python), strict=True))
    for family, seen in baselines.items():
        if not serves(seen):
            print(f"left out: {family} does not load dense: {truth_of(seen)[1]}")
    able = [case for case in cases() if serves(baselines[case[0]])]
    folders = [make(case, dense[case[0]], work / str(number)) for number, case in enumerate(able)]
    answers = {}
    for case, seen in zip(able, observed(folders, python), strict=True):
        truth, reason = truth_of(seen, baselines[case[0]])
        print(f"{' / '.join(case)}: {truth} ({reason})")
        if truth in WORDS:
            answers[" / ".join(case)] = WORDS[truth]
    return baselines[FAMILIES[0]].version, answers


if __name__ == "__main__":
    main()
