"""TEN: what every model of the architecture has and the files lack, where that is known (`ctq.engines.skeletons.find`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.presence.missing import missing_tensors
from ctq.inspect.rules.rule import missing_from_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit


def missing_tensor(facts: Facts) -> Iterator[Hit]:
    """Report tensors that every model of the architecture has, and that are missing here.

    ## What it checks
    The embedding, the norms and whatever each layer of the architecture has, up to `num_hidden_layers`, where the architecture is
    known, biases that a switch of the config brings and those of a tower's norms and layers among them; and the head of a model
    that says it is not tied.

    ## Why it hurts
    vLLM does not report parameters that were never loaded when a model is quantized: they stay uninitialised, and the model
    serves garbage.

    ## Example
    `model.norm.weight`, which lay in a shard that was not copied and is in no index.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again from a complete original.

    ## References
    vLLM 0.32.0 `default_loader.py:507`; `benchmarks/learn/skeletons.py`.
    """
    yield from missing_from_files(list(dict.fromkeys(missing_tensors(facts))))
