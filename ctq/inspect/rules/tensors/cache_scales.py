"""TEN: scales of the key-value cache, and whether vLLM builds attention that takes them."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.registry import registered_name
from ctq.engines.vllm_models.seen import overlooking_architectures
from ctq.engines.vllm_models.text_architecture import text_architecture
from ctq.inspect.modules.parts import (
    CACHE_PARTS,
    RECURRENT,
    SCALES_OF_PROJECTIONS,
    attention_of,
    attention_of_projection,
)
from ctq.inspect.rules.rule import about
from ctq.recipe.kinds import OTHER_PARTS, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit

_ATTENTION = re.compile(r"attn|attention|mixer")
_KEYS = re.compile(r"^(?:k|kv|qkv)_proj$|query_key_value|^(?:c_attn|Wqkv|wqkv|wk|key)$|^kv_[ab]_proj")
"""Projections of keys."""
_LATENT = re.compile(r"^kv_[ab]_proj")
"""Projections of latent attention, whose loaders pass over scales that they do not know."""
_AWQ = "awq"
_MAPPED = re.compile(r"attn|[kv]_proj")
"""Modules beside whose scales AWQ's loader leaves nothing to refuse: it takes them for those of `attn`, and drops them."""
_AS_CALIBRATED = "drop the scales, or give them the names and sizes of the tool that calibrated the cache"


def misplaced_cache_scale(facts: Facts) -> Iterator[Hit]:
    """Report scales of the key-value cache where no attention is, or of a wrong size.

    ## What it checks
    `k_scale`, `v_scale`, `q_scale` and their zero points belong to an attention module, the first two to its `k_proj` and `v_proj`
    too; each holds one number, unless `kv_cache_scheme` has the strategy `attn_head`. Some of vLLM's classes build their attention
    without the quantization config (LFM2, Jamba, Zamba 2): those take no scales at all, but for latent attention, where they are
    left unread. Nor does a dense model take any, or one as AWQ beside its attention, unless its class overlooks them.

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
    if not facts.is_compressed_tensors:
        yield from _untaken(facts)
    elif not _attention_is_asked(facts):
        yield from _refused_at_all(facts)
    else:
        yield from _misplaced(facts)


def _misplaced(facts: Facts) -> Iterator[Hit]:
    """Report scales that belong to no attention, and those that are no number where the config has one for all heads."""
    scheme = facts.raw_quantization.get("kv_cache_scheme")
    per_head = isinstance(scheme, dict) and scheme.get("strategy") == "attn_head"
    attention, recurrent = _attention_modules(facts), _recurrent_modules(facts)
    lost, odd = [], []
    for entry in facts.entries:
        parts = {name: part for name, part in entry.modules.parts.items() if name in CACHE_PARTS}
        if parts and (entry.modules.template in recurrent or not _takes_scales(entry, parts, attention)):
            lost.append(entry)
        elif not per_head and any(prod(part.shape) != 1 for part in parts.values()):
            odd.append(entry)
    if lost:
        yield about(lost, "a scale of the key-value cache, but no attention", _AS_CALIBRATED)
    if odd:
        yield about(odd, "a scale of the key-value cache that is not one number", _AS_CALIBRATED)


def _untaken(facts: Facts) -> Iterator[Hit]:
    """Report scales where no quantization of the attention takes them, and vLLM's class refuses what it does not know."""
    config = facts.config
    name = config.architecture or ""
    # A method without a config: by its own file, as ModelOpt's (hf_quant_config.json).
    is_quantized = facts.quant is not None or facts.method is not None
    is_awq = (facts.method or "").lower() == _AWQ
    if is_quantized and not is_awq:
        return
    if registered_name(name) is None and not is_served_by_backend(name):
        return
    found = [entry for entry in facts.entries if _has_scales(entry) and entry.kind not in OTHER_PARTS]
    found = [entry for entry in found if not (is_awq and _MAPPED.fullmatch(entry.modules.leaf))]
    if found and overlooking_architectures().isdisjoint({name, text_architecture(config)}):
        said = "a scale of the key-value cache, and nothing in the config that quantizes attention"
        yield about(found, said, hint="drop the scales, or restore quantization_config")


def _attention_is_asked(facts: Facts) -> bool:
    names = facts.names
    return names is None or names.asks("attention")


def _refused_at_all(facts: Facts) -> Iterator[Hit]:
    found = [entry for entry in facts.entries if _has_scales(entry)]
    is_latent = any(_LATENT.search(entry.modules.leaf) for entry in facts.entries)
    if found and not is_latent:
        owner = f"vLLM's {facts.config.architecture}"
        said = f"a scale of the key-value cache, and {owner} builds its attention without quantization"
        yield about(found, said, hint="drop the scales")


def _has_scales(entry: Entry) -> bool:
    parts = entry.modules.parts.keys()
    return not CACHE_PARTS.isdisjoint(parts) or attention_of(entry.modules.template, parts) is not None


def _attention_modules(facts: Facts) -> frozenset[str]:
    """Return the templates of modules that hold projections of keys, or of queries, keys and values at once."""
    return frozenset(
        entry.modules.template.rpartition(".")[0] for entry in facts.entries if _KEYS.search(entry.modules.leaf)
    )


def _recurrent_modules(facts: Facts) -> frozenset[str]:
    return frozenset(
        entry.modules.template.rpartition(".")[0] for entry in facts.entries if entry.modules.leaf in RECURRENT
    )


def _takes_scales(entry: Entry, parts: Collection[str], attention: frozenset[str]) -> bool:
    template = entry.modules.template
    if attention_of_projection(template) is not None:
        return set(parts) <= SCALES_OF_PROJECTIONS
    return template in attention or (entry.kind is Kind.PARAMETER and _ATTENTION.search(entry.modules.leaf) is not None)
