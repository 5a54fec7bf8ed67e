"""Measure on a CUDA device what an INT8 head is worth: its time against the bf16 one, and what `ctq verify` needs to prove it.

    python -m benchmarks.head_gpu --json benchmarks/results/head-gpu.json       # without a device: one line, exit code 3

Times are medians over single products, between events of the device; a head of 128256 x 8192 (2.1 GB in bf16) fits no cache, so
every product reads it anew. The weight-only kernel is ``int8_head_kernel.py``, the fastest of a few tilings; W8A8 is
`torch._int_mm` with the rounding of activations and the scaling of sums around it, which takes more than 16 tokens, so fewer are
filled up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
WARM_UP, REPEATS = 10, 50
LEAST_INT_MM: Final = 32


def milliseconds(run: Callable[[], object]) -> float:
    """Return the median time of one call on the device."""
    for _ in range(WARM_UP):
        run()
    times: list[float] = []
    for _ in range(REPEATS):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop))
    return statistics.median(times)


def w8a8(states: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return logits with activations rounded per token, as the W8A8 scheme has it."""
    tokens = states.shape[0]
    step = (states.abs().amax(1, keepdim=True).float() / 127).clamp_min(1e-12)
    codes = torch.round(states.float() / step).to(torch.int8)
    if tokens < LEAST_INT_MM:
        codes = torch.nn.functional.pad(codes, (0, 0, 0, LEAST_INT_MM - tokens))
    return torch._int_mm(codes, weight.T)[:tokens] * step * scale


def time_heads(rows: int, columns: int) -> list[dict[str, Any]]:
    """Time every batch size with the three kinds of head, and check that they agree."""
    from benchmarks.int8_head_kernel import TILINGS, int8_head

    generator = torch.Generator("cuda").manual_seed(0)
    dense = torch.empty(rows, columns, dtype=torch.bfloat16, device="cuda").normal_(0, 0.02, generator=generator)
    scale = dense.abs().amax(1).float() / 127.5
    weight = torch.empty(rows, columns, dtype=torch.int8, device="cuda")
    for first in range(0, rows, 8192):
        part = slice(first, first + 8192)
        weight[part] = torch.round(dense[part].float() / scale[part, None]).clamp(-128, 127).to(torch.int8)
    results = []
    for batch in BATCHES:
        states = torch.randn(batch, columns, device="cuda", generator=generator).to(torch.bfloat16)
        wanted = (states @ dense.T).float()
        for name, got in (("W8A16", int8_head(states, weight, scale)), ("W8A8", w8a8(states, weight, scale))):
            error = ((got - wanted).norm() / wanted.norm()).item()
            assert error < 0.05, f"{name} differs by {error:.2%}"
        found = {
            "batch": batch,
            "bf16_ms": milliseconds(partial(torch.matmul, states, dense.T)),
            "w8a16_ms": min(milliseconds(partial(int8_head, states, weight, scale, tiling)) for tiling in TILINGS),
            "w8a8_ms": milliseconds(partial(w8a8, states, weight, scale)),
        }
        results.append(
            found | {f"{kind}_speedup": found["bf16_ms"] / found[f"{kind}_ms"] for kind in ("w8a16", "w8a8")}
        )
        print(_row(results[-1]), flush=True)
    return results


def _row(found: dict[str, Any]) -> str:
    return (
        f"{found['batch']:6}{found['bf16_ms']:10.3f}{found['w8a16_ms']:10.3f}{found['w8a8_ms']:10.3f}"
        f"{found['w8a16_speedup']:9.2f}x{found['w8a8_speedup']:9.2f}x"
    )


def time_verification(rows: int, columns: int, scheme: str) -> dict[str, Any]:
    """Quantize the head of a checkpoint of that size, and verify it with the builtin engine on the device."""
    import subprocess

    from ctq.verify.engine_names import EngineName
    from ctq.verify.request import VerifyRequest
    from ctq.verify.run import verify

    with tempfile.TemporaryDirectory() as work:
        dense, out = f"{work}/dense", f"{work}/int8"
        sizes = ("--layers", "1", "--hidden", str(columns), "--vocab", str(rows))
        subprocess.run([sys.executable, "-m", "benchmarks.make_checkpoint", dense, *sizes], check=True)
        command = [str(Path(sys.executable).with_name("ctq")), "quantize", dense, "-o", out, "--no-verify", "--quiet"]
        head_only = ("--target", "re:.*lm_head$", "--include-lm-head", "--scheme", scheme)
        subprocess.run([*command, *head_only], check=True)
        request = VerifyRequest(checkpoint=Path(out), engines=(EngineName("builtin"),), device="cuda")
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        report = verify(request)
        seconds = time.perf_counter() - began
    return {
        "scheme": scheme,
        "verdict": str(report.verdict),
        "seconds": seconds,
        "device_peak_bytes": torch.cuda.max_memory_allocated(),
        "relative_error": report.numeric.logits[0].compared.relative_error,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=128256)
    parser.add_argument("--columns", type=int, default=8192)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is here: nothing was measured", file=sys.stderr)
        return 3
    print(f"{torch.cuda.get_device_name()}, {options.rows} x {options.columns}, milliseconds")
    print(f"{'batch':>6}{'bf16':>10}{'W8A16':>10}{'W8A8':>10}{'W8A16':>10}{'W8A8':>10}")
    heads = time_heads(options.rows, options.columns)
    torch.cuda.empty_cache()
    checks = [time_verification(options.rows, options.columns, scheme) for scheme in ("W8A8", "W8A16")]
    for check in checks:
        print(
            f"verify {check['scheme']}: {check['verdict']}, {check['seconds']:.1f} s, {check['device_peak_bytes'] / 1e9:.2f} GB"
        )
    if options.json:
        about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": options.rows}
        found = about | {"columns": options.columns, "heads": heads, "verification": checks}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
