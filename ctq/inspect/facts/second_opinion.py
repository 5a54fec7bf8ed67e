"""What vLLM's own matching makes of modules on which files and config disagree by compressed-tensors'.

The two differ: vLLM compares class names whatever their case, knows nothing of classes in `ignore`, takes the first pattern of the
config where compressed-tensors takes the first by the alphabet, and asks for fused layers as one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.layers import ParallelLMHead
from ctq.engines.vllm.rules import rules_for
from ctq.engines.vllm_models.heads import resolved_support
from ctq.engines.vllm_models.model_dispatch import dispatch_of
from ctq.engines.vllm_models.names import EngineNames, names_of
from ctq.inspect.facts.defects import diagnose
from ctq.inspect.facts.model_layers import EngineLayer, ModelLayers, is_asked, model_layers
from ctq.inspect.modules.forms import describe
from ctq.inspect.modules.patterns import Match
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.vllm.dispatch import DispatchConfig
    from ctq.inspect.facts.defects import Surroundings
    from ctq.inspect.facts.entries import Entry
    from ctq.recipe.quant_config import QuantConfig


def with_second_opinion(
    entries: Sequence[Entry], config: ModelConfig, quant: QuantConfig, around: Surroundings
) -> list[Entry]:
    """Mark the diagnoses that vLLM does not share."""
    if not any(entry.diagnosis is not None for entry in entries):
        return list(entries)
    try:
        dispatch = dispatch_of(config, quant.raw, rules_for())
    except DispatchError:
        return list(entries)
    model = model_layers(config, entries, dispatch)
    names = names_of(config)
    return [
        entry
        if entry.diagnosis is None
        else _tolerated(entry)
        if names is not None and _is_unread(entry, names)
        else _asked(entry, _layer(entry, config, model), quant, around, dispatch)
        for entry in entries
    ]


def _is_unread(entry: Entry, names: EngineNames) -> bool:
    """Tell modules that vLLM's class drops before it looks at them, the model's own head apart: that one is missed."""
    return (entry.kind is Kind.DRAFT or not entry.is_head) and all(map(names.drops, entry.modules.names))


def _tolerated(entry: Entry) -> Entry:
    return replace(entry, diagnosis=replace(entry.diagnosis, tolerated=True)) if entry.diagnosis is not None else entry


def _layer(entry: Entry, config: ModelConfig, model: ModelLayers | None) -> EngineLayer | None:
    """Return the engine's layer for a set of modules; None where it is not known."""
    if entry.is_head:
        support = resolved_support(config.architecture, inner_architecture(config))
        return EngineLayer(ParallelLMHead(), support.name) if support is not None else None
    return model.layer(entry.modules.names[0]) if model is not None and is_asked(entry, config) else None


def _asked(
    entry: Entry, layer: EngineLayer | None, quant: QuantConfig, around: Surroundings, dispatch: DispatchConfig
) -> Entry:
    if entry.diagnosis is None or layer is None:
        return entry
    try:
        method = dispatch.get_quant_method(layer.spec, layer.prefix)
    except DispatchError:
        return entry
    group = next((group for group in quant.groups if method is not None and group.name == method.group), None)
    seen = replace(
        entry,
        match=Match(method.target if method is not None else None, None),
        group=group,
        stored=describe(entry.modules.parts, group.weights if group is not None else None, entry.stored.columns),
        format=quant.format_of(group) if group is not None else None,
    )
    return entry if diagnose(seen, around) is not None else _tolerated(entry)
