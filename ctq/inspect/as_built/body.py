"""All other modules through the same dispatch, from headers: what the engine would refuse or leave uninitialised. Pure.

Modules are taken as sets of alike ones (``ctq.inspect``), called and fused as the engine's model does, and each set is asked for by
its first and its last name. Where the engine's layers are not known, nothing is judged here: the files against the config remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.head.parameters import WEIGHTS
from ctq.engines.vllm.layers import Attention, FusedMoE
from ctq.inspect.as_built.cut_blocks import cut_by_blocks
from ctq.inspect.facts.diagnosis import Defect
from ctq.inspect.facts.model_layers import is_asked, model_layers
from ctq.inspect.modules.forms import COMPRESSED, Form
from ctq.recipe.sizes import EXPERTS_MULTIPLE, is_cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.vllm.dispatch import DispatchConfig
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.facts.model_layers import EngineLayer, ModelLayers

_INT8_WEIGHTS = {"W8A8Int8": Form.INT, "WNA16": Form.PACKED}


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


def _cache_fault(quant: DispatchConfig) -> Iterator[BodyFault]:
    try:
        quant.get_quant_method(Attention(), "attn")
    except DispatchError as error:
        yield BodyFault(message=f"refused at attention: {error.message}")


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
