"""TEN: dense layers and layers of experts, as the config counts them and as they lie in the files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.skeletons.indexers import indexed_layers
from ctq.engines.skeletons.layer_counts import layer_count
from ctq.engines.skeletons.mixers import mixers
from ctq.engines.skeletons.sparse_layers import sparse_layers
from ctq.inspect.presence.passed_over import is_passed_over
from ctq.inspect.rules.rule import Hit
from ctq.recipe.kinds import BESIDE
from ctq.recipe.template import inside_layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts

_EXPERTS = re.compile(r".*\blayers\.#\.(mlp|feed_forward)\.experts\b.*")
_DENSE = re.compile(r".*\blayers\.#\.(mlp|feed_forward)\.((gate_up|gate|up|down)_proj|w[123])")
_ROUTED = re.compile(
    r".*\blayers\.#\.(mlp|feed_forward)\.(experts|gate|router|shared_experts?|shared_mlp|moe_statics|shared_expert_gate|"
    r"e_score_correction_bias|expert_bias)(\..*)?"
)
"""What lies in a layer of experts alone."""
_MIXERS = {
    "attention": re.compile(r".*\blayers\.#\.(self_attn|attn|attention|mixer)\.(q|k|v|qkv)_proj"),
    "recurrent": re.compile(
        r".*\blayers\.#\.(mamba|linear_attn|mixer|conv|short_conv|temporal_block)\.(conv1d|conv|dt_proj|in_proj\w*)"
    ),
    "hybrid": re.compile(r".*\blayers\.#\.mamba_decoder\..*"),
}
_CALLED = {
    "attention": "attention",
    "recurrent": "a state space or convolution",
    "hybrid": "a state space beside shared attention",
    "mlp": "a feed-forward alone",
}


def layer_of_another_kind(facts: Facts) -> Iterator[Hit]:
    """Report a layer that holds experts where the config makes it dense, or the other way round.

    ## What it checks
    The numbers by which a config tells dense layers from layers of experts (`first_k_dense_replace`, `decoder_sparse_step` and
    `mlp_only_layers`, `moe_layer_start_index`), or what its class assumes for them, against the layers in the files, in wrappers
    too; and of models that have both, the layers of attention and those of a state space or convolution against the list that names
    them (`layer_types`). A single tensor of the other kind counts too, such as the bias of correction of a router in a dense layer,
    or the indexer of a layer of sparse attention that takes the choice of another one (`index_topk_freq`).

    ## Why it hurts
    Engines build the layers by these numbers: they stop at the tensors of the other kind, or leave the layer uninitialised.

    ## Example
    `"first_k_dense_replace": 0` beside `model.layers.0.mlp.gate_proj.weight`.

    ## How to mend
    Restore the number of the original's config.

    ## References
    vLLM 0.32.0 `model_executor/models/deepseek_v2.py:1293`, `qwen3_moe.py:390`, `ernie45_moe.py:343`.
    """
    config = facts.config
    is_known = len(config.text_levels) == 1 or facts.skeleton is not None
    known = sparse_layers(config) if is_known else None
    yield from _other_mixers(facts) if known is None else (_other_feed_forwards(facts, *known) or _other_mixers(facts))
    yield from _idle_indexers(facts)


def _idle_indexers(facts: Facts) -> Iterator[Hit]:
    """Report the first indexer in a layer of sparse attention that has none of its own; draft layers behind the others have one."""
    config, skeleton = facts.config, facts.skeleton
    having = indexed_layers(config, skeleton.tensors) if skeleton is not None else {}
    every = frozenset(range(layer_count(config) or 0))
    for entry in facts.entries if having else ():
        inside = inside_layer(entry.modules.template)
        idle = every - having.get(f"{inside}.weight", every)
        for name, (layer, *_) in zip(entry.modules.names, entry.modules.numbers, strict=True) if idle else ():
            if layer in idle:
                said = "one that takes the choice of a layer before it"
                yield _stray(name, f"layer {layer}", said, "index_topk_freq or index_topk_pattern")
                return


def _other_feed_forwards(facts: Facts, sparse: list[bool], key: str) -> list[Hit]:
    """Report the first layer that is dense and not of experts, or the other way round."""
    experts, dense = _layers(facts, _EXPERTS), _layers(facts, _DENSE)
    for layer, has_experts in enumerate(sparse):
        if layer in (dense - experts if has_experts else experts - dense):
            found, said = ("a dense one", "experts") if has_experts else ("experts", "a dense one")
            return [_hit(f"layer {layer}", found, said, key)]
    return _foreign(facts, sparse, key)


def _foreign(facts: Facts, sparse: list[bool], key: str) -> list[Hit]:
    """Report the first tensor of a layer of experts in a dense one, or the other way round; not one that is passed over there."""
    skeleton = facts.skeleton
    for entry in facts.entries:
        template = entry.modules.template
        if entry.kind in BESIDE or (skeleton and _is_in_block(template) and is_passed_over(template, skeleton)):
            continue
        foreign = {
            has_experts for has_experts, pattern in ((False, _ROUTED), (True, _DENSE)) if pattern.fullmatch(template)
        }
        for name, (layer, *_) in zip(entry.modules.names, entry.modules.numbers, strict=True) if foreign else ():
            if layer < len(sparse) and sparse[layer] in foreign:
                said = "one of experts" if sparse[layer] else "a dense one"
                return [_stray(name, f"layer {layer}", said, key)]
    return []


def _is_in_block(template: str) -> bool:
    """Tell a tensor of the block itself, which is there in layers of both kinds."""
    return template.rpartition(".")[0].endswith((".mlp", ".feed_forward"))


def _stray(name: str, layer: str, said: str, key: str) -> Hit:
    return Hit(
        where=name,
        message=f"{name} has no place in {layer}, which the config makes {said} ({key})",
        hint=f"leave it out, or restore {key} of the original",
    )


def _other_mixers(facts: Facts) -> list[Hit]:
    """Report the first layer of another kind than the config has it: attention, a state space or a convolution, or both."""
    layers = {name: _layers(facts, pattern) for name, pattern in _MIXERS.items()}
    both = layers["attention"] & layers["recurrent"]
    own = {name: numbers - both for name, numbers in layers.items()}
    known = mixers(facts.config)
    if known is None or sum(map(bool, own.values())) == 1:  # a model of one kind
        return []
    for layer, said in enumerate(known[0]):
        found = next((name for name, numbers in own.items() if layer in numbers), None)
        if said and found and said != found:
            return [_hit(f"layer {layer}", f"one of {_CALLED[found]}", _CALLED[said], known[1])]
    return []


def _hit(layer: str, found: str, said: str, key: str) -> Hit:
    return Hit(
        where=f"config.json: {key}",
        message=f"{layer} is {found} in the files, where the config says {said} ({key})",
        hint=f"restore {key} of the original",
    )


def _layers(facts: Facts, pattern: re.Pattern[str]) -> set[int]:
    """Return the numbers of the text model's layers that have modules of a name."""
    return {
        numbers[0]
        for entry in facts.entries
        if entry.kind not in BESIDE and pattern.fullmatch(entry.modules.template)
        for numbers in entry.modules.numbers
    }
