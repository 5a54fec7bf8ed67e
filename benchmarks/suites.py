"""What is measured, as data: sources, contestants and how often they meet."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Contestant

if TYPE_CHECKING:
    from collections.abc import Callable

CTQ: Final = str(Path(sys.executable).with_name("ctq"))
DENSE: Final = "benchmarks.make_checkpoint"
HEADERS: Final = "benchmarks.make_header_only"
BF16: Final = (DENSE, "--size", "3GB")
GIANTS: Final = {
    "inspect-191": (HEADERS, "--model", "llama-405b", "--scheme", "W8A8", "--dense-body", "--shards", "191"),
    "inspect-163": (HEADERS, "--model", "deepseek-v3", "--scheme", "W8A8", "--shards", "163"),
}


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of a suite, the bytes that quantizing to W8A8 writes, and the interpreter of the peers, if there is one."""

    source: str
    output: str
    written: int = 0
    peers: str | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """One comparison: the checkpoint it needs (arguments of the script that makes it) and who takes part."""

    name: str
    title: str
    source: tuple[str, ...]
    contestants: Callable[[Places], list[Contestant]]
    rounds: int
    result: bool = False
    """Whether the contestants read a W8A8 result, which is then made beforehand, at ``output`` with ``-result`` appended."""


def copy(places: Places) -> Contestant:
    return Contestant("cp -r", ("cp", "-r", places.source, places.output))


def limit(places: Places, threads: int) -> Contestant:
    command = (sys.executable, "-m", "benchmarks.limit", places.source, places.output)
    name = f"read and write alone, {threads} thread{'s' if threads > 1 else ''}"
    return Contestant(name, (*command, "--written", str(places.written), "--threads", str(threads)))


def quantize(places: Places, name: str, *options: str, verify: bool = False) -> Contestant:
    command = (CTQ, "quantize", places.source, "--output", places.output, "--include-lm-head", "--quiet", *options)
    return Contestant(name, command if verify else (*command, "--no-verify"))


def peers(places: Places) -> list[Contestant]:
    if places.peers is None:
        return []
    return [
        Contestant(name, (places.peers, "-m", f"benchmarks.peers.{script}", places.source, places.output), rounds=1)
        for name, script in (
            ("llm-compressor model_free_ptq", "model_free"),
            ("auto-round W8A16", "auto_round_rtn"),
        )
    ]


def side_by_side(places: Places) -> list[Contestant]:
    own = [quantize(places, "ctq --no-verify"), quantize(places, "ctq, verified", verify=True)]
    return [copy(places), limit(places, 1), limit(places, 2), *own, *peers(places)]


def schemes(places: Places) -> list[Contestant]:
    packed = ("--scheme", "W8A16")
    return [
        copy(places),
        quantize(places, "W8A8"),
        quantize(places, "W8A8, 1 worker", "--workers", "1"),
        quantize(places, "W8A16 group 128", *packed),
        quantize(places, "W8A16 channel", *packed, "--strategy", "channel"),
        quantize(places, "W8A8 mse", "--observer", "mse"),
        quantize(places, "W8A16 group 128 mse", *packed, "--observer", "mse"),
    ]


def two_schemes(places: Places) -> list[Contestant]:
    return [copy(places), quantize(places, "W8A8"), quantize(places, "W8A16 group 128", "--scheme", "W8A16")]


def growth(places: Places) -> list[Contestant]:
    return [copy(places), quantize(places, "ctq --no-verify")]


def inspect(places: Places) -> list[Contestant]:
    command = (CTQ, "inspect", places.source)
    return [Contestant("text", command), Contestant("--json", (*command, "--json"))]


def verify(places: Places) -> list[Contestant]:
    result = (CTQ, "verify", f"{places.output}-result")
    return [
        quantize(places, "ctq quantize --no-verify"),
        Contestant("ctq verify", result),
        Contestant("ctq verify --reference", (*result, "--reference", places.source)),
    ]


def start_up(places: Places) -> list[Contestant]:
    return [
        Contestant("python -c pass", (sys.executable, "-c", "pass")),
        Contestant("ctq --help", (CTQ, "--help")),
        Contestant("ctq quantize --dry-run", (CTQ, "quantize", places.source, "--dry-run", "--include-lm-head")),
    ]


SUITES: Final = (
    Suite("side-by-side", "3 GB in bf16 to W8A8 with the head", BF16, side_by_side, 5),
    Suite("schemes", "Schemes, observers and workers, 3 GB in bf16", BF16, schemes, 5),
    Suite("verify", "Verifying the 3 GB result", BF16, verify, 3, result=True),
    Suite("start-up", "Start-up", BF16, start_up, 9),
    Suite("f16", "3 GB in fp16", (DENSE, "--size", "3GB", "--dtype", "F16"), two_schemes, 5),
    Suite("f32", "3 GB in fp32", (DENSE, "--size", "3GB", "--dtype", "F32"), two_schemes, 5),
    Suite("growth-1gb", "1 GB", (DENSE, "--size", "1GB", "--hidden", "1024"), growth, 5),
    Suite("growth-3gb", "3 GB", BF16, growth, 5),
    Suite("growth-10gb", "10 GB", (DENSE, "--size", "10GB"), growth, 3),
    Suite("inspect-191", "191 shards, 1,138 tensors", GIANTS["inspect-191"], inspect, 9),
    Suite("inspect-163", "163 shards, 90,428 tensors", GIANTS["inspect-163"], inspect, 9),
)
