"""Configs of each quantization method over tensors of another kind: as the real vLLM 0.32.0 answered of a tiny Llama."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from builders import KINDS, Raw, edit_config, edit_tensors, tiny_checkpoint, tiny_quantized
from raw_safetensors import read_safetensors
from stored_forms import fp8_tensor

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint

GPTQ: Final[dict[str, Any]] = {"bits": 4, "group_size": 128, "desc_act": False, "sym": True}
AWQ: Final[dict[str, Any]] = {"bits": 4, "group_size": 128, "zero_point": True}
MISTRAL: Final = {"weight_scale": "weight_scale_inv", "input_scale": "activation_scale"}
OWN: Final = {
    "gptq": {"gptq", "auto_gptq", "gptq_marlin", "auto-round", "inc"},
    "awq": {"awq", "auto_awq", "awq_marlin"},
    "fp8-native": {"fp8"},
    "fp8-tensor": {"quark"},
    "fp8-static": {"quark", "modelopt"},
    "fp8-vector": {"quark"},
}
"""Kinds of storage, and the methods that take them by the config that is tried here."""
CONFIGS: Final[dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("gptq", "auto_gptq", "gptq_marlin", "auto-round", "inc"), GPTQ),
    **dict.fromkeys(("awq", "auto_awq", "awq_marlin"), AWQ),
    "fp8": {"activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "modelopt": {"quant_algo": "FP8", "ignore": ["lm_head"]},
    "mxfp4": {},
    "quark": KINDS["fp8-vector"].method or {},
}


def findings(folder: Path, **options: Any) -> list[tuple[str, Severity]]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(**options))
    return [(finding.code, finding.severity) for finding in report.findings if finding.severity is not Severity.NOTE]


def declared(folder: Path, config: dict[str, Any]) -> Path:
    edit_config(folder, lambda content: content.update(quantization_config=config))
    return folder


def kept(folder: Path, kind: str) -> Path:
    return tiny_quantized(folder, kind=kind, head="dense", head_dim=64)


@pytest.mark.parametrize("method", CONFIGS)
@pytest.mark.parametrize(
    "kind", [*OWN, "w8a8", "w8a16", "fp8", "fp8-block", "nvfp4", "mxfp8", "modelopt-nvfp4", "bnb-nf4"]
)
def test_a_method_takes_its_own_storage_alone(kind: str, method: str, tmp_path: Path) -> None:
    folder = declared(kept(tmp_path, kind), {**CONFIGS[method], "quant_method": method})
    wrong = method not in OWN.get(kind, ()) and not (method == "quark" and kind == "w8a8")
    other = method == "quark" and kind != "fp8-vector"  # of another scheme than the config's
    code = "CFG005" if wrong else "TEN037" if other else ""
    assert findings(folder) == ([(code, Severity.ERROR)] if code else [])


@pytest.mark.parametrize(
    ("kind", "config", "good"),
    [
        ("fp8-tensor", {"activation_scheme": "dynamic"}, True),
        ("fp8-static", {"activation_scheme": "dynamic"}, False),
        ("fp8-tensor", {"activation_scheme": "static"}, False),
        ("fp8-static", {"activation_scheme": "static"}, True),
        ("fp8-native", {"activation_scheme": "dynamic"}, False),
    ],
)
def test_what_fp8_takes_depends_on_its_config(kind: str, config: dict[str, Any], good: bool, tmp_path: Path) -> None:
    folder = declared(kept(tmp_path, kind), {**config, "quant_method": "fp8"})
    assert findings(folder) == ([] if good else [("CFG005", Severity.ERROR)])


def test_gptq_may_leave_out_the_order_of_columns(tmp_path: Path) -> None:
    folder = kept(tmp_path, "gptq")

    def change(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith("g_idx")]:
            del tensors[name]

    edit_tensors(folder, change)
    assert findings(folder) == []


@pytest.mark.parametrize(("family", "codes"), [("mistral3", []), ("llama", ["CFG005"])])
def test_parts_are_named_as_the_class_names_them(
    family: str, codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """Mistral's own FP8 is static with one scale to a layer, by the names that DeepSeek gives to blocks."""
    folder = shutil.copytree(checkpoint(family), tmp_path / family)

    def change(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if ".layers." in name and "vision" not in name and "norm" not in name]:
            weight = tensors.pop(name)
            for part, raw in fp8_tensor(weight.floats, weight.dtype, static=True).items():
                tensors[f"{name.removesuffix('weight')}{MISTRAL.get(part, part)}"] = raw

    edit_tensors(folder, change)
    tower = [
        name.removesuffix(".weight") for name in read_safetensors(folder / "model.safetensors") if "vision" in name
    ]
    config = {"activation_scheme": "static", "quant_method": "fp8", "weight_block_size": None}
    declared(folder, config | {"modules_to_not_convert": tower})
    assert [code for code, _ in findings(folder)] == codes


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("bitsandbytes", "it knows no such method"),
        ("hqq", "it knows no such method"),
        ("fbgemm_fp8", "unless told to"),
        ("fp8_per_tensor", "quantizes as vLLM loads"),
        ("moe_wna16", "one of vLLM's own words"),
    ],
)
@pytest.mark.parametrize("kind", ["dense", "gptq"])
def test_methods_of_which_vllm_takes_no_config(kind: str, method: str, words: str, tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path) if kind == "dense" else kept(tmp_path, kind)
    declared(folder, {**GPTQ, "quant_method": method})
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    [error] = [finding for finding in found if finding.severity is Severity.ERROR]
    assert error.code == "CFG024"
    assert words in error.message


@pytest.mark.parametrize(
    ("engine", "severity"),
    [
        (EngineRequest("transformers"), Severity.WARNING),
        (EngineRequest("vllm", "0.28.0"), Severity.WARNING),
        (EngineRequest("vllm", "0.32.0"), Severity.ERROR),
    ],
)
def test_other_engines_and_releases_may_take_them(engine: EngineRequest, severity: Severity, tmp_path: Path) -> None:
    assert ("CFG024", severity) in findings(kept(tmp_path, "bnb-nf4"), engines=(engine,))


@pytest.mark.parametrize("method", ["quark", "inc", "auto-round", "experts_int8", "mxfp4"])
def test_dense_layers_under_a_method(method: str, tmp_path: Path) -> None:
    config = CONFIGS.get(method, {})
    folder = declared(tiny_checkpoint(tmp_path), {**config, "quant_method": method})
    loads = method in ("experts_int8", "mxfp4")
    assert findings(folder) == ([] if loads else [("CFG025", Severity.ERROR)])
