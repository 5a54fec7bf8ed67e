"""Write docs/support.md: which architectures' heads vLLM dispatches, under which name and since which release.

    python -m benchmarks.support_page > docs/support.md

Computed from the package's own reference data with the targets that `ctq quantize` writes.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from typing import TYPE_CHECKING

from benchmarks.conformance.architectures_page import outcomes
from ctq.engines.vllm.backend import backend_architectures
from ctq.engines.vllm_models.heads import architectures, extracted, head_reach, head_support, known_versions
from ctq.recipe.heads import ENGINE_CLASS, HEAD_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence

INTRODUCTION = """# Supported architectures

Whether a quantized head is dispatched depends on the model class of the engine: it must pass the quantization config and a name
to its head. This table is computed from vLLM's own sources ({first} to {last}, read in {month}; `ctq/engines/data/`) with the
targets that `ctq quantize --include-lm-head` writes; `python -m benchmarks.support_page` writes it anew. An architecture that is
not listed is unknown to `ctq`: quantizing its head warns, and `ctq verify --engine vllm` finds out. *since* is the oldest release
that dispatches the head (releases before 0.20.0 dispatch none); *inner* means that the text model inside decides. *Loaded here*
tells how tiny checkpoints of the whole model were loaded by the real vLLM 0.32.0 ([architectures](architectures.md)): with the head
as W8A8 and as W8A16, or without it quantized.

| architecture | head is built as | dispatched since | in {last} | loaded here |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    versions = known_versions()
    known = sorted({*architectures(), *backend_architectures()})
    rows = [row for architecture in known if (row := _row(architecture))]
    return INTRODUCTION.format(first=versions[0], last=versions[-1], month=extracted()) + "\n".join(rows) + "\n"


def _row(architecture: str) -> str | None:
    support = next(
        (found for version in reversed(known_versions()) if (found := head_support(architecture, version))), None
    )
    if support is None or (support.prefix is None and not support.tie_ways):
        return None
    leaf = (support.prefix or "").rpartition(".")[2]
    own = [] if leaf in ("lm_head", "") else [f"re:.*{leaf}$"]
    targets = [HEAD_PATTERN, *own, *([ENGINE_CLASS] if support.prefix == "" else [])]
    reach = head_reach(architecture, targets)
    since = first_dispatching_version(architecture, targets) or "-"
    name = f"`{support.prefix}`" if support.prefix else "no name" if support.prefix == "" else "no head of its own"
    status = "dispatched" if reach.status == "dispatched" else reach.reason
    if support.quant_config == "inner":
        status = "inner"
    return f"| {architecture} | {name} | {since} | {status} | {_loaded(architecture)} |"


def first_dispatching_version(architecture: str, targets: Sequence[str]) -> str | None:
    """Return the oldest known release of vLLM in which ``targets`` reach the head of ``architecture``, or None."""
    reached = (
        version
        for version in known_versions()
        if head_reach(architecture, targets, version=version).status == "dispatched"
    )
    return next(reached, None)


def _loaded(architecture: str) -> str:
    """Say in which forms the whole model was seen to load."""
    words = _outcomes().get(architecture, {})
    forms = [scheme for scheme in ("W8A8", "W8A16") if words.get(scheme) == "quantized"]
    return ", ".join([*forms, *(["head dense"] if words.get("no head") == "dense" else [])])


@lru_cache(maxsize=1)
def _outcomes() -> dict[str, dict[str, str]]:
    return outcomes()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(page(), end="")
