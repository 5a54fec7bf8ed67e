"""What a plan and a run have to say, as JSON values: the dry run's plan file and the run's summary."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from ctq.engines.hardware import Layer, hardware_notes

if TYPE_CHECKING:
    from ctq.quantize.job import Job
    from ctq.quantize.plan import Plan
    from ctq.quantize.run import RunSummary
    from ctq.recipe.decision import Decision

SCHEMA_VERSION = 1


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the reviewable plan: every module with its scheme and reason, every file, bytes before and after."""
    return {
        "schema_version": SCHEMA_VERSION,
        "source": plan.source.label,
        "architecture": plan.source.config.architecture,
        "recipe": plan.recipe.to_json(),
        "lm_head": head_json(plan),
        "modules": [
            {
                "name": decision.module,
                "kind": decision.kind,
                "scheme": decision.scheme.name if decision.scheme else None,
                "reason": decision.reason,
                "shape": _shape(plan, decision),
            }
            for decision in plan.decisions.modules
        ],
        "quantization_config": plan.quantization_config,
        "files": {name: file.nbytes for name, file in plan.files.items()},
        "side_files": list(plan.side_files),
        "bytes_before": plan.nbytes_before,
        "bytes_after": plan.nbytes_after,
        "hardware": hardware(plan),
        "notes": list(plan.notes),
    }


def _shape(plan: Plan, decision: Decision) -> list[int]:
    part = decision.part
    return [part.rows, part.columns] if part is not None else list(plan.source.tensors[decision.tensor].shape)


def head_json(plan: Plan) -> dict[str, Any]:
    """Return what becomes of the head, and what that costs and saves in bytes."""
    decisions, head = plan.decisions, plan.head
    return {
        "name": decisions.head.name if decisions.head else None,
        "state": head.state,
        "scheme": decisions.head_scheme.name if decisions.head_scheme else None,
        "decision": decisions.head_reason,
        "targets": list(head.targets),
        "materialized_from": decisions.head.embedding if decisions.head and head.materialized else None,
        "bytes_dense": head.nbytes_dense,
        "bytes_quantized": head.nbytes_quantized,
    }


def summary_json(plan: Plan, job: Job, summary: RunSummary) -> dict[str, Any]:
    """Return the summary of a finished run; SQNR in decibels over the modules quantized in this run."""
    return {
        "schema_version": SCHEMA_VERSION,
        "source": plan.source.label,
        "revision": job.revision,
        "output": str(job.out),
        "architecture": plan.source.config.architecture,
        "recipe": plan.recipe.to_json(),
        "lm_head": head_json(plan),
        "modules": module_counts(plan),
        "files": {name: file.nbytes for name, file in plan.files.items()},
        "bytes_before": plan.nbytes_before,
        "bytes_after": plan.nbytes_after,
        "seconds": round(summary.seconds, 3),
        "bytes_per_second": round(summary.nbytes_read / summary.seconds) if summary.seconds else None,
        "resumed_units": summary.resumed_units,
        "sqnr_db": sqnr_json(plan, summary),
        "hardware": hardware(plan),
        "notes": list(plan.notes),
    }


def module_counts(plan: Plan) -> dict[str, dict[str, int]]:
    """Count the modules: quantized by scheme, dense ones by kind and reason."""
    quantized: dict[str, int] = {}
    dense: dict[str, int] = {}
    for decision in plan.decisions.modules:
        if decision.scheme:
            quantized[decision.scheme.name] = quantized.get(decision.scheme.name, 0) + 1
        elif decision.left_dense:
            reason = decision.reason if decision.reason == decision.kind else f"{decision.kind} ({decision.reason})"
            dense[reason] = dense.get(reason, 0) + 1
    return {"quantized": quantized, "dense": dense}


def hardware(plan: Plan) -> list[str]:
    """Say where vLLM runs the schemes of the plan, each once."""
    head = [plan.decisions.head_scheme] if plan.decisions.head_scheme else []
    schemes = dict.fromkeys([*head, *(decision.scheme for decision in plan.decisions.modules if decision.scheme)])
    notes = (
        note
        for scheme in schemes
        for note in hardware_notes(
            scheme.name, Layer(group_size=scheme.weights.group_size, symmetric=scheme.weights.symmetric)
        )
    )
    return list(dict.fromkeys(notes))


def sqnr_json(plan: Plan, summary: RunSummary) -> dict[str, Any]:
    """Return the worst and the median signal-to-noise ratio, and the head's."""
    values = {name: stats.sqnr_db for name, stats in summary.modules.items() if math.isfinite(stats.sqnr_db)}
    worst = min(values, key=lambda name: values[name], default=None)
    head = plan.decisions.head
    return {
        "minimum": _rounded(values[worst]) if worst else None,
        "minimum_module": worst,
        "median": _rounded(statistics.median(values.values())) if values else None,
        "lm_head": _rounded(values.get(head.name)) if head else None,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
