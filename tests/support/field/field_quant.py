"""The quantization_config: its method, format and status, where it lies, and what other tools leave in it."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Final

from field_kind import add, kind
from field_model import Json, Model, Skip, pick

METHODS: Final = (
    None,
    "compressed_tensors",
    "compressed-tensor",
    "gptq",
    "awq",
    "fp8",
    "bitsandbytes",
    "Compressed-Tensors",
    "int8",
    "modelopt",
)


FORMATS: Final = (
    None, "int_quantized", "pack_quantized", "dense", "naive-quantized", "float-quantized", "int-quantized", "pack-quantized", "marlin-24",
    "mixed-precision", "nvfp4-pack-quantized", "compressed",
)  # fmt: skip


STATUSES: Final = ("frozen", "initialized", "calibration", "uncompressed", "Compressed", None)


for _method in METHODS:
    add(f"quant method {_method}", lambda m, d, v=_method: m.quant.__setitem__("quant_method", v))


for _format in FORMATS:
    add(f"format {_format}", lambda m, d, v=_format: m.quant.__setitem__("format", v))
    add(f"format {_format} of a group", lambda m, d, v=_format: pick(d, m.groups.values()).__setitem__("format", v))


for _status in STATUSES:
    add(f"status {_status}", lambda m, d, v=_status: m.quant.__setitem__("quantization_status", v))


for _key in ("quant_method", "format", "ignore", "quantization_status", "config_groups", "version", "kv_cache_scheme"):
    add(f"without {_key}", lambda m, d, k=_key: m.quant.pop(k) if k in m.quant else pick(d, []))

KINDS_OF_OTHERS: Final[dict[str, Json]] = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True, "lm_head": False},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic"},
    "fp8 blocks": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False},
    "bitsandbytes 4": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "modelopt": {"quant_method": "modelopt", "quant_algo": "FP8"},
    "torchao": {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}},
    "quark": {"quant_method": "quark", "global_quant_config": {}},
    "no method": {"bits": 8},
}


@kind
def formats_of_groups_left_out(m: Model, d: Random) -> None:
    for group in m.groups.values():
        group.pop("format", None)


@kind
def no_quantization_config(m: Model, d: Random) -> None:
    m.quant.clear()
    m.config.pop("quantization_config")


@kind
def quantization_config_empty(m: Model, d: Random) -> None:
    m.config["quantization_config"] = pick(d, ({}, None))


@kind
def quantization_config_in_text_config(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    m.text["quantization_config"] = m.quant
    if d.random() < 0.7:
        m.config.pop("quantization_config")


@kind
def quantization_config_in_a_file_of_its_own(m: Model, d: Random) -> None:
    quant, name = (
        m.quant,
        pick(d, ("quantize_config.json", "quant_config.json", "quantization_config.json", "hf_quant_config.json")),
    )
    if d.random() < 0.6:
        m.config.pop("quantization_config")
    m.after.append(lambda folder: (folder / name).write_text(json.dumps(quant)))


@kind
def old_file_of_a_quantizer_left(m: Model, d: Random) -> None:
    name, content = pick(
        d,
        (
            ("quantize_config.json", {"bits": 4, "group_size": 128, "desc_act": True, "sym": True}),
            ("quant_config.json", {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}),
            ("hf_quant_config.json", {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": None}}),
            ("recipe.yaml", {"quant_stage": {}}),
        ),
    )
    m.after.append(lambda folder: (folder / name).write_text(json.dumps(content)))


@kind
def called_compression_config(m: Model, d: Random) -> None:
    m.config["compression_config"] = m.quant
    if d.random() < 0.7:
        m.config.pop("quantization_config")


@kind
def keys_of_gptq_beside(m: Model, d: Random) -> None:
    m.quant.update({"bits": 4, "group_size": 128, "desc_act": True, "sym": True, "checkpoint_format": "gptq"})


@kind
def keys_of_bitsandbytes_beside(m: Model, d: Random) -> None:
    m.quant.update({"load_in_8bit": True, "llm_int8_threshold": 6.0, "_load_in_8bit": True})


def _other(m: Model, d: Random, content: Json) -> None:
    m.config["quantization_config"] = copy.deepcopy(content)


for _name, _content in KINDS_OF_OTHERS.items():
    add(f"quantization_config of {_name}", lambda m, d, c=_content: _other(m, d, c))


@kind
def a_plain_compressed_tensors_config(m: Model, d: Random) -> None:
    """Written for a dense checkpoint: quantized in name alone."""
    m.config["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "ignore": pick(d, (["lm_head"], [], ["re:.*"])),
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True, "dynamic": False},
                "input_activations": {
                    "num_bits": 8,
                    "type": "int",
                    "strategy": "token",
                    "symmetric": True,
                    "dynamic": True,
                },
            }
        },
    }
