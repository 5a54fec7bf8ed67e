"""What SGLang is asked about: whole checkpoints, heads of many architectures, and configs to dispatch a head by."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import breaking as do
import old_build_cases
import sglang_probes
from builders import edit_tensors, tiny_quantized
from head_cases import CASES as HEAD_CASES
from match_cases import dispatch_cases
from peer_fixtures import FIXTURES, materialise
from quantizing import quantize
from raw_safetensors import from_floats

from ctq.recipe.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from breaking import Change
    from raw_safetensors import Raw

    Build = Callable[[Path, Callable[[str], Path]], Path]

DISPATCHES: Final = 600
_ALONE: Final = ("llama", "llama-tied", "qwen2", "qwen3-tied", "qwen3-moe")
"""Families of which nothing but the head is quantized: every layer that SGLang fuses must then be ignored by its own name."""
_KINDS: Final = ("w8a16-g32", "w8a16-asym", "w4a16", "naive", "fp8", "fp8-block", "nvfp4", "mxfp4", "mxfp8")


def _one_scale(tensors: dict[str, Raw]) -> None:
    for name in [name for name in tensors if name.endswith("weight_scale")]:
        tensors[name] = from_floats(tensors[name].floats.reshape(-1)[:1], "BF16")


_CHANGED: Final[Mapping[str, tuple[str, Change]]] = {
    "int8, pattern without an end": ("w8a8", do.targets("re:.*lm_head", "Linear")),
    "int8, pattern from the start": ("w8a8", do.targets("re:lm_head$", "Linear")),
    "int8, ending of another name": ("w8a8", do.targets("head", "Linear")),
    "int8, a full name of another class": ("w8a8", do.targets("language_model.lm_head", "Linear")),
    "int8, ignored by a pattern": ("w8a8", do.ignore("re:.*head")),
    "int8, one scale in all": ("w8a8", do.steps(do.weights(strategy="tensor"), partial(edit_tensors, change=_one_scale))),
    "int8, unknown field in the config": ("w8a8", do.weights(unheard=1)),
    "int8, ignore null": ("w8a8", do.says(ignore=None)),
    "packed, of three bits": ("w8a16", do.weights(num_bits=3)),
}  # fmt: skip


def loads() -> dict[str, Build]:
    """Return every checkpoint by name: a function of the folder to write and of where a family's dense one lies."""
    found: dict[str, Build] = {}
    for case in old_build_cases.cases():
        found[" / ".join(case)] = lambda folder, dense, case=case: old_build_cases.make(case, dense(case[0]), folder)  # type: ignore[misc]
    for family in _ALONE:
        found[f"head alone / {family}"] = partial(_alone, family=family)
    for head in HEAD_CASES:
        found[f"head / {head.name}"] = lambda folder, _, head=head: head.build(folder)  # type: ignore[misc]
    for name, (kind, change) in _CHANGED.items():
        found[f"head / {name}"] = partial(_changed, kind=kind, change=change)
    for kind in _KINDS:
        found[f"head / healthy {kind}"] = lambda folder, _, kind=kind: tiny_quantized(folder, kind=kind)  # type: ignore[misc]
    for peer in FIXTURES:
        found[f"peer / {peer}"] = lambda folder, _, peer=peer: materialise(peer, folder)  # type: ignore[misc]
    return found


def _alone(folder: Path, dense: Callable[[str], Path], *, family: str) -> Path:
    quantize(dense(family), folder, Recipe(body=(), lm_head=True))
    return folder


def _changed(folder: Path, _: Callable[[str], Path], *, kind: str, change: Change) -> Path:
    tiny_quantized(folder, kind=kind)
    change(folder)
    return folder


def dispatches() -> list[dict[str, Any]]:
    """Return generated configs, each with the name of a head to dispatch."""
    heads = (case for case in dispatch_cases(10 * DISPATCHES, seed=12) if case["cls"] == "ParallelLMHead")
    return [
        {"config": case["config"], "prefix": case["prefix"]} for case, _ in zip(heads, range(DISPATCHES), strict=False)
    ]


def probe_names() -> list[tuple[str, str]]:
    """Return every probe of every architecture, as family and probe."""
    return [(family, probe) for family in sglang_probes.families() for probe in ("dense", *sglang_probes.PROBES)]


def word_of(answer: dict[str, Any]) -> str | None:
    """Return what SGLang made of the head; None where it refuses the model for another reason."""
    if answer["outcome"] == "refused":
        return "fails" if answer["by_head"] or answer["stage"] == "config" else None
    head = answer["head"]
    if head and any(item.startswith(f"{head}.") for key in ("never", "partly", "converted") for item in answer[key]):
        return "garbage"
    return "quantized" if answer["quantized"] else "dense"
