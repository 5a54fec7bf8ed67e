"""From decisions to the ``quantization_config`` that engines read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ctq.recipe.fused import SGLANG_FUSED
from ctq.recipe.kinds import Kind
from ctq.recipe.kinds_by_name import leaf_pattern
from ctq.recipe.match import REGEX_PREFIX, matches_name
from ctq.recipe.template import template_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.recipe.decision import Decision, Decisions
    from ctq.recipe.recipe import Recipe
    from ctq.recipe.schemes import Scheme

_ANYWHERE = (r"re:(.*\.)?", r"re:.*\.")
"""How patterns begin that match wherever a module lies."""
COMPRESSED_TENSORS_VERSION = "0.17.0"
"""The version of compressed-tensors whose config and tensor layout is written."""


def compose(decisions: Decisions, recipe: Recipe, head_patterns: Sequence[str]) -> dict[str, Any]:
    """Return the ``quantization_config`` for ``decisions``, with ``head_patterns`` as its head's targets, or as what ignores it.

    The head's group comes first, since the first target that matches wins in vLLM and compressed-tensors alike.
    """
    used = [decision.scheme for decision in decisions.modules if decision.scheme]
    body = [(group.targets, group.scheme) for group in recipe.body if group.scheme in used]
    groups = [(tuple(head_patterns), decisions.head_scheme)] if decisions.head_scheme else []
    groups += body
    formats = list(dict.fromkeys(scheme.format for _, scheme in groups))
    ignore = list(dict.fromkeys(_ignore(decisions, () if decisions.head_scheme else head_patterns)))
    return {
        "config_groups": {f"group_{i}": _group(targets, scheme) for i, (targets, scheme) in enumerate(groups)},
        "format": formats[0] if len(formats) == 1 else "mixed-precision",
        "global_compression_ratio": None,
        "ignore": ignore + _fused(decisions, ignore),
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "sparsity_config": {},
        "transform_config": {},
        "version": COMPRESSED_TENSORS_VERSION,
    }


def _group(targets: Sequence[str], scheme: Scheme) -> dict[str, Any]:
    activations = scheme.activations.to_json() if scheme.activations else None
    return {
        "targets": list(targets),
        "weights": scheme.weights.to_json(observer="memoryless_minmax"),
        "input_activations": activations,
        "output_activations": None,
        "format": scheme.format,
    }


def _ignore(decisions: Decisions, dense_head: Sequence[str]) -> Iterator[str]:
    """Yield what keeps each dense layer from being expected quantized, and reaches none that is."""
    yield from dense_head
    quantized = list({template_of(name): name for name in reversed(_quantized(decisions))}.values())
    patterns = [(one.ignore, one.module) for one in decisions.modules if one.ignore is not None and one.scheme is None]
    patterns += [(leaf_pattern(one.module), one.module) for one in decisions.modules if _is_untargeted(one)]
    safe: dict[str, bool] = {}
    for stated, module in patterns:
        pattern = stated if matches_name(module, stated) else leaf_pattern(module)  # a class reaches a head too
        if pattern not in safe:
            safe[pattern] = not any(matches_name(name, pattern) for name in quantized)
        yield pattern if safe[pattern] else _narrowed(pattern, module)


def _narrowed(pattern: str, module: str) -> str:
    """Return the pattern for the place of one module alone, or its name."""
    prefix = next((one for one in _ANYWHERE if pattern.startswith(one)), None)
    if prefix is None or pattern == leaf_pattern(module):
        return module
    tail, words = pattern.removeprefix(prefix), module.split(".")
    for start in range(1, len(words)):
        if matches_name(".".join(words[start:]), f"{REGEX_PREFIX}{tail}"):
            return f"re:{re.escape('.'.join(words[:start]))}\\.{tail}"
    return module


def _fused(decisions: Decisions, ignore: Sequence[str]) -> list[str]:
    """Return patterns of fused layers that ``ignore`` leaves out though all their parts are dense everywhere.

    vLLM and compressed-tensors go by the parts; SGLang refuses a layer that is neither targeted nor ignored under its own name.
    """
    taken = {_leaf(module) for module in _quantized(decisions)}
    dense = [decision.module for decision in decisions.modules if decision.kind is Kind.LINEAR and not decision.scheme]
    found = []
    for name, parts in SGLANG_FUSED.items():
        layers = [f"{module.rpartition('.')[0]}.{name}" for module in dense if _leaf(module) in parts]
        if not taken & {name, *parts} and not all(any(matches_name(layer, one) for one in ignore) for layer in layers):
            found.append(leaf_pattern(layers[0]))
    return found


def _leaf(module: str) -> str:
    return module.rpartition(".")[2]


def _quantized(decisions: Decisions) -> list[str]:
    modules = [decision.module for decision in decisions.modules if decision.scheme]
    return [*modules, decisions.head.name] if decisions.head and decisions.head_scheme else modules


def _is_untargeted(decision: Decision) -> bool:
    """Tell a linear layer that no target reaches: vLLM up to 0.20 refuses one that is neither targeted nor ignored."""
    return decision.kind is Kind.LINEAR and decision.scheme is None and decision.ignore is None
