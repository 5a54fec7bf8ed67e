"""Layers of other methods than compressed-tensors against their configs: as the real vLLM 0.32.0 answered of each kind of change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import breaking as do
import pytest
from builders import edit_config
from families import build
from inspecting import errors
from method_changes import ATTENTION, FAULTS, HARMLESS, OTHERWISE, without_parts
from quantized_by import TOOLS, quantized_by

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

FAMILIES: Final = (
    *("llama", "llama-head64", "qwen2", "qwen3-moe", "mixtral", "deepseek-v3", "phi3", "gemma3"),
    *("gemma3-mm", "qwen2.5-vl"),
)
DIVIDED: Final = ("llama-head64", "deepseek-v3")
"""Families whose fused layers have parts of whole blocks of 128 rows."""


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room for dense checkpoints that are built once."""
    return tmp_path_factory.mktemp("dense")


def stored(tool: str, family: str, dense: Path, folder: Path, *, head: bool = False) -> Path:
    source = dense / family
    if not source.exists():
        build(family, source)
    return quantized_by(tool, shutil.copytree(source, folder / "m"), head=head)


def findings(folder: Path) -> list[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    return [f"{one.code} {one.message}" for one in report.findings if one.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("tool", "family"),
    [(tool, family) for tool in TOOLS for family in (DIVIDED if tool == "fp8-block" else FAMILIES)],
)
def test_what_tools_write_has_no_faults(tool: str, family: str, dense: Path, tmp_path: Path) -> None:
    assert findings(stored(tool, family, dense, tmp_path)) == []


@pytest.mark.parametrize("tool", ["gptq", "awq"])
def test_a_head_that_the_config_names(tool: str, dense: Path, tmp_path: Path) -> None:
    assert findings(stored(tool, "llama", dense, tmp_path, head=True)) == []


def test_the_transformers_backend_fuses_nothing_that_the_files_hold_fused(dense: Path, tmp_path: Path) -> None:
    assert findings(stored("gptq", "glm", dense, tmp_path)) == []
    assert findings(stored("gptq", "glm4", dense, tmp_path / "own"))[0].startswith("TEN037")


@pytest.mark.parametrize(
    ("tool", "key", "value", "codes"),
    [
        ("gptq", "dynamic", {"+:.*down_proj": {"group_size": 0}}, ["TEN037"]),
        ("auto-round", "extra_config", {"lm_head": {"bits": None}}, []),
        ("auto-round", "extra_config", {".*down.*": {"group_size": None}}, []),
    ],
)
def test_numbers_that_are_none_end_no_inspection(
    tool: str, key: str, value: object, codes: list[str], dense: Path, tmp_path: Path
) -> None:
    folder = stored(tool, "llama", dense, tmp_path)
    edit_config(folder, lambda config: config["quantization_config"].update({key: value}))
    assert [one.partition(" ")[0] for one in findings(folder)] == codes


@pytest.mark.parametrize(("leaf", "codes"), [("indexer_proj", set()), ("o_proj", {"TEN037"})])
def test_small_layers_of_a_class_may_be_dense_and_unnamed(
    leaf: str, codes: set[str], dense: Path, tmp_path: Path
) -> None:
    folder = stored("fp8-tensor", "llama", dense, tmp_path)
    do.config(architectures=["TinyForCausalLM"], model_type="tiny")(folder)
    do.steps(without_parts(f"{ATTENTION}.{leaf}"), do.put(f"{ATTENTION}.{leaf}.weight", do.floats(128, 128)))(folder)
    assert errors(folder) - {"CFG019", "CFG020"} == codes


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault: str, dense: Path, tmp_path: Path) -> None:
    tool, family, change, words = FAULTS[fault]
    folder = stored(tool, family, dense, tmp_path)
    change(folder)
    found = findings(folder)
    codes = {one[:6] for one in found}
    assert codes == {"TEN037"} or ("no codes" in fault and codes == {"TEN037", "TEN024", "TEN025"}), found
    assert any(words in one for one in found if one.startswith("TEN037")), found


@pytest.mark.parametrize("fault", OTHERWISE)
def test_layers_that_are_then_of_another_method(fault: str, dense: Path, tmp_path: Path) -> None:
    tool, family, change = OTHERWISE[fault]
    folder = stored(tool, family, dense, tmp_path)
    change(folder)
    assert errors(folder) == {"CFG005"}


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_are_no_faults(change: str, dense: Path, tmp_path: Path) -> None:
    tool, family, make = HARMLESS[change]
    folder = stored(tool, family, dense, tmp_path)
    make(folder)
    assert findings(folder) == []


@pytest.mark.parametrize("tool", ["gptq", "awq"])
def test_a_head_that_the_config_does_not_name(tool: str, dense: Path, tmp_path: Path) -> None:
    folder = stored(tool, "llama", dense, tmp_path, head=True)
    do.says(lm_head=False)(folder)
    assert errors(folder) == {"TEN037"}


def test_zero_points_of_symmetric_codes_may_lack(dense: Path, tmp_path: Path) -> None:
    """Nothing of vLLM reads the parameter that it makes for them, which then holds what memory held."""
    folder = stored("quark-int8", "llama", dense, tmp_path)
    do.drop_where("zero_point")(folder)
    assert findings(folder) == []
