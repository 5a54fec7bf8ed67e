"""CFG: whether a quantization config is one at all, by the library's own models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.quant_schema import schema_defects
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit, more_like_this

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts


def invalid_quantization_config(facts: Facts) -> Iterator[Hit]:
    """Report a compressed-tensors config that does not validate.

    ## What it checks
    Types, required keys and values of `quantization_config`, against compressed-tensors 0.17: a missing `quant_method`, targets
    that are no list, a strategy that does not exist, a group strategy without a size, keys that `QuantizationArgs` forbids.

    ## Why it hurts
    Engines validate the config before anything else and refuse the checkpoint.

    ## Example
    `"weights": {"num_bits": "8", ...}` or `"weights": {"bits": 8}`.

    ## How to mend
    Correct the key that is named.

    ## References
    compressed-tensors 0.17.0 `quantization/quant_args.py`, `quant_config.py`.
    """
    quant = facts.quant
    if quant is None:
        return
    defects = list(quant.defects) if quant.is_compressed_tensors else []
    if quant.method is None and "config_groups" in quant.raw:
        defects.append("quant_method is missing")
    elif quant.is_compressed_tensors:
        defects += [defect for defect in schema_defects(quant.raw) if defect not in defects]
    if defects:
        yield Hit(
            where=QUANTIZATION_CONFIG,
            message=f"engines refuse the quantization_config: {'; '.join(defects[:3])}",
            hint="correct the named keys as compressed-tensors 0.17 defines them",
        )


def oddity_that_only_vllm_reads(facts: Facts) -> Iterator[Hit]:
    """Report what compressed-tensors refuses in a config and vLLM reads all the same.

    ## What it checks
    Forms of `quantization_config` that vLLM takes without a word and the library's own models refuse: an `ignore` or `targets`
    that is a text, a `quant_method` in capitals, a `quantization_status` that does not exist.

    ## Why it hurts
    transformers and other tools do not load the checkpoint. Of a text in the place of a list, vLLM takes each letter.

    ## Example
    `"ignore": "lm_head"` in the place of `"ignore": ["lm_head"]`.

    ## How to mend
    Write what compressed-tensors defines.

    ## References
    vLLM 0.32.0 `compressed_tensors/utils.py` (`should_ignore_layer`); compressed-tensors 0.17.0 `quant_config.py`.
    """
    quant = facts.compressed_tensors
    if quant is not None and quant.oddities:
        yield Hit(
            where=QUANTIZATION_CONFIG,
            message=f"compressed-tensors refuses the config: {'; '.join(quant.oddities[:3])}",
            hint="write what compressed-tensors 0.17 defines",
        )


def invalid_pattern(facts: Facts) -> Iterator[Hit]:
    """Report a `re:` pattern that is no regular expression, or one that would run forever.

    ## What it checks
    Every `re:` entry of targets and `ignore` compiles, and can be matched in bounded time.

    ## Why it hurts
    Engines compile it while loading and stop with `re.error`; one with nested repeats hangs.

    ## Example
    `re:*.lm_head` (a shell pattern, not a regular expression).

    ## How to mend
    Write a Python regular expression: `re:.*lm_head$`.

    ## References
    Python's `re` module.
    """
    for where, patterns in (("targets", facts.patterns.targets), ("ignore", facts.patterns.ignore)):
        messages = list(patterns.invalid.values())
        if messages:
            yield Hit(
                where=f"{QUANTIZATION_CONFIG}.{where}",
                message=messages[0] + more_like_this(messages),
                hint="write a Python regular expression after `re:`, e.g. re:.*lm_head$",
            )
