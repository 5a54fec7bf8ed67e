"""Everything that ctq refuses, as one small tree.

    CtqError                    exit code 3: could not do it, or could not decide
    ├── UsageError              exit code 2: an option or a pattern that makes no sense here
    ├── CheckpointError         a checkpoint that cannot be read as one
    │   └── HeaderError         a safetensors file whose header does not hold, with the cause
    ├── RecipeError             exit code 2: a recipe that does not validate
    ├── PlanError               every refusal of a plan at once; the exit code is that of its gravest problem
    ├── OutputError             the output cannot be written or already exists
    └── EngineUnavailableError  an engine that was asked for and cannot run here

One line says what is wrong, where, what was expected and what was found; ``hint`` says what to do. Any other exception is a
mistake of ours and keeps its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """The exit codes of the command line, which are a contract."""

    GOOD = 0
    NOT_GOOD = 1
    USAGE = 2
    FAILED = 3
    INTERRUPTED = 130
    TERMINATED = 143


class CtqError(Exception):
    """A refusal with a message for people, and the exit code that scripts see."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CtqError):
    """An option, or a combination of options, that makes no sense for this input."""

    exit_code = ExitCode.USAGE


class CheckpointError(CtqError):
    """A folder, file or repository that cannot be read as a checkpoint."""


class HeaderFault(StrEnum):
    """What is wrong with a safetensors file; the order is the order in which it is checked."""

    FILE_TOO_SMALL = "file-too-small"
    HEADER_TOO_LARGE = "header-too-large"
    HEADER_BEYOND_FILE = "header-beyond-file"
    NOT_UTF8 = "not-utf8"
    NOT_JSON = "not-json"
    DUPLICATE_KEY = "duplicate-key"
    NOT_A_HEADER = "not-a-header"
    BAD_ENTRY = "bad-entry"
    UNKNOWN_DTYPE = "unknown-dtype"
    SHAPE_OVERFLOW = "shape-overflow"
    SIZE_MISMATCH = "size-mismatch"
    OFFSETS_OVERLAP = "offsets-overlap"
    OFFSETS_GAP = "offsets-gap"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing-bytes"


class HeaderError(CheckpointError):
    """A safetensors header that does not hold, with its cause and the file."""

    def __init__(self, fault: HeaderFault, message: str, *, file: str, tensor: str | None = None) -> None:
        super().__init__(f"{file}: {message}", hint="the file is damaged or incomplete: fetch or copy it again")
        self.fault = fault
        self.file = file
        self.tensor = tensor


class RecipeError(CtqError):
    """A recipe that does not validate; the message names the file, the line and the key."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a plan is refused."""

    message: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.FAILED


class PlanError(CtqError):
    """A plan that is refused, with every reason found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = tuple(problems)
        self.exit_code = max(problem.exit_code for problem in problems)  # type: ignore[misc]  # by instance, from its problems


class OutputError(CtqError):
    """An output folder that exists, cannot be written, or is not a place for one."""


class EngineUnavailableError(CtqError):
    """An engine that was asked for and cannot run here."""
