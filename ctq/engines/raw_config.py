"""A ``quantization_config`` taken as it comes, for engines that are modelled in part: odd entries are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def raw_targets(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every target with its group, in the order of the config."""
    groups = raw.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        if isinstance(group, dict):
            for target in strings(group.get("targets")):
                yield target, group


def raw_format(raw: Mapping[str, Any], group: Mapping[str, Any]) -> str | None:
    """Return the format that holds for a group: its own, else the config's."""
    found = raw.get("format") if group.get("format") is None else group["format"]
    return found if isinstance(found, str) else None


def strings(value: object) -> tuple[str, ...]:
    """Return the strings of a list, nothing for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
