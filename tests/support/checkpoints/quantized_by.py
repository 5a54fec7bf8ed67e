"""Dense checkpoints of any family stored as other methods than compressed-tensors store them, with the config of the method's tool."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import stored_forms as forms
from builders import edit_config, edit_tensors

from ctq.checkpoint.config import ModelConfig
from ctq.checkpoint.header import TensorInfo
from ctq.recipe.classify import classify_all
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from raw_safetensors import Raw

    Store = Callable[[Any, str], dict[str, Raw]]

HEAD: Final = "lm_head"
GROUP: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """How a tool stores a layer, the config that it writes, and the key in which that lists what is left dense, if it lists it."""

    store: Store
    config: Mapping[str, Any]
    listed: str = ""
    head: Mapping[str, Any] = field(default_factory=dict)


_GPTQ: Final = {
    "quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True, "lm_head": False,
    "checkpoint_format": "gptq", "pack_dtype": "int32", "meta": {"quantizer": ["gptqmodel:5.0.0"]},
}  # fmt: skip
_AWQ: Final = {
    "quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm",
    "modules_to_not_convert": None,
}  # fmt: skip
_FP8: Final = {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3"}
_SKIPPED: Final = "modules_to_not_convert"

_ROUND: Final = {
    "quant_method": "auto-round", "bits": 4, "group_size": GROUP, "sym": True, "data_type": "int",
    "packing_format": "auto_round:auto_gptq", "autoround_version": "0.9.0", "block_name_to_quantize": None,
}  # fmt: skip
_PRODUCER: Final = {"name": "modelopt", "version": "0.39.0"}


def _quark(dtype: str, *, dynamic: bool = False, **weight: Any) -> dict[str, Any]:
    """Return Quark's config with activations of the same dtype, one scale to a tensor."""
    inputs = {"qscheme": "per_tensor"} if not dynamic else weight
    every = {"dtype": dtype, "symmetric": True, "is_dynamic": False}
    return {
        "quant_method": "quark",
        "export": {"pack_method": "reorder", "kv_cache_group": []},
        "global_quant_config": {
            "weight": {**every, **weight},
            "input_tensors": {**every, **inputs, "is_dynamic": dynamic},
            "output_tensors": None,
            "bias": None,
        },
        "layer_quant_config": {},
        "layer_type_quant_config": {},
    }


TOOLS: Final[Mapping[str, Tool]] = {
    "gptq": Tool(store=partial(forms.gptq, group=GROUP), config=_GPTQ, head={"lm_head": True}),
    "gptq-8bit": Tool(store=partial(forms.gptq, bits=8, group=32), config={**_GPTQ, "bits": 8, "group_size": 32}),
    "gptq-rows": Tool(store=partial(forms.gptq, group=None), config={**_GPTQ, "group_size": -1, "desc_act": True}),
    "awq": Tool(store=partial(forms.awq, group=GROUP), config=_AWQ, head={"lm_head": True}),
    "awq-listed": Tool(store=partial(forms.awq, group=GROUP), config=_AWQ, listed=_SKIPPED),
    "fp8-block": Tool(
        store=partial(forms.fp8_block, scale_name="weight_scale_inv"),
        config={**_FP8, "weight_block_size": [128, 128]},
        listed=_SKIPPED,
    ),
    "fp8-tensor": Tool(store=forms.fp8_tensor, config=_FP8, listed="ignored_layers"),
    "fp8-static": Tool(
        store=partial(forms.fp8_tensor, static=True), config={**_FP8, "activation_scheme": "static"}, listed=_SKIPPED
    ),
    "auto-round": Tool(store=partial(forms.gptq, group=GROUP), config=_ROUND, listed="extra_config"),
    "auto-round-awq": Tool(
        store=partial(forms.awq, group=GROUP),
        config={**_ROUND, "packing_format": "auto_round:auto_awq"},
        listed="extra_config",
    ),
    "modelopt-fp8": Tool(
        store=partial(forms.fp8_tensor, static=True),
        config={"quant_method": "modelopt", "quant_algo": "FP8", "producer": _PRODUCER},
        listed="ignore",
    ),
    "modelopt-nvfp4": Tool(
        store=forms.modelopt_nvfp4,
        config={"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "producer": _PRODUCER},
        listed="ignore",
    ),
    "quark-fp8": Tool(
        store=partial(forms.fp8_tensor, static=True), config=_quark("fp8_e4m3", qscheme="per_tensor"), listed="exclude"
    ),
    "quark-int8": Tool(
        store=forms.int_vector, config=_quark("int8", qscheme="per_channel", ch_axis=0), listed="exclude"
    ),
    "quark-mxfp4": Tool(
        store=forms.mxfp4,
        config=_quark("fp4", qscheme="per_group", group_size=32, scale_format="e8m0", dynamic=True),
        listed="exclude",
    ),
}
"""GPTQModel, AutoAWQ and llm-compressor's AWQ, transformers' and DeepSeek's blocks, AutoFP8."""


def quantized_by(tool: str, folder: Path, *, head: bool = False) -> Path:
    """Store the linear layers of the dense checkpoint in ``folder`` as a tool does, with the ``head`` where it is asked for."""
    chosen = TOOLS[tool]
    config = ModelConfig(raw=json.loads((folder / "config.json").read_text()))

    def change(tensors: dict[str, Raw]) -> None:
        infos = {name: TensorInfo(name, raw.dtype, raw.shape, 0, 0) for name, raw in tensors.items()}
        for name, found in classify_all(config, infos).items():
            module = name.removesuffix(".weight")
            if found.kind is Kind.LINEAR and (head or not module.endswith(HEAD)):
                raw = tensors.pop(name)
                tensors.update({f"{module}.{part}": one for part, one in chosen.store(raw.floats, raw.dtype).items()})
            elif chosen.listed and name.endswith(".weight") and len(infos[name].shape) > 1:
                left_dense.append(module)

    left_dense = [HEAD] if chosen.listed else []
    edit_tensors(folder, change)
    own: Any = {name: {"bits": 16} for name in left_dense} if chosen.listed == "extra_config" else left_dense
    listed = {chosen.listed: own} if chosen.listed else {}
    quantization = {**chosen.config, **(chosen.head if head else {}), **listed}
    edit_config(folder, lambda raw: raw.update(quantization_config=quantization))
    return folder
