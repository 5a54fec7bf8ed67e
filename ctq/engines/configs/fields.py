"""What a config states of a key and what transformers' config classes assume where it does not, which vLLM reads configs by too.

The data is made by ``benchmarks/learn/config_fields.py`` from transformers 5.19, for model types that generate text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig

_OF_VLLM = frozenset({
    "cosmos3_edge", "deepseek_v32", "deepseek_v4", "hy_v4", "hyperclovax", "inkling_mm_model", "kimi_k25", "kimi_linear",
    "minimax_m3_vl", "muse_glimmer", "muse_glimmer_text", "qianfan_ocr", "qwen3_asr", "step3p5",
})  # fmt: skip
"""Model types of transformers for which vLLM 0.32.0 has a config class of its own."""


_GPT_NAMES = (("num_attention_heads", "n_head"), ("num_hidden_layers", "n_layer"), ("hidden_size", "n_embd"))
"""Names of numbers that configs with classes of their own take from GPT-2's (TeleChat 2)."""


def fields_of(model_type: object) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the fields of a model type's config class with what it assumes, and the types of those that it takes otherwise."""
    fields, types, *_ = _entry(model_type)
    return fields, types


def takes_field(model_type: object, key: str) -> bool:
    """Tell whether the config class of a model type has a field."""
    fields, _ = fields_of(model_type)
    return key in fields


def reads_itself(model_type: str | None) -> bool:
    """Tell a model type for which vLLM has a config class of its own."""
    return model_type in _OF_VLLM


def assumed_by(model_type: object, key: str) -> int | bool | None:
    """Return what the config class of a model type assumes for a number or a switch; None where not known."""
    fields, _ = fields_of(model_type)
    value: int | bool | None = fields.get(key)
    return value


def assumed(config: ModelConfig, key: str) -> int | bool | None:
    """Return what the innermost text model assumes for a number or a switch that the config leaves out; None where not known."""
    for _, level in reversed(read_levels(config)):
        fields, _ = fields_of(level.get("model_type"))
        for name in (key, *other_names(level.get("model_type"), key)):
            if name in fields:
                value: int | bool | None = fields[name]
                return value
    return None


def assumed_number(config: ModelConfig, key: str) -> int | None:
    """Return what the model assumes for a number that no level of the config states."""
    names = other_names(read_levels(config)[-1][1].get("model_type"), key)
    if any(name in level for _, level in read_levels(config) for name in names):
        return None
    value = assumed(config, key)
    return value if type(value) is int else None


def stated_number(config: ModelConfig, key: str) -> int | None:
    """Return the number that the config class ends up with of what a config states, innermost level first.

    Several names may mean one number (GPT-2: ``max_position_embeddings`` and ``n_positions``), of which one wins.
    """
    for _, level in reversed(read_levels(config)):
        names = other_names(level.get("model_type"), key)
        found = next((level[name] for name in names if type(level.get(name)) is int), None)
        if found is not None:
            return int(found)
    return None


def known_number(config: ModelConfig, key: str) -> int | None:
    """Return a number as a config states it, or as its model assumes it; None where it states something else or none is known."""
    found = stated_number(config, key)
    return assumed_number(config, key) if found is None else found


def other_names(model_type: object, key: str) -> list[str]:
    """Return the names of a key, the one that wins first; itself alone where it has no other."""
    is_known = isinstance(model_type, str) and model_type in read_data("config_fields")["models"]
    known = _names(model_type) if is_known else _GPT_NAMES
    return next((list(names) for names in known if key in names), [key])


def stated(config: ModelConfig, key: str, assumes: object) -> object:
    """Return what a config states of a key, innermost level first, null too; ``assumes`` where no level states anything."""
    return next((level[key] for _, level in reversed(read_levels(config)) if key in level), assumes)


def switch_value(config: ModelConfig, key: str) -> bool | None:
    """Return the value of a switch as the config states it, innermost level first, or as its type assumes it.

    Of a size it is whether there is any.
    """
    value = stated(config, key, assumed(config, key))
    return bool(value) if isinstance(value, int) else None


def _names(model_type: object) -> list[list[str]]:
    _, _, *names = _entry(model_type)
    return names[0] if names else []


def _entry(model_type: object) -> list[Any]:
    known: dict[str, list[Any]] = read_data("config_fields")["models"]
    return known.get(model_type, [{}, {}]) if isinstance(model_type, str) else [{}, {}]
