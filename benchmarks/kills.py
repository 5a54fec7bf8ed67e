"""Kill runs at random moments, resume them, and compare the result with an undisturbed one, byte for byte.

    python -m benchmarks.kills --kills 200 --results benchmarks/results/kills.json

Several checkpoints, schemes and places to write to take turns. A quarter of the kills comes at any moment of a run, the others
while it writes; most are SIGKILL, some SIGTERM and SIGINT. After every kill the output must be what it was, or whole: nothing else
that loads as a model. Prints one line per configuration and exits with 1 when anything differed. A mount point as output needs
root.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

Digests = dict[str, str]
SIGNALS = (signal.SIGKILL,) * 7 + (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A checkpoint, how it is quantized, and whether the output is a mount point."""

    source: str
    arguments: tuple[str, ...]
    is_mount: bool = False

    @property
    def replaces(self) -> bool:
        """Whether an old output stands where the new one goes."""
        return "--force" in self.arguments

    def __str__(self) -> str:
        return f"{self.source} {' '.join(self.arguments)}{' (mount point)' if self.is_mount else ''}"


HEAD = "--include-lm-head"
CONFIGURATIONS = (
    Configuration("untied", (HEAD, "--fsync")),
    Configuration("tied", (HEAD, "--scheme", "W8A16")),
    Configuration("sharded", (HEAD, "--lm-head-scheme", "W8A16", "--max-shard-size", "20MB")),
    Configuration("tied", ("--exclude-lm-head", "--observer", "mse", "--max-shard-size", "50MB")),
    Configuration("moe", (HEAD, "--max-shard-size", "40MB")),
    Configuration("moe", (HEAD, "--scheme", "W8A16", "--strategy", "channel", "--workers", "1")),
    Configuration("untied", (HEAD, "--force")),
    Configuration("sharded", (HEAD, "--force", "--max-shard-size", "20MB"), is_mount=True),
)


@dataclass
class Tally:
    """What happened to one configuration."""

    kills: int = 0
    results: int = 0
    different: int = 0
    half_done: int = 0
    wrong_code: int = 0
    by_signal: Counter[str] = field(default_factory=Counter)
    by_moment: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of an undisturbed run: until it holds the lock of its output, and in all."""

    before: float
    whole: float


class Torture:
    """One configuration: its command, its output, what the result must be, and what was seen."""

    def __init__(self, configuration: Configuration, source: Path, work: Path, chance: random.Random) -> None:
        self.configuration = configuration
        self.chance = chance
        self.out = work / "out"
        self.stage = self.out / ".partial" if configuration.is_mount else work / "out.partial"
        self.tally = Tally()
        self.was_writing = False
        quantize = [sys.executable, "-m", "ctq", "quantize", str(source), "--no-verify", "--quiet"]
        self.command = [*quantize, *configuration.arguments, "--output", str(self.out)]
        self.old = self._old_output([*quantize, "--exclude-lm-head", "--output", str(self.out)])
        self.expected, self.times = self._undisturbed()
        self.window = self.times.whole - self.times.before

    def run(self, kills: int) -> Tally:
        """Kill, resume and compare until there were so many kills."""
        while self.tally.kills < kills:
            self._one_result()
            self.tally.results += 1
            self.tally.different += digests(self.out) != self.expected
            self._clear()
        return self.tally

    def _old_output(self, command: list[str]) -> Path | None:
        """Make the model that is replaced, and keep a copy of it."""
        if not self.configuration.replaces:
            return None
        subprocess.run(command, check=True)
        kept = self.out.with_name("kept")
        shutil.copytree(self.out, kept)
        self._clear()
        shutil.copytree(kept, self.out, dirs_exist_ok=True)
        return kept

    def _undisturbed(self) -> tuple[Digests, Times]:
        began = time.monotonic()
        process = subprocess.Popen(self.command)
        while not is_writing(process.pid) and process.poll() is None:
            time.sleep(0.002)
        before = time.monotonic() - began
        if process.wait() != 0:
            raise SystemExit(f"exit code {process.returncode}: {self.configuration}")
        times = Times(before, time.monotonic() - began)
        expected = digests(self.out)
        self._clear()
        return expected, times

    def _clear(self) -> None:
        """Put the old output back, or nothing."""
        if self.configuration.is_mount:
            for entry in self.out.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        else:
            shutil.rmtree(self.out, ignore_errors=True)
        if (old := getattr(self, "old", None)) is not None:
            shutil.copytree(old, self.out, dirs_exist_ok=True)

    def _one_result(self) -> None:
        """Run and kill until a run ends by itself."""
        arguments: list[str] = []
        while True:
            process = subprocess.Popen([*self.command, *arguments], stderr=subprocess.PIPE, text=True)
            number = self._kill(process)
            error = process.communicate()[1]
            if number is None:
                if process.returncode != 0:
                    raise SystemExit(f"exit code {process.returncode}: {error}")
                return
            self._judge(number, process.returncode, error)
            arguments = ["--resume"]

    def _kill(self, process: subprocess.Popen[str]) -> signal.Signals | None:
        """Send a signal at a random moment; None when the run was over before it."""
        times, number = self.times, self.chance.choice(SIGNALS)
        if self.chance.random() < 0.25:
            delay = self.chance.uniform(0, times.whole)
        else:
            while not is_writing(process.pid) and process.poll() is None:
                time.sleep(0.002)
            delay = self.chance.uniform(0, self.window)
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            self.window *= 1.1
            self.was_writing = is_writing(process.pid)
            process.send_signal(number)
            return number
        self.window *= (
            0.8  # a busy machine's speed changes: the window follows it, so that most kills find a run at work
        )
        return None

    def _judge(self, number: signal.Signals, code: int, error: str) -> None:
        tally, found = self.tally, digests(self.out)
        tally.kills += 1
        tally.by_signal[number.name] += 1
        tally.by_moment[self._moment(found)] += 1
        before = digests(self.old) if self.old else {}
        loads = "config.json" in found and any(name.endswith(".safetensors") for name in found)
        tally.half_done += loads and found not in (before, self.expected)
        # Before Python runs our code, a signal ends a process in its own way; after the last line it may have ended well.
        expected = {CODES[number], -number} | ({0} if found == self.expected else set())
        tally.wrong_code += code not in expected or ("Traceback" in error and "ctq/quantize" in error)

    def _moment(self, found: Digests) -> str:
        """Name the moment of a kill by what it left."""
        if not self.was_writing and found != self.expected:
            return "before it wrote"
        if found == self.expected and not self.stage.exists():
            return "published"
        journal = self.stage / ".ctq-journal"
        if not journal.exists():
            return "publishing"
        lines = journal.read_bytes().split(b"\n")[:-1]
        if not lines:
            return "before the first unit"
        done, units = len(lines) - 1, json.loads(lines[0])["units"]
        return "before the first unit" if done == 0 else "while streaming" if done < units else "publishing"


def main() -> int:
    options = arguments()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # in the background it is ignored, by whatever is started too
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        work = Path(folder)
        sources = {name: make_source(name, work / name) for name in dict.fromkeys(c.source for c in CONFIGURATIONS)}
        chosen = [c for c in CONFIGURATIONS if not c.is_mount or can_mount(work)]
        share = -(-options.kills // len(chosen))
        tallies = [
            torture(configuration, sources[configuration.source], work / f"run-{number}", share, options.seed + number)
            for number, configuration in enumerate(chosen)
        ]
    total = sum(tally.kills for tally in tallies)
    bad = sum(tally.different + tally.half_done + tally.wrong_code for tally in tallies)
    print(f"{total} kills, {sum(tally.results for tally in tallies)} results, {bad} of them bad")
    if options.results:
        rows = [{"configuration": str(c), **vars(t)} for c, t in zip(chosen, tallies, strict=True)]
        options.results.write_text(
            json.dumps({"machine": machine(), "seed": options.seed, "rows": rows}, indent=1) + "\n"
        )
    return int(bad > 0)


def torture(configuration: Configuration, source: Path, work: Path, kills: int, seed: int) -> Tally:
    """Torture one configuration in a folder of its own."""
    work.mkdir()
    with mounted(work / "out") if configuration.is_mount else unmounted():
        tally = Torture(configuration, source, work, random.Random(seed)).run(kills)
    shutil.rmtree(work)
    print(f"{configuration}: {tally}", flush=True)
    return tally


@contextmanager
def mounted(place: Path) -> Iterator[None]:
    """Mount a file system in memory at ``place``."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "ctq-kills", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def unmounted() -> Iterator[None]:
    """Leave everything as it is."""
    yield


def can_mount(work: Path) -> bool:
    """Try it."""
    try:
        with mounted(work / "mount-point"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        (work / "mount-point").rmdir()


def is_writing(pid: int) -> bool:
    """Tell whether a process holds a lock; the only one that a run takes is that of its output."""
    return any(line.split()[4] == str(pid) for line in Path("/proc/locks").read_text().splitlines() if "FLOCK" in line)


def make_source(name: str, folder: Path) -> Path:
    """Write a checkpoint of about 100 MB."""
    if name == "moe":
        from families import build

        sizes = {"hidden_size": 512, "moe_intermediate_size": 512, "num_experts": 24, "num_hidden_layers": 3}
        return build("qwen3-moe", folder, config=sizes, vocab=16000, shards=5)
    script = [sys.executable, "-m", "benchmarks.make_checkpoint", str(folder), "--layers", "3", "--hidden", "768"]
    more = {"tied": ["--tied"], "sharded": ["--shard-size", "30MB"], "untied": []}[name]
    subprocess.run([*script, "--vocab", "24000", *more], check=True, stdout=subprocess.DEVNULL)
    return folder


def digests(folder: Path) -> Digests:
    """Return the SHA-256 of every file of an output, without the stage in it."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not (name := str(path.relative_to(folder))).startswith((".partial", ".ctq-journal"))
    }


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="write the raw numbers to this JSON file")
    parser.add_argument("--scratch", type=Path, help="where to write; about 2 GB are needed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
