"""What the real vLLM made of a checkpoint, boiled down to the one word that ctq has to agree with.

This is the sweeps' own reading of the engine's facts: it shares nothing with `ctq.verify.engines.vllm.judge`, which is judged by it too.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ctq.verify.engines.vllm.facts import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.verify.engines.vllm.facts import Head, VllmResult

QUANTIZED_PARTS: Final = ("weight_scale", "weight_packed", "weight_zero_point")
CODES: Final = {"Int8": ("int8", "int32", "uint8"), "Fp8": ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz")}
"""The dtypes of a head's codes, by a word in the name of its scheme."""
PRINTED_SET: Final = re.compile(r"\{('[^'{}]*'(?:, '[^'{}]*')+)\}")


class Truth(StrEnum):
    """What a user of the engine would get."""

    QUANTIZED = "quantized"
    DENSE = "dense"
    REFUSED = "refused"
    GARBAGE = "garbage"
    UNDECIDED = "undecided"

    @property
    def is_good(self) -> bool:
        """Whether every number is served as it was meant."""
        return self in (Truth.QUANTIZED, Truth.DENSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One load, small enough to keep: how it ended, what the main head is, and what was not loaded as it lies in the files."""

    outcome: str
    stage: str = ""
    message: str = ""
    head: str = ""
    method: str = ""
    scheme: str = ""
    quantized: bool = False
    float_codes: bool = False
    version: str = ""
    never: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    seconds: float = 0.0
    stand_ins: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)


def read_observation(value: dict[str, Any]) -> Observation:
    """Read what `Observation.to_json` gave."""
    return Observation(**{key: tuple(item) if isinstance(item, list) else item for key, item in value.items()})


def observe(result: VllmResult) -> Observation:
    """Take what matters of a load."""
    head = min(result.heads, key=lambda head: head.name.count("."), default=None)
    return Observation(
        outcome=result.outcome.value,
        stage=result.error.stage if result.error else "",
        message=in_order(result.error.message)[:300] if result.error else "",
        head=head.name if head else "",
        method=head.quant_method if head else "",
        scheme=head.scheme if head else "",
        quantized=head.quantized if head else False,
        float_codes=any(map(_has_float_codes, result.heads)),
        version=result.engine.version,
        never=tuple(parameter.name for parameter in result.never_loaded),
        partly=tuple(parameter.name for parameter in result.partly_loaded),
        converted=tuple(f"{item.name} ({item.source} into {item.target})" for item in result.converted),
        cut=tuple(item.name for item in result.partly_read),
        unused=result.unused,
        seconds=round(result.seconds, 3),
        stand_ins=dict(result.stand_ins),
    )


def in_order(message: str) -> str:
    """Return a message with the sets of names that it prints in order: as they stand, each run has another."""
    return PRINTED_SET.sub(lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", message)


def _has_float_codes(head: Head) -> bool:
    """Tell a quantized head whose codes are the embedding's floats: tied after its parameters were made."""
    parts = {parameter.name.rpartition(".")[2]: parameter.dtype for parameter in head.parameters}
    wanted = next((dtypes for word, dtypes in CODES.items() if word in head.scheme), ())
    unpacked = "weight_packed" not in parts and "weight_scale" in parts
    return head.quantized and bool(wanted) and unpacked and parts.get("weight", "") not in wanted


def serves(seen: Observation, baseline: Observation | None = None) -> bool:
    """Tell a load that serves every number as it was meant; ``baseline`` as in `truth_of`."""
    return truth_of(seen, baseline)[0].is_good


def truth_of(seen: Observation, baseline: Observation | None = None) -> tuple[Truth, str]:
    """Return the word and the reason; ``baseline`` is the healthy or dense twin, whose own gaps are nobody's fault."""
    if seen.outcome in (Outcome.CRASHED, Outcome.UNDECIDED):
        return Truth.UNDECIDED, seen.message
    if seen.outcome == Outcome.REFUSED:
        return Truth.REFUSED, f"{seen.stage}: {seen.message}"
    wrong = _wrong(seen, baseline)
    if wrong:
        return Truth.GARBAGE, wrong
    dropped = [name for name in seen.unused if name.endswith(QUANTIZED_PARTS)]
    what = f", and leaves {dropped[0]} unread" if dropped else ""
    return (Truth.QUANTIZED if seen.quantized else Truth.DENSE), f"{seen.head or 'no head'}: {seen.method}{what}"


def _wrong(seen: Observation, baseline: Observation | None) -> str:
    never, partly = _beyond(seen.never, baseline and baseline.never), _beyond(seen.partly, baseline and baseline.partly)
    if never:
        return f"never loaded: {', '.join(never[:3])}"
    if partly:
        return f"partly loaded: {', '.join(partly[:3])}"
    if seen.converted:
        return f"converted: {', '.join(seen.converted[:3])}"
    cut = _beyond(seen.cut, baseline and baseline.cut)
    if cut:
        return f"read in part: {', '.join(cut[:3])}"
    if seen.float_codes:
        return "the codes of the head are the embedding's floats"
    return ""


def _beyond(names: Sequence[str], known: Sequence[str] | None) -> list[str]:
    return [name for name in names if name not in (known or ())]
