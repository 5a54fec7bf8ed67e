"""Real checkpoints of many families: transformers loads the result and answers as before, and the weights are where they belong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import all_tensors
from families import FAMILIES, build
from quantizing import folder_bytes, plan_of, quantize
from sweep_loader_claims import said_of

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import PlanError
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.recipe.recipe import Recipe, default_body
from ctq.recipe.schemes import SCHEMES

CheckpointFactory = Callable[..., Path]

DENSE = [
    "llama",
    "llama-tied",
    "llama-odd-vocab",
    "qwen2",
    "qwen3-tied",
    "phi3",
    "gemma3",
    "gpt-neox",
    "falcon",
    "qwen2.5-vl",
]
MOE = ["qwen3-moe", "mixtral", "deepseek-v3"]
NO_HEAD = ["opt"]
NOT_LOADED = {
    ("falcon", "W8A16"): "it reads the weight of a packed layer while it builds the model",
    ("gpt-bigcode", "W8A16"): "the same",
    ("qwen3-moe", "W8A8"): "it takes packed experts apart, and FP8 ones",
    ("granite-moe", "W8A16"): "it knows no single experts there",
}
"""What transformers does not load of what vLLM does."""
CASES = [
    case
    for case in [(family, scheme) for family in DENSE for scheme in ("W8A8", "W8A16")]
    + [(family, "W8A16") for family in MOE]
    if case not in NOT_LOADED
]


def recipe_for(family: str, scheme: str) -> Recipe:
    return Recipe(body=default_body(SCHEMES[scheme]), lm_head=family not in NO_HEAD)


def logits(folder: Path, family: str) -> np.ndarray:
    import torch
    import transformers

    model = getattr(transformers, FAMILIES[family].architecture).from_pretrained(folder, dtype=torch.bfloat16)
    tokens = torch.arange(3, 35).reshape(2, 16)
    with torch.no_grad():
        found: np.ndarray = model(input_ids=tokens).logits.float().numpy()
    return found


@pytest.mark.filterwarnings("ignore")
def test_transformers_finds_a_dense_projector_that_it_gives_another_name(tmp_path: Path) -> None:
    import transformers

    source = build(
        "PaddleOCRVLForConditionalGeneration", tmp_path / "dense"
    )  # `mlp_AR` in the files, `projector` there
    quantize(source, tmp_path / "result", recipe_for("PaddleOCR-VL", "W8A8"))
    kind = transformers.PaddleOCRVLForConditionalGeneration
    _, info = kind.from_pretrained(tmp_path / "result", output_loading_info=True)
    assert not info["missing_keys"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "scheme"), [*CASES, *((family, "W8A8") for family in NO_HEAD)])
def test_transformers_answers_as_before(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, scheme: str
) -> None:
    source = checkpoint(family)
    quantize(source, tmp_path / "out", recipe_for(family, scheme))
    before, after = logits(source, family), logits(tmp_path / "out", family)
    cosines = (before * after).sum(-1) / (np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1))
    slopes = (before * after).sum(-1) / (before * before).sum(-1)
    # A router of random weights may send a token to another expert over a difference in the last bit: one in ten may differ.
    assert np.quantile(cosines, 0.1) > 0.99
    assert np.abs(np.median(slopes) - 1) < 0.02, "a uniformly wrong scale would leave the cosines alone"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "scheme"), NOT_LOADED)
def test_what_transformers_does_not_load_is_said_before_and_after(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, scheme: str
) -> None:
    source, recipe = checkpoint(family), recipe_for(family, scheme)
    assert any("not for transformers" in note for note in plan_of(source, recipe).notes)
    quantize(source, tmp_path / "out", recipe)
    assert not loads(tmp_path / "out", family)
    assert said_of(tmp_path / "out").is_bad
    assert "TEN030" not in {code.split()[0] for code in said_of(source).findings}
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "out")), InspectOptions())
    assert [item.severity for item in report.findings if item.code == "TEN030"] == [Severity.NOTE]


def loads(folder: Path, family: str) -> bool:
    """Whether transformers loads a checkpoint, and every key of its model from it."""
    import transformers

    model = getattr(transformers, FAMILIES[family].architecture)
    try:
        _, info = model.from_pretrained(folder, output_loading_info=True)
    except (RuntimeError, AttributeError):
        return False
    return not info["missing_keys"]


@pytest.mark.parametrize("family", [*DENSE, *MOE, "gemma3-mm"])
def test_what_is_not_quantized_goes_over_byte_for_byte(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str
) -> None:
    source = checkpoint(family)
    plan = plan_of(source)
    quantize(source, tmp_path / "out")
    before, after = all_tensors(source), all_tensors(tmp_path / "out")
    quantized = {decision.tensor for decision in plan.decisions.modules if decision.scheme} | {
        "lm_head.weight",
        "embed_out.weight",
    }
    kept = before.keys() - quantized
    assert kept
    for name in kept:
        assert after[name] == before[name], name
    for name in quantized & before.keys():
        assert f"{name}_scale" in after, name


@pytest.mark.parametrize("family", ["llama", "qwen3-moe"])
def test_a_second_run_is_identical(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> None:
    quantize(checkpoint(family), tmp_path / "a")
    quantize(checkpoint(family), tmp_path / "b")
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")


def test_routers_and_their_scales_stay_dense(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())["quantization_config"]
    assert any("gate" in pattern for pattern in config["ignore"])
    assert "model.layers.0.mlp.gate.weight_scale" not in all_tensors(tmp_path / "out")


def test_gpt2_has_no_linear_layers_but_a_head(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("gpt2"), tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())["quantization_config"]
    assert [group["targets"] for group in config["config_groups"].values()] == [["re:.*lm_head$"]]
    with pytest.raises(PlanError, match="nothing to quantize") as refusal:
        plan_of(checkpoint("gpt2"), Recipe(lm_head=False))
    assert refusal.value.problems[0].hint == (
        "left dense: 8 (transposed Conv1D weight [in, out]); --include-lm-head quantizes the head by itself"
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["biogpt", "ModernBertDecoderForCausalLM", "T5Gemma2ForConditionalGeneration"])
def test_a_tied_head_of_another_name_in_transformers_is_ignored_under_it_and_said_where_it_is_quantized(
    tmp_path: Path, family: str
) -> None:
    import transformers

    source = build(family, tmp_path / "dense")
    quantize(source, tmp_path / "in", Recipe(body=default_body(SCHEMES["W8A8"]), lm_head=True))
    assert "lm_head.weight_scale" in all_tensors(tmp_path / "in")
    assert said_of(tmp_path / "in").is_bad
    quantize(source, tmp_path / "out", Recipe(body=default_body(SCHEMES["W8A8"]), lm_head=False))
    kind = getattr(transformers, json.loads((source / "config.json").read_text())["architectures"][0])
    model, info = kind.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert getattr(model.get_output_embeddings(), "quantization_scheme", None) is None
    said = said_of(tmp_path / "out")
    assert said.verdict not in ("fails", "garbage")
    assert not said.findings or family.startswith("ModernBert")  # vLLM refuses the words of its head


@pytest.mark.filterwarnings("ignore")
def test_a_q_former_with_words_of_its_own_is_not_taken_for_the_language_model(tmp_path: Path) -> None:
    quantize(build("InstructBlipForConditionalGeneration", tmp_path / "dense"), tmp_path / "out", Recipe(lm_head=True))
    tensors = all_tensors(tmp_path / "out")
    assert "language_model.lm_head.weight_scale" in tensors
    assert "language_model.model.decoder.layers.0.self_attn.q_proj.weight_scale" in tensors
    assert not [name for name in tensors if name.startswith("qformer.") and name.endswith("_scale")]
