"""Which scheme vLLM runs a linear layer with: an ordered table, asked from the top as the engine does.

INT8 schemes are judged; float ones are only recognised by name. Source: vLLM 0.32.0
model_executor/layers/quantization/compressed_tensors/compressed_tensors.py:774-948, its predecessors, and the constructors in
the ``schemes`` folder beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm import scheme_predicates as asks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctq.engines.engine_args import EngineArgs
    from ctq.engines.vllm.rules import EngineRules
    from ctq.engines.vllm.scheme_predicates import SchemeArgs

ACTIVATION_FORMATS = frozenset({"naive-quantized", "int-quantized", "float-quantized", "nvfp4-pack-quantized"})
"""Formats under which activations may be quantized (`is_activation_quantization_format`)."""

_MIN_CAPABILITY = {
    "W4A4Fp4": 75,
    "W4A16Mxfp4": 80,
    "W4A4Mxfp4": 80,
    "W4A8Mxfp4": 80,
    "W4A8Fp8": 90,
    "W8A8Fp8": 89,
    "W8A8Int8": 75,
    "W8A8Mxfp8": 75,
    "WNA4Int": 75,
    "WNA8Int": 75,
    "WNA8O8Int": 70,
}

HOPPER, _ADA = 90, 89
_WNA8O8_BITS = frozenset({2, 4, 8})
_W4A8_GROUP = 128


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the table: the group's arguments under one release, on a GPU of ``capability`` (75, 90, ...; None: none)."""

    args: SchemeArgs
    rules: EngineRules
    capability: int | None = None


def choose_scheme(question: Question) -> str:
    """Return the name of the scheme, without vLLM's prefix ``CompressedTensors`` (``W8A8Int8``, ``WNA16``, ...).

    Raises:
        DispatchError: vLLM has no scheme for this, refuses its arguments, or needs a newer GPU.

    """
    table = _TABLE if question.args.format in ACTIVATION_FORMATS else _TABLE_OF_ANY_FORMAT
    name = next((name for choose in table if (name := choose(question))), None)
    if name is None:
        raise DispatchError("NotImplementedError", f"no scheme for {describe(question.args)}")
    _check_arguments(name, question)
    least, capability = min_capability(name, question.rules), question.capability
    if capability is not None and capability < least:
        raise DispatchError(
            "RuntimeError", f"{name} needs compute capability {least / 10}, this GPU has {capability / 10}"
        )
    return name


def min_capability(scheme: str, rules: EngineRules) -> int:
    """Return the least CUDA compute capability that a scheme asks for, 0 for any (`get_min_capability`)."""
    changed = {"WNA16": rules.wna16_capability, "W8A16Fp8": rules.w8a16_fp8_capability}
    return changed.get(scheme) or _MIN_CAPABILITY.get(scheme, 0)


def describe(args: SchemeArgs) -> str:
    """Return a group's arguments in a few words."""
    activations = f"{_words(args.inputs)} activations" if args.inputs else "no quantized activations"
    return f"{_words(args.weights)} weights and {activations} in format {args.format or 'none'}"


def _words(args: EngineArgs) -> str:
    grouped = f" {args.group_size}" if args.group_size and args.group_size > 0 else ""
    moment = "dynamic " if args.dynamic else ""
    return (
        f"{'symmetric' if args.symmetric else 'asymmetric'} {moment}{args.type}{args.num_bits} {args.strategy}{grouped}"
    )


def _nvfp4(question: Question) -> str | None:
    args, rules = question.args, question.rules
    if not asks.is_nvfp4(args.weights):
        return None
    if args.inputs is None:
        return rules.nvfp4_a16_scheme
    if not rules.nvfp4_before_format:
        return "W4A4Fp4" if asks.is_nvfp4(args.inputs) and args.format in ACTIVATION_FORMATS else None
    if not asks.is_nvfp4(args.inputs):
        raise DispatchError("ValueError", "NVFP4 weights need NVFP4 activations, or none")
    return "W4A4Fp4"


def _mxfp4(question: Question) -> str | None:
    if question.rules.w4a8_mxfp4 and asks.is_mxfp4_w4a8_fp8(question.args):
        return "W4A8Mxfp4"
    return question.rules.mxfp4_scheme if asks.is_mxfp4(question.args.weights) else None


def _mxfp8(question: Question) -> str | None:
    return "W8A8Mxfp8" if question.rules.mxfp8 and asks.is_mxfp8(question.args.weights) else None


def _w4a8_fp8(question: Question) -> str | None:
    return "W4A8Fp8" if question.capability == HOPPER and asks.is_fp8_w4a8(question.args, question.rules) else None


def _wna8o8(question: Question) -> str | None:
    return "WNA8O8Int" if asks.is_wna8o8_int(question.args, question.rules) else None


def _wnam(question: Question) -> str | None:
    if not question.rules.wnam_int:
        return None
    return next((f"WNA{bits}Int" for bits in (8, 4) if asks.is_wnam_int(question.args, bits)), None)


def _wna16(question: Question) -> str | None:
    args, rules = question.args, question.rules
    fits = args.weights.num_bits in rules.wna16_bits or rules.wna16_refuses_other_bits
    return "WNA16" if fits and args.format == asks.PACKED and asks.is_weight_only(args) else None


def _fp8(question: Question) -> str | None:
    if not asks.is_fp8_w8a16(question.args):
        return None
    runs = question.rules.passes_unknown_capability if question.capability is None else question.capability >= _ADA
    return "W8A8Fp8" if runs and asks.is_fp8_w8a8(question.args) else "W8A16Fp8"


def _w8a8_int8(question: Question) -> str | None:
    if question.args.inputs is None:  # vLLM reads its fields without looking
        raise DispatchError("AttributeError", f"no scheme for {describe(question.args)}")
    fits = asks.is_static_tensor_w8a8(question.args) or asks.is_dynamic_token_w8a8(question.args)
    return "W8A8Int8" if fits else None


def _w4a8_int(question: Question) -> str | None:
    return "W4A8Int" if asks.is_dynamic_token_w4a8_int(question.args, question.rules) else None


_TABLE_OF_ANY_FORMAT: tuple[Callable[[Question], str | None], ...] = (
    _nvfp4,
    _mxfp4,
    _mxfp8,
    _w4a8_fp8,
    _wna8o8,
    _wnam,
    _wna16,
)
_TABLE = (*_TABLE_OF_ANY_FORMAT, _fp8, _w8a8_int8, _w4a8_int)


def _check_arguments(name: str, question: Question) -> None:
    """Refuse what the constructor of the scheme refuses."""
    weights, rules = question.args.weights, question.rules
    bits = f"{weights.num_bits}-bit weights in {name}"
    faults = {
        "WNA16": (
            (weights.num_bits not in rules.wna16_bits, bits),
            (not weights.symmetric and weights.num_bits not in rules.wna16_zero_point_bits, f"asymmetric {bits}"),
        ),
        "WNA8Int": ((weights.num_bits not in rules.wna16_bits, bits),),
        "WNA4Int": ((weights.num_bits not in rules.wna16_bits, bits),),
        "WNA8O8Int": ((weights.num_bits not in _WNA8O8_BITS, bits),),
        "W4A8Fp8": ((weights.group_size != _W4A8_GROUP, f"group size {weights.group_size} in {name}"),),
    }
    for is_wrong, what in faults.get(name, ()):
        if is_wrong:
            raise DispatchError("ValueError", f"vLLM refuses {what}")
