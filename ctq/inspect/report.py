"""The public face of inspection: one call, one frozen report, one JSON object."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ctq.inspect.cost import Cost, estimate_cost
from ctq.inspect.facts.collect import collect_facts
from ctq.inspect.facts.engines import EngineRequest, with_engines
from ctq.inspect.file_modes import unreadable_files
from ctq.inspect.modules.words import activation_words, scheme_words
from ctq.inspect.rules.check import Selection, find, require_known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.findings import Finding, Severity
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Expected, Facts
    from ctq.inspect.facts.head import InspectedHead

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """What to judge: engines (none: the newest known of each), rules, what the head should be, and whether to read values."""

    engines: tuple[EngineRequest, ...] = ()
    selection: Selection = field(default_factory=Selection)
    expect_lm_head: Expected | None = None
    deep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that inspection says about a checkpoint."""

    facts: Facts
    cost: Cost
    findings: tuple[Finding, ...]

    def worst(self) -> Severity | None:
        """Return the gravest severity among the findings."""
        return min((finding.severity for finding in self.findings), key=lambda severity: severity.rank, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as the JSON object of `ctq inspect --json`."""
        facts = self.facts
        return {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": checkpoint_json(facts),
            "lm_head": head_json(facts.head),
            "cost": self.cost.to_json(),
            "modules": list(modules_json(facts)),
            "engines": [
                {
                    "engine": verdict.engine,
                    "version": verdict.version,
                    "verdict": verdict.outcome.verdict,
                    "reason": verdict.outcome.reason,
                }
                for verdict in facts.engines
            ],
            "findings": [asdict(finding) for finding in self.findings],
        }


def inspect_checkpoint(checkpoint: Checkpoint, options: InspectOptions | None = None) -> Report:
    """Inspect an opened checkpoint; nothing but headers, index and config is read, unless ``options.deep`` asks for more.

    Raises:
        UsageError: a rule or an engine that does not exist.
        CheckpointError: with ``deep``, a file that cannot be read any more.

    """
    options = options or InspectOptions()
    require_known(options.selection)
    facts = replace(collect_facts(checkpoint), expected=options.expect_lm_head, unreadable=unreadable_files(checkpoint))
    facts = with_engines(facts, options.engines)
    if options.deep:
        from ctq.inspect.deep import examine  # noqa: PLC0415  # numpy, which headers do not need

        facts = replace(facts, deep=examine(checkpoint, facts.entries))
    return Report(facts=facts, cost=estimate_cost(facts), findings=find(facts, options.selection))


def checkpoint_json(facts: Facts) -> dict[str, Any]:
    """Return the ``checkpoint`` object of the report."""
    checkpoint = facts.checkpoint
    flags = checkpoint.config.tie_flags
    return {
        "path": checkpoint.label,
        "architecture": checkpoint.config.architecture,
        "format": facts.quant.format if facts.quant is not None else None,
        "quant_method": facts.method,
        "tie_word_embeddings": any(flags.values()) if flags else None,
        "bytes": checkpoint.nbytes,
        "tensors": len(checkpoint.tensors),
        "shards": len(checkpoint.headers),
    }


def head_json(head: InspectedHead) -> dict[str, Any]:
    """Return the ``lm_head`` object of the report."""
    return {
        "name": head.name,
        "state": str(head.state),
        "scheme": head.scheme,
        "format": head.format,
        "matched_target": head.match.target,
        "ignored_by": head.match.ignored_by,
        "tensors": list(head.tensors),
        "reason": head.reason,
    }


def modules_json(facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield one object for each module; alike modules share all but the name."""
    for entry in facts.entries:
        shared = _shared_json(entry, facts)
        yield from ({"name": name, **shared} for name in entry.modules.names)


def _shared_json(entry: Entry, facts: Facts) -> dict[str, Any]:
    quantized = entry.stored.is_quantized
    activations = entry.activations if quantized else None
    return {
        "kind": "head" if entry.is_head else str(entry.kind),
        "state": str(entry.state),
        "scheme": scheme_words(entry.stored, facts.raw_quantization),
        "activations": activation_words(activations),
        "format": str(entry.stored.form) if quantized else None,
        "matched_target": entry.match.target,
        "ignored_by": entry.match.ignored_by,
        "bytes": entry.modules.nbytes_each,
        "tensors": {
            part: {"dtype": info.dtype, "shape": list(info.shape)} for part, info in entry.modules.parts.items()
        },
    }
