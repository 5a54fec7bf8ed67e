"""The documentation page knows every finding, option and status."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from ctq.cli.verify import command
from ctq.verify.codes import CODES, Code
from ctq.verify.engine_names import ENGINES
from ctq.verify.report import Status, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
def test_every_finding_has_its_line(code: Code) -> None:
    assert f"| {code.code} | {code.name} | {code.severity} | {code.summary} |" in PAGE


def test_codes_are_unique_and_in_order() -> None:
    assert [code.code for code in CODES] == [f"VER{number:03d}" for number in range(1, len(CODES) + 1)]
    assert len({code.name for code in CODES}) == len(CODES)


@pytest.mark.parametrize("word", [*ENGINES, *Status, *Verdict])
def test_every_engine_status_and_verdict_is_explained(word: str) -> None:
    assert f"{word}" in PAGE


def test_every_option_has_help() -> None:
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert len(options) > 10
    assert [option.name for option in options if not option.help] == []
