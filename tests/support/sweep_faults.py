"""Which faults are tried on which checkpoints: all of them on Llama, a share on every other architecture, and some in pairs."""

from __future__ import annotations

import random
import shutil
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faults import FAULTS, NUMBERS, SEEN_BY_LOADING
from faults_model import Inapplicable
from sweep_quantize import SCHEMES, call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAIN: Final = "llama"
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
)
FITTING: Final = {
    "expert": ("qwen3-moe", "mixtral", "deepseek-v3"),
    "router": ("qwen3-moe", "mixtral", "deepseek-v3"),
    "tower": ("gemma3-mm", "qwen2.5-vl"),
    "nested": ("gemma3-mm", "qwen2.5-vl"),
    "text-config": ("gemma3-mm", "qwen2.5-vl"),
    "fused": ("phi3", "gpt-neox"),
    "bias": ("qwen2", "gpt-neox"),
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
    return (*main_cases(), *other_cases(), *pairs())


def healthy() -> tuple[Case, ...]:
    """Return the bases."""
    return tuple(Case(family, scheme) for family in (MAIN, *OTHERS) for scheme in SCHEMES)


def main_cases() -> Iterator[Case]:
    """Yield every fault on Llama, as each scheme."""
    for scheme in SCHEMES:
        yield from (Case(MAIN, scheme, (fault,)) for fault in SEEN_BY_LOADING)


def other_cases() -> Iterator[Case]:
    """Yield every fault on some of the other architectures, each as one scheme or another in turn."""
    schemes = list(SCHEMES)
    for turn in range(TURNS):
        for number, fault in enumerate(SEEN_BY_LOADING):
            fit = next((families for word, families in FITTING.items() if word in fault), OTHERS)
            if turn < len(fit):
                yield Case(fit[(number + turn) % len(fit)], schemes[(number + turn) % len(schemes)], (fault,))


def pairs(count: int = PAIRS, *, seed: int = 5) -> Iterator[Case]:
    """Yield pairs of faults, drawn once for all."""
    draw = random.Random(seed)
    for _ in range(count):
        two = tuple(sorted(draw.sample(SEEN_BY_LOADING, 2)))
        yield Case(draw.choice((MAIN, *OTHERS)), draw.choice(list(SCHEMES)), two)


def number_cases() -> Iterator[Case]:
    """Yield every fault of the numbers, on Llama as each scheme and on experts."""
    for scheme in SCHEMES:
        yield from (Case(MAIN, scheme, (fault,)) for fault in NUMBERS)
    for scheme in ("W8A8", "W8A16"):
        yield from (Case("qwen3-moe", scheme, (fault,)) for fault in NUMBERS)


def make_base(case: Case, dense: Path, out: Path) -> Path:
    """Quantize the dense checkpoint of a family as the case's scheme says, in several files."""
    options = [*SCHEMES[case.scheme], "--max-shard-size", SHARD_SIZE]
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
