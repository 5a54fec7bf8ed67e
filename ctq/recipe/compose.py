"""From decisions to the ``quantization_config`` that engines read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.recipe.fused import SGLANG_FUSED
from ctq.recipe.kinds import Kind
from ctq.recipe.kinds_by_name import leaf_pattern
from ctq.recipe.match import matches_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.recipe.decision import Decision, Decisions
    from ctq.recipe.recipe import Recipe
    from ctq.recipe.schemes import Scheme

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
    yield from dense_head
    for decision in decisions.modules:
        if decision.scheme is None and decision.ignore is not None:
            yield decision.ignore
    yield from _untargeted(decisions)


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


def _untargeted(decisions: Decisions) -> Iterator[str]:
    """Name the linear layers that no target reaches: vLLM up to 0.20 refuses a layer that is neither targeted nor ignored."""
    quantized = _quantized(decisions)
    safe: dict[str, bool] = {}
    for decision in decisions.modules:
        if _is_untargeted(decision):
            pattern = leaf_pattern(decision.module)
            if pattern not in safe:
                safe[pattern] = not any(matches_name(module, pattern) for module in quantized)
            yield pattern if safe[pattern] else decision.module


def _is_untargeted(decision: Decision) -> bool:
    return decision.kind is Kind.LINEAR and decision.scheme is None and decision.ignore is None
