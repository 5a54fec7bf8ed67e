"""The first thing that is wrong with a set of modules: the files against the config, one diagnosis and no consequences of it.

The ladder goes from what is missing over what disagrees to what does not fit; a rule of ``ctq.inspect.rules`` reports each rung.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOATS
from ctq.inspect.facts.diagnosis import Defect, Diagnosis
from ctq.inspect.facts.expected import (
    FORMATS,
    SCALE_DTYPES,
    expected_shapes,
    strategy_words,
    weight_dtypes,
)
from ctq.inspect.modules.forms import COMPRESSED, FP8, Form
from ctq.recipe.kinds import Kind
from ctq.recipe.packing import values_per_word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.modules.grouping import Part
    from ctq.recipe.schemes import QuantArgs

BODY_LINEARS = frozenset(
    (
        *("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj", "query_key_value"),
        *("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "w1", "w2", "w3"),
        *("dense_h_to_4h", "dense_4h_to_h", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"),
    )
)
"""Last names that are linear layers in every model that has them."""
_INTEGERS = frozenset({"I32", "I64"})
_EXPERT = re.compile(r"\.experts\.#\.\w+$")
"""vLLM 0.32.0 fused_moe/routed_experts.py copies a scale without dimensions over all rows of an expert (``_load_w13``)."""
_INTEGER_PARTS = frozenset(
    (
        *("weight", "weight_packed", "weight_scale", "weight_zero_point", "bias", "input_scale"),
        *("k_scale", "v_scale", "q_scale"),
        "g_idx",  # dropped wherever there is a config: vLLM 0.32.0 base_config.py, get_checkpoint_weight_mapper
    )
)
"""Parts that every integer scheme may have."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a diagnosis needs to know of the other modules.

    ``quantized_leaves`` are last names that are stored quantized somewhere; ``blind_targets`` says that a class target could reach
    anything, so that an undeclared module may be declared after all.
    """

    quantized_leaves: frozenset[str]
    blind_targets: bool


_POSITIONS = re.compile(r"(\w+_)?pos(ition)?_embed(ding)?s?|embed_positions|class_embedding|token_type_embeddings")
"""What tables of positions and kinds are called, in towers too: no class of linear layers reaches them."""
_OF_LAYERS = (2, 3)
"""Dimensions of what engines may build quantized: a linear layer, or all experts of one; a vector and a convolution they do not."""


def diagnose(entry: Entry, around: Surroundings) -> Diagnosis | None:
    """Return the first defect of ``entry``, or None; only compressed-tensors' own config is judged."""
    ladder: tuple[Callable[[Entry], Diagnosis | None], ...] = (
        _incomplete,
        partial(_undeclared, around=around),
        partial(_stored_dense, around=around),
        _wrong_format,
        _wrong_dtype,
        _wrong_shape,
        _missing_part,
        _extra_part,
        _missing_shape,
    )
    return next((found for rung in ladder if (found := rung(entry)) is not None), None)


def _incomplete(entry: Entry) -> Diagnosis | None:
    parts, form = entry.modules.parts, entry.stored.form
    if form is Form.NO_WEIGHT:
        return Diagnosis(Defect.MISSING_WEIGHT, f"{', '.join(sorted(parts))} but no weight")
    if form in COMPRESSED and "weight_scale" not in parts:
        return Diagnosis(Defect.MISSING_SCALE, f"{_weight(parts).dtype} weight but no weight_scale")
    if form is Form.FROZEN:
        return Diagnosis(Defect.NOT_COMPRESSED, f"a {_weight(parts).dtype} weight beside its weight_scale")
    return None


def _undeclared(entry: Entry, around: Surroundings) -> Diagnosis | None:
    if entry.stored.form not in COMPRESSED or entry.match.declared or around.blind_targets:
        return None
    if entry.match.ignored_by is not None:
        return Diagnosis(Defect.IGNORED, f"in `ignore` (`{entry.match.ignored_by}`)")
    return Diagnosis(Defect.UNDECLARED, "no target matches")


def _stored_dense(entry: Entry, around: Surroundings) -> Diagnosis | None:
    if entry.stored.form is not Form.DENSE or not entry.match.declared or entry.weights is None:
        return None
    if len(_weight(entry.modules.parts).shape) not in _OF_LAYERS or _POSITIONS.fullmatch(entry.modules.leaf):
        return None
    detail = f"{_weight(entry.modules.parts).dtype} weight, but target `{entry.match.target}` declares it quantized"
    sure = entry.is_head or entry.match.target in entry.modules.names or _is_body_linear(entry, around)
    return Diagnosis(Defect.STORED_DENSE if sure else Defect.PERHAPS_DENSE, detail)


def _is_body_linear(entry: Entry, around: Surroundings) -> bool:
    """Tell whether engines surely build the module as a quantized linear layer: a class target alone does not show it.

    Nor does a pattern that reaches a router or a vision layer: many model classes build those without the config. The transposed
    layers of GPT-2 they build as linear ones, whatever transformers calls them (vLLM 0.32.0 ``model_executor/models/gpt2.py``).
    """
    known = entry.by_name or entry.modules.leaf in around.quantized_leaves or entry.modules.leaf in BODY_LINEARS
    return entry.kind is Kind.TRANSPOSED or (entry.kind is Kind.LINEAR and known)


def _wrong_format(entry: Entry) -> Diagnosis | None:
    form, declared = entry.stored.form, entry.format
    if form not in COMPRESSED or declared in FORMATS[form] or declared == "mixed-precision":
        return None
    return Diagnosis(Defect.WRONG_FORMAT, f"stored as {form}, but the config says format {declared or 'nothing'}")


def _wrong_dtype(entry: Entry) -> Diagnosis | None:
    args, parts, form = entry.weights, entry.modules.parts, entry.stored.form
    if args is None or form not in COMPRESSED:
        return None
    expected = {
        "weight_packed" if "weight_packed" in parts else "weight": weight_dtypes(form, args),
        "weight_scale": SCALE_DTYPES[form],
        "input_scale": FLOATS,
        "weight_g_idx": _INTEGERS,
        "weight_zero_point": frozenset({"I32"} if form is Form.PACKED else {"I8", "U8"} | FP8),
    }
    for name, dtypes in expected.items():
        if name in parts and parts[name].dtype not in dtypes:
            detail = f"{name} is {parts[name].dtype}, expected {' or '.join(sorted(dtypes))}"
            return Diagnosis(Defect.WRONG_DTYPE, detail)
    return None


def _wrong_shape(entry: Entry) -> Diagnosis | None:
    args, parts = entry.weights, entry.modules.parts
    weight = _weight(parts) if entry.stored.form in COMPRESSED else None
    if args is None or weight is None or len(weight.shape) != 2:  # a matrix
        return None
    expected = expected_shapes(entry.stored.form, args, weight.shape, parts.get("weight_scale"))
    for name, shapes in expected.items():
        if name in parts and parts[name].shape not in shapes:
            found, wanted = list(parts[name].shape), " or ".join(str(list(shape)) for shape in shapes)
            of = f"a weight stored as {list(weight.shape)}"
            return Diagnosis(
                Defect.WRONG_SHAPE,
                f"{name} is {found}, expected {wanted} for {of}, {strategy_words(args)}",
                tolerated=name == "weight_scale" and found == [] and _EXPERT.search(entry.modules.template) is not None,
            )
    return _half_words(entry, args, weight.shape[0]) or _wrong_input_scale(entry)


def _half_words(entry: Entry, args: QuantArgs, rows: int) -> Diagnosis | None:
    """Name packed zero points whose last word is half empty: the parameter has only whole ones.

    vLLM 0.32.0 ``compressed_tensors_wNa16.py`` gives it rows // pack factor rows. Of a head `HED010` says so.
    """
    per_word = values_per_word(args.num_bits)
    is_packed = entry.stored.form is Form.PACKED and "weight_zero_point" in entry.modules.parts
    if entry.is_head or not is_packed or rows % per_word == 0:
        return None
    detail = f"weight_zero_point holds {rows} rows, which do not fill whole words of {per_word}, all that engines have room for"
    return Diagnosis(Defect.WRONG_SHAPE, detail)


def _wrong_input_scale(entry: Entry) -> Diagnosis | None:
    """Name a scale of static activations that is no single value; of an expert, any shape of one value is copied.

    Source: vLLM 0.32.0 ``model_executor/parameter.py`` (``PerTensorScaleParameter``).
    """
    activations = entry.activations
    scale = entry.modules.parts.get("input_scale")
    if activations is None or activations.dynamic or scale is None or scale.shape in ((), (1,)):
        return None
    if prod(scale.shape) == 1 and _EXPERT.search(entry.modules.template) is not None:
        return None
    return Diagnosis(
        Defect.WRONG_SHAPE, f"input_scale is {list(scale.shape)}, expected one value for static activations"
    )


def _missing_part(entry: Entry) -> Diagnosis | None:
    args, parts, form = entry.weights, entry.modules.parts, entry.stored.form
    if args is None or form not in COMPRESSED:
        return None
    if not args.symmetric and "weight_zero_point" not in parts:
        return Diagnosis(Defect.MISSING_ZERO_POINT, "declared asymmetric, but no weight_zero_point")
    activations = entry.activations
    if form in (Form.INT, Form.FLOAT) and activations is not None and not activations.dynamic:
        if "input_scale" not in parts:
            return Diagnosis(Defect.MISSING_INPUT_SCALE, "declared with static activations, but no input_scale")
        if form is Form.INT and not activations.symmetric and "input_zero_point" not in parts:
            detail = "declared with static, asymmetric activations, but no input_zero_point"
            return Diagnosis(Defect.MISSING_INPUT_SCALE, detail)
    lacking = _missing_scale_of_outputs(entry)
    return Diagnosis(Defect.MISSING_INPUT_SCALE, lacking) if lacking else None


def _missing_scale_of_outputs(entry: Entry) -> str:
    """Say what lacks where inputs and outputs are static INT8 (vLLM 0.32.0 compressed_tensors.py, ``_is_wNa8o8_int``)."""
    group = entry.group
    if group is None or entry.stored.form not in (Form.INT, Form.PACKED):
        return ""
    if not (_is_static_int8(group.activations) and _is_static_int8(group.outputs)):
        return ""
    missing = [name for name in ("input_scale", "output_scale") if name not in entry.modules.parts]
    return f"declared with static inputs and outputs, but no {' and no '.join(missing)}" if missing else ""


def _is_static_int8(args: QuantArgs | None) -> bool:
    return args is not None and (args.num_bits, args.type, args.strategy, args.dynamic) == (8, "int", "tensor", False)


def _extra_part(entry: Entry) -> Diagnosis | None:
    args, parts = entry.weights, entry.modules.parts
    if args is None or entry.stored.form not in COMPRESSED:
        return None
    if "weight" in parts and "weight_packed" in parts:
        return Diagnosis(Defect.EXTRA_PART, "both weight and weight_packed")
    if "weight_g_idx" in parts:  # vLLM 0.32.0 compressed_tensors_wNa16.py makes no such parameter
        return Diagnosis(Defect.EXTRA_PART, "weight_g_idx, an order of columns that engines no longer read")
    if args.symmetric and "weight_zero_point" in parts:
        return Diagnosis(Defect.EXTRA_PART, "weight_zero_point, but declared symmetric")
    activations = entry.activations
    judged = entry.stored.form in (Form.INT, Form.PACKED, Form.FLOAT)
    if judged and "input_scale" in parts and (activations is None or activations.dynamic):
        return Diagnosis(
            Defect.EXTRA_PART,
            "input_scale, but activations are declared " + ("dynamic" if activations else "unquantized"),
        )
    strangers = sorted(parts.keys() - _known_parts(entry)) if judged else []
    if strangers:
        return Diagnosis(Defect.EXTRA_PART, f"{' and '.join(strangers)}, which the scheme does not have")
    return None


def _missing_shape(entry: Entry) -> Diagnosis | None:
    parts = entry.modules.parts
    if entry.weights is None or entry.stored.form is not Form.PACKED:
        return None
    if "weight_shape" not in parts:
        return Diagnosis(Defect.MISSING_WEIGHT_SHAPE, "packed weight without weight_shape")
    dtype = parts["weight_shape"].dtype
    if dtype not in _INTEGERS:  # engines convert it, and do not read it
        return Diagnosis(Defect.MISSING_WEIGHT_SHAPE, f"weight_shape is {dtype}, no integers")
    return None


def _known_parts(entry: Entry) -> frozenset[str]:
    """Return the parts that an integer scheme may have, as its group declares it."""
    group = entry.group
    known = set(_INTEGER_PARTS)
    if entry.stored.form is Form.PACKED:
        known.add("weight_shape")
    if group is not None and group.activations is not None and not group.activations.symmetric:
        known.add("input_zero_point")
    if group is not None and group.quantizes_outputs:
        known |= {"output_scale", "output_zero_point"}
    return frozenset(known)


def _weight(parts: Mapping[str, Part]) -> Part:
    return parts["weight_packed"] if "weight_packed" in parts else parts["weight"]
