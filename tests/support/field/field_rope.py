"""Rotary settings, old and new."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from field_kind import add, kind
from field_model import Model, Skip, pick

ROPES: Final[dict[str, Any]] = {
    "null": None, "empty": {}, "linear": {"type": "linear", "factor": 2.0}, "linear, new": {"rope_type": "linear", "factor": 2.0},
    "linear without factor": {"rope_type": "linear"}, "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, "yarn without factor": {"rope_type": "yarn"},
    "yarn without length": {"rope_type": "yarn", "factor": 4.0}, "default": {"rope_type": "default"}, "unknown": {"rope_type": "ntk"},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64},
    "llama3 in part": {"rope_type": "llama3", "factor": 8.0}, "longrope in part": {"rope_type": "longrope", "factor": 4.0},
    "su": {"type": "su", "long_factor": [1.0] * 16, "short_factor": [1.0] * 16}, "mrope": {"type": "mrope", "mrope_section": [4, 6, 6]},
    "a number": 2.0, "a text": "yarn", "a list": [1.0], "no type": {"factor": 2.0}, "old and new": {"type": "yarn", "rope_type": "linear", "factor": 2.0},
}  # fmt: skip


for _name, _value in ROPES.items():
    add(f"rope_scaling {_name}", lambda m, d, v=_value: m.text.__setitem__("rope_scaling", v))
    add(f"rope_parameters {_name}", lambda m, d, v=_value: m.text.__setitem__("rope_parameters", v))


@kind
def rope_as_before_version_5(m: Model, d: Random) -> None:
    rope = m.text.get("rope_parameters")
    if not isinstance(rope, dict):
        raise Skip
    m.text.pop("rope_parameters")
    if "rope_theta" in rope:
        m.text["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type", "default")
    m.text["rope_scaling"] = None if kind == "default" else {**rope, "type": kind}


@kind
def rope_theta_of_both_kinds(m: Model, d: Random) -> None:
    m.text["rope_theta"] = pick(d, (1000000.0, 10000, "10000", None, 0))


@kind
def rope_theta_lost(m: Model, d: Random) -> None:
    rope = m.text.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        raise Skip
    del rope["rope_theta"]
