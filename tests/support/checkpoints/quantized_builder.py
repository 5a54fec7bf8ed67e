"""Healthy quantized checkpoints of every kind that the inspector names, written in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import stored_forms as forms
from dense_builder import LINEARS, dense_config, dense_tensors, write_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from raw_safetensors import Raw

Json: TypeAlias = dict[str, Any]
Store: TypeAlias = Callable[[Any, str], dict[str, "Raw"]]
Head: TypeAlias = Literal["quantized", "dense", "tied"]
HEAD_PATTERN: Final = "re:.*lm_head$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to quantize: how a layer is stored and what the config says of it.

    ``format`` is compressed-tensors' format; ``method`` the config of any other method instead.
    """

    store: Store
    format: str = ""
    weights: Json = field(default_factory=dict)
    activations: Json | None = None
    method: Json | None = None
    head: str = ""
    shape: Json = field(default_factory=dict)


def _args(**over: Any) -> Json:
    args = {
        "num_bits": 8,
        "type": "int",
        "strategy": "channel",
        "group_size": None,
        "symmetric": True,
        "dynamic": False,
    }
    return {**args, "observer": None, **over}


def _group(size: int, **over: Any) -> Json:
    return _args(strategy="group", group_size=size, **over)


_TOKEN: Final = _args(strategy="token", dynamic=True)
_FP8_TOKEN: Final = _TOKEN | {"type": "float"}
_NVFP4: Final = _args(num_bits=4, type="float", strategy="tensor_group", group_size=16)
_MXFP4: Final = _group(32, num_bits=4, type="float")
_MXFP8: Final = _group(32, type="float", scale_dtype="torch.uint8")
_BLOCK: Final = _args(type="float", strategy="block", block_structure=[128, 128])


def quark(weight: Json, inputs: Json) -> Json:
    """Return a config of Quark that has every layer but the head quantized alike."""
    return {
        "quant_method": "quark",
        "export": {"pack_method": "reorder", "kv_cache_group": []},
        "global_quant_config": {"weight": weight, "input_tensors": inputs, "output_tensors": None, "bias": None},
        "layer_quant_config": {},
        "layer_type_quant_config": {},
        "exclude": ["lm_head"],
    }


def _quark_args(dtype: str, *, channel: bool, dynamic: bool = False) -> Json:
    strategy: Json = {"qscheme": "per_channel", "ch_axis": 0} if channel else {"qscheme": "per_tensor"}
    return {"dtype": dtype, "is_dynamic": dynamic, "symmetric": True, **strategy}


KINDS: Final[Mapping[str, Kind]] = {
    "w8a8": Kind(store=forms.int_quantized, format="int-quantized", weights=_args(), activations=_TOKEN),
    "w8a8-static": Kind(
        store=forms.static_int_quantized, format="int-quantized", weights=_args(), activations=_args(strategy="tensor")
    ),
    "w8a16": Kind(store=forms.pack_quantized, format="pack-quantized", weights=_group(128)),
    "w8a16-g32": Kind(store=partial(forms.pack_quantized, group=32), format="pack-quantized", weights=_group(32)),
    "w8a16-channel": Kind(store=partial(forms.pack_quantized, group=None), format="pack-quantized", weights=_args()),
    "w8a16-asym": Kind(
        store=partial(forms.pack_quantized, symmetric=False),
        format="pack-quantized",
        weights=_group(128, symmetric=False),
    ),
    "w4a16": Kind(
        store=partial(forms.pack_quantized, bits=4), format="pack-quantized", weights=_group(128, num_bits=4)
    ),
    "w4a16-channel": Kind(
        store=partial(forms.pack_quantized, bits=4, group=None), format="pack-quantized", weights=_args(num_bits=4)
    ),
    "mixed": Kind(store=forms.int_quantized, format="int-quantized", weights=_args(), activations=_TOKEN, head="w8a16"),
    "naive": Kind(store=forms.int_quantized, format="naive-quantized", weights=_args(), activations=_TOKEN),
    "fp8": Kind(
        store=forms.float_quantized, format="float-quantized", weights=_args(type="float"), activations=_FP8_TOKEN
    ),
    "fp8-block": Kind(
        store=forms.fp8_block,
        format="float-quantized",
        weights=_BLOCK,
        activations=_group(128, type="float", dynamic=True),
        shape={"head_dim": 64},
    ),
    "nvfp4": Kind(
        store=forms.nvfp4_packed,
        format="nvfp4-pack-quantized",
        weights=_NVFP4,
        activations=_NVFP4 | {"dynamic": "local"},
    ),
    "mxfp4": Kind(
        store=forms.mxfp4_packed, format="mxfp4-pack-quantized", weights=_MXFP4, activations=_MXFP4 | {"dynamic": True}
    ),
    "mxfp8": Kind(store=forms.mxfp8, format="mxfp8-quantized", weights=_MXFP8, activations=_MXFP8 | {"dynamic": True}),
    "gptq": Kind(
        store=forms.gptq,
        method={"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True, "lm_head": False},
    ),
    "awq": Kind(
        store=forms.awq,
        method={"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    ),
    "bnb-int8": Kind(
        store=forms.bitsandbytes_int8,
        method={
            "quant_method": "bitsandbytes",
            "load_in_8bit": True,
            "load_in_4bit": False,
            "llm_int8_skip_modules": ["lm_head"],
        },
    ),
    "bnb-nf4": Kind(
        store=forms.bitsandbytes_nf4,
        method={
            "quant_method": "bitsandbytes",
            "load_in_8bit": False,
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
        },
    ),
    "fp8-native": Kind(
        store=partial(forms.fp8_block, scale_name="weight_scale_inv"),
        method={"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [128, 128]},
        shape={"head_dim": 64},
    ),
    "fp8-tensor": Kind(store=forms.fp8_tensor, method={"quant_method": "fp8", "activation_scheme": "dynamic"}),
    "fp8-static": Kind(
        store=partial(forms.fp8_tensor, static=True), method={"quant_method": "fp8", "activation_scheme": "static"}
    ),
    "modelopt-nvfp4": Kind(
        store=forms.modelopt_nvfp4,
        method={"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head"]},
    ),
    "w8a8-zeros": Kind(
        store=forms.int_with_zeros,
        method=quark(_quark_args("int8", channel=True), _quark_args("int8", channel=False)),
    ),
    "fp8-vector": Kind(
        store=forms.float_vector,
        method=quark(_quark_args("fp8_e4m3", channel=True), _quark_args("fp8_e4m3", channel=True, dynamic=True)),
    ),
}
"""compressed-tensors kinds first; those with ``method`` belong to other tools."""
COMPRESSED: Final = tuple(name for name, kind in KINDS.items() if kind.method is None)
FOREIGN: Final = tuple(name for name, kind in KINDS.items() if kind.method is not None)


def tiny_quantized(
    folder: Path, *, kind: str = "w8a8", head: Head = "quantized", shards: int = 2, seed: int = 0, **shape: Any
) -> Path:
    """Write the quantized form of `tiny_checkpoint` (same options, same weights) as its best maker would.

    The head has its own group, first, with the target ``re:.*lm_head$``; a dense or tied one stands in ``ignore``.
    Kinds of other methods keep their head dense: ask for ``head="dense"`` or ``"tied"``. FP8 blocks get heads of 64.
    """
    chosen = KINDS[kind]
    assert chosen.method is None or head != "quantized", f"{kind} keeps its head dense"
    shape = {**chosen.shape, **shape, "tied": head == "tied"}
    names = {f"{name}.weight" for name in LINEARS}
    tensors: dict[str, Raw] = {}
    for name, tensor in dense_tensors(seed=seed, **shape).items():
        if name == "lm_head.weight" and head == "quantized":
            tensors |= _stored(name, tensor, KINDS[chosen.head or kind].store)
        elif name.split(".", 3)[-1] in names:
            tensors |= _stored(name, tensor, chosen.store)
        else:
            tensors[name] = tensor
    config = dense_config(**shape) | {"quantization_config": quantization_config(kind, head=head)}
    return write_folder(folder, tensors, config, shards=shards)


def quantization_config(kind: str, *, head: Head = "quantized") -> Json:
    """Make the ``quantization_config`` of `tiny_quantized`."""
    body = KINDS[kind]
    if body.method is not None:
        return dict(body.method)
    first = KINDS[body.head or kind]
    groups = [([HEAD_PATTERN], first)] if head == "quantized" else []
    groups.append((["Linear"], body))
    kinds = {group.format for _, group in groups}
    return {
        "config_groups": {f"group_{number}": _config_group(*group) for number, group in enumerate(groups)},
        "format": kinds.pop() if len(kinds) == 1 else "mixed-precision",
        "global_compression_ratio": None,
        "ignore": [] if head == "quantized" else [HEAD_PATTERN],
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "sparsity_config": {},
        "transform_config": {},
        "version": "0.17.0",
    }


def _config_group(targets: list[str], kind: Kind) -> Json:
    return {
        "targets": targets,
        "weights": dict(kind.weights),
        "input_activations": dict(kind.activations) if kind.activations else None,
        "output_activations": None,
        "format": kind.format,
    }


def _stored(name: str, tensor: Raw, store: Store) -> dict[str, Raw]:
    module = name.removesuffix(".weight")
    return {f"{module}.{suffix}": raw for suffix, raw in store(tensor.floats, tensor.dtype).items()}
