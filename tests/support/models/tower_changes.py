"""Ways of changing one value of a wrapper's config that is not its text model's."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dotted_values import GONE, put

from ctq.checkpoint.config import TEXT_CONFIG_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNREAD: Final = re.compile(
    r"token_id|token_index|_idx$|^id2label|^label2id|dtype|transformers_version|architectures|output_|return_dict"
)
"""Keys that say nothing of what is built."""
ACTIVATION: Final = re.compile(r"act$|act_fn$|activation$|activation_function$")
OTHER_TEXTS: Final = ("nonesuch",)
FUNCTIONS: Final = ("quick", "gelu", "relu2", "mish")
_COUNTED: Final = re.compile(r"head|patch|merge|group|layer|depth|window|index")


@dataclass(frozen=True, slots=True)
class Change:
    """A dotted path and its new value."""

    path: str
    value: Any


def changes(config: Mapping[str, Any], path: str = "") -> Iterator[Change]:
    """Yield every change of one value beside the text model."""
    for key, value in config.items():
        full = f"{path}.{key}" if path else key
        if key in TEXT_CONFIG_KEYS or key == "quantization_config" or UNREAD.search(key):
            if isinstance(value, dict) and any(
                isinstance(inner, dict) and "model_type" in inner for inner in value.values()
            ):
                yield from changes(value, full)  # a thinker's, with text and towers inside
            continue
        if isinstance(value, dict):
            yield from (Change(full, new) for new in ({}, GONE))
            yield from changes(value, full)
        else:
            yield from (Change(full, new) for new in (*others(key, value), GONE, None))


def others(key: str, value: Any) -> list[Any]:
    """Return other values of the same type."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value] if value > 0 else [value - 1, value + 1]
    if isinstance(value, float):
        return [0.0]
    if isinstance(value, str):
        return [*OTHER_TEXTS, *(FUNCTIONS if ACTIVATION.search(key) else ())]
    if isinstance(value, list):
        longer = [*value, *value[-1:]]
        bigger = [entry + 1 if type(entry) is int else entry for entry in value]
        beyond = [entry + 99 if type(entry) is int else entry for entry in value]
        return [new for new in ([], longer, bigger, beyond) if new != value]
    return []


def is_telling(change: Change) -> bool:
    """Leave out changes that other ones of the same value mostly foretell: left out, null, and doubled sizes."""
    key = change.path.rpartition(".")[2]
    if change.value in (GONE, None) or isinstance(change.value, float):
        return False
    return type(change.value) is not int or change.value % 2 == 1 or bool(_COUNTED.search(key))


def changed(config: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Return the config with the value changed."""
    made = copy.deepcopy(dict(config))
    put(made, change.path, change.value)
    return made
