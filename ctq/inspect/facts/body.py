"""All other modules through the same dispatch, from headers: what the engine would refuse or leave uninitialised. Pure.

Modules are taken as sets of alike ones (``ctq.inspect``), called and fused as the engine's model does, and each set is asked for by
its first and its last name. Where the engine's names for a multimodal model are not known and a pattern looks at them, nothing is
judged here: the files against the config remains, which inspection does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.head.parameters import WEIGHTS
from ctq.engines.vllm.layers import (
    Attention,
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
from ctq.inspect.facts.cut_blocks import cut_by_blocks
from ctq.inspect.facts.diagnosis import Defect
from ctq.inspect.modules.forms import COMPRESSED, Form
from ctq.recipe.fused import PROJECTIONS
from ctq.recipe.kinds import Kind
from ctq.recipe.match import REGEX_PREFIX
from ctq.recipe.sizes import EXPERTS_MULTIPLE, is_cut

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.vllm.dispatch import DispatchConfig
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_EXPERT = re.compile(r"(?P<layer>.*\.experts)\.\d+\.(?P<part>\w+)$")
_ROW_PARALLEL = frozenset({"o_proj", "down_proj", "out_proj", "dense", "dense_4h_to_h", "w2", "fc2", "c_proj"})
_INT8_WEIGHTS = {"W8A8Int8": Form.INT, "WNA16": Form.PACKED}
_ANYTHING = (".*", "(?!", "(.*")
"""How regular expressions begin that look at no prefix."""


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """A layer of the engine's model: its class and the name that it is looked up under."""

    spec: LayerSpec
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyFault:
    """One thing that the engine would do wrong or refuse, and the modules of the files that it concerns."""

    message: str
    unexpected: tuple[str, ...] = ()
    never_loaded: tuple[str, ...] = ()


def check_body(facts: Facts, quant: DispatchConfig) -> Iterator[BodyFault]:
    """Yield what is wrong with the modules beside the head."""
    config = facts.config
    if facts.names is None or facts.names.asks("attention"):
        yield from _cache_fault(quant)
    model = model_layers(config, facts.entries, quant)
    if model is None:
        return
    seen: set[str] = set()
    for entry in facts.entries:
        if entry.is_head or not is_asked(entry, config) or not _is_judged(entry):
            continue
        for module in dict.fromkeys((entry.modules.names[0], entry.modules.names[-1])):
            layer = model.layer(module)
            if layer is None:
                continue
            fault = _fault(entry, module, layer, quant) or _unloadable(entry, module, layer, model, config)
            if fault is not None and fault.message not in seen:
                seen.add(fault.message)
                yield fault


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


def _cache_fault(quant: DispatchConfig) -> Iterator[BodyFault]:
    try:
        quant.get_quant_method(Attention(), "attn")
    except DispatchError as error:
        yield BodyFault(message=f"refused at attention: {error.message}")


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


def _is_judged(entry: Entry) -> bool:
    """Leave out dense matrices that only a class target declares quantized: whether engines build them so, headers cannot tell."""
    if entry.diagnosis is not None and entry.diagnosis.defect is Defect.PERHAPS_DENSE:
        return False
    return entry.stored.form in COMPRESSED or entry.stored.form is Form.DENSE


def _fault(entry: Entry, module: str, layer: EngineLayer, quant: DispatchConfig) -> BodyFault | None:
    try:
        method = quant.get_quant_method(layer.spec, layer.prefix)
    except DispatchError as error:
        return BodyFault(message=f"refused at {layer.prefix}: {error.message}")
    scheme = method.scheme if method else None
    parts = entry.modules.parts
    count = f" and {entry.modules.count - 1} more like it" if entry.modules.count > 1 else ""
    if scheme is None:
        if not entry.stored.is_quantized:
            return None
        scales = tuple(f"{module}.{part}" for part in parts if part.startswith("weight_"))
        message = f"{module}{count} is stored quantized, but the engine builds {layer.prefix} dense"
        return BodyFault(message=message, unexpected=scales)
    return _stored_otherwise(entry, module, scheme, count)


def _unloadable(
    entry: Entry, module: str, layer: EngineLayer, model: ModelLayers, config: ModelConfig
) -> BodyFault | None:
    """Name layers that dispatch and yet are not built, or do not load.

    Source of the first: vLLM 0.32.0 ``compressed_tensors_moe/compressed_tensors_moe_w8a8_int8.py:52``.
    """
    strategy = entry.weights.strategy if entry.weights is not None else ""
    if entry.stored.form is Form.FLOAT and isinstance(layer.spec, FusedMoE) and (why := _unpaired(entry)):
        return BodyFault(message=f"refused at {layer.prefix}: {why}")
    block = entry.weights.block_structure if entry.weights is not None else None
    if block is not None and (cut := cut_by_blocks(entry, layer.spec, model.together(layer), block[0])):
        return BodyFault(message=f"refused at {layer.prefix}: {module} has {cut}")
    if entry.stored.form is Form.INT and isinstance(layer.spec, FusedMoE) and strategy not in ("", "channel"):
        return BodyFault(
            message=f"refused at {layer.prefix}: experts take INT8 with one scale to a row, not one to a {strategy}"
        )
    if entry.stored.form is not Form.PACKED:
        return None
    if is_cut(config.architecture, module):
        return BodyFault(
            message=f"refused at {module}: the loader cuts its tensors by rows, which it cannot do with a packed layer"
        )
    if (
        strategy != "channel"
        or not isinstance(layer.spec, FusedMoE)
        or (config.hidden_size or 0) % EXPERTS_MULTIPLE == 0
    ):
        return None
    return BodyFault(
        message=f"refused at {layer.prefix}: weight-only experts with one scale to a row need a hidden size that is a multiple of "
        f"{EXPERTS_MULTIPLE}, not {config.hidden_size}"
    )


def _unpaired(entry: Entry) -> str:
    """Say what is wrong with scales of FP8 experts and of their activations; "" where vLLM takes both together.

    Source: vLLM 0.32.0 ``compressed_tensors_moe/compressed_tensors_moe_w8a8_fp8.py:62``.
    """
    inputs = entry.activations
    if entry.weights is None or inputs is None or entry.weights.strategy == "block":
        return ""
    pair = entry.weights.strategy, inputs.strategy
    if pair not in (("tensor", "tensor"), ("channel", "token")):
        return f"FP8 experts with one scale to a {pair[0]} take no activations with one to a {pair[1]}"
    return (
        ""
        if inputs.dynamic or pair[0] == "tensor"
        else "FP8 experts with one scale to a row take no static activations"
    )


def _stored_otherwise(entry: Entry, module: str, scheme: str, count: str) -> BodyFault | None:
    """Compare the parts in the files with those that the scheme creates."""
    weight = WEIGHTS.get(scheme)
    if weight is None:  # only its dispatch is judged
        return None
    missing = tuple(f"{module}.{part}" for part in (weight, "weight_scale") if part not in entry.modules.parts)
    form = _INT8_WEIGHTS.get(scheme)
    if missing:
        lost = ", ".join(missing)
        message = (
            f"{module}{count} is stored {entry.stored.form}, but the engine runs it as {scheme}: {lost} never loaded"
        )
        return BodyFault(message=message, never_loaded=missing)
    if form is not None and entry.stored.form is not form:
        message = f"{module}{count} is stored {entry.stored.form}, but the engine runs it as {scheme}"
        return BodyFault(message=message)
    return None
