"""DEP: the values of small tensors and samples of large ones, read only with ``--deep`` and by `ctq verify`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.findings import Severity
from ctq.inspect.facts.oddities import Oddity
from ctq.inspect.rules.rule import Hit, more_like_this

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts

_AGAIN = "quantize again, or fetch the checkpoint again if it was copied"


def _hits(facts: Facts, oddity: Oddity, hint: str) -> Iterator[Hit]:
    found = [odd for odd in facts.deep if odd.oddity is oddity]
    if found:
        more = more_like_this(found, "tensors ")
        yield Hit(where=found[0].tensor, message=f"{found[0].tensor}: {found[0].detail}{more}", hint=hint)


def non_finite_scale(facts: Facts) -> Iterator[Hit]:
    """Report scales that are NaN or infinite.

    ## What it checks
    Every value of every `weight_scale`, `weight_global_scale` and `input_scale`.

    ## Why it hurts
    One NaN in the head's scale makes every logit NaN.

    ## Example
    A scale in F16 that overflowed to infinity.

    ## How to mend
    Quantize again from a source without NaN or infinity.

    ## References
    auto-round issue #2273.
    """
    yield from _hits(facts, Oddity.NOT_FINITE, _AGAIN)


def non_positive_scale(facts: Facts) -> Iterator[Hit]:
    """Report scales that are zero or negative.

    ## What it checks
    Every value of every float `weight_scale` and `input_scale` is greater than zero.

    ## Why it hurts
    A zero scale erases its row or group; a negative one flips its sign in kernels that expect none.

    ## Example
    A row of scales that was never written: zeros.

    ## How to mend
    Quantize again, or fetch the checkpoint again.

    ## References
    compressed-tensors 0.17.0 `calculate_qparams` (never writes one).
    """
    yield from _hits(facts, Oddity.NOT_POSITIVE, _AGAIN)


def absurd_scale(facts: Facts) -> Iterator[Hit]:
    """Report scales far beyond what weights have.

    ## What it checks
    A scale above 1000, so that one step of the integer is a thousand. One of activations (`input_scale`) is a warning.

    ## Why it hurts
    Such scales come from a wrong byte order, dtype or offset: the logits are noise.

    ## Example
    A BF16 scale file whose bytes were read as F16.

    ## How to mend
    Quantize again, or fetch the checkpoint again.

    ## References
    Trained weights stay below 1000 in magnitude.
    """
    for hit in _hits(facts, Oddity.ABSURD, _AGAIN):
        yield replace(hit, severity=Severity.WARNING if hit.where.endswith("input_scale") else None)


def false_weight_shape(facts: Facts) -> Iterator[Hit]:
    """Report a `weight_shape` that does not describe its packed weight.

    ## What it checks
    The two numbers in `weight_shape` against the shape of `weight_packed` and the bits.

    ## Why it hurts
    compressed-tensors and transformers unpack to that shape and fail, or cut columns off. vLLM does not read it.

    ## Example
    `weight_shape` [4096, 4096] beside `weight_packed` [4096, 3584] of 8-bit values.

    ## How to mend
    Quantize again.

    ## References
    compressed-tensors 0.17.0 `compressors/pack_quantized/base.py`.
    """
    yield from _hits(facts, Oddity.FALSE_SHAPE, _AGAIN)


def empty_weight(facts: Facts) -> Iterator[Hit]:
    """Report weights that hold nothing.

    ## What it checks
    Four kilobytes in the middle of each weight, and where they are one and the same byte, those at its beginning and its end; and
    whether every scale of a weight is so small that the weight is zero.

    ## Why it hurts
    Files are often laid out before they are filled: where a download or a copy stopped, headers are right and weights are zeros.

    ## Example
    A shard of the right size of which the second half was never written.

    ## How to mend
    Fetch or copy the checkpoint again. Layers that were meant to be zero (added for later training) are in order:
    `ctq verify --reference` tells.

    ## References
    POSIX `posix_fallocate`; GPTQModel issue #3077 (weights that load as zeros).
    """
    yield from _hits(facts, Oddity.EMPTY, "compare with the original (ctq verify --reference), or fetch it again")


def non_finite_vector(facts: Facts) -> Iterator[Hit]:
    """Report norms and biases with values that are NaN or infinite.

    ## What it checks
    Every value of every float tensor of one dimension.

    ## Why it hurts
    One NaN in a norm makes every logit NaN.

    ## Example
    A norm in F16 that overflowed to infinity when it was converted.

    ## How to mend
    Fetch the original again; if it holds them too, the model is damaged.

    ## References
    IEEE 754: NaN goes through every sum and product.
    """
    yield from _hits(facts, Oddity.VECTOR_NOT_FINITE, _AGAIN)
