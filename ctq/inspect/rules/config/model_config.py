"""CFG: what the config says of the model, value by value, as the classes read it that vLLM and transformers share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.checks import broken_checks
from ctq.engines.configs.field_types import mistyped
from ctq.engines.configs.fields import assumed_by
from ctq.engines.configs.layer_lists import assumed_layers, checked_lists, unknown_kinds
from ctq.engines.configs.nested_text import is_text_type, needs_text_config, unread_text
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.configs.rotary import refused_ropes
from ctq.engines.configs.text_numbers import emptied, nulled, rotated_too_far, undivided
from ctq.engines.configs.tower_fields import refused_by_tower_classes
from ctq.engines.skeletons.skeletons import is_wrapper, tower_configs
from ctq.engines.skeletons.tower_rules import refused_by_towers
from ctq.engines.torch_names import TORCH_DTYPES
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.activations import refused_activations
from ctq.engines.vllm_models.checks import broken_by_vllm
from ctq.engines.vllm_models.config_classes import unbuildable
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.known_names import pools_without_head
from ctq.engines.vllm_models.own_code import brings_its_own_code
from ctq.engines.vllm_models.rotary import refused_by_rotary
from ctq.engines.vllm_models.text_classes import refused_inside, refused_towers
from ctq.engines.vllm_models.values import refused_values
from ctq.engines.vllm_models.windows import half_windowed
from ctq.findings import Severity
from ctq.inspect.rules.rule import Hit
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ctq.checkpoint.config import ModelConfig
    from ctq.inspect.facts.facts import Facts

_MOST_NAMED = 3
_LIST_OF_LAYERS = "layer_types"
_DTYPE_KEYS = ("dtype", "torch_dtype")
_TOWER = re.compile(r"vis|audio|image")
"""Keys of the configs of towers."""


def refused_model_config(facts: Facts) -> Iterator[Hit]:
    """Report values of the model's config that loaders refuse.

    ## What it checks
    The type of each usual key against the config class of its model type (a boolean for `tie_word_embeddings`, an integer for
    `vocab_size`, never a text), `layer_types` holds kinds of layers that exist, `architectures` is a list of texts, `dtype` is a
    dtype of torch, `hidden_act` a function that vLLM's class of the architecture takes (some take `silu` alone), the same of the
    configs of a wrapper's towers, whose number of heads divides their width; a kind of rotary
    embedding has the settings that it needs; there is a `model_type`, it is a wrapper's where a text model's config lies
    inside, and its class has what vLLM's class of the architecture reads. With an `auto_map`, a type that loaders know is
    read by their own class, and of another what lies inside is judged. Where there is no architecture, vLLM takes the class of
    transformers' base model: a warning, and an error where the model type stands for none.

    ## Why it hurts
    transformers 5 checks types strictly while it reads the config, for itself and for vLLM; the checkpoint does not load.

    ## Example
    `"tie_word_embeddings": null`, `"vocab_size": "32000"`, `"dtype": "bf16"`.

    ## How to mend
    Restore the value of the original.

    ## References
    transformers 5.19 `configuration_utils.py`; vLLM 0.32.0 `transformers_utils/config.py`; `benchmarks/learn/config_fields.py`.
    """
    config = facts.config
    refused = [*_refused(config), *_lost_tower(facts)] if config.raw else []
    if refused:
        keys = list(dict.fromkeys(key for key, _ in refused[:_MOST_NAMED]))
        yield Hit(
            where=f"config.json: {keys[0]}",
            message="loaders refuse the config: " + "; ".join(f"{key} {why}" for key, why in refused[:_MOST_NAMED]),
            hint=f"restore {', '.join(keys)} of the original",
        )
    elif config.diffusers_class is not None:
        yield Hit(
            where="config.json: architectures",
            message=f"no architectures: it is the {config.diffusers_class} of a diffusers pipeline, no language model",
            hint="give a model that transformers saved",
        )
    elif config.raw and config.names_no_architecture:
        taken = config.architecture or "nothing"
        yield Hit(
            where="config.json: architectures",
            message=f"no architectures: vLLM takes {taken} by the model type, other loaders may not",
            hint="restore architectures of the original",
            severity=None if config.architecture is None else Severity.WARNING,
        )


def _refused(config: ModelConfig) -> Iterator[tuple[str, str]]:
    yield from [*_misnamed(config)] or ([] if brings_its_own_code(config) else _misplaced(config))
    yield from _refused_values(config)


def _misnamed(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield that the names of classes are none."""
    names = config.raw.get("architectures")
    if names is not None and not isinstance(names, list):
        yield "architectures", "is no list"
    elif not all(isinstance(name, str) for name in names or ()):
        yield "architectures", "holds what is no text"


def _misplaced(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with where the text model's config lies, and with a type that goes with no class."""
    raw = config.raw
    if config.names_no_architecture and len(config.text_levels) > 1 and not _is_taken(config.architecture):
        yield "architectures", "is missing: the model type alone names no class that vLLM takes"
    inside = any(level for path, level in config.text_levels if path)
    if is_wrapper(config.architecture) and not inside and _lacks_text(config):
        yield "text_config", "is missing: loaders take the sizes that its class assumes"
    if is_wrapper(config.architecture) and is_text_type(config.model_type):
        yield "model_type", f"'{config.model_type}' is a text model's, where the architecture is {config.architecture}"
    if (unread := unread_text(config)) is not None:
        yield unread, f"is no part of a model of type {config.model_type}, whose class leaves it unread"
    if not config.names_no_architecture and raw.get("model_type") is None:
        yield "model_type", "is missing"


def _refused_values(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield values that a config's class refuses, level by level: those of types that nobody knows have none."""
    yield from dict([*unbuildable(config), *refused_inside(config), *refused_towers(config)]).items()
    yield from sorted(entry for entry in mistyped(config) if entry[0] != "architectures")
    yield from ((key, "is null, where a number is needed") for key in nulled(config))
    yield from ((key, "is 0") for key in emptied(config))
    yield from ((f"{path}.model_type", "is null") for path, level in config.text_levels if path and _is_typeless(level))
    yield from _odd_heads(config)
    yield from ((key, f"'{kind}' is no kind of layer") for key, kind in dict(unknown_kinds(config)).items())
    yield from refused_activations(config)
    yield from refused_values(config)
    yield from refused_by_rotary(config)
    yield from dict([*broken_by_vllm(config), *broken_checks(config)]).items()
    yield from half_windowed(config)
    yield from refused_by_tower_classes(config)
    yield from refused_by_towers(config)
    yield from _names(config)


def _is_typeless(level: Mapping[str, Any]) -> bool:
    """Tell a config inside whose type is null, over which vLLM stops; one that states none is read by the wrapper's class."""
    return "model_type" in level and level["model_type"] is None


def _odd_heads(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield a number of heads that does not divide the width, and a part of a head that is wider than the head."""
    if (heads := undivided(config)) is not None:
        yield heads[0], f"of {heads[1]} does not divide the hidden size of {heads[2]}"
    if (turned := rotated_too_far(config)) is not None and not is_served_by_backend(config.architecture):
        yield "rotary_dim", f"of {turned[0]} is wider than a head of {turned[1]}"


def _is_taken(architecture: str | None) -> bool:
    return head_support(architecture) is not None or bool(architecture and pools_without_head(architecture))


def _lacks_text(config: ModelConfig) -> bool:
    return config.hidden_size is None or needs_text_config(config.model_type)


def _lost_tower(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the config of a tower that a wrapper lacks: loaders take the sizes that its class assumes."""
    config = facts.config
    if brings_its_own_code(config) or not is_wrapper(config.architecture):
        return
    has_tower = any(entry.kind is Kind.TOWER for entry in facts.entries)
    known = tower_configs(config.architecture)
    inside = (entry for _, level in config.text_levels for entry in level.items())  # thinker_config holds both
    if has_tower and not any(isinstance(value, dict) and (key in known or _TOWER.search(key)) for key, value in inside):
        yield "the config of the tower", "is missing beside its tensors"


def _names(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield names of dtypes and of rotary embeddings that do not exist, and lists of layers of another length."""
    for path, level in read_levels(config):
        dtypes = ((key, level.get(key)) for key in _DTYPE_KEYS)
        unknown = ((key, value) for key, value in dtypes if isinstance(value, str) and value not in TORCH_DTYPES)
        yield from ((dotted(path, key), f"'{value}' is no dtype of torch") for key, value in unknown)
        yield from ((dotted(path, key), why) for key, why in (*_other_lengths(level), *refused_ropes(level)))


def _other_lengths(level: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield lists of layers that are not as long as there are layers, those that the class assumes among them."""
    kind = level.get("model_type")
    layers = level.get("num_hidden_layers", assumed_by(kind, "num_hidden_layers"))
    if not isinstance(layers, int):
        return
    for key in dict.fromkeys((_LIST_OF_LAYERS, *checked_lists(kind))):
        stated = level.get(key)
        kinds = stated if stated is not None else assumed_layers(level, key, layers)
        if isinstance(kinds, list) and len(kinds) != layers:
            yield (
                key,
                f"names {len(kinds)} layers, not {layers}" if stated is not None else f"is missing for {layers} layers",
            )
