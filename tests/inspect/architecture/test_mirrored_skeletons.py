"""A text model that transformers does not build, under the names of its published checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_checkpoint
from inspecting import errors

Tensors = dict[str, Raw]
HIDDEN, HEADS, GROUPS, SIZE, FEED_FORWARD, WORDS = 128, 4, 2, 32, 256, 320
CONFIG = {
    "architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "auto_map": {"AutoConfig": "owner/name--configuration_internlm2.Config"},
    "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD, "num_hidden_layers": 2, "num_attention_heads": HEADS,
    "num_key_value_heads": GROUPS, "vocab_size": WORDS, "hidden_act": "silu", "rms_norm_eps": 1e-6, "bias": False,
    "tie_word_embeddings": False, "rope_theta": 10000.0, "max_position_embeddings": 256,
}  # fmt: skip
IN_LAYER = {
    "attention.wqkv": ((HEADS + 2 * GROUPS) * SIZE, HIDDEN),
    "attention.wo": (HIDDEN, HEADS * SIZE),
    "attention_norm": (HIDDEN,),
    "feed_forward.w1": (FEED_FORWARD, HIDDEN),
    "feed_forward.w2": (HIDDEN, FEED_FORWARD),
    "feed_forward.w3": (FEED_FORWARD, HIDDEN),
    "ffn_norm": (HIDDEN,),
}
SHAPES = {
    "model.tok_embeddings.weight": (WORDS, HIDDEN),
    "model.norm.weight": (HIDDEN,),
    "output.weight": (WORDS, HIDDEN),
} | {f"model.layers.{layer}.{name}.weight": shape for layer in range(2) for name, shape in IN_LAYER.items()}


def zeros(shape: tuple[int, ...]) -> Raw:
    return Raw("BF16", shape, bytes(2 * shape[0] * (shape[1] if len(shape) > 1 else 1)))


@pytest.fixture
def internlm2(tmp_path: Path) -> Path:
    folder = tiny_checkpoint(tmp_path / "internlm2")

    def state(config: dict[str, Any]) -> None:
        config.clear()
        config.update(CONFIG)

    def fill(tensors: Tensors) -> None:
        tensors.clear()
        tensors.update({name: zeros(shape) for name, shape in SHAPES.items()})

    edit_config(folder, state)
    edit_tensors(folder, fill)
    return folder


def test_a_healthy_one(internlm2: Path) -> None:
    assert errors(internlm2) == set()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda tensors: tensors.pop("model.layers.1.ffn_norm.weight"), "TEN025"),
        (lambda tensors: tensors.update({"model.layers.0.attention.wk.weight": zeros((64, HIDDEN))}), "TEN024"),
        (lambda tensors: tensors.update({"model.layers.0.attention.wo.weight": zeros((HIDDEN + 8, HIDDEN))}), "TEN026"),
        (lambda tensors: tensors.update({"model.output.weight": tensors.pop("output.weight")}), "TEN024"),
    ],
)
def test_a_broken_one(change: Callable[[Tensors], object], code: str, internlm2: Path) -> None:
    edit_tensors(internlm2, lambda tensors: change(tensors) and None)
    assert code in errors(internlm2)


PANGU = {
    **CONFIG, "architectures": ["PanguEmbeddedForCausalLM"], "model_type": "PanguEmbedded", "bias": True, "head_dim": SIZE,
    "auto_map": {"AutoConfig": "owner/name--configuration_pangu.Config"},
}  # fmt: skip
HEADS_OF = {"q_proj": HEADS * SIZE, "k_proj": GROUPS * SIZE, "v_proj": GROUPS * SIZE}
IN_PANGU = {
    **{f"self_attn.{name}.weight": (rows, HIDDEN) for name, rows in HEADS_OF.items()},
    **{f"self_attn.{name}.bias": (rows,) for name, rows in HEADS_OF.items()},
    "self_attn.o_proj.weight": (HIDDEN, HEADS * SIZE),
    "self_attn.o_proj.bias": (HIDDEN,),
    "mlp.gate_proj.weight": (FEED_FORWARD, HIDDEN),
    "mlp.up_proj.weight": (FEED_FORWARD, HIDDEN),
    "mlp.down_proj.weight": (HIDDEN, FEED_FORWARD),
    "input_layernorm.weight": (HIDDEN,),
    "post_attention_layernorm.weight": (HIDDEN,),
}


@pytest.mark.parametrize(
    ("config", "has_biases", "expected"),
    [
        ({"bias": True}, True, set()),
        ({"bias": True}, False, {"TEN025"}),
        ({"bias": False}, False, set()),
        ({}, False, set()),
    ],
)
def test_biases_that_a_switch_of_vllm_s_class_brings(
    config: dict[str, Any], has_biases: bool, expected: set[str], tmp_path: Path
) -> None:
    folder = tiny_checkpoint(tmp_path / "pangu")
    whole = {
        "model.embed_tokens.weight": (WORDS, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (WORDS, HIDDEN),
    }
    shapes = {f"model.layers.{layer}.{name}": shape for layer in range(2) for name, shape in IN_PANGU.items()} | whole

    def state(stated: dict[str, Any]) -> None:
        stated.clear()
        stated.update({key: value for key, value in PANGU.items() if key != "bias"} | config)

    def fill(tensors: Tensors) -> None:
        tensors.clear()
        tensors.update(
            {name: zeros(shape) for name, shape in shapes.items() if has_biases or not name.endswith("bias")}
        )

    edit_config(folder, state)
    edit_tensors(folder, fill)
    assert errors(folder) == expected
