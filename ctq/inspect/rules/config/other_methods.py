"""CFG: quantization configs of other methods than compressed-tensors, as far as headers and keys tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctq.engines.vllm.methods.arguments import missing_arguments
from ctq.engines.vllm.methods.called import method_called
from ctq.engines.vllm.methods.storages import takes_dense
from ctq.inspect.facts.side_config import SIDE_CONFIG
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit
from ctq.recipe.kinds import Kind
from ctq.recipe.template import EXPERTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts

_STORED: Final = frozenset({"modelopt_fp4"})
"""Methods of which vLLM expects codes in the files, where a CPU's build could not be asked."""


def method_without_its_tensors(facts: Facts) -> Iterator[Hit]:
    """Report the quantization config of a method that has nothing to describe, or that lacks what engines read of it.

    ## What it checks
    `quant_method` is GPTQ, FP8, ModelOpt, Quark or AutoRound, of experts AWQ or MXFP4 too, and no tensor is stored in fewer bits
    than a float; or the config lacks a key of its method for which vLLM has no default (`bits` of GPTQ, `activation_scheme` of
    FP8). ModelOpt's own `hf_quant_config.json` counts for that config where `config.json` has none, and must be a JSON object.

    ## Why it hurts
    vLLM builds quantized layers, and finds no tensors for them: it stops, or serves scales that were never loaded.

    ## Example
    The `quantization_config` of a quantized base model in the config of its merged, dense finetune.

    ## How to mend
    Remove `quantization_config` from a dense model's config; restore the one that the tool wrote where the tensors are quantized.

    ## References
    vLLM 0.32.0 `model_executor/layers/quantization/` (`from_config` of each method); `benchmarks/learn/other_methods.py`.
    """
    side = facts.side_config
    if side.fault is not None:
        yield Hit(where=SIDE_CONFIG, message=f"{side.fault}: vLLM stops at it", hint=f"restore or remove {SIDE_CONFIG}")
    quant = facts.quant
    if quant is None or quant.method is None or facts.is_compressed_tensors:
        return
    method = quant.method.lower()
    missing = missing_arguments(method_called(method), quant.raw)
    has_experts = any(entry.kind is Kind.FUSED_EXPERTS or EXPERTS in entry.modules.template for entry in facts.entries)
    loads = takes_dense(method, experts=has_experts)
    stored = method in _STORED if loads is None else not loads
    if stored and not facts.quantized and facts.entries:
        yield Hit(
            where=QUANTIZATION_CONFIG if side.quantization is None else SIDE_CONFIG,
            message=f"quant_method is {quant.method}, and no tensor is stored quantized",
            hint=f"remove {'quantization_config' if side.quantization is None else SIDE_CONFIG} if the model is dense",
        )
    elif missing:
        yield Hit(
            where=QUANTIZATION_CONFIG,
            message=f"the config of {quant.method} lacks {', '.join(missing)}: vLLM refuses it",
            hint="restore the quantization_config of the tool that wrote the tensors",
        )
