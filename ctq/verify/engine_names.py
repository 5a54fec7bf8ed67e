"""Engines as the user names them: ``builtin``, ``vllm``, ``transformers``, each with ``==VERSION`` where one is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from ctq.engines.versions import version_key
from ctq.errors import UsageError

ENGINES = ("builtin", "vllm", "transformers")


@dataclass(frozen=True, slots=True)
class EngineName:
    """An engine and the version that was asked for, None for whatever is there (for ``builtin``: the newest known)."""

    name: str
    version: str | None = None

    def accepts(self, found: str) -> bool:
        """Tell whether an installed version is the one that was asked for; builds of it (``+cpu``) count."""
        return self.version is None or version_key(found) == version_key(self.version)


def parse_engine(text: str) -> EngineName:
    """Read ``NAME`` or ``NAME==VERSION``.

    Raises:
        UsageError: no such engine, or the version is no version number.

    """
    name, separator, version = text.strip().partition("==")
    if name.strip().lower() not in ENGINES:
        raise UsageError(f"no engine '{name}'", hint=f"engines: {', '.join(ENGINES)}, each with ==VERSION if you like")
    if separator:
        version_key(version)
    return EngineName(name.strip().lower(), version.strip() if separator else None)
