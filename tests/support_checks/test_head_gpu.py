"""The benchmark of heads on a GPU: its arithmetic, its kernel where there is a device, and its one line where there is none."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, BENCHMARKS / "head_gpu.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def head(rows: int, columns: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-128, 128, (rows, columns), generator=generator, dtype=torch.int8)
    scale = 0.01 * torch.rand(rows, generator=generator)
    return weight.to(device), scale.to(device), (weight.double() * scale.double()[:, None]).to(device)


def device_or_skip() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def test_without_a_device_it_says_so_in_one_line() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    done = script()
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "no CUDA device is here: nothing was measured\n")


@pytest.mark.parametrize("tokens", [1, 3, 32, 40])
def test_the_integer_head_is_the_dense_one_but_for_rounded_activations(tokens: int) -> None:
    import torch

    w8a8 = runpy.run_path(str(BENCHMARKS / "head_gpu.py"))["w8a8"]
    weight, scale, dense = head(328, 128, "cpu")
    states = torch.randn(tokens, 128, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    expected = states.double() @ dense.T
    assert torch.linalg.norm(w8a8(states, weight, scale) - expected) < 0.02 * torch.linalg.norm(expected)


@pytest.mark.gpu
@pytest.mark.parametrize(("tokens", "rows", "columns"), [(1, 4096, 1024), (3, 333, 512), (17, 130, 384), (64, 64, 96)])
def test_the_weight_only_kernel_is_exact(tokens: int, rows: int, columns: int, monkeypatch: Any) -> None:
    device_or_skip()
    import torch

    monkeypatch.syspath_prepend(BENCHMARKS)
    from int8_head_kernel import TILINGS, int8_head  # type: ignore[import-not-found]

    weight, scale, dense = head(rows, columns, "cuda")
    states = torch.randn(tokens, columns, generator=torch.Generator().manual_seed(1)).to("cuda", torch.bfloat16)
    expected = states.double() @ dense.T
    for tiling in TILINGS:
        got = int8_head(states, weight, scale, tiling)
        assert torch.linalg.norm(got - expected) < 1e-5 * torch.linalg.norm(expected)


@pytest.mark.gpu
def test_the_whole_benchmark_on_a_small_head(tmp_path: Path) -> None:
    device_or_skip()
    done = script("--rows", 2048, "--columns", 256, "--json", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert [check["verdict"] for check in found["verification"]] == ["pass", "pass"]
    assert all(row["w8a16_ms"] > 0 for row in found["heads"])
