"""TEN: dtypes, shapes and completeness of the parts of quantized modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.facts.diagnosis import Defect
from ctq.inspect.rules.hits import hits_of, with_defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit

_AGAIN = "quantize again: the tensors do not hold what the config declares"


def wrong_dtype(facts: Facts) -> Iterator[Hit]:
    """Report parts with a dtype that the scheme does not have.

    ## What it checks
    `weight` is I8 or FP8, `weight_packed` I32 (U8 for 4-bit floats), `weight_scale` a float (an exponent for MX), as declared.

    ## Why it hurts
    Engines convert by value while loading, without a word or with one warning.

    ## Example
    `weight` in U8 under an int8 scheme: every negative weight becomes a large positive one.

    ## How to mend
    Quantize again with a tool that writes compressed-tensors.

    ## References
    compressed-tensors 0.17.0 `compressors/`.
    """
    yield from hits_of(with_defect(facts, Defect.WRONG_DTYPE), "", _AGAIN)


def wrong_shape(facts: Facts) -> Iterator[Hit]:
    """Report parts whose shapes do not fit each other or the declared strategy.

    ## What it checks
    The scale's shape against the weight's and the strategy: [rows, 1] per channel, [rows, groups] for groups, one value per
    tensor; packed zero points and group indices likewise.

    ## Why it hurts
    Engines assert on the shape, or broadcast a wrong one.

    ## Example
    Scales [4096, 32] (group 128) under `"strategy": "channel"`.

    ## How to mend
    Correct the strategy or group size in the config if the tensors are right; else quantize again.

    ## References
    compressed-tensors 0.17.0 `quantization/utils/helpers.py`; vLLM 0.32.0 `parameter.py`.
    """
    yield from hits_of(
        with_defect(facts, Defect.WRONG_SHAPE), "", "correct strategy or group_size in the config, or quantize again"
    )


def missing_zero_point(facts: Facts) -> Iterator[Hit]:
    """Report asymmetric weights without zero points.

    ## What it checks
    The scheme is asymmetric (`"symmetric": false`), and a module has no `weight_zero_point`.

    ## Why it hurts
    vLLM leaves the zero points uninitialised: garbage.

    ## Example
    A symmetric checkpoint under a config with `"symmetric": false`.

    ## How to mend
    Set `"symmetric": true` if the weights are symmetric, else quantize again.

    ## References
    llm-compressor issues #1618, #2099.
    """
    yield from hits_of(with_defect(facts, Defect.MISSING_ZERO_POINT), "", 'set "symmetric": true, or quantize again')


def missing_input_scale(facts: Facts) -> Iterator[Hit]:
    """Report static activations without their scale.

    ## What it checks
    Activations are declared static (`"dynamic": false`), and a module has no `input_scale`, or, if they are asymmetric, no
    `input_zero_point`.

    ## Why it hurts
    The scale stays uninitialised: garbage, without an error.

    ## Example
    A dynamic W8A8 checkpoint whose config lost `"dynamic": true`.

    ## How to mend
    Set `"dynamic": true` and the strategy `token`, or quantize again with calibration.

    ## References
    vLLM 0.32.0 `schemes/compressed_tensors_w8a8_int8.py`.
    """
    hint = 'set "dynamic": true with the strategy token, or quantize again with calibration'
    yield from hits_of(with_defect(facts, Defect.MISSING_INPUT_SCALE), "", hint)


def missing_weight_shape(facts: Facts) -> Iterator[Hit]:
    """Report packed weights without their original shape.

    ## What it checks
    A module has `weight_packed` and no `weight_shape`, or one that holds no integers.

    ## Why it hurts
    compressed-tensors and transformers cannot unpack it; vLLM does without.

    ## Example
    `lm_head.weight_packed` and `lm_head.weight_scale` alone.

    ## How to mend
    Add `weight_shape`, an I64 tensor that holds the rows and columns, or quantize again.

    ## References
    compressed-tensors 0.17.0 `compressors/pack_quantized/base.py`.
    """
    yield from hits_of(
        with_defect(facts, Defect.MISSING_WEIGHT_SHAPE), "", "quantize again, or add the I64 tensor [rows, columns]"
    )


def extra_part(facts: Facts) -> Iterator[Hit]:
    """Report parts that the declared scheme does not have.

    ## What it checks
    Zero points under a symmetric scheme, `weight` beside `weight_packed`, `input_scale` under dynamic activations, and whatever
    another scheme or a calibration left: `output_scale`, `weight_global_scale`, `input_zero_point`.

    ## Why it hurts
    Engines refuse the name: vLLM raises a KeyError or *There is no module or parameter named ...*.

    ## Example
    `weight_zero_point` and `"symmetric": true`.

    ## How to mend
    Set what the tensors have in the config, or drop the extra tensors.

    ## References
    vLLM 0.32.0 `models/utils.py:442`.
    """
    yield from hits_of(with_defect(facts, Defect.EXTRA_PART), "", "declare what the tensors have, or quantize again")
