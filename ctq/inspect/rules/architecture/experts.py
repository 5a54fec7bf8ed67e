"""TEN: experts that lie in one tensor each layer, against what engines will build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOAT_SOURCES
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.dispatch import DispatchConfig
from ctq.engines.vllm.layers import FusedMoE
from ctq.engines.vllm.rules import rules_for
from ctq.inspect.rules.rule import Hit, about
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts


def fused_experts_not_ignored(facts: Facts) -> Iterator[Hit]:
    """Report dense experts in one tensor that vLLM will build as quantized ones.

    ## What it checks
    All experts of a layer lie in one dense 3-D tensor, and the config's targets reach `experts.0.gate_proj` (the name that vLLM
    asks for, whatever the files call it) while `ignore` does not.

    ## Why it hurts
    vLLM builds quantized experts, loads the dense values into them or nothing at all, and never loads their scales; or it has no
    quantized experts of the scheme (static activations), and stops.

    ## Example
    `"targets": ["Linear"], "ignore": ["lm_head"]` beside `model.layers.0.mlp.experts.gate_up_proj` [64, 2048, 2048] in BF16.

    ## How to mend
    Add `re:.*experts.*` to `ignore`, or split the experts into one tensor each and quantize them.

    ## References
    vLLM 0.32.0 `compressed_tensors_moe/compressed_tensors_moe.py:38`.
    """
    quant = facts.compressed_tensors
    if quant is None:
        return
    dense = [entry for entry in facts.entries if entry.kind is Kind.FUSED_EXPERTS and _is_dense(entry)]
    try:
        config = DispatchConfig.from_quantization_config(quant.raw, rules_for())
    except DispatchError:
        return  # the config itself is another rule's finding
    outcomes = [(entry, outcome) for entry in dense if (outcome := _outcome(entry, config))]
    if outcomes:
        yield about(
            [entry for entry, _ in outcomes],
            f"stored dense in one tensor, but vLLM builds these experts quantized {outcomes[0][1]}",
            hint="add `re:.*experts.*` to quantization_config.ignore",
        )


def _is_dense(entry: Entry) -> bool:
    weights = [part for name, part in entry.modules.parts.items() if name in ("", "weight")]
    return any(part.dtype in FLOAT_SOURCES and len(part.shape) == 3 for part in weights)  # [experts, out, in]


def _outcome(entry: Entry, config: DispatchConfig) -> str:
    """Say what comes of experts that the config has quantized; "" where it leaves them dense."""
    try:
        method = config.get_quant_method(FusedMoE(), _experts_of(entry))
    except DispatchError as error:
        return f"and refuses their scheme: {error.message}"
    return "and never loads their scales" if method is not None and method.scheme is not None else ""


def _experts_of(entry: Entry) -> str:
    """Return the name of the layer of experts in vLLM: up to `experts`, or that beside the tensor."""
    words = entry.modules.names[0].split(".")
    if "experts" in words:
        return ".".join(words[: words.index("experts") + 1])
    return ".".join([*words[:-1], "experts"])
