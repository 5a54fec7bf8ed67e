"""Code that `auto_map` promises: files that must lie beside the weights, and names that nothing else knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config, tiny_checkpoint
from inspecting import errors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Finding, Severity
from ctq.inspect.report import inspect_checkpoint

CONFIG = {"AutoConfig": "configuration_chat.ChatConfig"}
MODEL = {"AutoModelForCausalLM": "modeling_chat.ChatForCausalLM"}
ELSEWHERE = {"AutoConfig": "owner/name--configuration_chat.ChatConfig"}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"auto_map": CONFIG, "model_type": "chat"}, {"FIL018"}),
        ({"auto_map": CONFIG | MODEL, "model_type": "chat", "architectures": ["ChatForCausalLM"]}, {"FIL018"}),
        ({"auto_map": ELSEWHERE | MODEL, "model_type": "chat", "architectures": ["ChatForCausalLM"]}, {"FIL018"}),
        ({"auto_map": MODEL, "architectures": ["ChatForCausalLM"]}, {"FIL018"}),
        ({"auto_map": ELSEWHERE, "model_type": "chat", "architectures": ["ChatForCausalLM"]}, {"CFG020"}),
        ({"auto_map": CONFIG, "architectures": ["ChatForCausalLM"]}, {"CFG020"}),
        ({"auto_map": MODEL, "model_type": "chat"}, {"CFG019"}),
        ({"auto_map": ELSEWHERE, "model_type": "chat"}, set()),
        ({"auto_map": CONFIG | MODEL}, set()),
        ({"auto_map": "configuration_chat.ChatConfig"}, set()),
    ],
    ids=[
        "config",
        "config and model",
        "model alone, the config elsewhere",
        "model of a known type",
        "no model's class",
        "no model's class, of a known type",
        "no config's class",
        "elsewhere",
        "of what loaders know themselves",
        "no map at all",
    ],
)
def test_what_nothing_else_knows_must_lie_beside_the_weights(
    changes: dict[str, Any], codes: set[str], tmp_path: Path
) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    edit_config(folder, lambda config: config.update(changes))
    assert errors(folder) == codes


def of_code(folder: Path) -> Finding | None:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    return next((finding for finding in report.findings if finding.code == "FIL018"), None)


def test_all_files_that_are_missed_are_named_and_those_that_are_there_are_not(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    own = {"auto_map": CONFIG | MODEL, "model_type": "chat", "architectures": ["ChatForCausalLM"]}
    edit_config(folder, lambda config: config.update(own))
    found = of_code(folder)
    assert found is not None
    assert found.message == "auto_map names code that is not there: configuration_chat.py, modeling_chat.py"
    (folder / "configuration_chat.py").write_text("class ChatConfig: ...\n")
    found = of_code(folder)
    assert found is not None
    assert found.message == "auto_map names code that is not there: modeling_chat.py"
    (folder / "modeling_chat.py").write_text("class ChatForCausalLM: ...\n")
    assert of_code(folder) is None


def test_code_that_loaders_do_not_need_is_a_warning(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    edit_config(folder, lambda config: config.update(auto_map=CONFIG))
    found = of_code(folder)
    assert found is not None
    assert (found.severity, found.hint) == (
        Severity.WARNING,
        "copy the .py files of the original, or leave auto_map out",
    )
