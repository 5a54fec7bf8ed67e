"""Scales of the key-value cache by every name that tools give them, as the real vLLM 0.32.0 answered."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors, tiny_quantized
from families import build
from rtn_family import quantize_family

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

KEYS = re.compile(r"\.(?:k_proj|query_key_value|kv_b_proj)\.weight$")
ONE = Raw("F32", (1,), bytes(4))


def errors(folder: Path) -> list[str]:
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return [finding.code for finding in found if finding.severity is Severity.ERROR]


@pytest.fixture(scope="module")
def base(checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def build(family: str) -> Path:
        if family not in made:
            folder = tmp_path_factory.mktemp("scales") / family
            made[family] = quantize_family(checkpoint(family), folder, kind="w8a8", head=False)
        return made[family]

    return build


@pytest.mark.parametrize("name", ["k_scale", "attn.k_scale", "k_proj.k_scale", "k_cache.scale", "q.scale", "kv_scale"])
@pytest.mark.parametrize(
    ("family", "codes"),
    [
        ("llama", []),
        ("qwen3-moe", []),
        ("helium", []),
        ("deepseek-v3", []),
        ("lfm2", ["TEN028"]),
        ("jamba", ["TEN028"]),
        ("zamba2", ["TEN028"]),
    ],
)
def test_scales_that_attention_takes(
    family: str, codes: list[str], name: str, base: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(base(family), tmp_path / family)

    def change(tensors: dict[str, Raw]) -> None:
        owners = {found.rpartition(".")[0].rpartition(".")[0] for found in tensors if KEYS.search(found)}
        assert owners
        tensors.update({f"{owner}.{name}": ONE for owner in owners})

    edit_tensors(folder, change)
    assert errors(folder)[:1] == codes


@pytest.mark.parametrize("name", ["model.layers.0.mlp.k_cache.scale", "model.layers.0.mlp.up_proj.k_scale"])
def test_no_attention_there(name: str, base: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(base("llama"), tmp_path / "llama")
    edit_tensors(folder, lambda tensors: tensors.update({name: ONE}))
    assert len(errors(folder)) == 1


@pytest.mark.parametrize("name", ["k_scale", "attn.k_scale", "q_scale"])
@pytest.mark.parametrize(
    ("family", "module", "codes"),
    [
        ("llama", "self_attn", ["TEN028"]),
        ("qwen3-moe", "self_attn", ["TEN028"]),
        ("helium", "self_attn", ["TEN028"]),
        ("bloom", "self_attention", ["TEN028"]),
        ("deepseek-v3", "self_attn", []),
        ("gpt-oss", "self_attn", []),
    ],
)
def test_a_dense_model_takes_none_unless_its_class_overlooks_them(
    family: str, module: str, codes: list[str], name: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    give(folder, module, name)
    assert errors(folder) == codes


@pytest.mark.parametrize("name", ["k_scale", "attn.k_scale"])
@pytest.mark.parametrize("family", ["qwen3-next", "qwen3.5", "qwen3.5-vl"])
def test_linear_attention_keeps_no_cache(
    family: str, name: str, checkpoint: Callable[..., Path], base: Callable[[str], Path], tmp_path: Path
) -> None:
    dense, quantized = (
        shutil.copytree(made(family), tmp_path / kind) for made, kind in ((checkpoint, "d"), (base, "q"))
    )
    for folder in (dense, quantized):
        give(folder, "linear_attn", name)
        assert errors(folder)


def give(folder: Path, module: str, name: str) -> None:
    """Put a scale into every module of that name."""

    def change(tensors: dict[str, Raw]) -> None:
        owners = {found[: match.end()] for found in tensors if (match := re.search(rf"\.{module}(?=\.)", found))}
        assert owners
        tensors.update({f"{owner}.{name}": ONE for owner in owners})

    edit_tensors(folder, change)


def test_attention_may_be_quantized_by_a_file_of_the_tool(tmp_path: Path) -> None:
    """As NVIDIA published its first FP8 models: nothing in config.json, everything in ModelOpt's own file."""
    folder = build("llama", tmp_path / "llama")
    scale = Raw("F32", (), bytes(4))

    def quantize(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith("_proj.weight")]:
            rows, columns = tensors[name].shape
            module = name.removesuffix(".weight")
            tensors[name] = Raw("F8_E4M3", (rows, columns), bytes(rows * columns))
            tensors |= {f"{module}.weight_scale": scale, f"{module}.input_scale": scale}
            if module.endswith(("k_proj", "v_proj")):
                tensors[f"{module}.{module[-6]}_scale"] = scale

    edit_tensors(folder, quantize)
    method = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    (folder / "hf_quant_config.json").write_text(json.dumps({"producer": {"name": "modelopt"}, "quantization": method}))
    assert errors(folder) == []
    (folder / "hf_quant_config.json").unlink()
    assert errors(folder) != []


@pytest.mark.parametrize(
    ("kind", "part", "codes"),
    [
        ("gptq", "self_attn.k_scale", []),
        ("gptq", "self_attn.k_proj.k_scale", []),
        ("awq", "self_attn.k_scale", ["TEN028", "TEN037"]),  # vLLM takes the attention for one that was left dense
        ("awq", "self_attn.attn.k_scale", []),
        ("awq", "self_attn.k_proj.k_scale", []),
    ],
)
def test_scales_that_other_methods_take_or_drop(kind: str, part: str, codes: list[str], tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / kind, kind=kind, head="dense")  # type: ignore[arg-type]
    one = Raw("F32", (1,), bytes([0, 0, 128, 63]))
    edit_tensors(folder, lambda tensors: tensors.update({f"model.layers.{layer}.{part}": one for layer in range(2)}))
    assert errors(folder) == codes
