"""How a sweep of architectures judges: each item quantized six ways by the command line, loaded by the real vLLM, and compared.

The dense checkpoint is loaded first: what the engine refuses there is no fault of the quantization, and is listed as not judged.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sweep_claims import Claims, claims_of, read_claims
from sweep_quantize import SCHEMES, Made, quantize_as
from sweep_store import Store, stamp_of
from sweep_truth import Observation, Truth, read_observation, serves, truth_of
from sweep_verdict import disagreements

from benchmarks import ROOT
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SHORT: Final = 60
"""Longer names are no names of folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is swept: a name, how its dense checkpoint is built, and what more is asked of each scheme (`quantize_as`)."""

    name: str
    architecture: str
    build: Callable[[Path], object]
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One item in one scheme: what the command promised, what the engine made of it, and every disagreement."""

    family: str
    architecture: str
    scheme: str
    dense: str
    promise: str
    refusal: str
    truth: str
    why: str
    wrong: tuple[str, ...] = ()


class Sweep:
    """The folder of work: the dense originals, and what the engine and ctq said of each result.

    ``prepare`` may build dense originals of several items at once, each in a folder of its name.
    """

    def __init__(self, work: Path, python: Path, prepare: Callable[[Sequence[str], Path], None]) -> None:
        self._work, self._python, self._prepare = work, python, prepare
        self._truths, self._claims = Store(work / "truths.jsonl"), Store(work / "claims.jsonl")
        self._code = stamp_of(ROOT / "ctq", "*.py", "*.json")

    def rows(self, items: Sequence[Item]) -> list[Row]:
        """Judge some items, together."""
        root = self._work / "made"
        shutil.rmtree(root, ignore_errors=True)
        made: dict[tuple[str, str], Made] = {}
        folders: dict[tuple[str, str], Path] = {}
        for item, dense in zip(items, self._dense(items), strict=True):
            folders[item.name, ""] = dense
            for scheme in SCHEMES:
                out = root / f"{dense.name}-{scheme}".replace(" ", "-")
                found = made[item.name, scheme] = quantize_as(scheme, dense, out, more=item.more.get(scheme, ()))
                if found.promise:
                    folders[item.name, scheme] = found.folder
        seen = self._observed(folders)
        rows = [
            judge(
                item,
                scheme,
                made[item.name, scheme],
                seen,
                self._said(item.name, scheme, made[item.name, scheme], seen),
            )
            for item in items
            for scheme in SCHEMES
        ]
        shutil.rmtree(root, ignore_errors=True)
        return rows

    def _dense(self, items: Sequence[Item]) -> list[Path]:
        """Build the dense originals that are not there yet."""
        stamp = stamp_of(ROOT / "tests" / "support", "famil*.py", "mirror*.py", "dense_builder.py")
        root = self._work / "dense" / stamp
        self._prepare([item.name for item in items], root)
        folders = [root / _file_name(item.name) for item in items]
        for item, folder in zip(items, folders, strict=True):
            if not (folder / "config.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                item.build(folder)
        return folders

    def _observed(self, folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], Observation]:
        stamps = {key: stamp_of(folder, "*.json", "*.safetensors") for key, folder in folders.items()}
        new = [key for key in folders if self._truths.get(":".join(key), stamps[key]) is None]
        for key, one in zip(new, observed([folders[key] for key in new], self._python), strict=True):
            self._truths.put(":".join(key), stamps[key], one.to_json())
        answers = {key: self._truths.get(":".join(key), stamps[key]) for key in folders}
        return {key: read_observation(answer) for key, answer in answers.items() if answer}

    def _said(self, name: str, scheme: str, made: Made, seen: Mapping[tuple[str, str], Observation]) -> Claims:
        if not made.promise or not serves(seen[name, ""]):
            return Claims()
        stamp = f"{stamp_of(made.folder, '*.json', '*.safetensors')}-{self._code}"
        answer = self._claims.get(f"{name}:{scheme}", stamp)
        if answer is None:
            answer = asdict(claims_of(made.folder))
            self._claims.put(f"{name}:{scheme}", stamp, answer)
        return read_claims(answer)


def _file_name(name: str) -> str:
    return name if name.isidentifier() or len(name) < SHORT else hashlib.sha256(name.encode()).hexdigest()[:16]


def judge(item: Item, scheme: str, made: Made, seen: dict[tuple[str, str], Observation], claims: Claims) -> Row:
    """Compare promise, engine and verdicts of one result."""
    dense, reason = truth_of(seen[item.name, ""])
    row = Row(
        family=item.name,
        architecture=item.architecture,
        scheme=scheme,
        dense=str(dense) if dense.is_good else f"{dense}: {reason[:200]}",
        promise=made.promise,
        refusal=made.refusals[0].strip() if made.refusals else "",
        truth="",
        why="",
    )
    if not made.promise or not dense.is_good:
        return row
    truth, why = truth_of(seen[item.name, scheme], seen[item.name, ""])
    return replace(
        row, truth=str(truth), why="" if truth.is_good else why[:300], wrong=tuple(_wrong(made, truth, claims))
    )


def _wrong(made: Made, truth: Truth, claims: Claims) -> Iterator[str]:
    if made.unsupported and truth is Truth.QUANTIZED:
        yield "the head was refused, and the engine dispatches it"
    elif not made.unsupported and truth is not {"quantized": Truth.QUANTIZED}.get(made.promise, Truth.DENSE):
        yield f"promised {made.promise}"
    yield from (f"{kind}: {command}: {' '.join(claims.errors)[:150]}" for command, kind in disagreements(truth, claims))
