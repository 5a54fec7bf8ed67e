"""The one import for tests that need tiny folders: healthy dense and quantized ones, and ways to break them."""

from __future__ import annotations

from dense_builder import (
    INDEX,
    SINGLE,
    all_tensors,
    dense_config,
    dense_tensors,
    drop_tensor,
    edit_config,
    edit_index,
    edit_json,
    edit_tensors,
    rename_tensor,
    tiny_checkpoint,
    write_folder,
    write_index,
)
from quantized_builder import COMPRESSED, FOREIGN, HEAD_PATTERN, KINDS, quantization_config, quark, tiny_quantized
from raw_safetensors import (
    Raw,
    edit_header,
    from_floats,
    from_numpy,
    read_file,
    read_safetensors,
    write_file,
    write_safetensors,
)

__all__ = [
    "COMPRESSED",
    "FOREIGN",
    "HEAD_PATTERN",
    "INDEX",
    "KINDS",
    "SINGLE",
    "Raw",
    "all_tensors",
    "dense_config",
    "dense_tensors",
    "drop_tensor",
    "edit_config",
    "edit_header",
    "edit_index",
    "edit_json",
    "edit_tensors",
    "from_floats",
    "from_numpy",
    "quantization_config",
    "quark",
    "read_file",
    "read_safetensors",
    "rename_tensor",
    "tiny_checkpoint",
    "tiny_quantized",
    "write_file",
    "write_folder",
    "write_index",
    "write_safetensors",
]
