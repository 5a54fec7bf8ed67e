"""TEN: tensors in places where no model class of vLLM has one, whatever the architecture."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

from ctq.engines.vllm_models.names import names_of
from ctq.inspect.modules.forms import COMPRESSED
from ctq.inspect.modules.parts import CACHE_PARTS, attention_of
from ctq.inspect.rules.rule import Hit, listing
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_ATTENTION = re.compile(r"attn|attention|mixer")
_PROJECTIONS = re.compile(r"\.self_attn\.(?:[kv]_proj|qk(?:qk)?v_proj)|\.mixer\.[kv]_proj")
"""Projections whose ``k_scale`` and ``v_scale`` vLLM 0.32.0 takes for attention's (`get_cache_scale_mapper`)."""
_KEYS = re.compile(r"^(?:k|kv|qkv)_proj$|query_key_value|^(?:c_attn|Wqkv|wqkv|wk|key)$|^kv_[ab]_proj")
"""Projections of keys."""
_LATENT = re.compile(r"^kv_[ab]_proj")
"""Projections of latent attention, whose loaders pass over scales that they do not know."""
_OF_PROJECTIONS = frozenset({"k_scale", "v_scale"})


def misplaced_cache_scale(facts: Facts) -> Iterator[Hit]:
    """Report scales of the key-value cache where no attention is, or of a wrong size.

    ## What it checks
    `k_scale`, `v_scale`, `q_scale` and their zero points belong to an attention module, the first two to its `k_proj` and `v_proj`
    too; each holds one number, unless `kv_cache_scheme` has the strategy `attn_head`. Some of vLLM's classes build their attention
    without the quantization config (LFM2, Jamba, Zamba 2): those take no scales at all, but for latent attention, where they are
    left unread.

    ## Why it hurts
    vLLM looks for the module `attn` beside such a name and stops where there is none: *There is no module or parameter named
    'model.layers.0.mlp.down_proj.attn'*; several numbers do not fit its parameter of one.

    ## Example
    `model.layers.0.mlp.down_proj.k_scale`, or a `k_scale` of [8] without a `kv_cache_scheme`.

    ## How to mend
    Drop the tensors, or give them the names and sizes of the tool that calibrated the cache.

    ## References
    vLLM 0.32.0 `layers/quantization/base_config.py` (`get_cache_scale_mapper`), `model_loader/weight_utils.py:1485`.
    """
    quant = facts.compressed_tensors
    if quant is None:
        return
    scheme = quant.raw.get("kv_cache_scheme")
    per_head = isinstance(scheme, dict) and scheme.get("strategy") == "attn_head"
    hint = "drop the scales, or give them the names and sizes of the tool that calibrated the cache"
    if not _attention_is_asked(facts):
        yield from _refused_at_all(facts)
        return
    attention = _attention_modules(facts)
    lost, odd = [], []
    for entry in facts.entries:
        parts = {name: part for name, part in entry.modules.parts.items() if name in CACHE_PARTS}
        if parts and not _takes_scales(entry, parts, attention):
            lost.append(entry)
        elif not per_head and any(prod(part.shape) != 1 for part in parts.values()):
            odd.append(entry)
    if lost:
        where = lost[0].modules.names[0]
        yield Hit(where=where, message=f"{listing(lost)}: a scale of the key-value cache, but no attention", hint=hint)
    if odd:
        where = odd[0].modules.names[0]
        yield Hit(
            where=where, message=f"{listing(odd)}: a scale of the key-value cache that is not one number", hint=hint
        )


def _attention_is_asked(facts: Facts) -> bool:
    names = names_of(facts.checkpoint.config)
    return names is None or "attention" not in names.unasked


def _refused_at_all(facts: Facts) -> Iterator[Hit]:
    found = [entry for entry in facts.entries if _has_scales(entry)]
    is_latent = any(_LATENT.search(entry.modules.leaf) for entry in facts.entries)
    if found and not is_latent:
        owner = f"vLLM's {facts.checkpoint.config.architecture}"
        yield Hit(
            where=found[0].modules.names[0],
            message=f"{listing(found)}: a scale of the key-value cache, and {owner} builds its attention without quantization",
            hint="drop the scales",
        )


def _has_scales(entry: Entry) -> bool:
    parts = entry.modules.parts.keys()
    return not CACHE_PARTS.isdisjoint(parts) or attention_of(entry.modules.template, parts) is not None


def _attention_modules(facts: Facts) -> frozenset[str]:
    """Return the templates of modules that hold projections of keys, or of queries, keys and values at once."""
    return frozenset(
        entry.modules.template.rpartition(".")[0] for entry in facts.entries if _KEYS.search(entry.modules.leaf)
    )


def _takes_scales(entry: Entry, parts: Collection[str], attention: frozenset[str]) -> bool:
    template = entry.modules.template
    if _PROJECTIONS.search(f".{template}"):
        return set(parts) <= _OF_PROJECTIONS
    return template in attention or (entry.kind is Kind.PARAMETER and _ATTENTION.search(entry.modules.leaf) is not None)


def tensor_inside_a_layer(facts: Facts) -> Iterator[Hit]:
    """Report tensors that lie inside a quantized linear layer and are no part of one.

    ## What it checks
    Nothing stands under the name of a quantized linear layer but its own parts, whatever the architecture.

    ## Why it hurts
    A linear layer of an engine has no modules or parameters of other names: vLLM stops with *There is no module or parameter
    named ...*, for experts with an AttributeError.

    ## Example
    `model.layers.0.mlp.up_proj.azp_adj`, or the `lora_A.weight` of an adapter that was not merged.

    ## How to mend
    Leave the tensors out; merge an adapter before quantizing.

    ## References
    vLLM 0.32.0 `model_executor/models/utils.py:442`, `layers/fused_moe/routed_experts.py:1026`.
    """
    layers = {
        entry.modules.template
        for entry in facts.entries
        if entry.stored.form in COMPRESSED and (entry.is_head or entry.kind in (Kind.LINEAR, Kind.ROUTER))
    }
    inside = [entry for entry in facts.entries if _lies_in(entry.modules.template, layers)]
    if inside and facts.is_compressed_tensors:
        yield Hit(
            where=inside[0].modules.names[0],
            message=f"{listing(inside)}: inside a quantized linear layer, of which it is no part",
            hint="leave the tensors out; merge an adapter before quantizing",
        )


def _lies_in(template: str, layers: Collection[str]) -> bool:
    outer = template.rpartition(".")[0]
    while outer:
        if outer in layers:
            return True
        outer = outer.rpartition(".")[0]
    return False
