"""`ctq inspect` as a script sees it: exit codes, JSON, and one line on stderr when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import breaking as do
import pytest
from builders import drop_tensor, tiny_checkpoint, tiny_quantized

from ctq.cli.main import run
from ctq.engines.verdicts.verdict import newest_version

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"torch", "transformers", "compressed_tensors", "numba", "numpy", "pydantic", "huggingface_hub"}


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return tiny_quantized(tmp_path / "healthy")


@pytest.fixture
def tied_flag(tmp_path: Path) -> Path:
    folder = tiny_quantized(tmp_path / "tied-flag")
    do.config(tie_word_embeddings=True)(folder)
    return folder


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tiny_quantized(tmp_path / "broken")
    drop_tensor(folder, "lm_head.weight_scale")
    return folder


def code(*arguments: object) -> int:
    return run([str(argument) for argument in ("inspect", *arguments)])


def test_findings_at_or_above_the_limit_fail(healthy: Path, tied_flag: Path, broken: Path) -> None:
    assert [code(folder) for folder in (healthy, tied_flag, broken)] == [0, 0, 1]
    assert [code(folder, "--fail-on", "warning") for folder in (healthy, tied_flag, broken)] == [0, 1, 1]
    assert [code(folder, "--fail-on", "never") for folder in (healthy, tied_flag, broken)] == [0, 0, 0]
    assert code(broken, "--select", "FIL") == 0
    assert code(broken, "--ignore-rule", "TEN002") == 0


def test_ignoring_a_rule_never_brings_up_its_consequences(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(broken, "--ignore-rule", "TEN002", "--json") == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


@pytest.mark.parametrize(
    ("head", "expected", "exit_code"),
    [
        ("quantized", "quantized", 0),
        ("quantized", "dense", 1),
        ("dense", "dense", 0),
        ("dense", "quantized", 1),
        ("tied", "dense", 0),
        ("tied", "quantized", 1),
    ],
)
def test_the_head_is_checked_against_what_is_expected(head: Any, expected: str, exit_code: int, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, head=head)
    assert code(folder, "--expect-lm-head", expected) == exit_code
    assert code(folder, "--expect-lm-head", expected, "--fail-on", "never") == exit_code, (
        "an expectation is no severity"
    )
    assert code(folder, "--expect-lm-head", expected, "--ignore-rule", "HED") == exit_code, "nor a rule to be left out"


def test_a_broken_head_is_neither_quantized_nor_dense(broken: Path) -> None:
    assert code(broken, "--expect-lm-head", "quantized", "--select", "HED011") == 1
    assert code(broken, "--expect-lm-head", "dense", "--select", "HED011") == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("{missing}",), 3, "no such file or folder"),
        (("{empty}",), 3, "no .safetensors file in it"),
        (("{pickles}",), 3, "only pickles"),
        (("{healthy}", "--select", "HED999"), 2, "no rule 'HED999'"),
        (("{healthy}", "--engine", "llama.cpp"), 2, "llama.cpp"),
        (("{healthy}", "--engine", "vllm=="), 2, "no version"),
        (("{healthy}", "--engine", "vllm==latest"), 2, "latest"),
        (("{healthy}", "--fail-on", "note"), 2, "--fail-on"),
        ((), 2, "CHECKPOINT"),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr_alone(
    arguments: tuple[str, ...],
    exit_code: int,
    words: str,
    healthy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickles").mkdir()
    (tmp_path / "pickles" / "pytorch_model.bin").write_bytes(b"\x80")
    names = {
        "missing": tmp_path / "missing",
        "empty": tmp_path / "empty",
        "pickles": tmp_path / "pickles",
        "healthy": healthy,
    }
    assert code(*(argument.format(**names) for argument in arguments)) == exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_a_single_file_is_a_checkpoint_without_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_checkpoint(tmp_path, shards=1)
    assert code(folder / "model.safetensors", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lm_head"]["state"] == "dense"
    assert [finding["code"] for finding in report["findings"]] == ["FIL002"]
    assert report["findings"][0]["hint"] == "give its folder, to judge it with config.json"


def test_a_quantized_file_by_itself_is_not_held_against_engines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_quantized(tmp_path, shards=1)
    assert code(folder / "model.safetensors", "--fail-on", "warning") == 0
    words = capsys.readouterr().out
    assert "no architecture, no quantization config," in words
    assert words.count("unknown: a file by itself") == 3
    assert "HED010" not in words


def test_a_folder_without_a_config_is_refused_by_engines(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path, shards=1)
    (folder / "config.json").unlink()
    assert code(folder) == 1


def test_a_release_that_is_not_known_yet_is_said(healthy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(healthy, "--engine", "vllm==0.32.0", "--engine", "sglang==99") == 0
    newest = newest_version("sglang")
    assert capsys.readouterr().err == f"sglang 99 is newer than what is known here, and judged as {newest}\n"


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--modules",), ("--engine", "sglang")])
def test_nothing_heavy_is_imported(arguments: tuple[str, ...], healthy: Path) -> None:
    program = "import sys; from ctq.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, "inspect", str(healthy), *arguments], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert not loaded & HEAVY
    if "--json" in arguments:
        assert "rich" not in loaded


def test_output_survives_a_terminal_that_knows_only_ascii(healthy: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    do.config(architectures=["Modèle"], model_type="modèle")(healthy)
    done = subprocess.run(
        [sys.executable, "-m", "ctq", "inspect", healthy], capture_output=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"Mod\\xe8le" in done.stdout
