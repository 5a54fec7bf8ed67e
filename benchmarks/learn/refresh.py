"""Learn everything anew for another release of vLLM or transformers: all scripts of this folder, each after those that it needs.

    python -m benchmarks.learn.refresh --vllm-python ENV/bin/python --work DIR               # shows the calls, in their order
    python -m benchmarks.learn.refresh --vllm-python ENV/bin/python --work DIR --run [--from SCRIPT] [--only SCRIPT ...]

The order is that of `steps.py`. A call that fails ends the run, and ``--from`` begins with it again. What was asked is kept in DIR,
a folder to each script. `git diff` of `ctq/engines/data/` then shows what the release changed.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import dropwhile
from typing import TYPE_CHECKING

from benchmarks import ROOT
from benchmarks.learn.options import script
from benchmarks.learn.steps import STEPS, SWEEP, Step

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

_DISAGREES = 1
"""The exit code of the sweep where ctq says otherwise than the engine: before all is learnt anew it does."""


def main() -> int:
    parser = script(__doc__, "vllm_python", "work")
    parser.add_argument("--run", action="store_true", help="carry the calls out")
    parser.add_argument("--from", dest="first", metavar="SCRIPT", help="begin at this one")
    parser.add_argument("--only", nargs="*", default=(), metavar="SCRIPT", help="only these")
    options = parser.parse_args()
    for step in chosen(options.first, options.only):
        called = call(step, options)
        print(shlex.join(called), flush=True)
        if options.run and (code := _carried_out(step, called, options.work / step.folder)):
            return code
    return 0


def chosen(first: str | None, only: Sequence[str]) -> list[Step]:
    """Return the steps from one on, of some scripts or of all; a script that there is not ends the program."""
    names = {step.script for step in STEPS}
    if unknown := [name for name in (first, *only) if name is not None and name not in names]:
        sys.exit(f"no script {', '.join(unknown)}")
    later = dropwhile(lambda step: first not in (None, step.script), STEPS)
    return [step for step in later if not only or step.script in only]


def call(step: Step, options: argparse.Namespace) -> list[str]:
    """Return the words of a step's call."""
    folder = options.work / step.folder
    given = {"vllm_python": options.vllm_python, "work": folder, "answers": folder / "answers.jsonl"}
    pairs = ((f"--{name.replace('_', '-')}", str(given[name])) for name in step.takes)
    return ["python", "-m", step.module, *step.words, *(word for pair in pairs for word in pair)]


def _carried_out(step: Step, called: Sequence[str], folder: Path) -> int:
    """Carry a call out and return its exit code; 0 where that only says that ctq and an engine disagree."""
    folder.mkdir(parents=True, exist_ok=True)
    code = subprocess.run([sys.executable, *called[1:]], cwd=ROOT, check=False).returncode
    return 0 if step.script == SWEEP and code == _DISAGREES else code


if __name__ == "__main__":
    sys.exit(main())
