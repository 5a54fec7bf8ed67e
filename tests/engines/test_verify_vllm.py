"""`ctq verify --engine vllm` with the real engine: the whole way from options to the report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import breaking as do
import pytest
from builders import tiny_checkpoint, tiny_quantized
from quantizing import quantize

from ctq.recipe.recipe import BodyGroup, Recipe
from ctq.recipe.schemes import SCHEMES
from ctq.verify.engine_names import EngineName, parse_engine
from ctq.verify.report import Status, Verdict, VerifyReport
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

pytestmark = pytest.mark.engine

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(folder: Path, python: Path, engine: str = "vllm", **request: Any) -> VerifyReport:
    engines = (EngineName("builtin"), parse_engine(engine))
    return verify(VerifyRequest(checkpoint=folder, engines=engines, vllm_python=str(python), **request))


def test_a_result_passes_and_the_builtin_engine_agrees(tmp_path: Path, vllm_python: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m")
    found = run(tmp_path / "m", vllm_python, reference=reference, tensor_parallel_size=2, generate=3)
    assert found.verdict is Verdict.PASS, found
    assert [item.code for item in found.findings] == ["VER019"]
    assert re.search(r"continued \d+ tokens with \d+, \d+, \d+$", found.findings[0].message)
    builtin, real = found.engines
    assert (builtin.quant_method, builtin.scheme) == (real.quant_method, real.scheme)
    assert {run.engine for run in found.numeric.logits} == {"builtin", "vllm"}


def test_nothing_of_ours_is_left_in_the_temporary_folder(
    tmp_path: Path, vllm_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)  # or the folder that was found before stays
    assert run(tmp_path / "m", vllm_python).verdict is Verdict.PASS
    assert [path.name for path in scratch.iterdir() if not path.name.startswith("torchinductor")] == []  # torch's cache


@pytest.mark.parametrize("scheme", ["W8A8", "W8A16"])
def test_only_the_head_is_quantized(tmp_path: Path, vllm_python: Path, scheme: str) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    head = BodyGroup(targets=("re:.*lm_head$",), scheme=SCHEMES[scheme])
    quantize(reference, tmp_path / "m", Recipe(body=(head,), lm_head=True))
    found = run(tmp_path / "m", vllm_python, reference=reference, expected="quantized")
    assert found.verdict is Verdict.PASS, found
    assert found.numeric.weights is not None
    assert list(found.numeric.weights.modules) == ["lm_head"]


@pytest.mark.parametrize(
    ("build", "change", "expected"),
    [
        ({"kind": "w8a16"}, None, "quantized"),
        ({"head": "dense"}, None, "quantized"),
        ({}, do.targets("Linear"), "quantized"),
        ({}, do.drop("lm_head.weight_scale"), "quantized"),
        ({}, do.put("lm_head.weight", do.codes("I8", 256, 128)), "quantized"),
    ],
    ids=["healthy W8A16", "dense head", "only Linear", "no scale", "wrong rows"],
)
def test_builtin_and_vllm_say_the_same(
    tmp_path: Path, vllm_python: Path, build: dict, change: Any, expected: Any
) -> None:
    folder = tiny_quantized(tmp_path / "m", **build)
    if change is not None:
        change(folder)
    builtin, real = run(folder, vllm_python, expected=expected).engines
    assert builtin.status is real.status, (builtin, real)
    assert real.status is (Status.PASS if change is None and not build.get("head") else Status.FAIL)


def test_another_version_than_the_one_that_is_there(tmp_path: Path, vllm_python: Path) -> None:
    report = run(tiny_quantized(tmp_path / "m"), vllm_python, "vllm==0.20.0").engines[1]
    assert report.status is Status.UNAVAILABLE
    assert "name another interpreter with --vllm-python" in (report.error or "")


def test_the_example_script(tmp_path: Path, vllm_python: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", EXAMPLES / "verify_with_vllm.sh", tiny_quantized(tmp_path / "m"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "VLLM_PYTHON": str(vllm_python)},
    )
    assert done.returncode == 0, done.stderr
    assert [engine["status"] for engine in json.loads(done.stdout)["engines"]] == ["pass", "pass"]
