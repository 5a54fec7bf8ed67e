"""The record of where a result comes from: written as ``ctq.json`` and read again, and the fingerprint by which a run is resumed.

It holds no times and no paths of this machine, so that two runs over the same source give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ctq import __version__
from ctq.quantize.side_files import PROVENANCE_NAME

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.quantize.plan import Plan

RECORD_VERSION = 1
_KEYS = {"ctq_version", "source", "recipe", "lm_head"}
_LARGEST_RECORD = 64 * 1024 * 1024
"""Bytes of a record that is read; ours have a line or two for each shard."""


def provenance(plan: Plan, *, model: str, revision: str | None) -> dict[str, Any]:
    """Return the provenance record of a plan; ``model`` is what the user named, ``revision`` the hub commit if there is one."""
    decisions = plan.decisions
    return {
        "record_version": RECORD_VERSION,
        "ctq_version": __version__,
        "source": {"model": model, "revision": revision, "files": source_files(plan.source)},
        "recipe": plan.recipe.to_json(),
        "lm_head": {
            "name": decisions.head.name if decisions.head else None,
            "decision": decisions.head_reason,
            "quantized": decisions.head_scheme is not None,
            "materialized_from": decisions.head.embedding if plan.head.materialized and decisions.head else None,
        },
        "quantized_modules": sum(1 for decision in decisions.modules if decision.scheme)
        + (decisions.head_scheme is not None),
        "dense_modules": _dense(plan),
    }


def provenance_json(record: dict[str, Any]) -> bytes:
    """Return the bytes of ``ctq.json``."""
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def read_record(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return the provenance record of a result of ctq, or None where there is none that can be read."""
    if not 0 < checkpoint.source.files.get(PROVENANCE_NAME, 0) <= _LARGEST_RECORD:
        return None
    try:
        record = json.loads(checkpoint.source.read(PROVENANCE_NAME))
    except (ValueError, RecursionError):
        return None
    known = isinstance(record, dict) and record.get("record_version") == RECORD_VERSION
    known = (
        known
        and record.keys() >= _KEYS
        and all(isinstance(record[key], dict) for key in ("source", "recipe", "lm_head"))
    )
    return record if known else None


def is_recorded_source(record: dict[str, Any], reference: Checkpoint) -> bool:
    """Tell whether the reference has the very files, by size and header, that the record names as its source."""
    return bool(record["source"].get("files") == source_files(reference))


def source_files(source: Checkpoint) -> dict[str, dict[str, Any]]:
    """Return size and header digest of each shard; the digest covers names, dtypes, shapes and offsets, not the data."""
    return {
        name: {"nbytes": header.file_size, "header_sha256": _digest(source.source.read(name, 0, header.data_start))}
        for name, header in sorted(source.headers.items())
    }


def fingerprint(plan: Plan, record: dict[str, Any], stamps: dict[str, int]) -> dict[str, Any]:
    """Return what must not change between an interrupted run and its continuation.

    ``stamps`` are the modification times (ns) of the source's shards: a header digest alone would not notice new weights.
    """
    layout = {name: _digest(file.header) for name, file in plan.files.items()}
    return {
        "version": record["ctq_version"],
        "source": _digest(json.dumps([record["source"]["files"], stamps], sort_keys=True).encode()),
        "recipe": _digest(json.dumps([record["recipe"], layout, sorted(plan.quantization_config["ignore"])]).encode()),
    }


def _dense(plan: Plan) -> dict[str, int]:
    """Count the modules left dense by reason."""
    return dict(Counter(decision.reason for decision in plan.decisions.modules if decision.left_dense))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
