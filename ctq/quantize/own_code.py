"""Code that a model brings along: copied as it lies, never run; what was left on the hub the result refers to there.

A hub id is downloaded without code, and the files of a result that name some (`auto_map`) would lead nowhere. Engines that are told
to trust it fetch `ORG/NAME--module.Class` from that repository (transformers 5.19 ``dynamic_module_utils.py``).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ctq.engines.vllm_models.own_code import code_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.source import Source

_KEY: Final = "auto_map"
_NAMING: Final = (
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
"""Files beside the config that name classes."""


def config_with_code(config: ModelConfig, source: Source) -> ModelConfig:
    """Return a config whose `auto_map` leads to the hub for code that its snapshot lacks."""
    named = _referring(config.raw, source)
    return config if named is None else replace(config, raw={**config.raw, _KEY: named})


def rewritten_files(names: Iterable[str], source: Source) -> Iterator[tuple[str, bytes]]:
    """Yield those of some files that name code which a snapshot in the hub's cache lacks, as they lead to the hub."""
    for name in names if source.cached_repo is not None else ():
        if name in _NAMING and (document := _read(source, name)) is not None:
            named = _referring(document, source)
            if named is not None:
                yield name, (json.dumps({**document, _KEY: named}, indent=2, ensure_ascii=False) + "\n").encode()


def _referring(document: Mapping[str, Any], source: Source) -> dict[str, Any] | None:
    """Return an `auto_map` that leads to the repository; None where there is nothing to change."""
    named, repo = document.get(_KEY), source.cached_repo
    if not isinstance(named, dict) or repo is None:
        return None
    changed = {key: _at_home(value, source.files, repo) for key, value in named.items()}
    return changed if changed != named else None


def _at_home(value: Any, files: Collection[str], repo: str) -> Any:  # noqa: ANN401 - as JSON has it
    if isinstance(value, list):
        return [_at_home(one, files, repo) for one in value]
    file = code_file(value)
    return value if file is None or file in files else f"{repo}--{value}"


def _read(source: Source, name: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(source.read(name))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
