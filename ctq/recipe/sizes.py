"""What a scheme does not fit: groups, words of zero points, experts that no kernel takes, layers that a loader cuts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.errors import ExitCode, Problem
from ctq.findings import named
from ctq.recipe.packing import values_per_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.recipe.heads import Head
    from ctq.recipe.schemes import Scheme

EXPERTS_MULTIPLE = 128
"""What the width of a model must be a multiple of for weight-only experts with one scale to a row.

vLLM 0.32.0 marlin_utils.py:379: the one kernel that takes them; compressed_tensors_moe_wna16.py:127 refuses others.
"""
_EXPERT = re.compile(r"\.experts\.")
_CUT = {
    "BloomForCausalLM": (re.compile(r"\.query_key_value$"), r"\.query_key_value$"),
    "TeleChat2ForCausalLM": (re.compile(r"\.key_value$"), r"\.(query|key_value|qkv_proj)$"),
}
"""Layers whose tensors vLLM cuts by rows while it loads, `weight_shape` of a packed one among them, which it refuses; and a pattern
of what else must stay dense with them: the layer that vLLM fuses them into, under its own name too.

vLLM 0.32.0 bloom.py:305, telechat2.py:70-92.
"""


def is_cut(architecture: str | None, module: str) -> bool:
    """Tell whether vLLM's loader cuts the tensors of a layer, which it cannot do where the layer is packed."""
    found = _CUT.get(architecture or "")
    return found is not None and found[0].search(module) is not None


def size_problems(
    wanted: Iterable[tuple[str, WeightSlice, Scheme]], config: ModelConfig, head: Head | None
) -> Iterator[Problem]:
    """Yield what stands against the schemes of weights, which come with the names of their modules."""
    named, hidden_size = list(wanted), config.hidden_size
    pairs = [(weight, scheme) for _, weight, scheme in named]
    yield from _indivisible(pairs, head)
    yield from _half_words(pairs, head)
    narrow = [module for module, _, scheme in named if _is_refused_expert(module, scheme, hidden_size)]
    if narrow:
        yield Problem(
            message=f"weight-only experts with one scale to a row need a hidden size that is a multiple of {EXPERTS_MULTIPLE}, "
            f"not {hidden_size}: {narrow[0]}",
            hint="take --strategy group, or W8A8",
            exit_code=ExitCode.USAGE,
        )
    cut = [module for module, _, scheme in named if scheme.activations is None and is_cut(config.architecture, module)]
    if cut:
        yield Problem(
            message=f"vLLM's loader cuts the tensors of {cut[0]} by rows, which it cannot do with a packed layer",
            hint=f"take W8A8, or --ignore 're:.*{_CUT[config.architecture or ''][1]}'",
            exit_code=ExitCode.USAGE,
        )


def _is_refused_expert(module: str, scheme: Scheme, hidden_size: int | None) -> bool:
    by_row = scheme.activations is None and scheme.weights.strategy == "channel"
    return by_row and _EXPERT.search(module) is not None and bool(hidden_size and hidden_size % EXPERTS_MULTIPLE)


def _indivisible(pairs: Iterable[tuple[WeightSlice, Scheme]], head: Head | None) -> Iterator[Problem]:
    """Check that each group size divides the columns of every weight it is used on; one problem for each size."""
    bad: dict[int, list[WeightSlice]] = {}
    for weight, scheme in pairs:
        size = scheme.weights.group_size
        if size and weight.columns % size:
            bad.setdefault(size, []).append(weight)
    for size, weights in bad.items():
        yield _unfit(
            weights,
            f"group size {size} does not divide the {weights[0].columns} columns of",
            "take a smaller --group-size, --strategy channel, or --ignore these layers",
            head,
        )


def _half_words(pairs: Iterable[tuple[WeightSlice, Scheme]], head: Head | None) -> Iterator[Problem]:
    """Check that packed zero points, which run along the rows, fill whole words: engines have no parameter for the rest.

    vLLM 0.32.0 ``compressed_tensors_wNa16.py`` loads rows // pack factor rows of them.
    """
    packed = [(weight, scheme.weights) for weight, scheme in pairs if scheme.is_packed and not scheme.weights.symmetric]
    bad = [
        (weight, per_word) for weight, codes in packed if weight.rows % (per_word := values_per_word(codes.num_bits))
    ]
    if bad:
        (first, per_word), weights = bad[0], [weight for weight, _ in bad]
        yield _unfit(
            weights,
            f"zero points are packed {per_word} rows to a word, which does not divide the {first.rows} rows of",
            "leave out --asymmetric, take W8A8 for these layers, or --ignore them",
            head,
        )


def _unfit(weights: list[WeightSlice], what: str, hint: str, head: Head | None) -> Problem:
    """Say what does not fit the ``weights``; of the head alone it is the head that is impossible."""
    names = list(dict.fromkeys(weight.tensor for weight in weights))
    is_head = head is not None and names == [head.tensor or head.embedding]
    return Problem(
        message=f"{what} {named(names, 1)}", hint=hint, exit_code=ExitCode.NOT_GOOD if is_head else ExitCode.USAGE
    )
