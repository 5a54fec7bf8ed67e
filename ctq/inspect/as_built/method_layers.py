"""The layers of a checkpoint of another method than compressed-tensors, as vLLM builds them by its config.

What a method's layer has to hold are values (``ctq.engines.vllm.methods``); each set of modules is held against them. Where the
engine's names for a multimodal model are not known, nothing is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOATS
from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm.fused import fused_mapping
from ctq.engines.vllm.layers import FusedMoE, ParallelLMHead
from ctq.engines.vllm.methods.layout import ANYTHING
from ctq.engines.vllm.methods.read import Model, read_method
from ctq.engines.vllm_models.heads import resolved_support
from ctq.engines.vllm_models.names import EngineNames
from ctq.engines.vllm_models.seen import builds_quantized
from ctq.errors import UsageError
from ctq.inspect.as_built.called_parts import called_parts
from ctq.inspect.as_built.cut_blocks import cut_by_blocks
from ctq.inspect.facts.defects import BODY_LINEARS
from ctq.inspect.facts.entries import State
from ctq.inspect.facts.model_layers import EngineLayer, ModelLayers, is_asked
from ctq.inspect.modules.forms import Form
from ctq.recipe.fused import PROJECTIONS
from ctq.recipe.kinds import Kind
from ctq.recipe.template import EXPERTS, NUMBER, SINGLE_EXPERT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ctq.engines.vllm.methods.layout import Layout, Method
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.modules.grouping import Part

_UNQUANTIZED = frozenset({"F16", "BF16", "F32"})
"""Dtypes by which vLLM takes a layer for dense whose method's config lists none (``auto_gptq.py``, ``maybe_update_config``)."""
_MATRIX = 2
_LENT = "input_scale"
_STACKED = frozenset({"input_linear", "output_linear"})
"""What Granite calls all experts of a layer, which vLLM's class keeps under the name of others (``models/granitemoe.py``)."""
_SCALES = frozenset({"scales", "qzeros", "weight_scale", "weight_scale_inv"})
"""Parts that only a quantized layer has, whose weight may have been lost or have no rows and columns."""


class Wrong(StrEnum):
    """What can be wrong with a layer, the first that holds."""

    REFUSED = "refused"
    LEFT_DENSE = "left-dense"
    EXCLUDED = "excluded"
    MISSING = "missing"
    DTYPE = "dtype"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class LayerFault:
    """One set of modules that vLLM would not load as it lies: the first such module, how many there are, and what is wrong."""

    wrong: Wrong
    entry: Entry
    module: str
    count: int
    detail: str


def layer_faults(facts: Facts) -> Iterator[LayerFault]:
    """Yield what is wrong with the layers, each set of modules once for each thing that is."""
    fused = _fused(facts)
    method = _method(facts, fused)
    names = facts.names or (EngineNames() if len(facts.config.text_levels) == 1 else None)
    if method is None or names is None:
        return
    model = ModelLayers(names, frozenset(_places(facts.entries, names)), fused)
    try:
        yield from _of_towers(facts, model, method)
        yield from _of_text(facts, model, method)
        yield from _of_tied_head(facts, method)
    except UsageError:  # a regular expression whose time has no bound
        return


def _of_text(facts: Facts, model: ModelLayers, method: Method) -> Iterator[LayerFault]:
    """Yield what is wrong with the head, linear layers and routers, and what is left of layers."""
    leaves = frozenset(entry.modules.leaf for entry in facts.quantized if entry.kind is Kind.LINEAR)
    for entry in facts.entries:
        if entry.kind is Kind.FUSED_EXPERTS and not entry.stored.is_quantized:
            yield from _of_stacked(entry, model, method)
        elif entry.is_head or is_asked(entry, facts.config) or _is_torso(entry, leaves):
            faults = _faults(entry, model, _asked(entry, facts, model), method)
            yield from (fault for fault in faults if _is_sure(fault, leaves) and not _is_lent(fault, facts.entries))


def _of_stacked(entry: Entry, model: ModelLayers, method: Method) -> Iterator[LayerFault]:
    """Yield dense experts in one tensor that the config has quantized."""
    if EXPERTS not in entry.modules.template and entry.modules.leaf not in _STACKED:
        return
    for name in entry.modules.names:
        before = name.partition(EXPERTS)[0] if EXPERTS in name else name.rpartition(".")[0]
        place = model.names.module(f"{before}{EXPERTS}0.{PROJECTIONS[0][0]}")
        layer = (
            model.names.prefix(f"{place.partition(EXPERTS)[0]}{EXPERTS[:-1]}") if place and EXPERTS in place else None
        )
        if layer is not None and method.layout(FusedMoE(), layer) is not None:
            dtype = next(iter(entry.modules.parts.values())).dtype
            yield LayerFault(Wrong.LEFT_DENSE, entry, name, entry.modules.count, dtype)
            return


def _of_tied_head(facts: Facts, method: Method) -> Iterator[LayerFault]:
    """Yield a head that is tied and has no tensors, which the config has quantized all the same."""
    support = resolved_support(facts.config.architecture, inner_architecture(facts.config))
    embedding = next((entry for entry in facts.entries if entry.kind is Kind.EMBEDDING), None)
    if facts.head.state is not State.TIED or embedding is None or support is None or support.quant_config != "yes":
        return
    if method.layout(ParallelLMHead(), support.name) is not None:
        name = facts.head.name or embedding.modules.names[0]
        yield LayerFault(Wrong.LEFT_DENSE, embedding, name, 1, "tied")


def _is_sure(fault: LayerFault, leaves: frozenset[str]) -> bool:
    """Tell dense layers that the engine surely asks its config about: like others that are quantized, or called as such are.

    Model classes build small layers of their own (of indexers, of linear attention) without the config.
    """
    if fault.wrong not in (Wrong.LEFT_DENSE, Wrong.REFUSED) or fault.entry.stored.is_quantized:
        return True
    return fault.entry.is_head or fault.entry.kind is Kind.ROUTER or fault.entry.modules.leaf in (leaves | BODY_LINEARS)


def _is_lent(fault: LayerFault, entries: Iterable[Entry]) -> bool:
    """Tell an expert's scale of activations that its other projection of the same input has: vLLM keeps one of both."""
    parent, _, leaf = fault.module.rpartition(".")
    others = {up: gate for gate, up, _ in PROJECTIONS} | {gate: up for gate, up, _ in PROJECTIONS}
    if fault.wrong is not Wrong.MISSING or fault.detail != _LENT or SINGLE_EXPERT not in fault.entry.modules.template:
        return False
    other = f"{parent}.{others.get(leaf)}"
    return any(_LENT in entry.modules.parts and other in entry.modules.names for entry in entries)


def _fused(facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """Return the layers that the engine's model fuses; its Transformers backend fuses none that the files hold fused."""
    fused, architecture = fused_mapping(facts.config.architecture), facts.config.architecture
    if not is_served_by_backend(architecture):
        return fused
    leaves = {entry.modules.leaf for entry in facts.entries}
    return {name: parts for name, parts in fused.items() if name not in leaves}


def _method(facts: Facts, fused: Mapping[str, tuple[str, ...]]) -> Method | None:
    quant = facts.quant
    if quant is None or quant.method is None or facts.is_compressed_tensors:
        return None
    model = Model(
        fused=fused,
        named=facts.names.listed if facts.names is not None else str,
        quantized=lambda: _held(facts.entries)[0],
        dense=lambda: _held(facts.entries)[1],
    )
    return read_method(quant.method, quant.raw, model)


def _held(entries: Iterable[Entry]) -> tuple[set[str], set[str]]:
    """Return the modules that have a tensor of something else than floats, and those that have none, as vLLM tells them apart."""
    quantized: set[str] = set()
    every: set[str] = set()
    for entry in entries:
        for part, tensor in entry.modules.parts.items():
            names = entry.modules.names
            owners = names if part.isidentifier() else [_owner(name, part) for name in names]
            every.update(owners)
            if tensor.dtype not in _UNQUANTIZED:
                quantized.update(owners)
    return quantized, every - quantized


def _owner(module: str, part: str) -> str:
    """Return what stands before the last dot of a tensor's name."""
    return (f"{module}.{part}" if part else module).rpartition(".")[0] or module


def _of_towers(facts: Facts, model: ModelLayers, method: Method) -> Iterator[LayerFault]:
    """Yield one fault of a dense tower of which the config leaves no layer dense, where the engine was seen to ask about those.

    Which of a tower's layers it asks about is not known; a config that names one of them may name all that it has to.
    """
    if not builds_quantized(facts.config.architecture, Kind.TOWER.value):
        return
    matrices = [entry for entry in facts.entries if _is_tower_layer(entry)]
    found = [list(_faults(entry, model, _asked(entry, facts, model), method)) for entry in matrices]
    if found and all(faults and faults[0].wrong is Wrong.LEFT_DENSE for faults in found):
        yield found[0][0]


def _is_tower_layer(entry: Entry) -> bool:
    weight = entry.modules.parts.get("weight")
    is_matrix = weight is not None and len(weight.shape) == _MATRIX and entry.stored.form is Form.DENSE
    return entry.kind is Kind.TOWER and is_matrix and f".{NUMBER}." in entry.modules.template


def _is_torso(entry: Entry, leaves: frozenset[str]) -> bool:
    """Tell what is left of a layer like others that lost its codes, or whose codes are no matrix."""
    return entry.kind is Kind.PARAMETER and entry.modules.leaf in leaves and not _SCALES.isdisjoint(entry.modules.parts)


def _places(entries: Iterable[Entry], names: EngineNames) -> Iterator[str]:
    """Yield all modules but single experts as the engine calls them."""
    for entry in entries:
        if SINGLE_EXPERT not in entry.modules.template:
            for name in entry.modules.names:
                place = name if names.is_plain else names.module(name)
                if place is not None:
                    yield place


def _asked(entry: Entry, facts: Facts, model: ModelLayers) -> Iterator[tuple[str, EngineLayer, int]]:
    """Yield the layers that hold a set's modules, with a module in each and how many it holds."""
    config, modules = facts.config, entry.modules
    if entry.is_head:
        support = resolved_support(config.architecture, inner_architecture(config))
        if support is not None and support.quant_config == "yes":
            yield modules.names[0], EngineLayer(ParallelLMHead(), support.name), 1
        return
    names: Collection[str] = modules.names
    if SINGLE_EXPERT in modules.template:  # experts of a layer are one for the engine, and there may be thousands
        names = dict(zip(map(itemgetter(0), modules.numbers), names, strict=True)).values()
    each = modules.count // len(names)
    for name in names:
        layer = model.layer(name)
        if layer is not None:
            yield name, layer, each


def _faults(
    entry: Entry, model: ModelLayers, layers: Iterable[tuple[str, EngineLayer, int]], method: Method
) -> Iterator[LayerFault]:
    parts = called_parts(entry.modules, model.names)
    found: dict[tuple[Wrong, str], list[tuple[str, int]]] = {}
    for module, layer, count in layers:
        try:
            layout = method.layout(layer.spec, layer.prefix)
            fault = _compared(entry, parts, layout)
            if (
                fault is None
                and layout is not None
                and (cut := cut_by_blocks(entry, layer.spec, model.together(layer), layout.rows))
            ):
                fault = Wrong.SHAPE, cut
        except DispatchError as error:
            fault = Wrong.REFUSED, error.message
        if fault is not None:
            found.setdefault(fault, []).append((module, count))
    for (wrong, detail), modules in found.items():
        yield LayerFault(wrong, entry, modules[0][0], sum(count for _, count in modules), detail)


def _compared(entry: Entry, parts: Mapping[str, Part], layout: Layout | None) -> tuple[Wrong, str] | None:
    """Say what of a set of modules is not as the engine's layer has it."""
    if layout is None:
        return (Wrong.EXCLUDED, ", ".join(sorted(parts))) if entry.stored.is_quantized else None
    codes = parts.get(layout.codes)
    if layout is ANYTHING:
        return None
    if entry.stored.form is Form.DENSE or (codes is None and "weight" in parts):
        return (Wrong.LEFT_DENSE, parts["weight"].dtype) if parts["weight"].dtype in FLOATS else None
    wrong = _wrong_part(parts, layout) if codes is not None else None
    missing = [name for name in layout.parameters if name not in parts and name not in layout.spared]
    return wrong or ((Wrong.MISSING, " and ".join(missing)) if missing else None)


def _wrong_part(parts: Mapping[str, Part], layout: Layout) -> tuple[Wrong, str] | None:
    """Say what of a layer's tensors has another dtype or shape than the engine's."""
    codes = parts[layout.codes].shape
    here = {name: parameter for name, parameter in layout.parameters.items() if name in parts}
    for name, parameter in here.items():
        if parts[name].dtype not in parameter.dtypes:
            return Wrong.DTYPE, f"{name} is {parts[name].dtype}, expected {' or '.join(sorted(parameter.dtypes))}"
    if len(codes) != _MATRIX:
        return Wrong.SHAPE, f"{layout.codes} is {list(codes)}, expected a matrix"
    rows, columns = layout.dense(*codes)
    for name, parameter in here.items():
        shapes = parameter.shapes(rows, columns)
        if parts[name].shape not in shapes:
            wanted = " or ".join(str(list(shape)) for shape in shapes)
            of = f"{rows} rows and {columns} columns"
            return Wrong.SHAPE, f"{name} is {list(parts[name].shape)}, expected {wanted} for {of}"
    return None
