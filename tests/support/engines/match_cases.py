"""Generated cases for the differential tests of dispatch: the same seed gives the same cases, with or without an engine."""

from __future__ import annotations

import random
from typing import Any

PREFIXES = (
    "lm_head",
    "language_model.lm_head",
    ".lm_head",
    "",
    "mtp.lm_head",
    "transformer.output_layer",
    "model.embed_tokens",
    "model.layers.0.self_attn.qkv_proj",
    "model.layers.0.self_attn.o_proj",
    "model.layers.11.mlp.gate_up_proj",
    "model.layers.11.mlp.down_proj",
    "model.layers.1.self_attn.fused_qkv_a_proj",
    "model.layers.1.self_attn.qkv_proj.qkv_proj",
    "model.layers.1.mlp.experts",
    "model.layers.1.mlp.gate",
)
TARGETS = (
    "Linear",
    "linear",
    "LinearBase",
    "Parallel",
    "ParallelLMHead",
    "Embedding",
    "VocabParallelEmbedding",
    "FusedMoE",
    "RoutedExperts",
    "Attention",
    "LlamaAttention",
    "lm_head",
    "language_model.lm_head",
    "re:.*lm_head$",
    "re:lm_head",
    "re:.*",
    "re:.*output_layer$",
    "re:.*self_attn.*",
    "re:.*[qkv]_proj$",
    "re:.*v_proj$",
    "re:.*up_proj",
    "re:.*mlp\\.experts\\.\\d+\\..*",
    "re:.*down_proj$",
    "re:Parallel.*",
    "re:^(?!.*lm_head).*$",
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.self_attn.k_proj",
    "model.layers.0.self_attn.v_proj",
    "model.layers.0.self_attn.qkv_proj",
    "model.layers.11.mlp.gate_proj",
    "model.layers.11.mlp.up_proj",
    "model.layers.1.self_attn.q_a_proj",
    "re:.*kv_a_proj_with_mqa",
    "re:.*q_a_proj",
    "q_proj",
)
FUSED = {
    "qkv_proj": ["q_proj", "k_proj", "v_proj"],
    "gate_up_proj": ["gate_proj", "up_proj"],
    "fused_qkv_a_proj": ["q_a_proj", "kv_a_proj_with_mqa"],
    "kv_proj": ["k_proj", "v_proj"],
}
LINEAR_CLASSES = (
    "ColumnParallelLinear",
    "RowParallelLinear",
    "QKVParallelLinear",
    "MergedColumnParallelLinear",
    "ReplicatedLinear",
)
CLASSES = (*LINEAR_CLASSES, "ParallelLMHead", "VocabParallelEmbedding", "FusedMoE", "Attention")

_W8 = {"num_bits": 8, "type": "int", "symmetric": True}
_FP8 = {"num_bits": 8, "type": "float", "symmetric": True}
WEIGHTS: tuple[Any, ...] = (
    {**_W8, "strategy": "channel"},
    {**_W8, "strategy": "channel"},
    {**_W8, "strategy": "group", "group_size": 128},
    {**_W8, "strategy": "group", "group_size": 128, "actorder": "group"},
    {**_W8, "strategy": "group", "group_size": 32, "actorder": "weight"},
    {**_W8, "strategy": "tensor"},
    {**_W8, "symmetric": False, "strategy": "channel"},
    {**_W8, "symmetric": False, "strategy": "group", "group_size": 64},
    {**_W8, "num_bits": 4, "strategy": "group", "group_size": 128},
    {**_W8, "num_bits": 4, "strategy": "channel"},
    {**_W8, "num_bits": 3, "strategy": "channel"},
    {**_W8, "num_bits": 2, "symmetric": False, "strategy": "group", "group_size": 64},
    {**_W8, "num_bits": 16, "strategy": "channel"},
    {**_FP8, "strategy": "channel"},
    {**_FP8, "strategy": "block", "block_structure": [128, 128]},
    {**_FP8, "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"},
    {**_FP8, "num_bits": 4, "strategy": "tensor_group", "group_size": 16},
    {**_FP8, "num_bits": 4, "strategy": "group", "group_size": 32},
    {**_W8, "strategy": "group"},
    {**_W8, "strategy": "channel", "unheard": 1},
    None,
)
ACTIVATIONS: tuple[Any, ...] = (
    None,
    None,
    {**_W8, "strategy": "token", "dynamic": True},
    {**_W8, "strategy": "token", "dynamic": True},
    {**_W8, "strategy": "token", "dynamic": True, "symmetric": False},
    {**_W8, "strategy": "tensor"},
    {**_W8, "strategy": "tensor", "symmetric": False},
    {**_W8, "strategy": "tensor", "dynamic": True},
    {**_W8, "num_bits": 4, "strategy": "token", "dynamic": True},
    {**_FP8, "strategy": "token", "dynamic": True},
    {**_FP8, "strategy": "tensor"},
    {**_FP8, "num_bits": 4, "strategy": "tensor_group", "group_size": 16, "dynamic": "local"},
    {},
)
FORMATS = (
    "int-quantized",
    "pack-quantized",
    "float-quantized",
    "naive-quantized",
    "nvfp4-pack-quantized",
    "mixed-precision",
    "dense",
)
_OUTPUTS = {**_W8, "strategy": "tensor"}


def matching_cases(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Return cases for the two matching functions."""
    rng = random.Random(seed)
    return [
        {
            "layer": rng.choice(PREFIXES),
            "cls": rng.choice((*CLASSES, "GateLinear", "RoutedExperts")),
            "targets": rng.sample(TARGETS, rng.randint(0, 5)),
            "ignore": rng.sample(TARGETS, rng.randint(0, 3)),
            "fused": {key: FUSED[key] for key in FUSED if rng.random() < 0.7},
        }
        for _ in range(count)
    ]


def dispatch_cases(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Return whole quantization configs, each with a layer that asks for its method."""
    rng = random.Random(seed)
    return [_dispatch_case(rng) for _ in range(count)]


def _dispatch_case(rng: random.Random) -> dict[str, Any]:
    cls = rng.choice((*CLASSES, "ParallelLMHead", "ParallelLMHead"))
    likely = {"ParallelLMHead": PREFIXES[:6], "VocabParallelEmbedding": PREFIXES[6:7], "FusedMoE": PREFIXES[13:14]}
    prefix = rng.choice(likely.get(cls, PREFIXES[7:]))
    return {
        "config": _config(rng),
        "cls": cls,
        "prefix": prefix,
        "fused": {key: parts for key, parts in FUSED.items() if key != "kv_proj"},
        "capability": rng.choice((None, None, 75, 80, 89, 90, 100)),
    }


def _config(rng: random.Random) -> dict[str, Any]:
    config: dict[str, Any] = {
        "quant_method": "compressed-tensors",
        "format": rng.choice(FORMATS[:2] if rng.random() < 0.6 else FORMATS),
        "config_groups": {
            f"group_{index}": _group(rng) for index in range(rng.randint(0 if rng.random() < 0.05 else 1, 3))
        },
        "ignore": rng.sample(TARGETS, rng.choice((0, 0, 0, 1, 2))),
    }
    if rng.random() < 0.1:
        config["kv_cache_scheme"] = {
            **_FP8,
            "strategy": rng.choice(("tensor", "channel", "attn_head")),
            "num_bits": rng.choice((8, 4)),
        }
    if rng.random() < 0.01:
        config["sparsity_config"] = {"format": "sparse-24-bitmask", "targets": rng.sample(TARGETS, 1)}
    return config


def _group(rng: random.Random) -> dict[str, Any]:
    usual = rng.random() < 0.85
    group: dict[str, Any] = {
        "targets": rng.sample(TARGETS, rng.randint(1, 3)),
        "weights": rng.choice(WEIGHTS[:18] if usual else WEIGHTS),
        "input_activations": rng.choice(ACTIVATIONS if rng.random() < 0.5 else ACTIVATIONS[:4]),
    }
    if rng.random() < 0.1:
        group["output_activations"] = _OUTPUTS
        group["input_activations"] = _OUTPUTS
    if usual:
        fitting = FORMATS[0] if group["input_activations"] else FORMATS[1]
        group["format"] = fitting if rng.random() < 0.8 else rng.choice(FORMATS[1:])
    elif rng.random() < 0.5:
        group["format"] = rng.choice((None, *FORMATS))
    return group
