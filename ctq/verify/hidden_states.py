"""Hidden states to run a head on: made up like those after a final norm, or read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.source import LocalFolder
from ctq.checkpoint.weights import read_header
from ctq.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ctq.checkpoint.header import TensorInfo

_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_SPREAD = 0.5
"""Log-normal spread of the channels: after a final norm some channels are several times as large as others."""
_HINT = "save one float tensor [tokens, hidden] with safetensors.torch.save_file"


def random_states(tokens: int, width: int, *, seed: int = 0) -> torch.Tensor:
    """Return float32 hidden states ``[tokens, width]`` of mean square one, with channels of different spread."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    spread = torch.exp(_SPREAD * torch.randn(width, generator=generator))
    states = torch.randn(tokens, width, generator=generator) * spread
    return states / states.square().mean().sqrt()


def saved_states(file: Path, *, width: int) -> torch.Tensor:
    """Return the only tensor of a safetensors file as float32 ``[tokens, width]``.

    Raises:
        CheckpointError: the file cannot be read.
        UsageError: it does not hold exactly one finite float tensor of that width.

    """
    import torch

    info, place = check_states(file, width=width)
    data = bytearray(LocalFolder(file).read(file.name, place, info.nbytes))
    states = torch.frombuffer(data, dtype=getattr(torch, _DTYPES[info.dtype])).reshape(-1, width).float()
    if not bool(torch.isfinite(states).all()):
        raise UsageError(f"{file}: holds values that are not finite", hint=_HINT)
    return states


def check_states(file: Path, *, width: int | None) -> tuple[TensorInfo, int]:
    """Return the only tensor of a file and the offset of its data, from the header alone.

    Raises:
        UsageError: it is no safetensors file with exactly one float tensor of that width.

    """
    try:
        header = read_header(LocalFolder(file), file.name)
    except CheckpointError as error:
        raise UsageError(f"{file}: no hidden states: {error.message}", hint=_HINT) from error
    if len(header.tensors) != 1:
        raise UsageError(f"{file}: {len(header.tensors)} tensors, one is expected", hint=_HINT)
    (info,) = header.tensors.values()
    _check(info, file, width)
    return info, header.data_start + info.start


def _check(info: TensorInfo, file: Path, width: int | None) -> None:
    if info.dtype not in _DTYPES or not info.shape or 0 in info.shape:
        raise UsageError(f"{file}: holds {info.dtype} {list(info.shape)}, no hidden states", hint=_HINT)
    if width is not None and info.shape[-1] != width:
        raise UsageError(f"{file}: hidden states of width {info.shape[-1]}, the head takes {width}", hint=_HINT)
