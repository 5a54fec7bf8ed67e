"""How a module is stored, told from the names, dtypes and shapes of its tensors alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOATS
from ctq.recipe.packing import WORD_BITS, values_per_word, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.inspect.modules.grouping import Part
    from ctq.recipe.schemes import QuantArgs

FP8 = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
_CODES = FP8 | {"I8", "U8", "F4", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL"}
"""No form has weights of the wide integers, but nothing else than codes can be meant by them, be it a norm's weight."""


class Form(StrEnum):
    """Ways of storing a layer; the values of compressed-tensors' forms are its formats."""

    DENSE = "dense"
    INT = "int-quantized"
    PACKED = "pack-quantized"
    FLOAT = "float-quantized"
    NVFP4 = "nvfp4-pack-quantized"
    MXFP4 = "mxfp4-pack-quantized"
    MXFP8 = "mxfp8-quantized"
    FROZEN = "frozen"
    NO_WEIGHT = "no-weight"
    GPTQ = "gptq"
    AWQ = "awq"
    FP8 = "fp8"
    MODELOPT_FP4 = "modelopt-nvfp4"
    MXFP4_BLOCKS = "mxfp4"
    BNB_INT8 = "bitsandbytes-int8"
    BNB_4BIT = "bitsandbytes-4bit"
    MLX = "mlx"
    PLAIN = "parameter"


COMPRESSED = frozenset({Form.INT, Form.PACKED, Form.FLOAT, Form.NVFP4, Form.MXFP4, Form.MXFP8})
FOREIGN = frozenset(
    {Form.GPTQ, Form.AWQ, Form.FP8, Form.MODELOPT_FP4, Form.MXFP4_BLOCKS, Form.BNB_INT8, Form.BNB_4BIT, Form.MLX}
)
QUANTIZED = COMPRESSED | FOREIGN
SCALES = frozenset({"weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx", "weight_global_scale"})
"""Parts that mean nothing without a weight."""
_VALUES_IN_WORD = tuple(map(values_per_word, (8, 4, 2)))
"""Values of GPTQ's and AWQ's widths in a word."""


def stored_form(parts: Mapping[str, Part]) -> Form:
    """Name the way in which a module with these parts is stored."""
    if "weight_packed" in parts:
        return _packed(parts)
    if "qweight" in parts:
        return _qweight(parts)
    if "blocks" in parts:
        return Form.MXFP4_BLOCKS
    if "weight" in parts:
        return _weight(parts)
    return Form.NO_WEIGHT if SCALES & parts.keys() else Form.PLAIN


def _qweight(parts: Mapping[str, Part]) -> Form:
    """Tell GPTQ, which packs along the input, from AWQ, which packs along the output, as the scales of the outputs show.

    The order of columns (``g_idx``), which GPTQ may leave out, decides only where shapes do not tell.
    """
    codes, scales = parts["qweight"].shape, parts["scales"].shape if "scales" in parts else ()
    if codes and scales:
        if codes[-1] == scales[-1]:
            return Form.GPTQ
        if scales[-1] in {codes[-1] * values for values in _VALUES_IN_WORD}:
            return Form.AWQ
    return Form.GPTQ if "g_idx" in parts else Form.AWQ


def _packed(parts: Mapping[str, Part]) -> Form:
    if parts["weight_packed"].dtype != "U8":
        return Form.PACKED
    scale = parts.get("weight_scale")
    is_nv = "weight_global_scale" in parts or (scale is not None and scale.dtype in FP8)
    return Form.NVFP4 if is_nv else Form.MXFP4


def _weight(parts: Mapping[str, Part]) -> Form:
    marked = next((form for part, form in _MARKS.items() if part in parts), None)
    dtype, scale = parts["weight"].dtype, parts.get("weight_scale")
    if marked is not None:
        return Form.FP8 if marked is Form.MODELOPT_FP4 and dtype in FP8 else marked
    if dtype in FP8:
        return Form.MXFP8 if scale is not None and scale.dtype in ("U8", "F8_E8M0") else Form.FLOAT
    if dtype in _CODES:
        return Form.INT
    if dtype in FLOATS:
        return Form.FROZEN if scale is not None else Form.DENSE
    return Form.PLAIN


_MARKS = {
    "weight.absmax": Form.BNB_4BIT,
    "SCB": Form.BNB_INT8,
    "scales": Form.MLX,
    "weight_scale_inv": Form.FP8,
    "weight_scale_2": Form.MODELOPT_FP4,
}
"""Parts that only one method writes beside a ``weight``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How a module is stored, as far as headers can tell.

    ``group_size`` counts columns under one scale, where there are several; ``block`` rows and columns; ``bits`` is None where
    only the config could tell.
    """

    form: Form
    bits: int | None = None
    rows: int | None = None
    columns: int | None = None
    strategy: str | None = None
    group_size: int | None = None
    symmetric: bool = True

    @property
    def is_quantized(self) -> bool:
        """Whether the weight is stored in fewer bits than a float."""
        return self.form in QUANTIZED


def describe(parts: Mapping[str, Part], declared: QuantArgs | None, columns: int | None) -> Stored:
    """Describe a module's storage; ``declared`` and ``columns`` (of the dense weight) help where headers alone cannot tell."""
    form = stored_form(parts)
    weight = parts.get("weight") or parts.get("weight_packed")
    if form in (Form.GPTQ, Form.AWQ):
        return _turned(form, parts)
    if form not in COMPRESSED or weight is None or not weight.shape:
        return Stored(form=form, bits=_FOREIGN_BITS.get(form))
    bits = _bits(form, weight, declared, columns)
    stored_columns: int | None = weight.shape[-1]
    if form is Form.PACKED:
        stored_columns = columns if columns and bits else weight.shape[-1] * values_per_word(bits) if bits else None
    elif form in (Form.NVFP4, Form.MXFP4):
        stored_columns = weight.shape[-1] * 2
    strategy, group = _strategy(
        parts.get("weight_scale"), weight.shape[-2] if len(weight.shape) > 1 else 1, stored_columns
    )
    if declared is not None and _is_one_group(declared, strategy, stored_columns):
        strategy, group = "group", declared.group_size
    return Stored(
        form=form,
        bits=bits,
        rows=weight.shape[-2] if len(weight.shape) > 1 else None,
        columns=stored_columns,
        strategy=strategy,
        group_size=group,
        symmetric="weight_zero_point" not in parts,
    )


def _turned(form: Form, parts: Mapping[str, Part]) -> Stored:
    """Describe packed codes by their zero points, which tell how many lie in a word, and their scales, which tell the rows."""
    matrices = [parts[part].shape for part in ("qweight", "qzeros", "scales") if part in parts]
    if [len(shape) for shape in matrices] != [2, 2, 2]:
        return Stored(form=form)
    (first, _), (_, zeros), (_, rows) = matrices
    per_word = rows // zeros if zeros and rows % zeros == 0 else 0
    if per_word not in _VALUES_IN_WORD:
        return Stored(form=form)
    return Stored(
        form=form, bits=WORD_BITS // per_word, rows=rows, columns=first * per_word if form is Form.GPTQ else first
    )


_FOREIGN_BITS = {Form.FP8: 8, Form.MODELOPT_FP4: 4, Form.MXFP4_BLOCKS: 4, Form.BNB_INT8: 8, Form.BNB_4BIT: 4}


def _bits(form: Form, weight: Part, declared: QuantArgs | None, columns: int | None) -> int | None:
    if form in (Form.NVFP4, Form.MXFP4):
        return 4
    if form is not Form.PACKED:
        return 8
    if columns:
        fits = [bits for bits in (8, 4, 2, 3, 5, 6, 7, 1) if words(columns, bits) == weight.shape[-1]]
        if fits:
            return declared.num_bits if declared and declared.num_bits in fits else fits[0]
    return declared.num_bits if declared else None


def _is_one_group(declared: QuantArgs, strategy: str | None, columns: int | None) -> bool:
    """Tell a group as wide as the row from one scale for each row: the shapes are the same."""
    return (
        strategy == "channel"
        and declared.strategy == "group"
        and columns is not None
        and (declared.group_size or 0) >= columns
    )


def _strategy(scale: Part | None, rows: int, columns: int | None) -> tuple[str | None, int | None]:
    """Tell the strategy from the scale's shape: one value, one for each row, groups of columns, or blocks."""
    if scale is None:
        return None, None
    values, shape = prod(scale.shape), scale.shape
    if values == 1 and rows > 1:
        return "tensor", None
    if values == prod(shape[:-2]) * rows or len(shape) < 2:  # a vector: one scale for each row
        return "channel", None
    if shape[-2] == rows and columns and shape[-1]:
        return "group", -(-columns // shape[-1])
    return "block", None
