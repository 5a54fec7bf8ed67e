"""Measure everything: one raw result for each suite, written to a folder as it is finished.

    python -m benchmarks.run WORK [--peers-python DIR/bin/python] [--only NAME ...] [--results benchmarks/results]

WORK needs 30 GB for all suites, 9 GB without growth-10gb; sources are made there and removed after the last suite that needs them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import RESULTS
from benchmarks.contest import compete, raw, summarise
from benchmarks.process import environment, machine, warm
from benchmarks.suites import CTQ, HEADERS, SUITES, Places, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence


def made(suite: Suite, work: Path) -> Path:
    """Make a suite's source, unless another suite has had it made."""
    source = work / "-".join(word.removeprefix("--").removeprefix("benchmarks.") for word in suite.source)
    if not source.exists():
        subprocess.run([sys.executable, "-m", suite.source[0], str(source), *suite.source[1:]], check=True)
    return source


def measure(suite: Suite, source: Path, peers: str | None) -> dict[str, object]:
    """Run a suite; return its record."""
    output = source.with_name(f"{source.name}-output")
    is_read = suite.source[0] != HEADERS
    nbytes = warm(source) if is_read else 0
    written = bytes_written(source) if is_read else 0
    found = machine()
    contestants = suite.contestants(Places(str(source), str(output), written, peers))
    if suite.result:
        run("quantize", str(source), "--include-lm-head", "--no-verify", "--quiet", "--output", f"{output}-result")
    rounds = compete(contestants, output, rounds=suite.rounds)
    shutil.rmtree(f"{output}-result", ignore_errors=True)
    return {
        "suite": suite.name,
        "title": suite.title,
        "machine": found,
        "ctq": version("ctq"),
        "source_bytes": nbytes,
        "written_bytes_w8a8": written,
        "summary": summarise(contestants, rounds),
        "rounds": raw(rounds),
    }


def run(*arguments: str) -> str:
    """Run ctq and return what it prints."""
    return subprocess.run([CTQ, *arguments], check=True, capture_output=True, text=True, env=environment()).stdout


def bytes_written(source: Path) -> int:
    """Return the bytes of the W8A8 result with the head, from the plan."""
    plan = json.loads(run("quantize", str(source), "--include-lm-head", "--dry-run", "--json"))
    return int(plan["bytes_after"])


def compile_kernels(sources: Sequence[Path], output: Path) -> None:
    """Run each scheme once beforehand: the first run on a machine compiles its kernel and keeps it."""
    for source in sources:
        for scheme in ("W8A8", "W8A16"):
            run(
                "quantize", str(source), "--scheme", scheme, "--include-lm-head", "--no-verify", "-q", "-o", str(output)
            )
            shutil.rmtree(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--peers-python", help="interpreter of peers/install.sh: peers take part too")
    parser.add_argument("--only", nargs="+", choices=[suite.name for suite in SUITES])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--keep", action="store_true", help="leave the sources in WORK")
    options = parser.parse_args()
    chosen = [suite for suite in SUITES if options.only is None or suite.name in options.only]
    for folder in (options.work, options.results):
        folder.mkdir(parents=True, exist_ok=True)
    for number, suite in enumerate(chosen):
        print(f"{suite.name}: {suite.title}", file=sys.stderr)
        source = made(suite, options.work)
        if suite.source[0] != HEADERS:
            compile_kernels([source], options.work / "compiled")
        record = measure(suite, source, options.peers_python)
        (options.results / f"{suite.name}.json").write_text(json.dumps(record, indent=1) + "\n")
        if not options.keep and all(later.source != suite.source for later in chosen[number + 1 :]):
            shutil.rmtree(source)


if __name__ == "__main__":
    main()
