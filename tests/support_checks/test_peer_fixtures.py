"""Outputs of other tools come back from their stored headers as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from peer_fixtures import FIXTURES, capture, load_fixture, load_outcomes, materialise
from safetensors import safe_open

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", FIXTURES)
def test_materialised_folder_has_the_stored_headers(name: str, tmp_path: Path) -> None:
    fixture = load_fixture(name)
    folder = materialise(name, tmp_path / "m")
    assert capture(folder, fixture["made_by"]) == fixture
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            assert set(file.keys()) == {row[0] for row in fixture["files"][path.name]["tensors"]}


def test_the_cases_that_the_inspector_is_judged_on_are_there() -> None:
    for tool in ("oneshot", "modelfree"):
        for source in ("llama", "llama-tied"):
            for scheme in ("w8a8", "w8a16"):
                assert {f"{tool}-{source}-{scheme}-head", f"{tool}-{source}-{scheme}-nohead"} <= set(FIXTURES)
    config = load_fixture("modelfree-llama-w8a8-head")["config"]["quantization_config"]
    assert [group["targets"] for group in config["config_groups"].values()] == [["Linear"]]
    assert "compressor-llama-w8a8-head" in FIXTURES
    assert len(json.dumps([load_fixture(name) for name in FIXTURES])) < 300_000


def test_every_stored_output_has_the_engine_s_outcome() -> None:
    outcomes = load_outcomes()
    assert set(outcomes) == set(FIXTURES)
    assert outcomes["modelfree-llama-w8a8-head"]["outcome"] == "refused"
    assert [head["quantized"] for head in outcomes["compressor-llama-w8a8-head"]["heads"]] == [True]
