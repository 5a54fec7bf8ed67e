"""The layers of the engine's model in which the modules of the files lie: called and fused as its class does. Pure.

Where the engine's names for a multimodal model are not known and a pattern looks at them, there are none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.vllm.layers import (
    ColumnParallelLinear,
    FusedMoE,
    LayerSpec,
    LinearBase,
    MergedColumnParallelLinear,
    QKVParallelLinear,
    RowParallelLinear,
)
from ctq.engines.vllm_models.names import EngineNames, names_of
from ctq.engines.vllm_models.seen import builds_quantized
from ctq.recipe.fused import PROJECTIONS
from ctq.recipe.kinds import Kind
from ctq.recipe.match import REGEX_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.vllm.dispatch import DispatchConfig
    from ctq.inspect.facts.entries import Entry

_EXPERT = re.compile(r"(?P<layer>.*\.experts)\.\d+\.(?P<part>\w+)$")
_ROW_PARALLEL = frozenset({"o_proj", "down_proj", "out_proj", "dense", "dense_4h_to_h", "w2", "fc2", "c_proj"})
_ANYTHING = (".*", "(?!", "(.*")
"""How regular expressions begin that look at no prefix."""


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """A layer of the engine's model: its class and the name that it is looked up under."""

    spec: LayerSpec
    prefix: str


@dataclass(frozen=True, slots=True)
class ModelLayers:
    """The layers of the engine's model that modules of the files lie in; ``places`` are all modules as the engine calls them."""

    names: EngineNames
    places: frozenset[str]
    fused: Mapping[str, tuple[str, ...]]

    def layer(self, module: str) -> EngineLayer | None:
        """Return the layer that holds a module of the files; None where the engine drops it."""
        place = self.names.module(module)
        if place is None:
            return None
        layer = engine_layer(place, self.places, self.fused, self.names.classes)
        return EngineLayer(layer.spec, self.names.prefix(layer.prefix))

    def together(self, layer: EngineLayer) -> tuple[str, ...]:
        """Return the names of the parts that a fused layer is made of; none where it is no such."""
        return self.fused.get(layer.prefix.rpartition(".")[2], ())


def model_layers(config: ModelConfig, entries: Sequence[Entry], quant: DispatchConfig) -> ModelLayers | None:
    """Return the layers of a model; None where the engine's names are not known, and a pattern looks at them."""
    names = names_of(config)
    if names is None:
        if not _any_prefix_will_do(config, quant):
            return None
        names = EngineNames()
    files = {name for entry in entries for name in entry.modules.names}
    places = files if names.is_plain else {place for name in files if (place := names.module(name)) is not None}
    return ModelLayers(names, frozenset(places), quant.fused_mapping)


def _any_prefix_will_do(config: ModelConfig, quant: DispatchConfig) -> bool:
    """Tell whether a module of the files can be asked for by its name, although wrappers have other prefixes in the engine.

    Classes and patterns that begin with anything do not look at prefixes.
    """
    patterns = [pattern for pattern in (*quant.schemes, *(quant.ignore or ())) if pattern.startswith(REGEX_PREFIX)]
    wrapped = any(path for path, _ in config.text_levels)
    return not wrapped or all(pattern.removeprefix(REGEX_PREFIX).startswith(_ANYTHING) for pattern in patterns)


def engine_layer(
    module: str, names: Collection[str], fused: Mapping[str, tuple[str, ...]], classes: Mapping[str, str]
) -> EngineLayer:
    """Return the layer of the engine that holds ``module``; ``names`` are all modules, both as the engine calls them."""
    expert = _EXPERT.match(module)
    if expert:
        projections = next((row for row in PROJECTIONS if expert["part"] in row), PROJECTIONS[0])
        return EngineLayer(FusedMoE(projections=projections), expert["layer"])
    parent, _, leaf = module.rpartition(".")
    for key, parts in fused.items():
        if leaf in parts and len(parts) > 1 and all(f"{parent}.{part}" in names for part in parts):
            spec = QKVParallelLinear() if key == "qkv_proj" else MergedColumnParallelLinear()
            return EngineLayer(spec, f"{parent}.{key}")
    known = classes.get(leaf)
    return EngineLayer(LinearBase(name_of_class=known) if known else linear_class(leaf)(), module)


def linear_class(leaf: str) -> type[LinearBase]:
    """Return the class that models give a layer of this name, unless it is known to be another."""
    return RowParallelLinear if leaf in _ROW_PARALLEL else ColumnParallelLinear


def is_asked(entry: Entry, config: ModelConfig) -> bool:
    """Tell modules that the engine asks the config about: linear layers, and routers where it was seen to build them quantized."""
    router = entry.kind is Kind.ROUTER and builds_quantized(config.architecture, entry.kind.value)
    return entry.kind is Kind.LINEAR or bool(router)
