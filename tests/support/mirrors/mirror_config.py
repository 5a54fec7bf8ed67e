"""The configuration that an architecture's own class would have by default, made small; runs in vLLM's interpreter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from shrink import shrunk

_SUFFIXES = ("ForConditionalGeneration", "ForCausalLM", "Model", "LMHeadModel")
"""What the name of an architecture has beyond that of its configuration."""


def complete(path: Path) -> None:
    """Put what config.json states over the small default configuration of its architecture."""
    stated = json.loads(path.read_text())
    kind, config_class = _class_of(stated["architectures"][0])
    path.write_text(json.dumps(_merge({**shrunk(config_class()), "model_type": kind}, stated), indent=2, default=str))


def _class_of(architecture: str) -> tuple[str, Any]:
    from transformers import CONFIG_MAPPING
    from vllm.transformers_utils.config import _CONFIG_REGISTRY

    stem = architecture
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    names = _types()
    kind = names.get(architecture) or names[stem.lower()]
    return kind, _CONFIG_REGISTRY[kind] if kind in _CONFIG_REGISTRY else CONFIG_MAPPING[kind]


@lru_cache(maxsize=1)
def _types() -> dict[str, str]:
    """Return the model type of each architecture that transformers names, and of each configuration's stem in lower case."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto
    from vllm.transformers_utils.config import _CONFIG_REGISTRY

    found: dict[str, str] = {}
    for name, mapping in vars(modeling_auto).items():
        if name.endswith("_MAPPING_NAMES"):
            found |= {one: kind for kind, classes in mapping.items() for one in _listed(classes) if one not in found}
    known = {**CONFIG_MAPPING._mapping, **{kind: dict.__getitem__(_CONFIG_REGISTRY, kind) for kind in _CONFIG_REGISTRY}}
    for kind, named in known.items():
        found[str(getattr(named, "__name__", named)).removesuffix("Config").lower()] = kind
    return found


def _listed(classes: str | tuple[str, ...]) -> Iterator[str]:
    yield from (classes,) if isinstance(classes, str) else classes


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    for key, value in over.items():
        base[key] = _merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return base
