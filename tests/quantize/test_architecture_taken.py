"""Configs that name no architecture, or first one that nobody knows: planned, served and verified as the class that vLLM takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import edit_config, tiny_checkpoint
from quantizing import plan_of, quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import ExitCode, PlanError
from ctq.findings import Severity
from ctq.inspect.report import Report, inspect_checkpoint
from ctq.quantize.plan import Plan
from ctq.recipe.recipe import Recipe
from ctq.verify.engine_names import EngineName
from ctq.verify.report import Verdict
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

CheckpointFactory = Callable[..., Path]
Change = Callable[[dict[str, Any]], object]
NOT_PLAIN: dict[str, Change] = {
    "missing": lambda config: config.pop("architectures"),
    "empty": lambda config: config.update(architectures=[]),
    "behind an unknown one": lambda config: config["architectures"].insert(0, "FooForCausalLM"),
    "of another ending": lambda config: config.update(architectures=["LlamaLMHeadModel"]),
}


@pytest.fixture(params=["with a head", "tied"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A Llama; a tied one says nothing of it, so that its architecture alone tells that it has a head."""
    is_tied = request.param == "tied"
    folder = tiny_checkpoint(tmp_path / "plain", tied=is_tied)
    edit_config(folder, lambda config: config.pop("tie_word_embeddings", None) if is_tied else None)
    return folder


@pytest.mark.parametrize("way", NOT_PLAIN)
def test_the_plan_is_that_of_the_plain_config(plain: Path, way: str) -> None:
    wanted = plan_of(plain)
    edit_config(plain, NOT_PLAIN[way])
    plan = plan_of(plain)
    assert plan.head == wanted.head
    assert plan.head.state == "quantized"
    assert not any("may not be dispatched" in note for note in plan.notes)
    assert plan.notes == wanted.notes
    assert plan.decisions == wanted.decisions
    assert plan.quantization_config == wanted.quantization_config
    assert plan.files == wanted.files
    assert plan.source.config.architecture == "LlamaForCausalLM"


@pytest.mark.parametrize("way", NOT_PLAIN)
def test_the_result_is_judged_alike_and_keeps_its_own_names(plain: Path, tmp_path: Path, way: str) -> None:
    quantize(plain, tmp_path / "wanted")
    edit_config(plain, NOT_PLAIN[way])
    own = named_in(plain)
    quantize(plain, tmp_path / "q")
    assert named_in(tmp_path / "q") == own
    assert verdicts(tmp_path / "q") == verdicts(tmp_path / "wanted")
    report = verify(
        VerifyRequest(checkpoint=tmp_path / "q", reference=plain, engines=(EngineName("builtin"),), tokens=4, workers=1)
    )
    assert report.verdict is Verdict.PASS
    assert report.numeric.weights is not None
    assert report.numeric.weights.recomputed
    assert [run.against for run in report.numeric.logits] == ["dequantized", "reference"]


def test_a_base_model_that_has_no_place_for_a_head_is_refused_with_the_reason(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = changed(checkpoint("cohere"), tmp_path / "m", NOT_PLAIN["missing"])
    with pytest.raises(
        PlanError, match="CohereModel, which vLLM takes by the model type, is the model without a head"
    ) as error:
        plan_of(folder)
    assert [problem.exit_code for problem in error.value.problems] == [ExitCode.NOT_GOOD]
    quantize(folder, tmp_path / "dense", Recipe(lm_head=False))
    assert errors(tmp_path / "dense") == set()
    assert any("CohereModel" in note for note in plan_of(folder, allow=True).notes)


def test_a_type_that_stands_for_no_class_only_warns(plain: Path) -> None:
    edit_config(plain, lambda config: config.update(model_type="wonder", tie_word_embeddings=True, architectures=None))
    plan: Plan = plan_of(plain)
    assert any("may not be dispatched" in note for note in plan.notes)
    assert plan.source.config.architecture is None


def changed(folder: Path, to: Path, change: Change) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    edit_config(to, change)
    return to


def named_in(folder: Path) -> object:
    return json.loads((folder / "config.json").read_text()).get("architectures", "nothing")


def inspected(folder: Path) -> Report:
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder)))


def verdicts(folder: Path) -> list[tuple[str, str]]:
    return [(verdict.engine, verdict.outcome.verdict) for verdict in inspected(folder).facts.engines]


def errors(folder: Path) -> set[str]:
    return {finding.code for finding in inspected(folder).findings if finding.severity is Severity.ERROR}
