"""LongCat-Flash, of whose layers each has two of attention and two feed-forwards, beside its experts."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors
from dense_builder import SINGLE
from inspecting import errors
from raw_safetensors import write_safetensors

CONFIG = {
    "architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash", "hidden_size": 128, "num_layers": 2,
    "num_attention_heads": 4, "ffn_hidden_size": 256, "expert_ffn_hidden_size": 64, "n_routed_experts": 4, "zero_expert_num": 2,
    "zero_expert_type": "identity", "moe_topk": 2, "kv_lora_rank": 96, "q_lora_rank": 64, "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 16, "v_head_dim": 48, "vocab_size": 320, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "routed_scaling_factor": 6.0, "attention_method": "MLA", "torch_dtype": "bfloat16",
    "tie_word_embeddings": False, "router_bias": False, "attention_bias": False, "mla_scale_q_lora": True,
    "mla_scale_kv_lora": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
PIECES = {
    "input_layernorm.#.weight": (128,), "post_attention_layernorm.#.weight": (128,), "self_attn.#.q_a_proj.weight": (64, 128),
    "self_attn.#.q_a_layernorm.weight": (64,), "self_attn.#.q_b_proj.weight": (192, 64), "self_attn.#.kv_a_layernorm.weight": (96,),
    "self_attn.#.kv_a_proj_with_mqa.weight": (128, 128), "self_attn.#.kv_b_proj.weight": (256, 96),
    "self_attn.#.o_proj.weight": (128, 192), "mlps.#.gate_proj.weight": (256, 128), "mlps.#.up_proj.weight": (256, 128),
    "mlps.#.down_proj.weight": (128, 256),
}  # fmt: skip
EXPERTS = {"gate_proj": (64, 128), "up_proj": (64, 128), "down_proj": (128, 64)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (320, 128), "model.norm.weight": (128,), "lm_head.weight": (320, 128)
    }  # fmt: skip
    for layer in ("model.layers.0", "model.layers.1"):
        shapes |= {f"{layer}.{name.replace('#', str(n))}": shape for n in range(2) for name, shape in PIECES.items()}
        shapes |= {f"{layer}.mlp.experts.{n}.{name}.weight": shape for n in range(4) for name, shape in EXPERTS.items()}
        shapes |= {
            f"{layer}.mlp.router.classifier.weight": (6, 128),
            f"{layer}.mlp.router.e_score_correction_bias": (6,),
        }
    tensors = {name: Raw("BF16", shape, bytes(2 * prod(shape))) for name, shape in shapes.items()}
    write_safetensors(tmp_path / SINGLE, tensors, metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_a_healthy_one(folder: Path) -> None:
    assert errors(folder) == set()


def test_counts_of_layers_are_halved_where_that_is_what_the_config_states(folder: Path) -> None:
    edit_config(folder, lambda config: config.update(num_hidden_layers=4))
    assert errors(folder) == set()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("model.layers.1.self_attn.1.q_a_proj.weight", "TEN025"),
        ("model.layers.0.self_attn.0.kv_a_layernorm.weight", "TEN025"),
        ("model.layers.0.mlps.1.down_proj.weight", "TEN025"),
        ("model.layers.1.mlp.router.e_score_correction_bias", "TEN025"),
        ("model.layers.1.mlp.experts.2.up_proj.weight", "TEN020"),
    ],
)
def test_what_is_lost(name: str, code: str, folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.pop(name))
    assert code in errors(folder)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("model.layers.0.self_attn.1.extra.weight", {"TEN024"}),
        ("model.layers.0.mlp.experts.1.up_proj_stranger.weight", {"TEN024"}),
        ("model.mtp.layers.0.eh_proj.weight", set()),
        ("model.layers.0.mlps.0.up_proj.bias", set()),
    ],
)
def test_strangers(name: str, codes: set[str], folder: Path) -> None:
    shape = (256,) if name.endswith("bias") else (8, 8)
    edit_tensors(folder, lambda tensors: tensors.update({name: Raw("BF16", shape, bytes(2 * prod(shape)))}))
    assert errors(folder) == codes


def test_a_router_without_rows_for_experts_that_do_nothing(folder: Path) -> None:
    name = "model.layers.0.mlp.router.classifier.weight"
    edit_tensors(folder, lambda tensors: tensors.update({name: Raw("BF16", (4, 128), bytes(1024))}))
    assert errors(folder) == {"TEN026"}
