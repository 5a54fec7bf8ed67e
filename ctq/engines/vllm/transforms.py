"""A config of transforms as compressed-tensors reads it, which vLLM does where there is one: fields that it lacks are refused.

Source: compressed_tensors 0.17 ``transform/transform_{config,scheme,args}.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.torch_names import TORCH_DTYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SCHEME: Final = ("type", "apply", "randomize", "requires_grad", "head_dim", "precision")
_APPLIED: Final = ("targets", "location", "inverse", "ignore")
_LOCATIONS: Final = ("input", "weight_input", "weight_output", "output", "k_cache", "q_attn")


def check_transforms(raw: object) -> None:
    """Refuse what is no config of transforms; nothing is looked at where it is empty.

    Raises:
        DispatchError: compressed-tensors refuses it.

    """
    if not raw:
        return
    groups = _fields("transform_config", raw, ("config_groups",)).get("config_groups")
    if not isinstance(groups, dict):
        raise _invalid("transform_config has no config_groups")
    for name, group in groups.items():
        where = f"transform_config.config_groups.{name}"
        scheme = _fields(where, group, _SCHEME)
        applied = scheme.get("apply", [])
        if not isinstance(scheme.get("type"), str) or not isinstance(applied, list):
            raise _invalid(f"{where} has no type, or no list of where it is applied")
        precision = scheme.get("precision", "float32")
        if not isinstance(precision, str) or precision.removeprefix("torch.") not in TORCH_DTYPES:
            raise _invalid(f"{where}: precision {precision!r}")
        for one in applied:
            place = _fields(f"{where}.apply", one, _APPLIED)
            if not _is_texts(place.get("targets")) or place.get("location") not in _LOCATIONS:
                raise _invalid(f"{where}.apply: no targets, or an unknown location {place.get('location')!r}")


def _is_texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(text, str) for text in value))


def _fields(where: str, raw: object, known: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise _invalid(f"{where} is not an object")
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        raise _invalid(f"{where} has unknown fields: {', '.join(unknown)}")
    return raw


def _invalid(message: str) -> DispatchError:
    return DispatchError("ValidationError", message)
