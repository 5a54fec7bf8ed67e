"""TEN: the modules beside the head, through vLLM's own dispatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.rules import rules_for
from ctq.engines.vllm_models.model_dispatch import dispatch_of
from ctq.findings import Severity
from ctq.inspect.as_built.body import check_body
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts


def body_not_served(facts: Facts) -> Iterator[Hit]:
    """Report a layer that vLLM builds otherwise than the files hold it, although files and config agree on it.

    ## What it checks
    Every linear layer by vLLM's own dispatch, fused as its models fuse them: whether it is built quantized where it is stored so,
    and with which scheme. Only what no other rule explains.

    ## Why it hurts
    A fused layer is looked up by its fused name: a pattern that hits `qkv_proj` decides for q, k and v. The engine then refuses the
    scales, or leaves its own uninitialised.

    ## Example
    `model.layers.0.self_attn.qkv_proj` in `ignore`, and q, k and v stored quantized.

    ## How to mend
    Write patterns that mean the same for the fused and the separate names.

    ## References
    vLLM 0.32.0 `compressed_tensors/utils.py` (`should_ignore_layer`, `find_matched_target`).
    """
    quant = facts.compressed_tensors
    if quant is None:
        return
    try:
        dispatch = dispatch_of(facts.config, quant.raw, rules_for())
    except DispatchError:
        return  # a config that is refused as a whole has its own rules
    for fault in check_body(facts, dispatch):
        yield Hit(
            where=next(iter((*fault.unexpected, *fault.never_loaded)), QUANTIZATION_CONFIG),
            message=fault.message,
            hint="write patterns that mean the same for fused and separate names, or quantize again",
        )
        return


def layer_not_loaded_elsewhere(facts: Facts) -> Iterator[Hit]:
    """Report a layer of the body that stops transformers, although vLLM serves it.

    ## What it checks
    Quantized layers against what transformers' class of the architecture takes: classes that keep all experts of a layer in one
    tensor take single experts apart only where they are packed (or FP8), some not at all; classes whose initialisation reads
    `weight` of a layer fail where it is packed. An error where transformers was asked for (`--engine transformers`), else a note.

    ## Why it hurts
    `from_pretrained` raises while it converts or initialises the weights, or makes up experts with no more than a report of missing
    keys.

    ## Example
    A `Qwen3MoeForCausalLM` as W8A8; a `FalconForCausalLM` as W8A16.

    ## How to mend
    Serve it with vLLM. For transformers, quantize experts as W8A16 and dense layers as W8A8, or leave these layers dense.

    ## References
    transformers 5.19 `quantizer_compressed_tensors.py` (`update_weight_conversions`), `conversion_mapping.py`;
    `benchmarks/learn/transformers_loading.py`.
    """
    for verdict in facts.engines:
        if verdict.layer:
            word = "does not load" if verdict.outcome.verdict == "fails" else "loads without"
            yield Hit(
                where=verdict.layer,
                message=f"{verdict.engine} {verdict.version} {word} this layer: {verdict.outcome.reason}",
                hint="nothing to do where vLLM serves it; else quantize this layer in another scheme, or leave it dense",
                severity=Severity.ERROR if verdict.decides else Severity.NOTE,
            )
