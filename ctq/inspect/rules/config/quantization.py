"""CFG: the quantization config by itself and against the tensors as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import QUANTIZATION_KEYS, dotted
from ctq.engines.vllm.methods.storages import taken
from ctq.engines.vllm.scheme_choice import ACTIVATION_FORMATS
from ctq.engines.vllm_models.known_names import quant_methods
from ctq.findings import Severity
from ctq.inspect.as_built.called_parts import called_parts
from ctq.inspect.modules.forms import COMPRESSED, FOREIGN, Form, describe
from ctq.inspect.modules.storage import storage
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.vllm_models.names import EngineNames
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_OURS_ALONE = frozenset({Form.INT, Form.PACKED})
"""Forms that compressed-tensors alone writes."""
_OTHER_METHODS = frozenset({"modelopt", "modelopt_fp4", "modelopt_mxfp8", "mxfp8"})
"""Methods that write no `weight_scale` beside int8 weights and no `weight_packed`, where vLLM could not be asked."""


def missing_quantization_config(facts: Facts) -> Iterator[Hit]:
    """Report quantized tensors without a `quantization_config`.

    ## What it checks
    Tensors are stored quantized, and neither `config.json` nor another tool's own config file says how.

    ## Why it hurts
    Engines build a dense model: vLLM ends in a KeyError on the first `weight_scale`, others serve integers as weights.

    ## Example
    A `config.json` copied over from the dense original after quantization.

    ## How to mend
    Restore the `quantization_config` that the tool wrote, or quantize again.

    ## References
    llm-compressor issues #959, #870.
    """
    if facts.lacks_config and facts.quantized:
        yield Hit(
            where="config.json",
            message=f"{listing(facts.quantized)}: stored quantized, but config.json has no quantization_config",
            hint="restore the quantization_config that the quantizing tool wrote, or quantize again",
        )


def contradictory_quantization_configs(facts: Facts) -> Iterator[Hit]:
    """Report several quantization configs that differ, or one where it is not read.

    ## What it checks
    `quantization_config` (or the older `compression_config`) stands at more than one level of `config.json`, with different
    contents: a warning. `compression_config` stands inside the text model's config, and nothing at the top level.

    ## Why it hurts
    Engines read one of them, not all the same one; the older name is looked for at the top level alone once vLLM has found it.

    ## Example
    A new `quantization_config` at the top level and the source's FP8 one in `text_config`.

    ## How to mend
    Keep the one that describes the tensors, at the top level.

    ## References
    vLLM 0.32.0 `config/model.py` (`_parse_quant_hf_config`).
    """
    found = [
        (dotted(path, key), level[key])
        for path, level in facts.config.text_levels
        for key in QUANTIZATION_KEYS
        if isinstance(level.get(key), dict)
    ]
    other = next((where for where, value in found[1:] if value != found[0][1]), None)
    if other is not None:
        yield Hit(
            where=f"config.json: {other}",
            message=f"{found[0][0]} and {other} differ: engines read one of them",
            hint=f"keep the one that describes the tensors, and remove {other} if that is {found[0][0]}",
            severity=Severity.WARNING,
        )
    elif len(found) == 1 and found[0][0].endswith(f".{QUANTIZATION_KEYS[1]}"):
        yield Hit(
            where=f"config.json: {found[0][0]}",
            message=f"{found[0][0]} is read at the top level alone: vLLM stops over it",
            hint=f"write it as {QUANTIZATION_KEYS[0]} at the top level",
        )


def method_contradicts_tensors(facts: Facts) -> Iterator[Hit]:
    """Report a config of one method over the tensors of another.

    ## What it checks
    `quant_method` is compressed-tensors, and the tensors have the names of GPTQ, AWQ, bitsandbytes or another method; or it is
    another, and the tensors are none of those that vLLM was seen to load by its config: int8 or packed ones of compressed-tensors,
    AWQ's under GPTQ's name, FP8 with one scale under a config of blocks, or without the scales of static activations. What vLLM
    could not be asked about has only compressed-tensors' int8 and packed weights against it, or `config_groups` in its config.

    ## Why it hurts
    No engine finds the tensors that the config promises.

    ## Example
    `quant_method: compressed-tensors` beside `q_proj.qweight` and `q_proj.qzeros`.

    ## How to mend
    Restore the config of the method that wrote the tensors.

    ## References
    transformers `quantizers/auto.py`; `benchmarks/learn/other_methods.py`, which asked vLLM 0.32.0.
    """
    if facts.quant is None or not facts.quant.method:
        return
    method = facts.quant.method.lower()
    found = _of_another_method(facts, method, facts.quant.raw)
    if found:
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.quant_method",
            message=f"quant_method is {facts.quant.method}, but {listing(found)} has the tensors of {found[0].stored.form}",
            hint="restore the quantization_config of the tool that wrote the tensors",
        )


def _of_another_method(facts: Facts, method: str, raw: Mapping[str, Any]) -> list[Entry]:
    """Return what is not stored as the config's method has it."""
    takes = None if facts.is_compressed_tensors else taken(method, raw)
    has_groups = "config_groups" in raw and method in quant_methods()
    if takes is not None and not has_groups:
        names = facts.names
        return [entry for entry in facts.quantized if _storage(entry, names) not in takes]
    is_foreign = method in _OTHER_METHODS or has_groups
    strange = FOREIGN if facts.is_compressed_tensors else _OURS_ALONE if is_foreign else frozenset()
    return [entry for entry in facts.entries if entry.stored.form in strange]


def _storage(entry: Entry, names: EngineNames | None) -> str:
    """Name the storage by the parts as vLLM calls them."""
    parts, called = entry.modules.parts, called_parts(entry.modules, names)
    return storage(entry.stored if called.keys() == parts.keys() else describe(called, None, None), called)


def status_not_compressed(facts: Facts) -> Iterator[Hit]:
    """Report a `quantization_status` other than compressed beside compressed tensors.

    ## What it checks
    Tensors are stored compressed, and `quantization_status` says something else, or nothing.

    ## Why it hurts
    transformers and compressed-tensors take `frozen` or a missing status for weights that are still to be compressed, and
    initialise or compress them again. vLLM does not read the status.

    ## Example
    `"quantization_status": "frozen"` beside `weight_packed`.

    ## How to mend
    Set `quantization_status` to `compressed`.

    ## References
    transformers issues #47152, #48072.
    """
    stored = any(entry.stored.form in COMPRESSED for entry in facts.entries)
    quant = facts.compressed_tensors
    if quant is not None and stored and quant.status != "compressed":
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.quantization_status",
            message=f"quantization_status is {quant.status or 'not stated'}, but the tensors are compressed",
            hint='set "quantization_status": "compressed"',
        )


def sparsity_config(facts: Facts) -> Iterator[Hit]:
    """Report a sparsity config, which engines no longer support.

    ## What it checks
    `sparsity_config` of the quantization config names targets.

    ## Why it hurts
    compressed-tensors dropped sparse formats; vLLM raises while it reads the config.

    ## Example
    `"sparsity_config": {"format": "sparse-24-bitmask", "targets": ["Linear"]}`.

    ## How to mend
    Decompress the weights and quantize again without sparsity.

    ## References
    vLLM 0.32.0 `compressed_tensors.py` (`_parse_sparsity_config`).
    """
    quant = facts.compressed_tensors
    raw = quant.raw.get("sparsity_config") if quant is not None else None
    if isinstance(raw, dict) and raw.get("targets"):
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.sparsity_config",
            message=f"sparsity_config (format {raw.get('format', 'unstated')}) is no longer supported by any engine",
            hint="decompress the weights and quantize again without sparsity",
        )


def mixed_precision_without_group_format(facts: Facts) -> Iterator[Hit]:
    """Report `mixed-precision` where a group does not say its own format.

    ## What it checks
    The config's format is `mixed-precision`, and a group that quantizes weights has no `format`; a warning where its targets match
    nothing.

    ## Why it hurts
    vLLM takes the config's format for the group, knows no scheme for `mixed-precision`, and raises NotImplementedError.
    transformers infers the format, so it seems to work.

    ## Example
    `"format": "mixed-precision"` and two groups without `format`.

    ## How to mend
    Give each group its format: `int-quantized` for W8A8, `pack-quantized` for W8A16 and W4A16.

    ## References
    vLLM 0.32.0 `compressed_tensors.py:792`, `:946`.
    """
    quant = facts.compressed_tensors
    if quant is None or quant.format != "mixed-precision":
        return
    found = [group for group in quant.groups if group.weights is not None and group.format is None]
    used = [group for group in found if not facts.patterns.targets.used.isdisjoint(group.targets)]
    without = [group.name for group in used or found]
    if without:
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.config_groups.{without[0]}",
            message=f"format is mixed-precision, but {', '.join(without)} has no format of its own",
            hint="give each group its own format (int-quantized, pack-quantized, ...)",
            severity=None if used else Severity.WARNING,
        )


def weight_only_int_quantized(facts: Facts) -> Iterator[Hit]:
    """Report weight-only integers under the format `int-quantized`.

    ## What it checks
    A group has integer weights, no quantized activations, and the format `int-quantized` or `naive-quantized`.

    ## Why it hurts
    vLLM asserts while it reads the config: *Assertion failed*, and nothing more. transformers loads it.

    ## Example
    W8A16 written with `"format": "int-quantized"`.

    ## How to mend
    Store weight-only integers packed: `ctq quantize --scheme W8A16`.

    ## References
    vLLM 0.32.0 `compressed_tensors.py:365`.
    """
    quant = facts.compressed_tensors
    if quant is None:
        return
    names = [
        group.name
        for group in quant.groups
        if group.weights is not None
        and group.weights.type == "int"
        and group.activations is None
        and quant.format_of(group) in ACTIVATION_FORMATS
    ]
    if names:
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.config_groups.{names[0]}",
            message=f"weight-only integers in a format for quantized activations ({', '.join(names)}): vLLM stops with a bare "
            "assertion",
            hint="quantize again with --scheme W8A16 (pack-quantized), or with activations (W8A8)",
        )
