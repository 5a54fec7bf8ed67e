"""CFG: schemes that engines do not implement, or only on some hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.hardware import group_sizes
from ctq.engines.vllm.dispatch import DispatchConfig
from ctq.engines.vllm.layers import Attention, LinearBase
from ctq.engines.vllm.rules import rules_for
from ctq.engines.vllm.scheme_choice import Question, choose_scheme
from ctq.engines.vllm.target_schemes import read_target_schemes
from ctq.findings import Severity
from ctq.inspect.modules.forms import Form
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit, about

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.vllm.target_schemes import TargetScheme
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_CAPABILITIES = (None, 75, 80, 89, 90, 100, 120)
"""CPUs, and the CUDA compute capabilities at which vLLM's choice of a scheme changes."""


def _schemes(facts: Facts) -> Mapping[str, TargetScheme]:
    """Return what the newest known vLLM reads from the config; nothing where it refuses, which is another rule's finding."""
    quant = facts.compressed_tensors
    if quant is None:
        return {}
    try:
        return read_target_schemes(quant.raw, rules_for())
    except DispatchError:
        return {}


def group_activation_ordering(facts: Facts) -> Iterator[Hit]:
    """Report group activation ordering, which engines no longer support.

    ## What it checks
    `actorder` of a group's weights is `group` (or its alias `dynamic`, or true).

    ## Why it hurts
    vLLM from 0.30 on refuses the config: columns would have to be permuted at run time.

    ## Example
    `"actorder": "group"` beside `weight_g_idx` tensors.

    ## How to mend
    Quantize again with `actorder: static` (or `weight`), which costs nothing at run time.

    ## References
    vLLM 0.32.0 `compressed_tensors.py` (`_quantization_scheme_map_from_config`).
    """
    quant = facts.compressed_tensors
    groups = quant.raw.get("config_groups") if quant is not None else None
    names = [name for name, group in groups.items() if _orders_by_group(group)] if isinstance(groups, dict) else []
    if names:
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.config_groups.{names[0]}.weights.actorder",
            message=f"group activation ordering ({', '.join(names)}), which vLLM refuses",
            hint="quantize again with actorder static",
        )


def _orders_by_group(group: object) -> bool:
    weights = group.get("weights") if isinstance(group, dict) else None
    order = weights.get("actorder") if isinstance(weights, dict) else None
    return order is True or (isinstance(order, str) and order.lower() in ("group", "dynamic"))


def unsupported_scheme(facts: Facts) -> Iterator[Hit]:
    """Report a scheme that vLLM does not implement on any hardware.

    ## What it checks
    Bits, type, strategy, symmetry, activations and format of each group, against the scheme selection of the newest known vLLM.

    ## Why it hurts
    vLLM raises *No compressed-tensors compatible scheme was found* while it builds the model.

    ## Example
    W8A8 with group-wise or asymmetric weights: only per-tensor and per-channel symmetric ones exist.

    ## How to mend
    Quantize again with a scheme that exists: W8A8 per channel, W8A16 or W4A16 by group or channel.

    ## References
    vLLM 0.32.0 `compressed_tensors.py:774-948`.
    """
    quant, seen = facts.compressed_tensors, set()
    for target, scheme in _schemes(facts).items():
        if quant is not None and quant.format == scheme.args.format == "mixed-precision":
            continue  # that a group lacks a format of its own has a rule of its own
        refusal = _refusal(scheme)
        if refusal is not None and scheme.args not in seen and target in facts.patterns.targets.used:
            seen.add(scheme.args)
            yield Hit(
                where=f"{QUANTIZATION_CONFIG}.config_groups.{scheme.group}",
                message=f"vLLM {rules_for().version} has no scheme for target `{target}`: {refusal}",
                hint="quantize again with a scheme that exists (W8A8 per channel; W8A16 by group or channel)",
            )


def _refusal(scheme: TargetScheme) -> str | None:
    """Return why no hardware runs a scheme, or None."""
    refusal = None
    for capability in _CAPABILITIES:
        try:
            choose_scheme(Question(scheme.args, rules_for(), capability))
        except DispatchError as error:
            refusal = refusal or error.message
        else:
            return None
    return refusal


def refused_config(facts: Facts) -> Iterator[Hit]:
    """Report a config that vLLM refuses to read, for a reason that no other rule names.

    ## What it checks
    The newest known vLLM's reading of `config_groups`, `ignore` and `kv_cache_scheme`; of the last it is a warning where the model
    class lets no attention read it (MLA, state-space models).

    ## Why it hurts
    vLLM stops before it builds the model.

    ## Example
    `"ignore": null`, a group without `weights`, or a `kv_cache_scheme` of integers.

    ## How to mend
    Correct what the message names.

    ## References
    vLLM 0.32.0 `compressed_tensors.py` (`from_config`, `validate_kv_cache_scheme`).
    """
    quant = facts.compressed_tensors
    if quant is None:
        return
    try:
        config = DispatchConfig.from_quantization_config(quant.raw, rules_for())
        config.matched(LinearBase(), "linear")  # any layer finds an `ignore` that is null
    except DispatchError as error:
        yield Hit(
            where=QUANTIZATION_CONFIG,
            message=f"vLLM {rules_for().version} refuses the config: {error.message}",
            hint="correct what the message names",
        )
    else:
        yield from _refused_cache(facts, config)


def _refused_cache(facts: Facts, config: DispatchConfig) -> Iterator[Hit]:
    """Report a scheme of the cache that attention refuses; a warning where the model class does not let it read one."""
    names = facts.names
    unread = names is not None and not names.asks("attention")
    try:
        config.get_quant_method(Attention(), "attn")
    except DispatchError as error:
        reader = "attention" if unread else f"vLLM {rules_for().version}"
        yield Hit(
            where=QUANTIZATION_CONFIG,
            message=f"{reader} refuses the config: {error.message}"
            + (f"; that of {facts.config.architecture} in vLLM does not read it" if unread else ""),
            hint="correct what the message names",
            severity=Severity.WARNING if unread else None,
        )


def group_size_does_not_divide(facts: Facts) -> Iterator[Hit]:
    """Report group sizes that do not divide the columns they are used on.

    ## What it checks
    The columns of each group-quantized weight against its group size.

    ## Why it hurts
    vLLM refuses the layer while it builds the model, on one rank or on several.

    ## Example
    Group size 128 on a `down_proj` of 11008 / 8 = 1376 columns.

    ## How to mend
    Quantize again per channel, or with a smaller group.

    ## References
    vLLM 0.32.0 `distributed/utils.py:65` (`verify_group_size_divides_partition`).
    """
    bad = [entry for entry in facts.quantized if entry.diagnosis is None and not _divides(entry)]
    if bad and bad[0].weights is not None:
        yield about(
            bad,
            f"group size {bad[0].weights.group_size} does not divide {bad[0].stored.columns} columns",
            hint="quantize again per channel, or with a smaller group size",
        )


def _divides(entry: Entry) -> bool:
    """Tell whether groups fill the columns; other strategies and unknown columns do."""
    args, columns = entry.weights, entry.stored.columns
    if args is None or args.strategy != "group" or not columns or entry.stored.form not in (Form.INT, Form.PACKED):
        return True
    return columns % (args.group_size or 1) == 0


def scheme_without_kernel(facts: Facts) -> Iterator[Hit]:
    """Note 8-bit weight-only schemes that few kernels implement.

    ## What it checks
    Packed 8-bit weights with zero points, or with a group size other than 32, 64 and 128.

    ## Why it hurts
    vLLM finds a kernel only on some GPUs (Machete on compute capability 9.0) or with the package humming-kernels, which its CUDA
    build requires from 0.33 on; elsewhere it refuses to start.

    ## Example
    W8A16 asymmetric on an A100.

    ## How to mend
    Quantize again symmetric, with group 32, 64 or 128, or per channel.

    ## References
    vLLM 0.32.0 `model_executor/kernels/linear/__init__.py:431`.
    """
    quant = facts.compressed_tensors
    for group in quant.groups if quant is not None else ():
        args = group.weights
        if args is None or args.num_bits != 8 or args.type != "int" or group.activations is not None:  # bits
            continue
        if not any(entry.group is group and entry.stored.form is Form.PACKED for entry in facts.quantized):
            continue
        odd = "zero points" if not args.symmetric else f"group size {args.group_size}"
        if not args.symmetric or (args.strategy == "group" and args.group_size not in group_sizes("WNA16")):
            yield Hit(
                where=f"{QUANTIZATION_CONFIG}.config_groups.{group.name}",
                message=f"{group.name} is 8-bit weight-only with {odd}: few kernels implement it",
                hint="quantize again symmetric, with group 32, 64 or 128, or per channel",
            )
