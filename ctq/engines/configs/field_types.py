"""What types of values transformers' config classes take, which they and vLLM check strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import fields_of, reads_itself
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

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


def mistyped(config: ModelConfig) -> Iterator[Refused]:
    """Yield each key, by dotted path, whose value the config class refuses, with what it takes and what it got.

    Of model types for which vLLM has a class of its own nothing is known here.
    """
    if reads_itself(config.model_type):
        return
    for path, level in read_levels(config):
        fields, types = fields_of(level.get("model_type"))
        for key in fields.keys() & level.keys():
            why = wanted_types(types.get(key, read_data("config_fields")["fields"][key]), level[key])
            if why is not None:
                yield dotted(path, key), why


def wanted_types(kinds: str, value: object) -> str | None:
    """Say what a field takes, by letters, where a value is of another type."""
    found = _LETTERS[type(value)]
    return None if found in kinds else f"takes {' or '.join(_WORDS[kind] for kind in kinds)}, not {_WORDS[found]}"
