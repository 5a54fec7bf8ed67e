"""What compressed-tensors' forms look like in the files: formats, dtypes and shapes of the parts of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOATS
from ctq.engines.vllm.scheme_choice import ACTIVATION_FORMATS
from ctq.inspect.modules.forms import FP8, Form
from ctq.recipe.packing import values_per_word, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.inspect.modules.grouping import Part
    from ctq.recipe.schemes import QuantArgs

_ANY_FORMAT = frozenset({*ACTIVATION_FORMATS, "pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized"})
FORMATS: Mapping[Form, frozenset[str]] = {
    Form.INT: ACTIVATION_FORMATS,
    Form.FLOAT: ACTIVATION_FORMATS,
    Form.PACKED: frozenset({"pack-quantized", "marlin-24"}),
    Form.NVFP4: _ANY_FORMAT,
    Form.MXFP4: _ANY_FORMAT,
    Form.MXFP8: _ANY_FORMAT,
}
"""Formats under which vLLM 0.32.0 reads tensors stored so.

Source: compressed_tensors.py ``_get_scheme_from_parts``; the FP4 and MX forms go by their arguments, whatever the format says.
"""


SCALE_DTYPES: Mapping[Form, frozenset[str]] = {
    Form.INT: FLOATS,
    Form.FLOAT: FLOATS,
    Form.PACKED: FLOATS,
    Form.NVFP4: FP8 | FLOATS,
    Form.MXFP4: frozenset({"U8", "F8_E8M0"}),
    Form.MXFP8: frozenset({"U8", "F8_E8M0"}),
}
Shapes = tuple[tuple[int, ...], ...]


def weight_dtypes(form: Form, args: QuantArgs) -> frozenset[str]:
    """Return the dtypes that the weight itself may have."""
    if form is Form.PACKED:
        return frozenset({"I32"})
    if form in (Form.NVFP4, Form.MXFP4):
        return frozenset({"U8"})
    return frozenset({"F8_E4M3"} if args.type == "float" else {"I8"})  # other kinds of FP8 vLLM converts by value


def expected_shapes(form: Form, args: QuantArgs, weight: tuple[int, ...], scale: Part | None) -> dict[str, Shapes]:
    """Return the shapes that each part of a matrix may have, as compressed-tensors 0.17.0 writes them.

    The columns of a packed weight are known only up to the padding of its last word, so its groups are checked against the scale.
    """
    rows, stored = weight
    columns = stored * 2 if form in (Form.NVFP4, Form.MXFP4) else stored
    groups = 1
    if args.group_size:
        groups = -(-columns // args.group_size)
        if form is Form.PACKED:
            groups = _packed_groups(stored, values_per_word(args.num_bits), args.group_size, scale)
    grouped: Shapes = ((rows, groups),)
    by_strategy: dict[str, Shapes] = {
        "tensor": ((1,), (), (1, 1)),
        "channel": ((rows, 1),),  # a vector is refused: vLLM 0.32.0 parameter.py asserts the shape
        "group": grouped,
        "tensor_group": grouped,
    }
    if args.block_structure is not None:
        high, wide = args.block_structure
        by_strategy["block"] = ((-(-rows // high), -(-columns // wide)),)
    shapes = by_strategy.get(args.strategy)
    expected: dict[str, Shapes] = {}
    if shapes is not None:
        zero_point = ((words(rows, args.num_bits), groups),) if form is Form.PACKED else shapes
        expected = {"weight_scale": shapes, "weight_zero_point": zero_point}
    if form is not Form.PACKED:
        expected["weight_g_idx"] = ((columns,),)
    return expected | {"weight_shape": ((2,),)}


def _packed_groups(stored: int, per_word: int, group: int, scale: Part | None) -> int:
    """Return the number of groups; a last one that only padding could tell from none is taken as the scale has it."""
    most = -(-stored * per_word // group)
    least = -(-((stored - 1) * per_word + 1) // group)
    found = scale.shape[-1] if scale is not None and scale.shape else most
    return found if least <= found <= most else most


def strategy_words(args: QuantArgs) -> str:
    """Return the words for how weights share scales."""
    if args.strategy in ("group", "tensor_group"):
        return f"group {args.group_size}"
    return f"per-{args.strategy}"
