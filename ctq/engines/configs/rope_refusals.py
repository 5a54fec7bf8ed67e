"""What loaders refuse of a config's rotary settings, level by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.configs.fields import fields_of, other_names, takes_field
from ctq.engines.configs.rope_settings import (
    DEFAULT,
    KIND_NAMES,
    NEWER,
    OLDER,
    ROPE_KEYS,
    as_read,
    is_whole,
    of_full_attention,
    rope_kind,
    rope_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.refused import Refused

_SHARE = "partial_rotary_factor"
"""How much of a head is rotated (vLLM 0.32.0 ``layers/rotary_embedding/__init__.py:69``)."""
_ROPE_TYPES = frozenset(
    (
        *("default", "linear", "dynamic", "yarn", "longrope", "llama3", "proportional", "ntk", "su", "mrope"),
        *("bailing_mrope", "mllama4", "deepseek_yarn", "deepseek_llama_scaling", "openpangu", "telechat3-yarn"),
    )
)
"""Kinds of rotary embeddings (vLLM 0.32.0 ``layers/rotary_embedding``, transformers 5.19 ``modeling_rope_utils``)."""
_ROPE_NEEDS = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "longrope": ("short_factor", "long_factor"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "ntk": ("factor",),
    "mrope": ("mrope_section",),
}
"""Settings without which transformers 5.19 (``modeling_rope_utils``) or vLLM refuse a kind; the original length they fill in."""
_OWN_KINDS = {
    "phi3": ("default", "longrope", "su", "yarn"),
    "phi4_multimodal": ("default", "longrope", "su", "yarn"),
}
"""Kinds that a class takes which checks them itself, where it takes few."""
_BY_LENGTH = ("yarn", "llama3", "longrope", "su")
"""Kinds that go by the length a model was trained with."""
_LENGTH = "max_position_embeddings"
_ORIGINAL = f"original_{_LENGTH}"
_NUMBERS_OF_TYPE = {"phimoe": ("short_mscale", "long_mscale")}
"""Numbers without which a type's own class takes none but the default (transformers 5.19 ``validate_rope`` of these models)."""
_NUMBERS = ("rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_SAME = (("longrope", "su"), ("default", "mrope"))
_TOY_WIDTH = 4
"""The widest head of which transformers 5.19 takes an odd one (``modeling_rope_utils.validate_rope``)."""
_WITH_SECTIONS = ("default", "mrope", "yarn")
"""Kinds that vLLM gives each axis a section of frequencies."""
_FACTORS = ("short_factor", "long_factor")
_SHOWN = 40
"""Characters of a kind that a message shows."""


def refused_ropes(level: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield the keys of one level of a config with what loaders have against their values."""
    for key in ROPE_KEYS:
        yield from ((key, f"'{kind}' is no kind of rotary embedding") for kind in _unknown_ropes(level.get(key)))
    if takes_field(level.get("model_type"), NEWER):
        yield from _refused_by_class(level)
    else:
        # A class that only the repository has is given the newer ones, and checks them all the same (transformers 5.19).
        key = NEWER if level.get(NEWER) else OLDER
        if level.get(key) and not isinstance(level[key], dict):
            yield key, "takes an object or null"
        yield from ((key, lack) for lack in (*_incomplete_ropes(level.get(key)), *_without_length(level, key)))


def _without_length(level: Mapping[str, Any], key: str) -> Iterator[str]:
    """Yield what a class of transformers without rotary settings refuses of those of a kind that goes by the original length.

    Source: transformers 5.19 ``modeling_rope_utils``: `standardize_rope_params` asks the class for its length, and nothing fills in
    YaRN's where `validate_rope` runs alone.
    """
    settings, model_type = level.get(key), level.get("model_type")
    kind = rope_kind(settings) if isinstance(settings, dict) else None
    if kind not in _BY_LENGTH or not fields_of(model_type)[0] or not isinstance(settings, dict):
        return
    if not any(takes_field(model_type, name) for name in other_names(model_type, _LENGTH)):
        yield f"is of the kind '{kind}', and configs of type {model_type} have no {_LENGTH}"
    elif kind == "yarn" and _ORIGINAL not in settings:
        yield f"of the kind 'yarn' lacks {_ORIGINAL}"


def _refused_by_class(level: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield what a class that has the newer settings as a field refuses."""
    key, settings = rope_settings(level)
    if isinstance(settings, dict):
        settings, whole = as_read(settings, level), is_whole(settings, level)
        if whole and key == OLDER:
            settings, whole = of_full_attention(settings, level), False
        lacks = [
            *(_unnamed_whole(settings) if whole else _incomplete_ropes(settings)),
            *_of_another_kind(level, key),
        ]
        wrong = (*lacks, *_unnamed_ropes(settings, level), *_odd_values(settings, level))
        yield from ((key, why) for why in wrong)
    elif key == OLDER:  # no field of the class, which checks the type of the other
        yield key, "takes an object or null"
    elif isinstance(level.get("rope_theta"), str):
        yield "rope_theta", "takes a number, not a text"
    width = level.get("head_dim")
    if isinstance(width, int) and width > _TOY_WIDTH and width % 2 and key and not _is_partial(settings, level):
        yield "head_dim", f"of {width} is odd, which no rotary embedding takes"


def _of_another_kind(level: Mapping[str, Any], key: str) -> Iterator[str]:
    """Yield that settings lack the original length which nothing fills in where their class takes the kind for another.

    Source: transformers 5.19 ``models/phi3/configuration_phi3.py``, whose own names for longrope the length is not added to.
    """
    settings = level[key]
    if as_read(settings, level) is not settings and _ORIGINAL not in settings:
        yield f"of the kind '{settings.get('rope_type', settings.get('type'))}' lacks {_ORIGINAL}"


def _unnamed_whole(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield that such settings name no kind, which vLLM 0.32.0 reads (``transformers_utils/config.py``), or two of them."""
    yield from _names_of_two(settings)
    if settings and not KIND_NAMES & settings.keys():
        yield "lacks rope_type"


def _is_partial(settings: object, level: Mapping[str, Any]) -> bool:
    """Tell settings that may rotate a part of a head: those that name a share, or whose class has one."""
    return "rotary" in str(settings) or any("rotary" in name for name in level) or _takes_share(level)


def _takes_share(level: Mapping[str, Any]) -> bool:
    return takes_field(level.get("model_type"), _SHARE)


def _unnamed_ropes(settings: Mapping[str, Any], level: Mapping[str, Any]) -> Iterator[str]:
    """Yield kinds of layers whose settings do not name their kind and are not filled in, as no layer is of that kind.

    Source: vLLM 0.32.0 ``config/model.py:2590``, which reads the kind of each; transformers 5.19 fills in those of `layer_types`.
    """
    layers = level.get("layer_types")
    for kind, inner in settings.items():
        if (
            isinstance(inner, dict)
            and isinstance(layers, list)
            and kind not in layers
            and not KIND_NAMES & inner.keys()
        ):
            yield f"lacks rope_type of {kind}, which no layer is"


def _odd_values(settings: Mapping[str, Any], level: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the values of settings, their kind among them."""
    yield from (f"has a text for {key}, not a number" for key in _NUMBERS if isinstance(settings.get(key), str))
    yield from _odd_share(settings)
    yield from _untaken_kind(settings, level)
    yield from _odd_frequencies(settings, level)


def _odd_share(settings: Mapping[str, Any]) -> Iterator[str]:
    stated = settings.get(_SHARE)
    if isinstance(stated, str | list) or (isinstance(stated, int | float) and not 0 < stated <= 1):
        yield f"rotates a share of {str(stated)[:_SHOWN]!r}, which is not between 0 and 1"


def _untaken_kind(settings: Mapping[str, Any], level: Mapping[str, Any]) -> Iterator[str]:
    """Yield a kind that the class of a level's type does not take, and the numbers that it asks of any but the default."""
    kind, model_type = rope_kind(settings, DEFAULT), str(level.get("model_type"))
    if isinstance(kind, str) and kind in _ROPE_TYPES and kind not in _OWN_KINDS.get(model_type, (kind,)):
        yield f"is of the kind '{kind}', which a model of type {model_type} does not take"
    numbers = _NUMBERS_OF_TYPE.get(model_type, ()) if kind != DEFAULT else ()
    yield from (f"has no number for {key}" for key in numbers if not isinstance(settings.get(key), int | float))


def _odd_frequencies(settings: Mapping[str, Any], level: Mapping[str, Any]) -> Iterator[str]:
    """Yield sections and factors that are not as many as a head has frequencies, where it is known how many those are."""
    width, share = _head_dim(level), settings.get(_SHARE, level.get(_SHARE))
    if width is None or (share is None and _takes_share(level)):
        return  # what the class assumes is not known
    yield from _odd_sections(settings, width, share)
    lengths = {1, width // 2, _share_of(width, share) // 2}
    for key in _FACTORS if rope_kind(settings) == "longrope" else ():
        factors = settings.get(key)
        if isinstance(factors, list) and len(factors) not in lengths:
            yield f"has {len(factors)} values of {key}, where a head of {width} has {max(lengths)} frequencies at most"


def _odd_sections(settings: Mapping[str, Any], width: int, share: object) -> Iterator[str]:
    """Yield sections of axes that are not as many as a head has frequencies.

    Source: vLLM 0.32.0 ``layers/rotary_embedding/__init__.py:112``, which takes them in models of text too, and ``mrope.py:363``.
    """
    sections = settings.get("mrope_section")
    if rope_kind(settings, DEFAULT) not in _WITH_SECTIONS:
        return
    if isinstance(sections, list) and sections and all(type(number) is int for number in sections):
        frequencies = (_share_of(width, share) if share is not None else width) // 2
        if sum(sections) != frequencies:
            yield f"has mrope_section {sections}, which is not the {frequencies} frequencies of a head of {width}"


def _share_of(width: int, share: object) -> int:
    """Return how much of a head is rotated; 1 where ``share`` is no number that can be multiplied with (NaN, 1e999, a text)."""
    try:
        return int(width * share) if isinstance(share, int | float) else 1
    except (ValueError, OverflowError):
        return 1


def _head_dim(level: Mapping[str, Any]) -> int | None:
    """Return how wide a head is; None where it is not known, or rotated in part by other numbers (MLA)."""
    hidden, heads, stated = (level.get(key) for key in ("hidden_size", "num_attention_heads", "head_dim"))
    if "qk_rope_head_dim" in level:
        return None
    if isinstance(stated, int):
        return stated
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else None


def _incomplete_ropes(value: object) -> Iterator[str]:
    """Yield what a kind of rotary embedding needs and its settings lack; each kind of layer may have settings of its own."""
    if isinstance(value, dict):
        yield from _names_of_two(value)
        kind = rope_kind(value)
        for key in _ROPE_NEEDS.get(kind, ()) if isinstance(kind, str) else ():
            if key not in value:
                yield f"of the kind '{kind}' lacks {key}"
        for inner in value.values():
            yield from _incomplete_ropes(inner)


def _unknown_ropes(value: object) -> Iterator[str]:
    """Yield kinds of rotary embeddings that engines do not have; each kind of layer may have settings of its own."""
    if isinstance(value, dict):
        kind = rope_kind(value)
        if kind is not None and (not isinstance(kind, str) or kind not in _ROPE_TYPES):
            yield str(kind)[:_SHOWN]
        for inner in value.values():
            yield from _unknown_ropes(inner)


def _names_of_two(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield two names of a kind that differ, of which vLLM 0.32.0 takes none (``transformers_utils/config.py:570``)."""
    names = (settings.get("rope_type"), settings.get("type"))
    if settings.keys() >= KIND_NAMES and names[0] != names[1] and names not in _SAME:
        yield f"names two kinds, rope_type '{names[0]}' and type '{names[1]}'"
