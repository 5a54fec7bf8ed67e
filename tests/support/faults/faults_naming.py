"""Faults of names as other tools give them, and of tensors that training, adapters or other quantizers leave behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
from fault_places import each_name, names
from faults_config import KV_FP8
from faults_model import Model, none
from faults_tensors import copy_head, float_tensor, int8_parts, named, put, rename_everywhere, rename_head, rename_part
from raw_safetensors import Raw, from_floats, from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    from fault import Fault


def _half_renamed(model: Model) -> None:
    """Give the tensors of one file a prefix, as a conversion that was interrupted."""
    first = min(model.homes.values())
    model.rename(lambda name: f"module.{name}" if model.homes[name] == first else name)


def _split_fused(model: Model) -> None:
    """Store a fused layer as its parts, as older exports do."""
    fused = model.layer("qkv_proj", "gate_up_proj")
    path, _, leaf = fused.rpartition(".")
    pieces = ("q_proj", "k_proj", "v_proj") if leaf == "qkv_proj" else ("gate_proj", "up_proj")
    for part, raw in model.parts(fused).items():
        rows = raw.shape[0] // len(pieces)
        size = len(raw.data) // raw.shape[0]
        for number, piece in enumerate(pieces):
            data = raw.data[number * rows * size : (number + 1) * rows * size]
            put(model, f"{path}.{piece}.{part}", Raw(raw.dtype, (rows, *raw.shape[1:]), data))
    model.drop_module(fused)


def _fuse_attention(model: Model) -> None:
    """Store q, k and v as one tensor, as an engine's own export does."""
    path = model.layer("q_proj").rpartition(".")[0]
    found = [model.parts(f"{path}.{piece}_proj") for piece in "qkv"]
    if not all(found):
        none("no separate projections")
    for part in found[0]:
        raws = [parts[part] for parts in found]
        rows = sum(raw.shape[0] for raw in raws)
        put(
            model,
            f"{path}.qkv_proj.{part}",
            Raw(raws[0].dtype, (rows, *raws[0].shape[1:]), b"".join(raw.data for raw in raws)),
        )
    for piece in "qkv":
        model.drop_module(f"{path}.{piece}_proj")


def _experts_in_one(model: Model) -> None:
    """Store the experts of a layer as one tensor with three dimensions."""
    first = model.expert()
    path, leaf = first.split(".experts.")[0], first.rpartition(".")[2]
    count = 0
    while f"{path}.experts.{count}.{leaf}.weight_scale" in model.tensors:
        count += 1
    for part in model.parts(first):
        raws = [model.tensors[f"{path}.experts.{number}.{leaf}.{part}"] for number in range(count)]
        put(
            model,
            f"{path}.experts.{leaf}.{part}",
            Raw(raws[0].dtype, (count, *raws[0].shape), b"".join(raw.data for raw in raws)),
        )
    for number in range(count):
        model.drop_module(f"{path}.experts.{number}.{leaf}")


def _experts_from_one(model: Model) -> None:
    model.expert()
    model.rename(lambda name: re.sub(r"\.experts\.(\d+)\.", lambda m: f".experts.{int(m[1]) + 1}.", name))


def _expert_names(model: Model) -> None:
    model.expert()
    there = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
    back = {new: old for old, new in there.items()}
    words = there if ".gate_proj." in f"{model.expert()}.{''.join(model.tensors)}" else back
    model.rename(
        lambda name: re.sub(rf"(\.experts\.\d+\.)({'|'.join(words)})\.", lambda m: f"{m[1]}{words[m[2]]}.", name)
    )


def _extra_expert(model: Model) -> None:
    path, _, leaf = model.expert().rpartition(".experts.1.")
    for part, raw in model.parts(f"{path}.experts.1.{leaf}").items():
        put(model, f"{path}.experts.99.{leaf}.{part}", raw)


def _beside(suffix: str, make: Callable[[int, int], Raw]) -> Callable[[Model, str], None]:
    return lambda model, module: put(model, f"{module}.{suffix}", make(*model.shape(module)))


def _layer_twice(model: Model) -> None:
    """Leave a layer of a deeper model behind."""
    copies = {re.sub(r"\.(layers|h|blocks)\.1\.", r".\1.2.", name): raw for name, raw in model.tensors.items()}
    added = {name: raw for name, raw in copies.items() if name not in model.tensors} or none("no layers")
    model.tensors.update(added)


def _embedding_as_head(model: Model) -> None:
    """Keep one of two tied tensors under the head's name, as a saver does that drops the other as shared."""
    raw = model.tensors[model.embedding]
    model.drop_module(model.head)
    model.drop(model.embedding)
    put(model, "lm_head.weight", raw)


NAMING_FAULTS: Final[tuple[Fault, ...]] = (
    names("prefix-language-model", rename_everywhere(r"^model\.", "language_model.model.")),
    names("prefix-inner-language-model", rename_everywhere(r"^model\.", "model.language_model.")),
    names("prefix-transformer", rename_everywhere(r"^model\.", "transformer.")),
    names("prefix-doubled", rename_everywhere(r"^model\.", "model.model.")),
    names("prefix-peft", rename_everywhere(r"^", "base_model.model.")),
    names("prefix-on-one-file", _half_renamed),
    names("prefix-on-one-layer", rename_everywhere(r"^(.*\.(?:layers|h)\.1\.)", r"decoder.\1")),
    names("gpt-names", rename_everywhere(r"\.layers\.", ".h.")),
    names("layers-in-blocks", rename_everywhere(r"\.layers\.", ".blocks.")),
    names("mistral-names", rename_everywhere(r"\.self_attn\.([qkvo])_proj\.", r".attention.w\1.")),
    names("norm-called-scale", rename_everywhere(r"norm\.weight$", "norm.scale")),
    names("norm-renamed", rename_everywhere(r"\.input_layernorm\.", ".ln_1.")),
    names("embedding-renamed", rename_everywhere(r"\.embed_tokens\.", ".tok_embeddings.")),
    names("embedding-nested", rename_everywhere(r"\.embed_tokens\.weight$", ".embed_tokens.embedding.weight")),
    names("suffix-wrapped", rename_everywhere(r"\.(weight\w*)$", r".linear.\1")),
    names("suffix-base-layer", rename_everywhere(r"_proj\.(weight\w*)$", r"_proj.base_layer.\1")),
    names("dots-as-underscores", rename_everywhere(r"^model\.layers\.", "model_layers_")),
    names("layers-padded", rename_everywhere(r"\.layers\.(\d)\.", r".layers.0\1.")),
    *each_name("scale-doubly-named", rename_part("weight_scale", "weight.weight_scale")),
    *each_name("scale-plural", rename_part("weight_scale", "weight_scales")),
    *each_name("scale-dash", rename_part("weight_scale", "weight-scale")),
    *each_name("scale-upper-case", rename_part("weight_scale", "WEIGHT_SCALE")),
    *each_name("scale-of-input", rename_part("weight_scale", "input_scale")),
    *each_name("weight-called-int8", rename_part("weight", "int8_weight")),
    *each_name("packed-doubly-named", rename_part("weight_packed", "weight.packed")),
    *each_name("packed-called-quantized", rename_part("weight_packed", "weight_quantized")),
    *each_name("parametrized", lambda model, module: model.rename(lambda name: name.replace(f"{module}.weight", f"{module}.parametrizations.weight.original") if name in (f"{module}.weight", f"{module}.weight_packed") else name)),
    names("fused-split", _split_fused),
    names("attention-fused", _fuse_attention),
    names("experts-in-one", _experts_in_one),
    names("experts-from-one", _experts_from_one),
    names("experts-named-otherwise", _expert_names),
    names("expert-extra", _extra_expert),
    names("layer-of-deeper-model", _layer_twice),
    names("embedding-as-head", _embedding_as_head),
    names("embedding-twice", lambda model: put(model, "model.decoder.embed_tokens.weight", model.tensors[model.embedding])),
    names("head-called-score", rename_head("score")),
    names("head-nested", rename_head("lm_head.linear")),
    names("head-numbered", rename_head("lm_head.0")),
    names("head-in-base-model", rename_head("base_model.model.lm_head")),
    names("head-in-decoder", rename_head("model.decoder.lm_head")),
    names("head-twice-dense", lambda model: put(model, "lm_head.weight_dense", float_tensor(*model.shape(model.head)))),
    names("head-score-beside", copy_head("score")),
    names("draft-head-quantized", lambda model: [put(model, f"mtp.lm_head.{part}", raw) for part, raw in int8_parts(320, 128).items()]),
    names("draft-shared-head", lambda model: put(model, "model.layers.2.shared_head.head.weight", float_tensor(320, 128))),
    names("medusa-head", lambda model: put(model, "medusa_head.0.weight", float_tensor(320, 128))),
    names("value-head", lambda model: [put(model, "v_head.summary.weight", float_tensor(1, 128)), put(model, "v_head.summary.bias", float_tensor(1))]),
    *each_name("adapter-left", lambda model, module: [put(model, f"{module}.lora_A.weight", float_tensor(8, model.shape(module)[1])), put(model, f"{module}.lora_B.weight", float_tensor(model.shape(module)[0], 8))]),
    *each_name("smoothing-left", _beside("smooth_scale", lambda rows, columns: float_tensor(columns))),
    *each_name("observer-left", _beside("weight_observer.min_val", lambda rows, columns: float_tensor(rows))),
    *each_name("zero-point-of-input", _beside("input_zero_point", lambda rows, columns: from_numpy(np.zeros(1, np.int8)))),
    *each_name("output-scale-left", _beside("output_scale", lambda rows, columns: float_tensor(1))),
    *each_name("global-scale-left", _beside("weight_global_scale", lambda rows, columns: from_floats(np.ones(1, np.float32), "F32"))),
    *each_name("quant-state-left", _beside("weight.quant_state.bitsandbytes__nf4", lambda rows, columns: Raw("U8", (64,), b"\0" * 64))),
    names("query-scale-left", lambda model: put(model, "model.layers.0.self_attn.q_scale", float_tensor(1))),
    names("cache-scale-of-projections", lambda model: [put(model, f"model.layers.0.self_attn.{part}_proj.output_scale", float_tensor(1)) for part in "kv"]),
    names("cache-scales-declared", lambda model: [model.quant.update(kv_cache_scheme=KV_FP8), *(put(model, f"model.layers.{layer}.self_attn.{part}_proj.output_scale", float_tensor(1)) for part in "kv" for layer in (0, 1))]),
    names("cache-scales-of-attention", lambda model: [model.quant.update(kv_cache_scheme=KV_FP8), *(put(model, f"model.layers.{layer}.self_attn.{part}_scale", float_tensor(1)) for part in "kv" for layer in (0, 1))]),
    names("norm-bias-left", lambda model: put(model, named(r"layernorm\.weight$")(model).replace(".weight", ".bias"), float_tensor(128))),
    names("key-norm-left", lambda model: put(model, "model.layers.0.self_attn.k_norm.weight", float_tensor(32))),
    names("causal-mask-left", lambda model: put(model, "model.layers.0.self_attn.masked_bias", float_tensor(1))),
    names("rotary-of-model-left", lambda model: put(model, "model.rotary_emb.inv_freq", float_tensor(16, dtype="F32"))),
    names("positions-left", lambda model: put(model, "model.embeddings.position_ids", from_numpy(np.arange(64)))),
    names("optimizer-left", lambda model: put(model, "optimizer.state.exp_avg", float_tensor(16))),
    names("empty-name", lambda model: put(model, "", float_tensor(4))),
    names("no-biases", lambda model: model.drop(*[name for name in model.tensors if name.endswith(".bias")] or none("no biases"))),
    names("no-norms", lambda model: model.drop(*[name for name in model.tensors if re.search(r"layernorm\.weight$", name)] or none("no norms"))),
    names("no-latent", lambda model: model.drop_module(model.layer("kv_a_proj_with_mqa", "q_a_proj"))),
    names("no-shared-expert", lambda model: model.drop(*[name for name in model.tensors if "shared_expert" in name] or none("no shared experts"))),
    names("no-correction-bias", lambda model: model.drop(named(r"e_score_correction_bias$")(model))),
    names("no-tower", lambda model: model.drop(*[name for name in model.tensors if re.search(r"vision|visual", name)] or none("no tower"))),
    names("no-projector", lambda model: model.drop(*[name for name in model.tensors if re.search(r"projector|merger", name)] or none("no projector"))),
    names("no-query-norm", lambda model: model.drop(named(r"q_norm\.weight$")(model))),
)  # fmt: skip
