"""Which tensor of the files goes into which parameter of a head, and what vLLM says where they do not fit. Pure.

Source: vLLM 0.32.0 vocab_parallel_embedding.py:487-521 (``weight_loader``), models/utils.py:442 (unknown names).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.checkpoint.header import TensorInfo
    from ctq.engines.vllm.rules import EngineRules
    from ctq.verify.engines.builtin.parameters import HeadGeometry, ParameterSpec


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
    tensors: Mapping[str, TensorInfo],
    head: HeadGeometry,
    *,
    rules: EngineRules,
) -> Placements:
    """Match the head's ``tensors``, by part name (``weight_scale``, ...), with its parameters."""
    known = {spec.name: spec for spec in specs}
    pairs = [(known[part], tensor) for part, tensor in tensors.items() if part in known]
    return Placements(
        loaded=tuple(Placement(spec, tensor.name) for spec, tensor in pairs),
        missing=tuple(spec.name for spec in specs if spec.name not in tensors and spec.read),
        unexpected=tuple(tensor.name for part, tensor in tensors.items() if part not in known),
        refusals=tuple(why for spec, tensor in pairs for why in _refusals(spec, tensor, head, rules)),
        converted=tuple(_converted(spec, tensor) for spec, tensor in pairs if _is_converted(spec, tensor.dtype)),
    )


def _refusals(spec: ParameterSpec, tensor: TensorInfo, head: HeadGeometry, rules: EngineRules) -> Iterator[str]:
    shape = tensor.shape
    if spec.layout == "whole":
        is_scalar = shape == () and spec.shape == (1,) and rules.reshapes_scalar_scales
        if shape != spec.shape and not is_scalar:
            yield f"{tensor.name} is {list(shape)}, the engine asserts {list(spec.shape)}"
        return
    rows = head.vocabulary // spec.per_word if spec.layout == "packed-rows" else head.vocabulary
    if not shape or shape[0] != rows:
        yield f"{tensor.name} has {shape[0] if shape else 'no'} rows, the engine asserts {rows}"
    elif not _broadcasts(shape[1:], spec.shape[1:]):
        yield f"{tensor.name} is {list(shape)}, which does not fit into {[rows, *spec.shape[1:]]}"


def _broadcasts(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether ``copy_`` takes it: a row of one value fills all columns, without a word."""
    return len(source) == len(target) and all(a in (b, 1) for a, b in zip(source, target, strict=True))


def _is_converted(spec: ParameterSpec, dtype: str) -> bool:
    """Tell a change of values that somebody reads."""
    return spec.read and not _same_kind(spec.dtype, dtype)


def _same_kind(parameter: str, tensor: str) -> bool:
    return parameter == tensor or (parameter in FLOATS and tensor in FLOATS) or {parameter, tensor} == {"I32", "I64"}


def _converted(spec: ParameterSpec, tensor: TensorInfo) -> str:
    return f"{tensor.name} ({tensor.dtype} into {spec.dtype})"
