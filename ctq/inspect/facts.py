"""Everything that rules and views need, computed once from headers, index and config, and frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ctq.inspect.defects import Defect, Diagnosis, Surroundings, diagnose
from ctq.inspect.entries import KNOWN_CLASSES, Entry, Patterns, State, find_entries
from ctq.inspect.forms import QUANTIZED, Form
from ctq.inspect.grouping import group_modules
from ctq.inspect.head import HeadFacts, head_facts, locate_head
from ctq.inspect.second_opinion import with_second_opinion
from ctq.recipe.match import REGEX_PREFIX
from ctq.recipe.quant_config import parse_quantization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.inspect.engines import EngineVerdict
    from ctq.inspect.oddities import Odd
    from ctq.recipe.quant_config import QuantConfig

Expected = Literal["quantized", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a checkpoint holds.

    ``method`` names how it is quantized, by the config or, without one, by the tensors; None means dense. ``entries`` are sets of
    alike modules in the order of the files; ``engines`` what each engine makes of the head, ``expected`` what the user expects of
    it. ``unreadable`` files are readable by their owner alone, ``deep`` holds what is odd about values, where they were read.
    """

    checkpoint: Checkpoint
    quant: QuantConfig | None
    method: str | None
    entries: tuple[Entry, ...]
    patterns: Patterns
    head: HeadFacts
    engines: tuple[EngineVerdict, ...] = ()
    expected: Expected | None = None
    unreadable: tuple[str, ...] = ()
    deep: tuple[Odd, ...] = ()

    @property
    def is_compressed_tensors(self) -> bool:
        """Whether the config is one that these rules judge."""
        return self.quant is not None and self.quant.is_compressed_tensors

    @property
    def as_expected(self) -> bool:
        """Whether the head is what was expected of it: a tied one counts as dense, a broken or absent one as neither."""
        allowed = {"quantized": (State.QUANTIZED,), "dense": (State.DENSE, State.TIED)}
        return self.expected is None or self.head.state in allowed[self.expected]

    @property
    def lacks_config(self) -> bool:
        """Whether nothing says how the tensors are quantized, although a config is there to say it."""
        return _lacks_config(self.checkpoint, self.quant)

    @property
    def quantized(self) -> tuple[Entry, ...]:
        """The sets that are stored quantized."""
        return tuple(entry for entry in self.entries if entry.stored.is_quantized)


def collect_facts(checkpoint: Checkpoint) -> Facts:
    """Compute the facts of an opened checkpoint; time and memory grow with the number of tensors alone."""
    config = checkpoint.config
    raw = config.quantization
    quant = parse_quantization(raw) if raw is not None else None
    sets = group_modules(checkpoint.tensors, layers=config.num_hidden_layers)
    head = locate_head(sets, config, checkpoint.tensors)
    entries, patterns = find_entries(sets, config, quant, head=head.name if head is not None and head.tensor else None)
    if quant is not None and quant.is_compressed_tensors:
        around = _surroundings(entries, quant)
        entries = [replace(entry, diagnosis=diagnose(entry, around)) for entry in entries]
        entries = with_second_opinion(entries, config, quant, around)
    elif _lacks_config(checkpoint, quant):
        entries = [replace(entry, diagnosis=_NOT_SAID) if entry.stored.is_quantized else entry for entry in entries]
    return Facts(
        checkpoint=checkpoint,
        quant=quant,
        method=_method(checkpoint, quant, entries),
        entries=tuple(entries),
        patterns=patterns,
        head=head_facts(head, entries, patterns, quant),
    )


_NOT_SAID = Diagnosis(Defect.UNDECLARED, "stored quantized, but config.json has no quantization_config")
_MLX_KEY = "quantization"


def _lacks_config(checkpoint: Checkpoint, quant: QuantConfig | None) -> bool:
    elsewhere = any(file in checkpoint.source.files for file in _SIDE_FILES) or _MLX_KEY in checkpoint.config.raw
    return quant is None and bool(checkpoint.config.raw) and not elsewhere


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


_SIDE_FILES = {
    "hf_quant_config.json": "modelopt",
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
}
"""Files in which other tools keep what others write into ``config.json``."""

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


def _method(checkpoint: Checkpoint, quant: QuantConfig | None, entries: Sequence[Entry]) -> str | None:
    if quant is not None:
        return quant.method
    named = next((method for file, method in _SIDE_FILES.items() if file in checkpoint.source.files), None)
    form = next((entry.stored.form for entry in entries if entry.stored.form in QUANTIZED), None)
    if form is None:
        return None
    return named or _METHOD_OF_FORM.get(form)
