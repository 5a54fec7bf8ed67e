"""TEN: kinds of modules that should not be quantized at all, in a model that is: embeddings, routers, experts in one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.vllm_models.seen import builds_quantized
from ctq.findings import Severity
from ctq.inspect.modules.forms import COMPRESSED, Form
from ctq.inspect.rules.rule import about
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit


_MIXER = frozenset({"in_proj", "x_proj", "dt_proj", "out_proj"})
"""The projections of the first Mamba's mixers."""


def embedding_quantized(facts: Facts) -> Iterator[Hit]:
    """Report a quantized embedding that engines cannot use.

    ## What it checks
    The input embedding is stored quantized, and not as packed weight-only integers that a target names.

    ## Why it hurts
    vLLM takes only weight-only packed integers there, and only from 0.23 on; everything else is refused.

    ## Example
    `model_free_ptq` with `ignore: ["lm_head"]` alone also quantizes `model.embed_tokens`.

    ## How to mend
    Quantize again with the embedding in `ignore`; `ctq quantize` never touches it.

    ## References
    vLLM 0.32.0 `compressed_tensors.py:197`.
    """
    entries = [
        entry
        for entry in facts.entries
        if entry.kind is Kind.EMBEDDING
        and entry.stored.form in COMPRESSED
        and not (entry.stored.form is Form.PACKED and entry.match.declared)
    ]
    if entries and facts.is_compressed_tensors:
        said = f"an embedding stored as {entries[0].stored.form}, which engines refuse"
        yield about(entries, said, hint="quantize again with the embedding left dense")


def router_quantized(facts: Facts) -> Iterator[Hit]:
    """Report quantized MoE routers.

    ## What it checks
    A router or gate of a mixture of experts is stored quantized: an error where vLLM was seen to build it dense, where no target
    reaches it, and where `ignore` does.

    ## Why it hurts
    Most engine model classes build routers dense, whatever the config says, and refuse the scale; where they do not, a coarser
    router chooses other experts. It saves nothing.

    ## Example
    `model.layers.3.mlp.gate.weight` in I8.

    ## How to mend
    Quantize again with the routers in `ignore`; `ctq quantize` leaves them dense.

    ## References
    compressed-tensors issue #733; vllm-omni issue #5573.
    """
    entries = [entry for entry in facts.entries if entry.kind is Kind.ROUTER and entry.stored.form in COMPRESSED]
    dense = builds_quantized(facts.config.architecture, Kind.ROUTER.value) is False
    refused = dense or not all(entry.match.declared for entry in entries)
    if entries and facts.is_compressed_tensors:
        yield about(
            entries,
            f"a router stored as {entries[0].stored.form}; most engines build routers dense",
            hint="quantize again with the routers left dense",
            severity=None if refused else Severity.WARNING,
        )


def mamba_quantized(facts: Facts) -> Iterator[Hit]:
    """Report quantized projections of the first Mamba's mixers.

    ## What it checks
    A projection (`in_proj`, `x_proj`, `dt_proj`, `out_proj`) of a mixer that has both `x_proj` and `dt_proj` is stored quantized.

    ## Why it hurts
    vLLM builds these mixers dense, whatever the config says, and stops at the scales, or converts the codes.

    ## Example
    `model.layers.0.mamba.in_proj.weight` in I8, in a Jamba of which a target `Linear` reaches all but the small projections.

    ## How to mend
    Quantize again with the mixers in `ignore`; `ctq quantize` leaves them dense.

    ## References
    vLLM 0.32.0 `model_executor/layers/mamba/mamba_mixer.py`.
    """
    parents = [
        {entry.modules.template.rpartition(".")[0] for entry in facts.entries if entry.modules.leaf == leaf}
        for leaf in ("x_proj", "dt_proj")
    ]
    entries = [
        entry
        for entry in facts.entries
        if entry.stored.form in COMPRESSED
        and entry.modules.leaf in _MIXER
        and entry.modules.template.rpartition(".")[0] in parents[0] & parents[1]
    ]
    if entries and facts.is_compressed_tensors:
        said = f"a projection of a Mamba-1 mixer stored as {entries[0].stored.form}, which vLLM builds dense"
        yield about(entries, said, hint="quantize again with the mixers left dense")


def fused_experts_quantized(facts: Facts) -> Iterator[Hit]:
    """Report experts of a whole layer quantized in one 3-D tensor.

    ## What it checks
    A 3-D tensor of all experts of a layer is stored under compressed-tensors names.

    ## Why it hurts
    Engines know the names of single experts; fused ones are dropped or left uninitialised, without an error.

    ## Example
    `model.layers.0.mlp.experts.gate_up_proj_packed`.

    ## How to mend
    Quantize from a checkpoint with one tensor for each expert.

    ## References
    llm-compressor issue #2939; transformers issues #47407, #48371.
    """
    entries = [entry for entry in facts.entries if entry.kind is Kind.FUSED_EXPERTS and entry.stored.form in COMPRESSED]
    if entries and facts.is_compressed_tensors:
        said = "all experts of a layer in one quantized tensor, a name that engines do not map"
        yield about(entries, said, hint="quantize from a checkpoint that has one tensor for each expert")
