"""Lists of layers in builds: what number of a config tells how long one is."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.learn.skeleton_fit import Build, template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.learn.tower_builds import Variant

MARK: Final = "@"
"""Stands before a number that is part of a name."""


def layers_by(build: Build) -> dict[str, frozenset[int]]:
    """Return the numbers with which each tensor of a list comes."""
    found: dict[str, set[int]] = defaultdict(set)
    for name in build.shapes:
        stack, listed, _ = template(name).partition(".#")
        if listed:
            found[template(name)].add(int(name[len(stack) + 1 :].partition(".")[0]))
    return {name: frozenset(numbers) for name, numbers in found.items()}


def counts_of(first: Build, variants: Sequence[Variant]) -> dict[str, str]:
    """Return the number of the config that says how long each list is, where its layers are all alike."""
    builds = [first, *(variant.build for variant in variants)]
    lengths = [_lengths(build) for build in builds]
    found = {}
    for stack in lengths[0]:
        longer = [
            variant.over
            for variant, length in zip(variants, lengths[1:], strict=True)
            if length.get(stack) != lengths[0][stack]
        ]
        keys = {key for over in longer for key in over}
        right = [
            key
            for key in keys
            if all(length.get(stack) == build.numbers.get(key) for build, length in zip(builds, lengths, strict=True))
        ]
        if len(right) == 1:
            found[stack] = right[0]
    return found


def _lengths(build: Build) -> dict[str, int]:
    """Return the length of each list of which every layer has the same tensors."""
    stacks: dict[str, set[frozenset[int]]] = defaultdict(set)
    for name, numbers in layers_by(build).items():
        stacks[name.partition(".#")[0]].add(numbers)
    return {
        stack: len(next(iter(numbers)))
        for stack, numbers in stacks.items()
        if len(numbers) == 1 and next(iter(numbers)) == frozenset(range(len(next(iter(numbers)))))
    }


def numbered(first: Build, others: Sequence[Build], lists: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the numbers of tensors whose list no config counts, where they are the same in every build."""
    seen = [layers_by(build) for build in (first, *others)]
    return {
        key: sorted(layers)
        for key, layers in seen[0].items()
        if key.partition(".#")[0] not in lists and all(other.get(key) == layers for other in seen)
    }


def apart(build: Build, fixed: Mapping[str, list[int]]) -> Build:
    """Return a build in which layers that always have the same numbers, several of them, are no list: each has its own sizes."""
    several = {key for key, numbers in fixed.items() if len(numbers) > 1}
    shapes = {(_marked(name) if template(name) in several else name): shape for name, shape in build.shapes.items()}
    return replace(build, shapes=shapes)


def _marked(name: str) -> str:
    return re.sub(r"\.(\d+)(?=\.|$)", rf".{MARK}\1", name)
