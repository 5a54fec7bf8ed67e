"""Arguments of GPTQ and AWQ with which vLLM takes no checkpoint, whatever its tensors are.

Source: vLLM 0.32.0 ``layers/quantization/auto_gptq.py:99``, ``utils/gptq_utils.py:23``, ``auto_awq.py:182``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.refused import Refused

_GPTQ = frozenset({"gptq", "auto_gptq", "gptq_marlin"})
_AWQ = frozenset({"awq", "auto_awq", "awq_marlin"})
_GPTQ_BITS = frozenset({4, 8})
_AWQ_BITS = 4
_CHANNEL = -1
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


def _of_gptq(config: Mapping[str, Any]) -> Iterator[Refused]:
    bits = config.get("bits")
    if type(bits) is int and bits not in _GPTQ_BITS:
        yield "bits", f"is {bits}, where it takes {' or '.join(map(str, sorted(_GPTQ_BITS)))}"
    if config.get("sym") is False:
        yield "sym", "is false: it takes no zero points"
    dynamic = config.get("dynamic")
    rules = dynamic if isinstance(dynamic, dict) else {}
    wholes = [config, *({**config, **rule} for key, rule in rules.items() if _applies(key, rule))]
    if any(whole.get("desc_act") is True and whole.get("group_size") != _CHANNEL for whole in wholes):
        yield "desc_act", "is true: it takes no order of activations over groups any more"


def _applies(key: str, rule: object) -> bool:
    return isinstance(rule, dict) and not key.startswith(_SKIPPED)
