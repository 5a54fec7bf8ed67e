"""What would be loaded into the head's parameters, and every reason for which that goes wrong. Pure, from headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.config import DTYPE_KEYS
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.skeletons.head_bias import has_head_bias
from ctq.engines.vllm.head.geometry import HeadGeometry, head_columns
from ctq.engines.vllm.head.parameters import ParameterSpec, head_parameters
from ctq.engines.vllm.head.placement import Placements, place
from ctq.inspect.facts.entries import State
from ctq.recipe.packing import values_per_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.header import TensorInfo
    from ctq.engines.vllm.rules import EngineRules
    from ctq.inspect.facts.facts import Facts
    from ctq.verify.engines.builtin.dispatch_head import HeadDispatch

_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "half": "F16", "float": "F32"}
_WEIGHTS = ("weight", "weight_packed")
_BIAS = "bias"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLoading:
    """The head's parameters and what the files bring for them.

    ``parameters`` is None for a scheme whose parameters are not known here; ``reasons`` say why the head would be refused or served
    wrong, one line each.
    """

    geometry: HeadGeometry
    parameters: tuple[ParameterSpec, ...] | None
    placements: Placements
    reasons: tuple[str, ...]


_NOTHING = Placements(loaded=(), missing=(), unexpected=(), refusals=(), converted=())


def plan_loading(facts: Facts, head: HeadDispatch, *, ranks: int, rules: EngineRules) -> HeadLoading:
    """Plan the loading of the head from the files; a tied one has no weight, but perhaps a bias."""
    checkpoint, name = facts.checkpoint, facts.head.name or "lm_head"
    tensors = head_tensors(checkpoint, name)
    bits = head.args.weights.num_bits if head.args is not None else None
    geometry = _geometry(checkpoint.config, tensors, ranks, bits=bits or 8)
    try:
        specs = head_parameters(head.scheme if head.quantized else None, head.args, geometry)
    except DispatchError as error:
        return HeadLoading(
            geometry=geometry, parameters=None, placements=_NOTHING, reasons=(f"vLLM refuses it: {error}",)
        )
    if specs is None:
        return HeadLoading(geometry=geometry, parameters=None, placements=_NOTHING, reasons=())
    if not head.quantized and (facts.head.state is State.TIED or not tensors):  # the embedding's weight serves
        return HeadLoading(geometry=geometry, parameters=specs, placements=_NOTHING, reasons=())
    if has_head_bias(checkpoint.config) is False:
        tensors.pop(_BIAS, None)  # the loader passes over it
    if _BIAS in tensors:  # the model class has a bias beside the weight, whatever the scheme
        specs = (*specs, ParameterSpec(name=_BIAS, dtype=geometry.dtype, shape=(geometry.rows_per_rank,)))
    placements = place(specs, tensors, geometry, module=name, reshapes_scalar_scales=rules.reshapes_scalar_scales)
    reasons = tuple(_reasons(placements, quantized=head.quantized))
    return HeadLoading(geometry=geometry, parameters=specs, placements=placements, reasons=reasons)


def head_tensors(checkpoint: Checkpoint, name: str) -> dict[str, TensorInfo]:
    """Return the tensors of the module ``name`` by part."""
    inside = f"{name}."
    return {
        tensor.removeprefix(inside): info
        for tensor, info in checkpoint.tensors.items()
        if tensor.startswith(inside) and "." not in tensor.removeprefix(inside)
    }


def model_dtype(config: ModelConfig) -> str:
    """Return the dtype that the model runs in, as safetensors spells it; bfloat16 where the config does not say."""
    for _, level in reversed(config.text_levels):
        for key in DTYPE_KEYS:
            name = str(level.get(key, "")).removeprefix("torch.")
            if name in _DTYPES:
                return _DTYPES[name]
    return "BF16"


def _geometry(config: ModelConfig, tensors: Mapping[str, TensorInfo], ranks: int, *, bits: int) -> HeadGeometry:
    weight = next((tensors[part] for part in _WEIGHTS if part in tensors), None)
    rows, columns = weight.shape if weight is not None and len(weight.shape) == 2 else (0, 0)  # a matrix
    if "weight" not in tensors:
        columns *= values_per_word(bits)
    hidden = head_columns(config) or columns
    return HeadGeometry(vocabulary=config.vocab_size or rows, hidden=hidden, ranks=ranks, dtype=model_dtype(config))


def _reasons(found: Placements, *, quantized: bool) -> Iterator[str]:
    if found.converted:
        yield f"values change their meaning without a word: {', '.join(found.converted)}"
    if found.unexpected:
        kind = "quantized" if quantized else "dense"
        yield f"the engine builds a {kind} head and has no parameter for {', '.join(found.unexpected)}"
    # The sizes of a dense head are the architecture's own affair (OPT's is narrower than its hidden states).
    if quantized:
        yield from found.refusals
    if found.missing:
        yield f"never loaded, so served uninitialised: {', '.join(found.missing)}"
