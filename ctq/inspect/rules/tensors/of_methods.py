"""TEN: the layers of checkpoints of other methods than compressed-tensors, against what vLLM builds by their config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctq.inspect.as_built.method_layers import LayerFault, Wrong, layer_faults
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit, more_like_this

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.inspect.facts.facts import Facts

_SAID: Final[Mapping[Wrong, str]] = {
    Wrong.REFUSED: "vLLM refuses the config here: {detail}",
    Wrong.LEFT_DENSE: "a {detail} weight, but the config has the layer quantized",
    Wrong.EXCLUDED: "stored quantized ({detail}), but vLLM builds the layer dense by this config",
    Wrong.MISSING: "no {detail}, which vLLM's layer has: never loaded",
    Wrong.DTYPE: "{detail}",
    Wrong.SHAPE: "{detail}",
}
_HINTS: Final[Mapping[Wrong, str]] = {
    Wrong.REFUSED: "name all parts of a fused layer in the config, or none",
    Wrong.LEFT_DENSE: "name the layer where the method's config lists those that it leaves dense, or quantize it",
    Wrong.EXCLUDED: "take the layer out of the config's list of those left dense, or restore its dense weight",
    Wrong.MISSING: "fetch the checkpoint again, or quantize again",
    Wrong.DTYPE: "quantize again: the tensors are not those of the method",
    Wrong.SHAPE: "restore the config that belongs to the tensors (bits, group or block size), or quantize again",
}


def layer_not_of_its_method(facts: Facts) -> Iterator[Hit]:
    """Report a layer that is not stored as vLLM builds it by the config of another method than compressed-tensors.

    ## What it checks
    Of GPTQ, AWQ, AutoRound, FP8, ModelOpt and Quark: every linear layer, router, expert and the head, by the method's own way of
    naming what it leaves dense (`dynamic`, `modules_in_block_to_quantize`, `lm_head`, `modules_to_not_convert`, `ignored_layers`,
    `extra_config`, `exclude`, `exclude_modules`), fused as vLLM fuses them: a dense weight where the config has a layer quantized,
    and the reverse; parts that lack (`scales`, `qzeros`, `weight_scale_inv`, `input_scale`); dtypes; and shapes, by `bits`,
    `group_size` and `weight_block_size`. Of a tower, only whether the config leaves anything of it dense.

    ## Why it hurts
    vLLM stops at a name or a shape that its layer does not have, converts what is of another dtype by value, or serves scales that
    were never loaded.

    ## Example
    `"group_size": 64` over GPTQ's `scales` of groups of 128; a router that an AWQ mixture does not name.

    ## How to mend
    Restore the `quantization_config` that the tool wrote, or quantize again.

    ## References
    vLLM 0.32.0 `layers/quantization/auto_gptq.py`, `auto_awq.py`, `inc/`, `fp8.py`, `modelopt.py`, `quark/`, and
    `utils/quant_utils.py` (`is_layer_skipped`).
    """
    by_kind: dict[Wrong, list[LayerFault]] = {}
    for fault in layer_faults(facts):
        by_kind.setdefault(fault.wrong, []).append(fault)
    for wrong, faults in by_kind.items():
        first = faults[0]
        count = f" and {first.count - 1} more" if first.count > 1 else ""
        yield Hit(
            where=QUANTIZATION_CONFIG if wrong is Wrong.REFUSED else first.module,
            message=f"{first.module}{count}: {_SAID[wrong].format(detail=first.detail)}{more_like_this(faults)}",
            hint=_HINTS[wrong],
        )
