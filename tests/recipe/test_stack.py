"""Where the language model lies among several, told from its embedding and layers."""

from __future__ import annotations

import pytest

from ctq.checkpoint.config import ModelConfig
from ctq.checkpoint.header import TensorInfo
from ctq.recipe.classify import classify_all
from ctq.recipe.kinds import Kind
from ctq.recipe.match import matches_name
from ctq.recipe.stack import find_stack

TEXT = (
    "model.language_model.embed_tokens",
    "model.language_model.layers.0.mlp.up_proj",
    "model.language_model.project",
)
FLAT = ("model.embed_tokens", "model.layers.0.mlp.up_proj")


@pytest.mark.parametrize(
    ("names", "module", "part"),
    [
        (TEXT, "model.language_model.layers.1.mlp.up_proj", None),
        (TEXT, "model.language_model.project", None),
        (TEXT, "model.encodec.layers.0.fc1", "model.encodec"),
        (TEXT, "perceiver.fc1", "perceiver"),
        (("language_model.embed_tokens", "language_model.layers.0.fc"), "model.listener.layers.0.fc1", "model.listener"),
        (("language_model.embed_tokens", "language_model.layers.0.fc"), "language_model.model.layers.0.up", None),
        (FLAT, "model.fc", None),
        ((*FLAT, "model.encodec.layers.0.fc1"), "model.encodec.layers.0.fc1", "model.encodec"),
        ((*FLAT, "model.encodec.layers.0.fc1"), "model.layers.7.mlp.up_proj", None),
        (("transformer.embedding.word_embeddings", "transformer.encoder.layers.0.mlp.fc"), "transformer.glance.proj", None),
        (("shared", "encoder.block.0.layer.0.wo", "decoder.block.0.layer.0.wo"), "encoder.block.0.layer.0.wo", None),
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_named(names: tuple[str, ...], module: str, part: str | None) -> None:
    stack = find_stack(names)
    assert stack is not None
    assert stack.outsider(module) == part


def test_without_an_embedding_or_layers_nothing_tells() -> None:
    assert find_stack(("model.layers.0.fc",)) is None
    assert find_stack(("model.embed_tokens", "lm_head")) is None


@pytest.mark.parametrize("config", [{"text_config": {"vocab_size": 64}}, {"vocab_size": 64, "audio_config": {}}])
def test_a_part_of_an_unknown_name_stays_dense_and_is_ignored(config: dict[str, object]) -> None:
    names = (*FLAT, "model.encodec.layers.0.fc1")
    tensors = {f"{name}.weight": TensorInfo(f"{name}.weight", "BF16", (64, 32), 0, 0) for name in names}
    found = classify_all(ModelConfig({"model_type": "unheard", **config}), tensors)
    assert found["model.layers.0.mlp.up_proj.weight"].kind is Kind.LINEAR
    assert found["model.encodec.layers.0.fc1.weight"].kind is Kind.TOWER
    assert found["model.encodec.layers.0.fc1.weight"].ignore is not None
    for name in ("model.encodec.layers.0.fc1", "encodec.layers.0.fc1", "vpm.layers.0.fc1"):
        assert matches_name(name, found["model.encodec.layers.0.fc1.weight"].ignore)
    assert not matches_name("model.layers.0.mlp.up_proj", found["model.encodec.layers.0.fc1.weight"].ignore)


def test_an_embedding_of_any_name_is_known_by_its_rows() -> None:
    tensors = {"transformer.w.weight": TensorInfo("transformer.w.weight", "BF16", (64, 32), 0, 0)}
    assert classify_all(ModelConfig({"vocab_size": 64}), tensors)["transformer.w.weight"].kind is Kind.EMBEDDING
