"""The benchmarks' generators write what the safetensors library and transformers read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, BENCHMARKS / script, *map(str, arguments)], check=True, capture_output=True)


def shapes(folder: Path) -> dict[str, tuple[str, list[int]]]:
    found: dict[str, tuple[str, list[int]]] = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            slices = {name: file.get_slice(name) for name in list(file.keys())}
            found |= {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}
    return found


@pytest.mark.parametrize("scheme", ["dense", "W8A8", "W8A16"])
def test_header_only_model_is_readable_and_takes_no_space(tmp_path: Path, scheme: str) -> None:
    run("make_header_only.py", tmp_path / "m", "--model", "llama-8b", "--scheme", scheme, "--shards", "7")
    tensors = shapes(tmp_path / "m")
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(tensors)
    assert len(set(index["weight_map"].values())) == 7
    assert index["metadata"]["total_size"] > 7e9
    assert sum(path.stat().st_blocks * 512 for path in (tmp_path / "m").iterdir()) < 2_000_000
    head = {"dense": "lm_head.weight", "W8A8": "lm_head.weight_scale", "W8A16": "lm_head.weight_packed"}[scheme]
    assert head in tensors


def test_tensor_counts_are_those_of_the_targets(tmp_path: Path) -> None:
    run("make_header_only.py", tmp_path / "head", "--model", "llama-405b", "--dense-body")
    run("make_header_only.py", tmp_path / "deepseek", "--model", "deepseek-v3")
    assert len(shapes(tmp_path / "head")) == 1138
    assert len(shapes(tmp_path / "deepseek")) == 90428
    assert len(list((tmp_path / "head").glob("*.safetensors"))) == 191
    assert len(list((tmp_path / "deepseek").glob("*.safetensors"))) == 163


def test_generated_checkpoint_loads_and_generates(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    arguments = ["--layers", "2", "--hidden", "256", "--vocab", "1024", "--shard-size", "1MB"]
    run("make_checkpoint.py", tmp_path / "m", *arguments)
    run("make_checkpoint.py", tmp_path / "again", *arguments)
    for path in (tmp_path / "m").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert abs(float(model.lm_head.weight.detach().float().std()) - 0.02) < 1e-3
    assert len(set(model.lm_head.weight.detach().abs().amax(1).tolist())) > 100
