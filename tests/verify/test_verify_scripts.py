"""The example scripts, run as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import breaking as do
import pytest
from builders import tiny_checkpoint, tiny_quantized

EXAMPLES = Path(__file__).parents[2] / "examples"


def script(name: str, *arguments: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script with this environment's ctq and python first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "COLUMNS": "80", **environment},
    )


def test_a_good_release_passes_every_gate(tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path / "model")
    done = script("release_gate.sh", model, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["passed: ctq quantize", "passed: ctq inspect", "passed: ctq verify"]
    assert done.stdout.splitlines()[3].startswith("builtin 0.33.0: lm_head runs as CompressedTensorsW8A8Int8 (")
    assert done.stdout.splitlines()[-1] == f"may be shipped: {tmp_path / 'out'}"
    verdict = json.loads((tmp_path / "out-reports" / "verify.json").read_text())
    assert (verdict["verdict"], verdict["numeric"]["weights"]["recomputed"]) == ("pass", True)


def test_a_head_that_no_engine_dispatches_stops_the_release(tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path / "model")
    do.config(architectures=["OPTForCausalLM"], model_type="opt")(model)
    done = script("release_gate.sh", model, tmp_path / "out")
    assert done.returncode == 1
    assert "release stopped by 'ctq quantize' (exit code 1)" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_stops_the_release(tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path / "model")
    tiny_quantized(tmp_path / "out")
    done = script("release_gate.sh", model, tmp_path / "out")
    assert done.returncode == 3
    assert "already exists" in done.stderr


def test_the_gate_needs_its_arguments(tmp_path: Path) -> None:
    done = script("release_gate.sh")
    assert (done.returncode, done.stderr) == (2, "usage: release_gate.sh MODEL OUT [REPORTS]\n")


def test_without_vllm_the_answer_is_open(tmp_path: Path) -> None:
    done = script("verify_with_vllm.sh", tiny_quantized(tmp_path / "m"), VLLM_PYTHON="/no/such/python")
    assert done.returncode == 3
    assert "/no/such/python: no such interpreter" in done.stdout


@pytest.mark.parametrize("name", ["release_gate.sh", "verify_with_vllm.sh"])
def test_scripts_stop_at_the_first_error(name: str) -> None:
    assert "\nset -euo pipefail\n" in (EXAMPLES / name).read_text()
    subprocess.run(["bash", "-n", EXAMPLES / name], check=True)
