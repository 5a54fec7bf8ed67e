"""What can be wrong with one set of modules, as values: the rungs of the ladder in ``ctq.inspect.facts.defects``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Defect(StrEnum):
    """The rungs of the ladder, in order."""

    MISSING_WEIGHT = "missing-weight"
    MISSING_SCALE = "missing-scale"
    NOT_COMPRESSED = "not-compressed"
    UNDECLARED = "undeclared"
    IGNORED = "ignored"
    STORED_DENSE = "stored-dense"
    PERHAPS_DENSE = "perhaps-dense"
    WRONG_FORMAT = "wrong-format"
    WRONG_DTYPE = "wrong-dtype"
    WRONG_SHAPE = "wrong-shape"
    MISSING_ZERO_POINT = "missing-zero-point"
    MISSING_INPUT_SCALE = "missing-input-scale"
    EXTRA_PART = "extra-part"
    MISSING_WEIGHT_SHAPE = "missing-weight-shape"


_HARMLESS = frozenset({Defect.PERHAPS_DENSE, Defect.MISSING_WEIGHT_SHAPE})
"""Defects under which newest engines still do what the config says."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A defect and the words that say what was expected and what was found."""

    defect: Defect
    detail: str
    tolerated: bool = False
    """vLLM serves the modules as they are stored, although compressed-tensors would not: it matches and loads its own way."""

    @property
    def breaks(self) -> bool:
        """Whether files and config disagree so that an engine cannot serve both."""
        return self.defect not in _HARMLESS
