"""Decide where tensors come to be: on the meta device, on a real one, or by their size."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = 1 << 22  # elements: above it are weights, below it what models compute with while they are built


@contextlib.contextmanager
def created_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Create tensors of a default dtype on a device; some kernels ask the default dtype for that of their output."""
    with default_dtype(dtype), torch.device(device):
        yield


@contextlib.contextmanager
def small_ones_real(dtype: torch.dtype) -> Iterator[None]:
    """Create small tensors for real and large ones on the meta device, for models that read values while they are built."""
    with default_dtype(dtype), SmallOnesReal():
        yield


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default dtype for a while."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class SmallOnesReal(TorchFunctionMode):
    """Choose the device of each new tensor by its size, unless the code names one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Try a constructor on the meta device first, which costs nothing and tells the size."""
        kwargs = dict(kwargs or {})
        if func not in _device_constructors() or kwargs.get("device") is not None:
            return func(*args, **kwargs)
        dry = func(*args, **{**kwargs, "device": "meta"})
        return dry if dry.numel() > SMALL else func(*args, **{**kwargs, "device": "cpu"})


@contextlib.contextmanager
def kept_on_meta() -> Iterator[None]:
    """Let modules without bytes stay where they are when a model's own code moves them to its device."""
    real = torch.nn.Module.to

    def convert(self: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
        _, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
        if not any(tensor.is_meta for tensor in itertools.chain(self.parameters(), self.buffers())):
            return real(self, *args, **kwargs)
        return self if dtype is None else real(self, dtype=dtype)

    torch.nn.Module.to = convert  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.nn.Module.to = real  # type: ignore[method-assign]


def move_to_meta(model: torch.nn.Module) -> None:
    """Move what is not on the meta device, keeping the attributes that loaders need; shared tensors stay shared."""
    moved: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for table in (module._parameters, module._buffers):
            for name, tensor in list(table.items()):
                if tensor is not None and not tensor.is_meta:
                    table[name] = moved.setdefault(id(tensor), meta_twin(tensor))  # type: ignore[assignment]


def meta_twin(tensor: torch.Tensor) -> torch.Tensor:
    """Make a tensor of the same class, shape and attributes on the meta device."""
    data = torch.empty_like(tensor.data, device="meta")
    twin = torch.Tensor._make_subclass(type(tensor), data, False)  # noqa: FBT003
    twin.__dict__.update(tensor.__dict__)
    return twin
