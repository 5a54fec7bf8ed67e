"""What differs between two checkpoints: modules folded, config keys by path, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import breaking as do
from builders import tiny_checkpoint, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.diff import Change, ConfigChange, Difference, compare
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def difference(before: Path, after: Path) -> Difference:
    return compare(*(inspect_checkpoint(open_checkpoint(LocalFolder(folder))) for folder in (before, after)))


def test_the_same_checkpoint_has_no_difference(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    assert difference(folder, folder).modules == ()
    assert difference(folder, folder).config == ()


def test_layers_that_change_alike_are_one_change(tmp_path: Path) -> None:
    found = difference(tiny_checkpoint(tmp_path / "a"), tiny_quantized(tmp_path / "b", kind="w8a16"))
    assert (
        Change(
            "model.layers.{0-1}.mlp.up_proj x2",
            "dense BF16 [256, 128]",
            "int8 group 128",
            2 * 65536,
            2 * (32768 + 512 + 16),
        )
        in found.modules
    )
    assert [change.modules for change in found.modules if "embed" in change.modules or "norm" in change.modules] == []
    assert [change.key for change in found.config] == ["quantization_config"]


def test_modules_that_come_and_go_are_named(tmp_path: Path) -> None:
    before, after = tiny_quantized(tmp_path / "a"), tiny_quantized(tmp_path / "b", layers=3)
    do.drop_where("lm_head")(after)
    found = {change.modules: (change.before, change.after) for change in difference(before, after).modules}
    assert found["lm_head"] == ("int8 per-channel", None)
    assert found["model.layers.2.mlp.up_proj"] == (None, "int8 per-channel")
    assert len(found) == 1 + 7 + 2


def test_config_keys_are_named_by_their_path(tmp_path: Path) -> None:
    before, after = tiny_quantized(tmp_path / "a"), tiny_quantized(tmp_path / "b")
    do.weights(observer="mse")(after)
    do.config(vocab_size=7, extra=None)(after)
    assert difference(before, after).config == (
        ConfigChange("vocab_size", 320, 7),
        ConfigChange("quantization_config.config_groups.group_0.weights.observer", None, "mse"),
        ConfigChange("quantization_config.config_groups.group_1.weights.observer", None, "mse"),
    )


def test_the_json_holds_both_sides(tmp_path: Path) -> None:
    value = difference(tiny_checkpoint(tmp_path / "a"), tiny_quantized(tmp_path / "b")).to_json()
    assert list(value) == ["schema_version", "before", "after", "modules", "config"]
    assert (value["before"]["lm_head"]["state"], value["after"]["lm_head"]["state"]) == ("dense", "quantized")
    assert json.dumps(value)
