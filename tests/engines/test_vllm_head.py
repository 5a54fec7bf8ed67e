"""The real head, made on the device from its real tensors, and the whole engine for a few tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from builders import tiny_quantized
from rtn_family import quantize_family
from safetensors.torch import save_file

from ctq.verify.engines.vllm.facts import Outcome
from ctq.verify.engines.vllm.judge import judge
from ctq.verify.engines.vllm.questions import VllmRequest, generate_vllm, run_vllm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ctq.verify.engines.vllm.facts import HeadRun, VllmResult
from ctq.verify.report import Status

pytestmark = pytest.mark.engine
TOKENS = 48
SATURATES = torch.backends.cpu.get_cpu_capability() != "AVX512"
"""Without AVX-512 (VNNI) vLLM's INT8 kernel adds pairs of products in 16 bits, which overflow: 1 % of the size on narrow layers."""
KINDS = ("w8a8", "w8a8-static", "w8a16", "w8a16-channel", "w4a16", "mixed")


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path], vllm_python: Path
) -> dict[str, VllmResult]:
    base = tmp_path_factory.mktemp("heads")
    folders = {kind: tiny_quantized(base / kind, kind=kind) for kind in KINDS}
    folders["dense"] = tiny_quantized(base / "dense", head="dense")
    folders["tied"] = tiny_quantized(base / "tied", head="tied")
    folders["odd vocabulary"] = quantize_family(checkpoint("llama-odd-vocab"), base / "odd")
    folders["multimodal"] = quantize_family(checkpoint("qwen2.5-vl"), base / "multimodal")
    states = torch.randn(7, 128, generator=torch.Generator().manual_seed(0))
    save_file({"states": states}, base / "states.safetensors")
    requests = [VllmRequest(checkpoint=folder, head_tokens=TOKENS) for folder in folders.values()]
    requests.append(VllmRequest(checkpoint=folders["w8a8"], head_tokens=TOKENS, tensor_parallel_size=2, rank=1))
    requests.append(
        VllmRequest(checkpoint=folders["w8a8"], head_tokens=TOKENS, hidden_states=base / "states.safetensors")
    )
    answers = run_vllm(requests, python=vllm_python)
    return dict(zip([*folders, "second rank", "saved states"], answers, strict=True))


def head_run_of(result: VllmResult) -> HeadRun:
    """Return the run of a head; skip where vLLM's build for this CPU lacks the kernel (4 bits want AVX-512)."""
    if "no attribute 'cpu_gemm_wna16'" in result.head_skipped:
        pytest.skip(result.head_skipped)
    assert result.head_run is not None, (result.head_error, result.head_skipped)
    return result.head_run


@pytest.mark.parametrize(
    "name", [*KINDS, "dense", "tied", "odd vocabulary", "multimodal", "second rank", "saved states"]
)
def test_the_head_computes_what_its_tensors_say(name: str, results: dict[str, VllmResult]) -> None:
    result = results[name]
    run = head_run_of(result)
    assert judge(result, expect_head_quantized=None).status is Status.PASS
    if not (SATURATES and "Int8" in run.kernel):
        assert run.compared.top1 > 0.8
        assert run.compared.cosine > 0.999
        assert run.compared.slope == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("name", "exercised"), [("w8a8", True), ("w8a16", False), ("w4a16", True), ("dense", True)])
def test_a_stand_in_is_told_from_a_kernel(name: str, exercised: bool, results: dict[str, VllmResult]) -> None:
    assert head_run_of(results[name]).exercised is exercised


@pytest.mark.parametrize(
    ("name", "tokens", "rows"),
    [("odd vocabulary", TOKENS, 333), ("second rank", TOKENS, 160), ("saved states", 7, 320)],
)
def test_only_real_rows_are_compared(name: str, tokens: int, rows: int, results: dict[str, VllmResult]) -> None:
    run = results[name].head_run
    assert run is not None
    assert (run.compared.tokens, run.compared.rows) == (tokens, rows)


def test_the_whole_engine_generates(tmp_path: Path, vllm_python: Path) -> None:
    done = generate_vllm(tiny_quantized(tmp_path / "model"), python=vllm_python, tokens=3)
    assert done.outcome is Outcome.LOADED, done.error
    assert len(done.generated) == 3
    assert done.finite
    assert all(0 <= token < 320 for token in done.generated)
