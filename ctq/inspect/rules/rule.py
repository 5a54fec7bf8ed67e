"""A rule as a value: a code, a function over facts, and the documentation in its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from ctq.findings import named
from ctq.inspect.modules.fold import counted_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.findings import Severity
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

QUANTIZATION_CONFIG = "config.json: quantization_config"
"""Where findings about the quantization config lie, or the key in front of what they are about."""
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a rule found: a place, what is wrong there, and what to do; ``severity`` where it is not the rule's own."""

    where: str
    message: str
    hint: str
    severity: Severity | None = None


Check = Callable[["Facts"], Iterator[Hit]]


class Claim(Enum):
    """What the findings of a rule say, which decides what a verification makes of them.

    A ``DEFECT`` lies in the files themselves, whatever any engine makes of them. An ``OPINION`` is about what vLLM will make of the
    checkpoint: engines that are asked say so themselves. A ``QUESTION`` refutes nothing, but leaves open whether the weights are
    the ones that were meant.
    """

    DEFECT = auto()
    OPINION = auto()
    QUESTION = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table.

    ``severity`` is the gravest that its findings have. It leaves a finding out where a rule in ``unless`` found something as grave,
    of which its own would be a consequence.
    """

    code: str
    name: str
    severity: Severity
    check: Check
    unless: tuple[str, ...] = ()
    claim: Claim = Claim.DEFECT

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self._doc.split("\n", 1)[0]

    @property
    def sections(self) -> dict[str, str]:
        """The documentation by heading."""
        pieces = re.split(r"^## (.+)$", self._doc, flags=re.MULTILINE)
        return {pieces[i]: pieces[i + 1].strip() for i in range(1, len(pieces), 2)}

    @property
    def _doc(self) -> str:
        return inspect.cleandoc(self.check.__doc__ or "")


def about(entries: Sequence[Entry], said: str, hint: str, severity: Severity | None = None) -> Hit:
    """Make one finding of sets of modules, at the first of them: their names, and what is ``said`` of them."""
    return Hit(where=entries[0].modules.names[0], message=f"{listing(entries)}: {said}", hint=hint, severity=severity)


def more_like_this(found: Sequence[object], what: str = "") -> str:
    """Return the words that tell how many others were found beside the first; none where there is none."""
    return f"; and {len(found) - 1} more {what}like this" if len(found) > 1 else ""


def missing_from_files(names: Sequence[str]) -> Iterator[Hit]:
    """Make one finding of all tensors that are missing."""
    if names:
        yield Hit(
            where=names[0],
            message=f"missing from the files: {named(names)}",
            hint="fetch the checkpoint again, or quantize again from a complete original",
        )


def listing(entries: Sequence[Entry]) -> str:
    """Name sets of modules in a sentence: the first three, and how many more there are."""
    names = [counted_name(entry.modules) for entry in entries[:_MOST_NAMED]]
    rest = entries[_MOST_NAMED:]
    if rest:
        modules = sum(entry.modules.count for entry in rest)
        names.append(f"{modules} more module{'s' if modules > 1 else ''}")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
