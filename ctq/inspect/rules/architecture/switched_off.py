"""TEN: tensors that a switch of the config leaves out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ctq.engines.skeletons.switches import optional_tensors
from ctq.inspect.presence.stands_for import layers_by_tensor
from ctq.inspect.rules.rule import Hit
from ctq.recipe.template import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts


def tensor_switched_off(facts: Facts) -> Iterator[Hit]:
    """Report tensors that vLLM has no place for under this config, though the architecture has them under another.

    ## What it checks
    Biases, norms and the like that come with a setting of the config (`attention_bias`, `use_qk_norm`, DeepSeek's `q_lora_rank` and
    `topk_method`), where vLLM was seen to refuse them under its value; some of its classes have no place for them whatever it says.

    ## Why it hurts
    vLLM stops with *There is no module or parameter named ...*, or leaves the tensors out.

    ## Example
    `self_attn.k_norm.weight` of a `CohereForCausalLM` whose config says `"use_qk_norm": false`.

    ## How to mend
    Give the switch the value that it had in the original's config. Where that is its value, this engine does not serve the model.

    ## References
    `benchmarks/learn/optional_tensors.py`, which asked vLLM 0.32.0; its `models/deepseek_v2.py`.
    """
    skeleton = facts.skeleton
    if skeleton is None:
        return
    refused = [one for one in optional_tensors(facts.config, skeleton) if not one.taken]
    present = layers_by_tensor(facts, skeleton) if refused else {}
    found = [one for one in refused if one.tensor in present]
    if found:
        one = found[0]
        name = numbered(one.tensor, min(present[one.tensor], default=0))
        more = f", nor for {len(found) - 1} more like it" if len(found) > 1 else ""
        yield Hit(
            where=name,
            message=f"vLLM has no place for {name} where `{one.switch}` is {json.dumps(one.value)}{more}",
            hint="give the switch the value that it had in the original's config",
        )
