"""The text model's config in a wrapper: called otherwise, hoisted, lost; and text models taken out of wrappers."""

from __future__ import annotations

from random import Random

from field_kind import add, kind
from field_model import TEXTS, Model, Skip, pick


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
