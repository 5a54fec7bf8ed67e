"""Where a scheme runs: vLLM's kernels by platform with their conditions, as data, and notes for people.

Source: vLLM 0.32.0 model_executor/kernels/linear/__init__.py:431 and 523 and the kernels' own ``can_implement``; releases before
0.24.0 were stricter for Marlin. That INT8 activations do not run on compute capability 10.0 and later is vLLM's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Platform = Literal["cuda", "rocm", "cpu", "xpu"]

CHANNEL = -1
"""Group size that stands for one scale to a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel of vLLM for one scheme on one platform.

    ``capability`` are the CUDA compute capabilities from the first up to, not including, the second, as 75, 90, ...;
    ``group_sizes`` those that it takes, None for any; columns (K) and the rows of one rank (N) must be multiples of the given
    numbers; ``needs`` is what must be there beside the scheme.
    """

    scheme: str
    name: str
    platform: Platform
    capability: tuple[int, int] | None = None
    group_sizes: frozenset[int] | None = None
    zero_points: bool = False
    columns_multiple: int = 1
    rows_multiple: int = 1
    needs: str = ""
    grouped_alone: bool = False
    """Whether it takes no weights with one scale to a row."""


KERNELS: tuple[Kernel, ...] = (
    Kernel(
        scheme="W8A8Int8", name="Cutlass", platform="cuda", capability=(75, 100), columns_multiple=16, rows_multiple=16
    ),
    Kernel(scheme="W8A8Int8", name="Triton", platform="cuda", capability=(75, 100)),
    Kernel(scheme="W8A8Int8", name="Aiter", platform="rocm"),
    Kernel(scheme="W8A8Int8", name="Triton", platform="rocm"),
    Kernel(scheme="W8A8Int8", name="oneDNN", platform="cpu"),
    Kernel(scheme="W8A8Int8", name="Triton", platform="xpu"),
    Kernel(
        scheme="WNA16",
        name="Machete",
        platform="cuda",
        capability=(90, 91),
        group_sizes=frozenset({CHANNEL, 64, 128}),
        zero_points=True,
        columns_multiple=64,
        rows_multiple=128,
    ),
    Kernel(
        scheme="WNA16",
        name="Marlin",
        platform="cuda",
        capability=(75, 1000),
        group_sizes=frozenset({CHANNEL, 32, 64, 128}),
    ),
    Kernel(
        scheme="WNA16",
        name="Conch",
        platform="cuda",
        capability=(75, 1000),
        group_sizes=frozenset({CHANNEL, 128}),
        zero_points=True,
        needs="the conch package",
    ),
    Kernel(
        scheme="WNA16",
        name="Exllama",
        platform="cuda",
        capability=(75, 1000),
        needs="float16 activations and grouped weights",
        grouped_alone=True,
    ),
    Kernel(
        scheme="WNA16",
        name="Humming",
        platform="cuda",
        capability=(75, 1000),
        zero_points=True,
        needs="the humming-kernels package",
    ),
    Kernel(
        scheme="WNA16",
        name="Conch",
        platform="rocm",
        group_sizes=frozenset({CHANNEL, 128}),
        zero_points=True,
        needs="the conch package",
    ),
    Kernel(
        scheme="WNA16",
        name="Exllama",
        platform="rocm",
        needs="float16 activations and grouped weights",
        grouped_alone=True,
    ),
)

_SCHEMES = {"W8A8": "W8A8Int8", "W8A16": "WNA16"}
_SUMMARY = {
    "W8A8Int8": "W8A8 runs in vLLM on CUDA GPUs of compute capability 7.5 to 9.x and on CPUs (there dense layers, not experts); "
    "on 10.0 and later (Blackwell) not by default, its Triton kernel may work with --linear-backend triton",
    "WNA16": "W8A16 runs in vLLM on CUDA GPUs of compute capability 7.5 and later, Blackwell too; "
    "no kernel for CPUs takes 8-bit weights",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What kernels ask about a layer: its group size (None: one scale to a row), zero points, and sizes where known."""

    group_size: int | None = None
    symmetric: bool = True
    columns: int | None = None
    rows_per_rank: int | None = None


def kernels_for(scheme: str, layer: Layer, *, platform: Platform = "cuda") -> tuple[Kernel, ...]:
    """Return the kernels that take such a layer, in the order in which vLLM tries them.

    ``scheme`` is one of the engine (``W8A8Int8``, ``WNA16``) or of ours (``W8A8``, ``W8A16``).
    """
    name = _SCHEMES.get(scheme, scheme)
    return tuple(
        kernel for kernel in KERNELS if (kernel.scheme, kernel.platform) == (name, platform) and _takes(kernel, layer)
    )


def group_sizes(scheme: str, *, platform: Platform = "cuda") -> tuple[int, ...]:
    """Return the sizes of groups, one scale to a row apart, for which a scheme has a kernel that needs no other package."""
    kernels = (one for one in KERNELS if (one.scheme, one.platform) == (_SCHEMES.get(scheme, scheme), platform))
    sizes = (one.group_sizes for one in kernels if one.group_sizes is not None and not one.needs)
    return tuple(sorted(frozenset().union(*sizes) - {CHANNEL}))


def hardware_notes(scheme: str, layer: Layer | None = None) -> tuple[str, ...]:
    """Return where vLLM runs a scheme, and what the layer's numbers cost it, each in one sentence; none for unknown schemes."""
    name = _SCHEMES.get(scheme, scheme)
    summary = _SUMMARY.get(name)
    notes = (summary,) if summary else ()
    if layer is None or name != "WNA16":
        return notes
    found = kernels_for(name, layer)
    usual = {kernel.name for kernel in found if not kernel.needs}
    if usual == {"Machete", "Marlin"}:
        return notes
    if "Marlin" in usual:
        return (*notes, f"{_words(layer)}: on Hopper (9.0) it runs on Marlin, not on the faster Machete")
    others = [f"{kernel.name} ({kernel.needs})" for kernel in found if kernel.needs]
    known = ["Machete (Hopper, 9.0)"] if usual else []
    return (*notes, f"{_words(layer)}: of the CUDA kernels only {' or '.join(known + others) or 'none'} takes it")


def _takes(kernel: Kernel, layer: Layer) -> bool:
    size = layer.group_size or CHANNEL
    if kernel.group_sizes is not None and size not in kernel.group_sizes:
        return False
    if kernel.scheme == "WNA16" and not layer.symmetric and not kernel.zero_points:
        return False
    if kernel.grouped_alone and size == CHANNEL:
        return False
    return _divides(kernel.columns_multiple, layer.columns) and _divides(kernel.rows_multiple, layer.rows_per_rank)


def _divides(multiple: int, size: int | None) -> bool:
    return size is None or size % multiple == 0


def _words(layer: Layer) -> str:
    grouped = f"groups of {layer.group_size}" if layer.group_size else "one scale to a row"
    return grouped if layer.symmetric else f"zero points and {grouped}"
