"""Tensors in the layers of a wrapper's towers that its architecture does not have, and others that come with a switch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]
LLAVA = "vision_tower.vision_model.encoder.layers.0"


def codes(folder: Path) -> set[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize(
    ("family", "like", "extra", "found"),
    [
        ("llava", f"{LLAVA}.layer_norm1.weight", f"{LLAVA}.adapter.weight", {"TEN024"}),
        ("llava", f"{LLAVA}.layer_norm1.weight", f"{LLAVA}.mlp.adapter.weight", {"TEN024"}),
        (
            "mistral3",
            "vision_tower.transformer.layers.0.ffn_norm.weight",
            "vision_tower.transformer.layers.0.attention.q_proj.bias",
            {"TEN024"},
        ),
        ("qwen2-audio", "audio_tower.layers.0.fc1.bias", "audio_tower.layers.0.adapter", {"TEN024"}),
    ],
)
def test_a_tensor_more(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, like: str, extra: str, found: set[str]
) -> None:
    quantize(checkpoint(family), tmp_path / "q")
    assert codes(tmp_path / "q") == set()
    edit_tensors(tmp_path / "q", lambda tensors: tensors.update({extra: tensors[like]}))
    assert codes(tmp_path / "q") == found


@pytest.mark.parametrize(("leaf", "found"), [("qkv", {"TEN024"}), ("qkv_proj", set())])
def test_queries_keys_and_values_in_one(
    checkpoint: CheckpointFactory, tmp_path: Path, leaf: str, found: set[str]
) -> None:
    """CLIP's layers in vLLM are one of three, which it loads from a file under its own name alone."""
    quantize(checkpoint("llava"), tmp_path / "q")

    def fuse(tensors: dict[str, Raw]) -> None:
        for part in ("weight", "bias"):
            parts = [tensors.pop(f"{LLAVA}.self_attn.{one}_proj.{part}") for one in "qkv"]
            rows, *rest = parts[0].shape
            data = b"".join(one.data for one in parts)
            tensors[f"{LLAVA}.self_attn.{leaf}.{part}"] = Raw(parts[0].dtype, (3 * rows, *rest), data)

    edit_tensors(tmp_path / "q", fuse)
    assert codes(tmp_path / "q") == found


@pytest.mark.parametrize(
    ("family", "change", "found"),
    [
        ("internvl", {"use_qk_norm": True}, {"TEN025"}),
        ("internvl", {"attention_bias": True}, {"TEN025"}),
        ("internvl", {"use_absolute_position_embeddings": False}, {"TEN032"}),
        ("mistral3", {}, set()),
    ],
)
def test_a_switch_of_a_tower(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, change: dict[str, Any], found: set[str]
) -> None:
    quantize(checkpoint(family), tmp_path / "q")
    edit_config(tmp_path / "q", lambda config: config["vision_config"].update(change))
    assert codes(tmp_path / "q") == found


def test_a_tower_that_is_not_ignored(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llava-onevision"), tmp_path / "q")

    def forget(config: dict[str, Any]) -> None:
        quantization = config["quantization_config"]
        quantization["ignore"] = [one for one in quantization["ignore"] if "vis" not in one]

    edit_config(tmp_path / "q", forget)
    assert len(codes(tmp_path / "q")) == 1


@pytest.mark.parametrize(("leaves", "found"), [(("q", "k", "v"), set()), (("q_proj", "k_proj", "v_proj"), {"TEN024"})])
def test_queries_keys_and_values_apart(
    checkpoint: CheckpointFactory, tmp_path: Path, leaves: tuple[str, ...], found: set[str]
) -> None:
    """Qwen3-VL's tower in vLLM fuses what the files call `attn.q`, `attn.k` and `attn.v` (0.32.0 qwen3_vl.py:564)."""
    quantize(checkpoint("qwen3-vl"), tmp_path / "q")

    def split(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if ".attn.qkv." in name]:
            raw = tensors.pop(name)
            size = len(raw.data) // 3
            for number, leaf in enumerate(leaves):
                part = raw.data[number * size : (number + 1) * size]
                shape = (raw.shape[0] // 3, *raw.shape[1:])
                tensors[name.replace(".qkv.", f".{leaf}.")] = Raw(raw.dtype, shape, part)

    edit_tensors(tmp_path / "q", split)
    assert codes(tmp_path / "q") & {"TEN024", "TEN025"} == found
