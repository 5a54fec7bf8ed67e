"""TEN: the sizes of weights against each other, where every engine makes one parameter of them, whatever the architecture."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from ctq.engines.configs.towers import tower_value
from ctq.engines.skeletons.engine_places import own_name
from ctq.engines.skeletons.layer_numbers import numbers_by_layer
from ctq.engines.vllm.fused import fused_mapping
from ctq.inspect.presence.stands_for import dense_shapes
from ctq.inspect.presence.strangers import is_in_draft_layers
from ctq.inspect.rules.rule import Hit
from ctq.recipe.fused import PROJECTIONS
from ctq.recipe.kinds import Kind
from ctq.recipe.template import SINGLE_EXPERT, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

    Shape = tuple[int, ...]
    Sets = Mapping[str, list[tuple[Entry, Shape]]]
    Fits = Callable[[Shape, Shape], bool]

_CROSS = re.compile(r"cross|encoder_attn|inter_attention")
"""Attention whose keys and values come from elsewhere, and may have another width."""
_THERE_AND_BACK = (
    ("up_proj", "down_proj"), ("gate_up_proj", "down_proj"), ("input_linear", "output_linear"), ("fc1", "fc2"),
    ("fc_in", "fc_out"), ("c_fc", "c_proj"), ("dense_h_to_4h", "dense_4h_to_h"),
)  # fmt: skip
"""The projection into an MLP, which may hold gates and ups in one, and the one that leads back."""
_FUSED_ATTENTION = (("qkv_proj", "o_proj"), ("query_key_value", "dense"), ("Wqkv", "out_proj"))
_OF_SEVERAL_SIZES = frozenset({"NemotronHPuzzleForCausalLM"})
"""Architectures whose layers have sizes of their own that no number of the config is known for."""
_WORD = 4
"""Codes of 8 bits in a packed word."""


def sizes_of_parts(facts: Facts) -> Iterator[Hit]:
    """Report weights of one layer whose sizes cannot belong together.

    ## What it checks
    The experts of a layer are all of one size; a `down_proj` is as its `gate_proj` turned over, and each MLP
    writes the width that it reads, attention a whole part of it at least; the parts of a fused layer (q, k
    and v; gate and up) have the same columns, and gate and up the same rows. In every architecture, known or not.

    ## Why it hurts
    Engines put them into one parameter: they refuse the odd one, or copy a part of it and leave the rest uninitialised.

    ## Example
    `experts.3.up_proj` with 1536 rows where the other experts of the layer have 768.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again.

    ## References
    vLLM 0.32.0 `model_executor/layers/linear.py` (`QKVParallelLinear`, `MergedColumnParallelLinear`),
    `fused_moe/layer.py` (`weight_loader`).
    """
    sets = _by_template(facts)
    for found in (_uneven_experts(sets), _misfits(sets, facts), _uneven_layers(facts)):
        hit = next(found, None)
        if hit is not None:
            yield hit
            return


def _by_template(facts: Facts) -> Sets:
    """Return the linear layers of the language model with their dense shapes; a template with one set has one shape."""
    sets: dict[str, list[tuple[Entry, Shape]]] = defaultdict(list)
    for entry in facts.entries:
        if entry.kind is Kind.LINEAR and not entry.is_head:
            shape = next((shape for name, shape in dense_shapes(entry) if name.endswith(".weight")), ())
            if len(shape) == 2:  # a matrix
                sets[entry.modules.template].append((entry, shape))
    return sets


def _numbered(sets: list[tuple[Entry, Shape]]) -> dict[tuple[int, ...], tuple[str, Shape]]:
    """Return name and shape of each module by the numbers of its layer and expert."""
    return {
        at: (name, shape)
        for entry, shape in sets
        for at, name in zip(entry.modules.numbers, entry.modules.names, strict=True)
    }


def _uneven_experts(sets: Sets) -> Iterator[Hit]:
    for template, found in sets.items():
        if SINGLE_EXPERT not in template or len(found) == 1:
            continue
        usual: dict[tuple[int, ...], tuple[str, Shape]] = {}
        for at, (name, shape) in sorted(_numbered(found).items()):
            other, expected = usual.setdefault(at[:-1], (name, shape))
            if shape != expected:
                yield _hit(name, shape, other, expected)


def _uneven_layers(facts: Facts) -> Iterator[Hit]:
    """Yield tensors of layers that are of another size than in most, where layers are alike and no number says how large."""
    skeleton = facts.skeleton
    if skeleton is None or facts.config.architecture in _OF_SEVERAL_SIZES or numbers_by_layer(facts.config, skeleton):
        return
    lists = {*skeleton.stacks, *skeleton.towers.lists}
    found: dict[str, list[tuple[Entry, Shape]]] = defaultdict(list)
    for entry in facts.entries:
        if entry.modules.depth == 1 and not is_in_draft_layers(entry, skeleton, facts):
            for name, shape in dense_shapes(entry):
                found[own_name(skeleton, name)].append((entry, shape))
    for name, sizes in found.items():
        slot = skeleton.tensors.get(name)
        is_unknown = slot is not None and (slot.dimensions is None or None in slot.dimensions)
        if is_unknown and len({shape for _, shape in sizes}) > 1 and stack_of(name) in lists - _of_several_kinds(facts):
            usual, expected = max(sizes, key=lambda one: one[0].modules.count)
            other, shape = next(one for one in sizes if one[1] != expected)
            yield _hit(other.modules.names[0], shape, usual.modules.names[0], expected)


def _of_several_kinds(facts: Facts) -> set[str]:
    """Return the lists of layers of towers whose config names some of the layers by number (SAM's with attention to all places)."""
    skeleton = facts.skeleton
    counted = {stack: one.count.rpartition(".")[0] for stack, one in skeleton.towers.lists.items()} if skeleton else {}
    levels = {stack: tower_value(facts.config, path) for stack, path in counted.items() if path}
    return {
        stack
        for stack, level in levels.items()
        if isinstance(level, dict) and any("index" in key and isinstance(value, list) for key, value in level.items())
    }


def _misfits(sets: Sets, facts: Facts) -> Iterator[Hit]:
    for parts in fused_mapping(facts.config.architecture).values():
        for one, other in pairwise(parts):
            yield from _pairs(sets, one, other, _same_columns)
    for gate, up, down in PROJECTIONS:
        yield from _pairs(sets, gate, up, _same)
        yield from _pairs(sets, gate, down, _turned)
    for into, back in _THERE_AND_BACK:
        yield from _pairs(sets, into, back, _back)
    yield from _pairs(sets, "q_proj", "o_proj", _writes)
    for fused, back in _FUSED_ATTENTION:
        yield from _pairs(sets, fused, back, _attends)


def _pairs(sets: Sets, one: str, other: str, fits: Fits) -> Iterator[Hit]:
    """Yield what does not fit of two modules of the same parent, in the same layer and expert."""
    for template, found in sets.items():
        parent, _, leaf = template.rpartition(".")
        beside = sets.get(f"{parent}.{other}") if leaf == one and not _CROSS.search(parent) else None
        if beside is None or (len(found) == len(beside) == 1 and fits(found[0][1], beside[0][1])):
            continue
        seconds = _numbered(beside)
        for at, (name, shape) in _numbered(found).items():
            second, size = seconds.get(at, (name, None))
            if size is not None and not fits(shape, size):
                yield _hit(second, size, name, shape)


def _same_columns(one: Shape, other: Shape) -> bool:
    return one[1] == other[1]


def _same(one: Shape, other: Shape) -> bool:
    return one == other


def _turned(gate: Shape, down: Shape) -> bool:
    """Compare a projection with the one that leads back; columns may be filled up to whole words, where they are packed."""
    return _filled(gate[1], down[0]) and _filled(down[1], gate[0])


def _back(into: Shape, down: Shape) -> bool:
    """Compare as `_turned`; gates and ups in one have twice the rows."""
    return _turned(into, down) or (into[0] % 2 == 0 and _turned((into[0] // 2, into[1]), down))


def _writes(into: Shape, back: Shape) -> bool:
    """Tell whether attention reads the width that it writes, or several streams of that width side by side."""
    return back[0] > 0 and into[1] >= back[0] and into[1] % back[0] < _WORD


def _attends(fused: Shape, back: Shape) -> bool:
    """Compare as `_writes`; queries, keys and values in one have more rows than what comes out of them has columns."""
    return _writes(fused, back) and fused[0] > back[1]


def _filled(columns: int, rows: int) -> bool:
    return columns in (rows, rows + -rows % _WORD)


def _hit(name: str, shape: Shape, other: str, expected: Shape) -> Hit:
    return Hit(
        where=name,
        message=f"{name} {list(shape)} does not fit {other} {list(expected)}",
        hint="fetch the checkpoint again, or quantize again",
    )
