"""Turn quantized weights into float32, independently of the engine and of compressed-tensors."""

from __future__ import annotations

import torch


def dequantized_rows(tensors: dict[str, torch.Tensor], start: int, end: int) -> torch.Tensor:
    """Dequantize some rows of a layer from its tensors as the files hold them: float32 [end - start, in]."""
    packed = tensors.get("weight_packed")
    if packed is None:
        return scaled_rows(tensors, start, end)
    columns = int(tensors["weight_shape"][1])
    bits = max(width for width in (1, 2, 4, 8) if -(-columns // (32 // width)) == packed.shape[1])
    zero = tensors.get("weight_zero_point")
    offsets = None if zero is None else spread(zero.T, bits=bits).T[start:end]
    return grouped(
        spread(packed[start:end], bits=bits)[:, :columns], tensors["weight_scale"][start:end], offsets, bits=bits
    )


def scaled_rows(tensors: dict[str, torch.Tensor], start: int, end: int) -> torch.Tensor:
    """Multiply plain rows with their scale, per channel or per tensor; dense rows have none."""
    rows = tensors["weight"][start:end].float()
    scale = tensors.get("weight_scale")
    if scale is None:
        return rows
    return rows * (scale.float() if scale.numel() == 1 else scale[start:end].float().reshape(-1, 1))


def unpack(packed: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, *, bits: int) -> torch.Tensor:
    """Dequantize a whole ``pack-quantized`` layer whose rows fill their last word.

    ``packed`` [out, in * bits / 32], ``scale`` [out, groups], ``zero`` packed along the rows [ceil(out * bits / 32), groups];
    returns float32 [out, in].
    """
    offsets = None if zero is None else spread(zero.T, bits=bits).T[: packed.shape[0]]
    return grouped(spread(packed, bits=bits), scale, offsets, bits=bits)


def grouped(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, *, bits: int) -> torch.Tensor:
    """Dequantize unsigned codes [rows, in] with a scale and maybe an unsigned zero point for each group [rows, groups].

    Codes and zero points are stored with an offset of ``2 ** (bits - 1)`` (compressed-tensors, pack_quantized.py).
    """
    wide = codes.reshape(codes.shape[0], scale.shape[1], -1).float()
    middle = float(1 << (bits - 1)) if zero is None else zero.float()[:, :, None]
    return ((wide - middle) * scale.float()[:, :, None]).reshape(codes.shape)


def spread(words: torch.Tensor, *, bits: int) -> torch.Tensor:
    """Split int32 words [rows, words] into their unsigned values [rows, words * (32 // bits)], lowest bits first."""
    shifts = torch.arange(0, 32 // bits * bits, bits, dtype=torch.int32, device=words.device)
    return ((words.unsqueeze(-1) >> shifts) & ((1 << bits) - 1)).reshape(words.shape[0], -1)
