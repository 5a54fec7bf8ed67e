"""Ask the real vLLM what it makes of the peers' outputs, and keep its answers beside their headers.

    python -m benchmarks.peers.engine_outcomes --vllm-python ENV/bin/python

Each stored output is made into a folder again and loaded without bytes. ``undecided`` means that this machine lacks a kernel.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from peer_fixtures import FIXTURES, OUTCOMES, materialise

from ctq.verify.engines.vllm.process import run_jobs


def outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """Keep what a verdict must agree with: loaded or not, the head's method, and the first words of the refusal."""
    heads = [
        {key: head[key] for key in ("name", "quant_method", "scheme", "quantized")} for head in answer.get("heads", [])
    ]
    error = answer.get("error") or {}
    kept = {"outcome": answer["outcome"], "heads": heads, "error": str(error.get("message") or "").partition(". ")[0]}
    return kept | {key: answer[key] for key in ("never_loaded", "partly_loaded", "converted") if answer.get(key)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: materialise(name, Path(folder) / name) for name in FIXTURES}
        jobs = [{"task": "load", "checkpoint": str(path)} for path in paths.values()]
        engine, answers = run_jobs(jobs, python=options.vllm_python.absolute(), timeout_s=120)
    record = {"vllm": engine["version"], "outcomes": dict(zip(paths, map(outcome, answers), strict=True))}
    OUTCOMES.write_text(json.dumps(record, indent=1) + "\n")
    for name, kept in record["outcomes"].items():
        print(f"{name}: {kept['outcome']} {[head['scheme'] or 'dense' for head in kept['heads']]} {kept['error']}")


if __name__ == "__main__":
    main()
