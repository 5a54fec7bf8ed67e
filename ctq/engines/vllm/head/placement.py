"""Which tensor of the files goes into which parameter of a head, and what vLLM says where they do not fit. Pure.

Source: vLLM 0.32.0 vocab_parallel_embedding.py:487-521 (``weight_loader``), models/utils.py:442 (unknown names).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ctq.checkpoint.dtypes import FLOATS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctq.engines.vllm.head.geometry import HeadGeometry
    from ctq.engines.vllm.head.parameters import ParameterSpec


class Stored(Protocol):
    """A tensor in the files: dtype as safetensors spells it, and shape."""

    @property
    def dtype(self) -> str:
        """The dtype."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A tensor of the files and the parameter that it is loaded into."""

    spec: ParameterSpec
    tensor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placements:
    """What becomes of the head's tensors.

    ``missing`` are parameters without a tensor that the engine would read uninitialised, ``unexpected`` tensors without a
    parameter, ``refusals`` what the loader raises, ``converted`` values that change their meaning without a word.
    """

    loaded: tuple[Placement, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    refusals: tuple[str, ...]
    converted: tuple[str, ...]


def place(
    specs: Sequence[ParameterSpec],
    tensors: Mapping[str, Stored],
    geometry: HeadGeometry,
    *,
    module: str,
    reshapes_scalar_scales: bool,
) -> Placements:
    """Match the tensors of the head, which the files call ``module``, by part name (``weight_scale``, ...), with its parameters."""
    known = {spec.name: spec for spec in specs}
    pairs = [(known[part], f"{module}.{part}", tensor) for part, tensor in tensors.items() if part in known]
    refused = (_refusal(spec, tensor, geometry, is_reshaped=reshapes_scalar_scales) for spec, _, tensor in pairs)
    return Placements(
        loaded=tuple(Placement(spec, name) for spec, name, _ in pairs),
        missing=tuple(f"{module}.{spec.name}" for spec in specs if spec.name not in tensors and spec.read),
        unexpected=tuple(f"{module}.{part}" for part in tensors if part not in known),
        refusals=tuple(f"{name} {why}" for (_, name, _), why in zip(pairs, refused, strict=True) if why),
        converted=tuple(
            f"{name} ({tensor.dtype} into {spec.dtype})"
            for spec, name, tensor in pairs
            if spec.read and not _same_kind(spec.dtype, tensor.dtype)
        ),
    )


def _refusal(spec: ParameterSpec, tensor: Stored, geometry: HeadGeometry, *, is_reshaped: bool) -> str:
    """Say why the loader refuses a tensor, its name left out; "" where it takes it."""
    shape = tensor.shape
    if spec.layout == "whole":
        fits = shape == spec.shape or (shape == () and spec.shape == (1,) and is_reshaped)
        return "" if fits else f"is {list(shape)}, the engine asserts {list(spec.shape)}"
    rows = geometry.vocabulary // spec.per_word
    if not shape or shape[0] != rows:
        return f"has {shape[0] if shape else 'no'} rows, the engine asserts {rows}"
    fits = _broadcasts(shape[1:], spec.shape[1:])
    return "" if fits else f"is {list(shape)}, which does not fit into {[rows, *spec.shape[1:]]}"


def _broadcasts(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether ``copy_`` takes it: a row of one value fills all columns, without a word."""
    return len(source) == len(target) and all(a in (b, 1) for a, b in zip(source, target, strict=True))


def _same_kind(parameter: str, tensor: str) -> bool:
    return parameter == tensor or (parameter in FLOATS and tensor in FLOATS) or {parameter, tensor} == {"I32", "I64"}
