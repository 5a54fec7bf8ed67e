"""A broken checkpoint is told in the same words in every run, whatever order Python's sets have in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from builders import edit_index, edit_json, tiny_quantized


def told(folder: Path, seed: int) -> str:
    """Return the report as JSON, with Python's hashes seeded."""
    command = [sys.executable, "-m", "ctq", "inspect", str(folder), "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def test_copies_of_shards_lost_tensors_and_odd_values(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m", shards=2)
    for number, shard in enumerate(sorted(folder.glob("*.safetensors"))):
        (folder / f"copy-{number}.safetensors").write_bytes(shard.read_bytes())
    lost = {f"lost.{number}": "copy-0.safetensors" for number in range(9)}
    edit_index(
        folder,
        lambda index: index["weight_map"].update({**lost, "gone": "copy-1.safetensors", "ghost": "no.safetensors"}),
    )
    odd = {"hidden_size": "128", "vocab_size": None, "num_hidden_layers": 1.5}
    edit_json(folder / "config.json", lambda config: config.update(odd))
    first, *others = (told(folder, seed) for seed in (0, 1, 2))
    assert {finding["code"] for finding in json.loads(first)["findings"]} >= {"FIL006", "FIL008", "FIL010", "CFG022"}
    assert others == [first, first]
