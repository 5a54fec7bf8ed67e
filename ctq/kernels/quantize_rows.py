"""The compiled loop that quantizes whole rows: per row or group its range, its scale, then every value in one go.

It keeps to float32 and half-even rounding: ``q = clamp(rint(w / s + z))`` with the stored scale s and the zero
point z. Adding 1.5 * 2**23 rounds a float32 to an integer and leaves that integer in the low bits, where the byte
to store is taken from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ctq.kernels.primitives import (
    LANES,
    add_square,
    advance,
    as_bits,
    as_float,
    inlined,
    make_lanes,
    peek,
    poke,
)
from ctq.kernels.weights import count_nonfinite, extremes, largest_of, load, scale_format

ROUNDER = np.float32(1.5 * 2**23)
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
LEVELS = np.float32(255.0)
LOWEST = np.float32(-128.0)
MAGNITUDE = np.uint32(0x7FFFFFFF)
SHRINK = np.float32(0.024)
LEAST_SHARE = np.float32(0.1)


@inlined
def _ceil_scale(exact: Any, fmt: Any) -> Any:
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
def _stored_scale(scale: Any, fmt: Any) -> Any:
    """Return the raw bits of a scale that the dtype holds exactly."""
    normal, grid, bias, shift = fmt[1], fmt[2], fmt[3], fmt[4]
    if scale < normal:
        return np.uint32(scale / grid)
    return np.uint32((as_bits(scale) - bias) >> shift)


@inlined
def _choose_scale(low: Any, high: Any, symmetric: Any, fmt: Any) -> Any:
    """Return the stored scale that spreads [low, high] over 256 levels, and the least level in steps from zero.

    Symmetric: max|w| / 127.5. Asymmetric: (high - low) / 255, the least level at the multiple nearest to low, as
    compressed-tensors places its zero point (0.17.0 quantization/utils/helpers.py, calculate_qparams).
    """
    if symmetric:
        return _ceil_scale(2.0 * np.float64(max(-low, high)) / 255.0, fmt), LOWEST
    scale = _ceil_scale((np.float64(high) - np.float64(low)) / 255.0, fmt)
    return scale, (low / scale + ROUNDER) - ROUNDER


@inlined
def _finite_least(low: Any, scale: Any, least: Any, largest: Any) -> Any:
    """Return the least level, or the next one when the least overflows and ``low`` lies halfway between the two.

    That is how it comes to an overflow: in a row that reaches the very end of its dtype's range.
    """
    if least * scale < -largest and low >= (least + HALF) * scale:
        return least + ONE
    return least


@inlined
def _squared_error(weights: Any, count: Any, scale: Any, least: Any, lanes: Any) -> Any:
    """Return the sum of squared errors under a scale, in the weight's unit, the same on every processor."""
    inverse = ONE / scale
    greatest = least + LEVELS
    for lane in range(LANES):
        poke(lanes, lane, ZERO)
    for start in range(0, count, LANES):
        chunk = advance(weights, start)
        for lane in range(min(LANES, count - start)):
            steps = load(chunk, lane) * inverse
            error = steps - ((max(min(steps, greatest), least) + ROUNDER) - ROUNDER)
            poke(lanes, lane, peek(lanes, lane) + error * error)
    return np.float64(_sum_lanes(lanes)) * np.float64(scale) * np.float64(scale)


@inlined
def _sum_lanes(lanes: Any) -> Any:
    """Return the sum of the lanes, added pairwise."""
    width = LANES // 2
    while width > 0:
        upper = advance(lanes, width)
        for lane in range(width):
            poke(lanes, lane, peek(lanes, lane) + peek(upper, lane))
        width //= 2
    return peek(lanes, 0)


@inlined
def _search_share(weights: Any, count: Any, extent: Any, symmetric: Any, fmt: Any) -> Any:
    """Return the share of its range that a row or group keeps for the least squared error.

    As the range shrinks, the error falls and then rises: go down in steps of ``SHRINK`` while it falls, then try half
    and a quarter of a step around the best. These six or seven scales do within 0.01 dB of a scan of two hundred.
    """
    lanes = make_lanes()
    share, best = ONE, _share_error(weights, count, extent, ONE, symmetric, fmt, lanes)
    while share > LEAST_SHARE:
        trial = share * (ONE - SHRINK)
        error = _share_error(weights, count, extent, trial, symmetric, fmt, lanes)
        if error >= best:
            break
        share, best = trial, error
    for part in (HALF, HALF * HALF):
        center = share
        for side in (-ONE, ONE):
            trial = min(center * (ONE + side * part * SHRINK), ONE)
            error = _share_error(weights, count, extent, trial, symmetric, fmt, lanes)
            if error < best:
                share, best = trial, error
    return share


@inlined
def _share_error(weights: Any, count: Any, extent: Any, share: Any, symmetric: Any, fmt: Any, lanes: Any) -> Any:
    """Return the squared error when a run is quantized over a share of its range."""
    scale, least = _choose_scale(extent[0] * share, extent[1] * share, symmetric, fmt)
    return _squared_error(weights, count, scale, least, lanes)


@inlined
def _quantize_run(weights: Any, count: Any, values: Any, scale: Any, levels: Any) -> Any:
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
def _plan_run(weights: Any, count: Any, extent: Any, options: Any, fmt: Any) -> Any:
    """Return the scale of a row or group, its least and greatest level, and what is added to levels for the byte."""
    symmetric, offset, search, largest = options
    low, high = min(extent[0], ZERO), max(extent[1], ZERO)
    if search:
        share = _search_share(weights, count, (low, high), symmetric, fmt)
        low, high = low * share, high * share
    scale, least = _choose_scale(low, high, symmetric, fmt)
    shift = np.float32(offset)
    if not symmetric:
        shift += LOWEST - least
    return scale, _finite_least(low, scale, least, largest), least + LEVELS, shift


def quantize_rows(
    weights: Any,
    values: Any,
    scales: Any,
    zero_points: Any,
    plan: Any,
    report: Any,
    rows: Any,
    columns: Any,
    stride: Any,
    size: Any,
    stacked: Any,
    symmetric: Any,
    offset: Any,
    search: Any,
) -> None:
    """Quantize ``weights [rows, columns]`` by groups of ``size`` columns: ``values [rows, stride]``, ``scales [rows, groups]``.

    The zero point of row r stands at ``zero_points[r // stacked, group, r % stacked]``. ``offset`` is added to stored
    bytes. ``plan [groups, 4]`` is for the kernel's own use: all scales of a row come first, since the processor cannot
    look ahead from one group's values to the next one's range. ``report`` receives signal, noise, the largest error in
    steps, the number of non-finite weights and the index of the first of them.
    """
    fmt, largest = scale_format(weights), largest_of(weights)
    options = (symmetric, offset, search, largest)
    groups = columns // size
    signal, noise, worst = 0.0, 0.0, ZERO
    nonfinite, first = 0, -1
    for r in range(rows):
        row = advance(weights, r * columns)
        finite = True
        for g in range(groups):
            run = advance(row, g * size)
            low, high = extremes(run, size)
            if not (abs(low) <= largest and abs(high) <= largest):
                finite = False
                break
            scale, least, greatest, shifted = _plan_run(run, size, (low, high), options, fmt)
            poke(plan, 4 * g, scale)
            poke(plan, 4 * g + 1, least)
            poke(plan, 4 * g + 2, greatest)
            poke(plan, 4 * g + 3, shifted)
            poke(scales, r * groups + g, _stored_scale(scale, fmt))
            if not symmetric:
                poke(zero_points, (r // stacked * groups + g) * stacked + r % stacked, np.int32(shifted))
        if not finite:
            found, index = count_nonfinite(row, columns, largest)
            first = r * columns + index if nonfinite == 0 else first
            nonfinite += found
            continue
        for g in range(groups):
            scale = peek(plan, 4 * g)
            levels = (peek(plan, 4 * g + 1), peek(plan, 4 * g + 2), peek(plan, 4 * g + 3))
            start = g * size
            sums = _quantize_run(advance(row, start), size, advance(values, r * stride + start), scale, levels)
            square = np.float64(scale) * np.float64(scale)
            signal += np.float64(sums[0]) * square
            noise += np.float64(sums[1]) * square
            worst = max(worst, sums[2])
    poke(report, 0, signal)
    poke(report, 1, noise)
    poke(report, 2, np.float64(worst))
    poke(report, 3, np.float64(nonfinite))
    poke(report, 4, np.float64(first))
