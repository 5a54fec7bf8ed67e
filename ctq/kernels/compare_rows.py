"""The compiled loop that measures stored values against the weights they stand for, whoever chose the scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctq.kernels.primitives import add_square, advance, as_bits, as_float, as_signed, inlined, peek, poke
from ctq.kernels.weights import count_nonfinite, extremes, largest_of, load

ZERO = np.float32(0.0)
HALF_STEP = np.float32(0.50001)
"""Half a step, and what rounding in float32 can add to it where a scale has all the digits of a float32."""
MOST = np.float32(np.finfo(np.float32).max)
MAGNITUDE = np.uint32(0x7FFFFFFF)


@inlined
def level(values: Any, index: Any, flip: Any, zero: Any) -> Any:
    """Return how many steps a stored byte is from zero."""
    return np.float32(as_signed(np.uint8(peek(values, index) ^ flip))) - zero


@inlined
def _compare_run(weights: Any, count: Any, values: Any, flip: Any, scale: Any, zero: Any) -> Any:
    """Return, all in steps of a positive scale, the sums of squares, the largest error and how many are too large."""
    signal, noise, worst, beyond = ZERO, ZERO, np.uint32(0), np.int32(0)
    for index in range(count):
        steps = level(values, index, flip, zero)
        error = (load(weights, index) - steps * scale) / scale
        signal = add_square(signal, steps + error)
        noise = add_square(noise, error)
        worst = max(worst, np.uint32(as_bits(error) & MAGNITUDE))
        beyond += np.int32(abs(error) > HALF_STEP)
    return signal, noise, as_float(worst), beyond


@inlined
def _compare_oddly(weights: Any, count: Any, values: Any, flip: Any, scale: Any, zero: Any) -> Any:
    """Return what ``_compare_run`` does for a scale of no use: zero, negative, not finite or out of proportion.

    The sums are in the weight's unit. An error there is no number of steps: any counts as beyond.
    """
    signal, noise, worst, beyond = 0.0, 0.0, ZERO, 0
    for index in range(count):
        weight = np.float64(load(weights, index))
        error = weight - np.float64(level(values, index, flip, zero)) * np.float64(scale)
        signal += weight * weight
        noise += error * error
        if error != 0.0:
            worst = np.float32(np.inf)
            beyond += 1
    return signal, noise, worst, beyond


@inlined
def _compare_group(weights: Any, count: Any, values: Any, flip: Any, scale: Any, zero: Any) -> Any:
    """Return the sums of squares in the weight's unit, the largest error in steps, how many are too large, and noise in steps.

    Where errors are no number of steps, any noise is endless in them.
    """
    if scale > ZERO and scale <= MOST:
        signal, noise, worst, beyond = _compare_run(weights, count, values, flip, scale, zero)
        square = np.float64(scale) * np.float64(scale)
        if signal <= MOST and noise <= MOST:
            return np.float64(signal) * square, np.float64(noise) * square, worst, np.int64(beyond), np.float64(noise)
    odd = _compare_oddly(weights, count, values, flip, scale, zero)
    return odd[0], odd[1], odd[2], np.int64(odd[3]), np.float64(odd[2])


@inlined
def _compare_row(weights: Any, values: Any, scales: Any, zero_points: Any, groups: Any, size: Any, flip: Any) -> Any:
    """Return what ``_compare_group`` does for all groups of a row, how many weights are not finite, and where the first is."""
    signal, noise, worst, beyond, steps = 0.0, 0.0, ZERO, 0, 0.0
    nonfinite, first, largest = 0, -1, largest_of(weights)
    for group in range(groups):
        start = group * size
        run = advance(weights, start)
        low, high = extremes(run, size)
        if not (abs(low) <= largest and abs(high) <= largest):
            count, index = count_nonfinite(run, size, largest)
            first = start + index if nonfinite == 0 else first
            nonfinite += count
            continue
        found = _compare_group(
            run, size, advance(values, start), np.uint8(flip), peek(scales, group), peek(zero_points, group)
        )
        signal += found[0]
        noise += found[1]
        worst = max(worst, found[2])
        beyond += found[3]
        steps += found[4]
    return signal, noise, worst, beyond, steps, nonfinite, first


def compare_rows(
    weights: Any,
    values: Any,
    scales: Any,
    zero_points: Any,
    report: Any,
    rows: Any,
    columns: Any,
    stride: Any,
    size: Any,
    flip: Any,
) -> None:
    """Compare ``weights [rows, columns]`` with the bytes ``values [rows, stride]``, which ``flip`` turns into signed ones.

    ``scales`` and ``zero_points``, both float32, are ``[rows, groups]``. ``report`` receives signal, noise, the largest error
    in steps, the number of errors beyond half a step, the number of weights that are not finite, the index of the
    first, and noise in steps; then, of the row with most noise in steps, that noise, its index, signal and noise.
    Groups with weights that are not finite are left out of the sums.
    """
    groups = columns // size
    signal, noise, worst, beyond, steps = 0.0, 0.0, ZERO, 0, 0.0
    nonfinite, first = 0, -1
    poke(report, 7, -1.0)
    for row in range(rows):
        found = _compare_row(
            advance(weights, row * columns),
            advance(values, row * stride),
            advance(scales, row * groups),
            advance(zero_points, row * groups),
            groups,
            size,
            flip,
        )
        signal += found[0]
        noise += found[1]
        worst = max(worst, found[2])
        beyond += found[3]
        steps += found[4]
        if found[5] > 0:
            first = row * columns + found[6] if nonfinite == 0 else first
            nonfinite += found[5]
        if found[4] > peek(report, 7):
            poke(report, 7, found[4])
            poke(report, 8, np.float64(row))
            poke(report, 9, found[0])
            poke(report, 10, found[1])
    poke(report, 0, signal)
    poke(report, 1, noise)
    poke(report, 2, np.float64(worst))
    poke(report, 3, np.float64(beyond))
    poke(report, 4, np.float64(nonfinite))
    poke(report, 5, np.float64(first))
    poke(report, 6, steps)
