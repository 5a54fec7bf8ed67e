"""The JSON of `ctq inspect`: its schema as a whole, and the values of a small checkpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from builders import COMPRESSED, FOREIGN, tiny_checkpoint, tiny_quantized
from report_schema import SCHEMA, check

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.cli.render.json_lines import json_lines
from ctq.inspect.report import InspectOptions, inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def report(folder: Path, **options: Any) -> dict[str, Any]:
    value = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(**options)).to_json()
    parsed: dict[str, Any] = json.loads("\n".join(json_lines(value)))
    assert parsed == value, "what is printed is what the library returns"
    return parsed


@pytest.mark.parametrize("kind", [*COMPRESSED, *FOREIGN])
def test_every_kind_of_checkpoint_fits_the_schema(kind: str, tmp_path: Path) -> None:
    check(report(tiny_quantized(tmp_path, kind=kind, head="dense"), deep=True), SCHEMA)


def test_the_values_of_a_small_checkpoint(tmp_path: Path) -> None:
    value = report(tiny_quantized(tmp_path))
    assert value["checkpoint"] == {
        "path": str(tmp_path),
        "architecture": "LlamaForCausalLM",
        "format": "int-quantized",
        "quant_method": "compressed-tensors",
        "tie_word_embeddings": False,
        "bytes": 423808,
        "tensors": 36,
        "shards": 2,
    }
    assert value["lm_head"] == {
        "name": "lm_head",
        "state": "quantized",
        "scheme": "int8 per-channel",
        "format": "int-quantized",
        "matched_target": "re:.*lm_head$",
        "ignored_by": None,
        "tensors": ["lm_head.weight", "lm_head.weight_scale"],
        "reason": "stored quantized, matched by `re:.*lm_head$`",
    }
    assert len(value["modules"]) == 21
    assert next(module for module in value["modules"] if module["name"] == "model.layers.1.mlp.up_proj") == {
        "name": "model.layers.1.mlp.up_proj",
        "kind": "linear",
        "state": "quantized",
        "scheme": "int8 per-channel",
        "activations": "int8 per-token dynamic",
        "format": "int-quantized",
        "matched_target": "Linear",
        "ignored_by": None,
        "bytes": 256 * 128 + 256 * 2,
        "tensors": {
            "weight": {"dtype": "I8", "shape": [256, 128]},
            "weight_scale": {"dtype": "BF16", "shape": [256, 1]},
        },
    }
    assert [finding["severity"] for finding in value["findings"]] == ["note"]


def test_a_dense_checkpoint_has_no_method(tmp_path: Path) -> None:
    value = report(tiny_checkpoint(tmp_path, tied=True))
    assert (value["checkpoint"]["quant_method"], value["checkpoint"]["format"]) == (None, None)
    assert value["lm_head"]["state"] == "tied"
    assert value["lm_head"]["tensors"] == []
    assert all(module["scheme"] is None for module in value["modules"])


def test_entries_that_share_values_keep_their_own_keys() -> None:
    shared = ["x" * 9]
    entries = [
        {"a": 1, "b": shared},
        {"a": 2, "b": shared},
        {"a": 2, "c": shared},
        {"c": 2, "b": shared},
        {"a": 1},
        {},
        7,
    ]
    assert json.loads("\n".join(json_lines({"entries": entries, "last": 1}))) == {"entries": entries, "last": 1}
