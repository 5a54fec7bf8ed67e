"""Checkpoints of many architectures of which only the head matters: what SGLang's model classes make of it, whatever their bodies do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from builders import edit_config
from families import FAMILIES, build
from old_build_cases import tie
from quantizing import plan_of

from ctq.quantize.job import Job
from ctq.quantize.run import run_plan
from ctq.recipe.recipe import Recipe
from ctq.recipe.schemes import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROBES: Final[Mapping[str, tuple[str, bool]]] = {
    "int8": ("W8A8", False),
    "packed": ("W8A16", False),
    "int8, tie flag": ("W8A8", True),
    "packed, tie flag": ("W8A16", True),
}
"""The head's scheme, and whether the config says that it is tied all the same."""

_YARN = {
    "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32,
    "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
}  # fmt: skip
_EVERY_OTHER = {"full_attention_interval": 2}
MENDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "deepseek-v2": {"rope_parameters": _YARN, "moe_layer_freq": 1},
    "deepseek-v3": {"rope_parameters": _YARN, "moe_layer_freq": 1},
    "olmo": {"num_key_value_heads": 4},
    "phi": {"num_key_value_heads": 4},
    "olmoe": {"num_key_value_heads": 4},
    "gemma2": {"hidden_act": "gelu_pytorch_tanh"},
    "exaone4": {"sliding_window_pattern": "LG"},
    "exaone-moe": {"is_moe_layer": [False, True]},
    "hunyuan-moe": {"moe_intermediate_size": 128, "use_mixed_mlp_moe": True},
    "qwen3-next": _EVERY_OTHER,
    "qwen3.5": _EVERY_OTHER,
    "qwen3.5-moe": _EVERY_OTHER,
    "qwen3.5-vl": {"text_config": _EVERY_OTHER},
    "qwen2-vl": {"vision_config": {"in_chans": 3}},
    "qwen2-vl-tied": {"vision_config": {"in_chans": 3}},
    "cohere2-vision": {"text_config": {"num_experts": 0, "num_experts_per_tok": 0}},
}
"""What SGLang's classes ask of a config, and real models' files have, where the tiny ones have not."""


def families() -> tuple[str, ...]:
    """Return the names of all families that are probed."""
    return tuple(FAMILIES)


def dense(family: str, folder: Path, *, tied: bool | None = None) -> Path:
    """Write a family's dense checkpoint, with its own head or none."""
    return build(family, folder, config=MENDS.get(family), tied=tied)


def probe(name: str, source: Path, folder: Path) -> Path:
    """Write a family's checkpoint with a quantized head alone, every other layer in ``ignore`` whatever an engine calls it."""
    scheme, tied = PROBES[name]
    plan = plan_of(source, Recipe(body=(), lm_head=True, lm_head_scheme=SCHEMES[scheme]), allow=True)
    run_plan(plan, Job(source=source, out=folder, model=source.name))
    edit_config(folder, _ignore_the_rest)
    if tied:
        edit_config(folder, tie)
    return folder


def _ignore_the_rest(config: dict[str, Any]) -> None:
    quantization = config["quantization_config"]
    [group] = quantization["config_groups"].values()
    heads = "|".join(target.removeprefix("re:") for target in group["targets"] if target.startswith("re:"))
    quantization["ignore"] = [f"re:(?!{heads}).*"]
