"""The config beside the weights against the reference's: right weights under another `rope_theta` are another model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import TIE_ALIASES, TIE_KEY
from ctq.findings import named
from ctq.quantize.provenance import read_record
from ctq.quantize.side_files import side_files
from ctq.quantize.written_config import written_config
from ctq.verify.codes import CONFIG_DIFFERS, SIDE_FILE_CHANGED
from ctq.verify.numeric.result import NAMED
from ctq.verify.own_code import CODE_KEY, same_but_for_code, without_repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.findings import Finding

_QUANTIZATION = "quantization_config"
_ELSEWHERE = frozenset(
    {
        *(_QUANTIZATION, TIE_KEY, *TIE_ALIASES),
        *("dtype", "torch_dtype", "transformers_version", "use_cache", CODE_KEY, "max_position_embeddings"),
        *("bos_token_id", "eos_token_id", "pad_token_id"),
    }
)
"""What other tools write anew, and what does not change the function that the weights compute."""
_ROPE = ("rope_scaling", "rope_parameters")
_ABSENT = "nothing"
_WORD = 40
"""Letters of a value in a sentence."""


def compare_configs(checkpoint: Checkpoint, reference: Checkpoint, *, own: bool) -> Iterator[Finding]:
    """Compare ``config.json`` with the reference's, and in a result of ctq (``own``) the files that it copied.

    Other tools leave defaults out and give keys other names: of theirs the keys that both have are compared.

    Raises:
        CheckpointError: a file cannot be read.

    """
    if own:
        different = list(_strictly(checkpoint.config.raw, _written(checkpoint, reference)))
    else:
        different = list(_in_common(checkpoint.config.raw, reference.config.raw))
    if different:
        yield CONFIG_DIFFERS.at("config.json", f"is not the reference's: {named(different, NAMED)}")
    changed = [name for name in side_files(reference.source.files) if own and not _same(checkpoint, reference, name)]
    if changed:
        yield SIDE_FILE_CHANGED.at(changed[0], f"not the reference's: {named(changed, NAMED)}")


def _written(checkpoint: Checkpoint, reference: Checkpoint) -> Mapping[str, Any]:
    """Return the config that ctq wrote, by its record."""
    record = read_record(checkpoint)
    untie = record is not None and bool(record["lm_head"].get("quantized"))
    written: Mapping[str, Any] = json.loads(written_config(reference.config, {}, untie=untie))
    return written


def _strictly(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key in dict.fromkeys((*wanted, *found)):
        mine, other = found.get(key, _ABSENT), wanted.get(key, _ABSENT)
        if not path and key == _QUANTIZATION:
            continue
        if not path and key == CODE_KEY and without_repository(mine) == without_repository(other):
            continue
        if isinstance(mine, dict) and isinstance(other, dict):
            yield from _strictly(mine, other, f"{path}{key}.")
        elif mine != other:
            yield _words(path + key, mine, other)


def _in_common(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str = "") -> Iterator[str]:
    mine_all, other_all = _plain(found), _plain(wanted)
    for key in (key for key in other_all if key in mine_all):
        mine, other = mine_all[key], other_all[key]
        if isinstance(mine, dict) and isinstance(other, dict):
            yield from _in_common(mine, other, f"{path}{key}.")
        elif mine != other:
            yield _words(path + key, mine, other)


def _plain(level: Mapping[str, Any]) -> dict[str, Any]:
    """Return a level without what may differ, and its rotary embedding under the names of today."""
    plain = {
        key: value
        for key, value in level.items()
        if value is not None and key not in (*_ELSEWHERE, *_ROPE) and not key.startswith("_")
    }
    rope = dict(next((level[key] for key in _ROPE if isinstance(level.get(key), dict)), {}))
    theta = plain.pop("rope_theta", None)
    if any(isinstance(value, dict) for value in rope.values()):  # by kind of layer: older files say it in other words
        return plain
    if rope or theta is not None:
        rope["rope_type"] = rope.pop("type", rope.get("rope_type", "default"))
        rope.setdefault("rope_theta", theta)
        plain |= {f"rope.{key}": value for key, value in rope.items() if value is not None}
    return plain


def _words(key: str, mine: object, other: object) -> str:
    return f"{key} {_short(mine)} instead of {_short(other)}"


def _short(value: object) -> str:
    text = value if value is _ABSENT else json.dumps(value)
    assert isinstance(text, str)
    return text if len(text) <= _WORD else f"{text[:_WORD]}..."


def _same(checkpoint: Checkpoint, reference: Checkpoint, name: str) -> bool:
    sizes = checkpoint.source.files.get(name), reference.source.files[name]
    if None in sizes or (sizes[0] != sizes[1] and not name.endswith(".json")):
        return False
    mine, other = checkpoint.source.read(name), reference.source.read(name)
    return mine == other or (name.endswith(".json") and same_but_for_code(mine, other))
