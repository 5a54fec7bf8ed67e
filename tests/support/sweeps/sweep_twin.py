"""The dense twin of a quantized checkpoint: its weights taken apart with numpy, under the names of dense ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
from raw_safetensors import Raw, from_floats, read_safetensors, write_safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARTS: Final = ("weight_scale", "weight_packed", "weight_shape")
_OFFSET: Final = 128


def write_twin(quantized: Path, folder: Path) -> Path:
    """Write the checkpoint of 8-bit symmetric weights in ``quantized`` as a dense one in one file."""
    tensors = {
        name: raw for path in sorted(quantized.glob("*.safetensors")) for name, raw in read_safetensors(path).items()
    }
    dense = {name: raw for name, raw in tensors.items() if name.rpartition(".")[2] not in PARTS}
    for name in tensors:
        module, _, part = name.rpartition(".")
        if part == "weight_scale":
            dense[f"{module}.weight"] = _taken_apart(module, tensors)
    config = json.loads((quantized / "config.json").read_text())
    del config["quantization_config"]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", dense, metadata={"format": "pt"})
    return folder


def _taken_apart(module: str, tensors: Mapping[str, Raw]) -> Raw:
    scale = tensors[f"{module}.weight_scale"]
    packed = tensors.get(f"{module}.weight_packed")
    if packed is None:
        weight = tensors[f"{module}.weight"]
        codes = np.frombuffer(weight.data, np.int8).reshape(weight.shape).astype(np.float32)
    else:
        rows, columns = np.frombuffer(tensors[f"{module}.weight_shape"].data, np.int64)
        codes = np.frombuffer(packed.data, np.uint8).reshape(rows, -1)[:, :columns].astype(np.float32) - _OFFSET
    grouped = codes.reshape(len(codes), scale.shape[1], -1) * scale.floats[..., None]
    return from_floats(np.ascontiguousarray(grouped.reshape(codes.shape), np.float32), scale.dtype)
