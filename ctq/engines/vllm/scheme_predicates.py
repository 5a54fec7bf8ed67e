"""The questions that vLLM asks about a group's arguments, one function each, named as there.

Source: vLLM 0.32.0 model_executor/layers/quantization/compressed_tensors/compressed_tensors.py:418-772.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctq.engines.engine_args import EngineArgs
    from ctq.engines.vllm.rules import EngineRules

PACKED, INT_QUANTIZED = "pack-quantized", "int-quantized"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeArgs:
    """What a group says about a layer; ``format`` is the one that holds for it, the config's where the group has none."""

    weights: EngineArgs
    inputs: EngineArgs | None = None
    outputs: EngineArgs | None = None
    format: str | None = None


def is_nvfp4(args: EngineArgs | None) -> bool:
    """``_is_nvfp4_format``."""
    return args is not None and _is_float4(args) and (args.strategy, args.group_size) == ("tensor_group", 16)


def is_mxfp4(args: EngineArgs) -> bool:
    """``_is_mxfp4``."""
    return _is_float4(args) and (args.strategy, args.group_size) == ("group", 32)


def is_mxfp8(args: EngineArgs) -> bool:
    """``_is_mxfp8``."""
    is_float8 = (args.type, args.num_bits, args.scale_dtype) == ("float", 8, "uint8")
    return is_float8 and args.symmetric and (args.strategy, args.group_size) == ("group", 32)


def is_mxfp4_w4a8_fp8(args: SchemeArgs) -> bool:
    """``_is_mxfp4_w4a8_fp8``."""
    inputs = args.inputs
    if inputs is None or not is_mxfp4(args.weights) or (inputs.type, inputs.num_bits) != ("float", 8):
        return False
    return inputs.strategy in ("token", "group") and inputs.symmetric and _is_dynamic_over_static(args)


def is_fp8_w8a8(args: SchemeArgs) -> bool:
    """``_is_fp8_w8a8``."""
    inputs = args.inputs
    if inputs is None or inputs.type != "float" or not is_fp8_w8a16(args):
        return False
    return bool(inputs.dynamic) or (inputs.symmetric and inputs.strategy == "tensor")


def is_fp8_w8a16(args: SchemeArgs) -> bool:
    """``_is_fp8_w8a16``; any width of float counts, there as here."""
    weights = args.weights
    is_static = weights.symmetric and not weights.dynamic
    return weights.type == "float" and is_static and weights.strategy in ("tensor", "channel", "block")


def is_fp8_w4a8(args: SchemeArgs, rules: EngineRules) -> bool:
    """``_is_fp8_w4a8``."""
    weights, inputs = args.weights, args.inputs
    if inputs is None or (rules.w4a8_checks_types and (weights.type, inputs.type) != ("int", "float")):
        return False
    is_w4a8 = (weights.num_bits, weights.strategy, inputs.num_bits, inputs.strategy) == (4, "group", 8, "token")
    return is_w4a8 and weights.symmetric and inputs.symmetric and _is_dynamic_over_static(args)


def is_dynamic_token_w4a8_int(args: SchemeArgs, rules: EngineRules) -> bool:
    """``_is_dynamic_token_w4a8_int``."""
    weights, inputs = args.weights, args.inputs
    if inputs is None or (rules.w4a8_checks_types and (weights.type, inputs.type) != ("int", "int")):
        return False
    is_w4a8 = (weights.num_bits, inputs.num_bits, inputs.strategy) == (4, 8, "token")
    return is_w4a8 and is_group_or_channel(weights) and weights.symmetric and _is_dynamic_over_static(args)


def is_static_tensor_w8a8(args: SchemeArgs) -> bool:
    """``_is_static_tensor_w8a8``."""
    is_static = args.inputs is not None and not args.weights.dynamic and not args.inputs.dynamic
    return is_static and _is_w8a8(args, "tensor")


def is_dynamic_token_w8a8(args: SchemeArgs) -> bool:
    """``_is_dynamic_token_w8a8``."""
    return _is_w8a8(args, "token") and _is_dynamic_over_static(args)


def is_weight_only(args: SchemeArgs) -> bool:
    """``_is_wNa16_group_channel``."""
    return args.inputs is None and is_group_or_channel(args.weights) and not args.weights.dynamic


def is_wna8o8_int(args: SchemeArgs, rules: EngineRules) -> bool:
    """``_is_wNa8o8_int``, which from 0.23.0 to 0.24.0 also took weight-only widths other than 4 and 8 bits."""
    if rules.wna8o8 == "no" or args.format not in (PACKED, INT_QUANTIZED) or not _is_static_int(args.weights):
        return False
    is_odd_width = rules.wna8o8 == "static-or-subbyte" and args.weights.num_bits not in rules.wna16_bits
    return is_odd_width or (_is_static_int8(args.inputs) and _is_static_int8(args.outputs))


def is_wnam_int(args: SchemeArgs, activation_bits: int) -> bool:
    """``_is_wNaM_int`` for activations of that width."""
    inputs = args.inputs
    if inputs is None or args.format != PACKED or not _is_static_int(args.weights):
        return False
    is_int = inputs.type == "int" and inputs.num_bits == activation_bits
    return is_int and inputs.symmetric and bool(inputs.dynamic) and inputs.strategy in ("token", "group")


def is_group_or_channel(args: EngineArgs) -> bool:
    """Whether the scales are by group or by channel."""
    return args.strategy in ("group", "channel")


def _is_float4(args: EngineArgs) -> bool:
    return args.type == "float" and args.num_bits == 4 and args.symmetric


def _is_w8a8(args: SchemeArgs, activation_strategy: str) -> bool:
    weights, inputs = args.weights, args.inputs
    if inputs is None or inputs.strategy != activation_strategy or not weights.symmetric:
        return False
    return (weights.num_bits, inputs.num_bits) == (8, 8) and weights.strategy in ("tensor", "channel")


def _is_dynamic_over_static(args: SchemeArgs) -> bool:
    return args.inputs is not None and bool(args.inputs.dynamic) and not args.weights.dynamic


def _is_static_int(weights: EngineArgs) -> bool:
    return weights.type == "int" and not weights.dynamic and is_group_or_channel(weights)


def _is_static_int8(args: EngineArgs | None) -> bool:
    return args is not None and (args.type, args.strategy, args.num_bits) == ("int", "tensor", 8) and not args.dynamic
