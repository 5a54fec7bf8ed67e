"""What compressed-tensors 0.17's own models refuse in a ``quantization_config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import parse_args

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROLES = ("weights", "input_activations", "output_activations")
_FORMATS = frozenset(
    (
        *("dense", "sparse-bitmask", "sparse-24-bitmask", "int-quantized", "float-quantized", "naive-quantized"),
        *("pack-quantized", "marlin-24", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized"),
    )
)
"""Formats that a group may have (config/base.py ``CompressionFormat``, without ``mixed-precision``)."""


def schema_defects(raw: Mapping[str, Any]) -> Iterator[str]:
    """Say what compressed-tensors would refuse in a config, one phrase each."""
    groups = raw.get("config_groups")
    if groups is None:
        yield "config_groups is missing"
    for name, group in groups.items() if isinstance(groups, dict) else ():
        if isinstance(group, dict):
            yield from _group(f"config_groups.{name}", group)


def _group(where: str, group: Mapping[str, Any]) -> Iterator[str]:
    if "targets" not in group:
        yield f"{where}.targets is missing"
    found = group.get("format")
    if isinstance(found, str) and found not in _FORMATS:
        yield f"{where}.format '{found}' is no format of a group"
    for role in _ROLES:
        args = group.get(role)
        if isinstance(args, dict):
            try:
                parse_args(args)
            except DispatchError as error:
                yield f"{where}.{role}: {error.message.removeprefix('invalid quantization arguments: ')}"
