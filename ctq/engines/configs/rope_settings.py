"""Where the rotary settings of a config's level lie, what kind they are of, and what a class makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDER, NEWER = "rope_scaling", "rope_parameters"
DEFAULT = "default"
KIND_NAMES = frozenset({"rope_type", "type"})
"""Keys that name the kind; the first wins."""
ROPE_KEYS = (OLDER, NEWER)
"""Where settings lie; the older key wins where something is stated there (transformers 5.19 ``modeling_rope_utils``)."""
_FULL = "full_attention"
_READ_KINDS = dict.fromkeys(("phi3", "phi4_multimodal"), dict.fromkeys(("su", "yarn"), "longrope"))
"""What a class takes a kind for (transformers 5.19 ``models/phi3/configuration_phi3.py``)."""


def rope_settings(level: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the key of the rotary settings that a level's class takes, "" where it states none, and what stands there."""
    key = next((key for key in ROPE_KEYS if level.get(key)), "")
    return key, level.get(key)


def has_rope_by_layer(model_type: object) -> bool:
    """Tell a model type whose class has rotary settings for each kind of layer."""
    types: Mapping[str, Mapping[str, Any]] = read_data("config_classes")["types"]
    return isinstance(model_type, str) and bool(types.get(model_type, {}).get("by_layer"))


def rope_kind(settings: Mapping[str, Any], unnamed: str | None = None) -> object:
    """Return the kind that settings name, whatever it is; ``unnamed`` where they name none."""
    return settings.get("rope_type", settings.get("type", unnamed))


def as_read(settings: Mapping[str, Any], level: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings with the kind that the class of a level's type takes theirs for."""
    kind = rope_kind(settings)
    read = _READ_KINDS.get(str(level.get("model_type")), {}).get(str(kind))
    if read is None:
        return settings
    return {key: settings[key] for key in settings.keys() - KIND_NAMES} | {"rope_type": read}


def is_whole(settings: Mapping[str, Any], level: Mapping[str, Any]) -> bool:
    """Tell settings of the whole model, where the class of a level's type has some for each kind of layers, and checks these."""
    return has_rope_by_layer(level.get("model_type")) and not any(
        isinstance(inner, dict) for inner in settings.values()
    )


def of_full_attention(settings: Mapping[str, Any], level: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of full attention, which such a class puts those of the older key over.

    Source: transformers 5.19 ``convert_rope_params_to_dict`` of ``models/{gemma3,gemma3n,olmo3}``.
    """
    newer = level.get(NEWER)
    inner = newer.get(_FULL) if isinstance(newer, dict) else None
    return {**(inner if isinstance(inner, dict) else {"rope_type": DEFAULT}), **settings}
