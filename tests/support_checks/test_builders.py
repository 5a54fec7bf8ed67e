"""The folders written without torch are what the real libraries read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from builders import (
    COMPRESSED,
    FOREIGN,
    KINDS,
    all_tensors,
    drop_tensor,
    edit_config,
    edit_header,
    read_safetensors,
    tiny_checkpoint,
    tiny_quantized,
)
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from pathlib import Path


def load(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_file_is_what_the_library_writes(tmp_path: Path, dtype: str) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny", shards=1, dtype=dtype)
    save_file(load(folder), tmp_path / "theirs.safetensors", {"format": "pt"})
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


def test_transformers_loads_it(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_checkpoint(tmp_path / "tiny", shards=3)
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert torch.isfinite(model(torch.arange(8)[None]).logits).all()


@pytest.mark.parametrize("head", ["quantized", "dense"])
@pytest.mark.parametrize("kind", [kind for kind in COMPRESSED if KINDS[kind].weights["type"] == "int"])
def test_compressed_tensors_gives_the_weights_back(tmp_path: Path, kind: str, head: Any) -> None:
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig

    dense = load(tiny_checkpoint(tmp_path / "dense"))
    folder = tiny_quantized(tmp_path / "tiny", kind=kind, head=head)
    declared = QuantizationConfig.model_validate(
        json.loads((folder / "config.json").read_text())["quantization_config"]
    )
    stored = load(folder)
    groups = list(declared.config_groups.values())
    for module in ("lm_head", "model.layers.1.mlp.down_proj", "model.layers.0.self_attn.k_proj"):
        if module == "lm_head" and head == "dense":
            assert torch.equal(stored["lm_head.weight"], dense["lm_head.weight"])
            continue
        group = groups[0] if module == "lm_head" else groups[-1]
        parts = {
            name.removeprefix(f"{module}."): tensor for name, tensor in stored.items() if name.startswith(f"{module}.")
        }
        given = BaseCompressor.get_value_from_registry(group.format).decompress(parts, group)["weight"].float()
        wanted = dense[f"{module}.weight"].float()
        steps = parts["weight_scale"].float().repeat_interleave(wanted.shape[1] // parts["weight_scale"].shape[1], 1)
        assert ((given - wanted).abs() <= (1.5 if kind.endswith("asym") else 1.0) * steps).all()


@pytest.mark.parametrize("kind", COMPRESSED)
def test_every_declared_kind_has_the_tensors_of_its_format(tmp_path: Path, kind: str) -> None:
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig

    folder = tiny_quantized(tmp_path / "tiny", kind=kind)
    declared = QuantizationConfig.model_validate(
        json.loads((folder / "config.json").read_text())["quantization_config"]
    )
    names = load(folder)
    for module, group in zip(("lm_head", "model.layers.0.mlp.up_proj"), declared.config_groups.values(), strict=True):
        compressor = BaseCompressor.get_value_from_registry(group.format)
        asked = {part for part in compressor.compression_param_names(group) if not part.startswith("input_")}
        asked -= {"weight_global_scale"} if kind == "mxfp4" else set()
        parts = {name.removeprefix(f"{module}.") for name in names if name.startswith(f"{module}.")}
        assert {
            part for part in parts if not part.startswith("input_")
        } == asked  # scales of inputs: not every release lists them


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_methods_are_readable_and_keep_their_head(tmp_path: Path, kind: str) -> None:
    names = load(tiny_quantized(tmp_path / "tiny", kind=kind, head="dense"))
    assert names["lm_head.weight"].dtype == torch.bfloat16


def test_fp8_rounds_to_nearest(tmp_path: Path) -> None:
    dense = load(tiny_checkpoint(tmp_path / "dense"))["lm_head.weight"].float()
    stored = load(tiny_quantized(tmp_path / "tiny", kind="fp8"))
    exact = dense / stored["lm_head.weight_scale"].float()
    theirs = exact.to(torch.float8_e4m3fn).float()
    ours = stored["lm_head.weight"].float()
    assert ((ours - exact).abs() <= (theirs - exact).abs()).all()


def test_breaking_changes_one_thing(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    before = all_tensors(folder)
    drop_tensor(folder, "model.norm.weight")
    assert all_tensors(folder) == {name: raw for name, raw in before.items() if name != "model.norm.weight"}
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert "model.norm.weight" not in index["weight_map"]
    edit_config(folder, lambda config: config.update(tie_word_embeddings=True))
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    path = next(iter(sorted(folder.glob("*.safetensors"))))
    name = next(iter(read_safetensors(path)))
    edit_header(path, lambda header: header[name].update(shape=[1]))
    assert read_safetensors(path)[name].shape == (1,)
