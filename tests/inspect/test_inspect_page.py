"""The page on inspect: its example runs, and it knows every option and every key of the JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from builders import tiny_quantized
from report_schema import SCHEMA

from ctq.cli.inspect import command

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    tiny_quantized(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert capsys.readouterr().out == "quantized ['HED012']\n"


def test_every_option_is_on_the_page() -> None:
    options = [name for parameter in command.params if isinstance(parameter, click.Option) for name in parameter.opts]
    assert [name for name in options if f"`{name}" not in PAGE and f" {name}" not in PAGE] == []
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_every_key_of_the_json_is_on_the_page() -> None:
    properties = SCHEMA["properties"]
    keys = list(properties)
    keys += [key for name in ("checkpoint", "lm_head", "cost") for key in properties[name]["properties"]]
    keys += [key for name in ("modules", "engines", "findings") for key in properties[name]["items"]["properties"]]
    assert [key for key in keys if not re.search(rf"\b{key}\b", PAGE)] == []
