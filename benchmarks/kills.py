"""Kill runs at random moments, resume them, and compare the result with an undisturbed one, byte for byte.

    python benchmarks/kills.py --kills 200

Several checkpoints and schemes take turns. After every kill nothing that loads as a model may stand at the output. Prints one
line per configuration and exits with 1 when anything differed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONFIGURATIONS = (
    ("untied", ["--include-lm-head"]),
    ("tied", ["--include-lm-head", "--scheme", "W8A16"]),
    ("untied", ["--include-lm-head", "--lm-head-scheme", "W8A16", "--max-shard-size", "20MB"]),
    ("tied", ["--exclude-lm-head", "--observer", "mse", "--max-shard-size", "50MB"]),
    ("untied", ["--include-lm-head", "--force"]),
)


@dataclass
class Tally:
    """What happened to one configuration."""

    kills: int = 0
    results: int = 0
    different: int = 0
    half_done: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sources = {name: _source(work / name, tied=name == "tied") for name in ("untied", "tied")}
        share = -(-options.kills // len(CONFIGURATIONS))
        tallies = [
            _torture(sources[name], work, arguments, share, random.Random(options.seed + number))
            for number, (name, arguments) in enumerate(CONFIGURATIONS)
        ]
    for (name, arguments), tally in zip(CONFIGURATIONS, tallies, strict=True):
        print(f"{name} {' '.join(arguments)}: {tally}")
    return int(any(tally.different or tally.half_done for tally in tallies))


def _source(folder: Path, *, tied: bool) -> Path:
    script = [
        sys.executable,
        str(HERE / "make_checkpoint.py"),
        str(folder),
        "--layers",
        "4",
        "--hidden",
        "1024",
        "--vocab",
        "32000",
    ]
    subprocess.run([*script, *(["--tied"] if tied else [])], check=True, stdout=subprocess.DEVNULL)
    return folder


def _torture(source: Path, work: Path, arguments: list[str], kills: int, chance: random.Random) -> Tally:
    command = [sys.executable, "-m", "ctq", "quantize", str(source), "--no-verify", "--quiet", *arguments]
    whole = work / "whole"
    began = time.monotonic()
    subprocess.run([*command, "--output", str(whole)], check=True)
    seconds = time.monotonic() - began
    expected = _digests(whole)
    out = work / "out"
    tally = Tally()
    while tally.kills < kills:
        _one_result(command, out, chance, seconds, tally)
        tally.results += 1
        tally.different += _digests(out) != expected
        if "--force" not in arguments:
            shutil.rmtree(out)
    for folder in (whole, out):
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def _one_result(command: list[str], out: Path, chance: random.Random, seconds: float, tally: Tally) -> None:
    """Run and kill until a run ends by itself; what stood at the output before must stand there after every kill."""
    before = _digests(out)
    while True:
        process = subprocess.Popen([*command, "--resume", "--output", str(out)])
        try:
            code = process.wait(timeout=chance.uniform(0, 1.1 * seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            tally.kills += 1
            tally.half_done += _digests(out) not in (before, {}) and not _is_whole(out)
            continue
        if code == 0:
            return
        raise SystemExit(f"exit code {code}")


def _is_whole(out: Path) -> bool:
    """Tell a result that was published before the kill: everything is there, config and provenance included."""
    return (out / "config.json").exists() and (out / "ctq.json").exists() and any(out.glob("*.safetensors"))


def _digests(folder: Path) -> dict[str, str]:
    if not folder.exists():
        return {}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".ctq-journal"
    }


if __name__ == "__main__":
    sys.exit(main())
