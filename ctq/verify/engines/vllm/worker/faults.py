"""Describe an exception of the engine in a few words that a person can act on."""

from __future__ import annotations

import re
import traceback
from typing import Any

LONGEST = 600
# What only a load without bytes runs into: the engine reads a value that a meta tensor does not have.
WITHOUT_BYTES = re.compile(r"meta tensor|on meta|Meta.*backend|data-dependent|Cannot copy out of meta")
# What only a build without a CUDA device says; where a stand-in gave its reasons, a CUDA device would refuse too.
WITHOUT_KERNEL = re.compile(
    r"Failed to find a kernel|No .* backend supports|not supported (for|on) .*(CPU|platform)|Humming"
    r"|failed to be inspected|_OpNamespace"
)
# What only a load without a tokenizer says: the folder has none, and nothing is fetched.
WITHOUT_TOKENIZER = re.compile(
    r"skip_tokenizer_init|tokenizer is not None|'NoneType' object has no attribute '(vocab|encode)'"
)
STAND_IN = "stand-in:"
# Nothing from a checkpoint is executed here, so what needs its code cannot be decided.
WITHOUT_TRUST = re.compile(r"trust[_-]remote[_-]code")
UNEXPECTED = (
    re.compile(r"no module or parameter named '([^']+)'"),
    re.compile(r"no parameter or module named '([^']+)'"),
)


def describe_exception(error: BaseException, *, stage: str) -> dict[str, Any]:
    """Give stage, type, message, the place inside the engine, and whether it is only for want of bytes or of a kernel here."""
    text = message_of(error)
    return {
        "stage": stage,
        "type": type(error).__name__,
        "message": first_line(text) or failed_check(error),
        "detail": text[: 4 * LONGEST],
        "place": place_of(error),
        "without_bytes": isinstance(error, (NotImplementedError, RuntimeError))
        and WITHOUT_BYTES.search(text) is not None,
        "without_kernel": lacks_kernel(error, text),
        "unexpected": unexpected_name(text),
    }


def lacks_bytes(error: BaseException) -> bool:
    """Tell whether the engine read a value that a tensor without bytes does not have."""
    return isinstance(error, (NotImplementedError, RuntimeError)) and WITHOUT_BYTES.search(str(error)) is not None


def lacks_kernel(error: BaseException, text: str) -> bool:
    """Tell whether only something here is missing: a kernel, a package, leave to run the model's own code, a tokenizer."""
    if isinstance(error, ImportError) or WITHOUT_TRUST.search(text) or WITHOUT_TOKENIZER.search(text):
        return True
    return WITHOUT_KERNEL.search(text) is not None and STAND_IN not in text


def first_line(text: str) -> str:
    """Take the first line, and the next ones where the first only announces them."""
    if STAND_IN in text:
        text = f"no CUDA kernel takes this weight-only layer: {text.rpartition(STAND_IN)[2].strip()}"
    lines = [line.strip() for line in text.strip().splitlines()] or [""]
    count = len(lines) if lines[0].endswith(":") else 1
    return " ".join(lines[:count])[:LONGEST]


def failed_check(error: BaseException) -> str:
    """Quote the line that raised, for an assertion without words."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {frames[-1].line}" if frames else type(error).__name__


def message_of(error: BaseException) -> str:
    """Take the message; of a pydantic error the reason rather than the count."""
    errors = getattr(error, "errors", None)
    if callable(errors):
        return "; ".join(str(item.get("msg", item)) for item in errors())
    if isinstance(error, KeyError):
        return f"KeyError: {error}"
    return str(error)


def place_of(error: BaseException) -> str:
    """Name the innermost frame that is the engine's own: file, line, function."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/vllm/" in frame.filename and "ctq" not in frame.filename] or list(frames)
    if not own:
        return ""
    frame = own[-1]
    return f"{frame.filename.rpartition('/vllm/')[2]}:{frame.lineno} {frame.name}"


def unexpected_name(text: str) -> str | None:
    """Find the name that a loader did not know."""
    for pattern in UNEXPECTED:
        found = pattern.search(text)
        if found:
            return found.group(1)
    return None
