"""The answers of vLLM's releases to generated cases, kept in a file: cases from a seed, answers as numbers in a table."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from match_cases import dispatch_cases, matching_cases

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COUNT = 1200


def cases() -> dict[str, Any]:
    return {"matching": matching_cases(COUNT, seed=11), "dispatch": dispatch_cases(COUNT, seed=12)}


def digest() -> str:
    """Name the generated cases: answers to others are worthless."""
    return hashlib.sha256(json.dumps(cases(), sort_keys=True).encode()).hexdigest()[:16]


def encode(answers: Mapping[str, Mapping[str, list[Any]]]) -> str:
    table: list[str] = []
    places: dict[str, int] = {}
    lines: dict[str, list[int]] = {}
    for version, answer in answers.items():
        texts = [json.dumps(value) for kind in ("matching", "dispatch") for value in answer[kind]]
        for text in texts:
            if text not in places:
                places[text] = len(table)
                table.append(text)
        lines[version] = [places[text] for text in texts]
    rows = ",\n".join(f'"{version}": {json.dumps(line, separators=(",", ":"))}' for version, line in lines.items())
    return f'{{"cases": "{digest()}",\n"table": {json.dumps(table)},\n"answers": {{\n{rows}\n}}}}\n'


def decode(path: Path) -> dict[str, dict[str, list[Any]]]:
    stored = json.loads(path.read_text())
    assert stored["cases"] == digest(), (
        "the generated cases changed: make the golden file anew (tests/engines/old_vllm.py)"
    )
    table = [json.loads(text) for text in stored["table"]]
    return {
        version: {"matching": [table[n] for n in line[:COUNT]], "dispatch": [table[n] for n in line[COUNT:]]}
        for version, line in stored["answers"].items()
    }
