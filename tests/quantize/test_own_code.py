"""Code of a model's own: copied beside the result, or referred to where a download left it on the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import edit_config, edit_json, tiny_checkpoint
from inspecting import errors
from quantizing import plan_of, quantize

from ctq.findings import Severity
from ctq.recipe.recipe import Recipe
from ctq.verify.codes import SIDE_FILE_CHANGED
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

MAP = {"AutoConfig": "configuration_chat.ChatConfig", "AutoModelForCausalLM": "modeling_chat.ChatForCausalLM"}
TOKENIZER = {"AutoTokenizer": ["tokenization_chat.ChatTokenizer", None]}
CODE = ("configuration_chat.py", "modeling_chat.py", "tokenization_chat.py")
REPO = "org/chat"


def chat(folder: Path, *, code: bool) -> Path:
    """Make a model that brings its own code, which may not have been downloaded."""
    tiny_checkpoint(folder)
    edit_config(
        folder, lambda config: config.update(model_type="chat", architectures=["ChatForCausalLM"], auto_map=MAP)
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": TOKENIZER, "chat_template": "{{ messages }}"})
    )
    for name in CODE if code else ():
        (folder / name).write_text("raise SystemExit('run')\n")
    return folder


def snapshot(root: Path, *, code: bool) -> Path:
    return chat(root / "hub" / "models--org--chat" / "snapshots" / ("0" * 40), code=code)


def auto_map(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())["auto_map"]


def result_of(source: Path, out: Path) -> Path:
    quantize(source, out, Recipe(lm_head=False))
    return out


@pytest.mark.parametrize("make", [chat, snapshot])
def test_code_beside_the_weights_comes_along_as_it_is(make: Any, tmp_path: Path) -> None:
    source = make(tmp_path / "m", code=True)
    out = result_of(source, tmp_path / "q")
    assert auto_map(out, "config.json") == MAP
    assert all((out / name).read_bytes() == (source / name).read_bytes() for name in (*CODE, "tokenizer_config.json"))
    assert errors(out) == set()


def test_code_that_a_download_left_on_the_hub_is_referred_to(tmp_path: Path) -> None:
    source = snapshot(tmp_path, code=False)
    out = result_of(source, tmp_path / "q")
    assert auto_map(out, "config.json") == {key: f"{REPO}--{value}" for key, value in MAP.items()}
    assert auto_map(out, "tokenizer_config.json") == {
        "AutoTokenizer": [f"{REPO}--tokenization_chat.ChatTokenizer", None]
    }
    assert json.loads((out / "tokenizer_config.json").read_text())["chat_template"] == "{{ messages }}"
    assert errors(source) == errors(out) == set()
    plan = plan_of(source, Recipe(lm_head=False))
    assert f"code of a hub model is not downloaded: the result refers to {REPO} for it" in plan.notes


def test_only_what_is_not_there_is_referred_to(tmp_path: Path) -> None:
    source = snapshot(tmp_path, code=False)
    (source / CODE[0]).write_text("")
    out = result_of(source, tmp_path / "q")
    assert auto_map(out, "config.json") == MAP | {"AutoModelForCausalLM": f"{REPO}--modeling_chat.ChatForCausalLM"}


def test_code_that_is_nowhere_is_an_error_of_the_result(tmp_path: Path) -> None:
    out = result_of(chat(tmp_path / "m", code=False), tmp_path / "q")
    assert auto_map(out, "config.json") == MAP
    assert errors(out) == {"FIL018"}


def test_the_result_is_still_the_reference_s(tmp_path: Path) -> None:
    source = snapshot(tmp_path, code=False)
    out = result_of(source, tmp_path / "q")
    assert compared(out, source) == []
    edit_json(out / "tokenizer_config.json", lambda document: document.update(chat_template="{{ nothing }}"))
    assert compared(out, source) == [SIDE_FILE_CHANGED.code]


def compared(out: Path, source: Path) -> list[str]:
    report = verify(VerifyRequest(checkpoint=out, reference=source, engines=(), workers=1))
    return [finding.code for finding in report.findings if finding.severity is not Severity.NOTE]
