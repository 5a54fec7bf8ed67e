"""Faults of the quantization config as other hands write it: other types of values, other spellings, other keys, other files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from fault import Fault
from faults_config import activations, body_targets, config, groups, head_targets, ignore_also, model_config, weights
from faults_model import Json, Model, none

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GPTQ: Final = {"bits": 8, "group_size": 128, "desc_act": False, "sym": True, "quant_method": "gptq"}
AWQ: Final = {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}


def _beside(file: str, value: Json) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_text(json.dumps(value))


def _text(model: Model) -> None:
    model.config["quantization_config"] = json.dumps(model.quant)


def _in_both(model: Model) -> None:
    levels = list(model.levels())
    if len(levels) < 2:
        none("no text config")
    levels[1]["quantization_config"] = model.quant


def _rename_groups(names: Callable[[int], str]) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        model.quant["config_groups"] = {names(number): group for number, group in enumerate(model.groups)}

    return change


def _one_group(model: Model) -> None:
    """Put both lists of targets into the body's group, as a script does that wants the file short."""
    if model.head_group["weights"] != model.body_group["weights"]:
        none("groups differ")
    both = [*model.head_group["targets"], *model.body_group["targets"]]
    model.quant["config_groups"] = {"group_0": model.body_group | {"targets": both}}


def _every_name(model: Model, *, but: str = "") -> None:
    model.body_group["targets"] = [module for module in model.body if module != but]


def _pop(key: str) -> Callable[[Json], object]:
    return lambda args: args.pop(key, None)


def _channel_with(**over: Any) -> Callable[[Json], object]:
    return lambda args: args.update(over) if args["strategy"] == "channel" else none("by group")


def _group_with(**over: Any) -> Callable[[Json], object]:
    return lambda args: args.update(over) if args.get("group_size") else none("per channel")


def _awq_keys(quant: Json) -> None:
    quant.clear()
    quant.update(AWQ, quant_method="awq")


DIALECT_FAULTS: Final[tuple[Fault, ...]] = (
    # Where the config stands.
    model_config("quantization-config-text", _text),
    model_config("config-in-both", _in_both),
    model_config("compression-config-too", lambda model: model.config.update(compression_config=model.quant)),
    model_config("compression-config-nested", lambda model: model.config.update(compression_config={"quantization_config": model.config.pop("quantization_config")})),
    model_config("config-called-quantization", lambda model: model.config.update(quantization=model.config.pop("quantization_config"))),
    model_config("config-empty-object", lambda model: model.config.update(quantization_config={})),
    model_config("config-method-alone", lambda model: model.config.update(quantization_config={"quant_method": "compressed-tensors"})),
    model_config("config-wrapped", lambda model: model.config.update(quantization_config={"quantization_config": model.quant})),
    Fault("gptq-file-beside", "config", _beside("quantize_config.json", GPTQ)),
    Fault("awq-file-beside", "config", _beside("quant_config.json", AWQ)),
    Fault("modelopt-file-beside", "config", _beside("hf_quant_config.json", {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}})),
    config("config-of-gptq", lambda quant: [quant.clear(), quant.update(GPTQ)]),
    config("config-of-awq", _awq_keys),
    config("config-of-fp8", lambda quant: [quant.clear(), quant.update(quant_method="fp8", activation_scheme="dynamic")]),
    # The config's own keys.
    config("method-upper-case", lambda quant: quant.update(quant_method="Compressed-Tensors")),
    config("method-null", lambda quant: quant.update(quant_method=None)),
    config("status-calibration", lambda quant: quant.update(quantization_status="calibration")),
    config("status-upper-case", lambda quant: quant.update(quantization_status="COMPRESSED")),
    config("status-unknown", lambda quant: quant.update(quantization_status="done")),
    config("ratio-absurd", lambda quant: quant.update(global_compression_ratio="about two")),
    config("version-number", lambda quant: quant.update(version=0.17)),
    config("sparsity-empty", lambda quant: quant.update(sparsity_config={})),
    config("sparsity-null", lambda quant: quant.update(sparsity_config=None)),
    config("sparsity-dense", lambda quant: quant.update(sparsity_config={"format": "dense"})),
    config("transform-empty", lambda quant: quant.update(transform_config={})),
    config("transform-null", lambda quant: quant.update(transform_config=None)),
    config("kv-cache-empty", lambda quant: quant.update(kv_cache_scheme={})),
    config("kv-cache-null", lambda quant: quant.update(kv_cache_scheme=None)),
    config("format-null", lambda quant: quant.update(format=None)),
    config("format-upper-case", lambda quant: quant.update(format=str(quant["format"]).upper())),
    config("format-int4", lambda quant: quant.update(format="nvfp4-pack-quantized")),
    config("groups-called-groups", lambda quant: quant.update(groups=quant.pop("config_groups"))),
    config("groups-null", lambda quant: quant.update(config_groups=None)),
    model_config("groups-named", _rename_groups(lambda number: ("head", "body", "rest")[number])),
    model_config("groups-numbered", _rename_groups(str)),
    model_config("groups-in-one", _one_group),
    # Groups.
    groups("group-unknown-key", lambda group: group.update(note="tuned")),
    groups("group-keys-missing", lambda group: [group.pop("output_activations", None), None if group["input_activations"] else group.pop("input_activations")]),
    groups("group-format-missing", lambda group: group.pop("format")),
    groups("weights-text", lambda group: group.update(weights="int8")),
    groups("weights-empty", lambda group: group.update(weights={})),
    groups("activations-empty", lambda group: group.update(input_activations={}) if group["input_activations"] else none("weight-only")),
    groups("activations-false", lambda group: group.update(input_activations=False)),
    # Weights' arguments.
    weights("num-bits-float", lambda args: args.update(num_bits=8.0)),
    weights("num-bits-half", lambda args: args.update(num_bits=7.5)),
    weights("num-bits-zero", lambda args: args.update(num_bits=0)),
    weights("num-bits-7", lambda args: args.update(num_bits=7)),
    weights("num-bits-null", lambda args: args.update(num_bits=None)),
    weights("type-upper-case", lambda args: args.update(type="INT")),
    weights("type-int8", lambda args: args.update(type="int8")),
    weights("type-missing", _pop("type")),
    weights("symmetric-text", lambda args: args.update(symmetric="true")),
    weights("symmetric-number", lambda args: args.update(symmetric=1)),
    weights("symmetric-missing", _pop("symmetric")),
    weights("symmetric-null", lambda args: args.update(symmetric=None)),
    weights("strategy-upper-case", lambda args: args.update(strategy=args["strategy"].upper())),
    weights("strategy-per-channel", lambda args: args.update(strategy="per_channel")),
    weights("strategy-null", lambda args: args.update(strategy=None)),
    weights("strategy-tensor-group", lambda args: args.update(strategy="tensor_group", group_size=128)),
    weights("strategy-attention-head", lambda args: args.update(strategy="attn_head")),
    weights("group-size-text", _group_with(group_size="128")),
    weights("group-size-float", _group_with(group_size=128.0)),
    weights("group-size-256", _group_with(group_size=256)),
    weights("group-size-100", _group_with(group_size=100)),
    weights("channel-with-group-size", _channel_with(group_size=128)),
    weights("channel-with-minus-one", _channel_with(group_size=-1)),
    weights("channel-with-block", _channel_with(block_structure=[128, 128])),
    weights("block-text", lambda args: args.update(strategy="block", block_structure="128x128", group_size=None)),
    weights("dynamic-local", lambda args: args.update(dynamic="local")),
    weights("dynamic-null", lambda args: args.update(dynamic=None)),
    weights("dynamic-missing", _pop("dynamic")),
    weights("actorder-false", lambda args: args.update(actorder=False)),
    weights("actorder-true", lambda args: args.update(actorder=True)),
    weights("actorder-static", lambda args: args.update(actorder="static")),
    weights("actorder-unknown", lambda args: args.update(actorder="random")),
    weights("observer-options", lambda args: args.update(observer_kwargs={"averaging_constant": 0.01})),
    weights("weights-unknown-key", lambda args: args.update(clip_ratio=0.9)),
    weights("zero-point-dtype", lambda args: args.update(zp_dtype="torch.int8")),
    weights("scale-dtype-short", lambda args: args.update(scale_dtype="bf16")),
    # Activations.
    activations("activations-dynamic-local", dynamic="local"),
    activations("activations-dynamic-text", dynamic="true"),
    activations("activations-16-bits", num_bits=16),
    activations("activations-strategy-null", strategy=None),
    activations("activations-symmetric-null", symmetric=None),
    activations("activations-observer", observer="minmax"),
    activations("activations-unknown-key", smoothing=0.8),
    # Targets.
    head_targets("head-space", "re:.*lm_head$ "),
    head_targets("head-space-after-re", "re: .*lm_head$"),
    head_targets("head-anchored", "re:^lm_head$"),
    head_targets("head-under-model", r"re:^model\..*lm_head$"),
    head_targets("head-upper-case-pattern", "re:.*LM_HEAD$"),
    head_targets("head-any-case", "re:(?i).*LM_HEAD$"),
    head_targets("head-wildcard", "*lm_head"),
    head_targets("head-weight", "lm_head.weight"),
    head_targets("head-alternatives", "re:(.*embed_out|.*lm_head)$"),
    head_targets("head-lookahead", "re:(?!.*vision).*lm_head$"),
    head_targets("head-twice-targeted", "re:.*lm_head$", "lm_head"),
    model_config("head-targets-nested", lambda model: model.head_group.update(targets=[["re:.*lm_head$"]])),
    model_config("head-targets-object", lambda model: model.head_group.update(targets={"re:.*lm_head$": 1})),
    model_config("body-targets-text", lambda model: model.body_group.update(targets="Linear")),
    model_config("body-every-name", _every_name),
    model_config("body-every-name-but-k", lambda model: _every_name(model, but=model.layer("k_proj"))),
    model_config("body-every-name-but-one", lambda model: _every_name(model, but=model.down())),
    body_targets("body-attention-and-mlp", r"re:.*(self_attn|attention|mlp)\..*"),
    body_targets("body-anchored-layers", r"re:^model\.layers\..*"),
    body_targets("body-first-layer", r"re:.*layers\.0\..*"),
    body_targets("body-linear-base", "LinearBase"),
    body_targets("body-row-parallel", "RowParallelLinear", "ColumnParallelLinear"),
    body_targets("body-fused-names", r"re:.*(qkv_proj|gate_up_proj|o_proj|down_proj)$"),
    body_targets("body-linear-and-head", "Linear", "lm_head"),
    body_targets("body-module-path", "torch.nn.Linear"),
    # Ignore.
    ignore_also("ignore-wildcard", "*lm_head"),
    ignore_also("ignore-pattern-without-re", ".*lm_head$"),
    ignore_also("ignore-head-space", "lm_head "),
    ignore_also("ignore-head-upper-case", "LM_HEAD"),
    ignore_also("ignore-head-weight", "lm_head.weight"),
    ignore_also("ignore-head-wrapped", "language_model.lm_head"),
    ignore_also("ignore-head-in-model", "model.lm_head"),
    ignore_also("ignore-gate-alone", lambda model: model.layer("gate_proj")),
    ignore_also("ignore-k-everywhere", r"re:.*k_proj$"),
    ignore_also("ignore-layer-path", "model.layers.1"),
    ignore_also("ignore-layer-pattern", r"re:.*layers\.1\..*"),
    ignore_also("ignore-embedding", "model.embed_tokens"),
    ignore_also("ignore-norms", r"re:.*norm.*"),
    ignore_also("ignore-fused-name", "model.layers.0.self_attn.qkv_proj"),
    ignore_also("ignore-experts", r"re:.*experts.*"),
    ignore_also("ignore-list", lambda model: ["lm_head"]),  # type: ignore[arg-type,return-value]
    ignore_also("ignore-null-entry", lambda model: None),  # type: ignore[arg-type,return-value]
    ignore_also("ignore-empty-text", ""),
    config("ignore-object", lambda quant: quant.update(ignore={"lm_head": True})),
    config("ignored-layers", lambda quant: quant.update(ignored_layers=["lm_head"])),
    config("modules-not-converted", lambda quant: quant.update(modules_to_not_convert=["lm_head"])),
)  # fmt: skip
