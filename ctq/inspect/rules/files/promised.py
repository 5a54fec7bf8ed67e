"""FIL: tensors that the index promises and no file has, and whether an engine would miss them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.faults import FaultKind
from ctq.engines.skeletons.engine_places import own_name
from ctq.engines.vllm_models.names import EngineNames
from ctq.findings import Severity
from ctq.inspect.rules.faults import faults_of
from ctq.inspect.rules.rule import Hit, more_like_this
from ctq.recipe.template import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.facts import Facts


def tensor_not_in_shard(facts: Facts) -> Iterator[Hit]:
    """Report tensors that the index promises and no file has.

    ## What it checks
    Every entry of the index's `weight_map` is in some file. One that the architecture does not have is a warning.

    ## Why it hurts
    The parameter stays uninitialised, or loading fails; zeros and noise have been served from stale indices.

    ## Example
    An index of the dense model beside quantized shards.

    ## How to mend
    Write the index again from the shards; if the tensor is nowhere, fetch the checkpoint again.

    ## References
    GPTQModel PR #3077.
    """
    lost = [
        fault
        for fault in faults_of(facts, FaultKind.TENSOR_NOT_IN_SHARD)
        if fault.tensor not in facts.checkpoint.tensors
    ]
    places = _places(facts) if lost else frozenset()
    missed = [fault for fault in lost if not _is_strange(fault.tensor or "", facts, places)]
    if lost:
        first = (missed or lost)[0]
        yield Hit(
            where=first.tensor or first.file,
            message=f"{first.message}, and nowhere else{more_like_this(lost)}",
            hint="write the index again from the shards, or fetch them again",
            severity=None if missed else Severity.WARNING,
        )


def _places(facts: Facts) -> frozenset[tuple[str | None, str]]:
    """Return the places in the engine's model that the tensors of the files take: the module's, and the part."""
    names = facts.names or EngineNames()
    return frozenset(
        (names.module(name), part)
        for entry in facts.entries
        for name in entry.modules.names
        for part in entry.modules.parts
    )


def _is_strange(tensor: str, facts: Facts, places: frozenset[tuple[str | None, str]]) -> bool:
    """Tell a tensor that nothing misses: another form or name of one that is there, or one that a known architecture has not."""
    module = tensor.removesuffix(".weight")
    if f"{module}.weight_packed" in facts.checkpoint.tensors:
        return True
    skeleton = facts.skeleton
    if skeleton is not None and not skeleton.knows(tensor) and not skeleton.knows(_own_name(skeleton, tensor)):
        return True
    names = facts.names
    module, _, part = tensor.rpartition(".")
    return names is not None and (names.module(module), part) in places


def _own_name(skeleton: Skeleton, tensor: str) -> str:
    *words, part = tensor.split(".")
    template = ".".join(NUMBER if word.isdigit() else word for word in words)
    return own_name(skeleton, f"{template}.{'weight' if part.startswith('weight') else part}")
