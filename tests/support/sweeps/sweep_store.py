"""Answers of a sweep, one JSON line each, written as they come: what was answered before is not asked again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


class Store:
    """A file of answers by name; an answer counts only for the ``stamp`` that it was given for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, tuple[str, Json]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):  # the last line of a killed run
                row = json.loads(line)
                self._rows[row["name"]] = (row["stamp"], row["answer"])

    def get(self, name: str, stamp: str) -> Json | None:
        """Return the answer, if it was given for this stamp."""
        known, answer = self._rows.get(name, ("", None))
        return answer if known == stamp else None

    def rows(self) -> Iterator[tuple[str, str, Json]]:
        """Yield the last answer of each name, with its stamp."""
        yield from ((name, stamp, answer) for name, (stamp, answer) in self._rows.items())

    def put(self, name: str, stamp: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer, at once on disk."""
        self._rows[name] = (stamp, dict(answer))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"name": name, "stamp": stamp, "answer": answer}) + "\n")


def stamp_of(folder: Path, *patterns: str) -> str:
    """Return a digest of the names and bytes of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns or ("*",) for path in folder.rglob(pattern) if path.is_file()}):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
