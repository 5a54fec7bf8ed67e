"""A model of 70 billion parameters, headers only, dry-loaded whole and as one rank of eight."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
from builders import quantization_config

from ctq.verify.engines.vllm.judge import judge
from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm
from ctq.verify.report import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine
HIDDEN, INTERMEDIATE, LAYERS, VOCAB, KEY_VALUE = 8192, 28672, 80, 128256, 1024
SIZES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEY_VALUE, HIDDEN),
    "self_attn.v_proj": (KEY_VALUE, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": VOCAB,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}


def linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, str, list[int], int]]:
    yield f"{name}.weight", "I8", [rows, columns], rows * columns
    yield f"{name}.weight_scale", "BF16", [rows, 1], 2 * rows


def tensors() -> Iterator[tuple[str, str, list[int], int]]:
    yield "model.embed_tokens.weight", "BF16", [VOCAB, HIDDEN], 2 * VOCAB * HIDDEN
    for layer in range(LAYERS):
        for name, (rows, columns) in SIZES.items():
            yield from linear(f"model.layers.{layer}.{name}", rows, columns)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{norm}.weight", "BF16", [HIDDEN], 2 * HIDDEN
    yield "model.norm.weight", "BF16", [HIDDEN], 2 * HIDDEN
    yield from linear("lm_head", VOCAB, HIDDEN)


def write_sparse(folder: Path) -> Path:
    """Write true headers over files that are holes."""
    folder.mkdir()
    header, offset = {}, 0
    for name, dtype, shape, nbytes in tensors():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + nbytes]}
        offset += nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + offset)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"quantization_config": quantization_config("w8a8")}))
    return folder


def test_seventy_billion_parameters_need_neither_time_nor_memory(tmp_path: Path, vllm_python: Path) -> None:
    folder = write_sparse(tmp_path / "70b")
    requests = [
        VllmRequest(checkpoint=folder, tensor_parallel_size=size, rank=rank) for size, rank in ((1, 0), (8, 0), (8, 7))
    ]
    for result in run_vllm(requests, python=vllm_python, timeout_s=300):
        assert judge(result, expect_head_quantized=True).status is Status.PASS
        assert result.peak_bytes < 1_500_000_000
        assert result.seconds < 60  # 1.5 s each, after an import of 10 s
