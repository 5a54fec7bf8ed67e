"""Transforms of inputs: all parts of a layer that holds several must have the same one.

vLLM looks each part up by the name that its model's table of fused layers gives it. Where the table has one name for all of
them, or none, a transform reaches the first part alone, and vLLM stops at the second. Source: vLLM 0.32.0
``model_executor/layers/quantization/compressed_tensors/transform/linear.py`` (``_validate_tfm_schemes``:149).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ctq.engines.dispatch_error import DispatchError
from ctq.errors import UsageError
from ctq.recipe.match import is_match

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_INPUT: Final = "input"
_LEAST: Final = {"MergedColumnParallelLinear": 2, "QKVParallelLinear": 3}
"""How many parts layers of these classes have at least."""
_PARTS: Final = {("in_proj_qkvz",): 1, ("in_proj_ba",): 1, ("in_proj_qkv", "in_proj_z"): 4}
"""How many those with these names have: keys, queries and values lie one by one in Qwen3.5, in one piece in Qwen3-Next.

Source: ``model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py:664``.
"""
_BASES: Final = ("ColumnParallelLinear", "LinearBase")
"""What those are by ancestry."""


@dataclass(frozen=True, slots=True)
class InputTransform:
    """What a transform of inputs applies to: patterns of names and classes of layers, and of those that it leaves out."""

    targets: tuple[str, ...]
    ignore: tuple[str, ...]


def input_transforms(raw: object) -> Iterator[InputTransform]:
    """Yield the transforms of inputs of a config of transforms that is a good one (`check_transforms`)."""
    for group in raw["config_groups"].values() if isinstance(raw, dict) and raw else ():
        for one in group.get("apply", []):
            if one["location"] == _INPUT:
                yield InputTransform(_texts(one["targets"]), _texts(one.get("ignore", [])))


def check_inputs(
    transforms: Collection[InputTransform], prefix: str, class_name: str, fused: Mapping[str, tuple[str, ...]]
) -> None:
    """Refuse a layer of several parts of which a transform does not reach each one.

    Raises:
        DispatchError: there is such a part, or a pattern is invalid.

    """
    if not transforms or class_name not in _LEAST:
        return
    key = next((key for key in fused if prefix.endswith(key)), "")
    named = fused.get(key, ("",))
    parts = [f"{prefix.removesuffix(key)}{part}" for part in named]
    try:
        reached = [
            any(is_match(part, (class_name, *_BASES), one.targets, one.ignore) for one in transforms) for part in parts
        ]
    except UsageError as error:
        raise DispatchError("re.error", error.message) from error
    count = _PARTS.get(named, max(_LEAST[class_name], len(parts)))
    if any(reached) and sum(reached) < count:
        message = (
            f"a transform of its input must reach all of its {count} parts by their names, and reaches {sum(reached)}"
        )
        raise DispatchError("KeyError", message)


def _texts(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
