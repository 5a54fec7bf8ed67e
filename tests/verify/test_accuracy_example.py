"""The examples that train a small model and measure what quantizing it costs, on very little of everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def script(name: str, *arguments: object) -> str:
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_is_trained_and_its_quantized_heads_are_measured(tmp_path: Path) -> None:
    model, text, numbers = tmp_path / "small", tmp_path / "small-heldout.txt", tmp_path / "accuracy.json"
    assert "step     1  loss " in script("train_small_model.py", model, "--steps", 2, "--megabytes", 0.4)
    arguments = ("--tokens", 1024, "--variant", "head W8A8", "--json", numbers)
    shown = script("accuracy.py", model, text, *arguments)
    found = json.loads(numbers.read_text())["results"]
    assert list(found) == ["dense in bf16", "head W8A8"]
    assert all(line in shown for line in ("1024 tokens", "dense in bf16", "head W8A8"))
    head = found["head W8A8"]
    assert 0 < head["kl"] < 1e-4
    assert abs(head["perplexity_change"]) < 1e-3
