"""Models that vLLM pools with because a file of sentence-transformers lies beside the config: they need no head."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from builders import all_tensors, edit_config, edit_tensors, tiny_checkpoint
from dense_builder import SINGLE
from families import build
from head_cases import pooled
from inspecting import errors
from raw_safetensors import write_safetensors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.cli.main import run
from ctq.inspect.report import InspectOptions, inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    """A decoder without its head, its tensors called as inside of the model that generates (as Qwen3-Embedding-8B's are)."""
    folder = tiny_checkpoint(tmp_path / "embedder", shards=1)
    tensors = {
        name.removeprefix("model."): tensor for name, tensor in all_tensors(folder).items() if "lm_head" not in name
    }
    write_safetensors(folder / SINGLE, tensors)
    return folder


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "LlamaModel", "MistralModel", "MistralForCausalLM"])
def test_without_a_head_it_is_served(embedder: Path, architecture: str) -> None:
    edit_config(embedder, lambda config: config.update(architectures=[architecture]))
    alone = errors(embedder)
    pooled(embedder)
    assert errors(embedder) == set()
    assert alone, "where nothing asks for pooling, vLLM generates with it"


def test_a_norm_that_it_lacks_is_still_missed(embedder: Path) -> None:
    tensors = all_tensors(embedder)
    del tensors["layers.1.input_layernorm.weight"]
    write_safetensors(embedder / SINGLE, tensors)
    pooled(embedder)
    assert errors(embedder) == {"TEN025"}


def test_a_stranger_is_still_told(embedder: Path) -> None:
    tensors = all_tensors(embedder)
    tensors["layers.0.mlp.extra_proj.weight"] = tensors["layers.0.mlp.up_proj.weight"]
    write_safetensors(embedder / SINGLE, tensors)
    pooled(embedder)
    assert errors(embedder) == {"TEN024"}


@pytest.mark.parametrize(
    ("family", "codes"), [("llama", {"TEN024"}), ("qwen3-moe", {"TEN024"}), ("olmo2", set()), ("gemma2", set())]
)
def test_a_head_beside_names_as_inside_the_body(family: str, codes: set[str], tmp_path: Path) -> None:
    folder = build(family, tmp_path / family)
    edit_tensors(
        folder,
        lambda tensors: tensors.update({name.removeprefix("model."): tensors.pop(name) for name in list(tensors)}),
    )
    pooled(folder)
    assert errors(folder) == codes


def test_bare_models_need_no_head_in_transformers_and_sglang(embedder: Path) -> None:
    edit_config(embedder, lambda config: config.update(architectures=["LlamaForSequenceClassification"]))
    report = inspect_checkpoint(open_checkpoint(LocalFolder(embedder)), InspectOptions())
    assert {verdict.outcome.verdict for verdict in report.facts.engines} == {"dense"}


def test_a_result_keeps_the_modules_and_passes_its_check(embedder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pooled(embedder)
    (embedder / "2_Dense").mkdir()
    write_safetensors(
        embedder / "2_Dense" / SINGLE, {"linear.weight": all_tensors(embedder)["layers.0.mlp.up_proj.weight"]}
    )
    monkeypatch.chdir(embedder.parent)
    assert run(["quantize", "embedder", "-o", "out", "-q"]) == 0
    out = embedder.parent / "out"
    assert json.loads((out / "1_Pooling/config.json").read_text()) == {"pooling_mode_lasttoken": True}
    dense = f"2_Dense/{SINGLE}"
    assert (out / dense).read_bytes() == (embedder / dense).read_bytes()
    assert errors(out) == set()


@pytest.mark.parametrize("tied", [False, True])
def test_a_head_that_vllm_drops_is_not_quantized_unless_one_insists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tied: bool
) -> None:
    pooled(tiny_checkpoint(tmp_path / "model", tied=tied))
    monkeypatch.chdir(tmp_path)
    assert run(["quantize", "model", "--include-lm-head", "--dry-run"]) == 1
    assert "an embedding model of it, as modules.json asks" in capsys.readouterr().err
    assert run(["quantize", "model", "--include-lm-head", "--allow-unsupported-head", "--dry-run"]) == 0
