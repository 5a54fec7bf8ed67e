"""Values of a config's keys that vLLM refuses before it has built a model, whatever the files hold.

The data is made by ``benchmarks/learn/config_values.py`` from loads by vLLM 0.32.0: a key that is gone or null, a number that is
zero or negative, a switch that is set or not, a list that is too short, by architecture of a text model; of architectures that were
not asked, what nearly all others refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import known_number, other_names
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.configs.rope_settings import rope_settings
from ctq.engines.data_file import read_data
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_SAYS = {
    "gone": "is missing, and vLLM needs it",
    "null": "is null, which vLLM does not bear",
    "zero": "is 0, which vLLM does not bear",
    "negative": "is negative, which vLLM does not bear",
    "true": "is true, which vLLM does not serve",
    "false": "is false, which vLLM does not serve",
}
_OTHER_NAMES = {"rope_type": ["rope_type", "type"]}
"""Names in settings inside, the one that wins first."""
_ROPE = "rope_parameters"
_BESIDE_ROPE = frozenset({"rope_theta", "partial_rotary_factor"})
"""Settings that older configs have at the top, and that transformers 5.19 puts with the others (``modeling_rope_utils.py``)."""
_BY_BLOCK = ("DeciLMForCausalLM", "intermediate_size")
"""A class that has this key in each block's own config (vLLM 0.32.0 models/nemotron_nas.py:169), where published files say null."""
_ABSENT = object()


def refused_values(config: ModelConfig) -> Iterator[Refused]:
    """Yield keys of the text model's config, by dotted path, with what vLLM has against their values.

    Inside a wrapper the class of the text model's type reads them, as at the top; vLLM's own does not where its backend builds the
    whole as transformers does.
    """
    data = read_data("config_values")
    where, level = read_levels(config)[-1]
    is_of_transformers = bool(where) and is_served_by_backend(config.architecture)
    name = "" if is_of_transformers else text_architecture(config) or ""
    for path, kinds in data["architectures"].get(name, data["others"]).items():
        kind = _kind(_value(level, path))
        if kind in kinds and (name, path) != _BY_BLOCK:
            yield dotted(where, _as_stated(level, path)), _SAYS[kind]
    for key, (length, filled_in) in data["lists"].get(name, {}).items():
        value, needed = level.get(key), length if isinstance(length, int) else known_number(config, length)
        if isinstance(value, list) and needed is not None and len(value) < needed and (value or not filled_in):
            yield dotted(where, key), f"has {len(value)} values, where vLLM reads {needed}"


def _value(top: Mapping[str, Any], path: str) -> object:
    """Return the value under a path or, at the top, another name of the key; what is inside nothing is not missed."""
    *parents, key = path.split(".")
    level = top
    for word in parents:
        inner = (rope_settings(level)[1] if word == _ROPE else None) or level.get(word)
        if not isinstance(inner, dict):
            return top.get(key, "") if word == _ROPE and key in _BESIDE_ROPE else ""
        level = inner
    names = _OTHER_NAMES.get(key, [key]) if parents else other_names(top.get("model_type"), key)
    return next((level[name] for name in names if name in level), _ABSENT)


def _as_stated(top: Mapping[str, Any], path: str) -> str:
    key = path.removeprefix(f"{_ROPE}.")
    return key if key in _BESIDE_ROPE and _ROPE not in top and key in top else path


def _kind(value: object) -> str:
    if value is _ABSENT:
        return "gone"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float) and value <= 0:
        return "negative" if value < 0 else "zero"
    return ""
