"""Round-to-nearest quantization of any family's checkpoint, in the plainest way, as the engines' tests need it.

It knows nothing of ctq: two-dimensional ``.weight`` tensors are quantized unless they are embeddings, norms, routers or named by
the caller, and the rest is copied.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dense_builder import all_tensors, write_folder
from quantized_builder import HEAD_PATTERN, KINDS, quantization_config

if TYPE_CHECKING:
    from pathlib import Path

    from raw_safetensors import Raw

KEPT = ("embed", "wte", "wpe", "norm", "gate.weight", "router", "conv", "vision", "visual", "rotary", "A_log", "ln_")


def quantize_family(
    source: Path, folder: Path, *, kind: str = "w8a8", head: bool = True, keep: tuple[str, ...] = ()
) -> Path:
    """Write ``source`` quantized as ``kind`` of `builders.KINDS`, the head in its own group or in ``ignore``."""
    ignored: list[str] = []
    tensors: dict[str, Raw] = {}
    body, first = KINDS[kind], KINDS[KINDS[kind].head or kind]
    for name, tensor in all_tensors(source).items():
        module = name.removesuffix(".weight")
        is_head = module.rpartition(".")[2] in ("lm_head", "embed_out")
        if len(tensor.shape) != 2 or module == name or (is_head and not head):
            tensors[name] = tensor
        elif any(part in name for part in (*KEPT, *keep)) and not is_head:
            tensors[name] = tensor
            ignored.append(module)
        else:
            store = first.store if is_head else body.store
            tensors |= {f"{module}.{suffix}": raw for suffix, raw in store(tensor.floats, tensor.dtype).items()}
    settings = quantization_config(kind, head="quantized" if head else "dense")
    if head:
        settings["config_groups"]["group_0"]["targets"] = [HEAD_PATTERN, "re:.*embed_out$"]
    settings["ignore"] += ignored
    config = json.loads((source / "config.json").read_text()) | {"quantization_config": settings}
    return write_folder(folder, tensors, config, shards=1)
