"""Everything of a model's config that loaders refuse: one table of checks, each a pure function of the config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.checkpoint.config import DTYPE_KEYS, dotted
from ctq.engines.configs.checks import broken_checks
from ctq.engines.configs.field_types import mistyped
from ctq.engines.configs.fields import assumed_by
from ctq.engines.configs.layer_lists import assumed_layers, checked_lists, unknown_kinds
from ctq.engines.configs.nested_text import is_text_type, needs_text_config, unread_text
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.configs.rope_refusals import refused_ropes
from ctq.engines.configs.text_numbers import emptied, nulled, rotated_too_far, undivided
from ctq.engines.configs.tower_fields import refused_by_tower_classes
from ctq.engines.skeletons.find import is_wrapper
from ctq.engines.skeletons.tower_rules import refused_by_towers
from ctq.engines.torch_names import TORCH_DTYPES
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.activations import refused_activations
from ctq.engines.vllm_models.bare_models import pools_without_head
from ctq.engines.vllm_models.checks import broken_by_vllm
from ctq.engines.vllm_models.config_classes import unbuildable
from ctq.engines.vllm_models.context_length import unserved_length
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.lacking_fields import lacking_fields
from ctq.engines.vllm_models.own_code import brings_its_own_code
from ctq.engines.vllm_models.rope_of_models import refused_by_rotary
from ctq.engines.vllm_models.shared_caches import unshared_kinds
from ctq.engines.vllm_models.text_classes import refused_inside, refused_towers
from ctq.engines.vllm_models.values import refused_values
from ctq.engines.vllm_models.windows import half_windowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_QUANTIZATION = "quantization_config"
_LIST_OF_LAYERS = "layer_types"
_NUMBERED = re.compile(r"\s*[+-]?\d+(_\d+)*\s*")
"""What Python makes a whole number of."""


def refused_by_loaders(config: ModelConfig) -> Iterator[Refused]:
    """Yield each value that transformers or vLLM refuses, what lies at the bottom of others first.

    Of types that nobody knows, little is refused: no class of theirs is known.
    """
    for check in CHECKS:
        yield from check(config)


def _classes(config: ModelConfig) -> Iterator[Refused]:
    """Yield what is wrong with the names of classes, or else with where the text model lies."""
    yield from [*_misnamed(config)] or ([] if brings_its_own_code(config) else _misplaced(config))


def _misnamed(config: ModelConfig) -> Iterator[Refused]:
    """Yield that the names of classes are none."""
    names = config.raw.get("architectures")
    if names is not None and not isinstance(names, list):
        yield "architectures", "is no list"
    elif not all(isinstance(name, str) for name in names or ()):
        yield "architectures", "holds what is no text"


def _no_object(config: ModelConfig) -> Iterator[Refused]:
    """Yield what says how the model is quantized where it is a text, a list or a number."""
    if not isinstance(config.raw.get(_QUANTIZATION), dict | None):
        yield _QUANTIZATION, "is no object"


def _unnumbered(config: ModelConfig) -> Iterator[Refused]:
    """Yield labels without numbers. Source: transformers 5.19 ``configuration_utils.py`` (`int(key)` of each)."""
    labels = config.raw.get("id2label")
    if isinstance(labels, dict) and not all(_NUMBERED.fullmatch(label) for label in labels):
        yield "id2label", "has keys that are no numbers"


def _misplaced(config: ModelConfig) -> Iterator[Refused]:
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


def _is_taken(architecture: str | None) -> bool:
    return head_support(architecture) is not None or bool(architecture and pools_without_head(architecture))


def _lacks_text(config: ModelConfig) -> bool:
    return config.hidden_size is None or needs_text_config(config.model_type)


def _unbuilt(config: ModelConfig) -> Iterator[Refused]:
    """Yield what the classes inside are not built of, each key once."""
    yield from dict([*unbuildable(config), *refused_inside(config), *refused_towers(config)]).items()


def _mistyped(config: ModelConfig) -> Iterator[Refused]:
    yield from sorted(entry for entry in mistyped(config) if entry[0] != "architectures")


def _untyped(config: ModelConfig) -> Iterator[Refused]:
    """Yield configs inside whose type is null, over which vLLM stops; one that states none is read by the wrapper's class."""
    for path, level in config.text_levels:
        if path and level.get("model_type", path) is None:
            yield f"{path}.model_type", "is null"


def _rotated_too_far(config: ModelConfig) -> Iterator[Refused]:
    yield from rotated_too_far(config) if not is_served_by_backend(config.architecture) else ()


def _values(config: ModelConfig) -> Iterator[Refused]:
    """Yield values that vLLM was seen to refuse, a length of context below 1 and keys that are lacking, each key once."""
    yield from dict([*unserved_length(config), *refused_values(config), *lacking_fields(config)]).items()


def _broken(config: ModelConfig) -> Iterator[Refused]:
    """Yield conditions that hold and must not, each key once."""
    yield from dict([*broken_by_vllm(config), *broken_checks(config)]).items()


def _names(config: ModelConfig) -> Iterator[Refused]:
    """Yield names of dtypes and of rotary embeddings that do not exist, and lists of layers of another length."""
    for path, level in read_levels(config):
        dtypes = ((key, level.get(key)) for key in DTYPE_KEYS)
        unknown = ((key, value) for key, value in dtypes if isinstance(value, str) and value not in TORCH_DTYPES)
        yield from ((dotted(path, key), f"'{value}' is no dtype of torch") for key, value in unknown)
        yield from ((dotted(path, key), why) for key, why in (*_other_lengths(level), *refused_ropes(level)))


def _other_lengths(level: Mapping[str, Any]) -> Iterator[Refused]:
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


CHECKS: tuple[Callable[[ModelConfig], Iterable[Refused]], ...] = (
    _classes,
    _no_object,
    _unnumbered,
    _unbuilt,
    _mistyped,
    nulled,
    emptied,
    _untyped,
    undivided,
    _rotated_too_far,
    unknown_kinds,
    refused_activations,
    _values,
    refused_by_rotary,
    _broken,
    half_windowed,
    unshared_kinds,
    refused_by_tower_classes,
    refused_by_towers,
    _names,
)
"""Every check; the order is that of the findings' words, of which the first are shown."""
