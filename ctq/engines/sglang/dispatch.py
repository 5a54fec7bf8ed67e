"""Which scheme SGLang gives a head under a quantization config: its own reading of targets, ignoring and arguments.

A head is quantized when a target names it, exactly, by a dotted ending or by a regular expression; the names of classes are not
asked for. Source: SGLang 0.5.23 srt/layers/quantization/compressed_tensors/compressed_tensors.py:345-411 (the groups), 672-850
(schemes), 1095-1150 (``get_lm_head_scheme``) and utils.py (``check_equal_or_regex_match``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import parse_args
from ctq.engines.raw_config import raw_format
from ctq.engines.versions import version_key
from ctq.engines.vllm import scheme_choice
from ctq.engines.vllm import scheme_predicates as asks
from ctq.engines.vllm.target_schemes import read_groups, read_ignore
from ctq.errors import UsageError
from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACTIVATION_FORMATS = scheme_choice.ACTIVATION_FORMATS | {asks.PACKED}
"""Formats under which SGLang reads the activations of a group."""

_WNA16_BITS = (4, 8)
_FOUR = 4
_TELLS_FLOATS = "0.5.22"
"""From here on weight-only floats are not taken for integers, and NVFP4 runs on cards before Blackwell too."""


def sglang_scheme(raw: Mapping[str, Any], name: str, version: str) -> tuple[str, asks.SchemeArgs] | None:
    """Return the scheme of a head called ``name``, named as vLLM's of the same tensors, with its arguments; None for a dense head.

    Raises:
        DispatchError: SGLang refuses the config, or the head's scheme.

    """
    schemes = target_args(raw)
    if not schemes or _names(name, _ignored(raw)):
        return None
    target = next((target for target in schemes if _names(name, (target,))), None)
    if target is None:
        return None
    args, blocked = schemes[target]
    if blocked:
        raise DispatchError("NotImplementedError", "scales by block are not supported for a head")
    return _choose(args, newer=version_key(version) >= version_key(_TELLS_FLOATS)), args


def target_args(raw: Mapping[str, Any]) -> dict[str, tuple[asks.SchemeArgs, bool]]:
    """Return the arguments of every target, and whether they have blocks; one that comes again keeps its place.

    Raises:
        DispatchError: SGLang refuses the config.

    """
    found: dict[str, tuple[asks.SchemeArgs, bool]] = {}
    for _, group, targets in read_groups(raw):
        for target in targets:
            weights = parse_args(group.get("weights"))
            in_force = raw_format(raw, group)
            inputs = group.get("input_activations") if in_force in ACTIVATION_FORMATS else None
            args = asks.SchemeArgs(weights=weights, inputs=parse_args(inputs) if inputs else None, format=in_force)
            found[target] = args, bool(group["weights"].get("block_structure"))
    return found


def _ignored(raw: Mapping[str, Any]) -> tuple[str, ...]:
    ignore = read_ignore(raw)
    if ignore is None:
        raise DispatchError("TypeError", "ignore is null")
    return ignore


def _names(name: str, patterns: Iterable[str]) -> bool:
    """``check_equal_or_regex_match``."""
    try:
        return any(
            matches_name(name, pattern) or (not pattern.startswith(REGEX_PREFIX) and name.endswith(f".{pattern}"))
            for pattern in patterns
        )
    except UsageError as error:
        raise DispatchError("re.error", error.message) from error


def _choose(args: asks.SchemeArgs, *, newer: bool) -> str:
    """``_get_scheme_from_parts``."""
    if asks.is_weight_only(args) and (args.weights.type == "int" or not newer):
        if args.format == asks.PACKED and args.weights.num_bits in _WNA16_BITS:
            return "WNA16"
        raise DispatchError("ImportError", f"no scheme for {scheme_choice.describe(args)}")
    if args.format in ACTIVATION_FORMATS:
        is_float4 = _is_float4(args) and (newer or asks.is_nvfp4(args.weights))
        name = _float4(args, newer=newer) if is_float4 else _eight_bits(args)
        if name is not None:
            return name
    raise DispatchError("NotImplementedError", f"no scheme for {scheme_choice.describe(args)}")


def _is_float4(args: asks.SchemeArgs) -> bool:
    is_nvfp4 = args.inputs is None and asks.is_nvfp4(args.weights)
    inputs = args.inputs
    both = inputs is not None and inputs.type == "float" and inputs.num_bits == _FOUR
    return is_nvfp4 or (both and args.weights.type == "float" and args.weights.num_bits == _FOUR)


def _float4(args: asks.SchemeArgs, *, newer: bool) -> str | None:
    if not newer or not asks.is_nvfp4(args.weights):
        return None
    return "W4A16Fp4" if args.inputs is None or asks.is_nvfp4(args.inputs) else None


def _eight_bits(args: asks.SchemeArgs) -> str | None:
    if asks.is_fp8_w8a8(args):
        return "W8A8Fp8"
    if asks.is_fp8_w8a16(args) and args.weights.strategy != "block":
        return "W8A16Fp8"
    return "W8A8Int8" if asks.is_static_tensor_w8a8(args) or asks.is_dynamic_token_w8a8(args) else None
