"""How a method has one layer in the files: the tensors that vLLM makes parameters for, with dtypes and shapes, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, TypeGuard

from ctq.checkpoint.dtypes import FLOATS
from ctq.recipe.packing import values_per_word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.engines.vllm.layers import LayerSpec

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = tuple[Shape, ...]
_WORDS = frozenset({"I32"})
_CODES = frozenset({"F8_E4M3"})
"""Other kinds of FP8 are converted by value."""
_NIBBLES = frozenset({"U8"})
_INT8 = frozenset({"I8"})
_EXPONENTS = frozenset({"U8", "F8_E8M0"})
_SCALES = FLOATS | {"F8_E8M0"}
"""Floats and powers of two, which vLLM converts without loss of what they mean."""
_ONE: Shapes = ((), (1,))
"""Shapes of a single value (vLLM 0.32.0 ``model_executor/parameter.py``, PerTensorScaleParameter)."""
WHOLE_ROW = -1
"""How group sizes say that a row has one scale."""


def is_group_size(value: object) -> TypeGuard[int]:
    """Tell a number of columns that share a scale."""
    return type(value) is int and (value > 0 or value == WHOLE_ROW)


class Parameter(NamedTuple):
    """One tensor of a layer: the dtypes that it may have, and the shapes for the rows and columns of the dense weight."""

    dtypes: frozenset[str]
    shapes: Callable[[int, int], Shapes]


@dataclass(frozen=True, slots=True)
class Layout:
    """All tensors of a layer; ``codes`` is the one that holds the weight, of whose shape ``dense`` makes the rows and columns.

    Of those in ``spared`` vLLM makes parameters that it has no use for. ``rows`` is what has to divide the rows of every part of a
    fused layer but the last.
    """

    codes: str
    dense: Callable[[int, int], tuple[int, int]]
    parameters: Mapping[str, Parameter]
    spared: frozenset[str] = frozenset()
    rows: int = 1


class Method(Protocol):
    """A method's config as vLLM holds it for one model."""

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files; None where it is built dense.

        Raises:
            DispatchError: vLLM refuses the config at this layer.

        """


@lru_cache(maxsize=64)
def gptq_layout(bits: int, group_size: int) -> Layout:
    """GPTQ's: turned, packed along the columns of the dense weight."""
    words = values_per_word(bits)
    return Layout(
        codes="qweight",
        dense=lambda first, last: (last, first * words),
        parameters={
            "qweight": Parameter(_WORDS, lambda rows, columns: ((columns // words, rows),)),
            "scales": Parameter(FLOATS, lambda rows, columns: ((_groups(columns, group_size), rows),)),
            "qzeros": Parameter(_WORDS, lambda rows, columns: ((_groups(columns, group_size), rows // words),)),
        },
    )


@lru_cache(maxsize=64)
def awq_layout(bits: int, group_size: int) -> Layout:
    """AWQ's: turned, packed along the rows of the dense weight; zero points are made a parameter of where there are none too."""
    words = values_per_word(bits)
    return Layout(
        codes="qweight",
        dense=lambda first, last: (last * words, first),
        parameters={
            "qweight": Parameter(_WORDS, lambda rows, columns: ((columns, rows // words),)),
            "scales": Parameter(FLOATS, lambda rows, columns: ((_groups(columns, group_size), rows),)),
            "qzeros": Parameter(_WORDS, lambda rows, columns: ((_groups(columns, group_size), rows // words),)),
        },
    )


@lru_cache(maxsize=64)
def fp8_layout(*, static: bool) -> Layout:
    """FP8 with one scale to a weight, and one to its activations where those are static."""
    return _fp8(weight_scale=_SCALE, **({"input_scale": _SCALE} if static else {}))


@lru_cache(maxsize=64)
def fp8_block_layout(block: tuple[int, int]) -> Layout:
    """FP8 with one scale to a block of rows and columns."""
    high, wide = block
    layout = _fp8(
        weight_scale_inv=Parameter(_SCALES, lambda rows, columns: ((-(-rows // high), -(-columns // wide)),)),
    )
    return replace(layout, rows=high)


@lru_cache(maxsize=64)
def fp8_row_layout() -> Layout:
    """FP8 with one scale to a row, as a vector."""
    return _fp8(weight_scale=Parameter(_SCALES, lambda rows, _: ((rows,),)))


@lru_cache(maxsize=64)
def modelopt_block_layout() -> Layout:
    """FP8 with one scale to a block of 128, as ModelOpt writes it: blocks and sizes of one by turns."""
    return _fp8(weight_scale=Parameter(_SCALES, lambda rows, columns: ((-(-rows // 128), 1, columns // 128, 1),)))


@lru_cache(maxsize=64)
def mxfp8_layout() -> Layout:
    """FP8 with one power of two to 32 columns."""
    return _fp8(weight_scale=Parameter(_EXPONENTS, lambda rows, columns: ((rows, columns // 32),)))


@lru_cache(maxsize=64)
def nvfp4_layout(group_size: int, *, static: bool) -> Layout:
    """Two codes of four bits to a byte, an FP8 scale to a group and one of those scales, as ModelOpt writes them."""
    return _nibbles(
        weight_scale=Parameter(_CODES, lambda rows, columns: ((rows, columns // group_size),)),
        weight_scale_2=_SCALE,
        **({"input_scale": _SCALE} if static else {}),
    )


@lru_cache(maxsize=64)
def mxfp4_layout() -> Layout:
    """Two codes of four bits to a byte and one power of two to 32 columns, as Quark writes them."""
    return _nibbles(weight_scale=Parameter(_NIBBLES, lambda rows, columns: ((rows, columns // 32),)))


@lru_cache(maxsize=64)
def int8_layout(*, by_row: bool, static: bool, is_experts: bool) -> Layout:
    """INT8 with zero points, of what is symmetric too, as Quark writes it; experts take vectors and numbers alone."""
    shapes = (_of_a_vector if is_experts else _of_rows) if by_row else _of_one
    one = _of_a_number if is_experts else _of_one
    inputs = {"input_scale": Parameter(_SCALES, one), "input_zero_point": Parameter(_INT8, one)} if static else {}
    layout = _same(
        weight=Parameter(_INT8, _as_it_is),
        weight_scale=Parameter(FLOATS, shapes),
        weight_zero_point=Parameter(_INT8, shapes),
        **inputs,
    )
    return replace(layout, spared=frozenset({"weight_zero_point", "input_zero_point"}))


ANYTHING: Final = Layout(codes="", dense=lambda rows, columns: (rows, columns), parameters={})
"""The layout of a layer of which it is not known how it has to lie."""


def _fp8(**others: Parameter) -> Layout:
    return _same(weight=Parameter(_CODES, _as_it_is), **others)


def _same(**parameters: Parameter) -> Layout:
    """Return the layout of codes that lie as the dense weight does."""
    return Layout(codes="weight", dense=lambda rows, columns: (rows, columns), parameters=parameters)


def _nibbles(**scales: Parameter) -> Layout:
    return Layout(
        codes="weight",
        dense=lambda rows, stored: (rows, stored * 2),
        parameters={"weight": Parameter(_NIBBLES, lambda rows, columns: ((rows, columns // 2),)), **scales},
    )


def _as_it_is(rows: int, columns: int) -> Shapes:
    return ((rows, columns),)


def _of_rows(rows: int, _: int) -> Shapes:
    return ((rows,), (rows, 1))


def _of_a_vector(rows: int, _: int) -> Shapes:
    return ((rows,),)


def _of_a_number(_rows: int, _columns: int) -> Shapes:
    return ((),)


def _of_one(_rows: int, _columns: int) -> Shapes:
    return _ONE


_SCALE: Final = Parameter(_SCALES, _of_one)


def _groups(columns: int, group_size: int) -> int:
    return 1 if group_size == WHOLE_ROW else columns // group_size
