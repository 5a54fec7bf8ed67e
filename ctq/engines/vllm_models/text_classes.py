"""Which class reads a text model's config inside a wrapper's, and whether vLLM's text model can be built with it.

A wrapper's config class reads what lies inside by a class of its own, or by the one that the type in there stands for; vLLM's class
of the wrapper builds the text model that this type stands for, or one of its own. The data is made by
``benchmarks/learn/config_classes.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inside_of
from ctq.engines.configs.rope_settings import has_rope_by_layer
from ctq.engines.configs.tower_fields import all_model_types, towers_of
from ctq.engines.vllm_models.causal_lms import causal_lm_of
from ctq.engines.vllm_models.config_classes import (
    ROPE_BY_LAYER,
    known_model,
    known_type,
    lacking,
    sealed,
    unread_by,
)
from ctq.engines.vllm_models.text_architecture import LAYERS_OF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.configs.read_levels import Inside
    from ctq.engines.refused import Refused

_TYPE = "model_type"
_BY_TYPE = "by type"
_ROPE = "rope_parameters"


def refused_inside(config: ModelConfig) -> Iterator[Refused]:
    """Yield the type of a text model's config inside over which the wrapper's class or vLLM stops."""
    places = inside_of(config.raw.get(_TYPE))
    for path, level in config.text_levels if places else ():
        if path not in places:
            continue
        read_as = places[path].reads_as(level)
        inner = known_type(read_as)
        if inner is not None:
            yield from ((f"{path}.{key}", why) for key, why in sealed(inner, str(read_as), level))
        why = _unreadable(level, places[path]) or _unbuildable(config, level, places[path])
        if why is not None:
            yield f"{path}.{_TYPE}", why


def _unreadable(level: Mapping[str, Any], inside: Inside) -> str | None:
    kind = level.get(_TYPE)
    if kind is None:
        return (
            "is missing, and the class of the wrapper assumes none"
            if inside.usual is None and _TYPE not in level
            else None
        )
    if not isinstance(kind, str):
        return "is no text"
    is_known = inside.is_fixed or kind in all_model_types() or kind in inside.names
    return None if is_known else f"{kind!r} is no model type that transformers has"


def _unbuildable(config: ModelConfig, level: Mapping[str, Any], inside: Inside) -> str | None:
    model, stated = known_model(config.architecture), level.get(_TYPE, inside.usual)
    if stated is None:
        return None
    stated = inside.names.get(stated, stated)
    own = _own_text(model) if model.get("own_text") else None
    if own is not None and stated != own:
        return f"{stated!r} is none that {config.architecture} takes: vLLM wants {own!r}"
    read_as = inside.usual if inside.is_fixed and inside.usual else stated
    text, own_text = _text_model(model, level, stated), _own_text(model)
    is_usual = read_as == own_text and text == _text_model(model, level, own_text or "")
    is_own = config.raw.get(_TYPE) == model.get("own") and is_usual
    if text is None:
        why = None if is_own else _misses_inline(model, read_as, level)
        return None if why is None else f"{stated!r} does not go with {config.architecture}, {why}"
    if not text:
        return f"{stated!r} is that of no text model, which {config.architecture} builds by it"
    if model.get("splits") in known_model(text).get("unsplit", ()):
        return f"{stated!r} stands for {text}, which {config.architecture} does not bear inside: it has no part to split by layers"
    why = None if is_own else unread_by(text, read_as, level)
    return None if why is None else f"{stated!r} does not go with {text}, {why}"


def _own_text(model: Mapping[str, Any]) -> str | None:
    """Return the type of the text model inside that a wrapper's own model type has."""
    return next((inside.usual for inside in inside_of(model.get("own")).values() if inside.usual), None)


def refused_towers(config: ModelConfig) -> Iterator[Refused]:
    """Yield the type of a tower's config that is none of those that vLLM's class of the wrapper takes."""
    taken = known_model(config.architecture).get("towers", {})
    for tower in towers_of(config) if taken else ():
        if tower.path in taken and tower.model_type in all_model_types() - {*taken[tower.path]}:
            kinds = ", ".join(taken[tower.path])
            yield (
                f"{tower.path}.{_TYPE}",
                f"{tower.model_type!r} is no tower of {config.architecture}, which takes {kinds}",
            )


def _misses_inline(model: Mapping[str, Any], read_as: str, level: Mapping[str, Any]) -> str | None:
    """Say what a wrapper that builds its text model itself misses in the config of that, as it is read."""
    keys, own = model.get("inline", ()), _own_text(model)
    if known_type(read_as) is None or not keys:
        return None
    by_layer = _ROPE in keys and has_rope_by_layer(read_as) and own is not None and not has_rope_by_layer(own)
    return lacking(keys, read_as, level) or (ROPE_BY_LAYER if by_layer else None)


def _text_model(model: Mapping[str, Any], level: Mapping[str, Any], kind: str) -> str | None:
    """Return the architecture of the text model that a wrapper builds; "" where there is none, None where that is not known."""
    built, own = model.get("text"), causal_lm_of(kind)
    if built == _BY_TYPE:
        return (own or "") if not level.get("architectures") else None
    return (own if own in built else str(built[0])) if built else LAYERS_OF.get(kind)
