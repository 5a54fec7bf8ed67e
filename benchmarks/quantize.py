"""Time `ctq quantize` side by side with a copy of the source and with llm-compressor, each a whole process.

    python benchmarks/make_checkpoint.py /data/llama-3gb
    python benchmarks/quantize.py /data/llama-3gb --rounds 7 --peers-python DIR/bin/python --json results.json

The source is read once beforehand (warm cache). In every round each contestant runs once, in an order that turns round, with the
disk synchronised and the last output removed before. Ratios are taken within rounds; medians are over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from process import Measured, machine, measure, warm

if TYPE_CHECKING:
    from collections.abc import Sequence

Commands: TypeAlias = dict[str, list[str]]
Rounds: TypeAlias = list[dict[str, Measured]]
PEER: Final = "model_free_ptq"
HERE: Final = Path(__file__).parent


def commands(options: argparse.Namespace, output: Path) -> Commands:
    """Return what each contestant runs."""
    source = str(options.source)
    ctq = [
        str(Path(sys.executable).with_name("ctq")),
        "quantize",
        source,
        "--output",
        str(output),
        "--scheme",
        options.scheme,
    ]
    contestants = {
        "cp -r": ["cp", "-r", source, str(output)],
        "ctq --no-verify": [*ctq, "--include-lm-head", "--no-verify", "--quiet"],
    }
    if options.verify:
        contestants["ctq"] = [*ctq, "--include-lm-head", "--quiet"]
    if options.peers_python:
        script = str(HERE / "peers" / "model_free.py")
        contestants[PEER] = [options.peers_python, script, source, str(output), "--scheme", options.scheme]
    return contestants


def run_rounds(contestants: Commands, output: Path, *, rounds: int, peer_rounds: int) -> Rounds:
    """Run every contestant once a round, the first of a round being another one each time."""
    names = list(contestants)
    results: Rounds = []
    for number in range(rounds):
        turn = number % len(names)
        results.append({})
        for name in names[turn:] + names[:turn]:
            if name == PEER and number >= peer_rounds:
                continue
            shutil.rmtree(output, ignore_errors=True)
            os.sync()
            results[-1][name] = measure(contestants[name], log=output.with_suffix(".log"))
            print(f"round {number + 1}: {name}: {results[-1][name].seconds:.2f} s", file=sys.stderr)
    shutil.rmtree(output, ignore_errors=True)
    output.with_suffix(".log").unlink()
    return results


def summarise(name: str, rounds: Rounds, nbytes: int) -> dict[str, Any]:
    """Return medians and spread of one contestant, and its ratio to the copy within rounds."""
    runs = [taken[name] for taken in rounds if name in taken]
    seconds = sorted(run.seconds for run in runs)
    median = statistics.median(seconds)
    ratios = [taken[name].seconds / taken["cp -r"].seconds for taken in rounds if name in taken]
    return {
        "name": name,
        "runs": len(runs),
        "median_s": round(median, 3),
        "min_s": round(seconds[0], 3),
        "max_s": round(seconds[-1], 3),
        "gb_per_s": round(nbytes / median / 1e9, 2),
        "ratio_to_cp": round(statistics.median(ratios), 2),
        "cpu_s": round(statistics.median(run.cpu_seconds for run in runs), 2),
        "peak_mb": round(max(run.peak_bytes for run in runs) / 1e6),
    }


def table(summary: Sequence[dict[str, Any]]) -> str:
    """Render the summary as Markdown."""
    lines = [
        "| | runs | median | range | source/s | x `cp -r` | CPU | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['name']}` | {row['runs']} | {row['median_s']:.2f} s | {row['min_s']:.2f}-{row['max_s']:.2f} s "
        f"| {row['gb_per_s']:.2f} GB/s | {row['ratio_to_cp']:.2f} | {row['cpu_s']:.1f} s | {row['peak_mb']} MB |"
        for row in summary
    ]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scheme", default="W8A8")
    parser.add_argument("--verify", action="store_true", help="also time the default, with verification")
    parser.add_argument("--peers-python", help="interpreter of peers/install.sh: also time model_free_ptq")
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for outputs; default: beside the source")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    output = (options.work or options.source.resolve().parent) / f"{options.source.resolve().name}-benchmark"
    contestants = commands(options, output)
    nbytes = warm(options.source)
    rounds = run_rounds(contestants, output, rounds=options.rounds, peer_rounds=options.peer_rounds)
    summary = [summarise(name, rounds, nbytes) for name in contestants if name in rounds[0]]
    record = {
        "machine": machine(),
        "ctq": version("ctq"),
        "source_bytes": nbytes,
        "scheme": options.scheme,
        "summary": summary,
        "rounds": [{name: asdict(run) for name, run in taken.items()} for taken in rounds],
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{nbytes / 1e9:.2f} GB, {options.scheme} with the head, {record['machine']}\n\n{table(summary)}")


if __name__ == "__main__":
    main()
