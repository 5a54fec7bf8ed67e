"""Quantization arguments as engines read them: strictly, unlike `ctq.recipe.quant_config`, which forgives.

vLLM validates each group with compressed-tensors' ``QuantizationArgs`` and fails to start where that fails. Same fields and
checks here. Source: compressed_tensors 0.17 quantization/quant_args.py:128-400.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.torch_names import TORCH_DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_READ_FIELDS = ("num_bits", "type", "symmetric", "group_size", "strategy", "dynamic", "actorder", "scale_dtype")
_OTHER_FIELDS = ("block_structure", "zp_dtype", "observer", "observer_kwargs")
_FIELDS = frozenset(_READ_FIELDS + _OTHER_FIELDS)
_TYPES = ("int", "float")
_STRATEGIES = ("tensor", "channel", "group", "block", "token", "tensor_group", "attn_head")
_GROUPED = ("group", "tensor_group")
_DYNAMIC_STRATEGIES = ("token", "tensor", "tensor_group", "group")
_ORDERINGS = {"group": "group", "dynamic": "group", "weight": "weight", "static": "weight"}
_TRUE, _FALSE = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
_INTEGER = re.compile(r"[+-]?\d{1,4300}(\.0*)?")
"""A text that pydantic takes for a number: it stops where Python does."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineArgs:
    """Validated arguments of a group's weights or activations; ``dynamic`` is ``"local"`` for NVFP4 activations."""

    num_bits: int = 8
    type: str = "int"
    symmetric: bool = True
    group_size: int | None = None
    strategy: str = "tensor"
    dynamic: bool | str = False
    actorder: str | None = None
    scale_dtype: str | None = None


def parse_args(raw: object) -> EngineArgs:
    """Validate a ``weights`` or ``input_activations`` object.

    Raises:
        DispatchError: compressed-tensors refuses it.

    """
    if not isinstance(raw, dict):
        raise _invalid("an object is expected", raw)
    unknown = sorted(str(key) for key in raw.keys() - _FIELDS)
    if unknown:
        raise _invalid("unknown field", ", ".join(unknown))
    size = _optional(raw, "group_size", _size)
    args = EngineArgs(
        num_bits=_read(raw, "num_bits", _integer, 8),
        type=_read(raw, "type", _one_of(_TYPES), "int"),
        symmetric=_read(raw, "symmetric", _boolean, True),  # noqa: FBT003  # the default of a field
        group_size=size,
        strategy=_optional(raw, "strategy", _one_of(_STRATEGIES)) or _inferred_strategy(size),
        dynamic=_dynamic("dynamic", raw.get("dynamic", False)),
        actorder=_optional(raw, "actorder", _actorder),
        scale_dtype=_optional(raw, "scale_dtype", _dtype),
    )
    _check_other_fields(raw)
    _check(args, has_blocks=raw.get("block_structure") is not None)
    return args


def _inferred_strategy(group_size: int | None) -> str:
    if group_size is None:
        return "tensor"
    if group_size == 0:
        raise _invalid("group_size", group_size)
    return "group" if group_size > 0 else "channel"


def _check_other_fields(raw: Mapping[str, Any]) -> None:
    if not isinstance(raw.get("observer"), str | None):
        raise _invalid("observer", raw["observer"])
    if not isinstance(raw.get("observer_kwargs", {}), dict):
        raise _invalid("observer_kwargs", raw["observer_kwargs"])
    _optional(raw, "zp_dtype", _dtype)
    _optional(raw, "block_structure", _blocks)


def _check(args: EngineArgs, *, has_blocks: bool) -> None:
    grouped, size = args.strategy in _GROUPED, args.group_size
    faults = (
        (size is not None and size < -1, f"invalid group_size {size}"),
        (args.strategy == "token" and not args.dynamic, "token strategy needs dynamic: true"),
        (grouped and (size is None or size <= 0), f"strategy {args.strategy} needs a positive group_size"),
        (not grouped and size is not None and size > 0, "group_size needs strategy group"),
        ((args.strategy == "block") != has_blocks, "strategy block and block_structure need each other"),
        (args.actorder == "group" and not grouped, "actorder group needs strategy group"),
        (
            bool(args.dynamic) and args.strategy not in _DYNAMIC_STRATEGIES,
            f"strategy {args.strategy} cannot be dynamic",
        ),
        (args.dynamic == "local" and args.strategy != "tensor_group", "dynamic local needs strategy tensor_group"),
    )
    for is_wrong, message in faults:
        if is_wrong:
            raise DispatchError("ValueError", f"invalid quantization arguments: {message}")
    if args.type == "float" and args.num_bits not in (4, 8):
        raise DispatchError(
            "NotImplementedError", f"invalid quantization arguments: no float type of {args.num_bits} bits"
        )


def _read(raw: Mapping[str, Any], key: str, read: Callable[[str, object], _T], default: _T) -> _T:
    return read(key, raw[key]) if key in raw else default


def _optional(raw: Mapping[str, Any], key: str, read: Callable[[str, object], _T]) -> _T | None:
    return None if raw.get(key) is None else read(key, raw[key])


def _integer(key: str, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().split(".")[0])
    if not isinstance(value, int):
        raise _invalid(key, value)
    return int(value)


def _size(key: str, value: object) -> int:
    if isinstance(value, str):  # compared with a number before it is read as one
        raise DispatchError("TypeError", f"invalid quantization arguments: {key} ({value!r})")
    return _integer(key, value)


def _blocks(key: str, value: object) -> list[int]:
    if isinstance(value, str):
        return [_integer(key, size) for size in value.split("x")]
    # rows, columns
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(size, int) for size in value):
        raise _invalid(key, value)
    return value


def _boolean(key: str, value: object) -> bool:
    word = value.lower() if isinstance(value, str) else value
    if word in (0, 1) or word in _TRUE or word in _FALSE:
        return word == 1 or word in _TRUE
    raise _invalid(key, value)


def _dynamic(key: str, value: object) -> bool | str:
    if isinstance(value, str):
        return _one_of(("local",))(key, value)
    return _boolean(key, value)


def _actorder(key: str, value: object) -> str | None:
    if isinstance(value, bool):
        return "group" if value else None
    return _ORDERINGS[_one_of(tuple(_ORDERINGS))(key, value)]


def _dtype(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise _invalid(key, value)
    name = value.removeprefix("torch.")
    if name not in TORCH_DTYPES:
        raise _invalid(key, value)
    return name


def _one_of(known: tuple[str, ...]) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        word = value.lower() if isinstance(value, str) else None
        if word not in known:
            raise _invalid(key, value)
        return word

    return read


def _invalid(what: str, value: object) -> DispatchError:
    return DispatchError("ValueError", f"invalid quantization arguments: {what} ({value!r})")
