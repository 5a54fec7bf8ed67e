"""Arguments of methods that vLLM needs, and those with which it takes no checkpoint, whatever its tensors are.

Source: ``from_config`` of each method in vLLM 0.32.0, ``layers/quantization/auto_gptq.py:99``, ``utils/gptq_utils.py:23``,
``utils/marlin_utils.py:47``, ``auto_awq.py:182``, ``fp8.py:99``.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ctq.engines.hardware import CHANNEL, KERNELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ctq.engines.refused import Refused

_NEEDED: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType({
    "gptq": (("bits",), ("group_size",), ("desc_act",), ("sym",)),
    "awq": (("w_bit", "bits"), ("q_group_size", "group_size"), ("zero_point",)),
    "auto-round": (("bits",), ("group_size",)),
    "fp8": (("activation_scheme",),),
    "modelopt": (("quantization", "quant_algo"),),
    "quark": (("export",), ("global_quant_config",), ("layer_type_quant_config",), ("exclude",)),
    "modelopt_mixed": (("quantized_layers", "quantization"),),
})  # fmt: skip
"""Keys that vLLM 0.32.0 reads of each method's config and has no default for, one of each set."""
_GPTQ_BITS = frozenset({4, 8})
_AWQ_BITS = 4
_MARLIN = next(kernel for kernel in KERNELS if (kernel.name, kernel.platform) == ("Marlin", "cuda"))
"""The one kernel that GPTQ's layers have."""
_GPTQ_GROUPS = tuple(sorted(_MARLIN.group_sizes or ()))
_FP8_SCHEMES = ("static", "dynamic")
_SIDES = 2
_SKIPPED = "-:"
"""How a rule of ``dynamic`` begins that leaves layers out."""


def missing_arguments(method: str, config: Mapping[str, Any]) -> list[str]:
    """Return the keys that a method's config lacks and needs, under their first names; ``method`` as ``method_called`` says it."""
    return [keys[0] for keys in _NEEDED.get(method, ()) if not any(key in config for key in keys)]


def refused_arguments(method: str, config: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield keys of a method's config with what vLLM has against their values; ``method`` as ``method_called`` says it."""
    reader = _REFUSED.get(method)
    if reader is not None:
        yield from reader(config)


def _of_awq(config: Mapping[str, Any]) -> Iterator[Refused]:
    bits = config.get("w_bit", config.get("bits"))
    if type(bits) is int and bits != _AWQ_BITS:
        yield "bits", f"is {bits}, where it takes {_AWQ_BITS}"


def _of_quark(config: Mapping[str, Any]) -> Iterator[Refused]:
    if "exclude" in config and config["exclude"] is None:
        yield "exclude", "is null, where it takes a list"


def _of_fp8(config: Mapping[str, Any]) -> Iterator[Refused]:
    scheme, block = config.get("activation_scheme"), config.get("weight_block_size")
    if isinstance(scheme, str) and scheme not in _FP8_SCHEMES:
        yield "activation_scheme", f"is {scheme!r}, where it takes {' or '.join(_FP8_SCHEMES)}"
    elif isinstance(block, list) and len(block) != _SIDES:
        yield "weight_block_size", f"has {len(block)} numbers, where it takes two"
    elif block is not None and scheme == "static":
        yield "activation_scheme", "is static, where weights in blocks take dynamic alone"


def _of_gptq(config: Mapping[str, Any]) -> Iterator[Refused]:
    bits = config.get("bits")
    if "bits" in config and (type(bits) is not int or bits not in _GPTQ_BITS):
        yield "bits", f"is {json.dumps(bits)}, where it takes {' or '.join(map(str, sorted(_GPTQ_BITS)))}"
    if config.get("sym") is False:
        yield "sym", "is false: it takes no zero points"
    group_size = config.get("group_size")
    if type(group_size) is int and group_size not in _GPTQ_GROUPS:
        yield "group_size", f"is {group_size}, where it takes {', '.join(map(str, _GPTQ_GROUPS))}"
    dynamic = config.get("dynamic")
    rules = dynamic if isinstance(dynamic, dict) else {}
    wholes = [config, *({**config, **rule} for key, rule in rules.items() if _applies(key, rule))]
    if any(whole.get("desc_act") is True and whole.get("group_size") != CHANNEL for whole in wholes):
        yield "desc_act", "is true: it takes no order of activations over groups any more"


def _applies(key: str, rule: object) -> bool:
    return isinstance(rule, dict) and not key.startswith(_SKIPPED)


_REFUSED: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Refused]]]] = MappingProxyType({
    "gptq": _of_gptq,
    "awq": _of_awq,
    "fp8": _of_fp8,
    "quark": _of_quark,
})  # fmt: skip
