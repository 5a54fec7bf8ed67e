"""The command line's `ctq quantize` on one family, in several ways: what it promised, or why it refused."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ctq.cli.main import run
from ctq.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD_ONLY: Final = Path(__file__).parents[3] / "examples" / "recipes" / "head-only.yaml"
SCHEMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "W8A8": ("--include-lm-head", "--scheme", "W8A8"),
        "W8A16": ("--include-lm-head", "--scheme", "W8A16"),
        "mixed": ("--include-lm-head", "--scheme", "W8A8", "--lm-head-scheme", "W8A16"),
        "no head": ("--exclude-lm-head", "--scheme", "W8A8"),
        "no head W8A16": ("--exclude-lm-head", "--scheme", "W8A16"),
        "head only": ("--recipe", str(HEAD_ONLY)),
    }
)
"""Head included as W8A8, W8A16 and one in the other, excluded from either, and alone."""
_IGNORE_HINT = re.compile(r"--ignore '([^']+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one call of the command gave; ``options`` are those that made it succeed, ``refusals`` what it said before.

    ``promise`` is the head's state that the summary promises; "" where nothing was written.
    """

    folder: Path
    promise: str
    options: tuple[str, ...]
    refusals: tuple[str, ...] = ()
    unsupported: bool = False
    notes: tuple[str, ...] = ()


def quantize_as(scheme: str, source: Path, out: Path, *, more: Sequence[str] = ()) -> Made:
    """Quantize as ``scheme`` and ``more`` options say; where the command refuses, follow its own hints and try again.

    An unsupported head is then quantized all the same (``--allow-unsupported-head``); experts in one tensor are left dense.
    """
    options, refusals, unsupported = [*SCHEMES[scheme], *more], [], False
    for _ in range(3):
        code, text, complaint = call(["quantize", str(source), "-o", str(out), "--json", "--no-verify", *options])
        if code == ExitCode.GOOD:
            summary = json.loads(text)
            state, notes = summary["lm_head"]["state"], tuple(summary["notes"])
            return Made(
                folder=out,
                promise=state,
                options=tuple(options),
                refusals=tuple(refusals),
                unsupported=unsupported,
                notes=notes,
            )
        refusals.append(complaint)
        advice = _follow(complaint, options)
        if not advice:
            break
        unsupported = unsupported or "--allow-unsupported-head" in advice
        options += advice
    return Made(folder=out, promise="", options=tuple(options), refusals=tuple(refusals), unsupported=unsupported)


def call(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run the command line here; return its exit code, what it printed and what it complained of."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = run(arguments)
    return code, out.getvalue(), errors.getvalue()


def _follow(complaint: str, options: Sequence[str]) -> list[str]:
    more: list[str] = []
    for pattern in dict.fromkeys(_IGNORE_HINT.findall(complaint)):
        if pattern not in options:
            more += ["--ignore", pattern]
    if "--allow-unsupported-head" in complaint and "--allow-unsupported-head" not in options:
        more.append("--allow-unsupported-head")
    return more
