"""What transformers' config classes take, which vLLM reads configs by too: types are checked strictly, what is missing is assumed.

The data is made by ``benchmarks/learn/config_fields.py`` from transformers 5.19, for model types that generate text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import TIE_KEY
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig

_LETTERS = {int: "i", float: "f", bool: "b", str: "s", type(None): "n", list: "l", dict: "o"}
_WORDS = {
    "i": "an integer",
    "f": "a float",
    "b": "a boolean",
    "s": "a text",
    "n": "null",
    "l": "a list",
    "o": "an object",
}
_TEXTS = ("text_config", "decoder", "generator", "text_encoder", "llm_config")
"""Keys under which transformers looks for a text model's config (`PreTrainedConfig.get_text_config`), the last one vLLM alone."""
_ELSEWHERE = "language_config"
"""The key of models whose code lies beside them: no class of transformers reads it."""
_OF_VLLM = frozenset({
    "cosmos3_edge", "deepseek_v32", "deepseek_v4", "hy_v4", "hyperclovax", "inkling_mm_model", "kimi_k25", "kimi_linear",
    "minimax_m3_vl", "muse_glimmer", "muse_glimmer_text", "qianfan_ocr", "qwen3_asr", "step3p5",
})  # fmt: skip
"""Model types of transformers for which vLLM 0.32.0 has a config class of its own."""


def mistyped(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield each key, by dotted path, whose value the config class refuses, with what it takes and what it got.

    Of model types for which vLLM has a class of its own nothing is known here.
    """
    if config.model_type in _OF_VLLM:
        return
    for path, level in config.text_levels:
        fields, types = _model(level.get("model_type"))
        for key in fields.keys() & level.keys():
            why = wanted_types(types.get(key, read_data("config_fields")["fields"][key]), level[key])
            if why is not None:
                yield (f"{path}.{key}" if path else key), why


def wanted_types(kinds: str, value: object) -> str | None:
    """Say what a field takes, by letters, where a value is of another type."""
    found = _LETTERS[type(value)]
    return None if found in kinds else f"takes {' or '.join(_WORDS[kind] for kind in kinds)}, not {_WORDS[found]}"


def nulled(config: ModelConfig) -> Iterator[str]:
    """Yield numbers that vLLM takes from the text model's config, that are null there, and that its class has no field for.

    Source: vLLM 0.32.0 config/model_arch.py, which is checked strictly.
    """
    path, level = config.text_levels[-1]
    fields, _ = _model(level.get("model_type"))
    for key in _NEEDED if fields else ():
        if key not in fields and level.get(key, key) is None:
            yield f"{path}.{key}" if path else key


def emptied(config: ModelConfig) -> Iterator[str]:
    """Yield numbers of the text model's config that are 0, and of which no model has none."""
    path, level = config.text_levels[-1]
    yield from (f"{path}.{key}" if path else key for key in _NEVER_ZERO if level.get(key) == 0)


def undivided(config: ModelConfig) -> tuple[str, int, int] | None:
    """Return the key of a number of heads that does not divide the hidden size, where that alone makes the width of a head.

    vLLM asserts that it does, or reads a part of each weight (``model_executor/models/opt.py``).
    """
    path, level = config.text_levels[-1]
    fields, _ = _model(level.get("model_type"))
    names = other_names(level.get("model_type"), "num_attention_heads")
    key = next((name for name in names if name in level), names[-1])
    if not fields.keys() & set(names) or any(_WIDTHS.search(key) for key in (*fields, *level)):
        return None
    hidden, heads = known_number(config, "hidden_size"), known_number(config, "num_attention_heads")
    if not hidden or not heads or hidden % heads == 0:
        return None
    return (f"{path}.{key}" if path else key), heads, hidden


def rotated_too_far(config: ModelConfig) -> tuple[int, int] | None:
    """Return how much of a head is rotated and how wide a head is, in elements, where that is less.

    Source: vLLM 0.32.0 ``model_executor/layers/rotary_embedding/__init__.py:70``.
    """
    rotated, hidden, heads = (known_number(config, key) for key in ("rotary_dim", "hidden_size", "num_attention_heads"))
    width = known_number(config, "head_dim") or (hidden // heads if hidden and heads else None)
    return (rotated, width) if rotated and width and rotated > width else None


_NEVER_ZERO = ("hidden_size", "num_hidden_layers", "vocab_size")
_WIDTHS = re.compile(r"head_dim|head_size|kv_channels|_v_dim|d_kv|mamba|linear_|lora_rank|attention_hidden_size")
"""Keys of models that make heads of other numbers, or that have other layers too."""


_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


def unknown_kinds(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield what lists of layers hold that transformers refuses, with the dotted key of the list."""
    known = read_data("config_fields")["kinds"]
    for path, level in config.text_levels if config.model_type not in _OF_VLLM else ():
        kind = level.get("model_type")
        lists = [key for key in _KINDS if takes_field(kind, key) and isinstance(level.get(key), list)]
        if kind in known["others"] or _KINDS[0] not in lists:  # of feed-forward layers alone nothing is checked
            continue
        for key in lists:
            yield from (
                (f"{path}.{key}" if path else key, str(entry)) for entry in level[key] if entry not in known[key]
            )


_KINDS = ("layer_types", "mlp_layer_types")


def checked_lists(model_type: object) -> tuple[str, ...]:
    """Return the lists of layers of which transformers checks that they are as long as there are layers, by model type."""
    lists = tuple(key for key in (*_KINDS, "layers_block_type") if takes_field(model_type, key))
    return lists if lists != _KINDS[1:] and model_type not in read_data("config_fields")["kinds"]["others"] else ()


def unread_text(config: ModelConfig) -> str | None:
    """Return the key of a text model's config that the class of the model type does not read, over which loaders stop."""
    kind, data = config.model_type, read_data("config_fields")
    if kind not in data["models"] or kind in _OF_VLLM:
        return None
    inside = (key for key in _TEXTS if isinstance(config.raw.get(key), dict))
    read = data["nested"].get(kind, ())
    if _ELSEWHERE in config.raw and _TEXTS[0] in read and not any(key in config.raw for key in read):
        return _ELSEWHERE
    return next((key for key in inside if key not in read), None)


def needs_text_config(model_type: str | None) -> bool:
    """Tell a wrapper's model type whose config class takes nothing of the text model from the top level."""
    return model_type in read_data("config_fields")["below"] and model_type not in _OF_VLLM


def is_text_type(model_type: str | None) -> bool:
    """Tell a model type whose config class knows of no text model inside."""
    data = read_data("config_fields")
    return model_type in data["models"] and model_type not in data["nested"] and model_type not in _OF_VLLM


def takes_field(model_type: object, key: str) -> bool:
    """Tell whether the config class of a model type has a field."""
    fields, *_ = _model(model_type)
    return key in fields


def reads_itself(model_type: str | None) -> bool:
    """Tell a model type for which vLLM has a config class of its own."""
    return model_type in _OF_VLLM


def assumed_by(model_type: object, key: str) -> int | bool | None:
    """Return what the config class of a model type assumes for a number or a switch; None where not known."""
    fields, _ = _model(model_type)
    value: int | bool | None = fields.get(key)
    return value


def assumed(config: ModelConfig, key: str) -> int | bool | None:
    """Return what the innermost text model assumes for a number or a switch that the config leaves out; None where not known."""
    for _, level in reversed(config.text_levels):
        fields, _ = _model(level.get("model_type"))
        for name in (key, *other_names(level.get("model_type"), key)):
            if name in fields:
                value: int | bool | None = fields[name]
                return value
    return None


def assumed_number(config: ModelConfig, key: str) -> int | None:
    """Return what the model assumes for a number that no level of the config states."""
    names = other_names(config.text_levels[-1][1].get("model_type"), key)
    value = (
        assumed(config, key) if not any(name in level for _, level in config.text_levels for name in names) else None
    )
    return value if type(value) is int else None


def stated_number(config: ModelConfig, key: str) -> int | None:
    """Return the number that the config class ends up with of what a config states, innermost level first.

    Several names may mean one number (GPT-2: ``max_position_embeddings`` and ``n_positions``), of which one wins.
    """
    for _, level in reversed(config.text_levels):
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
    return next((names for names in _names(model_type) if key in names), [key])


def stated(config: ModelConfig, key: str, assumes: object) -> object:
    """Return what a config states of a key, innermost level first, null too; ``assumes`` where no level states anything."""
    return next((level[key] for _, level in reversed(config.text_levels) if key in level), assumes)


def switch_value(config: ModelConfig, key: str) -> bool | None:
    """Return the value of a switch as the config states it, innermost level first, or as its type assumes it."""
    value = stated(config, key, assumed(config, key))
    return value if isinstance(value, bool) else None


def vocabulary(config: ModelConfig) -> int | None:
    """Return the size of the vocabulary as loaders read it: some wrappers read nothing of the text model at the top level."""
    nested = [level for path, level in config.text_levels if path]
    if nested and needs_text_config(config.model_type) and not any("vocab_size" in level for level in nested):
        value = assumed(config, "vocab_size")
        return value if type(value) is int else None
    return config.vocab_size


def tie_levels(config: ModelConfig) -> list[tuple[bool | None, bool | None]]:
    """Return the tie flag that each level states and the one that its class assumes, from the top inwards."""
    assumed_flags = (_model(level.get("model_type"))[0].get(TIE_KEY) for _, level in config.text_levels)
    return [
        (config.tie_flags.get(path), flag if isinstance(flag, bool) else None)
        for (path, _), flag in zip(config.text_levels, assumed_flags, strict=True)
    ]


def tie_flags(config: ModelConfig) -> Mapping[str, bool]:
    """Return the tie flags as engines read them: those that levels state, else what the classes of the levels assume.

    A class that assumes a tie at the top has it whatever a level below states.
    """
    stated = config.tie_flags
    flags = {path: _model(level.get("model_type"))[0].get(TIE_KEY) for path, level in config.text_levels}
    known = {path: flag for path, flag in flags.items() if isinstance(flag, bool)}
    if not stated:
        return {"": any(known.values())} if known else {}
    return {"": True, **stated} if known.get("") and "" not in stated else stated


def _model(model_type: object) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    fields, types, *_ = _entry(model_type)
    return fields, types


def _names(model_type: object) -> list[list[str]]:
    _, _, *names = _entry(model_type)
    return names[0] if names else []


def _entry(model_type: object) -> list[Any]:
    known: dict[str, list[Any]] = read_data("config_fields")["models"]
    return known.get(model_type, [{}, {}]) if isinstance(model_type, str) else [{}, {}]
