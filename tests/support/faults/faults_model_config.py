"""Faults of what the config says of the model: numbers, switches and names that no longer fit the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faults_config import model_config
from faults_model import Model, none

if TYPE_CHECKING:
    from collections.abc import Callable

    from fault import Fault


def changed(name: str, key: str, change: Callable[[Any], Any]) -> Fault:
    """Change one number of the text model."""

    def run(model: Model) -> None:
        level = model.text(key)
        if not isinstance(level[key], int):
            none(f"{key} is no number")
        level[key] = change(level[key])

    return model_config(name, run)


def everywhere(name: str, **values: Any) -> Fault:
    """Set keys at every level that has them, and at the top."""

    def run(model: Model) -> None:
        for number, level in enumerate(model.levels()):
            level.update({key: value for key, value in values.items() if number == 0 or key in level})

    return model_config(name, run)


def removed(name: str, *keys: str) -> Fault:
    """Remove keys at every level."""

    def run(model: Model) -> None:
        found = [level.pop(key) for level in model.levels() for key in keys if key in level]
        found or none(f"no {keys[0]}")

    return model_config(name, run)


def switched(name: str, key: str) -> Fault:
    """Turn a switch of the text model."""

    def run(model: Model) -> None:
        level = model.text(key)
        if not isinstance(level[key], bool):
            none(f"{key} is no switch")
        level[key] = not level[key]

    return model_config(name, run)


def _old_dtype(model: Model) -> None:
    for level in model.levels():
        level["torch_dtype"] = level.pop("dtype", "bfloat16")


MODEL_CONFIG_FAULTS: Final[tuple[Fault, ...]] = (
    everywhere("tie-null", tie_word_embeddings=None),
    everywhere("tie-text", tie_word_embeddings="false"),
    everywhere("tie-number", tie_word_embeddings=0),
    removed("tie-missing", "tie_word_embeddings"),
    changed("vocabulary-by-one", "vocab_size", lambda size: size + 1),
    changed("vocabulary-doubled", "vocab_size", lambda size: size * 2),
    changed("vocabulary-text", "vocab_size", str),
    changed("vocabulary-zero", "vocab_size", lambda _: 0),
    removed("vocabulary-missing", "vocab_size"),
    changed("hidden-size-halved", "hidden_size", lambda size: size // 2),
    removed("hidden-size-missing", "hidden_size"),
    changed("intermediate-size-by-64", "intermediate_size", lambda size: size - 64),
    changed("layers-none", "num_hidden_layers", lambda _: 0),
    changed("layers-text", "num_hidden_layers", str),
    changed("layers-many", "num_hidden_layers", lambda count: count + 6),
    removed("layers-missing", "num_hidden_layers"),
    removed("key-value-heads-missing", "num_key_value_heads"),
    changed("key-value-heads-one", "num_key_value_heads", lambda _: 1),
    changed("heads-halved", "num_attention_heads", lambda count: count // 2),
    changed("head-dim-off", "head_dim", lambda size: size * 2),
    removed("head-dim-missing", "head_dim"),
    changed("moe-size-off", "moe_intermediate_size", lambda size: size * 2),
    changed("experts-per-token-many", "num_experts_per_tok", lambda _: 64),
    changed("latent-size-off", "kv_lora_rank", lambda size: size * 2),
    changed("query-latent-off", "q_lora_rank", lambda size: size * 2),
    changed("rope-head-off", "qk_rope_head_dim", lambda size: size * 2),
    changed("dense-layers-off", "first_k_dense_replace", lambda count: count + 1),
    switched("attention-bias", "attention_bias"),
    switched("mlp-bias", "mlp_bias"),
    everywhere("architectures-empty", architectures=[]),
    everywhere("architectures-null", architectures=None),
    model_config("architectures-text", lambda model: model.config.update(architectures=model.config["architectures"][0])),
    model_config("architectures-two", lambda model: model.config.update(architectures=[*model.config["architectures"], "OPTForCausalLM"])),
    model_config("architecture-other", lambda model: model.config.update(architectures=["MistralForCausalLM"])),
    model_config("architecture-headless-task", lambda model: model.config.update(architectures=["LlamaForSequenceClassification"])),
    removed("model-type-missing", "model_type"),
    model_config("model-type-other", lambda model: model.config.update(model_type="mistral")),
    model_config("dtype-old-key", _old_dtype),
    everywhere("dtype-auto", dtype="auto"),
    everywhere("dtype-unknown", dtype="bf16"),
    model_config("text-config-gone", lambda model: model.config.pop("text_config", None) or none("no text config")),
    model_config("vision-config-gone", lambda model: model.config.pop("vision_config", None) or none("no vision config")),
    everywhere("rope-missing", rope_parameters=None),
    everywhere("positions-few", max_position_embeddings=1),
    everywhere("auto-map", auto_map={"AutoModelForCausalLM": "modeling.WonderfulForCausalLM"}),
    everywhere("config-unknown-key", training_notes={"steps": 7}),
    everywhere("transformers-version-old", transformers_version="4.30.0"),
    everywhere("activation-unknown", hidden_act="wonderful"),
)  # fmt: skip
