"""The builtin engine on whole checkpoints: the base cases, the healthy kinds, and everything that must not pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import breaking as do
import pytest
from builders import tiny_checkpoint, tiny_quantized

from ctq.verify.engine_names import EngineName, parse_engine
from ctq.verify.engines.builtin.engine import ask_builtin
from ctq.verify.report import EngineAnswer, EngineReport, Status
from ctq.verify.request import VerifyRequest
from ctq.verify.subject import open_subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UP = "model.layers.1.mlp.up_proj"
LINEAR = "CompressedTensorsLinearMethod"


def ask(folder: Path, engine: str = "builtin", **request: Any) -> EngineAnswer:
    return ask_builtin(parse_engine(engine), open_subject(VerifyRequest(checkpoint=folder, **request)))


def report_on(folder: Path, engine: str = "builtin", **request: Any) -> EngineReport:
    return ask(folder, engine, **request).report


def test_a_target_that_matches_gives_the_linear_method_with_its_scheme(tmp_path: Path) -> None:
    found = report_on(tiny_quantized(tmp_path / "m"))
    assert (found.status, found.quant_method, found.scheme) == (Status.PASS, LINEAR, "CompressedTensorsW8A8Int8")


def test_a_head_in_ignore_gives_no_method(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m", head="dense")
    found = report_on(folder)
    assert (found.status, found.quant_method, found.scheme, found.error) == (Status.PASS, None, None, None)
    refused = report_on(folder, expected="quantized")
    assert (refused.status, refused.error) == (Status.FAIL, "the head is not quantized: `ignore` holds lm_head")


def test_no_target_that_matches_gives_no_method(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m", head="dense")
    do.ignore()(folder)
    do.targets("Linear")(folder)
    found = report_on(folder, expected="quantized")
    assert (found.status, found.quant_method) == (Status.FAIL, None)
    assert found.error is not None
    assert found.error.startswith("the head is not quantized: no target matches the head")
    assert report_on(folder, expected="dense").status is Status.PASS


@pytest.mark.parametrize("ranks", [1, 2, 5])
@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("w8a8", "W8A8Int8"),
        ("w8a8-static", "W8A8Int8"),
        ("w8a16", "WNA16"),
        ("w8a16-g32", "WNA16"),
        ("w8a16-channel", "WNA16"),
        ("w8a16-asym", "WNA16"),
        ("w4a16", "WNA16"),
        ("mixed", "WNA16"),
        ("fp8", "W8A8Fp8"),
    ],
)
def test_healthy_heads_load_and_run_on_every_number_of_ranks(
    tmp_path: Path, kind: str, scheme: str, ranks: int
) -> None:
    answer = ask(tiny_quantized(tmp_path / "m", kind=kind), tensor_parallel_size=ranks, engine="builtin")
    assert (answer.report.status, answer.report.error) == (Status.PASS, None)
    assert answer.report.scheme == f"CompressedTensors{scheme}"
    assert [run.compared.rows for run in answer.runs] == [320]


def test_all_ranks_together_give_the_logits_of_one(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m", kind="w8a16-asym", vocab=320)
    alone, split = (ask(folder, tensor_parallel_size=ranks).runs[0].compared for ranks in (1, 5))
    assert (alone.cosine, alone.slope, alone.kl) == pytest.approx((split.cosine, split.slope, split.kl), abs=1e-6)


def test_a_vocabulary_that_is_no_multiple_of_64_is_padded(tmp_path: Path) -> None:
    run = ask(tiny_quantized(tmp_path / "m", vocab=333), tensor_parallel_size=3).runs[0]
    assert (run.compared.rows, run.compared.finite) == (333, True)


def test_logits_are_compared_with_the_reference(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    runs = ask(tiny_quantized(tmp_path / "m", kind="w8a16"), reference=reference).runs
    assert [run.against for run in runs] == ["dequantized", "reference"]
    assert runs[1].compared.cosine > 0.9999
    assert 0.999 < runs[1].compared.slope < 1.001
    assert 0.004 < runs[1].compared.relative_error < 0.01  # rounding to 8 bits shows, and no more than that


def test_another_models_head_does_not_pass_for_the_reference(tmp_path: Path) -> None:
    other = tiny_checkpoint(tmp_path / "r", seed=1)
    found = report_on(tiny_quantized(tmp_path / "m"), reference=other)
    assert found.status is Status.FAIL
    assert "differ from the reference's head" in (found.error or "")


@dataclass(frozen=True)
class Broken:
    """A change, what is built before it, the words that the reason holds, and names that must be listed."""

    change: Callable[[Any], object]
    words: str
    build: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=lambda: {"expected": "quantized"})
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    never_loaded: tuple[str, ...] = ()


PACKED = {"kind": "w8a16"}
BROKEN = {
    "head targeted only by the class Linear": Broken(
        do.targets("Linear"), "no parameter for lm_head.weight_scale", unexpected=("lm_head.weight_scale",)
    ),
    "quantized head in ignore": Broken(
        do.ignore("lm_head"), "values change their meaning without a word: lm_head.weight (I8 into BF16)"
    ),
    "packed head in ignore": Broken(
        do.ignore("lm_head"), "the engine builds a dense head", PACKED, unexpected=("lm_head.weight_packed",)
    ),
    "missing scale": Broken(
        do.drop("lm_head.weight_scale"),
        "never loaded, so served uninitialised: lm_head.weight_scale",
        missing=("lm_head.weight_scale",),
        never_loaded=("lm_head.weight_scale",),
    ),
    "missing packed weight": Broken(
        do.drop("lm_head.weight_packed"), "lm_head.weight_packed", PACKED, missing=("lm_head.weight_packed",)
    ),
    "wrong number of rows": Broken(
        do.put("lm_head.weight", do.codes("I8", 256, 128)), "lm_head.weight has 256 rows, the engine asserts 320"
    ),
    "wrong number of columns": Broken(
        do.put("lm_head.weight", do.codes("I8", 320, 64)), "lm_head.weight is [320, 64], which does not fit into [320, 128]"
    ),
    "scale with the rows of another head": Broken(
        do.put("lm_head.weight_scale", do.floats(256, 1)), "lm_head.weight_scale has 256 rows"
    ),
    "scale that is a vector": Broken(
        do.put("lm_head.weight_scale", do.floats(320)), "lm_head.weight_scale is [320], which does not fit into [320, 1]"
    ),
    "dense head declared W8A8": Broken(
        do.dense("lm_head", 320), "lm_head.weight (BF16 into I8)", missing=("lm_head.weight_scale",)
    ),
    "dense head declared W8A16": Broken(
        do.dense("lm_head", 320), "no parameter for lm_head.weight", PACKED, unexpected=("lm_head.weight",)
    ),
    "integers for scales": Broken(do.put("lm_head.weight_scale", do.codes("I32", 320, 1)), "lm_head.weight_scale (I32 into F32)"),
    "tied, and declared quantized": Broken(
        do.steps(do.ignore(), do.targets("re:.*lm_head$", "Linear")),
        "never loaded",
        {"head": "tied"}, missing=("lm_head.weight", "lm_head.weight_scale")
    ),
    "group size that does not divide": Broken(do.regroup(96), "group size 96 does not divide the 128 columns", PACKED),
    "group-wise weights with activations": Broken(do.regroup(64, strategy="group"), "no scheme for"),
    "weight-only in int-quantized": Broken(do.groups(input_activations=None), "weight-only INT in format int-quantized"),
    "no format for the group": Broken(do.groups(format=None), "no scheme for", {"kind": "mixed"}),
    "invalid arguments": Broken(do.weights(bits=8), "refuses it"),
    "static activations without a scale": Broken(
        do.drop("lm_head.input_scale"), "lm_head.input_scale", {"kind": "w8a8-static"}, missing=("lm_head.input_scale",)
    ),
    "ranks that do not divide": Broken(
        lambda folder: None, "384 padded rows do not split over 5 ranks", {"vocab": 333}, {"tensor_parallel_size": 5}
    ),
    "zero points of a vocabulary that is no multiple of four": Broken(
        lambda folder: None, "weight_zero_point has 84 rows, the engine asserts 83", {"kind": "w8a16-asym", "vocab": 333}
    ),
    "quantized head, dense expected": Broken(lambda folder: None, "the head is quantized (W8A8Int8)", {}, {"expected": "dense"}),
    "body layer without its scale": Broken(
        do.drop(f"{UP}.weight_scale"), f"{UP}.weight_scale never loaded", never_loaded=(f"{UP}.weight_scale",)
    ),
    "body layer left dense": Broken(do.dense(UP, 256, 128), f"{UP}.weight_scale never loaded"),
    "body layers that no target reaches": Broken(
        do.targets("re:.*lm_head$", r"re:.*self_attn\..*"), "is stored quantized, but the engine builds"
    ),
    "part of a fused layer in ignore": Broken(do.ignore(UP), "of the fused layer model.layers.1.mlp.gate_up_proj only"),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_fails_for_the_right_reason(tmp_path: Path, broken: Broken) -> None:
    folder = tiny_quantized(tmp_path / "m", **broken.build)
    broken.change(folder)
    found = report_on(folder, **broken.request)
    assert found.status is Status.FAIL, found
    assert broken.words in (found.error or "")
    for names, listed in (
        (broken.missing, found.missing),
        (broken.unexpected, found.unexpected),
        (broken.never_loaded, found.never_loaded),
    ):
        assert set(names) <= set(listed)


@pytest.mark.parametrize(
    ("value", "words"),
    [(float("nan"), "not finite"), (float("inf"), "not finite"), (1e30, "relative error")],
    ids=str,
)
def test_a_scale_with_an_impossible_value_shows_in_the_logits(tmp_path: Path, value: float, words: str) -> None:
    folder = tiny_quantized(tmp_path / "m", kind="w8a16")
    do.one_scale("lm_head.weight_scale", value)(folder)
    found = report_on(folder, reference=tiny_checkpoint(tmp_path / "r"))
    assert found.status is Status.FAIL
    assert words in (found.error or "")


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("0.19.1", Status.FAIL),
        ("0.20.0", Status.PASS),
        ("0.28.0", Status.PASS),
        ("0.33.0", Status.PASS),
        ("9.0", Status.PASS),
    ],
)
def test_the_release_decides_whether_a_head_is_dispatched(tmp_path: Path, version: str, status: Status) -> None:
    found = report_on(tiny_quantized(tmp_path / "m"), f"builtin=={version}")
    assert (found.version, found.status) == (version, status)


def test_a_tied_flag_beside_a_quantized_head_loses_it_before_0_29(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.config(tie_word_embeddings=True)(folder)
    old = report_on(folder, "builtin==0.24.0")
    assert old.status is Status.FAIL
    assert "the config ties the embeddings: vLLM drops the head's tensors" in (old.error or "")
    assert report_on(folder, "builtin==0.29.0").status is Status.PASS


def test_tied_and_dense_heads_are_healthy_when_declared_so(tmp_path: Path) -> None:
    for head in ("tied", "dense"):
        folder = tiny_quantized(tmp_path / head, head=head)
        assert report_on(folder).status is Status.PASS
        assert report_on(folder, expected="quantized").status is Status.FAIL


def test_a_dense_checkpoint_has_a_dense_head(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    assert report_on(folder).status is Status.PASS
    assert "no quantization config" in (report_on(folder, expected="quantized").error or "")


@pytest.mark.parametrize(("kind", "noted"), [("w8a16", False), ("w8a8", False), ("w8a16-asym", True)])
def test_a_head_that_few_kernels_take_is_noted(tmp_path: Path, kind: str, noted: bool) -> None:
    answer = ask(tiny_quantized(tmp_path / "m", kind=kind))
    assert answer.report.status is Status.PASS
    assert [item.code for item in answer.findings] == ["VER015"] * noted


def test_an_architecture_that_is_not_known_leaves_the_question_open(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.config(architectures=["BrandNewForCausalLM"], model_type="brand_new")(folder)
    answer = ask(folder)
    assert (answer.report.status, len(answer.runs)) == (Status.UNAVAILABLE, 1)
    assert "BrandNewForCausalLM of vLLM 0.33.0 is not known well enough" in (answer.report.error or "")
    do.drop("lm_head.weight_scale")(folder)
    assert report_on(folder).status is Status.FAIL


def test_a_head_that_the_model_class_reads_past_its_method_fails(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.config(architectures=["InklingForCausalLM"])(folder)
    assert "past the quantization" in (report_on(folder).error or "")


def test_other_methods_are_left_to_others(tmp_path: Path) -> None:
    found = report_on(tiny_quantized(tmp_path / "m", kind="gptq", head="dense"))
    assert (found.status, found.error) == (
        Status.UNAVAILABLE,
        "judges compressed-tensors alone; this checkpoint is gptq",
    )


def test_cuda_that_is_not_there_leaves_the_question_open(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    found = report_on(tiny_quantized(tmp_path / "m"), device="cuda")
    assert found.status is Status.UNAVAILABLE
    assert "no CUDA device" in (found.error or "")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["w8a8", "w8a16", "w8a16-asym", "mixed"])
def test_heads_run_on_the_gpu(tmp_path: Path, kind: str) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    reference = tiny_checkpoint(tmp_path / "r")
    on_gpu = ask(tiny_quantized(tmp_path / "m", kind=kind), reference=reference, device="cuda")
    on_cpu = ask(tmp_path / "m", reference=reference, device="cpu")
    assert on_gpu.report.status is Status.PASS
    assert on_gpu.report.device == torch.cuda.get_device_name()
    for gpu, cpu in zip(on_gpu.runs, on_cpu.runs, strict=True):
        assert gpu.compared.relative_error == pytest.approx(cpu.compared.relative_error, rel=0.2)


def test_the_dense_head_is_judged_without_importing_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    folder = tiny_quantized(tmp_path / "m", head="dense")
    code = (
        "import sys; from pathlib import Path\n"
        "from ctq.verify.run import verify; from ctq.verify.request import VerifyRequest\n"
        "from ctq.verify.engine_names import EngineName\n"
        f"verify(VerifyRequest(checkpoint=Path({str(folder)!r}), engines=(EngineName('builtin'),)))\n"
        "print([name for name in ('torch', 'transformers', 'compressed_tensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_asking_needs_no_version(tmp_path: Path) -> None:
    subject = open_subject(VerifyRequest(checkpoint=tiny_quantized(tmp_path / "m")))
    assert ask_builtin(EngineName("builtin"), subject).report.version == "0.33.0"


def test_a_head_that_is_lost_is_no_dense_head(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.drop_where("lm_head.")(folder)
    found = report_on(folder)
    assert found.status is Status.FAIL
    assert found.error is not None
    assert "re:.*lm_head$" in found.error
