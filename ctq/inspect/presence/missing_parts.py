"""What the files lack of a wrapper's other parts than its text model: whole parts, pieces of them, and biases of their layers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import TEXT_CONFIG_KEYS
from ctq.engines.skeletons.engine_places import other_part, part_of
from ctq.engines.skeletons.find import has_learnt_towers
from ctq.inspect.presence.towers import is_needed
from ctq.recipe.template import NUMBER, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.presence.survey import Survey

_TOWER = re.compile(r"vis|vpm")
"""First words of towers of images."""
NORM = re.compile(r"norm|\bln_")
"""What names of norms have."""


def lost_parts(asked: Survey) -> Iterator[str]:
    """Yield the first tensor of each other part of a wrapper of which the files hold nothing: a tower, or a piece of one.

    Of a tower of another type than was learnt nothing is known but the part that it lies in.
    """
    facts, skeleton = asked.facts, asked.skeleton
    is_known, held = has_learnt_towers(asked.config), set[str | None]()
    if not is_known:
        held = {part_of(skeleton, name) for entry in facts.entries for name in entry.modules.first_tensors}
    parts: dict[str, dict[str, list[str]]] = {}
    for name, slot in skeleton.tensors.items():
        if slot.always and is_needed(name, slot, asked):
            part, piece = _part_and_piece(name)
            parts.setdefault(part, {}).setdefault(piece, []).append(name)
    for pieces in parts.values():
        lost = [names[0] for names in pieces.values() if not any(name in asked.present for name in names)]
        if lost and part_of(skeleton, lost[0]) in held:
            continue
        if len(lost) == len(pieces):
            yield lost[0].replace(NUMBER, "0")
        else:
            # How many layers there are, the config decides: none may be right.
            yield from (
                name.replace(NUMBER, "0") for name in lost if f"{_part_and_piece(name)[1]}.{NUMBER}." not in name
            )


def lost_towers(facts: Facts, skeleton: Skeleton) -> Iterator[str]:
    """Yield towers that a config describes and the files hold nothing of, where no more is known of them than their name."""
    config = facts.config.raw.get("vision_config")
    towers = [part for part in sorted(skeleton.others) if _TOWER.search(part)] if isinstance(config, dict) else []
    names = (name for entry in facts.entries for name in entry.modules.first_tensors)
    present = {other_part(skeleton, name) for name in names} if towers else set()
    if present.isdisjoint(towers):
        yield from towers


def biases_of_towers(asked: Survey) -> Iterator[str]:
    """Yield biases that norms and layers of other parts lack beside their weights, where no switch of the config leaves them out.

    Of what stands outside layers, only norms: towers of several kinds share names of the others.
    """
    is_off = any(key.endswith("bias") and value is False for key, value in _switches(asked.config.raw))
    for name, slot in asked.skeleton.tensors.items():
        weight = f"{name.removesuffix('.bias')}.weight"
        is_bias = slot.always and name.endswith(".bias") and weight in asked.present
        if not is_bias or asked.skeleton.is_of_text(name):
            continue
        if NORM.search(weight) or (NUMBER in name and not is_off):
            lost = asked.of_counted(name, asked.layers(weight) - asked.layers(name))
            yield from (numbered(name, number) for number in lost)
            if NUMBER not in name and name not in asked.present:
                yield name


def _switches(level: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the switches of a wrapper's config and of those inside, but the text model's."""
    for key, value in level.items():
        if isinstance(value, bool):
            yield key, value
        elif isinstance(value, dict) and key not in TEXT_CONFIG_KEYS:
            yield from _switches(value)


def _part_and_piece(name: str) -> tuple[str, str]:
    """Return a wrapper's part that a tensor belongs to and the piece of that part (`model.visual`, `model.visual.merger`)."""
    words = name.split(".")
    depth = 2 if words[0] == "model" else 1
    return ".".join(words[:depth]), ".".join(words[: depth + 1])
