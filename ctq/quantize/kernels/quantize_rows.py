"""The compiled loop that quantizes whole rows: per row or group its range, its scale, then every value in one go.

It keeps to float32 and half-even rounding: `q = clamp(rint(w / s + z))` with the stored scale s and the zero
point z. Adding 1.5 * 2**23 rounds a float32 to an integer and leaves that integer in the low bits, where the byte
to store is taken from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ctq.quantize.kernels.primitives import add_square, advance, as_bits, as_float, inlined, peek, poke
from ctq.quantize.kernels.weights import extremes, load

ROUNDER = np.float32(1.5 * 2**23)
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
LEVELS = np.float32(255.0)
LOWEST = np.float32(-128.0)
MAGNITUDE = np.uint32(0x7FFFFFFF)
SHRINK = 0.03


@inlined
def ceil_scale(exact: Any, fmt: Any) -> Any:
    """Return the smallest scale, as a float32, that the dtype stores and that is not below a float64."""
    dropped, normal, grid = fmt[0], fmt[1], fmt[2]
    need = np.float32(exact)
    bits = as_bits(need)
    if np.float64(need) < exact:
        bits = np.uint32(bits + 1)
    if as_float(bits) >= normal:
        return as_float(np.uint32((bits + dropped) & ~dropped))
    steps = as_float(bits) / grid
    whole = np.int32(steps)
    if np.float32(whole) < steps or whole == 0:
        whole += 1
    return np.float32(whole) * grid


@inlined
def stored_scale(scale: Any, fmt: Any) -> Any:
    """Return the raw bits of a scale that the dtype holds exactly."""
    normal, grid, bias, shift = fmt[1], fmt[2], fmt[3], fmt[4]
    if scale < normal:
        return np.uint32(scale / grid)
    return np.uint32((as_bits(scale) - bias) >> shift)


@inlined
def choose_scale(low: Any, high: Any, symmetric: Any, fmt: Any) -> Any:
    """Return the stored scale that spreads [low, high] over 256 levels, and the least level in steps from zero.

    Symmetric: max|w| / 127.5. Asymmetric: (high - low) / 255, the least level at the multiple nearest to low, as
    compressed-tensors places its zero point (0.17.0 quantization/utils/helpers.py, calculate_qparams).
    """
    if symmetric:
        return ceil_scale(2.0 * np.float64(max(-low, high)) / 255.0, fmt), LOWEST
    scale = ceil_scale((np.float64(high) - np.float64(low)) / 255.0, fmt)
    return scale, (low / scale + ROUNDER) - ROUNDER


@inlined
def limit_levels(low: Any, high: Any, scale: Any, least: Any, largest: Any) -> Any:
    """Return the least and the greatest level, without those whose product with the scale would overflow.

    That happens at the very end of a dtype's range, where a tie between two levels may go to the inner one.
    """
    greatest = least + LEVELS
    while least * scale < -largest and low >= (least + HALF) * scale:
        least += ONE
    while greatest * scale > largest and high <= (greatest - HALF) * scale:
        greatest -= ONE
    return least, greatest


@inlined
def squared_error(weights: Any, count: Any, scale: Any, least: Any) -> Any:
    """Return the sum of squared errors under a scale, in the weight's unit."""
    inverse = ONE / scale
    greatest = least + LEVELS
    total = ZERO
    for index in range(count):
        steps = load(weights, index) * inverse
        total = add_square(total, steps - ((max(min(steps, greatest), least) + ROUNDER) - ROUNDER))
    return np.float64(total) * np.float64(scale) * np.float64(scale)


@inlined
def search_share(weights: Any, count: Any, extent: Any, options: Any, fmt: Any) -> Any:
    """Return the share of the range whose scale has the least squared error."""
    low, high = extent
    symmetric, candidates = options
    best_share, best_error = ONE, np.inf
    for candidate in range(candidates):
        share = np.float32(1.0 - SHRINK * candidate)
        scale, least = choose_scale(low * share, high * share, symmetric, fmt)
        error = squared_error(weights, count, scale, least)
        if error < best_error:
            best_share, best_error = share, error
    return best_share


@inlined
def quantize_run(weights: Any, count: Any, values: Any, scale: Any, levels: Any) -> Any:
    """Store the bytes of a row or group; return its sums of squares and largest error, all in steps."""
    least, greatest, shift = levels
    rounder = ROUNDER + shift
    signal, noise, worst = ZERO, ZERO, np.uint32(0)
    for index in range(count):
        steps = load(weights, index) / scale
        rounded = max(min(steps, greatest), least) + rounder
        poke(values, index, as_bits(rounded))
        error = steps - (rounded - rounder)
        signal = add_square(signal, steps)
        noise = add_square(noise, error)
        worst = max(worst, np.uint32(as_bits(error) & MAGNITUDE))
    return signal, noise, as_float(worst)


@inlined
def first_nonfinite(weights: Any, count: Any, largest: Any) -> Any:
    """Return how many weights are not finite, and the index of the first of them."""
    found, first = 0, -1
    for index in range(count):
        if not abs(load(weights, index)) <= largest:
            first = index if found == 0 else first
            found += 1
    return found, first


def quantize_rows(  # noqa: PLR0913  # a C function
    weights: Any,
    values: Any,
    scales: Any,
    zero_points: Any,
    report: Any,
    rows: Any,
    cols: Any,
    stride: Any,
    size: Any,
    stacked: Any,
    symmetric: Any,
    offset: Any,
    candidates: Any,
    dropped: Any,
    normal: Any,
    grid: Any,
    bias: Any,
    shift: Any,
    largest: Any,
) -> None:
    """Quantize `weights [rows, cols]`, groups of `size` columns, into `values [rows, stride]` and `scales [rows, groups]`.

    The zero point of row r stands at `zero_points[r // stacked, group, r % stacked]`. `offset` is added to stored
    bytes. `report` receives signal, noise, the largest error in steps, the number of non-finite weights and the
    index of the first of them.
    """
    fmt = (dropped, normal, grid, bias, shift)
    groups = cols // size
    signal, noise, worst = 0.0, 0.0, ZERO
    nonfinite, first = 0, -1
    for r in range(rows):
        for g in range(groups):
            run = advance(weights, r * cols + g * size)
            low, high = extremes(run, size)
            if not (abs(low) <= largest and abs(high) <= largest):
                found, index = first_nonfinite(run, size, largest)
                first = r * cols + g * size + index if nonfinite == 0 else first
                nonfinite += found
                continue
            low, high = min(low, ZERO), max(high, ZERO)
            if candidates > 1:
                share = search_share(run, size, (low, high), (symmetric, candidates), fmt)
                low, high = low * share, high * share
            scale, least = choose_scale(low, high, symmetric, fmt)
            shifted = np.float32(offset)
            if not symmetric:
                shifted += LOWEST - least
                poke(zero_points, (r // stacked * groups + g) * stacked + r % stacked, np.int32(shifted))
            least, greatest = limit_levels(low, high, scale, least, largest)
            poke(scales, r * groups + g, stored_scale(scale, fmt))
            run_signal, run_noise, run_worst = quantize_run(
                run, size, advance(values, r * stride + g * size), scale, (least, greatest, shifted)
            )
            square = np.float64(scale) * np.float64(scale)
            signal += np.float64(run_signal) * square
            noise += np.float64(run_noise) * square
            worst = max(worst, run_worst)
    poke(report, 0, signal)
    poke(report, 1, noise)
    poke(report, 2, np.float64(worst))
    poke(report, 3, np.float64(nonfinite))
    poke(report, 4, np.float64(first))
