"""TEN: dense layers and layers of experts, as the config counts them and as they lie in the files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.sparse_layers import sparse_layers
from ctq.inspect.rules.rule import Hit
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts import Facts

_EXPERTS = re.compile(r"model\.layers\.#\.mlp\.experts\b.*")
_DENSE = re.compile(r"model\.layers\.#\.mlp\.(gate_up|gate|up|down)_proj")


def layer_of_another_kind(facts: Facts) -> Iterator[Hit]:
    """Report a layer that holds experts where the config makes it dense, or the other way round.

    ## What it checks
    The numbers by which a config tells dense layers from layers of experts (`first_k_dense_replace`, `decoder_sparse_step` and
    `mlp_only_layers`, `moe_layer_start_index`), or what its class assumes for them, against the layers in the files.

    ## Why it hurts
    Engines build the layers by these numbers: they stop at the tensors of the other kind, or leave the layer uninitialised.

    ## Example
    `"first_k_dense_replace": 0` beside `model.layers.0.mlp.gate_proj.weight`.

    ## How to mend
    Restore the number of the original's config.

    ## References
    vLLM 0.32.0 `model_executor/models/deepseek_v2.py:1293`, `qwen3_moe.py:390`, `ernie45_moe.py:343`.
    """
    known = sparse_layers(facts.checkpoint.config)
    if known is None:
        return
    sparse, key = known
    experts, dense = _layers(facts, _EXPERTS), _layers(facts, _DENSE)
    for layer, has_experts in enumerate(sparse):
        if layer in (dense - experts if has_experts else experts - dense):
            found, said = ("a dense one", "experts") if has_experts else ("experts", "a dense one")
            yield Hit(
                where=f"config.json: {key}",
                message=f"model.layers.{layer}.mlp is {found} in the files, where the config says {said} ({key})",
                hint=f"restore {key} of the original",
            )
            return


def _layers(facts: Facts, pattern: re.Pattern[str]) -> set[int]:
    """Return the numbers of the layers that have modules of a name."""
    return {
        numbers[0]
        for entry in facts.entries
        if entry.kind is not Kind.DRAFT and pattern.fullmatch(entry.modules.template)
        for numbers in entry.modules.numbers
    }
