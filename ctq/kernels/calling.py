"""Hand arrays to kernels, which see addresses alone: what they would read or write amiss is refused here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numpy.typing import NDArray

from ctq.kernels.formats import FORMATS
from ctq.kernels.kernel import Kernel
from ctq.kernels.loading import load_kernel


@cache
def find_kernel(name: str, dtype: str, arguments: tuple[str, ...]) -> Callable[..., None]:
    """Load a kernel for weights of a dtype; an argument ``*word`` is a pointer to that dtype's bits."""
    word = FORMATS[dtype].word
    return load_kernel(Kernel(name, dtype, tuple(argument.replace("word", word) for argument in arguments)))


def check_array(array: NDArray[Any], shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse an array of another shape or element size, or one that is not contiguous, with ValueError."""
    if array.shape != shape or array.itemsize != itemsize or not array.flags.c_contiguous:
        raise ValueError(
            f"a contiguous array {list(shape)} of {itemsize} bytes each is needed, "
            f"not {list(array.shape)} of {array.itemsize}"
        )


def address(array: NDArray[Any] | None) -> int | None:
    """Return where an array's data starts."""
    return None if array is None else array.ctypes.data
