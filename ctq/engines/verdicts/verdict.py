"""What each engine makes of a checkpoint's head: one pure function over simple facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.verdicts.sglang import newest_sglang, sglang_outcome
from ctq.engines.verdicts.transformers import transformers_outcome
from ctq.engines.verdicts.transformers_layers import newest_transformers
from ctq.engines.verdicts.vllm import vllm_outcome
from ctq.engines.versions import version_key
from ctq.engines.vllm_models.heads import newest_vllm
from ctq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctq.engines.verdicts.head_facts import HeadFacts, Outcome


@dataclass(frozen=True, slots=True)
class _Engine:
    newest: Callable[[], str]
    judge: Callable[[HeadFacts, str], Outcome]


_ENGINES = {
    "vllm": _Engine(newest_vllm, vllm_outcome),
    "sglang": _Engine(newest_sglang, sglang_outcome),
    "transformers": _Engine(newest_transformers, transformers_outcome),
}

ENGINES = tuple(_ENGINES)
"""Engines that a head is judged for, the first the one that decides."""


def newest_version(engine: str) -> str:
    """Return the newest release of ``engine`` that is known here.

    Raises:
        UsageError: there is no such engine.

    """
    return _engine(engine).newest()


def head_verdict(facts: HeadFacts, engine: str, version: str | None = None) -> Outcome:
    """Return what ``engine`` makes of a head, in ``version`` or the newest release known.

    Raises:
        UsageError: there is no such engine, or ``version`` is not a version number.

    """
    asked = version or newest_version(engine)
    version_key(asked)
    return _engine(engine).judge(facts, asked)


def _engine(name: str) -> _Engine:
    if name not in _ENGINES:
        raise UsageError(f"no engine '{name}'", hint=f"engines: {', '.join(ENGINES)}, each with ==VERSION if you like")
    return _ENGINES[name]
