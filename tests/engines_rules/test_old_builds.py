"""The rules by version against what older releases of vLLM, really installed, made of the same checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from old_build_cases import cases, make

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]

ANSWERS: Final = json.loads(Path(__file__).with_name("old_builds.json").read_text())
RELEASES: Final = tuple(ANSWERS)


def test_the_releases_are_those_at_the_edges() -> None:
    assert {"0.19.1", "0.20.2", "0.28.0"} <= set(RELEASES)
    assert all(len(answers) >= 20 for answers in ANSWERS.values())


@pytest.mark.parametrize("case", cases(), ids=" / ".join)
def test_inspection_foretells_what_each_release_does(
    checkpoint: CheckpointFactory, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    folder = make(case, checkpoint(case[0]), tmp_path / "m")
    options = InspectOptions(engines=tuple(EngineRequest("vllm", release) for release in RELEASES))
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), options)
    said = {item.version: item.outcome.verdict for item in report.facts.engines}
    seen = {release: ANSWERS[release].get(" / ".join(case)) for release in RELEASES}
    assert {release: said[release] for release in RELEASES if seen[release]} == {k: v for k, v in seen.items() if v}
