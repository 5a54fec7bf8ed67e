"""Schemes in words: ``int8 per-channel``, ``int8 group 128 asymmetric``, ``gptq int4 group 128``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.modules.forms import Form

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ctq.inspect.modules.forms import Stored
    from ctq.recipe.schemes import QuantArgs

_TYPE_WORDS: Mapping[Form, str] = {
    Form.FLOAT: "fp8",
    Form.NVFP4: "nvfp4",
    Form.MXFP4: "mxfp4",
    Form.MXFP8: "mxfp8",
    Form.FP8: "fp8",
    Form.MODELOPT_FP4: "nvfp4",
    Form.MXFP4_BLOCKS: "mxfp4",
    Form.BNB_INT8: "bitsandbytes int8",
    Form.BNB_4BIT: "bitsandbytes 4-bit",
}
_BITS_KEYS = ("bits", "w_bit", "num_bits")
_GROUP_KEYS = ("group_size", "q_group_size")


def scheme_words(stored: Stored, raw: Mapping[str, Any]) -> str | None:
    """Return the words for how a module is stored, None where it is not quantized; ``raw`` is the quantization config."""
    if not stored.is_quantized:
        return None
    if stored.form in (Form.GPTQ, Form.AWQ, Form.MLX):
        return _foreign(stored.form, raw)
    words = _TYPE_WORDS.get(stored.form) or (f"int{stored.bits}" if stored.bits else "packed int")
    words += f" {_strategy(stored)}" if stored.strategy else ""
    return words if stored.symmetric else f"{words} asymmetric"


def activation_words(args: QuantArgs | None) -> str | None:
    """Return the words for how activations are quantized at run time, None where they are not."""
    if args is None:
        return None
    kind = "fp" if args.type == "float" else "int"
    how = f"group {args.group_size}" if args.group_size else f"per-{args.strategy}"
    return f"{kind}{args.num_bits} {how} {'dynamic' if args.dynamic else 'static'}"


def _strategy(stored: Stored) -> str:
    if stored.strategy == "group":
        return f"group {stored.group_size}"
    return "block" if stored.strategy == "block" else f"per-{stored.strategy}"


def _foreign(form: Form, raw: Mapping[str, Any]) -> str:
    bits = next((raw[key] for key in _BITS_KEYS if type(raw.get(key)) is int), None)
    group = next((raw[key] for key in _GROUP_KEYS if type(raw.get(key)) is int), None)
    words = f"{form} int{bits}" if bits else str(form)
    if group is None:
        return words
    return f"{words} group {group}" if group > 0 else f"{words} per-channel"
