"""The head is found under the names that models give it, tied or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ctq.checkpoint.config import ModelConfig
from ctq.checkpoint.header import TensorInfo
from ctq.recipe.heads import find_head

VOCAB = 320


def tensors(names: Iterable[str]) -> dict[str, TensorInfo]:
    return {name: TensorInfo(name, "BF16", (VOCAB, 128), 0, 0) for name in names}


def config(architecture: str = "LlamaForCausalLM", **keys: Any) -> ModelConfig:
    return ModelConfig({"architectures": [architecture], "vocab_size": VOCAB, **keys})


@pytest.mark.parametrize(
    ("embedding", "head"),
    [
        ("model.embed_tokens", "lm_head"),
        ("language_model.model.embed_tokens", "language_model.lm_head"),
        ("language_model.embed_tokens", "language_model.lm_head"),
        ("model.language_model.embed_tokens", "lm_head"),
        ("gpt_neox.embed_in", "embed_out"),
        ("transformer.embedding.word_embeddings", "transformer.output_layer"),
        ("model.tok_embeddings", "output"),
        ("transformer.wte", "lm_head"),
    ],
)
def test_an_own_head_is_found_beside_its_embedding(embedding: str, head: str) -> None:
    found = find_head(config(tie_word_embeddings=True), tensors([f"{embedding}.weight", f"{head}.weight"]))
    assert found is not None
    assert (found.name, found.tensor, found.embedding) == (head, f"{head}.weight", f"{embedding}.weight")
    assert not found.tied, "a head in the files is the head, whatever the flag says"


@pytest.mark.parametrize(
    ("embedding", "keys", "name"),
    [
        ("model.embed_tokens", {}, "lm_head"),
        ("gpt_neox.embed_in", {"model_type": "gpt_neox"}, "embed_out"),
        ("thinker.model.embed_tokens", {"model_type": "qwen3_asr"}, "thinker.lm_head"),
        ("model.language_model.embed_tokens", {"model_type": "qwen3_asr"}, "language_model.lm_head"),
        ("language_model.model.embed_tokens", {}, "language_model.lm_head"),
        ("model.language_model.embed_tokens", {}, "lm_head"),
    ],
)
@pytest.mark.parametrize("flag", [True, None])
def test_a_tied_head_gets_the_name_that_engines_load(
    embedding: str, keys: dict[str, str], name: str, flag: bool | None
) -> None:
    flags = {} if flag is None else {"tie_word_embeddings": flag}
    found = find_head(config(**keys, **flags), tensors([f"{embedding}.weight"]))
    assert found is not None
    assert found.tied
    assert found.name == name


def test_no_head_where_the_config_unties_and_the_files_hold_none() -> None:
    assert find_head(config(tie_word_embeddings=False), tensors(["model.embed_tokens.weight"])) is None


def test_no_head_in_an_embedding_model() -> None:
    assert find_head(config("BertModel"), tensors(["embeddings.word_embeddings.weight"])) is None


@pytest.mark.parametrize("task", ["ForSequenceClassification", "ForTokenClassification", "ForRewardModeling"])
def test_no_tied_head_in_a_model_that_classifies(task: str) -> None:
    assert find_head(config(f"Llama{task}", tie_word_embeddings=True), tensors(["model.embed_tokens.weight"])) is None


def test_an_embedding_of_another_name_is_told_by_its_rows() -> None:
    names = tensors(["transformer.w.weight"])
    found = find_head(config("CTRLLMHeadModel", tie_word_embeddings=True), names)
    assert found is not None
    assert found.embedding == "transformer.w.weight"
    ambiguous = names | tensors(["transformer.v.weight"])
    assert find_head(config("CTRLLMHeadModel", tie_word_embeddings=True), ambiguous) is None


def test_an_embedding_that_is_no_matrix_is_no_head() -> None:
    embedding = TensorInfo("model.embed_tokens.weight", "BF16", (VOCAB, 128, 1, 1), 0, 0)
    assert find_head(config(tie_word_embeddings=True), {embedding.name: embedding}) is None


def test_an_output_layer_without_the_vocabulary_is_no_head() -> None:
    names = tensors(["model.embed_tokens.weight"])
    names["model.layers.0.attention.output.weight"] = TensorInfo(
        "model.layers.0.attention.output.weight", "BF16", (128, 128), 0, 0
    )
    found = find_head(config(tie_word_embeddings=True), names)
    assert found is not None
    assert found.tied


def test_draft_heads_are_not_the_head() -> None:
    found = find_head(config(), tensors(["model.embed_tokens.weight", "mtp.lm_head.weight", "lm_head.weight"]))
    assert found is not None
    assert found.name == "lm_head"
    assert found.others == ("mtp.lm_head",)


def test_a_quantized_head_is_found_too() -> None:
    found = find_head(config(), tensors(["model.embed_tokens.weight", "lm_head.weight_packed"]))
    assert found is not None
    assert found.tensor == "lm_head.weight_packed"


def test_a_name_that_the_body_has_too_is_targeted_whole() -> None:
    names = tensors(["model.tok_embeddings.weight", "output.weight"])
    names["model.layers.0.attention.output.weight"] = TensorInfo(
        "model.layers.0.attention.output.weight", "BF16", (128, 128), 0, 0
    )
    found = find_head(config(), names)
    assert found is not None
    assert found.targets == ("re:.*lm_head$", "re:output$")


@pytest.mark.parametrize(("name", "count"), [("lm_head", 1), ("embed_out", 2)])
def test_targets_name_the_head_and_its_own_name_where_that_differs(name: str, count: int) -> None:
    found = find_head(config(), tensors(["x.embed_tokens.weight", f"{name}.weight"]))
    assert found is not None
    assert found.targets[0] == "re:.*lm_head$"
    assert len(found.targets) == count
