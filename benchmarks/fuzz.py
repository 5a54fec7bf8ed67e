"""Fuzz the command line: hostile checkpoints, configs, indices, recipes, records and journals, by the minute or by the hour.

    python -m benchmarks.fuzz --minutes 60
    python -m benchmarks.fuzz --minutes 60 --coverage        # guided by coverage, where atheris is installed
    python -m benchmarks.fuzz --replay FAILURES/0123abcd

The cases are those of `tests/support/hostile/hostile_cases.py`, of which the tests run a few; here random bytes choose among them.
Each runs inspect, quantize or verify in a process whose memory may grow by 1 GB, and may take 10 s. A traceback, another exit code
than the documented ones, a terminal code, JSON that is none or a file written outside the output is a failure too; each is kept
with what is needed to see it again. Prints what was done; ``--results`` adds it to a JSON file.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostile_cases import Case

HANG_SECONDS = 10
MEMORY_BYTES = 10**9
SIZES = (300, 1000, 4000)
"""Bytes of choices for a case; hypothesis makes no case of more than some thousand."""
CHILD_SECONDS = 600
"""A process is replaced after this long, so that slow growth over many cases shows as growth and not as a failure."""


class Session:
    """One process of fuzzing: cases one after another, each noted before it runs, so that a death can be laid to it."""

    def __init__(self, work: Path, failures: Path) -> None:
        from hostile_cases import cases
        from hostile_run import healthy_folders
        from hypothesis import given, settings

        self.work, self.failures = work, failures
        self.folders = healthy_folders(work / "healthy")
        self.counts: Counter[str] = Counter()
        self.known = {path.name for path in failures.iterdir()}
        self.noted = 0.0
        self.target: Any = settings(database=None, deadline=None)(given(cases(self.folders))(self._carry_out))

    def one(self, choices: bytes) -> None:
        """Make a case of ``choices`` and run it."""
        (self.work / "current").write_bytes(choices)
        try:
            self.target.hypothesis.fuzz_one_input(choices)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
            self._keep(choices, error)
        if time.monotonic() - self.noted > 1:
            self.note()

    def note(self) -> None:
        """Write down what was done so far."""
        self.noted = time.monotonic()
        _replace(self.work / "counts.json", json.dumps(self.counts).encode())

    def _carry_out(self, case: Case) -> None:
        from hostile_run import carry_out, cleared

        self.counts[case.arguments[0]] += 1
        folder = cleared(self.work / "case")
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        try:
            done = carry_out(case, self.folders[case.base], folder)
        finally:
            faulthandler.cancel_dump_traceback_later()
        self.counts[f"exit code {done.code}"] += 1

    def _keep(self, choices: bytes, error: Exception) -> None:
        told = "".join(traceback.format_exception(error))
        name = hashlib.sha256(" ".join(str(error).splitlines()[-3:]).encode()).hexdigest()[:8]
        self.counts["failures"] += 1
        if name not in self.known:
            self.known.add(name)
            keep(self.failures / name, choices, told, self.work / "case")


def keep(folder: Path, choices: bytes, told: str, case: Path) -> None:
    """Keep a failure: the bytes that chose it, what was said, and the folder that it happened in."""
    folder.mkdir(exist_ok=True)
    (folder / "choices").write_bytes(choices)
    (folder / "report.txt").write_text(told, errors="backslashreplace")
    if case.exists():
        subprocess.run(["cp", "-a", "--no-dereference", str(case), str(folder / "case")], check=False)


def _replace(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").replace(path)


def child(options: argparse.Namespace) -> None:
    """Fuzz until the time is over."""
    with instrumented() if options.coverage else contextlib.nullcontext():
        session = Session(options.work, options.failures)
        warm_up(session)
    limit_memory()
    if options.coverage:
        guided(session, options)
        return
    chance = random.Random(options.seed)
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        session.one(chance.randbytes(chance.choice(SIZES)))
    session.note()


def instrumented() -> contextlib.AbstractContextManager[None]:
    """Let what is imported meanwhile count what of it is reached; compiled kernels stay as they are."""
    import atheris

    found: contextlib.AbstractContextManager[None] = atheris.instrument_imports(
        include=["ctq"], exclude=["ctq.kernels"]
    )
    return found


def guided(session: Session, options: argparse.Namespace) -> None:
    """Let atheris choose the bytes until the time is over."""
    import atheris

    options.corpus.mkdir(exist_ok=True)
    limits = [f"-max_total_time={options.seconds:.0f}", "-timeout=0", "-rss_limit_mb=0"]
    atheris.Setup(["fuzz", *limits, f"-seed={options.seed}", "-max_len=4000", str(options.corpus)], session.one)
    atheris.Fuzz()


def warm_up(session: Session) -> None:
    """Run every command once on healthy folders, so that imports and compiled code do not count as growth."""
    from hostile_cases import INSPECTIONS, PROOFS, RUNS, Case
    from hostile_run import carry_out, cleared

    for base, table in (("dense", RUNS), ("ours", INSPECTIONS), ("ours", PROOFS)):
        for arguments in table:
            carry_out(
                Case(base, dict(session.folders[base]), list(arguments)),
                session.folders[base],
                cleared(session.work / "case"),
            )


def limit_memory() -> None:
    """Let this process grow by the limit and no further."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run_children(
    options: argparse.Namespace, start: Callable[[int, float, Path], subprocess.Popen[bytes]]
) -> Counter[str]:
    """Start one process after another until the time is over; a death is a failure of the case that it was at."""
    total: Counter[str] = Counter()
    end = time.monotonic() + 60 * options.minutes
    seed = options.seed
    while (left := end - time.monotonic()) > 1:
        work = Path(tempfile.mkdtemp(prefix="ctq-fuzz-", dir=options.scratch))
        process = start(seed, min(left, CHILD_SECONDS), work)
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        with contextlib.suppress(FileNotFoundError):
            total += Counter(json.loads((work / "counts.json").read_text()))
        if code != 0:
            total[keep_death(options, seed, code, work)] += 1
        shutil.rmtree(work, ignore_errors=True)
        seed += 1
    return total


def keep_death(options: argparse.Namespace, seed: int, code: int, work: Path) -> str:
    """Keep what a process died of and run it again: on a busy machine ten seconds may pass without a hang."""
    folder = options.failures / f"died-{seed}"
    keep(folder, (work / "current").read_bytes(), f"exit code {code}: see noise.txt", work / "case")
    shutil.copy(work / "noise.txt", folder)
    again = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--replay", str(folder)], capture_output=True, check=False
    )
    if again.returncode != 0:
        return "failures"
    shutil.rmtree(folder)
    return "slow, and not again"


def main() -> int:
    options = arguments()
    options.failures.mkdir(parents=True, exist_ok=True)
    if options.work:
        child(options)
        return 0
    if options.replay:
        return replay(options)
    began = time.monotonic()
    counts = run_children(options, lambda seed, seconds, work: _start(options, seed, seconds, work))
    session = {
        "seed": options.seed,
        "driver": "atheris" if options.coverage else "random",
        "seconds": round(time.monotonic() - began),
        "executions": sum(counts[name] for name in ("inspect", "quantize", "verify")),
        "counts": dict(sorted(counts.items())),
    }
    print(json.dumps(session))
    if options.results:
        known = json.loads(options.results.read_text()) if options.results.exists() else []
        options.results.write_text(json.dumps([*known, session], indent=1) + "\n")
    return int(counts["failures"] > 0)


def _start(options: argparse.Namespace, seed: int, seconds: float, work: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-m",
        "benchmarks.fuzz",
        "--work",
        str(work),
        "--seed",
        str(seed),
        "--seconds",
        str(seconds),
    ]
    command += [
        "--failures",
        str(options.failures),
        *(["--coverage", "--corpus", str(options.corpus)] if options.coverage else []),
    ]
    with (work / "noise.txt").open("wb") as noise:
        return subprocess.Popen(command, stdout=noise, stderr=noise, env=os.environ | {"OMP_NUM_THREADS": "2"})


def replay(options: argparse.Namespace) -> int:
    """Run one kept failure again and let it end as it ends."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as work:
        session = Session(Path(work), options.failures)
        warm_up(session)
        session.target.hypothesis.fuzz_one_input((options.replay / "choices").read_bytes())
    print("kept every promise this time")
    return 0


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--coverage", action="store_true", help="let atheris choose, guided by the code that was reached"
    )
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="where failures are kept")
    parser.add_argument("--replay", type=Path, help="the folder of a kept failure")
    parser.add_argument("--results", type=Path, help="a JSON file to add this session to")
    parser.add_argument("--scratch", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None)
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
