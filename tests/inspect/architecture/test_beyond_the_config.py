"""What the config's numbers leave out: experts beyond the last one, and draft layers, which vLLM leaves unread."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]
FIRST = "model.layers.0.mlp.experts.0."


def codes(folder: Path) -> set[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


def add_expert(folder: Path) -> None:
    def add(tensors: dict[str, Raw]) -> None:
        first = {name: raw for name, raw in tensors.items() if ".layers.0." in name and ".experts.0." in name}
        assert first
        tensors.update({name.replace(".experts.0.", ".experts.97."): raw for name, raw in first.items()})

    edit_tensors(folder, add)


def test_no_gap_before_an_expert_that_no_engine_reads(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "q")
    add_expert(tmp_path / "q")
    assert codes(tmp_path / "q") == set()


def test_a_gap_below_an_expert_that_no_engine_reads(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "q")
    edit_tensors(
        tmp_path / "q",
        lambda tensors: [
            tensors.update({name.replace(".experts.0.", ".experts.97."): tensors.pop(name)})
            for name in list(tensors)
            if name.startswith(FIRST)
        ],
    )
    assert "TEN020" in codes(tmp_path / "q")


@pytest.mark.parametrize(
    ("family", "key", "found"),
    [
        ("starcoder2", "num_nextn_predict_layers", set()),  # served by vLLM's Transformers backend
        ("starcoder2", "mtp_num_hidden_layers", set()),
        ("starcoder2", "draft_layers", {"TEN024"}),
        ("llama", "num_nextn_predict_layers", {"TEN024"}),
        ("deepseek-v2", "num_nextn_predict_layers", set()),
        ("deepseek-v2", "num_mtp_modules", {"TEN024"}),
        ("glm4-moe", "num_nextn_predict_layers", set()),
        ("minimax-m2", "num_mtp_modules", set()),
        ("exaone-moe", "num_nextn_predict_layers", {"TEN024"}),
    ],
)
def test_draft_layers_are_left_unread_as_the_config_counts_them(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, key: str, found: set[str]
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")
    edit_config(folder, lambda config: config.update({key: 1}))

    def add(tensors: dict[str, Raw]) -> None:
        last = {name.replace(".layers.1.", ".layers.2."): raw for name, raw in tensors.items() if ".layers.1." in name}
        tensors.update(last, **{"model.layers.2.eh_proj.weight": Raw("F32", (1, 1), bytes(4))})

    edit_tensors(folder, add)
    assert codes(folder) == found


@pytest.mark.parametrize("family", ["deepseek-v3", "glm4-moe"])
def test_a_layer_less_where_the_config_counts_no_draft(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")
    edit_config(folder, lambda config: config.update(num_hidden_layers=1, num_nextn_predict_layers=0))
    assert "TEN024" in codes(folder)


@pytest.mark.parametrize("architecture", ["NemotronHForCausalLM", "NemotronHPuzzleForCausalLM"])
@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"hybrid_override_pattern": "M*-", "num_hidden_layers": 2}, set()),
        ({"hybrid_override_pattern": "M*-", "num_hidden_layers": 4}, set()),
        ({"hybrid_override_pattern": "M*", "num_hidden_layers": 3}, {"TEN024"}),
        ({"hybrid_override_pattern": "M*--", "num_hidden_layers": 3}, {"TEN020"}),
    ],
)
def test_layers_that_are_counted_by_their_list(
    checkpoint: CheckpointFactory, tmp_path: Path, architecture: str, stated: dict[str, object], found: set[str]
) -> None:
    folder = shutil.copytree(checkpoint("nemotron-h"), tmp_path / "c")

    def state(config: dict[str, object]) -> None:
        config.pop("layers_block_type")
        config.update(architectures=[architecture], **stated)

    edit_config(folder, state)
    assert codes(folder) & {"TEN020", "TEN024", "TEN025"} == found
