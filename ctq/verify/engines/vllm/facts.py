"""What the real engine showed of a checkpoint, as frozen values read from the worker's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from ctq.verify.comparison import LogitsComparison

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "Mapping[str, Any]"
PLAIN = ("architecture", "dtype", "tensors", "stand_ins", "unused_count", "head_skipped", "seconds", "peak_bytes")


class Outcome(StrEnum):
    """What became of a load: done, refused by the engine, not to be decided here, or the worker died."""

    LOADED = "loaded"
    REFUSED = "refused"
    UNDECIDED = "undecided"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine that answered and the device of its heads."""

    version: str
    torch: str
    device: str
    device_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a checkpoint was not loaded: stage is config, build, load or process.

    ``tensor`` is the last one that the loader took; ``unexpected`` a name that it did not know.
    """

    stage: str
    type: str
    message: str
    detail: str = ""
    place: str = ""
    tensor: str | None = None
    unexpected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of the engine's model: elements that it has, elements that were written."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    elements: int
    loaded: int
    quant_method: str = ""
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A parameter that took values of another kind, which keeps the numbers and loses their meaning."""

    name: str
    source: str
    target: str
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyRead:
    """A tensor of the files of which the engine took a part and left the rest, as if it had been of the right size."""

    name: str
    elements: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How a module was treated, and its class."""

    module: str
    quant_method: str
    scheme: str
    kernel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One ParallelLMHead of the model: what it was made of, what reached it, and what it shares its weight with."""

    name: str
    prefix: str
    quantized: bool
    quant_method: str
    scheme: str
    kernel: str
    tied_to: str | None
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRun:
    """The real head on the device against the same tensors dequantized in float32.

    ``exercised`` is false where a stand-in ran in the place of the engine's kernel.
    """

    device: str
    kernel: str
    exercised: bool
    compared: LogitsComparison
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmResult:
    """What one checkpoint was to the engine; the lists are cut after 200 names."""

    outcome: Outcome
    engine: Engine
    error: Refusal | None = None
    architecture: str = ""
    dtype: str = ""
    tensors: int = 0
    heads: tuple[Head, ...] = ()
    modules: Mapping[str, Method] = field(default_factory=dict)
    stand_ins: Mapping[str, int] = field(default_factory=dict)
    never_loaded: tuple[Parameter, ...] = ()
    partly_loaded: tuple[Parameter, ...] = ()
    converted: tuple[Conversion, ...] = ()
    partly_read: tuple[PartlyRead, ...] = ()
    unused: tuple[str, ...] = ()
    unused_count: int = 0
    head_run: HeadRun | None = None
    head_error: Refusal | None = None
    head_skipped: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def unloaded(self) -> tuple[str, ...]:
        """Parameters that were not written, or not wholly."""
        return tuple(parameter.name for parameter in (*self.never_loaded, *self.partly_loaded))


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What the whole engine continued a fixed prompt with, greedily; ``finite`` says so of its log probabilities."""

    outcome: Outcome
    engine: Engine
    error: Refusal | None = None
    prompt: tuple[int, ...] = ()
    generated: tuple[int, ...] = ()
    finite: bool = False
    stand_ins: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    peak_bytes: int = 0


def read_engine(line: Json) -> Engine:
    """Read the worker's first line."""
    return Engine(
        version=line["version"],
        torch=line["torch"],
        device=line["device"],
        device_name=line["device_name"],
    )


def read_result(answer: Json, engine: Engine) -> VllmResult:
    """Read one answer of the worker."""
    run, failed = answer.get("head_run"), answer.get("head_error")
    return VllmResult(
        outcome=Outcome(answer["outcome"]),
        engine=engine,
        error=_refusal(answer["error"]) if "error" in answer else None,
        heads=tuple(_head(head) for head in answer.get("heads", ())),
        modules={name: _method(method) for name, method in answer.get("modules", {}).items()},
        never_loaded=tuple(_parameter(value) for value in answer.get("never_loaded", ())),
        partly_loaded=tuple(_parameter(value) for value in answer.get("partly_loaded", ())),
        converted=tuple(_conversion(value) for value in answer.get("converted", ())),
        partly_read=tuple(PartlyRead(**value) for value in answer.get("partly_read", ())),
        unused=tuple(answer.get("unused", ())),
        head_run=_head_run(run) if run else None,
        head_error=_refusal(failed) if failed else None,
        **{key: answer[key] for key in PLAIN if key in answer},
    )


def read_generation(answer: Json, engine: Engine) -> Generation:
    """Read one answer of the worker to a request to generate."""
    return Generation(
        outcome=Outcome(answer["outcome"]),
        engine=engine,
        error=_refusal(answer["error"]) if "error" in answer else None,
        prompt=tuple(answer.get("prompt", ())),
        generated=tuple(answer.get("generated", ())),
        finite=answer.get("finite", False),
        stand_ins=answer.get("stand_ins", {}),
        seconds=answer.get("seconds", 0.0),
        peak_bytes=answer.get("peak_bytes", 0),
    )


def _refusal(value: Json) -> Refusal:
    known = {item.name for item in fields(Refusal)}
    return Refusal(**{key: item for key, item in value.items() if key in known})


def _parameter(value: Json) -> Parameter:
    return Parameter(**{**value, "shape": tuple(value["shape"]), "tensors": tuple(value.get("tensors", ()))})


def _conversion(value: Json) -> Conversion:
    return Conversion(name=value["name"], source=value["from"], target=value["to"], tensors=tuple(value["tensors"]))


def _method(value: Json) -> Method:
    kept = {key: value[key] for key in ("quant_method", "scheme", "kernel")}
    return Method(module=value["class"], **kept)


def _head_run(value: Json) -> HeadRun:
    compared = {item.name: value[item.name] for item in fields(LogitsComparison) if item.name != "kl"}
    return HeadRun(
        device=value["device"],
        kernel=value["kernel"],
        exercised=value["exercised"],
        compared=LogitsComparison(**compared, kl=None),
        seconds=value["seconds"],
    )


def _head(value: Json) -> Head:
    kept = {key: item for key, item in value.items() if key not in ("class", "parameters")}
    return Head(parameters=tuple(_parameter(item) for item in value["parameters"]), **kept)
