"""Faults of config.json: what a tool, a script or a hand writes wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fault import Fault
from faults_model import Json, Model, none

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: Final = "re:.*lm_head$"
KV_FP8: Final = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True}
KV_INT8: Final = KV_FP8 | {"type": "int"}
TOWERS: Final = ("visual", "vision", "projector", "merger")


def config(name: str, change: Callable[[Json], object]) -> Fault:
    """Change the quantization config."""
    return Fault.edit(name, "config", lambda model: change(model.quant))


def model_config(name: str, change: Callable[[Model], object]) -> Fault:
    """Change what the config says of the model."""
    return Fault.edit(name, "config", change)


def weights(name: str, change: Callable[[Json], object]) -> Fault:
    """Change the weights' arguments of every group."""
    return Fault.edit(name, "config", lambda model: [change(group["weights"]) for group in model.groups])


def groups(name: str, change: Callable[[Json], object]) -> Fault:
    """Change every group."""
    return Fault.edit(name, "config", lambda model: [change(group) for group in model.groups])


def activations(name: str, **over: Any) -> Fault:
    """Change the activations' arguments, where activations are quantized."""

    def change(model: Model) -> None:
        found = [group for group in model.groups if group["input_activations"]] or none("no activations")
        for group in found:
            group["input_activations"].update(over)

    return Fault.edit(name, "config", change)


def head_targets(name: str, *targets: str) -> Fault:
    """Give the head's group other targets."""
    return Fault.edit(name, "config", lambda model: model.head_group.update(targets=list(targets)))


def body_targets(name: str, *targets: str) -> Fault:
    """Give the body's group other targets."""
    return Fault.edit(name, "config", lambda model: model.body_group.update(targets=list(targets)))


def ignore_also(name: str, pattern: Callable[[Model], str] | str) -> Fault:
    """Add an entry to ``ignore``."""

    def change(model: Model) -> None:
        model.quant["ignore"].append(pattern if isinstance(pattern, str) else pattern(model))

    return Fault.edit(name, "config", change)


def _linear_only(model: Model) -> None:
    if model.head_group["format"] != model.body_group["format"]:
        none("one group cannot hold two formats")
    model.quant["config_groups"] = {"group_0": model.body_group}


def _swap_formats(model: Model) -> None:
    swap = {"int-quantized": "pack-quantized", "pack-quantized": "int-quantized"}
    for group in model.groups:
        group["format"] = swap[group["format"]]
    model.quant["format"] = swap.get(model.quant["format"], model.quant["format"])


def _without_group_formats(model: Model) -> None:
    for group in model.groups:
        del group["format"]
    model.quant["format"] = "mixed-precision"


def _reorder(model: Model) -> None:
    if len(model.groups) < 2:
        none("one group")
    model.quant["config_groups"] = {f"group_{i}": group for i, group in enumerate(reversed(model.groups))}


def _swap_group_weights(model: Model) -> None:
    if len(model.groups) < 2 or model.groups[0]["weights"] == model.groups[1]["weights"]:
        none("groups alike")
    first, second = model.groups[:2]
    first["weights"], second["weights"] = second["weights"], first["weights"]


def _tie(model: Model, *, top: bool, nested: bool) -> None:
    levels = list(model.levels())
    if nested and len(levels) < 2:
        none("no text config")
    for number, level in enumerate(levels):
        if (number == 0 and top) or (number > 0 and nested):
            level["tie_word_embeddings"] = True


def _set(key: str, change: Callable[[Any], Any]) -> Callable[[Model], None]:
    def run(model: Model) -> None:
        level = model.text(key)
        if not isinstance(level[key], int):
            none(f"{key} is no number")
        level[key] = change(level[key])

    return run


def _experts(change: Callable[[int], int]) -> Callable[[Model], None]:
    def run(model: Model) -> None:
        for key in ("num_experts", "num_local_experts", "n_routed_experts"):
            for level in model.levels():
                if key in level:
                    level[key] = change(level[key])
                    return
        none("no experts")

    return run


def _unignore(kind: tuple[str, ...]) -> Callable[[Model], None]:
    def run(model: Model) -> None:
        kept = [entry for entry in model.quant["ignore"] if not any(word in entry for word in kind)]
        if len(kept) == len(model.quant["ignore"]):
            none("nothing of it in ignore")
        model.quant["ignore"] = kept

    return run


def _more_bits(model: Model) -> None:
    copy = {**model.head_group, "weights": {**model.head_group["weights"], "num_bits": 4}, "targets": ["re:.*head$"]}
    model.quant["config_groups"]["group_9"] = copy


def _add_activations(model: Model) -> None:
    found = [group for group in model.groups if not group["input_activations"]] or none("all have activations")
    for group in found:
        group["input_activations"] = {
            "num_bits": 8,
            "type": "int",
            "strategy": "token",
            "dynamic": True,
            "symmetric": True,
        }


def _remove_activations(model: Model) -> None:
    found = [group for group in model.groups if group["input_activations"]] or none("no activations")
    for group in found:
        group["input_activations"] = None


def _nest(model: Model) -> None:
    levels = list(model.levels())
    if len(levels) < 2:
        none("no text config")
    levels[1]["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "dynamic"}


def _move_down(model: Model) -> None:
    levels = list(model.levels())
    if len(levels) < 2:
        none("no text config")
    levels[1]["quantization_config"] = model.config.pop("quantization_config")


CONFIG_FAULTS: Final[tuple[Fault, ...]] = (
    # The config as a whole.
    model_config("no-quantization-config", lambda model: model.config.pop("quantization_config")),
    model_config("quantization-config-null", lambda model: model.config.update(quantization_config=None)),
    model_config("compression-config", lambda model: model.config.update(compression_config=model.config.pop("quantization_config"))),
    model_config("nested-fp8-config", _nest),
    model_config("config-inside-text-config", _move_down),
    config("no-groups", lambda quant: quant.update(config_groups={})),
    config("groups-missing", lambda quant: quant.pop("config_groups")),
    config("groups-list", lambda quant: quant.update(config_groups=list(quant["config_groups"].values()))),
    config("method-missing", lambda quant: quant.pop("quant_method")),
    config("method-gptq", lambda quant: quant.update(quant_method="gptq")),
    config("method-bitsandbytes", lambda quant: quant.update(quant_method="bitsandbytes", load_in_8bit=True)),
    config("method-underscore", lambda quant: quant.update(quant_method="compressed_tensors")),
    config("status-frozen", lambda quant: quant.update(quantization_status="frozen")),
    config("status-missing", lambda quant: quant.pop("quantization_status")),
    config("status-initialized", lambda quant: quant.update(quantization_status="initialized")),
    config("version-missing", lambda quant: quant.pop("version")),
    config("version-old", lambda quant: quant.update(version="0.4.0")),
    config("sparsity-config", lambda quant: quant.update(sparsity_config={"format": "sparse-24-bitmask", "targets": ["Linear"], "sparsity_structure": "2:4", "ignore": [], "global_sparsity": 0.5, "registry_requires_subclass": False})),
    config("kv-cache-fp8", lambda quant: quant.update(kv_cache_scheme=KV_FP8)),
    config("kv-cache-int8", lambda quant: quant.update(kv_cache_scheme=KV_INT8)),
    config("kv-cache-junk", lambda quant: quant.update(kv_cache_scheme={"bits": 8})),
    config("transform-junk", lambda quant: quant.update(transform_config={"config_groups": {"u": {"type": "hadamard"}}})),
    config("unknown-key", lambda quant: quant.update(comment="made by hand")),
    # Formats.
    config("format-missing", lambda quant: quant.pop("format")),
    model_config("format-swapped", _swap_formats),
    config("format-dense", lambda quant: quant.update(format="dense")),
    config("format-unknown", lambda quant: quant.update(format="int8-quantized")),
    config("format-float", lambda quant: quant.update(format="float-quantized")),
    config("format-naive", lambda quant: [quant.update(format="naive-quantized"), [group.update(format="naive-quantized") for group in quant["config_groups"].values()]]),
    config("format-top-mixed", lambda quant: quant.update(format="mixed-precision")),
    model_config("mixed-without-group-formats", _without_group_formats),
    groups("group-format-null", lambda group: group.update(format=None)),
    groups("group-format-unknown", lambda group: group.update(format="int8")),
    groups("group-format-marlin", lambda group: group.update(format="marlin-24")),
    # Weights' arguments.
    weights("num-bits-4", lambda args: args.update(num_bits=4)),
    weights("num-bits-16", lambda args: args.update(num_bits=16)),
    weights("num-bits-text", lambda args: args.update(num_bits="8")),
    weights("num-bits-missing", lambda args: args.pop("num_bits")),
    weights("bits-instead", lambda args: args.update(bits=args.pop("num_bits"))),
    weights("type-float", lambda args: args.update(type="float")),
    weights("strategy-tensor", lambda args: args.update(strategy="tensor", group_size=None)),
    weights("strategy-channel", lambda args: args.update(strategy="channel", group_size=None) if args["strategy"] == "group" else none("per channel")),
    weights("strategy-group", lambda args: args.update(strategy="group", group_size=128) if args["strategy"] == "channel" else none("by group")),
    weights("strategy-block", lambda args: args.update(strategy="block", block_structure=[128, 128])),
    weights("strategy-token", lambda args: args.update(strategy="token")),
    weights("strategy-missing", lambda args: args.pop("strategy")),
    weights("group-size-64", lambda args: args.update(group_size=64) if args.get("group_size") else none("per channel")),
    weights("group-size-32", lambda args: args.update(group_size=32) if args.get("group_size") else none("per channel")),
    weights("group-size-missing", lambda args: args.update(group_size=None) if args.get("group_size") else none("per channel")),
    weights("group-size-minus-one", lambda args: args.update(group_size=-1)),
    weights("group-size-zero", lambda args: args.update(group_size=0)),
    weights("asymmetric", lambda args: args.update(symmetric=False)),
    weights("weights-dynamic", lambda args: args.update(dynamic=True)),
    weights("actorder-group", lambda args: args.update(actorder="group")),
    weights("actorder-weight", lambda args: args.update(actorder="weight")),
    weights("observer-unknown", lambda args: args.update(observer="mystery")),
    weights("observer-missing", lambda args: args.pop("observer", None)),
    weights("scale-dtype", lambda args: args.update(scale_dtype="torch.float32")),
    groups("weights-null", lambda group: group.update(weights=None)),
    groups("weights-missing", lambda group: group.pop("weights")),
    # Activations.
    model_config("activations-removed", _remove_activations),
    model_config("activations-added", _add_activations),
    activations("activations-static", dynamic=False, strategy="tensor"),
    activations("activations-static-token", dynamic=False),
    activations("activations-4-bits", num_bits=4),
    activations("activations-float", type="float"),
    activations("activations-tensor", strategy="tensor"),
    activations("activations-group", strategy="group", group_size=128),
    activations("activations-channel", strategy="channel"),
    activations("activations-asymmetric", symmetric=False),
    groups("output-activations", lambda group: group.update(output_activations={"num_bits": 8, "type": "int", "strategy": "tensor", "dynamic": False, "symmetric": True})),
    # Targets.
    model_config("targets-linear-only", _linear_only),
    head_targets("head-exact", "lm_head"),
    head_targets("head-exact-wrapped", "language_model.lm_head"),
    head_targets("head-unanchored", "re:lm_head"),
    head_targets("head-without-re", ".*lm_head$"),
    head_targets("head-class", "ParallelLMHead"),
    head_targets("head-class-embedding", "VocabParallelEmbedding"),
    head_targets("head-misspelt", "re:.*lmhead$"),
    head_targets("head-nn-linear", "nn.Linear"),
    head_targets("head-catch-all", "re:.*"),
    head_targets("head-no-targets"),
    head_targets("head-bad-regex", "re:*.lm_head"),
    head_targets("head-and-embedding", HEAD, "re:.*embed_tokens$"),
    head_targets("head-and-embedding-class", HEAD, "Embedding"),
    model_config("head-targets-text", lambda model: model.head_group.update(targets=HEAD)),
    model_config("head-targets-null", lambda model: model.head_group.update(targets=None)),
    model_config("head-targets-missing", lambda model: model.head_group.pop("targets")),
    body_targets("body-catch-all", "re:.*"),
    body_targets("body-layers-only", r"re:.*layers\..*"),
    body_targets("body-attention-only", r"re:.*self_attn\..*"),
    body_targets("body-mlp-only", r"re:.*mlp\..*"),
    body_targets("body-projections", r"re:.*_proj$"),
    body_targets("body-misspelt", "Linnear"),
    body_targets("body-lower-case", "linear"),
    body_targets("body-no-targets"),
    body_targets("body-bad-regex", "re:(.*"),
    body_targets("body-empty-text", ""),
    body_targets("body-without-k", r"re:.*(q|v|o|gate|up|down|qkv|gate_up)_proj$"),
    model_config("groups-reordered", _reorder),
    model_config("groups-crossed", _swap_group_weights),
    model_config("head-group-lost", lambda model: model.quant.update(config_groups={"group_0": model.body_group})),
    model_config("body-group-lost", lambda model: model.quant.update(config_groups={"group_0": model.head_group})),
    model_config("second-head-group", _more_bits),
    # Ignore.
    ignore_also("ignore-head", "lm_head"),
    ignore_also("ignore-head-name", lambda model: model.head),
    ignore_also("ignore-head-pattern", HEAD),
    ignore_also("ignore-head-unanchored", "re:lm_head"),
    ignore_also("ignore-everything", "re:.*"),
    ignore_also("ignore-class", "Linear"),
    ignore_also("ignore-class-head", "ParallelLMHead"),
    ignore_also("ignore-layer", lambda model: model.down()),
    ignore_also("ignore-k-alone", lambda model: model.layer("k_proj")),
    ignore_also("ignore-expert", lambda model: model.expert()),
    ignore_also("ignore-mlp", r"re:.*mlp\..*"),
    ignore_also("ignore-bad-regex", "re:(.*"),
    ignore_also("ignore-matches-nothing", "re:.*down_prj$"),
    ignore_also("ignore-plain-part", "down_proj"),
    ignore_also("ignore-number", lambda model: 7),  # type: ignore[arg-type,return-value]
    config("ignore-emptied", lambda quant: quant.update(ignore=[])),
    config("ignore-null", lambda quant: quant.update(ignore=None)),
    config("ignore-missing", lambda quant: quant.pop("ignore")),
    config("ignore-text", lambda quant: quant.update(ignore="lm_head")),
    model_config("ignore-without-router", _unignore(("gate", "router"))),
    model_config("ignore-without-tower", _unignore(TOWERS)),
    # The model.
    model_config("tied-top", lambda model: _tie(model, top=True, nested=False)),
    model_config("tied-nested", lambda model: _tie(model, top=False, nested=True)),
    model_config("tied-everywhere", lambda model: _tie(model, top=True, nested=len(list(model.levels())) > 1)),
    model_config("vocabulary-larger", _set("vocab_size", lambda size: size + 64)),
    model_config("vocabulary-smaller", _set("vocab_size", lambda size: size - 20)),
    model_config("hidden-size-off", _set("hidden_size", lambda size: size * 2)),
    model_config("intermediate-size-off", _set("intermediate_size", lambda size: size * 2)),
    model_config("layers-more", _set("num_hidden_layers", lambda count: count + 1)),
    model_config("layers-fewer", _set("num_hidden_layers", lambda count: count - 1)),
    model_config("heads-off", _set("num_attention_heads", lambda count: count * 2)),
    model_config("key-value-heads-off", _set("num_key_value_heads", lambda count: count * 2)),
    model_config("experts-more", _experts(lambda count: count + 1)),
    model_config("experts-fewer", _experts(lambda count: count - 1)),
    model_config("architecture-unknown", lambda model: model.config.update(architectures=["WonderfulForCausalLM"])),
    model_config("architecture-missing", lambda model: model.config.pop("architectures")),
    model_config("architecture-base-model", lambda model: model.config.update(architectures=[model.config["architectures"][0].partition("For")[0] + "Model"])),
    model_config("model-type-unknown", lambda model: model.config.update(model_type="wonderful")),
    model_config("dtype-float16", lambda model: [level.update(dtype="float16") for level in model.levels()]),
    model_config("dtype-float32", lambda model: [level.update(dtype="float32") for level in model.levels()]),
    model_config("dtype-missing", lambda model: [level.pop("dtype", None) for level in model.levels()]),
    model_config("dtype-int8", lambda model: [level.update(dtype="int8") for level in model.levels()]),
)  # fmt: skip
