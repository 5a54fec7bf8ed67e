"""Learn what transformers' config classes take of towers: the configs inside a wrapper's, their fields, types, defaults and words.

    python -m benchmarks.learn.tower_fields

vLLM reads the config of a tower by transformers' class of it, which checks types and words strictly and fills in what is missing.
The result is `ctq/engines/data/tower_fields.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import types as python_types
import typing
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.config_fields import entry, generating, kinds_of, parts_of
from benchmarks.learn.options import script
from ctq.checkpoint.config import TEXT_CONFIG_KEYS

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

DATA: Final = ENGINE_DATA / "tower_fields.json"
TOWER: Final = re.compile(r"vision|audio|clip|siglip|pixtral|radio|encoder|qformer|perceiver")
"""Model types that a wrapper may name for a tower."""
TEXT: Final = re.compile(r"text|decoder")
UNREAD: Final = re.compile(
    r"^(_|dtype$|id2label|label2id|return_dict|output_|chunk_size|transformers_version|architectures$|problem_type$)"
)


def main() -> None:
    script(__doc__).parse_args()
    wrappers = {name: cls for name in sorted(generating()) if inside_of(cls := CONFIG_MAPPING[name])}
    inside = {
        name: {key: own for key in inside_of(cls) if (own := usual(cls, key)) is not None}
        for name, cls in wrappers.items()
    }
    classes = {name: CONFIG_MAPPING[name] for name in CONFIG_MAPPING if TOWER.search(name) and not TEXT.search(name)}
    for cls in wrappers.values():
        classes |= {part.model_type: part for part in inside_of(cls).values() if part is not transformers.AutoConfig}
    named = {name for keys in inside.values() for name, _ in keys.values() if name}
    classes = {name: cls for name, cls in classes.items() if name}
    classes |= {name: CONFIG_MAPPING[name] for name in named if name not in classes}
    kinds = {name: {key: kind for key, kind in kinds_of(cls).items() if kind} for name, cls in classes.items()}
    common = usual_kinds(kinds)
    types = {name: [*entry(cls, kinds[name], common)] for name, cls in sorted(classes.items())}
    words = {name: found for name, cls in sorted({**classes, **wrappers}.items()) if (found := words_of(cls))}
    write(common, inside, words, types)


def inside_of(cls: type) -> dict[str, type[PreTrainedConfig]]:
    """Return the configs inside a wrapper's class that are no text model's."""
    parts: dict[str, type[PreTrainedConfig]] = getattr(cls, "sub_configs", {})
    return {key: part for key, part in parts.items() if key not in TEXT_CONFIG_KEYS and key in parts_of(cls)}


def usual(cls: type, key: str) -> tuple[str | None, bool] | None:
    """Return the model type that a wrapper takes where none is named (None: it refuses that), and whether it takes no other."""
    part = inside_of(cls)[key]
    if part is not transformers.AutoConfig:
        return (part.model_type, True) if part.model_type else None
    try:
        made = getattr(cls(**{key: {}}), key)
    except KeyError:
        return None, False
    except Exception:  # noqa: BLE001  # whatever a class says against an empty config: it is not known what it takes
        return None
    return (made.model_type, False) if getattr(made, "model_type", "") else None


def usual_kinds(kinds: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the usual type of each field."""
    seen: dict[str, list[str]] = {}
    for found in kinds.values():
        for key, kind in found.items():
            if not UNREAD.search(key):
                seen.setdefault(key, []).append(kind)
    return {key: max(sorted(set(all_)), key=all_.count) for key, all_ in sorted(seen.items())}


def words_of(cls: type) -> dict[str, list[Any]]:
    """Return the words of each field that takes no others."""
    hints = typing.get_type_hints(cls, localns={"torch": torch})
    found = {field.name: _words(hints[field.name]) for field in fields(cls)}
    return {key: words for key, words in found.items() if words and not UNREAD.search(key)}


def _words(hint: object) -> list[Any]:
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    parts = [part for part in typing.get_args(hint) if part is not type(None)] if _is_union(hint) else []
    inner = [_words(part) for part in parts]
    return [None, *(word for words in inner for word in words)] if parts and all(inner) else []


def _is_union(hint: object) -> bool:
    return typing.get_origin(hint) in (typing.Union, python_types.UnionType)


def write(common: dict[str, str], inside: dict[str, Any], words: dict[str, Any], types: dict[str, Any]) -> None:
    """Write the data, one model type a line."""
    about = (
        "What transformers' config classes take of towers: made by benchmarks/learn/tower_fields.py. `inside` are the keys of a "
        "wrapper's towers with the model type that is taken where none is stated (null: that is refused) and whether no other "
        "is; a model type lists its fields with their defaults, those of another type than the usual one of `fields`, and the "
        "names of numbers that have several, the one that wins first. `words` are the fields that take no others. "
        "`known` are all model types."
    )
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in types.items())
    head = {"about": about, "known": sorted(CONFIG_MAPPING), "fields": common, "inside": inside, "words": words}
    lines = [f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()]
    DATA.write_text(f'{{\n{"".join(lines)} "types": {{\n{rows}\n }}\n}}\n')


if __name__ == "__main__":
    main()
