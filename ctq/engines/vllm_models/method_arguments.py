"""Arguments of GPTQ, AWQ, FP8 and Quark with which vLLM takes no checkpoint, whatever its tensors are.

Source: vLLM 0.32.0 ``layers/quantization/auto_gptq.py:99``, ``utils/gptq_utils.py:23``, ``utils/marlin_utils.py:47``,
``auto_awq.py:182``, ``fp8.py:99``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.hardware import CHANNEL, KERNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.refused import Refused

_GPTQ = frozenset({"gptq", "auto_gptq", "gptq_marlin"})
_AWQ = frozenset({"awq", "auto_awq", "awq_marlin"})
_FP8 = "fp8"
_QUARK = "quark"
_GPTQ_BITS = frozenset({4, 8})
_AWQ_BITS = 4
_MARLIN = next(kernel for kernel in KERNELS if (kernel.name, kernel.platform) == ("Marlin", "cuda"))
"""The one kernel that GPTQ's layers have."""
_GPTQ_GROUPS = tuple(sorted(_MARLIN.group_sizes or ()))
_FP8_SCHEMES = ("static", "dynamic")
_SIDES = 2
_SKIPPED = "-:"
"""How a rule of ``dynamic`` begins that leaves layers out."""


def refused_arguments(method: str, config: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield keys of a method's config with what vLLM has against their values; ``method`` is in lower case."""
    if method in _GPTQ:
        yield from _of_gptq(config)
    elif method in _AWQ:
        bits = config.get("w_bit", config.get("bits"))
        if type(bits) is int and bits != _AWQ_BITS:
            yield "bits", f"is {bits}, where it takes {_AWQ_BITS}"
    elif method == _FP8:
        yield from _of_fp8(config)
    elif method == _QUARK and "exclude" in config and config["exclude"] is None:
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
    if type(bits) is int and bits not in _GPTQ_BITS:
        yield "bits", f"is {bits}, where it takes {' or '.join(map(str, sorted(_GPTQ_BITS)))}"
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
