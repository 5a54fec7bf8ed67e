"""TEN: parts of quantized layers that an engine looks for elsewhere than it keeps their weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctq.inspect.modules.parts import CACHE_PARTS
from ctq.inspect.rules.rule import Hit, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.vllm_models.names import EngineNames
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_ELSEWHERE: Final = CACHE_PARTS | {"", "bias"}
"""Parts that may well be led to other places than the weight, or that are no part of its scheme."""


def part_led_astray(facts: Facts) -> Iterator[Hit]:
    """Report parts of quantized layers whose names vLLM's model class does not change as it changes their weight's.

    ## What it checks
    The class of the architecture renames tensors by a table that has the word `weight` in it, and a quantized layer has parts of
    other names (`input_scale`, `qweight`), which the table passes over.

    ## Why it hurts
    Such a part is looked for under the name that it has in the files, where vLLM's model has no module: it stops with *There is no
    module or parameter named ...*.

    ## Example
    The adapters of a Zamba 2 with static activations: `adapter_list.0.0.weight` becomes `adapter_list.0.A.weight`, and
    `adapter_list.0.0.input_scale` stays what it is.

    ## How to mend
    Leave these layers dense, or quantize them in a scheme whose parts all begin with `weight`.

    ## References
    vLLM 0.32.0 `model_executor/models/zamba2.py` (`hf_to_vllm_mapper`).
    """
    names = facts.names
    if names is None or names.is_plain:
        return
    found = [(entry, astray) for entry in facts.entries if (astray := _astray(entry, names))]
    if found:
        entries = [entry for entry, _ in found]
        first, part = entries[0].modules.names[0], found[0][1]
        yield Hit(
            where=f"{first}.{part}",
            message=f"{listing(entries)}: vLLM keeps the weight as {names.module(first)}, and looks for its {part} as "
            f"{names.tensor(first, part)}",
            hint="leave these layers dense, or quantize them in a scheme whose parts all begin with `weight`",
        )


def _astray(entry: Entry, names: EngineNames) -> str:
    """Return a part of quantized modules that is not kept with their weight."""
    if not entry.stored.is_quantized:
        return ""
    module = entry.modules.names[0]
    weight = names.tensor(module, "weight")
    if weight is None or not weight.endswith(".weight"):
        return ""
    place = weight.removesuffix(".weight")
    others = {part: names.tensor(module, part) for part in sorted(entry.modules.parts) if part not in _ELSEWHERE}
    return next((part for part, found in others.items() if found is not None and _owner(found) != place), "")


def _owner(tensor: str) -> str:
    return tensor.rpartition(".")[0]
