"""``config.json`` migrated between releases, tools and classes, and edited by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from dense_builder import edit_config
from field_kind import add, kind
from field_model import TEXTS, Json, Model, Skip, made, pick

KEYS: Final = (
    "head_dim", "num_key_value_heads", "hidden_act", "hidden_activation", "rms_norm_eps", "layer_norm_eps", "intermediate_size",
    "vocab_size", "max_position_embeddings", "model_type", "layer_types", "sliding_window", "attention_bias", "mlp_bias",
    "rope_parameters", "tie_word_embeddings", "num_attention_heads", "hidden_size", "num_hidden_layers", "moe_intermediate_size",
    "num_experts_per_tok", "norm_topk_prob", "first_k_dense_replace", "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "v_head_dim",
    "n_shared_experts", "shared_expert_intermediate_size", "n_group", "topk_group", "scoring_func", "topk_method", "mlp_only_layers",
    "decoder_sparse_step", "logits_scaling", "final_logit_softcapping", "attn_logit_softcapping", "query_pre_attn_scalar",
    "partial_rotary_factor", "use_qk_norm", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "dtype", "architectures",
    "transformers_version", "linear_num_value_heads", "linear_conv_kernel_dim", "mamba_n_heads", "mamba_d_state", "attn_layer_indices",
    "full_attention_interval", "routed_scaling_factor", "use_sliding_window", "max_window_layers", "embedding_multiplier",
    "residual_multiplier", "attention_multiplier", "no_rope_layers", "hybrid_override_pattern", "layers_block_type", "block_types",
)  # fmt: skip
"""Those of which not all are in every config."""
NUMBERS: Final = (
    "num_key_value_heads", "num_attention_heads", "hidden_size", "intermediate_size", "head_dim", "moe_intermediate_size", "kv_lora_rank",
    "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "num_experts_per_tok", "shared_expert_intermediate_size",
    "n_shared_experts", "max_position_embeddings", "first_k_dense_replace", "linear_num_value_heads", "linear_num_key_heads",
    "linear_conv_kernel_dim", "mamba_n_heads", "mamba_d_state", "mamba_d_conv", "n_group", "topk_group", "sliding_window",
)  # fmt: skip
DTYPES: Final = (
    "float16",
    "float32",
    "auto",
    "int8",
    "float8_e4m3fn",
    "torch.bfloat16",
    None,
    "fp16",
    "half",
    "bf16",
    "bfloat16",
)
SWITCHES: Final = (
    "attention_bias", "mlp_bias", "use_qk_norm", "norm_topk_prob", "use_sliding_window", "use_bias", "qkv_bias", "attention_out_bias",
    "tie_word_embeddings", "use_parallel_residual", "lm_head_bias", "add_router_probs", "moe_gate_bias", "qk_layernorm", "use_cache",
)  # fmt: skip
ROPES: Final[dict[str, Any]] = {
    "null": None, "empty": {}, "linear": {"type": "linear", "factor": 2.0}, "linear, new": {"rope_type": "linear", "factor": 2.0},
    "linear without factor": {"rope_type": "linear"}, "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, "yarn without factor": {"rope_type": "yarn"},
    "yarn without length": {"rope_type": "yarn", "factor": 4.0}, "default": {"rope_type": "default"}, "unknown": {"rope_type": "ntk"},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64},
    "llama3 in part": {"rope_type": "llama3", "factor": 8.0}, "longrope in part": {"rope_type": "longrope", "factor": 4.0},
    "su": {"type": "su", "long_factor": [1.0] * 16, "short_factor": [1.0] * 16}, "mrope": {"type": "mrope", "mrope_section": [4, 6, 6]},
    "a number": 2.0, "a text": "yarn", "a list": [1.0], "no type": {"factor": 2.0}, "old and new": {"type": "yarn", "rope_type": "linear", "factor": 2.0},
}  # fmt: skip
ARCHITECTURES: Final = (
    "LlamaForCausalLM", "LlamaModel", "MistralForCausalLM", "Qwen2ForCausalLM", "LlamaForSequenceClassification", "FooForCausalLM",
    "Qwen3ForCausalLM", "Qwen2_5_VLForConditionalGeneration", "LlavaForConditionalGeneration", "GemmaForCausalLM", "Phi3ForCausalLM",
    "GPT2LMHeadModel", "AutoModelForCausalLM", "PeftModelForCausalLM", "QWenLMHeadModel", "MixtralForCausalLM", "Qwen2Model",
)  # fmt: skip
MODEL_TYPES: Final = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "phi3",
    "mixtral",
    "unknown_model",
    "",
    None,
    "Llama",
    "qwen3_moe",
    "gpt2",
)

for _key in KEYS:

    def _left_out(m: Model, d: Random, k: str = _key) -> None:
        holder, key = m.key(k)
        del holder[key]

    def _null(m: Model, d: Random, k: str = _key) -> None:
        holder, key = m.key(k)
        if holder[key] is None:
            raise Skip
        holder[key] = None

    add(f"config without {_key}", _left_out)
    add(f"config's {_key} null", _null)
for _key in NUMBERS:

    def _otherwise(m: Model, d: Random, k: str = _key) -> None:
        holder, key = m.key(k)
        if not isinstance(holder[key], int):
            raise Skip
        holder[key] = pick(
            d,
            (
                holder[key] * 2,
                max(holder[key] // 2, 1),
                holder[key] + 1,
                float(holder[key]),
                str(holder[key]),
                holder[key] + 32,
            ),
        )

    add(f"config's {_key} otherwise", _otherwise)
for _dtype in DTYPES:

    def _as(m: Model, d: Random, v: Any = _dtype) -> None:
        for holder in (m.config, m.text):
            holder.pop("dtype", None)
            holder.pop("torch_dtype", None)
        pick(d, (m.config, m.text))[pick(d, ("dtype", "torch_dtype"))] = v

    add(f"config's dtype {_dtype}", _as)
for _key in SWITCHES:

    def _turn(m: Model, d: Random, k: str = _key) -> None:
        m.text[k] = not m.text.get(k, False)

    add(f"config's {_key} turned", _turn)
for _name, _value in ROPES.items():
    add(f"rope_scaling {_name}", lambda m, d, v=_value: m.text.__setitem__("rope_scaling", v))
    add(f"rope_parameters {_name}", lambda m, d, v=_value: m.text.__setitem__("rope_parameters", v))
for _name in ARCHITECTURES:
    add(f"architecture {_name}", lambda m, d, v=_name: m.config.__setitem__("architectures", [v]))
for _type in MODEL_TYPES:
    add(f"model type {_type}", lambda m, d, v=_type: m.config.__setitem__("model_type", v))
    add(
        f"model type {_type} of the text model",
        lambda m, d, v=_type: m.text.__setitem__("model_type", v) if m.is_wrapper else pick(d, []),
    )


@kind
def rope_as_before_version_5(m: Model, d: Random) -> None:
    rope = m.text.get("rope_parameters")
    if not isinstance(rope, dict):
        raise Skip
    m.text.pop("rope_parameters")
    if "rope_theta" in rope:
        m.text["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type", "default")
    m.text["rope_scaling"] = None if kind == "default" else {**rope, "type": kind}


@kind
def rope_theta_of_both_kinds(m: Model, d: Random) -> None:
    m.text["rope_theta"] = pick(d, (1000000.0, 10000, "10000", None, 0))


@kind
def rope_theta_lost(m: Model, d: Random) -> None:
    rope = m.text.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        raise Skip
    del rope["rope_theta"]


@kind
def dtype_called_torch_dtype(m: Model, d: Random) -> None:
    found = False
    for holder in (m.config, m.text):
        if "dtype" in holder:
            found, holder["torch_dtype"] = True, holder.pop("dtype")
    if not found:
        raise Skip


@kind
def architectures_otherwise(m: Model, d: Random) -> None:
    m.config["architectures"] = pick(
        d, ([], "text", ["FooForCausalLM", *m.config["architectures"]], [*m.config["architectures"], "Foo"], [None])
    )
    if m.config["architectures"] == "text":
        m.config["architectures"] = "LlamaForCausalLM"


@kind
def causal_lm_and_conditional_generation_exchanged(m: Model, d: Random) -> None:
    name = m.config["architectures"][0]
    pairs = (
        ("ForCausalLM", "ForConditionalGeneration"),
        ("ForConditionalGeneration", "ForCausalLM"),
        ("ForCausalLM", "LMHeadModel"),
    )
    old, new = pick(d, [pair for pair in pairs if pair[0] in name])
    m.config["architectures"] = [name.replace(old, new)]


@kind
def base_class_of_the_architecture(m: Model, d: Random) -> None:
    name = m.config["architectures"][0]
    base = name.replace("ForCausalLM", "").replace("ForConditionalGeneration", "").replace("LMHeadModel", "")
    m.config["architectures"] = [
        base + pick(d, ("Model", "ForSequenceClassification", "ForTokenClassification", "ForRewardModel"))
    ]


@kind
def adapted_class_of_the_architecture(m: Model, d: Random) -> None:
    m.config["architectures"] = [
        pick(d, ("PeftModelForCausalLM", "FSDP", "My", "AutoGPTQ", "Quantized")) + m.config["architectures"][0]
    ]


@kind
def auto_map_left_without_its_code(m: Model, d: Random) -> None:
    m.config["auto_map"] = {"AutoConfig": "configuration_model.Config", "AutoModelForCausalLM": "modeling_model.Model"}


@kind
def unknown_keys(m: Model, d: Random) -> None:
    m.config.update(
        {"_name_or_path": "/data/run", "unsloth_fixed": True, "my_key": {"a": [1, None]}, "pruned_heads": {}}
    )


@kind
def old_generation_keys(m: Model, d: Random) -> None:
    m.config.update({"temperature": 0.7, "do_sample": True, "max_length": 20, "return_dict": True, "is_decoder": False})


@kind
def attention_implementation_kept(m: Model, d: Random) -> None:
    m.config.update({"_attn_implementation": "flash_attention_2", "attn_implementation": "eager", "pretraining_tp": 2})


@kind
def text_config_called_otherwise(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    old = next(key for key in TEXTS if key in m.config)
    m.config[pick(d, ("llm_config", "language_config", "language_model_config", "text_configs"))] = m.config.pop(old)


@kind
def text_config_hoisted(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    text = dict(m.text)
    text.pop("architectures", None)
    kind = text.pop("model_type", None)
    old = next(key for key in TEXTS if key in m.config)
    if d.random() < 0.6:
        m.config.pop(old)
    m.config |= {key: value for key, value in text.items() if key not in m.config}
    _ = kind


@kind
def stale_values_at_the_top_level(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    m.config.update(
        {
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "vocab_size": 32000,
            "num_attention_heads": 32,
            "intermediate_size": 11008,
        }
    )


@kind
def text_config_null(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    m.config[next(key for key in TEXTS if key in m.config)] = pick(d, (None, {}))


@kind
def tower_config_lost(m: Model, d: Random) -> None:
    key = pick(d, [key for key in ("vision_config", "audio_config", "encoder_config") if key in m.config])
    if d.random() < 0.5:
        m.config.pop(key)
    else:
        m.config[key] = pick(d, (None, {}))


@kind
def tower_with_another_depth(m: Model, d: Random) -> None:
    tower = pick(d, [m.config[key] for key in ("vision_config", "audio_config") if isinstance(m.config.get(key), dict)])
    key = pick(d, [key for key in ("num_hidden_layers", "depth", "encoder_layers") if key in tower])
    tower[key] += pick(d, (1, -1, 2))


@kind
def tower_with_another_width(m: Model, d: Random) -> None:
    tower = pick(d, [m.config[key] for key in ("vision_config", "audio_config") if isinstance(m.config.get(key), dict)])
    key = pick(
        d,
        [
            key
            for key in ("hidden_size", "intermediate_size", "d_model", "out_hidden_size", "patch_size")
            if key in tower
        ],
    )
    tower[key] *= 2


def _extracted(m: Model, d: Random, *, prefix: bool, architecture: bool) -> None:
    """A language model taken out of a wrapper by a script."""
    if not m.is_wrapper:
        raise Skip
    text, old = m.text, dict(m.config)
    start = next(
        (
            one
            for one in ("language_model.model.", "model.language_model.")
            if any(name.startswith(one) for name in m.tensors)
        ),
        "",
    )
    kept = {name: raw for name, raw in m.tensors.items() if name.startswith(start) or "lm_head" in name}
    if not start or not kept:
        raise Skip
    m.tensors = kept
    if prefix:
        m.rename(lambda name: name.replace(start, "model.").replace("language_model.lm_head", "lm_head"))
    name = {
        "qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "gemma3_text": "Gemma3ForCausalLM",
        "qwen2_5_vl_text": "Qwen2ForCausalLM", "qwen2_vl_text": "Qwen2ForCausalLM", "qwen3_vl_text": "Qwen3ForCausalLM",
        "qwen3_5_text": "Qwen3_5ForCausalLM", "llama4_text": "Llama4ForCausalLM", "qwen3": "Qwen3ForCausalLM",
        "qwen3_vl_moe_text": "Qwen3MoeForCausalLM", "glm4v_text": "Glm4ForCausalLM", "gemma": "GemmaForCausalLM",
    }.get(str(text.get("model_type")))  # fmt: skip
    if name is None:
        raise Skip
    m.config = {**text, "architectures": [name] if architecture else old["architectures"]}
    for key in ("quantization_config", "dtype"):
        if key in old:
            m.config[key] = old[key]
    if "tie_word_embeddings" not in m.config and d.random() < 0.5:
        m.config["tie_word_embeddings"] = old.get("tie_word_embeddings", False)


add("text model extracted", lambda m, d: _extracted(m, d, prefix=True, architecture=True))
add("text model extracted, prefix kept", lambda m, d: _extracted(m, d, prefix=False, architecture=True))
add("text model extracted, architecture kept", lambda m, d: _extracted(m, d, prefix=True, architecture=False))


@kind
def tower_dropped_and_architecture_kept(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    for name in [name for name in m.tensors if "language_model" not in name and "lm_head" not in name] or pick(d, []):
        del m.tensors[name]


@kind
def layer_types_too_short(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list):
        raise Skip
    kinds.pop()


@kind
def layer_types_too_long(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list):
        raise Skip
    kinds.append(kinds[-1])


@kind
def layer_types_otherwise(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list):
        raise Skip
    kinds[d.randrange(len(kinds))] = pick(
        d, ("full_attention", "sliding_attention", "linear_attention", "attention", "mamba", "chunked_attention")
    )


@kind
def layer_types_reversed(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list) or kinds == kinds[::-1]:
        raise Skip
    kinds.reverse()


@kind
def layer_types_added(m: Model, d: Random) -> None:
    if "layer_types" in m.text:
        raise Skip
    m.text["layer_types"] = ["full_attention"] * int(m.text.get("num_hidden_layers", 2))


@kind
def experts_key_called_otherwise(m: Model, d: Random) -> None:
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    holder, old = m.key(*names)
    holder[pick(d, [name for name in names if name != old])] = holder.pop(old)


@kind
def more_experts_chosen_than_there_are(m: Model, d: Random) -> None:
    holder, key = m.key("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k")
    holder[key] = pick(d, (64, 5, 1, 0))


@kind
def activation_otherwise(m: Model, d: Random) -> None:
    holder, key = m.key("hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act")
    holder[key] = pick(d, ("gelu", "silu", "swiglu", "gelu_pytorch_tanh", "relu", "relu2", "SiLU", "gelu_new", "swish"))


# -- ties ---------------------------------------------------------------------------------------------------------------------


def _tie(m: Model, top: Any, text: Any) -> None:
    for holder, value in ((m.config, top), (m.text, text)):
        if value == "out":
            holder.pop("tie_word_embeddings", None)
        elif value != "as it is":
            holder["tie_word_embeddings"] = value


for _top in (True, False, "out", None, "true", "false", 0, 1):
    add(f"tie flag {_top} everywhere", lambda m, d, v=_top: _tie(m, v, v))
    add(f"tie flag {_top} at the top level", lambda m, d, v=_top: _tie(m, v, "as it is"))
    add(
        f"tie flag {_top} of the text model",
        lambda m, d, v=_top: _tie(m, "as it is", v) if m.is_wrapper else pick(d, []),
    )


@kind
def head_dropped_and_tied(m: Model, d: Random) -> None:
    m.drop(m.head())
    _tie(m, True, pick(d, (True, False, "out", "as it is")))


@kind
def head_dropped_and_tie_flag_left_out(m: Model, d: Random) -> None:
    m.drop(m.head())
    _tie(m, "out", "out")


@kind
def head_copied_from_the_embedding(m: Model, d: Random) -> None:
    embedding = m.embedding()
    try:
        m.head()
    except Skip:
        name = pick(d, ("lm_head", "model.lm_head", "language_model.lm_head", embedding.split("model.")[0] + "lm_head"))
        m.put(f"{name}.weight", m.tensors[m.main(embedding)])
        if d.random() < 0.5:
            _tie(m, pick(d, (False, "out")), pick(d, (False, "out")))
        return
    raise Skip


@kind
def embedding_dropped_and_head_kept(m: Model, d: Random) -> None:
    m.head()
    m.drop(m.embedding())
    _tie(m, pick(d, (True, False)), pick(d, (True, False)))


@kind
def head_of_zeros_rows(m: Model, d: Random) -> None:
    try:
        m.head()
    except Skip:
        m.put("lm_head.weight", made("BF16", (pick(d, (0, 1)), 128)))
        return
    raise Skip


# -- the file itself ----------------------------------------------------------------------------------------------------------


def _text(change: Callable[[str], str], m: Model) -> None:
    def act(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(change(path.read_text()), encoding="utf-8")

    m.after.append(act)


add("config with a mark of bytes", lambda m, d: _text(lambda text: "\ufeff" + text, m))
add("config with a comma too many", lambda m, d: _text(lambda text: text.rstrip()[:-1] + ",}", m))
add("config with a comment", lambda m, d: _text(lambda text: "// merged\n" + text, m))
add("config cut off", lambda m, d: _text(lambda text: text[: len(text) // 2], m))
add("config in a list", lambda m, d: _text(lambda text: f"[{text}]", m))
add("config with a key twice", lambda m, d: _text(lambda text: '{"num_hidden_layers": 99,' + text.lstrip()[1:], m))
add("config in one line", lambda m, d: _text(lambda text: json.dumps(json.loads(text)), m))
add("config with infinity", lambda m, d: m.after.append(lambda folder: edit_config(folder, _infinite)))


def _infinite(config: Json) -> None:
    config["initializer_range"] = float("inf")
