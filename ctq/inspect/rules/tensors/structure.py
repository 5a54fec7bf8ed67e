"""TEN: what is missing as a whole, and what does not fit the config's sizes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ctq.engines.configs.nested_text import vocabulary
from ctq.engines.skeletons.layer_numbers import numbers_by_layer
from ctq.findings import Severity
from ctq.inspect.presence.gaps import missing_experts, missing_layers, missing_modules
from ctq.inspect.rules.rule import Hit, missing_from_files
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_FEWEST_LAYERS = 3
"""With fewer others it cannot be told which is the odd one."""


def vocabulary_mismatch(facts: Facts) -> Iterator[Hit]:
    """Report a head whose rows are not the vocabulary's.

    ## What it checks
    Rows of the head (of the embedding, where the head is tied to it) against `vocab_size`.

    ## Why it hurts
    vLLM asserts that they are equal; transformers refuses the shape.

    ## Example
    `lm_head.weight` [128256, 4096] under `"vocab_size": 128000`, after tokens were added to one and not to the other.

    ## How to mend
    Set `vocab_size` to the rows, or resize embedding and head together before quantizing.

    ## References
    vLLM 0.32.0 `vocab_parallel_embedding.py:515`.
    """
    size = vocabulary(facts.config)
    for entry in facts.entries:
        rows = _rows(entry, facts)
        if size is not None and rows is not None and rows != size:
            name = entry.modules.names[0]
            yield Hit(
                where=name,
                message=f"{name} has {rows} rows, vocab_size is {size}",
                hint="set vocab_size to the rows, or resize embedding and head together before quantizing",
            )
            return


def _rows(entry: Entry, facts: Facts) -> int | None:
    """Return the rows of the head, or of the embedding where that is the head: elsewhere it may have rows of its own."""
    name = entry.modules.names[0]
    is_tied_head = facts.head.entry is None and facts.head.embedding == f"{name}.weight"
    weight = entry.modules.weight if entry.is_head or is_tied_head else None
    return weight.shape[0] if weight is not None and len(weight.shape) == 2 else None  # a matrix


def hidden_size_mismatch(facts: Facts) -> Iterator[Hit]:
    """Report a model whose width is not the config's `hidden_size`.

    ## What it checks
    Columns of the head against `hidden_size`, where the norms of the layers are as wide as the head.

    ## Why it hurts
    Engines build every layer from `hidden_size` and refuse the shapes of the files.

    ## Example
    The `config.json` of the 8B model beside the weights of the 1B one.

    ## How to mend
    Put the right `config.json` beside the weights.

    ## References
    vLLM 0.32.0 `parameter.py`.
    """
    hidden = facts.config.hidden_size
    entry = facts.head.entry
    weight = entry.modules.parts.get("weight") if entry is not None else None
    columns = weight.shape[1] if weight is not None and len(weight.shape) == 2 else None  # a matrix
    if hidden is None or columns is None or columns == hidden:
        return
    norms = {
        entry.modules.parts["weight"].shape
        for entry in facts.entries
        if entry.kind is Kind.NORM and "weight" in entry.modules.parts
    }
    if (columns,) in norms and (hidden,) not in norms:
        yield Hit(
            where=facts.head.name or "",
            message=f"{facts.head.name} and the norms are {columns} wide, hidden_size is {hidden}",
            hint="put the config.json of these weights beside them",
        )


def missing_module(facts: Facts) -> Iterator[Hit]:
    """Report layers, experts or single modules that are missing from the files.

    ## What it checks
    Decoder layers up to `num_hidden_layers`, every expert of every layer, the other parts of a fused layer (k without q, gate
    without up), and modules that all layers have but one.

    ## Why it hurts
    vLLM does not report parameters that were never loaded when a model is quantized: they stay uninitialised, and the model
    serves garbage.

    ## Example
    Every `model.layers.N.self_attn.k_proj` but that of layer 17.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again from a complete original.

    ## References
    vLLM 0.32.0 `default_loader.py:507`; GPTQModel PR #3077.
    """
    yield from missing_from_files([*missing_layers(facts), *missing_experts(facts), *missing_modules(facts)])


def uneven_layers(facts: Facts) -> Iterator[Hit]:
    """Report a module whose shape differs in one layer alone.

    ## What it checks
    The shape of a module in every layer: exactly one layer differs from all others. The first and the last layer are special in
    some models: there it is a warning. Where the config gives layers numbers of their own, the sizes are held against those.

    ## Why it hurts
    Models build all layers alike: engines refuse the shape, or broadcast it.

    ## Example
    `model.layers.5.mlp.up_proj` with 2048 rows where all other layers have 11008.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again.

    ## References
    vLLM 0.32.0 `parameter.py`.
    """
    shapes: dict[str, dict[tuple[int, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in facts.entries:
        weight = entry.modules.weight
        if weight is not None and entry.modules.depth == 1 and entry.kind is Kind.LINEAR:
            shapes[f"{entry.modules.template} {entry.stored.form}"][weight.shape].extend(entry.modules.names)
    for by_shape in shapes.values():
        odd = [names[0] for names in by_shape.values() if len(names) == 1]
        rest = max(len(names) for names in by_shape.values())
        is_odd = len(by_shape) == 2 and len(odd) == 1 and rest > _FEWEST_LAYERS  # two shapes, one of them once
        if is_odd and not _differ_by_config(facts):
            at_the_end = any(f".{layer}." in odd[0] for layer in (0, rest))
            yield Hit(
                where=odd[0],
                message=f"{odd[0]} has another shape than the same module in the {rest} other layers",
                hint="fetch the checkpoint again, or quantize again",
                severity=Severity.WARNING if at_the_end else None,
            )
            return


def _differ_by_config(facts: Facts) -> bool:
    """Tell a model whose config has its layers of several sizes."""
    layers = numbers_by_layer(facts.config, facts.skeleton) if facts.skeleton is not None else ()
    return any(own != layers[0] for own in layers)
