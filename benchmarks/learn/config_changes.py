"""What is done to the keys of a config, one at a time: left out, nulled, another value."""

from __future__ import annotations

import copy
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json: TypeAlias = dict[str, Any]
GONE: Final = "gone"
DEPTH: Final = 2
TRIFLES: Final = re.compile(
    r"(_token_id$|token_index$|^transformers_version$|dropout|_pdrop$|^initializer|init_std|^output_|return_dict|id2label|label2id"
    r"|^use_cache$|^architectures$|^model_type$|aux_loss|z_loss|chunk_size_feed|^problem_type$|_name_or_path|^is_encoder_decoder$"
    r"|summary_|^pretraining_tp$|jitter|gradient_checkpointing|^dtype$|^torch_dtype$|time_step_|^rescale|^use_mamba_kernels$)"
)
"""Keys that say nothing of the model as it is served, or that have rules of their own."""


def vllm_words(python: Path) -> frozenset[str]:
    """Return every word of the sources of the installed vLLM."""
    [package] = python.parents[1].glob("lib/python3*/site-packages/vllm")
    return frozenset(word for path in package.rglob("*.py") for word in re.findall(r"\w+", path.read_text()))


def mutants(
    config: Json, words: frozenset[str], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, object]]:
    """Yield the path of each key, what is done to it and its new value."""
    level = config
    for word in path:
        level = level[word]
    for key, value in level.items():
        if TRIFLES.search(key) or key not in words:
            continue
        if isinstance(value, dict):
            yield from (((*path, key), what, new) for what, new in ((GONE, GONE), ("null", None)))
            if len(path) < DEPTH:
                yield from mutants(config, words, (*path, key))
        else:
            yield from (((*path, key), what, new) for what, new in _others(value))


def _others(value: object) -> Iterator[tuple[str, object]]:
    yield GONE, GONE
    if isinstance(value, bool):
        yield "flip", not value
        return
    if isinstance(value, int):
        yield from ((f"={other}", other) for other in dict.fromkeys((0, 2 * value)) if other != value)
    elif isinstance(value, float):
        yield "=0", 0.0
        yield "neg", -value if value else -1.0
    elif isinstance(value, str):
        yield "nonsense", "nonsense"
    elif isinstance(value, list) and len(value) > 1:
        yield "short", value[:-1]
    if value is None:
        yield "=1", 1
    else:
        yield "null", None


def changed(config: Json, path: tuple[str, ...], new: object) -> Json:
    """Return a config with one key changed, by its path."""
    config = copy.deepcopy(config)
    level = config
    for word in path[:-1]:
        level = level[word]
    if new is GONE:
        level.pop(path[-1])
    else:
        level[path[-1]] = new
    return config


def with_config(base: Path, folder: Path, config: Json) -> Path:
    """Write a checkpoint of the same tensors with another config."""
    folder.mkdir(parents=True)
    for file in base.iterdir():
        if file.name != "config.json":
            os.link(file, folder / file.name)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return folder
