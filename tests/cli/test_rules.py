"""`ctq rules`: every code that a finding can have is explained, one by one or by family."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ctq.cli.main import run
from ctq.inspect.rules.table import RULES
from ctq.verify.codes import CODES

if TYPE_CHECKING:
    import pytest


def test_a_code_of_verification(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["rules", "ver004"]) == 0
    assert capsys.readouterr().out == (
        "VER004 tensor-lost (error)\n"
        "\n"
        "The reference holds a tensor of which the checkpoint holds nothing.\n"
        "\n"
        "How to mend\n"
        "  Engines serve it uninitialised or refuse to load: quantize again.\n"
    )


def test_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "HED"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["The head", "  HED001  error    head-only-targeted-by-class"]
    assert len(lines) == 2 + sum(rule.code.startswith("HED") for rule in RULES)


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "--json"]) == 0
    listed = [rule["code"] for rule in json.loads(capsys.readouterr().out)["rules"]]
    assert listed == [rule.code for rule in RULES] + [code.code for code in CODES]


def test_a_code_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "HED999"]) == 2
    assert capsys.readouterr().err == "ctq: no finding 'HED999'\n  hint: `ctq rules` lists them\n"
