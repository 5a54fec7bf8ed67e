"""TEN: tensors inside of linear layers, where no model class of vLLM has one, whatever the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.modules.forms import COMPRESSED
from ctq.inspect.rules.rule import about
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit


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
        said = "inside a quantized linear layer, of which it is no part"
        yield about(inside, said, hint="leave the tensors out; merge an adapter before quantizing")


def _lies_in(template: str, layers: Collection[str]) -> bool:
    outer = template.rpartition(".")[0]
    while outer:
        if outer in layers:
            return True
        outer = outer.rpartition(".")[0]
    return False
