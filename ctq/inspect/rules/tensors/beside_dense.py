"""TEN: what a quantizer left beside a weight that is dense, in a quantized model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.skeletons.engine_places import lies_in, own_name
from ctq.engines.skeletons.tower_strangers import strangers_of
from ctq.inspect.modules.forms import Form
from ctq.inspect.presence.passed_over import refused_parts
from ctq.inspect.rules.rule import Hit, listing
from ctq.recipe.kinds import OTHER_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_LEFT = (
    *("input_scale", "input_zero_point", "output_scale"),
    *("weight_zero_point", "weight_g_idx", "weight_shape", "weight_global_scale"),
)
"""Parts of quantized layers; a `weight_scale` has a finding of its own, and `g_idx` is dropped wherever there is a config."""


def part_beside_dense(facts: Facts) -> Iterator[Hit]:
    """Report parts of quantized layers beside weights that are dense.

    ## What it checks
    In a model quantized by compressed-tensors: `input_scale`, zero points, `weight_g_idx`, `weight_shape` and the like beside a
    float weight without a scale, in layers that are left dense, routers, norms, embeddings and the layers of towers. Where vLLM's
    loader is not known to refuse what it does not know, nothing is said.

    ## Why it hurts
    A dense layer has no such parameter: vLLM stops with *There is no module or parameter named
    'model.layers.0.mlp.gate.input_scale'*, in a layer that it fuses with *object has no attribute 'data'*.

    ## Example
    `model.norm.input_scale`, which a script wrote for every module that it calibrated.

    ## How to mend
    Leave the tensors out, or quantize the layer.

    ## References
    vLLM 0.32.0 `model_executor/models/utils.py:442`.
    """
    skeleton = facts.skeleton if facts.is_compressed_tensors else None
    if skeleton is None:
        return
    found = [(entry, parts) for entry in facts.entries if (parts := _left(entry, skeleton))]
    if found:
        first, (part, *_) = found[0]
        yield Hit(
            where=f"{first.modules.names[0]}.{part}",
            message=f"{part} beside the dense weight of {listing([entry for entry, _ in found])}",
            hint="leave it out, or quantize the layer",
        )


def _left(entry: Entry, skeleton: Skeleton) -> list[str]:
    """Return what lies beside a dense weight, where vLLM refuses what it does not know."""
    if entry.stored.form is not Form.DENSE or entry.is_head:
        return []
    if entry.kind not in OTHER_PARTS:
        return refused_parts(entry, skeleton, _LEFT)
    left = [part for part in _LEFT if part in entry.modules.parts]
    return left if left and _is_in_strict_part(entry, skeleton) else []


def _is_in_strict_part(entry: Entry, skeleton: Skeleton) -> bool:
    """Tell what lies beside the text model where the loader refuses what it does not know: layers of some towers, projectors."""
    stack = next((stack for stack in skeleton.towers.lists if lies_in(skeleton, entry.modules.template, stack)), None)
    if stack is None:
        return (
            "module" in skeleton.refuses and own_name(skeleton, f"{entry.modules.template}.weight") in skeleton.tensors
        )
    strangers = strangers_of(skeleton.architecture).get(stack)
    return strangers is not None and strangers.refuses_any
