"""Checkpoints under the other names that vLLM's classes load: no finding, and a piece that is missing is still missed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors
from inspecting import error_list
from quantizing import quantize

from ctq.engines.vllm.backend import backend_architectures
from ctq.engines.vllm_models.names import engine_names

CheckpointFactory = Callable[..., Path]
NAMES = {
    "qwen2.5-vl": ((r"^model\.(?!visual)", "model.language_model."), (r"^visual\.", "model.visual.")),
    "mixtral": ((r"\.w1\.", ".gate_proj."), (r"\.w3\.", ".up_proj."), (r"\.w2\.", ".down_proj.")),
    "granite-hybrid": ((r"A_log$", "A"),),
    "granite-moe": ((r"router\.layer", "router"),),
    "llama4": ((r"^language_model\.", ""),),  # its loader knows these names too
    "olmo2": ((r"^model\.", ""), (r"^lm_head", "model.lm_head")),  # served by the Transformers backend
}


def renamed(source: Path, folder: Path, *, without: str = "") -> Path:
    """Copy a checkpoint with its tensors under other names, and without some."""
    shutil.copytree(source, folder)

    def change(tensors: dict[str, Raw]) -> None:
        for name in list(tensors):
            tensor, new = tensors.pop(name), name
            for pattern, replacement in NAMES[source.name]:
                new = re.sub(pattern, replacement, new)
            if not (without and without in new):
                tensors[new] = tensor

    edit_tensors(folder, change)
    return folder


@pytest.mark.parametrize(
    ("family", "lost"),
    [
        ("qwen2.5-vl", "embed_tokens"),
        ("mixtral", "layers.1.input_layernorm"),
        ("olmo2", "embed_tokens"),
        ("llama4", "layers.1.input_layernorm"),
        ("granite-hybrid", "mamba.A"),
        ("granite-moe", "layers.1.block_sparse_moe.router"),
    ],
)
def test_other_names_of_the_engine_are_no_error(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, lost: str
) -> None:
    quantize(checkpoint(family), tmp_path / family)
    assert error_list(renamed(tmp_path / family, tmp_path / "other")) == []
    assert error_list(renamed(tmp_path / family, tmp_path / "less", without=lost)) == ["TEN025"]


def test_a_number_that_the_engine_works_out_may_be_stale(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("deepseek-v3"), tmp_path / "out")
    edit_config(tmp_path / "out", lambda config: config.update(qk_head_dim=192))
    assert error_list(tmp_path / "out") == []


def test_every_architecture_of_the_backend_is_known_with_its_mapper() -> None:
    names = {name: engine_names(name) for name in backend_architectures()}
    assert [name for name, known in names.items() if known is None or known.is_plain] == []
