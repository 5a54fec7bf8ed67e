"""TEN: the sizes of weights and vectors against the numbers of the config, where the architecture is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOATS
from ctq.engines.skeletons.dimensions import dimension
from ctq.engines.skeletons.engine_places import own_name
from ctq.engines.skeletons.head_bias import has_head_bias
from ctq.engines.skeletons.layer_numbers import numbers_by_layer
from ctq.engines.vllm_models.fused_layouts import expert_shape, takes_turned_alone
from ctq.inspect.modules.forms import Form
from ctq.inspect.presence.stands_for import dense_shapes, experts_inside
from ctq.inspect.rules.rule import about
from ctq.recipe.kinds import Kind
from ctq.recipe.template import numbered, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctq.engines.skeletons.layer_numbers import Numbers
    from ctq.engines.skeletons.skeleton import Skeleton, Slot
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit

_DELTA_NET = ".linear_attn.conv1d.weight"
"""A convolution over each channel alone, whose kernel vLLM takes as a row too, as MLX has it.

Source: vLLM 0.32.0 ``layers/mamba/mamba_mixer2.py`` (`mamba_v2_sharded_weight_loader`).
"""
_ROWS_OR_COLUMNS = (Kind.NORM, Kind.TOWER, Kind.PROJECTOR, Kind.CONVOLUTION)
"""Kinds of modules of which a bias is as long as one dimension of the weight: of a transposed one it is not the first."""
_COUNTERS = ("num_batches_tracked",)
"""Parameters that are integers in every architecture: torch's norms of batches count them."""
_WORD = 4
"""Columns that the last word of a packed row may hold beyond the weight's own."""


def size_against_config(facts: Facts) -> Iterator[Hit]:
    """Report weights whose size is not what the config says.

    ## What it checks
    The rows and columns of each weight, and the size of each vector and parameter, against the numbers of the config that the
    architecture makes them of (`hidden_size`, `intermediate_size`, heads times `head_dim`), where those are known; and a bias of
    the head that vLLM loads, against the vocabulary.

    ## Why it hurts
    Engines make their parameters by the config and refuse tensors of another size, or take a part of them.

    ## Example
    `"intermediate_size": 11008` beside `mlp.up_proj.weight` [14336, 4096].

    ## How to mend
    Restore the config that belongs to the weights, or the weights that belong to the config.

    ## References
    vLLM 0.32.0 `model_executor/parameter.py`; `benchmarks/learn/skeletons.py`.
    """
    yield from _head_bias(facts) or _against_config(facts)


def _against_config(facts: Facts) -> Iterator[Hit]:
    """Report the first tensor of another size than the architecture makes of the config's numbers."""
    skeleton = facts.skeleton
    if skeleton is None:
        return
    layers = numbers_by_layer(facts.config, skeleton)
    for entry in facts.entries:
        wrong = next(_faults(entry, skeleton, layers, facts), None)
        if wrong is not None:
            yield about(
                [entry], wrong, hint="restore the config that belongs to the weights, or fetch the weights again"
            )
            return


def _faults(entry: Entry, skeleton: Skeleton, layers: Sequence[Numbers], facts: Facts) -> Iterator[str]:
    """Yield what is wrong with the sizes of a set's tensors; ``layers`` are the numbers that each layer has of its own."""
    config, packed = facts.config, entry.stored.form is Form.PACKED
    for name, shape in (*dense_shapes(entry), *_experts_inside(entry, skeleton)):
        tensor = own_name(skeleton, name)
        slot = _slot(skeleton, tensor, entry)
        odd = _odd_vector(entry, name) if slot is not None else None
        if odd is not None:
            yield odd
        if slot is not None:
            kinds = _numbers(layers, tensor, entry, skeleton)
            for numbers in kinds:
                size_of = partial(dimension, config=config, computed=skeleton.computed, own=numbers)
                yield from filter(None, [_wrong(slot, shape, size_of, packed=packed)])


def _experts_inside(entry: Entry, skeleton: Skeleton) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the shapes of single experts' weights in a tensor that holds all of a layer."""
    own = entry.modules.parts.get("")
    if own is not None and len(own.shape) == 3:  # [experts, out, in]
        for name in experts_inside(entry, skeleton):
            yield name, expert_shape(entry.modules.template, own.shape)


def _head_bias(facts: Facts) -> list[Hit]:
    """Report a bias of the head that is loaded and is not as long as the vocabulary, which vLLM's loader asserts."""
    config, entry = facts.config, facts.head.entry
    bias = entry.modules.parts.get("bias") if entry is not None else None
    if entry is None or bias is None or config.vocab_size is None or not has_head_bias(config):
        return []
    if bias.shape == (config.vocab_size,):
        return []
    said = f"a bias of shape {list(bias.shape)} where the vocabulary is {config.vocab_size}"
    hint = "restore the config that belongs to the weights, or leave out the bias if the original has none"
    return [about([entry], said, hint)]


def _odd_vector(entry: Entry, name: str) -> str | None:
    """Say what of a bias or of a parameter that is no module's weight is not as it is in every architecture."""
    if name.endswith(".bias"):
        return _odd_bias(entry)
    own = entry.modules.parts.get("") if entry.modules.leaf not in _COUNTERS else None
    return (
        f"a parameter in {own.dtype}, where floats are expected"
        if own is not None and own.dtype not in FLOATS
        else None
    )


def _slot(skeleton: Skeleton, name: str, entry: Entry) -> Slot | None:
    """Return what is known of a tensor by its template, or by the number of a layer that has sizes of its own."""
    slot = skeleton.slot(name)
    if slot is not None and _is_turned(slot, skeleton, entry):
        first, *matrix = slot.dimensions or ()
        return replace(slot, dimensions=(first, *reversed(matrix)))
    if slot is not None and name.endswith(_DELTA_NET) and _ends_with_one(entry):
        channels, *kernel = slot.dimensions or ()
        return replace(slot, dimensions=(channels, *reversed(kernel)))
    if slot is None or name not in skeleton.towers.numbered:
        return slot
    own = (skeleton.towers.sizes.get(numbered(name, numbers[0])) for numbers in entry.modules.numbers)
    return replace(slot, dimensions=next((sizes for sizes in own if sizes is not None), slot.dimensions))


def _numbers(layers: Sequence[Numbers], tensor: str, entry: Entry, skeleton: Skeleton) -> list[Numbers]:
    """Return the numbers that the layers of a set have of their own, each kind of layer once; of draft layers nothing is known."""
    if not layers or stack_of(tensor) not in skeleton.stacks:
        return [{}]
    found: list[Numbers] = []
    for layer in {numbers[0] for numbers in entry.modules.numbers}:
        if layer < len(layers) and layers[layer] not in found:
            found.append(layers[layer])
    return found


def _ends_with_one(entry: Entry) -> bool:
    weight = entry.modules.weight
    return weight is not None and weight.shape[-1:] == (1,)


def _is_turned(slot: Slot, skeleton: Skeleton, entry: Entry) -> bool:
    """Tell all experts of a layer in one tensor of a class that takes them turned, which transformers saves otherwise."""
    is_whole = entry.kind is Kind.FUSED_EXPERTS and len(slot.dimensions or ()) == 3
    return is_whole and takes_turned_alone(skeleton.architecture)


def _odd_bias(entry: Entry) -> str | None:
    """Say what of a bias is not that of a vector of floats, as long as its weight has rows; a norm's may be per head."""
    bias, weight = entry.modules.parts["bias"], entry.modules.weight
    is_per_head = entry.kind is not Kind.LINEAR and weight is not None and bias.shape == weight.shape
    if len(bias.shape) != 1 and not is_per_head:
        return f"a bias of shape {list(bias.shape)}, where a vector is expected"
    if bias.dtype not in FLOATS:
        return f"a bias in {bias.dtype}, where floats are expected"
    if weight is None or not weight.shape:
        return None
    if entry.kind is Kind.LINEAR and len(weight.shape) == 2 and bias.shape[0] != weight.shape[0]:
        return f"a bias of {bias.shape[0]} beside a weight of {weight.shape[0]} rows"
    if entry.kind in _ROWS_OR_COLUMNS and bias.shape[0] not in weight.shape:
        return f"a bias of {bias.shape[0]} beside a weight of shape {list(weight.shape)}"
    return None


def _wrong(slot: Slot, shape: tuple[int, ...], size_of: Callable[[str], int | None], *, packed: bool) -> str | None:
    """Say what is not as the config has it: the rank, or the first dimension that differs."""
    if slot.dimensions is None:
        return None
    if len(slot.dimensions) != len(shape):
        return f"a shape of {list(shape)} where {len(slot.dimensions)} dimensions are expected"
    for axis, (expression, found) in enumerate(zip(slot.dimensions, shape, strict=True)):
        size = size_of(expression) if expression else None
        spare = _WORD if axis == len(shape) - 1 and packed else 1
        if size is not None and not 0 <= found - size < spare:
            read = next(one for one in (expression or "").split("|") if size_of(one) is not None)
            return f"{found} where the config says {read} = {size}"
    return None
