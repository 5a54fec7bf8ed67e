"""What the real vLLM makes of healthy and broken checkpoints, loaded without bytes: each with its verdict and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from builders import Raw, all_tensors, drop_tensor, edit_config, edit_tensors, tiny_checkpoint, tiny_quantized
from rtn_family import quantize_family

from ctq.verify.engines.vllm.judge import Judgement, judge, main_head
from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ctq.verify.engines.vllm.facts import VllmResult
from ctq.verify.report import Status

pytestmark = pytest.mark.engine
LINEAR = "CompressedTensorsLinearMethod"
LAYER = "model.layers.0"
Break = "Callable[[Path], object]"


def nothing(folder: Path) -> None:
    """Leave it whole."""


def drop(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            drop_tensor(folder, name)

    return change


def config(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda folder: edit_config(folder, lambda value: change(value["quantization_config"]))


def groups(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Change every config group alike."""
    return config(lambda settings: [change(group) for group in settings["config_groups"].values()])


def only_linear(settings: dict[str, Any]) -> None:
    """Declare the head as llm-compressor's model_free_ptq does: by the class that it has elsewhere."""
    del settings["config_groups"]["group_0"]


def dense_head(folder: Path) -> None:
    """Leave the head dense where int8 is declared."""
    dense = all_tensors(tiny_checkpoint(folder.parent / f"{folder.name}-dense", shards=1))

    def change(tensors: dict[str, Raw]) -> None:
        del tensors["lm_head.weight_scale"]
        tensors["lm_head.weight"] = dense["lm_head.weight"]

    edit_tensors(folder, change)


def fewer_rows(folder: Path) -> None:
    def change(tensors: dict[str, Raw]) -> None:
        for name, width in (("lm_head.weight", 128), ("lm_head.weight_scale", 2)):
            raw = tensors[name]
            tensors[name] = Raw(raw.dtype, (300, raw.shape[1]), raw.data[: 300 * width])

    edit_tensors(folder, change)


def undeclared_int8(folder: Path) -> None:
    """Leave a quantized projection without its scale and without a declaration: its codes become weights."""
    drop_tensor(folder, f"{LAYER}.mlp.down_proj.weight_scale")
    config(lambda settings: settings["ignore"].append(f"{LAYER}.mlp.down_proj"))(folder)


@dataclass(frozen=True)
class Case:
    """A checkpoint, what is done to it, and what must be said of it."""

    name: str
    damage: Callable[[Path], object] = nothing
    kind: str = "w8a8"
    head: str = "quantized"
    family: str = ""
    expect: bool = True
    status: Status = Status.FAIL
    reason: str = ""
    size: int = 1
    rank: int = 0

    def build(self, folder: Path, checkpoint: Callable[..., Path]) -> Path:
        if self.family:
            quantize_family(checkpoint(self.family), folder, kind=self.kind)
        else:
            tiny_quantized(folder, kind=self.kind, head=self.head, shards=1)  # type: ignore[arg-type]
        self.damage(folder)
        return folder


def good(name: str, **options: Any) -> Case:
    return Case(name, status=Status.PASS, **options)


REFUSED = "There is no module or parameter named 'lm_head.weight_scale'"
EXPERT = f"{LAYER}.mlp.experts.1"
CASES = (
    good("w8a8"),
    good("w8a16", kind="w8a16"),
    good("w8a16 per channel", kind="w8a16-channel"),
    good("mixed", kind="mixed"),
    good("dense head", head="dense", expect=False),
    good("tied head", head="tied", expect=False),
    good("second rank of two", size=2, rank=1),
    good("experts w8a8", family="qwen3-moe"),
    good("experts w8a16", family="mixtral", kind="w8a16"),
    good("experts of 4 bits with a scale to a row, on CUDA Marlin's", family="mixtral", kind="w4a16-channel"),
    good("latent attention", family="deepseek-v3", kind="mixed"),
    good("fused projections", family="phi3"),
    good("biases", family="qwen2", kind="w8a16"),
    good("vocabulary of 333", family="llama-odd-vocab", kind="mixed"),
    good("multimodal", family="qwen2.5-vl", kind="mixed"),
    good("Transformers backend, another head name", family="gpt-neox"),
    Case("dense head, quantized expected", head="dense", reason="lm_head has UnquantizedEmbeddingMethod"),
    Case("tied head, quantized expected", head="tied", reason="tied to model.embed_tokens.weight"),
    Case("quantized head, dense expected", expect=False, reason=f"the head is quantized: lm_head has {LINEAR}"),
    Case("targets only Linear", config(only_linear), reason=REFUSED),
    Case("head in ignore", config(lambda settings: settings["ignore"].append("lm_head")), reason=REFUSED),
    Case("dense head declared w8a8", dense_head, reason="lm_head.weight (bfloat16 into int8)"),
    Case("no scale", drop("lm_head.weight_scale"), reason="never loaded, so served uninitialised: lm_head.weight_scale"),
    Case("no scale, packed", drop("lm_head.weight_scale"), kind="w8a16", reason="uninitialised: lm_head.weight_scale"),
    Case("no k_proj", drop(f"{LAYER}.self_attn.k_proj.weight"), reason="qkv_proj.weight (24576 of 32768 elements)"),
    Case("no expert weight", drop(f"{EXPERT}.up_proj.weight"), family="qwen3-moe", reason="w13_weight (114688 of 131072 elements)"),
    Case("no expert scale", drop(f"{EXPERT}.down_proj.weight_scale"), family="qwen3-moe", reason="w2_weight_scale (384 of 512"),
    Case("too few rows", fewer_rows, reason="refuses the tensors (at lm_head.weight"),
    Case("int8 undeclared", undeclared_int8, reason="down_proj.weight (int8 into bfloat16)"),
    Case("no format for mixed", groups(lambda group: group.pop("format")), kind="mixed", reason="No compressed-tensors compatible"),
    Case("groups that no rank can hold", kind="w8a16", size=2, reason="is not divisible by group_size=128"),
    Case("heads that ranks cannot share", size=8, reason="must be divisible by tensor parallel size"),
    Case("groups that no CUDA kernel takes", groups(lambda group: group["weights"].update(group_size=16)), kind="w8a16",
         reason="no CUDA kernel takes this weight-only layer: Machete: group size 16; Marlin: group size 16"),
    Case("int-quantized weight-only", groups(lambda group: group.update(input_activations=None)),
         reason="refuses the configuration"),
)  # fmt: skip


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path], vllm_python: Path
) -> dict[str, VllmResult]:
    base = tmp_path_factory.mktemp("vllm")
    requests = [
        VllmRequest(
            checkpoint=case.build(base / str(number), checkpoint),
            tensor_parallel_size=case.size,
            rank=case.rank,
            modules=True,
        )
        for number, case in enumerate(CASES)
    ]
    answers = run_vllm(requests, python=vllm_python)
    return {case.name: answer for case, answer in zip(CASES, answers, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_engine_decides_as_it_would_in_service(case: Case, results: dict[str, VllmResult]) -> None:
    judgement = judge(results[case.name], expect_head_quantized=case.expect)
    assert judgement.status is case.status, judgement
    assert case.reason in "; ".join(judgement.reasons), judgement


@pytest.mark.parametrize(
    ("name", "scheme", "stand_ins"),
    [
        ("w8a8", "CompressedTensorsW8A8Int8", 0),
        ("w8a16", "CompressedTensorsWNA16", 9),
        ("mixed", "CompressedTensorsWNA16", 1),
    ],
)
def test_the_head_is_dispatched_to_its_scheme(
    name: str, scheme: str, stand_ins: int, results: dict[str, VllmResult]
) -> None:
    head = main_head(results[name].heads)
    assert head is not None
    assert (head.quant_method, head.scheme) == (LINEAR, scheme)
    assert sum(results[name].stand_ins.values()) == stand_ins
    assert results[name].modules["model.layers.0.self_attn.qkv_proj"].quant_method == LINEAR


def test_the_head_of_a_wrapper_has_its_inner_name(results: dict[str, VllmResult]) -> None:
    assert [head.name for head in results["multimodal"].heads] == ["language_model.lm_head"]


def test_a_weight_only_verdict_says_that_no_kernel_ran(results: dict[str, VllmResult]) -> None:
    judgement: Judgement = judge(results["w8a16"], expect_head_quantized=True)
    assert judgement.notes == (
        "this build of vLLM has no kernel for some layers, so the kernels were not exercised: Machete or Marlin (9 layers)",
    )
