"""Models whose layers have numbers of their own: other heads where attention slides, a list with a number to each layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_checkpoint
from inspecting import errors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import inspect_checkpoint

Tensors = dict[str, Raw]
Config = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]
HIDDEN, WORDS, FEED_FORWARD, EXPERTS = 128, 320, 256, 2
SLIDING, FULL = "sliding_attention", "full_attention"
BASE: Config = {
    "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "vocab_size": WORDS, "hidden_act": "silu", "tie_word_embeddings": False,
    "moe_intermediate_size": 64, "num_experts_per_tok": 1, "max_position_embeddings": 256,
}  # fmt: skip
MIMO: Config = {
    **BASE, "architectures": ["MiMoV2FlashForCausalLM"], "model_type": "mimo_v2_flash", "v_head_dim": 32, "swa_head_dim": 64,
    "swa_v_head_dim": 32, "swa_num_attention_heads": 8, "swa_num_key_value_heads": 4, "hybrid_layer_pattern": [0, 1],
    "moe_layer_freq": [0, 1], "add_swa_attention_sink_bias": True, "add_full_attention_sink_bias": False, "attention_bias": False,
    "n_routed_experts": EXPERTS, "layernorm_epsilon": 1e-5, "sliding_window": 64, "sliding_window_size": 64,
}  # fmt: skip
LAGUNA: Config = {
    **BASE, "architectures": ["LagunaForCausalLM"], "model_type": "laguna", "num_attention_heads_per_layer": [4, 8],
    "layer_types": [FULL, SLIDING], "mlp_layer_types": ["dense", "sparse"], "num_experts": EXPERTS, "gating": "per-head",
    "shared_expert_intermediate_size": 96, "attention_bias": False, "rms_norm_eps": 1e-6,
}  # fmt: skip
STEP: Config = {
    **BASE, "architectures": ["Step3p5ForCausalLM"], "model_type": "step3p5", "num_attention_groups": 2, "moe_layers_enum": "1",
    "moe_num_experts": EXPERTS, "moe_top_k": 1, "share_expert_dim": 96, "use_moe_router_bias": True, "use_moe": True,
    "use_head_wise_attn_gate": True, "layer_types": [FULL, SLIDING], "attention_other_setting": {
        "attention_type": SLIDING, "num_attention_heads": 8, "num_attention_groups": 4, "head_dim": 64, "true_head_dim": 64,
    },
}  # fmt: skip


def heads(queries: int, keys: int, values: int, width: int) -> Shapes:
    return {
        "self_attn.q_proj.weight": (queries, HIDDEN),
        "self_attn.k_proj.weight": (keys, HIDDEN),
        "self_attn.v_proj.weight": (values, HIDDEN),
        "self_attn.o_proj.weight": (HIDDEN, width),
    }


def gated(where: str, size: int) -> Shapes:
    return {
        f"{where}.{name}_proj.weight": shape
        for name, shape in (("gate", (size, HIDDEN)), ("up", (size, HIDDEN)), ("down", (HIDDEN, size)))
    }


def experts(where: str, router: str, bias: str) -> Shapes:
    each = {name: shape for one in range(EXPERTS) for name, shape in gated(f"{where}.{one}", 64).items()}
    return {**each, router: (EXPERTS, HIDDEN), bias: (EXPERTS,)}


def model(*layers: Shapes) -> Shapes:
    norms = {"input_layernorm.weight": (HIDDEN,), "post_attention_layernorm.weight": (HIDDEN,)}
    return {
        "model.embed_tokens.weight": (WORDS, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (WORDS, HIDDEN),
        **{
            f"model.layers.{n}.{name}": shape for n, each in enumerate(layers) for name, shape in (each | norms).items()
        },
    }


NORMS = {"self_attn.q_norm.weight": (32,), "self_attn.k_norm.weight": (32,)}
WIDE_NORMS = {"self_attn.q_norm.weight": (64,), "self_attn.k_norm.weight": (64,)}
FEW_GATES, MANY_GATES = {"self_attn.g_proj.weight": (4, HIDDEN)}, {"self_attn.g_proj.weight": (8, HIDDEN)}
MODELS: dict[str, tuple[Config, Shapes]] = {
    "mimo": (
        MIMO,
        model(
            heads(128, 64, 64, 128) | gated("mlp", FEED_FORWARD),
            heads(512, 256, 128, 256)
            | {"self_attn.attention_sink_bias": (8,)}
            | experts("mlp.experts", "mlp.gate.weight", "mlp.gate.e_score_correction_bias"),
        ),
    ),
    "laguna": (
        LAGUNA,
        model(
            heads(128, 64, 64, 128) | NORMS | FEW_GATES | gated("mlp", FEED_FORWARD),
            heads(256, 64, 64, 256)
            | NORMS
            | MANY_GATES
            | gated("mlp.shared_expert", 96)
            | experts("mlp.experts", "mlp.gate.weight", "mlp.experts.e_score_correction_bias"),
        ),
    ),
    "step3.5": (
        STEP,
        model(
            heads(128, 64, 64, 128) | NORMS | FEW_GATES | gated("mlp", FEED_FORWARD),
            heads(512, 256, 256, 512)
            | WIDE_NORMS
            | MANY_GATES
            | gated("share_expert", 96)
            | experts("moe.experts", "moe.gate.weight", "moe.router_bias"),
        ),
    ),
}
"""As vLLM builds them: a layer of full attention that is dense, and one that slides and has experts."""


def zeros(shape: tuple[int, ...]) -> Raw:
    return Raw("BF16", shape, bytes(2 * shape[0] * (shape[1] if len(shape) > 1 else 1)))


@pytest.fixture(params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def original(name: str, tmp_path: Path) -> Path:
    config, shapes = MODELS[name]
    folder = tiny_checkpoint(tmp_path / name)

    def state(stated: Config) -> None:
        stated.clear()
        stated.update(config)

    def fill(tensors: Tensors) -> None:
        tensors.clear()
        tensors.update({tensor: zeros(shape) for tensor, shape in shapes.items()})

    edit_config(folder, state)
    edit_tensors(folder, fill)
    return folder


def sized(tensor: str, *shape: int) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({tensor: zeros(shape)})


def test_a_healthy_one(original: Path, name: str) -> None:
    unread = {"TEN024"} if name == "laguna" else set()  # vLLM 0.32.0 never loads its correction of the router
    assert errors(original) == unread


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("part", ["q_proj", "k_proj"])
def test_a_projection_of_another_layer_s_size(part: str, layer: int, original: Path, name: str) -> None:
    shapes = MODELS[name][1]
    its = shapes[f"model.layers.{1 - layer}.self_attn.{part}.weight"]
    if its == shapes[f"model.layers.{layer}.self_attn.{part}.weight"]:
        pytest.skip("all layers have as many")
    edit_tensors(
        original, lambda tensors: sized(f"model.layers.{layer}.self_attn.{part}.weight", *its)(tensors) and None
    )
    assert "TEN026" in errors(original)


@pytest.mark.parametrize("ending", ["mlp.gate_proj.weight", "self_attn.o_proj.weight"])
def test_a_tensor_that_only_the_first_layer_lacks(ending: str, original: Path) -> None:
    edit_tensors(original, lambda tensors: tensors.pop(f"model.layers.0.{ending}") and None)
    assert errors(original) & {"TEN020", "TEN025"}


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("mimo", "self_attn.attention_sink_bias"),
        ("mimo", "mlp.gate.e_score_correction_bias"),
        ("laguna", "mlp.experts.e_score_correction_bias"),
        ("step3.5", "moe.router_bias"),
    ],
)
def test_what_layers_of_one_kind_have(name: str, lost: str, original: Path) -> None:
    assert name in MODELS
    edit_tensors(original, lambda tensors: tensors.pop(f"model.layers.1.{lost}") and None)
    assert "TEN025" in errors(original)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mimo", {"hybrid_layer_pattern": [1, 0]}),
        ("mimo", {"swa_head_dim": 32}),
        ("laguna", {"num_attention_heads_per_layer": [8, 4]}),
        ("laguna", {"num_attention_heads_per_layer": [4, 4]}),
        ("step3.5", {"layer_types": [FULL, FULL]}),
        ("step3.5", {"attention_other_setting": {**STEP["attention_other_setting"], "num_attention_groups": 2}}),
    ],
)
def test_a_config_of_other_layers(name: str, change: Config, original: Path) -> None:
    assert name in MODELS
    edit_config(original, lambda config: config.update(change))
    assert "TEN026" in errors(original)


def test_a_list_that_is_none(original: Path) -> None:
    lists = ("hybrid_layer_pattern", "num_attention_heads_per_layer", "attention_other_setting", "layer_types")
    edit_config(original, lambda config: config.update({key: {"": [None]} for key in lists if key in config}))
    inspect_checkpoint(open_checkpoint(LocalFolder(original)))  # whatever it finds, it ends


def test_draft_layers_in_the_body_that_its_loader_leaves_unread(original: Path, name: str) -> None:
    if name == "laguna":
        pytest.skip("its loader refuses what it does not know")
    parts = ("eh_proj.weight", "self_attn.q_proj.weight", "mlp.gate_proj.weight")
    edit_tensors(
        original, lambda tensors: tensors.update({f"model.mtp.layers.0.{part}": zeros((64, HIDDEN)) for part in parts})
    )
    assert errors(original) == set()


@pytest.mark.parametrize("name", ["mimo", "step3.5"])
def test_a_stranger_in_the_body_that_its_loader_leaves_unread(name: str, original: Path) -> None:
    assert name in MODELS
    edit_tensors(original, lambda tensors: tensors.update({"model.extra.weight": zeros((HIDDEN,))}))
    assert errors(original) == set()
    edit_tensors(original, lambda tensors: tensors.update({"extra.weight": zeros((HIDDEN,))}))
    assert errors(original) == {"TEN024"}
