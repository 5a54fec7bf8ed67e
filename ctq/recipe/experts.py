"""All experts of a layer in one 3-D tensor: where each expert's own weights lie in it, and what they are called one by one.

Engines quantize experts by their own names, so a quantized checkpoint holds them apart. Which architectures can be taken apart is
known from vLLM: it has to load the separate names too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.weight_slice import WeightSlice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.header import TensorInfo

SEPARABLE = frozenset(
    {
        "GraniteMoeForCausalLM",
        "GraniteMoeHybridForCausalLM",
        "GraniteMoeSharedForCausalLM",
        "Llama4ForCausalLM",
        "Llama4ForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration",
        "Qwen3_5MoeForCausalLM",
        "Qwen3_5MoeForConditionalGeneration",
    }
)
"""Architectures of which vLLM 0.32.0 was seen to load quantized experts one by one; gate and up lie one behind the other there."""

_GATE_UP, _DOWN = ("gate_proj", "up_proj"), ("down_proj",)
PROJECTIONS_HELD: Mapping[str, tuple[str, ...]] = {
    "experts.gate_up_proj": _GATE_UP,
    "experts.down_proj": _DOWN,
    "input_linear.weight": _GATE_UP,
    "output_linear.weight": _DOWN,
}
"""How the names of such tensors end, and the projections that they hold."""
_PARTNERS = {
    "experts.gate_up_proj": "experts.down_proj",
    "experts.down_proj": "experts.gate_up_proj",
    "input_linear.weight": "output_linear.weight",
    "output_linear.weight": "input_linear.weight",
}


def expert_weights(
    config: ModelConfig, tensors: Mapping[str, TensorInfo], tensor: TensorInfo
) -> dict[str, WeightSlice]:
    """Return the weights of all experts in ``tensor`` by module name; empty where they cannot be told apart."""
    suffix = _suffix(tensor.name)
    if config.architecture not in SEPARABLE or suffix is None or len(tensor.shape) != 3:
        return {}
    partner = tensors.get(tensor.name.removesuffix(suffix) + _PARTNERS[suffix])
    transposed = _is_transposed((tensor, partner), config.hidden_size)
    if transposed is None or f"{tensor.name}_bias" in tensors:
        return {}
    return dict(_weights(tensor, suffix, transposed=transposed))


def separate_experts(config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> dict[str, WeightSlice]:
    """Return the weights of all experts of a checkpoint that stores them together, by module name."""
    return {
        module: weight
        for tensor in tensors.values()
        if len(tensor.shape) == 3  # [experts, out, in] or [experts, in, out]
        for module, weight in expert_weights(config, tensors, tensor).items()
    }


def fused_names(module: str) -> list[str]:
    """Name the tensors that a separate expert's weight may come from, by the template of its module (``experts.#.up_proj``)."""
    path, _, part = module.rpartition(".")
    owner, _, number = path.rpartition(".")
    parent, _, experts = owner.rpartition(".")
    if experts != "experts" or not number:
        return []
    return [f"{parent}.{suffix}" for suffix, parts in PROJECTIONS_HELD.items() if part in parts]


def experts_of(tensor: str) -> str | None:
    """Name a module that stands for all experts in a tensor that holds them together; None for other tensors."""
    suffix = _suffix(tensor)
    return f"{tensor.removesuffix(suffix)}experts.0.{PROJECTIONS_HELD[suffix][0]}" if suffix is not None else None


def _suffix(name: str) -> str | None:
    return next((suffix for suffix in PROJECTIONS_HELD if name.endswith(f".{suffix}")), None)


def _is_transposed(pair: tuple[TensorInfo, TensorInfo | None], hidden: int | None) -> bool | None:
    """Tell from the hidden size whether weights are stored [in, out]; None where it does not tell.

    Gate and up take hidden states in, down puts them out: at most one of the two tensors can be square.
    """
    for tensor in pair:
        if (
            tensor is None
            or len(tensor.shape) != 3
            or hidden not in tensor.shape[1:]
            or tensor.shape[1] == tensor.shape[2]
        ):
            continue
        suffix = _suffix(tensor.name)
        takes_hidden = PROJECTIONS_HELD.get(suffix or "") == _GATE_UP
        return (tensor.shape[1] == hidden) == takes_hidden
    return None


def _weights(tensor: TensorInfo, suffix: str, *, transposed: bool) -> Iterator[tuple[str, WeightSlice]]:
    count, first, second = tensor.shape
    parts = PROJECTIONS_HELD[suffix]
    out, columns = (second, first) if transposed else (first, second)
    rows = out // len(parts)
    parent = tensor.name.removesuffix(suffix)
    if out % len(parts):
        return
    for expert in range(count):
        for index, part in enumerate(parts):
            start = expert * first * second + index * rows * (1 if transposed else columns)
            yield (
                f"{parent}experts.{expert}.{part}",
                WeightSlice(tensor.name, rows, columns, start, second if transposed else None),
            )
