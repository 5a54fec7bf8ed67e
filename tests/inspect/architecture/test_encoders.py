"""Encoders, embedding models and classifiers of theirs: no head to prove, and yet vLLM refuses what is broken in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, all_tensors, edit_config, edit_tensors
from inspecting import errors

from ctq.checkpoint.config import ModelConfig
from ctq.engines.skeletons.find import skeleton_of

CheckpointFactory = Callable[..., Path]
Tensors = dict[str, Raw]

SERVED = (
    *("BertModel", "RobertaModel", "XLMRobertaModel", "ModernBertModel", "ElectraModel", "EuroBertModel"),
    *("BertForSequenceClassification", "XLMRobertaForSequenceClassification", "ModernBertForSequenceClassification"),
    *("BertForMaskedLM", "BertForTokenClassification"),
)
"""Some of those that vLLM 0.32.0 serves, by its own classes and by its backend."""
BERTS = ("BertModel", "RobertaModel", "ElectraModel", "BertForSequenceClassification")


def copy(source: Path, tmp_path: Path, change: Callable[[Tensors], object]) -> Path:
    folder = shutil.copytree(source, tmp_path / "copy")
    edit_tensors(folder, change)
    return folder


def renamed(change: Callable[[str], str]) -> Callable[[Tensors], object]:
    def rename(tensors: Tensors) -> None:
        for name in list(tensors):
            tensors[change(name)] = tensors.pop(name)

    return rename


def integers(length: int) -> Raw:
    return Raw("I64", (1, length), bytes(8 * length))


def of_rows(tensor: Raw, rows: int) -> Raw:
    row = len(tensor.data) // tensor.shape[0]
    return Raw(tensor.dtype, (rows, *tensor.shape[1:]), (bytes(tensor.data) * rows)[: rows * row])


@pytest.mark.parametrize("name", SERVED)
def test_a_healthy_one(checkpoint: CheckpointFactory, name: str) -> None:
    assert errors(checkpoint(name)) == set()


@pytest.mark.parametrize("name", SERVED)
def test_a_tensor_of_a_layer_that_is_missing_misspelt_or_cut(
    checkpoint: CheckpointFactory, tmp_path: Path, name: str
) -> None:
    source = checkpoint(name)
    tensor = next(one for one in all_tensors(source) if ".1." in one and len(all_tensors(source)[one].shape) > 1)
    assert errors(copy(source, tmp_path / "gone", lambda tensors: tensors.pop(tensor)))
    assert errors(copy(source, tmp_path / "cut", lambda tensors: tensors.update({tensor: of_rows(tensors[tensor], 7)})))
    misspelt = copy(source, tmp_path / "name", renamed(lambda one: f"{one}s" if one == tensor else one))
    assert errors(misspelt) & {"TEN024", "TEN025"}


@pytest.mark.parametrize("name", BERTS)
def test_what_older_files_hold_and_call_otherwise(checkpoint: CheckpointFactory, tmp_path: Path, name: str) -> None:
    source = checkpoint(name)
    words = next(one for one in all_tensors(source) if one.endswith("word_embeddings.weight"))
    place = words.replace("word_embeddings.weight", "position_ids")
    assert errors(copy(source, tmp_path / "ids", lambda tensors: tensors.update({place: integers(256)}))) == set()
    tensorflow = renamed(lambda one: one.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"))
    assert errors(copy(source, tmp_path / "gamma", tensorflow)) == set()


@pytest.mark.parametrize(
    ("name", "prefix", "taken"),
    [
        ("BertModel", "model.", True),
        ("BertModel", "bert.", False),
        ("RobertaModel", "roberta.", True),
        ("RobertaModel", "model.", False),
        ("ElectraModel", "model.", True),
        ("ElectraModel", "roberta.", False),
    ],
)
def test_the_body_of_another_name(
    checkpoint: CheckpointFactory, tmp_path: Path, name: str, prefix: str, taken: bool
) -> None:
    assert (errors(copy(checkpoint(name), tmp_path, renamed(lambda one: f"{prefix}{one}"))) == set()) is taken


@pytest.mark.parametrize(
    ("name", "code"), [("BertModel", None), ("XLMRobertaModel", None), ("CamembertModel", "TEN025")]
)
def test_what_pools_is_needed_where_the_backend_builds_it(
    checkpoint: CheckpointFactory, tmp_path: Path, name: str, code: str | None
) -> None:
    def unpool(tensors: Tensors) -> None:
        for one in [one for one in tensors if one.startswith("pooler.")]:
            tensors.pop(one)

    assert errors(copy(checkpoint(name), tmp_path, unpool)) == ({code} if code else set())


def test_bert_base_as_it_was_published(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """The masked language model's files hold what pools, and a second head."""

    def publish(tensors: Tensors) -> None:
        hidden = tensors["bert.embeddings.LayerNorm.weight"]
        square = next(raw for name, raw in tensors.items() if name.endswith("self.query.weight"))
        tensors |= {"bert.pooler.dense.weight": square, "bert.pooler.dense.bias": hidden}
        tensors |= {"cls.seq_relationship.weight": of_rows(square, 2), "cls.seq_relationship.bias": of_rows(hidden, 2)}

    assert errors(copy(checkpoint("BertForMaskedLM"), tmp_path, publish)) == set()


@pytest.mark.parametrize(
    "name", ["BertForSequenceClassification", "XLMRobertaForSequenceClassification", "ModernBertForTokenClassification"]
)
def test_classes_are_counted(checkpoint: CheckpointFactory, tmp_path: Path, name: str) -> None:
    names = {"0": "no", "1": "maybe", "2": "yes"}

    def three(config: dict[str, Any]) -> None:
        config.update(id2label=names, label2id={word: int(number) for number, word in names.items()})

    folder = shutil.copytree(checkpoint(name), tmp_path / "two")
    edit_config(folder, three)
    assert errors(folder) == {"TEN026"}
    outputs = [one for one in all_tensors(folder) if one.startswith("classifier.") and "dense" not in one]
    edit_tensors(folder, lambda tensors: tensors.update({one: of_rows(tensors[one], 3) for one in outputs}))
    assert errors(folder) == set()


def test_a_layer_more_than_the_config_counts(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("BertModel"), tmp_path / "short")
    edit_config(folder, lambda config: config.update(num_hidden_layers=1))
    assert "TEN024" in errors(folder)


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_the_width_of_a_head_that_the_config_leaves_out(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    edit_config(folder, lambda config: config.pop("head_dim", None))
    assert errors(folder) == set()
    key = "model.layers.0.self_attn.k_proj.weight"
    edit_tensors(folder, lambda tensors: tensors.update({key: of_rows(tensors[key], 7)}))
    assert "TEN026" in errors(folder)


def test_a_body_that_generates_is_no_encoder() -> None:
    """ChatGLM's class is called like a body, and its repository brings it."""
    config = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "auto_map": {"AutoModel": "modeling_chatglm.ChatGLM"},
    }
    skeleton = skeleton_of(ModelConfig(config))
    assert skeleton is not None
    assert "transformer.encoder.layers.#.self_attention.dense.weight" in skeleton.tensors
