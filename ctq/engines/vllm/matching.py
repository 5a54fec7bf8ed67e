"""Which target of a config a layer of vLLM gets, and whether it is ignored: vLLM's own rules, release by release.

They differ from compressed-tensors' in three ways: only the class of the layer itself counts, and a target that occurs anywhere in
that class's name matches it, whatever the case; the first target of the config wins; fused layers are matched by their parts.
Source: vLLM 0.32.0 model_executor/layers/quantization/compressed_tensors/utils.py:45-185 and its predecessors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ctq.engines.vllm.rules import EngineRules, MatchStep


class PartlyIgnoredError(Exception):
    """A fused layer of which some parts are ignored and others are not; vLLM raises ValueError."""


class UnmatchedLayerError(Exception):
    """A layer that no target matches, in a release that raises ValueError for it."""


def find_matched_target(
    layer_name: str | None,
    class_name: str,
    targets: Iterable[str],
    fused_mapping: Mapping[str, Iterable[str]],
    rules: EngineRules,
) -> str | None:
    """Return the target that vLLM gives to a layer, or None.

    Raises:
        UnmatchedLayerError: nothing matches and the release refuses that (up to 0.20.2).
        UsageError: a regular expression in ``targets`` is invalid.

    """
    name, in_order = layer_name or "", tuple(targets)
    found = None
    for step in rules.match_order:
        found = _match_step(step, name, class_name, in_order, fused_mapping)
        if found:  # what an empty target matches counts in the last step alone: the steps are joined by ``or``
            return found
    if found is None and rules.unmatched == "ValueError":
        raise UnmatchedLayerError(f"no target matches {name or 'a layer without a name'} ({class_name})")
    return found


def should_ignore_layer(
    layer_name: str | None, ignore: Collection[str], fused_mapping: Mapping[str, Iterable[str]], rules: EngineRules
) -> bool:
    """Return whether ``ignore`` leaves a layer dense; of a fused layer all parts must agree.

    Raises:
        PartlyIgnoredError: they do not.
        UsageError: a regular expression in ``ignore`` is invalid.

    """
    if layer_name is None:
        return False
    parts = _parts_to_ignore(layer_name, ignore, fused_mapping, rules)
    ignored = [part for part in parts if _matches_any(part, ignore)]
    if ignored and len(ignored) < len(parts):
        raise PartlyIgnoredError(f"of the fused layer {layer_name} only {', '.join(ignored)} is in ignore")
    return bool(ignored)


def _match_step(
    step: MatchStep, name: str, class_name: str, targets: tuple[str, ...], fused_mapping: Mapping[str, Iterable[str]]
) -> str | None:
    if step == "name":
        return _first_by_name(name, targets)
    if step == "class":
        return next((target for target in targets if _names_class(class_name, target)), None)
    return _match_fused(name, targets, fused_mapping)


def _first_by_name(name: str, targets: tuple[str, ...]) -> str | None:
    return next((target for target in targets if matches_name(name, target)), None)


def _names_class(class_name: str, target: str) -> bool:
    if target.startswith(REGEX_PREFIX):
        return matches_name(class_name, target)
    return target.lower() in class_name.lower()


def _match_fused(name: str, targets: tuple[str, ...], fused_mapping: Mapping[str, Iterable[str]]) -> str | None:
    """Return what the first part of a fused layer matches, provided that every part matches something."""
    fused = next((key for key in fused_mapping if name.endswith(key)), None)
    if fused is None:
        return None
    found = [_first_by_name(name.replace(fused, part), targets) for part in fused_mapping[fused]]
    return found[0] if found and all(found) else None


def _parts_to_ignore(
    layer_name: str, ignore: Collection[str], fused_mapping: Mapping[str, Iterable[str]], rules: EngineRules
) -> tuple[str, ...]:
    leaf = layer_name.split(".")[-1]
    settled = _matches_any(layer_name, ignore) if rules.ignore_reads_fused_name else layer_name in ignore
    if settled or leaf not in fused_mapping:
        return (layer_name,)
    return tuple(layer_name.replace(leaf, part) for part in fused_mapping[leaf])


def _matches_any(name: str, patterns: Collection[str]) -> bool:
    return any(matches_name(name, pattern) for pattern in patterns)
