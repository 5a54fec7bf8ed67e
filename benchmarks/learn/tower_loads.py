"""What the real vLLM makes of a wrapper whose towers were changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dense_builder import edit_config
from sweep_quantize import quantize_as
from sweep_truth import Observation, Truth, serves, truth_of

from benchmarks.learn.tower_builds import LENGTH
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.learn.skeleton_fit import Build
    from benchmarks.learn.tower_builds import Maker, Variant


class Loads:
    """Quantized builds of one family, and what vLLM says of them once it was asked."""

    def __init__(self, make: Maker, first: Build) -> None:
        """Take what makes the builds, and the usual one."""
        self.make, self.first = make, first
        self.folders: dict[str, Path] = {}
        self.answers: dict[str, Observation] = {}
        self.together: dict[str, int] = {}
        self.moving: list[dict[str, int]] = []

    def prepare(self, variants: Sequence[Variant], counts: set[str]) -> None:
        """Write the family as it is, with all changes at once, and with a layer more or less than its config counts."""
        self.moving = [variant.over for variant in variants]
        for over in self.moving:
            if not self.together.keys() & over.keys() and self.make(self.together | over) is not None:
                self.together |= over
        self._add("usual", {})
        self._add("together", self.together)
        for path in sorted(counts):
            count = self.first.numbers[path]
            self._add(f"more {path}", {path: count + 1}, {path: count})
            self._add(f"less {path}", {}, {path: count + 1})

    def prepare_alone(self) -> None:
        """Write alone what was not served with all others."""
        served = self.together if self._is_good("together") else {}
        for number, over in enumerate(self.moving):
            if not over.items() <= served.items():
                self._add(f"alone {number}", over)

    def _add(self, key: str, over: Mapping[str, Any], stated: Mapping[str, int] | None = None) -> None:
        dense = self.make.write(over)
        if dense is None:
            return
        made = quantize_as("no head", dense, dense.with_name(f"{dense.name}-quantized"))
        if not made.promise:
            return
        for path, number in (stated or {}).items():
            edit_config(made.folder, partial(_set, path=path, number=number))
        self.folders[key] = made.folder

    @property
    def is_served(self) -> bool:
        """Whether the engine loads the family as it is; what it leaves as it was made is nobody's fault."""
        return self._is_good("usual")

    @property
    def unread(self) -> tuple[str, ...]:
        """The tensors of the family as it is that the engine leaves unread."""
        return self.answers["usual"].unused

    def refused(self) -> list[dict[str, int]]:
        """Return the changes that the engine does not take, neither with all others nor alone."""
        served = self.together if self._is_good("together") else {}
        return [
            over
            for number, over in enumerate(self.moving)
            if not over.items() <= served.items() and not self._is_good(f"alone {number}")
        ]

    def layers(self, path: str) -> tuple[bool, bool]:
        """Tell whether the engine refuses a layer more than the config counts, and whether it misses one less."""
        more, less = self.answers.get(f"more {path}"), self.answers.get(f"less {path}")
        refuses = more is not None and truth_of(more, self.answers["usual"])[0] is Truth.REFUSED
        return refuses, less is not None and not self._is_good(f"less {path}")

    def _is_good(self, key: str) -> bool:
        usual, seen = self.answers.get("usual"), self.answers.get(key)
        return seen is not None and serves(seen, usual)


def asked(loads: Sequence[Loads], python: Path) -> None:
    """Ask the engine about all folders that it was not asked about."""
    waiting = [(one, key) for one in loads for key in one.folders if key not in one.answers]
    answers = observed([one.folders[key] for one, key in waiting], python)
    for (one, key), answer in zip(waiting, answers, strict=True):
        one.answers[key] = answer


def _set(config: Any, path: str, number: int) -> None:  # noqa: ANN401  # whatever a JSON file holds
    """Set a number of a config by its dotted path, or how many entries a list has."""
    *levels, key = path.split(".")
    for level in levels:
        config = config[level]
    if key == LENGTH.removeprefix("."):
        config[:] = config[:1] * number  # the first again and again
    else:
        config[key] = number
