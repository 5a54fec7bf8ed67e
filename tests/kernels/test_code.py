"""Machine code between runs: kept, found again without numba, distrusted when damaged, the same numbers everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from raw_weights import gaussian

from ctq.kernels.code_cache import keep_code, read_code
from ctq.kernels.quantize import allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec

if TYPE_CHECKING:
    from pathlib import Path

QUANTIZE = """
import hashlib, sys
import numpy as np
from ctq.kernels.quantize import allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec
bits = np.fromfile(sys.argv[1], np.uint16).reshape(64, 384)
spec = KernelSpec("F16", "group", 96, symmetric=False, packed=True, observer="mse")
out = allocate_output(spec, 64, 384)
stats = quantize_block(bits, spec, out)
print(hashlib.sha256(out.values.tobytes() + out.scale.tobytes() + out.zero_point.tobytes()).hexdigest())
print("numba" in sys.modules)
"""


def quantize_elsewhere(tmp_path: Path, **environment: str) -> tuple[str, bool]:
    """Quantize in a process of its own; return the digest of the result and whether it imported numba."""
    weights = tmp_path / "weights"
    gaussian("F16", 64, 384).tofile(weights)
    result = subprocess.run(
        [sys.executable, "-c", QUANTIZE, str(weights)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    digest, compiled = result.stdout.split()
    return digest, compiled == "True"


def quantize_here() -> str:
    spec = KernelSpec("F16", "group", 96, symmetric=False, packed=True, observer="mse")
    out = allocate_output(spec, 64, 384)
    quantize_block(gaussian("F16", 64, 384), spec, out)
    assert out.zero_point is not None
    return hashlib.sha256(out.values.tobytes() + out.scale.tobytes() + out.zero_point.tobytes()).hexdigest()


def test_a_second_process_needs_no_numba(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    first, second = (quantize_elsewhere(tmp_path, NUMBA_CACHE_DIR=cache) for _ in range(2))
    assert first == (quantize_here(), True)
    assert second == (quantize_here(), False)


def test_any_processor_stores_the_same_bytes_even_where_nothing_can_be_kept(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "weights" / "is a file")
    found = quantize_elsewhere(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=nowhere)
    assert found == (quantize_here(), True)


def test_kept_code_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert read_code("kernel.o") is None
    keep_code("kernel.o", b"code")
    assert read_code("kernel.o") == b"code"
    assert [path.name for path in (tmp_path / "ctq").iterdir()] == ["kernel.o"]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 40])
def test_damaged_code_is_not_used_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    keep_code("kernel.o", b"code")
    (tmp_path / "ctq" / "kernel.o").write_bytes(damage)
    assert read_code("kernel.o") is None
    keep_code("kernel.o", b"code")
    assert read_code("kernel.o") == b"code"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_code_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    keep_code("kernel.o", b"code")
    os.chown(tmp_path / "ctq" / "kernel.o", 12345, 12345)
    assert read_code("kernel.o") is None


def test_a_folder_that_takes_nothing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    keep_code("kernel.o", b"code")
    assert read_code("kernel.o") is None


def test_plans_need_neither_numpy_nor_numba() -> None:
    code = "import sys, ctq.kernels.spec, ctq.kernels.stats;print(*{'numpy', 'numba', 'llvmlite'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.split() == []
