"""A two-layer Llama-shaped checkpoint written in milliseconds, without torch, and hooks to break one thing in it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from raw_safetensors import Raw, from_floats, read_file, read_safetensors, write_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

HIDDEN: Final = 128
INTERMEDIATE: Final = 256
HEADS: Final = 4
KEY_VALUE_HEADS: Final = 2
INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
LINEARS: Final = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
"""Linear layers of one decoder layer."""
NORMS: Final = ("input_layernorm", "post_attention_layernorm")
DTYPE_NAMES: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes that tests vary; ``head_dim`` 64 makes every layer divisible by blocks of 128."""

    layers: int = 2
    vocab: int = 320
    head_dim: int = 32
    tied: bool = False
    dtype: str = "BF16"

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Name and [out, in] of each linear layer of a decoder layer."""
        wide, narrow = HEADS * self.head_dim, KEY_VALUE_HEADS * self.head_dim
        up, down = (INTERMEDIATE, HIDDEN), (HIDDEN, INTERMEDIATE)
        return dict(
            zip(
                LINEARS, [(wide, HIDDEN), (narrow, HIDDEN), (narrow, HIDDEN), (HIDDEN, wide), up, up, down], strict=True
            )
        )


def tiny_checkpoint(folder: Path, *, shards: int = 2, seed: int = 0, **shape: Any) -> Path:
    """Write a Llama checkpoint with hidden size 128, intermediate size 256 and a config that transformers loads.

    ``shape``: ``dtype`` (BF16, F16, F32), ``tied``, ``layers``, ``vocab``, ``head_dim``, as in `Shape`.
    """
    return write_folder(folder, dense_tensors(seed=seed, **shape), dense_config(**shape), shards=shards)


def dense_tensors(*, seed: int = 0, **shape: Any) -> dict[str, Raw]:
    """Make the tensors: rows of different spread, norms near one."""
    sizes = Shape(**shape)
    random = np.random.default_rng(seed)

    def matrix(out_features: int, in_features: int) -> Raw:
        spread = np.exp(0.4 * random.standard_normal((out_features, 1), np.float32)) / in_features**0.5
        return from_floats(spread * random.standard_normal((out_features, in_features), np.float32), sizes.dtype)

    def norm() -> Raw:
        return from_floats(1 + 0.05 * random.standard_normal(HIDDEN, np.float32), sizes.dtype)

    tensors = {"model.embed_tokens.weight": matrix(sizes.vocab, HIDDEN)}
    for layer in range(sizes.layers):
        tensors |= {f"model.layers.{layer}.{name}.weight": matrix(*size) for name, size in sizes.linears.items()}
        tensors |= {f"model.layers.{layer}.{name}.weight": norm() for name in NORMS}
    tensors["model.norm.weight"] = norm()
    if not sizes.tied:
        tensors["lm_head.weight"] = matrix(sizes.vocab, HIDDEN)
    return tensors


def dense_config(**shape: Any) -> dict[str, Any]:
    """Make the ``config.json`` of `dense_tensors`."""
    sizes = Shape(**shape)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": DTYPE_NAMES[sizes.dtype],
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": sizes.head_dim,
        "max_position_embeddings": 256,
        "vocab_size": sizes.vocab,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "tie_word_embeddings": sizes.tied,
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
