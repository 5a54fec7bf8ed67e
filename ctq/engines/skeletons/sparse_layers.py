"""Which decoder layers vLLM builds with experts: its classes count or list them, each in its own way.

Source: vLLM 0.32.0 ``model_executor/models/{deepseek_v2,glm4_moe,hy_v3,qwen2_moe,qwen3_moe,qwen3_next,ernie45_moe,afmoe,lfm2_moe,
llama4,exaone_moe,laguna,cohere2_moe,jamba}.py``; of Dots 1, which its backend builds, ``models/dots1`` of transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.fields import known_number, stated
from ctq.engines.skeletons.layer_counts import layer_count
from ctq.engines.vllm_models.borrowed import borrowed_from
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctq.checkpoint.config import ModelConfig

    _Way = Callable[[ModelConfig, int], tuple[list[bool], str] | None]

_UNSAID = {"moe_layer_freq": 1, "moe_layer_interval": 1, "moe_layer_start_index": 0}
"""What the classes of vLLM take where neither the config nor its class says anything."""


def sparse_layers(config: ModelConfig) -> tuple[list[bool], str] | None:
    """Return of each layer whether it has experts, and the number of the config that says so; None where that is not known.

    Of a wrapper they are the layers of the text model inside.
    """
    way, count = _WAYS.get(borrowed_from(config) or text_architecture(config) or ""), layer_count(config)
    return None if way is None or not count else way(config, count)


def _after_dense(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
    """Count where the first layers are dense, and of the others every so-manieth has experts."""
    first, step = _number(config, "first_k_dense_replace"), _number(config, "moe_layer_freq")
    if first is None or not step or stated(config, "n_routed_experts", assumes=True) is None:
        return None
    return [layer >= first and layer % step == 0 for layer in range(count)], "first_k_dense_replace"


def _after(key: str) -> _Way:
    """Count where so many first layers are dense, and all others have experts."""

    def way(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
        first = _number(config, key)
        is_dense = stated(config, "n_routed_experts", assumes=True) is None
        return None if first is None or is_dense else ([layer >= first for layer in range(count)], key)

    return way


def _in_periods(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
    """Count where one layer of each period has experts, if there are several."""
    period, offset = _number(config, "expert_layer_period"), _number(config, "expert_layer_offset")
    if not period or offset is None or (_number(config, "num_experts") or 0) <= 1:
        return None
    return [layer % period == offset for layer in range(count)], "expert_layer_offset"


def _interleaved(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
    """Count where every so-manieth layer has experts, and none where that number is 0."""
    step = _number(config, "interleave_moe_layer_step")
    if step is None:
        return None
    return [step > 0 and (layer + 1) % step == 0 for layer in range(count)], "interleave_moe_layer_step"


def _as_listed(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
    """Read the list of kinds, where the config has one of as many as there are layers."""
    kinds = stated(config, "mlp_layer_types", None)
    if not isinstance(kinds, list) or len(kinds) != count:
        return None
    return [kind == "sparse" for kind in kinds], "mlp_layer_types"


def _in_steps(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
    """Count where every so-manieth layer has experts, but for those that are listed."""
    step, dense = _number(config, "decoder_sparse_step"), stated(config, "mlp_only_layers", None) or []
    if not step or not isinstance(dense, list):
        return None
    return [layer not in dense and (layer + 1) % step == 0 for layer in range(count)], "decoder_sparse_step"


def _in_a_range(config: ModelConfig, count: int) -> tuple[list[bool], str] | None:
    """Count where layers from one number to another have experts."""
    first, step = _number(config, "moe_layer_start_index"), _number(config, "moe_layer_interval")
    last = _number(config, "moe_layer_end_index")
    if first is None or not step:
        return None
    last = count - 1 if last in (None, -1) else last
    return [first <= layer <= last and (layer + 1) % step == 0 for layer in range(count)], "moe_layer_start_index"


def _number(config: ModelConfig, key: str) -> int | None:
    if type(stated(config, key, 0)) is not int:
        return None
    found = known_number(config, key)
    return _UNSAID.get(key) if found is None else found


_WAYS: dict[str, _Way] = {
    "DeepseekV2ForCausalLM": _after_dense,
    "DeepseekV3ForCausalLM": _after_dense,
    "DeepseekV32ForCausalLM": _after_dense,
    "GlmMoeDsaForCausalLM": _after_dense,
    "Dots1ForCausalLM": _after("first_k_dense_replace"),
    "Glm4MoeForCausalLM": _after("first_k_dense_replace"),
    "Glm4MoeLiteForCausalLM": _after_dense,
    "HYV3ForCausalLM": _after("first_k_dense_replace"),
    "Qwen2MoeForCausalLM": _in_steps,
    "Qwen3MoeForCausalLM": _in_steps,
    "Qwen3NextForCausalLM": _in_steps,
    "Ernie4_5_MoeForCausalLM": _in_a_range,
    "JambaForCausalLM": _in_periods,
    "AfmoeForCausalLM": _after("num_dense_layers"),
    "Lfm2MoeForCausalLM": _after("num_dense_layers"),
    "Llama4ForCausalLM": _interleaved,
    "ExaoneMoeForCausalLM": _as_listed,
    "LagunaForCausalLM": _as_listed,
    "Cohere2MoeForCausalLM": _as_listed,
}
