"""A two-layer Llama-shaped checkpoint written in milliseconds, without torch, and hooks to break one thing in it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from raw_safetensors import Raw, from_floats, read_file, read_safetensors, write_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

HIDDEN: Final = 128
INTERMEDIATE: Final = 256
KEY_VALUE: Final = 64
INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
LINEARS: Final[Mapping[str, tuple[int, int]]] = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEY_VALUE, HIDDEN),
    "self_attn.v_proj": (KEY_VALUE, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}
"""Linear layers of one decoder layer: name and [out, in]."""
NORMS: Final = ("input_layernorm", "post_attention_layernorm")
DTYPE_NAMES: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def tiny_checkpoint(
    folder: Path,
    *,
    shards: int = 2,
    dtype: str = "BF16",
    tied: bool = False,
    layers: int = 2,
    vocab: int = 320,
    seed: int = 0,
) -> Path:
    """Write a Llama checkpoint with hidden size 128, intermediate size 256 and a config that transformers loads."""
    tensors = dense_tensors(dtype=dtype, tied=tied, layers=layers, vocab=vocab, seed=seed)
    return write_folder(
        folder, tensors, dense_config(dtype=dtype, tied=tied, layers=layers, vocab=vocab), shards=shards
    )


def dense_tensors(
    *, dtype: str = "BF16", tied: bool = False, layers: int = 2, vocab: int = 320, seed: int = 0
) -> dict[str, Raw]:
    """Make the tensors: rows of different spread, norms near one."""
    random = np.random.default_rng(seed)

    def matrix(out_features: int, in_features: int) -> Raw:
        spread = np.exp(0.4 * random.standard_normal((out_features, 1), np.float32)) / in_features**0.5
        return from_floats(spread * random.standard_normal((out_features, in_features), np.float32), dtype)

    def norm() -> Raw:
        return from_floats(1 + 0.05 * random.standard_normal(HIDDEN, np.float32), dtype)

    tensors = {"model.embed_tokens.weight": matrix(vocab, HIDDEN)}
    for layer in range(layers):
        tensors |= {f"model.layers.{layer}.{name}.weight": matrix(*shape) for name, shape in LINEARS.items()}
        tensors |= {f"model.layers.{layer}.{name}.weight": norm() for name in NORMS}
    tensors["model.norm.weight"] = norm()
    if not tied:
        tensors["lm_head.weight"] = matrix(vocab, HIDDEN)
    return tensors


def dense_config(*, dtype: str = "BF16", tied: bool = False, layers: int = 2, vocab: int = 320) -> dict[str, Any]:
    """Make the ``config.json`` of `dense_tensors`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": DTYPE_NAMES[dtype],
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 256,
        "vocab_size": vocab,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "tie_word_embeddings": tied,
    }


def write_folder(folder: Path, tensors: Mapping[str, Raw], config: Mapping[str, Any], *, shards: int) -> Path:
    """Write ``config.json`` and the tensors in ``shards`` files of about equal size; more than one has an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    total = sum(len(tensor.data) for tensor in tensors.values())
    files: dict[str, dict[str, Raw]] = defaultdict(dict)
    seen = 0
    for name, tensor in tensors.items():
        number = 1 + min(seen * shards // max(total, 1), shards - 1)
        seen += len(tensor.data)
        files[SINGLE if shards == 1 else f"model-{number:05d}-of-{shards:05d}.safetensors"][name] = tensor
    for name, part in files.items():
        write_safetensors(folder / name, part, metadata={"format": "pt"})
    if shards > 1:
        write_index(folder)
    return folder


def write_index(folder: Path) -> None:
    """Write the index that the files of ``folder`` ask for."""
    weight_map: dict[str, str] = {}
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        header, data = read_file(path)
        weight_map |= {name: path.name for name in header if name != "__metadata__"}
        total += len(data)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=2) + "\n")


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change ``config.json`` in place."""
    edit_json(folder / "config.json", change)


def edit_index(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the index in place, and nothing else, so that it may lie."""
    edit_json(folder / INDEX, change)


def edit_tensors(folder: Path, change: Callable[[dict[str, Raw]], object]) -> None:
    """Change all tensors of the folder as one mapping; kept names stay in their file, new ones join the last, the index is true."""
    paths = sorted(folder.glob("*.safetensors"))
    parts = {path: read_safetensors(path) for path in paths}
    home = {name: path for path, part in parts.items() for name in part}
    tensors = {name: tensor for part in parts.values() for name, tensor in part.items()}
    change(tensors)
    for path in paths:
        part = {name: tensor for name, tensor in tensors.items() if home.get(name, paths[-1]) == path}
        write_safetensors(path, part, metadata={"format": "pt"})
    if (folder / INDEX).exists():
        write_index(folder)


def drop_tensor(folder: Path, name: str) -> None:
    """Remove one tensor and its entry in the index; a name that is not there is an error."""
    edit_tensors(folder, lambda tensors: tensors.pop(name))


def rename_tensor(folder: Path, old: str, new: str) -> None:
    """Give one tensor another name."""
    edit_tensors(folder, lambda tensors: tensors.__setitem__(new, tensors.pop(old)))


def all_tensors(folder: Path) -> dict[str, Raw]:
    """Return every tensor of the folder."""
    return {name: raw for path in sorted(folder.glob("*.safetensors")) for name, raw in read_safetensors(path).items()}
