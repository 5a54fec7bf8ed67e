"""Which method vLLM runs a fused MoE layer with, from the arguments of its group.

Source: vLLM 0.32.0 model_executor/layers/quantization/compressed_tensors/compressed_tensors_moe/compressed_tensors_moe.py:28-177.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm import scheme_predicates as asks
from ctq.engines.vllm.scheme_choice import HOPPER, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctq.engines.vllm.scheme_choice import Question


def choose_moe_scheme(question: Question) -> str:
    """Return the name of the scheme, as `choose_scheme` names them.

    Raises:
        DispatchError: vLLM has no method for this, or refuses its arguments.

    """
    name = next((name for choose in _TABLE if (name := choose(question))), None)
    if name is None:
        raise DispatchError("RuntimeError", f"no MoE method for {describe(question.args)}")
    return name


def _mxfp(question: Question) -> str | None:
    args, rules = question.args, question.rules
    if rules.w4a8_mxfp4 and asks.is_mxfp4_w4a8_fp8(args):
        return "W4A8Mxfp4"
    if rules.mxfp4_scheme and asks.is_mxfp4(args.weights):
        return "W4A4Mxfp4"
    return "W8A8Mxfp8" if rules.mxfp8 and asks.is_mxfp8(args.weights) else None


def _wna16(question: Question) -> str | None:
    args = question.args
    if not asks.is_weight_only(args):
        return None
    if args.format != asks.PACKED or args.weights.num_bits not in question.rules.wna16_bits:
        raise DispatchError("ValueError", f"experts take weight-only INT in {asks.PACKED} alone, not {describe(args)}")
    return "WNA16"


def _nvfp4(question: Question) -> str | None:
    if not asks.is_nvfp4(question.args.weights):
        return None
    if question.args.inputs is not None and not asks.is_nvfp4(question.args.inputs):
        raise DispatchError("ValueError", "NVFP4 weights need NVFP4 activations, or none")
    return "W4A4Nvfp4"


def _w8a8(question: Question) -> str | None:
    if asks.is_fp8_w8a8(question.args):
        return "W8A8Fp8"
    if question.args.inputs is None:  # vLLM reads its fields without looking
        raise DispatchError("AttributeError", f"no MoE method for {describe(question.args)}")
    return "W8A8Int8" if asks.is_dynamic_token_w8a8(question.args) else None


def _w4a8(question: Question) -> str | None:
    runs = question.rules.w4a8_checks_types or question.capability == HOPPER
    if runs and asks.is_fp8_w4a8(question.args, question.rules):
        return "W4A8Fp8"
    return "W4A8Int8" if asks.is_dynamic_token_w4a8_int(question.args, question.rules) else None


_TABLE: tuple[Callable[[Question], str | None], ...] = (_mxfp, _wna16, _nvfp4, _w8a8, _w4a8)
