"""Break tensors of text models that are less usual, ask the real vLLM about each, and count where ctq says otherwise.

    python -m benchmarks.broken_tensors wrappers|mirrored|families --vllm-python ENV/bin/python --work DIR [--families NAME ...]

``wrappers`` are wrappers around other text models than their family's own (`tests/support/models/wrapped.py`), ``mirrored`` text
models that transformers does not build (`tests/support/mirrors/mirrored*.py`), ``families`` those that it builds
(`tests/support/models/families.py`). Of each that vLLM serves, and of what `ctq quantize` makes of it where ``--schemes`` names
some, twelve tensors drawn by ``--seed`` are left out (one, or that of all layers), misspelt, made longer or given a stranger beside
them. The checkpoints and vLLM's answers are kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

from families import FAMILIES, LEARNT_ONLY, MORE_FAMILIES, build
from mirrored import build_mirrored
from mirrored_layers import MIRRORED_LAYERS
from mirrored_text import MIRRORED_TEXT
from raw_safetensors import Raw, read_safetensors, write_safetensors
from sweep_quantize import SCHEMES, quantize_as
from sweep_truth import Observation, Truth, read_observation, truth_of
from wrapped import build_wrapped

from benchmarks.loads import observed
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

Tensors: TypeAlias = Mapping[str, Raw]
TEXTS: Final = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "qwen2-moe", "qwen3-moe", "mixtral", "granite",
    "olmo2", "opt", "gpt2", "cohere2", "glm4", "gpt-neox", "smollm3", "phi", "stablelm", "deepseek-v2",
)  # fmt: skip
"""Text models that are put into every wrapper whose config takes them."""
BESIDE: Final = re.compile(r"vis|projector|newline|audio|image")
EACH: Final = 12
LONGER: Final = 16
KINDS: Final = ("left out", "left out of all layers", "misspelt", "longer", "beside a stranger")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("wrappers", "mirrored", "families"))
    parser.add_argument("--vllm-python", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--families", nargs="*", help="only these")
    parser.add_argument("--schemes", nargs="*", choices=tuple(SCHEMES), default=[], help="quantized too, as these")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bases = {"wrappers": wrappers, "mirrored": mirrored, "families": families}[options.task]
    healthy = bases(options.work / "bases", options.vllm_python, options.families)
    healthy += [made for base in list(healthy) for made in quantized(base, options.work / "quantized", options.schemes)]
    options.work.mkdir(parents=True, exist_ok=True)
    answers = Answers(options.work / f"{options.task}.jsonl", options.vllm_python.absolute())
    served = [folder for folder, truth in answers.of(healthy) if truth.is_good]
    cases = [case for folder in served for case in broken(folder, options.work / "cases", Random(options.seed))]
    counts: Counter[str] = Counter(bases=len(served))
    for folder, truth in answers.of([*served, *cases]):
        counts["cases"] += folder not in served
        found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
        errors = [f"{one.code} {one.message}" for one in found if one.severity is Severity.ERROR]
        if truth is not Truth.UNDECIDED and bool(errors) == truth.is_good:
            what = "false alarm" if truth.is_good else "false pass"
            counts[what] += 1
            print(f"{what}: {folder.name}: vLLM {truth.value} | {'; '.join(errors)[:200]}", flush=True)
    print(dict(counts))


def wrappers(root: Path, _python: Path, chosen: list[str] | None) -> list[Path]:
    """Build wrappers around each text model that their config takes; return the folders."""
    found = []
    for name in chosen or [name for name, family in FAMILIES.items() if family.text == "text_config"]:
        for inner in TEXTS:
            folder = root / f"{name}+{inner}"
            try:
                found.append(folder if folder.exists() else build_wrapped(name, inner, folder))
            except Exception as error:  # noqa: BLE001  # whatever a config says against a text model
                shutil.rmtree(folder, ignore_errors=True)
                print(f"not built: {folder.name}: {str(error)[:120]}", flush=True)
    return found


def families(root: Path, _python: Path, chosen: list[str] | None) -> list[Path]:
    """Build families; return the folders."""
    found = []
    for name in chosen or [*FAMILIES, *MORE_FAMILIES, *LEARNT_ONLY]:
        if not (root / name).exists():
            build(name, root / name)
        found.append(root / name)
    return found


def quantized(base: Path, root: Path, schemes: list[str]) -> Iterator[Path]:
    """Quantize a checkpoint; yield the folders."""
    for scheme in schemes:
        folder = root / f"{base.name} as {scheme}"
        if folder.exists() or quantize_as(scheme, base, folder).promise:
            yield folder


def mirrored(root: Path, python: Path, chosen: list[str] | None) -> list[Path]:
    """Write text models as vLLM's own classes read them; return the folders."""
    rows = [row for row in (*MIRRORED_TEXT, *MIRRORED_LAYERS) if not chosen or row.name in chosen]
    for folder, why in build_mirrored(rows, root, python=python).items():
        print(f"not built: {folder}: {why[:120]}", flush=True)
    return [root / row.name for row in rows if any((root / row.name).glob("*.safetensors"))]


def broken(base: Path, root: Path, random: Random) -> Iterator[Path]:
    """Write the broken copies of one checkpoint; yield their folders."""
    tensors = {name: raw for path in sorted(base.glob("*.safetensors")) for name, raw in read_safetensors(path).items()}
    places: dict[str, list[str]] = defaultdict(list)
    for name in sorted(tensors):
        if not BESIDE.search(name):
            places[re.sub(r"(?<=\.)\d+(?=\.|$)", "#", name)].append(name)
    for number, names in enumerate(random.sample(list(places.values()), min(EACH, len(places)))):
        kind, name = KINDS[number % len(KINDS)], random.choice(names)
        folder = root / f"{base.name}: {name} {kind}"
        if not folder.exists():
            folder.mkdir(parents=True)
            for path in base.glob("*.json"):
                if "index" not in path.name:
                    shutil.copy(path, folder / path.name)
            write_safetensors(
                folder / "model.safetensors", changed(tensors, kind, name, names), metadata={"format": "pt"}
            )
        yield folder


def changed(tensors: Tensors, kind: str, name: str, alike: list[str]) -> dict[str, Raw]:
    """Return the tensors with ``name`` changed, or what all layers have like it."""
    raw, gone = tensors[name], set(alike) if kind == "left out of all layers" else {name}
    rest = {other: value for other, value in tensors.items() if other not in gone}
    if kind == "misspelt":
        return rest | {f"{name}s": raw}
    if kind == "longer":
        row = len(raw.data) // raw.shape[0]
        shape = (raw.shape[0] + LONGER, *raw.shape[1:])
        return rest | {name: Raw(raw.dtype, shape, raw.data + (raw.data * LONGER)[: row * LONGER])}
    if kind == "beside a stranger":
        module, _, part = name.rpartition(".")
        return {**tensors, f"{module}_stranger.{part}": raw}
    return rest


class Answers:
    """What vLLM makes of checkpoints, kept in a file by their names."""

    def __init__(self, path: Path, python: Path) -> None:
        self._path, self._python = path, python
        rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
        self._known: dict[str, Observation] = {name: read_observation(row) for name, row in rows}

    def of(self, folders: list[Path]) -> list[tuple[Path, Truth]]:
        """Return each checkpoint with what vLLM makes of it; those that it was not asked about are asked about."""
        asked = [folder for folder in folders if folder.name not in self._known]
        with self._path.open("a") as store:
            for folder, seen in zip(asked, observed(asked, self._python), strict=True):
                self._known[folder.name] = seen
                store.write(json.dumps([folder.name, self._known[folder.name].to_json()]) + "\n")
        return [(folder, truth_of(self._known[folder.name])[0]) for folder in folders]


if __name__ == "__main__":
    main()
