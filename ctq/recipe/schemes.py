"""Schemes as data: what is written for a quantized weight, and under which compressed-tensors format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from ctq.errors import UsageError

Format = Literal["int-quantized", "pack-quantized"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantArgs:
    """How values are quantized; the fields and their names are those of compressed-tensors' ``QuantizationArgs``.

    ``block_structure`` are the rows and columns that share a scale by the strategy block, which is read and never written.
    """

    num_bits: int = 8
    type: str = "int"
    strategy: str = "channel"
    group_size: int | None = None
    symmetric: bool = True
    dynamic: bool = False
    block_structure: tuple[int, int] | None = None

    def to_json(self, *, observer: str | None = None) -> dict[str, Any]:
        """Return the object that ``config_groups`` holds for these arguments."""
        return {
            "num_bits": self.num_bits,
            "type": self.type,
            "strategy": self.strategy,
            "group_size": self.group_size,
            "symmetric": self.symmetric,
            "dynamic": self.dynamic,
            "observer": observer,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A named way to store a linear layer: its weights, its activations at run time, and the format of its tensors."""

    name: str
    weights: QuantArgs
    activations: QuantArgs | None
    format: Format
    allows_asymmetric: bool = False
    allows_group: bool = False

    @property
    def is_packed(self) -> bool:
        """Whether several values share a word."""
        return self.format == "pack-quantized"


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            name="W8A8",
            weights=QuantArgs(),
            activations=QuantArgs(strategy="token", dynamic=True),
            format="int-quantized",
        ),
        Scheme(
            name="W8A16",
            weights=QuantArgs(strategy="group", group_size=128),
            activations=None,
            format="pack-quantized",
            allows_asymmetric=True,
            allows_group=True,
        ),
    )
}

DEFAULT_SCHEME = "W8A8"
GROUP_SIZES = (32, 64, 128)
"""Group sizes that vLLM's 8-bit weight-only kernels take: those of the table in ``engines/hardware.py``."""


def scheme_named(name: str) -> Scheme:
    """Return the scheme called ``name``, whatever its case.

    Raises:
        UsageError: there is no such scheme.

    """
    try:
        return SCHEMES[name.upper()]
    except KeyError:
        raise UsageError(f"no scheme '{name}'", hint=f"schemes: {', '.join(SCHEMES)}") from None


def variant(
    scheme: Scheme, *, strategy: str | None = None, group_size: int | None = None, symmetric: bool | None = None
) -> Scheme:
    """Return ``scheme`` with another strategy, group size or symmetry, where it allows them.

    Raises:
        UsageError: the scheme, as engines implement it, does not allow the choice.

    """
    if group_size is not None and strategy == "channel":
        raise UsageError("a group size with the strategy channel", hint="leave one of them out")
    wants_group = strategy == "group" or group_size is not None
    if wants_group and not scheme.allows_group:
        raise UsageError(
            f"{scheme.name} is per-channel: no engine runs group-wise weights with quantized activations",
            hint="take W8A16 for group-wise weights",
        )
    if group_size is not None and group_size not in GROUP_SIZES:
        sizes = ", ".join(map(str, GROUP_SIZES))
        raise UsageError(f"group size {group_size} has no 8-bit kernel", hint=f"group sizes: {sizes}")
    if symmetric is False and not scheme.allows_asymmetric:
        raise UsageError(
            f"{scheme.name} is symmetric: no engine runs asymmetric weights with int8 activations",
            hint="take W8A16 for zero points",
        )
    weights = scheme.weights
    if strategy == "channel":
        weights = replace(weights, strategy="channel", group_size=None)
    elif wants_group:
        weights = replace(weights, strategy="group", group_size=group_size or weights.group_size or 128)
    if symmetric is not None:
        weights = replace(weights, symmetric=symmetric)
    return replace(scheme, weights=weights)
