"""The parameters that vLLM creates for a head, by scheme: names, dtypes, and shapes on each rank. Pure.

Source: vLLM 0.32.0 CT/schemes compressed_tensors_w8a8_int8.py:40-105, compressed_tensors_wNa16.py:108-250,
compressed_tensors_w8a8_fp8.py, compressed_tensors_w8a16_fp8.py; up to 0.29 also an order of columns
(0.28.0 compressed_tensors_wNa16.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from ctq.engines.dispatch_error import DispatchError
from ctq.recipe.packing import WORD_BITS, values_per_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ctq.engines.vllm.head.geometry import HeadGeometry
    from ctq.engines.vllm.scheme_predicates import SchemeArgs

Layout = Literal["whole", "rows", "packed-rows"]
WEIGHTS: Final[Mapping[str, str]] = MappingProxyType({
    **dict.fromkeys(("W8A8Int8", "W8A8Fp8", "W8A16Fp8"), "weight"),
    "WNA16": "weight_packed",
})  # fmt: skip
"""What a scheme calls a layer's weight, where its parameters are known; all have a ``weight_scale`` beside it."""
_STRATEGIES = frozenset({"tensor", "channel", "group"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec:
    """One parameter of one rank.

    ``layout`` says how the vocabulary lies on dimension 0: not at all, a row for each token, or ``per_word`` rows to the word.
    ``read`` is false for what the engine keeps and never looks at.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: Layout = "rows"
    per_word: int = 1
    read: bool = True


def head_parameters(
    scheme: str | None, args: SchemeArgs | None, head: HeadGeometry
) -> tuple[ParameterSpec, ...] | None:
    """Return what vLLM creates for a head of a scheme (None: dense); None for a scheme whose parameters are not known here.

    Raises:
        DispatchError: the scheme refuses this geometry.

    """
    if scheme is None or args is None:
        return (ParameterSpec(name="weight", dtype=head.dtype, shape=(head.rows_per_rank, head.hidden)),)
    create = _CREATE.get(scheme)
    if create is None or args.weights.strategy not in _STRATEGIES:
        return None
    return tuple(create(args, head))


def _int8(args: SchemeArgs, head: HeadGeometry) -> Iterator[ParameterSpec]:
    yield ParameterSpec(name="weight", dtype="I8", shape=(head.rows_per_rank, head.hidden))
    yield from _float_scale(args, head)
    if args.inputs is not None and not args.inputs.dynamic:
        yield ParameterSpec(name="input_scale", dtype="F32", shape=(1,), layout="whole")
        if not args.inputs.symmetric:
            yield ParameterSpec(name="input_zero_point", dtype="I8", shape=(1,), layout="whole")


def _float8(args: SchemeArgs, head: HeadGeometry) -> Iterator[ParameterSpec]:
    yield ParameterSpec(name="weight", dtype="F8_E4M3", shape=(head.rows_per_rank, head.hidden))
    yield from _float_scale(args, head)
    if args.inputs is not None and not args.inputs.dynamic:
        yield ParameterSpec(name="input_scale", dtype="F32", shape=(1,), layout="whole")


def _float_scale(args: SchemeArgs, head: HeadGeometry) -> Iterator[ParameterSpec]:
    if args.weights.strategy == "channel":
        yield ParameterSpec(name="weight_scale", dtype="F32", shape=(head.rows_per_rank, 1))
    else:
        yield ParameterSpec(name="weight_scale", dtype="F32", shape=(1,), layout="whole")


def _packed(args: SchemeArgs, head: HeadGeometry) -> Iterator[ParameterSpec]:
    bits, rows = args.weights.num_bits, head.rows_per_rank
    size = args.weights.group_size
    group = size if size and size > 0 else max(head.hidden, 1)
    if head.hidden % group:
        raise DispatchError("ValueError", f"group size {group} does not divide the {head.hidden} columns of the head")
    groups, per_word = head.hidden // group, values_per_word(bits)
    yield ParameterSpec(name="weight_packed", dtype="I32", shape=(rows, -(-head.hidden * bits // WORD_BITS)))
    yield ParameterSpec(name="weight_scale", dtype=head.dtype, shape=(rows, groups))
    yield ParameterSpec(name="weight_shape", dtype="I64", shape=(2,), layout="whole", read=False)
    if not args.weights.symmetric:
        shape = (-(-rows * bits // WORD_BITS), groups)
        yield ParameterSpec(name="weight_zero_point", dtype="I32", shape=shape, layout="packed-rows", per_word=per_word)
    if args.weights.actorder == "group":
        yield ParameterSpec(name="weight_g_idx", dtype="I32", shape=(head.hidden,), layout="whole")


_CREATE: dict[str, Callable[[SchemeArgs, HeadGeometry], Iterator[ParameterSpec]]] = {
    "W8A8Int8": _int8,
    "WNA16": _packed,
    "W8A8Fp8": _float8,
    "W8A16Fp8": _float8,
}
"""Schemes whose loading is judged here; of the others only the dispatch is known."""
