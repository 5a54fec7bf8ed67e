"""The rules for SGLang against what its own source, at work on a CPU, made of the same heads (``benchmarks/sglang_source.py``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from sglang_cases import dispatches, loads

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.sglang.dispatch import sglang_scheme
from ctq.engines.sglang.heads import first_sglang
from ctq.engines.verdicts.head_facts import HeadFacts, HeadTensor
from ctq.engines.verdicts.verdict import head_verdict, newest_version
from ctq.engines.versions import version_key
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]

ANSWERS: Final = json.loads(Path(__file__).with_name("sglang_source.json").read_text())
RELEASES: Final = tuple(ANSWERS)
NEWEST: Final = newest_version("sglang")
LOADS: Final = loads()
W8A8: Final = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
PACKED: Final = {"weight_packed": HeadTensor("I32", (320, 32)), "weight_scale": HeadTensor("BF16", (320, 1))}
INT8: Final = {"weight": HeadTensor("I8", (320, 128)), "weight_scale": HeadTensor("BF16", (320, 1))}

UNDECIDED: Final = {"granite-hybrid": {"int8, tie flag", "packed, tie flag"}}
"""Probes that no verdict is given on: a class that ties the weights of some schemes only."""
BACKEND: Final = "Transformers"
"""Beginning of the names of classes that serve what SGLang has no class for."""


def test_the_releases_are_those_at_the_edges() -> None:
    assert {"0.5.18", "0.5.19", NEWEST} <= set(RELEASES)
    assert all(len(answers["loads"]) >= 80 for answers in ANSWERS.values())
    assert len(ANSWERS[NEWEST]["probes"]) >= 80


@pytest.mark.parametrize("name", LOADS)
def test_inspection_foretells_what_each_release_does(checkpoint: CheckpointFactory, tmp_path: Path, name: str) -> None:
    seen = {release: answers["loads"][name] for release, answers in ANSWERS.items() if name in answers["loads"]}
    folder = LOADS[name](tmp_path / "m", checkpoint)
    options = InspectOptions(engines=tuple(EngineRequest("sglang", release) for release in seen))
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), options)
    assert {item.version: item.outcome.verdict for item in report.facts.engines if item.version in seen} == seen


@pytest.mark.parametrize(
    "release", [release for release in RELEASES if version_key(release) >= version_key(first_sglang())]
)
def test_schemes_of_heads_are_those_of_the_source(release: str) -> None:
    wrong = {
        str(case): (said, answer)
        for case, answer in zip(dispatches(), ANSWERS[release]["dispatch"], strict=True)
        if (said := _scheme(case, release))
        != ("refused" if ":" in answer else answer.removeprefix("CompressedTensors"))
    }
    assert not wrong


def test_no_head_was_dispatched_before() -> None:
    assert {answer for answer in ANSWERS["0.5.18"]["dispatch"] if not answer.startswith("config:")} == {"none"}


def _scheme(case: dict[str, Any], release: str) -> str:
    try:
        found = sglang_scheme(case["config"], case["prefix"], release)
    except DispatchError:
        return "refused"
    return "none" if found is None else found[0]


@pytest.mark.parametrize("family", ANSWERS[NEWEST]["probes"])
def test_heads_of_architectures(family: str) -> None:
    seen = ANSWERS[NEWEST]["probes"][family]
    heads = {probe: word for probe, word in seen["heads"].items() if probe != "dense"}
    said = {probe: _verdict(seen, probe) for probe in heads}
    undecided = {probe for probe, word in said.items() if word == "unknown"}
    assert undecided == (set(heads) if seen["class"].startswith(BACKEND) else UNDECIDED.get(family, set()))
    assert {probe: word for probe, word in said.items() if probe not in undecided} == {
        probe: word for probe, word in heads.items() if probe not in undecided
    }


def test_the_backend_refuses_whatever_the_head_is() -> None:
    served = [seen["heads"] for seen in ANSWERS[NEWEST]["probes"].values() if seen["class"].startswith(BACKEND)]
    assert len(served) >= 15
    assert all(word == "fails" for heads in served for probe, word in heads.items() if probe != "dense")
    facts = HeadFacts(architecture="NoSuchForCausalLM", quantization={"quant_method": "compressed-tensors"})
    assert "refuses every compressed-tensors config" in head_verdict(facts, "sglang").reason


def _verdict(seen: dict[str, Any], probe: str) -> str:
    scheme, _, tied = probe.partition(", ")
    packed = scheme == "packed"
    group = {"targets": ["re:.*(lm_head|embed_out|proj_out)$"], "weights": W8A8}
    if not packed:
        group["input_activations"] = {**W8A8, "strategy": "token", "dynamic": True}
    form = "pack-quantized" if packed else "int-quantized"
    facts = HeadFacts(
        architecture=seen["architecture"],
        quantization={"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group}},
        name="lm_head",
        tensors=PACKED if packed else INT8,
        tie_flags={"": bool(tied)},
        vocab_size=320,
        hidden_size=128,
    )
    return head_verdict(facts, "sglang").verdict


def test_a_class_that_ties_nothing_has_no_head_where_the_files_hold_none() -> None:
    tied = HeadFacts(architecture="Qwen3MoeForCausalLM", tie_flags={"": True})
    assert head_verdict(tied, "sglang").verdict == ANSWERS[NEWEST]["probes"]["qwen3-moe-tied"]["heads"]["dense"]
    assert head_verdict(replace(tied, architecture="Lfm2ForCausalLM"), "sglang").verdict == "dense"
