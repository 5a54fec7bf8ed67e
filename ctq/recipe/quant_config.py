"""The ``quantization_config`` of compressed-tensors, read leniently from any tool's checkpoint.

Reading never fails on odd values: what cannot be understood is kept as it stands in ``raw`` and listed in ``defects``, for
inspection to name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctq.recipe.schemes import QuantArgs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METHOD = "compressed-tensors"
_OTHER_SPELLING = "compressed_tensors"
"""What vLLM takes for the method too, in any case (transformers_utils/model_arch_config_convertor.py 0.32.0:298)."""
_ACTIVATIONS = "input_activations"
_STATUSES = frozenset({"initialized", "calibration", "frozen", "compressed", "decompressed"})
_MOST_DIGITS = 4300
"""Python takes no longer text for a number, nor do those models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigGroup:
    """One entry of ``config_groups``; ``format`` is its own, without the fallback to the config's.

    ``outputs`` are the arguments of ``output_activations``, None if they cannot be read.
    """

    name: str
    targets: tuple[str, ...]
    weights: QuantArgs | None
    activations: QuantArgs | None
    format: str | None
    quantizes_outputs: bool = False
    outputs: QuantArgs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantConfig:
    """A quantization config in the order of the file.

    ``defects`` says what in it has the wrong form, ``oddities`` what compressed-tensors refuses and vLLM reads all the same.
    """

    method: str | None
    format: str | None
    status: str | None
    groups: tuple[ConfigGroup, ...]
    ignore: tuple[str, ...]
    raw: Mapping[str, Any]
    defects: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()

    @property
    def is_compressed_tensors(self) -> bool:
        """Whether compressed-tensors would read it."""
        return self.method == METHOD

    def format_of(self, group: ConfigGroup) -> str | None:
        """Return the format that holds for ``group``: its own, else the config's."""
        return group.format or self.format

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets of all groups, in order."""
        return tuple(target for group in self.groups for target in group.targets)


def parse_quantization(raw: Mapping[str, Any]) -> QuantConfig:
    """Read a ``quantization_config`` object, whoever wrote it."""
    defects: list[str] = []
    groups = raw.get("config_groups")
    if groups is not None and not isinstance(groups, dict):
        defects.append("config_groups is not an object")
    parsed = [_group(name, group, defects) for name, group in groups.items()] if isinstance(groups, dict) else []
    written = _text(raw, "quant_method", defects)
    is_ours = written is not None and written.lower().replace(_OTHER_SPELLING, METHOD) == METHOD
    return QuantConfig(
        method=METHOD if is_ours else written,
        format=None if _is_unread_format(raw) else _text(raw, "format", defects),
        status=status if isinstance(status := raw.get("quantization_status"), str) else None,
        groups=tuple(group for group in parsed if group),
        ignore=_ignored(raw, defects),
        raw=raw,
        defects=tuple(defects),
        oddities=tuple(_oddities(raw)),
    )


def _ignored(raw: Mapping[str, Any], defects: list[str]) -> tuple[str, ...]:
    written = raw.get("ignore")
    if isinstance(written, str):
        return ()
    return tuple(written) if isinstance(written, dict) else _names(raw, "ignore", "", defects)


def _is_unread_format(raw: Mapping[str, Any]) -> bool:
    """Say whether `format` is no text, which vLLM never looks at where all groups have formats of their own."""
    groups = raw.get("config_groups")
    return (
        not isinstance(raw.get("format"), str | None)
        and isinstance(groups, dict)
        and all(isinstance(group, dict) and isinstance(group.get("format"), str) for group in groups.values())
    )


def _oddities(raw: Mapping[str, Any]) -> Iterator[str]:
    method, status = raw.get("quant_method"), raw.get("quantization_status", "compressed")
    if isinstance(raw.get("ignore"), str):
        yield "ignore is a text, of which vLLM takes each letter for a name"
    if isinstance(raw.get("ignore"), dict):
        yield "ignore is an object, of which vLLM takes the keys for names"
    if _is_unread_format(raw):
        yield "format is no text, which vLLM does not look at where each group has a format"
    if isinstance(method, str) and method not in (METHOD, _OTHER_SPELLING):
        yield f"quant_method '{method}' is not spelt {METHOD}"
    if status is not None and str(status) not in _STATUSES:
        yield f"quantization_status '{status}' does not exist"
    groups = raw.get("config_groups")
    for name, group in groups.items() if isinstance(groups, dict) else ():
        if isinstance(group, dict) and group.get(_ACTIVATIONS) is False:
            yield f"config_groups.{name}.{_ACTIVATIONS} is false, which vLLM takes for null"
        if isinstance(group, dict) and isinstance(group.get("targets"), str):
            yield f"config_groups.{name}.targets is a text, of which vLLM takes each letter for a target"


def _group(name: str, group: object, defects: list[str]) -> ConfigGroup | None:
    if not isinstance(group, dict):
        defects.append(f"config_groups.{name} is not an object")
        return None
    where = f"config_groups.{name}."
    return ConfigGroup(
        name=name,
        targets=_targets(group, where, defects),
        weights=_args(group, "weights", where, defects),
        activations=_args(group, _ACTIVATIONS, where, defects),
        format=_text(group, "format", defects),
        quantizes_outputs=group.get("output_activations") is not None,
        outputs=_args(group, "output_activations", where, []),
    )


def _targets(group: Mapping[str, Any], where: str, defects: list[str]) -> tuple[str, ...]:
    written = group.get("targets")
    return tuple(written) if isinstance(written, str) else _names(group, "targets", where, defects)


def _args(group: Mapping[str, Any], key: str, where: str, defects: list[str]) -> QuantArgs | None:
    value = group.get(key)
    if value is None or (value is False and key == _ACTIVATIONS):
        return None
    if not isinstance(value, dict):
        defects.append(f"{where}{key} is not an object")
        return None
    bits, size = _integer(value.get("num_bits", 8)), value.get("group_size")
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if bits is None or not (size is None or type(size) is int):
        defects.append(f"{where}{key} has a num_bits or group_size that is not an integer")
        return None
    if size == 0 and value.get("strategy") == "group":
        defects.append(f"{where}{key} has a group_size of 0")
    group_size = size if size is not None and size > 0 else None
    strategy = value.get("strategy") or ("channel" if size == -1 else "group" if group_size else "tensor")
    # `dynamic` may also be the word "local" (NVFP4): true for our purposes, since no scale is stored.
    return QuantArgs(
        num_bits=bits,
        type=str(value.get("type", "int")),
        strategy=str(strategy),
        group_size=group_size,
        symmetric=value.get("symmetric", True) is not False,
        dynamic=bool(value.get("dynamic", False)),
        block_structure=_block(value.get("block_structure")),
    )


def _block(value: object) -> tuple[int, int] | None:
    """Read the rows and columns of a block; None where there is none that can be told."""
    if not isinstance(value, list) or [type(size) for size in value] != [int, int] or min(value) < 1:
        return None
    rows, columns = value
    return rows, columns


def _integer(value: object) -> int | None:
    """Read a number as compressed-tensors' models do, which take `"8"` and 8.0 for 8."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value) if len(value) <= _MOST_DIGITS else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _names(data: Mapping[str, Any], key: str, where: str, defects: list[str]) -> tuple[str, ...]:
    value = data.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        defects.append(f"{where}{key} is not a list of strings")
        return ()
    return tuple(value)


def _text(data: Mapping[str, Any], key: str, defects: list[str]) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        defects.append(f"{key} is not a string")
        return None
    return value
