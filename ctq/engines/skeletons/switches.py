"""Tensors that come or go with a setting of the config (`attention_bias`), and what vLLM makes of them.

Of switches the data is made by ``benchmarks/learn/optional_tensors.py``: which switch brings a tensor, from transformers' builds;
under which of its values vLLM needs these tensors and under which it takes them, from loads by vLLM 0.32.0. Some of its classes do
not read a switch. Others read switches that transformers' class does not have, or that bring tensors to some layers alone: those
are learnt from vLLM by ``benchmarks/learn/vllm_switches.py``. Settings that are a number or a name were read from the source.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ctq.engines.configs.fields import assumed, assumed_number, stated, switch_value
from ctq.engines.configs.towers import tower_value
from ctq.engines.data_file import of_architecture, read_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton

_DEEPSEEK: Final = (
    "DeepseekV2ForCausalLM",
    "DeepseekV3ForCausalLM",
    "DeepseekV32ForCausalLM",
    "GlmMoeDsaForCausalLM",
)
"""Classes whose attention has a query of low rank, and whose router may have a bias of correction."""
_LOW_RANK: Final = ("q_a_proj.weight", "q_a_layernorm.weight", "q_b_proj.weight")
_ROUTER: Final = "model.layers.#.mlp.gate.weight"
_CORRECTION: Final = "model.layers.#.mlp.gate.e_score_correction_bias"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalTensor:
    """A tensor by template, the switch that brings it and the switch's value in a config; what that means to vLLM.

    ``beside`` is the tensor of the same layer without which the layer has no place for it; "" where every layer has one.
    """

    tensor: str
    switch: str
    value: object
    needed: bool
    taken: bool
    beside: str = ""


def optional_tensors(config: ModelConfig, skeleton: Skeleton) -> Iterator[OptionalTensor]:
    """Yield the optional tensors of a model whose config says, or whose type assumes, something of their switch.

    ``skeleton`` is that of the model: of a wrapper around a text model of its own, the switches are those of that one.
    """
    known = [*_of_class(config, skeleton.architecture), *_of_towers(config)]
    if skeleton.text is not None:
        inside = frozenset(skeleton.moved.values())
        known = [one for one in known if one.tensor in skeleton.tensors and one.tensor not in inside]
        known += [
            _moved(one, skeleton.moved) for one in _of_class(config, skeleton.text) if one.tensor in skeleton.moved
        ]
    stated_keys = {key for _, level in config.text_levels for key in level}
    counts = Counter(one.switch for one in known)
    for one in known:
        narrower = (
            other
            for other in known
            if other.tensor == one.tensor and counts[other.switch] < counts[one.switch] and other.switch in stated_keys
        )
        # of two switches of one tensor, that of fewer wins where it is stated (vLLM 0.32.0 models/llama.py:273: `qkv_bias`)
        yield replace(one, needed=one.needed and all(other.needed for other in narrower))


def learnt_tensors(architecture: str) -> tuple[str, ...]:
    """Return the tensors, by template, that switches of vLLM's own class bring, and those of towers and projectors."""
    found = of_architecture("vllm_switches", architecture, {})
    beside = of_architecture("tower_switches", architecture, {})
    return tuple(dict.fromkeys([*(tensor for entry in found.values() for tensor in entry["tensors"]), *beside]))


def _of_class(config: ModelConfig, architecture: str) -> Iterator[OptionalTensor]:
    yield from _of_transformers(config, architecture)
    yield from _of_vllm(config, architecture)
    if architecture in _DEEPSEEK:
        yield from _of_deepseek(config)


def _moved(one: OptionalTensor, names: Mapping[str, str]) -> OptionalTensor:
    return replace(one, tensor=names[one.tensor], beside=names.get(one.beside, one.beside))


def _of_towers(config: ModelConfig) -> Iterator[OptionalTensor]:
    """Yield the tensors of towers and projectors whose switch is stated (``benchmarks/learn/tower_switches.py``)."""
    architecture, data = config.architecture or "", read_data("tower_switches")
    asked = data["vllm"].get(architecture, {})
    for tensor, (switch, _) in data["architectures"].get(architecture, {}).items():
        value = tower_value(config, switch)
        if isinstance(value, bool):
            needs, takes = asked[switch]
            yield OptionalTensor(tensor=tensor, switch=switch, value=value, needed=value in needs, taken=value in takes)


def _of_transformers(config: ModelConfig, architecture: str) -> Iterator[OptionalTensor]:
    data = read_data("optional_tensors")
    asked = data["vllm"].get(architecture, {})
    for tensor, (switch, brings, *beside) in data["architectures"].get(architecture, {}).items():
        value = switch_value(config, switch)
        if value is not None:
            needs, takes = asked.get(switch, ([brings], [True, False]))
            yield OptionalTensor(
                tensor=tensor,
                switch=switch,
                value=value,
                needed=value in needs,
                taken=value in takes,
                beside=next(iter(beside), ""),
            )


def _of_vllm(config: ModelConfig, architecture: str) -> Iterator[OptionalTensor]:
    for switch, entry in of_architecture("vllm_switches", architecture, {}).items():
        value = stated(config, switch, assumed(config, switch))
        value = entry.get("assumes") if value is None else bool(value)
        if value is None:
            continue
        for tensor in entry["tensors"]:
            yield OptionalTensor(
                tensor=tensor,
                switch=switch,
                value=value,
                needed=value in entry["needs"],
                taken=value in entry["takes"],
                beside=f"{tensor.removesuffix('.bias')}.weight" if tensor.endswith(".bias") else "",
            )


def _of_deepseek(config: ModelConfig) -> Iterator[OptionalTensor]:
    """Yield the query of low rank, or of one piece, and the router's bias, which goes by the name of a method.

    Source: vLLM 0.32.0 ``model_executor/models/deepseek_v2.py:327`` and ``:1051``.
    """
    rank = stated(config, "q_lora_rank", assumed_number(config, "q_lora_rank"))
    for part in (*_LOW_RANK, "q_proj.weight"):
        there = (rank is not None) == (part in _LOW_RANK)
        tensor = f"model.layers.#.self_attn.{part}"
        yield OptionalTensor(tensor=tensor, switch="q_lora_rank", value=rank, needed=there, taken=there)
    method = stated(config, "topk_method", None)
    there = method == "noaux_tc"
    yield OptionalTensor(
        tensor=_CORRECTION, switch="topk_method", value=method, needed=there, taken=there, beside=_ROUTER
    )
