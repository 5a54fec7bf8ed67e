"""Which layers a list of names leaves dense, in the three ways in which vLLM's methods read one.

Source: vLLM 0.32.0 ``layers/quantization/utils/quant_utils.py:617`` (``is_layer_skipped``), ``utils/gptq_utils.py:120``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from ctq.engines.dispatch_error import DispatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Mode: TypeAlias = Literal["exact", "substring", "suffix"]
_EXPERTS = "experts"


def is_named(prefix: str, names: Collection[str], mode: Mode) -> bool:
    """Say whether a list names a layer by itself."""
    if prefix in names:  # nearly always where it does, and the list may be long
        return True
    if mode == "substring":
        return any(name in prefix for name in names)
    return mode == "suffix" and any(prefix.endswith(f".{name}") for name in names)


def is_skipped(prefix: str, names: Collection[str], fused: Mapping[str, tuple[str, ...]], mode: Mode) -> bool:
    """Say whether a list leaves a layer dense; a fused one is named by itself, or by all of its parts.

    Raises:
        DispatchError: the list names some parts of a fused layer and others not.

    """
    leaf = prefix.rpartition(".")[2]
    if leaf in fused:
        return is_named(prefix, names, mode) or by_parts(prefix, fused[leaf], lambda part: is_named(part, names, mode))
    if _EXPERTS in prefix and mode == "exact":
        return any(prefix in name for name in names if _EXPERTS in name)
    return is_named(prefix, names, mode)


def by_parts(prefix: str, parts: Collection[str], holds: Callable[[str], bool]) -> bool:
    """Say whether something holds of the parts of a fused layer.

    Raises:
        DispatchError: it holds of some and not of others.

    """
    leaf = prefix.rpartition(".")[2]
    answers = {holds(prefix.replace(leaf, part)) for part in parts}
    if len(answers) > 1:
        raise DispatchError("ValueError", f"some parts of {prefix} are quantized by the config and others are not")
    return answers.pop() if answers else False
