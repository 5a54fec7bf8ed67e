"""Compute the facts of a checkpoint from headers, index and config, in one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.checkpoint.faults import hides
from ctq.engines.skeletons.find import skeleton_of
from ctq.engines.skeletons.layer_counts import layer_count
from ctq.engines.vllm_models.names import names_of
from ctq.engines.vllm_models.registry import as_loaded
from ctq.inspect.facts.defects import Surroundings, diagnose
from ctq.inspect.facts.diagnosis import Defect, Diagnosis
from ctq.inspect.facts.entries import KNOWN_CLASSES, find_entries
from ctq.inspect.facts.facts import Facts
from ctq.inspect.facts.head import inspect_head, locate_head
from ctq.inspect.facts.second_opinion import with_second_opinion
from ctq.inspect.facts.side_config import read_side_config, with_side_config
from ctq.inspect.modules.forms import QUANTIZED, Form
from ctq.inspect.modules.grouping import group_modules
from ctq.recipe.match import REGEX_PREFIX
from ctq.recipe.quant_config import parse_quantization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.inspect.facts.entries import Entry
    from ctq.recipe.quant_config import QuantConfig

_NOT_SAID = Diagnosis(Defect.UNDECLARED, "stored quantized, but config.json has no quantization_config")
_MLX_KEY = "quantization"
"""Where MLX keeps its own config."""
_SIDE_FILES = {
    "quantize_config.json": Form.GPTQ,
    "quant_config.json": Form.AWQ,
}
"""Files in which tools keep what others write into ``config.json``, and the form of the tensors that they write."""
_METHOD_OF_FORM = {
    Form.GPTQ: "gptq",
    Form.AWQ: "awq",
    Form.FP8: "fp8",
    Form.MODELOPT_FP4: "modelopt",
    Form.MXFP4_BLOCKS: "mxfp4",
    Form.BNB_INT8: "bitsandbytes",
    Form.BNB_4BIT: "bitsandbytes",
    Form.MLX: "mlx",
}
"""The method that writes tensors in a form, where no config says it."""


def collect_facts(checkpoint: Checkpoint) -> Facts:
    """Compute the facts of an opened checkpoint; time and memory grow with the number of tensors alone."""
    side = read_side_config(checkpoint)
    checkpoint = with_side_config(replace(checkpoint, config=as_loaded(checkpoint.config)), side)
    config = checkpoint.config
    raw = config.quantization
    quant = parse_quantization(raw) if raw is not None else None
    sets = group_modules(checkpoint.tensors, layers=layer_count(config))
    head = locate_head(sets, config, checkpoint.tensors)
    entries, patterns = find_entries(sets, config, quant, head=head.name if head is not None and head.tensor else None)
    lacks_config = _lacks_config(checkpoint, quant, entries)
    if quant is not None and quant.is_compressed_tensors:
        around = _surroundings(entries, quant)
        entries = [replace(entry, diagnosis=diagnose(entry, around)) for entry in entries]
        entries = with_second_opinion(entries, config, quant, around)
    elif lacks_config:
        entries = [replace(entry, diagnosis=_NOT_SAID) if entry.stored.is_quantized else entry for entry in entries]
    return Facts(
        checkpoint=checkpoint,
        skeleton=skeleton_of(config),
        names=names_of(config),
        quant=quant,
        method=_method(quant, entries),
        lacks_config=lacks_config,
        side_config=side,
        entries=tuple(entries),
        patterns=patterns,
        head=inspect_head(head, entries, patterns, quant, seen_all=not hides(checkpoint.faults)),
    )


def _lacks_config(checkpoint: Checkpoint, quant: QuantConfig | None, entries: Sequence[Entry]) -> bool:
    forms = {entry.stored.form for entry in entries}
    elsewhere = any(file in checkpoint.source.files and form in forms for file, form in _SIDE_FILES.items())
    elsewhere = elsewhere or _has_mlx_config(checkpoint)
    unsaid = quant is None or (quant.method is None and not quant.groups and "config_groups" not in quant.raw)
    return unsaid and bool(checkpoint.config.raw) and not elsewhere


def _has_mlx_config(checkpoint: Checkpoint) -> bool:
    """Tell MLX's own config from a compressed-tensors one under its key, which no engine reads."""
    found = checkpoint.config.raw.get(_MLX_KEY)
    return found is not None and not (isinstance(found, dict) and "config_groups" in found)


def _surroundings(entries: Sequence[Entry], quant: QuantConfig) -> Surroundings:
    names = {name for entry in entries for name in entry.modules.names} if _bare(quant) else set()
    return Surroundings(
        quantized_leaves=frozenset(entry.modules.leaf for entry in entries if entry.stored.is_quantized),
        blind_targets=any(target not in names for target in _bare(quant)),
    )


def _bare(quant: QuantConfig) -> list[str]:
    """Return the targets that may be names of classes which headers cannot show."""
    return [
        target
        for target in quant.targets
        if target not in KNOWN_CLASSES and target.isidentifier() and not target.startswith(REGEX_PREFIX)
    ]


def _method(quant: QuantConfig | None, entries: Sequence[Entry]) -> str | None:
    if quant is not None:
        return quant.method
    form = next((entry.stored.form for entry in entries if entry.stored.form in QUANTIZED), None)
    return _METHOD_OF_FORM.get(form) if form is not None else None
