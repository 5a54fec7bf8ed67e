"""ModelOpt's own file, which vLLM takes for the quantization config where `config.json` has none: as vLLM 0.32.0 was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_quantized
from families import build
from inspecting import errors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import inspect_checkpoint

NAMED = {"name": "modelopt"}


@pytest.mark.parametrize(
    ("content", "is_read"),
    [
        ({"producer": NAMED, "quantization": {"quant_algo": "FP8"}}, True),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, True),
        ({"quant_method": "fp8", "activation_scheme": "dynamic"}, True),
        ({"producer": NAMED, "quantization": {"quant_algo": None}}, False),
        ({"producer": {"name": "other"}, "quantization": {"quant_algo": "FP8"}}, False),
        ({"quantization": {"quant_algo": "FP8"}}, False),
        ({"quant_algo": "FP8"}, False),
        ({}, False),
        ([1], True),
    ],
)
def test_left_beside_a_dense_model(content: Any, is_read: bool, tmp_path: Path) -> None:
    folder = build("llama", tmp_path / "llama")
    (folder / "hf_quant_config.json").write_text(json.dumps(content))
    assert errors(folder) == ({"CFG025"} if is_read else set())
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    assert not is_read or "hf_quant_config.json" in {finding.where for finding in report.findings}


def test_left_beside_a_quantized_model(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, shards=1)
    (folder / "hf_quant_config.json").write_text(json.dumps({"producer": NAMED, "quantization": {"quant_algo": "FP8"}}))
    assert errors(folder) == set()


@pytest.mark.parametrize("name", ["quantize_config.json", "quant_config.json", "quantization_config.json"])
def test_a_config_in_a_file_that_no_engine_reads(name: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, shards=1)
    found: dict[str, Any] = {}
    edit_config(folder, lambda config: found.update(config.pop("quantization_config")))
    (folder / name).write_text(json.dumps(found))
    assert "CFG001" in errors(folder)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "without g_idx"])
@pytest.mark.parametrize(
    ("kind", "name", "codes"),
    [
        ("gptq", "quantize_config.json", set()),
        ("gptq", "quant_config.json", {"CFG001"}),
        ("awq", "quant_config.json", set()),
        ("awq", "quantize_config.json", {"CFG001"}),
    ],
)
def test_a_config_where_the_tool_of_such_tensors_keeps_it(
    kind: str, name: str, codes: set[str], ordered: bool, tmp_path: Path
) -> None:
    folder = tiny_quantized(tmp_path, kind=kind, head="dense")

    def change(tensors: dict[str, Raw]) -> None:
        for tensor in [tensor for tensor in tensors if tensor.endswith(".g_idx")]:
            del tensors[tensor]

    if not ordered:
        edit_tensors(folder, change)
    found: dict[str, Any] = {}
    edit_config(folder, lambda config: found.update(config.pop("quantization_config")))
    (folder / name).write_text(json.dumps(found))
    assert errors(folder) == codes
