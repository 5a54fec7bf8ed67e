"""Turn quantized weights into float32, independently of the engine and of compressed-tensors."""

from __future__ import annotations

import torch


def unpack(packed: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, *, bits: int) -> torch.Tensor:
    """Dequantize ``pack-quantized`` weights: int32 words hold ``32 // bits`` values along the columns, lowest bits first.

    ``packed`` [out, ceil(in * bits / 32)], ``scale`` [out, groups], ``zero`` packed along the rows [ceil(out * bits / 32), groups];
    returns float32 [out, columns]. Symmetric values are stored with an offset of ``2 ** (bits - 1)`` (compressed-tensors
    pack_quantized.py).
    """
    offset = 1 << (bits - 1)
    values = spread(packed, bits=bits) - offset
    groups = scale.shape[1]
    columns = values.shape[1] // groups * groups
    wide = values[:, :columns].reshape(values.shape[0], groups, -1).float()
    if zero is not None:
        wide = wide - (spread(zero.T, bits=bits).T[: values.shape[0]] - offset).float()[:, :, None]
    return (wide * scale.float()[:, :, None]).reshape(values.shape[0], columns)


def spread(words: torch.Tensor, *, bits: int) -> torch.Tensor:
    """Split int32 words [rows, words] into their unsigned values [rows, words * (32 // bits)]."""
    shifts = torch.arange(0, 32 // bits * bits, bits, dtype=torch.int32, device=words.device)
    return ((words.unsqueeze(-1) >> shifts) & ((1 << bits) - 1)).reshape(words.shape[0], -1)
