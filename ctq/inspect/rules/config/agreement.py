"""CFG: modules that groups of the config, or engines, do not agree about: two targets, and parts of one fused layer."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ctq.inspect.facts.entries import State
from ctq.inspect.modules.fold import counted_name
from ctq.inspect.modules.forms import Form
from ctq.inspect.rules.rule import Hit
from ctq.recipe.fused import FUSED_PARTS
from ctq.recipe.kinds import Kind
from ctq.recipe.match import REGEX_PREFIX, matches_name
from ctq.recipe.template import SINGLE_EXPERT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_LINEAR = "Linear"
_SURE_FUSIONS = FUSED_PARTS[:2]
"""Parts that vLLM fuses in nearly every model that has them: q, k, v and gate, up."""


def ambiguous_targets(facts: Facts) -> Iterator[Hit]:
    """Report a module that targets of different groups reach in a way that engines decide differently.

    ## What it checks
    Two regular expressions of groups with different schemes match the same module.

    ## Why it hurts
    compressed-tensors takes the first by the alphabet, vLLM the first in the config: with the loser's scheme the tensors do not
    fit.

    ## Example
    `re:.*proj$` (W4A16) in one group and `re:.*down_proj$` (W8A8) in another.

    ## How to mend
    Narrow one of the two patterns.

    ## References
    compressed-tensors 0.17.0 `match_targets`; vLLM 0.32.0 `find_matched_target`.
    """
    quant = facts.compressed_tensors
    if quant is None or len(quant.groups) < 2:  # one group cannot disagree
        return
    regexes = [(group, target) for group in quant.groups for target in group.targets if target.startswith(REGEX_PREFIX)]
    for entry in facts.entries:
        if entry.group is None or not entry.match.declared or not (entry.match.target or "").startswith(REGEX_PREFIX):
            continue
        name = entry.modules.names[0]
        for group, target in regexes:
            if target in facts.patterns.targets.invalid or not matches_name(name, target):
                continue
            if (group.weights, group.activations) != (entry.weights, entry.activations):
                yield Hit(
                    where=name,
                    message=f"`{entry.match.target}` and `{target}` both reach {counted_name(entry.modules)}, with different "
                    "schemes: engines do not agree on which counts",
                    hint="narrow one of the two targets",
                )
                return
            break  # the first in the config, which is vLLM's choice


def fused_parts_differ(facts: Facts) -> Iterator[Hit]:
    """Report parts of one fused layer that do not share a scheme.

    ## What it checks
    q, k and v, gate and up, or the experts of one layer: some quantized and some dense, or with different schemes.

    ## Why it hurts
    Engines load them into one parameter. vLLM raises *Found different quantization schemes for the shards*, or takes the first
    part's scheme for all.

    ## Example
    `"ignore": ["model.layers.0.self_attn.q_proj"]` with k and v quantized.

    ## How to mend
    Quantize or ignore all parts of a fused layer together.

    ## References
    vLLM 0.32.0 `compressed_tensors/utils.py:65`.
    """
    healthy = [entry for entry in facts.entries if entry.diagnosis is None and not entry.is_head]
    scheme = _stored_scheme if _LINEAR in (facts.quant.targets if facts.quant is not None else ()) else _scheme
    for parent, leaves, parts in _fusions(healthy, scheme):
        kinds = {scheme(entry) for entry in parts}
        if len(kinds) > 1 and facts.is_compressed_tensors:
            words = ", ".join(dict.fromkeys(f"{entry.modules.leaf} {_words(entry)}" for entry in parts))
            yield Hit(
                where=parent,
                message=f"engines fuse {' and '.join(leaves)} of {parent}, but they differ: {words}",
                hint="quantize or ignore all parts of a fused layer together",
            )
            return


def _fusions(
    entries: Sequence[Entry], scheme: Callable[[Entry], object]
) -> Iterator[tuple[str, tuple[str, ...], list[Entry]]]:
    """Yield each parent whose fused parts lie in more than one kind of entry, once for each kind of parent."""
    by_parent: dict[tuple[str, tuple[str, ...]], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind is not Kind.LINEAR:
            continue
        for leaves in _SURE_FUSIONS:
            if entry.modules.leaf in leaves:
                by_parent[entry.modules.template.rpartition(".")[0], leaves].append(entry)
    for (_, leaves), parts in by_parent.items():
        if len({scheme(entry) for entry in parts}) < 2:  # all alike, whatever the layer
            continue
        yield from _differing(leaves, parts, scheme)


def _differing(
    leaves: tuple[str, ...], parts: Sequence[Entry], scheme: Callable[[Entry], object]
) -> Iterator[tuple[str, tuple[str, ...], list[Entry]]]:
    owners: dict[str, list[Entry]] = defaultdict(list)
    for entry in parts:
        for name in entry.modules.names:
            owners[name.rpartition(".")[0]].append(entry)
    for parent, members in owners.items():
        if len({scheme(entry) for entry in members}) > 1:
            yield parent, leaves, members


def _stored_scheme(entry: Entry) -> object:
    """Return how a part is stored, where the fused layer's class is a target: vLLM looks for that before the parts' names.

    Experts are no such layer, and packed weights tell their bits. Source: vLLM 0.32.0 ``compressed_tensors/utils.py``
    (`find_matched_target`).
    """
    of_its_own = SINGLE_EXPERT in entry.modules.template or entry.stored.form is Form.PACKED
    return _scheme(entry) if of_its_own else (entry.state, entry.stored.form)


def _scheme(entry: Entry) -> object:
    declared = (entry.weights, entry.activations) if entry.match.declared else (None, None)
    return entry.state is State.QUANTIZED, *declared


def _words(entry: Entry) -> str:
    args = entry.weights if entry.state is State.QUANTIZED else None
    return f"{args.type}{args.num_bits}" if args is not None else "dense"
