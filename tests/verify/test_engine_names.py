"""Engines as the user writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctq.errors import UsageError
from ctq.verify.engine_names import ENGINES, EngineName, parse_engine
from ctq.verify.engines import table
from ctq.verify.engines.table import ASK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("builtin", EngineName("builtin")),
        ("vLLM==0.32.0", EngineName("vllm", "0.32.0")),
        (" transformers == 5.19 ", EngineName("transformers", "5.19")),
    ],
)
def test_names_with_and_without_a_version(text: str, expected: EngineName) -> None:
    assert parse_engine(text) == expected


@pytest.mark.parametrize("text", ["", "sglang", "vllm==", "vllm==new", "==0.32.0"])
def test_what_is_no_engine_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_engine(text)


@pytest.mark.parametrize(
    ("asked", "found", "accepted"),
    [
        (None, "1.2.3", True),
        ("0.32.0", "0.32.0", True),
        ("0.32.0", "0.32.0+cpu", True),
        ("0.32", "0.32.0", True),
        ("0.32.0", "0.32.1", False),
    ],
)
def test_builds_of_a_version_are_that_version(asked: str | None, found: str, accepted: bool) -> None:
    assert EngineName("vllm", asked).accepts(found) is accepted


def test_every_engine_has_a_door_and_a_room() -> None:
    assert tuple(ASK) == ENGINES
    rooms = {path.parent.name for path in Path(table.__file__).parent.glob("*/engine.py")}
    assert rooms == set(ENGINES)
