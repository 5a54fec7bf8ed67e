"""The healthy checkpoints that are changed: by ctq, and by compressed-tensors' own compressors in the forms that ctq does not write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from families import SWEPT, build
from field_model import read_model
from mirrored import build_mirrored
from mirrored_multimodal import MIRRORED_MULTIMODAL
from mirrored_text import MIRRORED_TEXT
from raw_safetensors import Raw, from_numpy
from sweep_quantize import SCHEMES, quantize_as

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

FAMILY_NAMES: Final = (
    "llama", "llama-tied", "llama-odd-vocab", "qwen2", "qwen2-tied", "qwen3", "qwen3-tied", "mistral", "ministral3", "phi3", "phi", "gemma",
    "gemma2", "gemma3", "olmo", "olmo2", "olmo3", "stablelm", "starcoder2", "granite", "cohere", "cohere2", "glm", "glm4", "nemotron",
    "smollm3", "ernie4.5", "exaone4", "hunyuan", "minicpm3", "arcee", "apertus", "seed-oss", "gptj", "gpt-neox", "gpt2", "opt", "bloom",
    "falcon", "qwen3-moe", "mixtral", "qwen2-moe", "deepseek-v2", "deepseek-v3", "olmoe", "granite-moe", "glm4-moe", "ernie4.5-moe",
    "dots1", "hunyuan-moe", "minimax-m2", "gpt-oss", "phimoe", "bamba", "falcon-h1", "granite-hybrid", "jamba", "zamba2", "lfm2", "mamba2",
    "qwen3-next", "qwen3.5", "nemotron-h", "kimi-linear", "llava", "llava-onevision", "mistral3", "internvl", "idefics3", "paligemma",
    "qwen2-vl", "qwen2-vl-tied", "qwen2.5-vl", "qwen3-vl", "qwen3-vl-moe", "qwen3.5-vl", "glm4v", "llama4", "gemma3-mm", "lfm2-vl",
    "voxtral", "qwen2-audio", "aya-vision", "mimo-v2-flash", "exaone-moe", "solar-open", "hy-v3", "cwm",
)  # fmt: skip
MIRRORED: Final = {row.name: row for row in (*MIRRORED_TEXT, *MIRRORED_MULTIMODAL)}
MIRRORED_NAMES: Final = (
    "internvl-qwen2", "internvl-qwen3-moe", "minicpm-v-2.6", "kimi-vl", "keye", "telechat3", "iquest-coder", "nemotron-h-puzzle", "ovis1.6",
    "dots-ocr", "hyperclovax-v2", "eagle2.5-vl",
)  # fmt: skip
_WEIGHTS: Final = {
    "num_bits": 8,
    "type": "int",
    "strategy": "channel",
    "group_size": None,
    "symmetric": True,
    "dynamic": False,
}
_TOKEN: Final = {"num_bits": 8, "type": "float", "strategy": "token", "symmetric": True, "dynamic": True}
_FP8: Final = ("float-quantized", {**_WEIGHTS, "type": "float"}, _TOKEN)
_GROUPS_OF_4_BITS: Final = {**_WEIGHTS, "num_bits": 4, "strategy": "group", "group_size": 128}
FORMS: Final[Mapping[str, tuple[str, dict[str, Any], dict[str, Any] | None]]] = MappingProxyType(
    {
        "W4A16": ("pack-quantized", _GROUPS_OF_4_BITS, None),
        "W4A16 head": ("pack-quantized", _GROUPS_OF_4_BITS, None),
        "W4A16 channel": ("pack-quantized", {**_WEIGHTS, "num_bits": 4}, None),
        "FP8": _FP8,
        "FP8 head": _FP8,
        "W8A8 static": (
            "int-quantized",
            _WEIGHTS,
            {**_TOKEN, "type": "int", "strategy": "tensor", "dynamic": False},
        ),
    }
)
BASES: Final = ("dense", *SCHEMES, *FORMS)


def dense_of(family: str, work: Path, python: Path) -> Path:
    """Build the dense original, where it is not there yet; raises what the builder raises."""
    folder = work / "dense" / family
    if not (folder / "config.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        if family in MIRRORED:
            wrong = build_mirrored([MIRRORED[family]], work / "dense", python=python)
            if wrong:
                shutil.rmtree(folder, ignore_errors=True)
                raise ValueError(str(wrong))
        else:
            assert family in SWEPT
            build(family, folder)
    return folder


def base_of(family: str, base: str, work: Path, python: Path) -> Path:
    """Return the healthy checkpoint, made where it is not there yet; raises ValueError where ctq makes none."""
    dense = dense_of(family, work, python)
    if base == "dense":
        return dense
    folder = work / "bases" / f"{family}-{base}".replace(" ", "-")
    if folder.exists():
        return folder
    if base in SCHEMES:
        made = quantize_as(base, dense, folder)
        if not made.promise:
            raise ValueError(made.refusals[-1])
    else:
        scheme = "W8A8" if base.endswith(" head") else "no head"
        in_form(base, base_of(family, scheme, work, python), folder)
    return folder


def in_form(base: str, quantized: Path, folder: Path) -> None:
    """Store the modules of int8 codes by channel in another form, by compressed-tensors' compressor."""
    form, weights, activations = FORMS[base]
    model = read_model(quantized)
    for name in [name for name in model.tensors if name.endswith(".weight_scale")]:
        module = name.removesuffix(".weight_scale")
        codes, scale = model.tensors[f"{module}.weight"], model.tensors[name]
        values = np.frombuffer(codes.data, np.int8).reshape(codes.shape) * scale.floats
        parts = _compressed(values.astype(np.float32), form, weights)
        if activations and not activations["dynamic"]:
            parts["input_scale"] = _of_torch(_torch().full((1,), 0.02, dtype=_torch().bfloat16))
        for part in model.parts(module):
            if part != "bias":
                del model.tensors[f"{module}.{part}"]
        model.tensors |= {f"{module}.{part}": raw for part, raw in parts.items()}
    for group in model.groups.values():
        group.update(weights=dict(weights), input_activations=activations and dict(activations), format=form)
    model.quant["format"] = form
    model.config = json.loads(json.dumps(model.config))
    model.write(folder)


def _torch() -> Any:
    import torch

    return torch


def _compressed(values: np.ndarray[Any, np.dtype[np.float32]], form: str, weights: dict[str, Any]) -> dict[str, Raw]:
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    torch = _torch()
    weight = torch.from_numpy(values).to(torch.bfloat16)
    tops = weight.float().unflatten(1, (-1, weights["group_size"] or weight.shape[1])).abs().amax(2)
    largest = 448 if weights["type"] == "float" else 2 ** (weights["num_bits"] - 1) - 0.5
    scale = (tops.clamp_min(1e-6) / largest).to(torch.bfloat16)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))
    compressor = BaseCompressor.get_value_from_registry(form)
    found = compressor.compress({"weight": weight, "weight_scale": scale}, scheme)
    return {name: _of_torch(tensor) for name, tensor in found.items()}


def _of_torch(tensor: torch.Tensor) -> Raw:
    torch = _torch()
    codes = {torch.bfloat16: ("BF16", torch.int16), torch.float8_e4m3fn: ("F8_E4M3", torch.uint8)}
    if tensor.dtype in codes:
        dtype, plain = codes[tensor.dtype]
        return Raw(dtype, tuple(tensor.shape), tensor.contiguous().view(plain).numpy().tobytes())
    return from_numpy(tensor.contiguous().numpy())
