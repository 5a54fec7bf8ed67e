"""A head with int8 weights and bf16 activations as one Triton kernel: the weights are read as bytes and widened in registers.

That is what weight-only kernels of serving engines do, in its shortest form, to measure what reading half the bytes is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import triton
import triton.language as tl

if TYPE_CHECKING:
    import torch

LEAST_TOKENS: Final = 16
"""Tensor cores take no smaller block; tokens beyond the batch are masked."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the work is cut: rows of the head for each program, columns for each step, warps, steps in flight."""

    rows: int = 64
    columns: int = 256
    warps: int = 4
    stages: int = 4


TILINGS: Final = (Tiling(), Tiling(32, 256), Tiling(64, 128, stages=6), Tiling(128, 128, warps=8), Tiling(32, 512))
"""What is tried; the fastest counts."""


@triton.jit
def _kernel(
    states,
    weight,
    scale,
    logits,
    tokens,
    rows,
    columns,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    token = tl.arange(0, BLOCK_TOKENS)
    total = tl.zeros((BLOCK_TOKENS, BLOCK_ROWS), tl.float32)
    for first in range(0, columns, BLOCK_COLUMNS):
        column = first + tl.arange(0, BLOCK_COLUMNS)
        inside = column < columns
        given = tl.load(
            states + token[:, None] * columns + column[None, :],
            mask=(token < tokens)[:, None] & inside[None, :],
            other=0.0,
        )
        codes = tl.load(
            weight + row[None, :].to(tl.int64) * columns + column[:, None],
            mask=(row < rows)[None, :] & inside[:, None],
            other=0,
        )
        total = tl.dot(given, codes.to(given.dtype), total)  # int8 is exact in bf16
    scales = tl.load(scale + row, mask=row < rows, other=0.0)
    tl.store(
        logits + token[:, None].to(tl.int64) * rows + row[None, :],
        total * scales[None, :],
        mask=(token < tokens)[:, None] & (row < rows)[None, :],
    )


def int8_head(
    states: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, tiling: Tiling = TILINGS[0]
) -> torch.Tensor:
    """Return float32 logits ``[tokens, rows]`` of states ``[tokens, columns]`` and int8 weights ``[rows, columns]``."""
    tokens, columns = states.shape
    rows = weight.shape[0]
    assert states.is_contiguous()
    assert weight.is_contiguous()
    logits: torch.Tensor = states.new_empty((tokens, rows), dtype=scale.dtype)
    grid: Any = (triton.cdiv(rows, tiling.rows),)
    _kernel[grid](
        states,
        weight,
        scale,
        logits,
        tokens,
        rows,
        columns,
        BLOCK_TOKENS=max(LEAST_TOKENS, triton.next_power_of_2(tokens)),
        BLOCK_ROWS=tiling.rows,
        BLOCK_COLUMNS=tiling.columns,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
    )
    return logits
