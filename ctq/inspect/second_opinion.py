"""What vLLM's own matching makes of modules on which files and config disagree by compressed-tensors'.

The two differ: vLLM compares class names whatever their case, knows nothing of classes in `ignore`, takes the first pattern of the
config where compressed-tensors takes the first by the alphabet, and asks for fused layers as one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.engines.dispatch import DispatchConfig
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.fused import fused_mapping
from ctq.engines.rules import rules_for
from ctq.inspect.body import engine_layer
from ctq.inspect.defects import diagnose
from ctq.inspect.forms import describe
from ctq.inspect.patterns import Match
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.inspect.defects import Surroundings
    from ctq.inspect.entries import Entry
    from ctq.recipe.quant_config import QuantConfig


def with_second_opinion(
    entries: Sequence[Entry], config: ModelConfig, quant: QuantConfig, around: Surroundings
) -> list[Entry]:
    """Mark the diagnoses that vLLM does not share; wrappers, whose modules have other names there, are left alone."""
    doubtful = [entry for entry in entries if entry.diagnosis is not None and entry.kind is Kind.LINEAR]
    if not doubtful or any(path for path, _ in config.text_levels):
        return list(entries)
    try:
        dispatch = DispatchConfig.from_quantization_config(
            quant.raw, rules_for(), fused_mapping=fused_mapping(config.architecture)
        )
    except DispatchError:
        return list(entries)
    names = frozenset(name for entry in entries for name in entry.modules.names)
    return [_asked(entry, quant, around, dispatch, names) for entry in entries]


def _asked(
    entry: Entry, quant: QuantConfig, around: Surroundings, dispatch: DispatchConfig, names: frozenset[str]
) -> Entry:
    if entry.diagnosis is None or entry.is_head or entry.kind is not Kind.LINEAR:
        return entry
    module = entry.modules.names[0]
    layer = engine_layer(module, names, dispatch.fused_mapping)
    try:
        method = dispatch.get_quant_method(layer.spec, layer.prefix)
    except DispatchError:
        return entry
    group = next((group for group in quant.groups if method is not None and group.name == method.group), None)
    seen = replace(
        entry,
        match=Match(method.target if method is not None else None, None),
        group=group,
        stored=describe(entry.modules.parts, group.weights if group is not None else None, None),
        format=quant.format_of(group) if group is not None else None,
    )
    if diagnose(seen, around) is not None:
        return entry
    return replace(entry, diagnosis=replace(entry.diagnosis, tolerated=True))
