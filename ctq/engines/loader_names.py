"""Other names under which vLLM's model classes load a tensor (``benchmarks/loader_names.py`` made the data).

Checkpoints of one architecture differ in names: `model.language_model.layers` and `model.layers` in Qwen2.5-VL, `w1` and
`gate_proj` in Mixtral. Two names that a class rewrites to one are one tensor to it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files


def loaded_as(architecture: str, name: str) -> str:
    """Return the name that vLLM's class rewrites a tensor's to (vLLM 0.32.0 model_executor/models/utils.py:78)."""
    rewrites = _data().get(architecture)
    if rewrites is None:
        return name
    for old, new in rewrites["parts"].items():
        name = name.replace(old, new, 1)
    for old, new in rewrites["prefixes"].items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
    return name


@lru_cache(maxsize=1)
def _data() -> dict[str, dict[str, dict[str, str]]]:
    text = files("ctq.engines").joinpath("data/loader_names.json").read_text(encoding="utf-8")
    architectures: dict[str, dict[str, dict[str, str]]] = json.loads(text)["architectures"]
    return architectures
