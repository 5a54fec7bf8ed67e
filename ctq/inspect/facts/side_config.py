"""A quantization config in ModelOpt's own file, which vLLM takes for that of ``config.json`` where nothing stands there.

Source: vLLM 0.32.0 ``transformers_utils/config.py:893`` and ``layers/quantization/modelopt.py:284``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import QUANTIZATION_KEYS

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint

SIDE_CONFIG = "hf_quant_config.json"
_LARGEST = 1 << 22
"""Bytes of a file that is still read; lists of modules make it long."""
_METHOD = "quant_method"
_PRODUCER = "modelopt"
_INSIDE = "quantization"


@dataclass(frozen=True, slots=True)
class SideConfig:
    """What the file says, in the words of `quantization_config`, and why vLLM stops at it; None of what is not so."""

    quantization: dict[str, Any] | None = None
    fault: str | None = None


def read_side_config(checkpoint: Checkpoint) -> SideConfig:
    """Read the file; nothing where ``config.json`` has a config of its own, which vLLM prefers."""
    size = checkpoint.source.files.get(SIDE_CONFIG)
    if size is None or size > _LARGEST or checkpoint.config.raw.get(QUANTIZATION_KEYS[0]) is not None:
        return SideConfig()
    try:
        data = json.loads(checkpoint.source.read(SIDE_CONFIG).decode())
    except (ValueError, RecursionError) as error:
        return SideConfig(fault=f"is not JSON ({error})")
    if not isinstance(data, dict):
        return SideConfig(fault="is no JSON object")
    inside, producer = data.get(_INSIDE), data.get("producer")
    is_named = isinstance(data.get(_METHOD), str)
    is_modelopts = isinstance(producer, dict) and producer.get("name") == _PRODUCER
    if not is_named and is_modelopts and isinstance(inside, dict) and inside.get("quant_algo"):
        return SideConfig({_METHOD: _PRODUCER, **data})
    return SideConfig(dict(data) if is_named else None)


def with_side_config(checkpoint: Checkpoint, side: SideConfig) -> Checkpoint:
    """Return a checkpoint with the config that vLLM makes of ``config.json`` and the file."""
    if side.quantization is None:
        return checkpoint
    config = checkpoint.config
    return replace(checkpoint, config=replace(config, raw={**config.raw, QUANTIZATION_KEYS[0]: side.quantization}))
