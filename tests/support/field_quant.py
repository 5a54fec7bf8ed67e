"""``quantization_config`` as other tools, older releases and editors leave it."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any, Final

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
IGNORES: Final[dict[str, list[str] | None]] = {
    "nothing": [], "null": None, "lm_head": ["lm_head"], "re:.*lm_head": ["re:.*lm_head"], "*lm_head": ["*lm_head"],
    ".*lm_head": [".*lm_head"], "Linear": ["Linear"], "ParallelLMHead": ["ParallelLMHead"], "re:.*": ["re:.*"], "model": ["model"],
    "attention": ["re:.*self_attn.*"], "re:self_attn": ["re:self_attn"], "norms": ["re:.*norm.*"], "embed": ["embed_tokens"],
    "router": ["re:.*mlp.gate$"], "bad pattern": ["re:*lm_head"], "head of a wrapper": ["language_model.lm_head"],
    "model.lm_head": ["model.lm_head"], "tower": ["re:.*visual.*", "re:.*vision_tower.*"], "lm_head.weight": ["lm_head.weight"],
    "layers.0": ["model.layers.0"], "LM_HEAD": ["LM_HEAD"], "q_proj": ["re:.*q_proj"], "re:.*mlp.*": ["re:.*mlp.*"],
    "down_proj by name": ["down_proj"], "empty text": [""], "RMSNorm": ["RMSNorm"],
}  # fmt: skip
TARGETS: Final[dict[str, Any]] = {
    "re:.*": ["re:.*"], "nothing": [], "linear": ["linear"], "nn.Linear": ["nn.Linear"], "torch.nn.Linear": ["torch.nn.Linear"],
    "re:.*_proj$": ["re:.*_proj$"], "lm_head": ["lm_head"], "bad pattern": ["re:*proj"], "a text": "Linear", "null": None,
    "QKVParallelLinear": ["QKVParallelLinear"], "Linear and ParallelLMHead": ["Linear", "ParallelLMHead"], "q_proj": ["q_proj"],
    "re:model.layers": ["re:model.layers.*"], "re:layers": ["re:layers.*"], "re:.*self_attn.*": ["re:.*self_attn.*"],
    "re:.*mlp.*": ["re:.*mlp.*"], "re:.*layers.0.*": [r"re:.*layers\.0\..*"], "LinearBase": ["LinearBase"],
    "Linear and FusedMoE": ["Linear", "FusedMoE"], "Conv1D": ["Conv1D"], "re:.*(q|k|v|o|gate|up|down)_proj": ["re:.*(q|k|v|o|gate|up|down)_proj"],
    "MoE": ["re:.*experts.*"], "Embedding": ["Embedding", "Linear"],
}  # fmt: skip
WEIGHTS: Final[dict[str, Any]] = {
    "num_bits": (4, 16, "8", 8.0, None, 3), "strategy": ("tensor", "group", "token", "block", "channel", None, "Channel", "attn_head"),
    "group_size": (64, 32, -1, 0, None, "128", 128, 256), "symmetric": (False, None, "true"), "type": ("float", "INT", "uint", None),
    "dynamic": (True, "local", None), "actorder": ("group", "weight", "static", True), "block_structure": ([128, 128], "128x128"),
    "observer": ("mse", None, "minmax", "unknown"), "scale_dtype": ("torch.float32", "torch.uint8", None),
    "zp_dtype": ("torch.int8", None), "extra": (1,), "observer_kwargs": ({}, {"averaging_constant": 0.01}), "desc_act": (True,),
}  # fmt: skip
ACTIVATIONS: Final[dict[str, Any]] = {
    "num_bits": (16, 4, "8", None), "strategy": ("tensor", "channel", "group", None, "token"), "symmetric": (False, None),
    "type": ("float", None), "dynamic": (False, "local", None, True), "group_size": (128, 64), "observer": ("memoryless", None),
}  # fmt: skip


def _args(m: Model, d: Random, part: str) -> Json:
    return pick(d, [group[part] for group in m.groups.values() if group.get(part)])


def _set(m: Model, d: Random, part: str, key: str, values: tuple[Any, ...]) -> None:
    args = _args(m, d, part)
    args[key] = pick(d, [value for value in values if args.get(key, "?") != value])


for _key, _values in WEIGHTS.items():
    add(f"weights' {_key} otherwise", lambda m, d, k=_key, v=_values: _set(m, d, "weights", k, v))
    add(
        f"weights' {_key} left out",
        lambda m, d, k=_key: _args(m, d, "weights").pop(k) if k in _args(m, d, "weights") else pick(d, []),
    )
for _key, _values in ACTIVATIONS.items():
    add(f"activations' {_key} otherwise", lambda m, d, k=_key, v=_values: _set(m, d, "input_activations", k, v))
for _name, _value in IGNORES.items():
    add(f"ignore {_name}", lambda m, d, v=_value: m.quant.__setitem__("ignore", copy.copy(v)))
    if _value:
        add(
            f"ignore {_name} too",
            lambda m, d, v=_value: m.quant.__setitem__("ignore", [*(m.quant.get("ignore") or []), *v]),
        )
for _name, _value in TARGETS.items():

    def _target(m: Model, d: Random, v: Any = _value) -> None:
        pick(d, m.groups.values())["targets"] = copy.copy(v)

    add(f"target {_name}", _target)
for _method in METHODS:
    add(f"quant method {_method}", lambda m, d, v=_method: m.quant.__setitem__("quant_method", v))
for _format in FORMATS:
    add(f"format {_format}", lambda m, d, v=_format: m.quant.__setitem__("format", v))
    add(f"format {_format} of a group", lambda m, d, v=_format: pick(d, m.groups.values()).__setitem__("format", v))
for _status in STATUSES:
    add(f"status {_status}", lambda m, d, v=_status: m.quant.__setitem__("quantization_status", v))
for _key in ("quant_method", "format", "ignore", "quantization_status", "config_groups", "version", "kv_cache_scheme"):
    add(f"without {_key}", lambda m, d, k=_key: m.quant.pop(k) if k in m.quant else pick(d, []))


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
def groups_as_a_list(m: Model, d: Random) -> None:
    m.quant["config_groups"] = list(m.groups.values())


@kind
def groups_in_another_order(m: Model, d: Random) -> None:
    groups = m.groups
    if len(groups) < 2:
        raise Skip
    m.quant["config_groups"] = dict(reversed(list(groups.items())))


@kind
def groups_renumbered_in_another_order(m: Model, d: Random) -> None:
    groups = m.groups
    if len(groups) < 2:
        raise Skip
    m.quant["config_groups"] = dict(zip(groups, reversed(list(groups.values())), strict=True))


@kind
def groups_called_otherwise(m: Model, d: Random) -> None:
    m.quant["config_groups"] = {f"{pick(d, ('W8A8', 'my group', '0'))} {key}": group for key, group in m.groups.items()}


@kind
def groups_merged(m: Model, d: Random) -> None:
    groups = m.groups
    if len(groups) < 2:
        raise Skip
    targets = [target for group in groups.values() for target in group["targets"]]
    m.quant["config_groups"] = {"group_0": {**pick(d, groups.values()), "targets": targets}}


@kind
def a_group_lost(m: Model, d: Random) -> None:
    groups = m.groups
    groups.pop(pick(d, groups))


@kind
def a_group_doubled(m: Model, d: Random) -> None:
    groups = m.groups
    one = copy.deepcopy(pick(d, groups.values()))
    if d.random() < 0.5:
        one["weights"]["num_bits"] = 4
    groups["group_9"] = one


@kind
def a_group_without_weights(m: Model, d: Random) -> None:
    group = pick(d, m.groups.values())
    if d.random() < 0.5:
        group["weights"] = None
    else:
        group.pop("weights")


@kind
def a_group_without_targets(m: Model, d: Random) -> None:
    pick(d, m.groups.values()).pop("targets")


@kind
def activations_lost(m: Model, d: Random) -> None:
    found = [group for group in m.groups.values() if group.get("input_activations")]
    for group in found if d.random() < 0.5 else [pick(d, found)]:
        group["input_activations"] = None


@kind
def activations_added(m: Model, d: Random) -> None:
    group = pick(d, [group for group in m.groups.values() if not group.get("input_activations")])
    group["input_activations"] = {"num_bits": 8, "type": "int", "strategy": "token", "symmetric": True, "dynamic": True}


@kind
def output_activations_added(m: Model, d: Random) -> None:
    pick(d, m.groups.values())["output_activations"] = {
        "num_bits": 8,
        "type": "int",
        "strategy": "tensor",
        "symmetric": True,
        "dynamic": False,
    }


@kind
def a_scheme_by_name(m: Model, d: Random) -> None:
    m.quant["config_groups"] = {pick(d, ("W8A8", "W8A16", "W4A16", "FP8")): pick(d, (["Linear"], ["lm_head"]))}


@kind
def sparsity_config_left(m: Model, d: Random) -> None:
    m.quant["sparsity_config"] = pick(
        d,
        (
            {"format": "dense"},
            None,
            {"format": "dense", "global_sparsity": 0.1, "sparsity_structure": "unstructured"},
            {"format": "sparse-24-bitmask", "sparsity_structure": "2:4", "targets": ["Linear"], "ignore": []},
            {"format": "sparse-bitmask", "global_sparsity": 0.5, "sparsity_structure": "unstructured"},
        ),
    )


@kind
def transform_config_left(m: Model, d: Random) -> None:
    m.quant["transform_config"] = pick(
        d,
        (
            None,
            {"config_groups": {}},
            {
                "config_groups": {
                    "R4": {
                        "type": "hadamard",
                        "apply": [
                            {"targets": ["Linear"], "location": "input", "inverse": False, "ignore": ["lm_head"]}
                        ],
                        "randomize": False,
                        "requires_grad": False,
                    }
                }
            },
        ),
    )


@kind
def kv_cache_scheme_without_scales(m: Model, d: Random) -> None:
    scheme = {
        "num_bits": 8,
        "type": pick(d, ("float", "int")),
        "strategy": pick(d, ("tensor", "attn_head")),
        "symmetric": True,
    }
    m.quant["kv_cache_scheme"] = {**scheme, "dynamic": pick(d, (False, True)), "observer": "minmax"}


@kind
def keys_of_gptq_beside(m: Model, d: Random) -> None:
    m.quant.update({"bits": 4, "group_size": 128, "desc_act": True, "sym": True, "checkpoint_format": "gptq"})


@kind
def keys_of_bitsandbytes_beside(m: Model, d: Random) -> None:
    m.quant.update({"load_in_8bit": True, "llm_int8_threshold": 6.0, "_load_in_8bit": True})


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


@kind
def ignore_lists_every_dense_module(m: Model, d: Random) -> None:
    m.quant["ignore"] = [
        module for module in m.modules() + m.modules(text=False) if f"{module}.weight_scale" not in m.tensors
    ]


@kind
def ignore_without_prefix(m: Model, d: Random) -> None:
    entries = m.quant.get("ignore") or pick(d, [])
    m.quant["ignore"] = [entry.split(".", 1)[-1] if not entry.startswith("re:") else entry for entry in entries]


@kind
def ignore_with_prefix(m: Model, d: Random) -> None:
    entries = m.quant.get("ignore") or pick(d, [])
    prefix = pick(d, ("model.", "language_model.", "base_model.model."))
    m.quant["ignore"] = [entry if entry.startswith("re:") else prefix + entry for entry in entries]


@kind
def an_entry_of_ignore_lost(m: Model, d: Random) -> None:
    entries = list(m.quant.get("ignore") or pick(d, []))
    entries.remove(pick(d, entries))
    m.quant["ignore"] = entries


@kind
def patterns_of_ignore_without_re(m: Model, d: Random) -> None:
    entries = m.quant.get("ignore") or pick(d, [])
    m.quant["ignore"] = [entry.removeprefix("re:") for entry in entries]


@kind
def patterns_of_targets_without_re(m: Model, d: Random) -> None:
    for group in m.groups.values():
        group["targets"] = [target.removeprefix("re:") for target in group["targets"]]


@kind
def targets_list_every_module(m: Model, d: Random) -> None:
    last = list(m.groups)[-1]
    m.groups[last]["targets"] = m.quantized()


@kind
def targets_list_every_module_without_prefix(m: Model, d: Random) -> None:
    last = list(m.groups)[-1]
    m.groups[last]["targets"] = [module.split(".", 1)[-1] for module in m.quantized()]


@kind
def targets_list_kinds_of_modules(m: Model, d: Random) -> None:
    last = list(m.groups)[-1]
    m.groups[last]["targets"] = sorted({f"re:.*{module.rpartition('.')[2]}$" for module in m.quantized()})


@kind
def head_both_ignored_and_a_target(m: Model, d: Random) -> None:
    m.quant["ignore"] = [*(m.quant.get("ignore") or []), pick(d, (m.head(), "re:.*lm_head$"))]


@kind
def head_a_target_of_the_body(m: Model, d: Random) -> None:
    group = list(m.groups.values())[-1]
    group["targets"] = [*group["targets"], pick(d, ("lm_head", "re:.*lm_head", "ParallelLMHead", m.head()))]
