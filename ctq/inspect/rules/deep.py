"""DEP: the values of small tensors, read only with ``--deep``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.oddities import Oddity
from ctq.inspect.rules.rule import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts import Facts

_AGAIN = "quantize again, or fetch the checkpoint again if it was copied"


def _hits(facts: Facts, oddity: Oddity, hint: str) -> Iterator[Hit]:
    found = [odd for odd in facts.deep if odd.oddity is oddity]
    if found:
        more = f"; and {len(found) - 1} more tensors like this" if len(found) > 1 else ""
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
    A scale above 1000, so that one step of the integer is a thousand.

    ## Why it hurts
    Such scales come from a wrong byte order, dtype or offset: the logits are noise.

    ## Example
    A BF16 scale file whose bytes were read as F16.

    ## How to mend
    Quantize again, or fetch the checkpoint again.

    ## References
    Trained weights stay below 1000 in magnitude.
    """
    yield from _hits(facts, Oddity.ABSURD, _AGAIN)


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
