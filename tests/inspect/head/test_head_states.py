"""The state of the head: the files against the config by compressed-tensors' own matching, whatever the head is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import breaking as do
import pytest
from builders import edit_tensors, rename_tensor, tiny_checkpoint, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import head_json, inspect_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CASES: list[tuple[str, Mapping[str, Any], do.Change, str, str]] = [
    ("target names it", {}, do.steps(), "quantized", "stored quantized, matched by `re:.*lm_head$`"),
    ("only Linear", {}, do.targets("Linear"), "quantized", "stored quantized, matched by `Linear`"),
    ("exact name", {}, do.targets("lm_head", "Linear"), "quantized", "stored quantized, matched by `lm_head`"),
    ("no target", {}, do.targets("re:.*proj$"), "broken", "no target matches"),
    ("engine's class", {}, do.targets("ParallelLMHead", "re:.*proj$"), "broken", "no target matches"),
    ("ignored", {}, do.ignore("lm_head"), "broken", "in `ignore` (`lm_head`)"),
    ("ignored by class", {"head": "dense"}, do.ignore("Linear"), "dense", "stored dense, ignored by `Linear`"),
    ("dense, ignored", {"head": "dense"}, do.steps(), "dense", "stored dense, ignored by `re:.*lm_head$`"),
    ("dense, untargeted", {"head": "dense"}, do.targets("re:.*proj$"), "dense", "stored dense, ignored by `re:.*lm_head$`"),
    ("dense, targeted", {"head": "dense"}, do.ignore(), "broken", "BF16 weight, but target `Linear` declares it quantized"),
    ("tied", {"head": "tied"}, do.steps(), "tied", "no tensors of its own: tied to model.embed_tokens.weight"),
    ("tied under Linear", {"head": "tied"}, do.ignore(), "tied", "no tensors of its own: tied to model.embed_tokens.weight"),
    (
        "tied but named",
        {"head": "tied"},
        do.steps(do.ignore(), do.targets("re:.*lm_head$", "Linear")),
        "broken",
        "target `re:.*lm_head$` declares it quantized, but the files hold no tensors for it (tied to model.embed_tokens.weight)",
    ),
    ("no scale", {}, do.drop("lm_head.weight_scale"), "broken", "I8 weight but no weight_scale"),
    ("no weight", {}, do.drop("lm_head.weight"), "broken", "weight_scale but no weight"),
    ("no config", {}, do.without_config("quantization_config"), "broken", "stored quantized, but config.json has no quantization_config"),
    ("by GPTQ", {"kind": "gptq", "head": "dense"}, do.steps(), "dense", "stored dense by gptq"),
]  # fmt: skip


def head(folder: Path) -> dict[str, Any]:
    return head_json(inspect_checkpoint(open_checkpoint(LocalFolder(folder))).facts.head)


@pytest.mark.parametrize(
    ("build", "change", "state", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_state_and_reason(build: Mapping[str, Any], change: do.Change, state: str, reason: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, **build)
    change(folder)
    found = head(folder)
    assert (found["state"], found["reason"]) == (state, reason)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("language_model.lm_head", {}),
        ("model.lm_head", {}),
        ("embed_out", {"model_type": "gpt_neox"}),
        ("output", {"model_type": "internlm2"}),
        ("transformer.output_layer", {"model_type": "chatglm"}),
    ],
)
def test_a_head_is_found_under_its_other_names(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="w8a16")
    for part in ("weight_packed", "weight_scale", "weight_shape"):
        rename_tensor(folder, f"lm_head.{part}", f"{name}.{part}")
    do.config(**config)(folder)
    do.targets(f"re:.*{name.rpartition('.')[2]}$", "Linear")(folder)
    found = head(folder)
    assert (found["name"], found["state"], found["scheme"]) == (name, "quantized", "int8 group 128")
    assert found["tensors"] == [f"{name}.{part}" for part in ("weight_packed", "weight_scale", "weight_shape")]


def test_a_model_without_a_head_has_none(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    do.config(architectures=["LlamaModel"])(folder)
    edit_tensors(folder, lambda tensors: tensors.pop("lm_head.weight"))
    assert head(folder) == {
        "name": None,
        "state": "absent",
        "scheme": None,
        "format": None,
        "matched_target": None,
        "ignored_by": None,
        "tensors": [],
        "reason": "the model has no head",
    }


@pytest.mark.parametrize("break_it", [do.truncate, lambda folder: do.shards(folder)[-1].unlink()], ids=["cut", "lost"])
def test_a_head_that_may_lie_in_a_file_that_is_not_read_is_no_lack_of_the_model(
    tmp_path: Path, break_it: do.Change
) -> None:
    folder = tiny_checkpoint(tmp_path)
    break_it(folder)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    assert (report.facts.head.state, report.facts.head.reason) == (
        "absent",
        "the files that could be read do not show it",
    )
    assert {found.outcome for found in report.facts.engines} == {("unknown", "not all files could be read")}


def test_a_head_in_the_files_is_the_head_whatever_the_flag_says(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    do.config(tie_word_embeddings=True)(folder)
    assert head(folder)["state"] == "quantized"
