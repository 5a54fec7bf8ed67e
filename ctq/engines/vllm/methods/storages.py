"""What vLLM takes of quantization methods other than compressed-tensors.

The data is made by ``benchmarks/learn/other_methods.py``, from loads by the release in ``ctq.engines.vllm.learnt_with``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

_NESTED = "quantization"
"""Where ModelOpt's own file has what `config.json` has at the top (vLLM 0.32.0 ``modelopt.py``, ``from_config``)."""


def refusal(method: str) -> str:
    """Say why vLLM takes no config of a method, whatever stands in it; "" where it takes some. ``method`` is in lower case."""
    why: str = read_data("other_methods")["refused"].get(method, "")
    return why


def taken(method: str, config: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the storages (`ctq.inspect.modules.storage`) that vLLM loads by a method's config; None where it was not seen."""
    rows = read_data("other_methods")["takes"].get(method, ())
    return next((frozenset(row["storages"]) for row in rows if _holds(row["when"], config)), None)


def takes_dense(method: str, *, experts: bool) -> bool | None:
    """Say whether vLLM loads dense layers, or dense experts, that the method's config would have quantized; None if unseen."""
    seen: bool | None = read_data("other_methods")["dense"].get(method, {}).get("experts" if experts else "layers")
    return seen


def _holds(when: Mapping[str, bool | str], config: Mapping[str, Any]) -> bool:
    inside = config.get(_NESTED)
    values = {**(inside if isinstance(inside, dict) else {}), **config}
    return all(
        bool(values.get(key)) is value if isinstance(value, bool) else values.get(key) == value
        for key, value in when.items()
    )
