"""Which faults are tried on which checkpoints: all of them on Llama, a share on every other architecture, and some in pairs."""

from __future__ import annotations

import random
import shutil
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faults import FAULTS, NUMBERS, SEEN_BY_LOADING
from faults_model import Inapplicable
from sweep_quantize import SCHEMES, call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MAIN: Final = "llama"
BROKEN: Final = tuple(scheme for scheme in SCHEMES if scheme not in {"no head W8A16", "head only"})
"""How the checkpoints are quantized that are broken."""
OTHERS: Final = (
    "qwen3-tied",
    "qwen3-moe",
    "mixtral",
    "deepseek-v3",
    "gemma3-mm",
    "qwen2.5-vl",
    "phi3",
    "gpt-neox",
    "qwen2",
    "gpt2",
    "falcon",
    "qwen2-moe",
    "llama4",
    "nemotron-h",
    "granite-hybrid",
    "qwen2-audio",
    "qwen3.5-vl",
)
EMPTY: Final = frozenset({("gpt2", "no head")})
"""Where nothing would be quantized: its linear layers are stored transposed, and left dense."""
FURTHER: Final = "llama-even"
FURTHER_SCHEMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "W8A16 channel": ("--include-lm-head", "--scheme", "W8A16", "--strategy", "channel"),
        "W8A16 group 32": ("--include-lm-head", "--scheme", "W8A16", "--strategy", "group", "--group-size", "32"),
        "W8A16 asymmetric": ("--include-lm-head", "--scheme", "W8A16", "--asymmetric"),
    }
)
"""What else the command writes, on a model whose sizes fit the one kernel that takes zero points."""
MIXTURES: Final = ("qwen3-moe", "mixtral", "deepseek-v3", "qwen2-moe", "llama4", "granite-hybrid")
WRAPPERS: Final = ("gemma3-mm", "qwen2.5-vl", "llama4", "qwen2-audio", "qwen3.5-vl")
FITTING: Final = {
    "expert": MIXTURES,
    "router": MIXTURES,
    "tower": WRAPPERS,
    "nested": WRAPPERS,
    "text-config": WRAPPERS,
    "fused": ("phi3", "gpt-neox", "falcon"),
    "bias": ("qwen2", "gpt-neox", "gpt2", "qwen2-moe", "qwen2-audio"),
}
"""Faults that concern only some kinds of models, by a word of their name."""
TURNS: Final = 3
"""On how many of the other architectures each fault is tried."""
SHARD_SIZE: Final = "200KB"
"""Small enough that every base has several files and an index."""
PAIRS: Final = 240


@dataclass(frozen=True, slots=True)
class Case:
    """One broken checkpoint: a family quantized as a scheme says, and what was then done to it; nothing: the healthy one."""

    family: str
    scheme: str
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A name for reports and folders."""
        return "/".join((self.family, self.scheme, "+".join(self.faults) or "healthy"))

    @property
    def base(self) -> Case:
        """The healthy checkpoint."""
        return Case(self.family, self.scheme)


def all_cases() -> tuple[Case, ...]:
    """Return every case of the whole sweep."""
    return (*main_cases(), *other_cases(), *further_cases(), *pairs())


def healthy() -> tuple[Case, ...]:
    """Return the bases."""
    usual = (Case(family, scheme) for family in (MAIN, *OTHERS) for scheme in BROKEN if (family, scheme) not in EMPTY)
    return (*usual, *(Case(FURTHER, scheme) for scheme in FURTHER_SCHEMES))


def main_cases() -> Iterator[Case]:
    """Yield every fault on Llama, as each scheme."""
    for scheme in BROKEN:
        yield from (Case(MAIN, scheme, (fault,)) for fault in SEEN_BY_LOADING)


def other_cases() -> Iterator[Case]:
    """Yield every fault on some of the other architectures, each as one scheme or another in turn."""
    schemes = BROKEN
    for turn in range(TURNS):
        for number, fault in enumerate(SEEN_BY_LOADING):
            fit = next((families for word, families in FITTING.items() if word in fault), OTHERS)
            case = Case(fit[(number + turn) % len(fit)], schemes[(number + turn) % len(schemes)], (fault,))
            if turn < len(fit) and (case.family, case.scheme) not in EMPTY:
                yield case


def further_cases() -> Iterator[Case]:
    """Yield every fault on what else the command writes, each as one scheme or another in turn."""
    schemes = list(FURTHER_SCHEMES)
    yield from (Case(FURTHER, schemes[number % len(schemes)], (fault,)) for number, fault in enumerate(SEEN_BY_LOADING))


def pairs(count: int = PAIRS, *, seed: int = 5) -> Iterator[Case]:
    """Yield pairs of faults, drawn once for all."""
    draw = random.Random(seed)
    for _ in range(count):
        two = tuple(sorted(draw.sample(SEEN_BY_LOADING, 2)))
        case = Case(draw.choice((MAIN, *OTHERS)), draw.choice(BROKEN), two)
        if (case.family, case.scheme) not in EMPTY:
            yield case


def number_cases() -> Iterator[Case]:
    """Yield every fault of the numbers, on Llama as each scheme and on experts."""
    for scheme in BROKEN:
        yield from (Case(MAIN, scheme, (fault,)) for fault in NUMBERS)
    for scheme in ("W8A8", "W8A16"):
        yield from (Case("qwen3-moe", scheme, (fault,)) for fault in NUMBERS)


def make_base(case: Case, dense: Path, out: Path) -> Path:
    """Quantize the dense checkpoint of a family as the case's scheme says, in several files."""
    options = [*(SCHEMES | FURTHER_SCHEMES)[case.scheme], "--max-shard-size", SHARD_SIZE]
    code, _, complaint = call(["quantize", str(dense), "-o", str(out), "--no-verify", "-q", *options])
    assert code == 0, complaint
    return out


def break_copy(case: Case, base: Path, out: Path) -> bool:
    """Copy the healthy checkpoint and break it; False, and no folder, where a fault does not concern it."""
    shutil.copytree(base, out)
    try:
        for fault in case.faults:
            FAULTS[fault].change(out)
    except (
        Inapplicable,
        OSError,
        ValueError,
        struct.error,
        KeyError,
        TypeError,
        StopIteration,
        AttributeError,
        IndexError,
    ):
        if len(case.faults) == 1 and not _is_inapplicable(case, base, out):
            raise
        shutil.rmtree(out)
        return False
    return True


def _is_inapplicable(case: Case, base: Path, out: Path) -> bool:
    """Tell a fault that does not apply from a mistake in the table: alone, only `Inapplicable` may be raised."""
    shutil.rmtree(out)
    shutil.copytree(base, out)
    try:
        FAULTS[case.faults[0]].change(out)
    except Inapplicable:
        return True
    return False


def families(cases: Iterable[Case]) -> tuple[str, ...]:
    """Return the families of some cases, each once."""
    return tuple(dict.fromkeys(case.family for case in cases))
