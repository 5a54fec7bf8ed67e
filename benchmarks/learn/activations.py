"""Learn which activation functions vLLM takes under each key of each architecture's config.

    python -m benchmarks.learn.activations --vllm-python ENV/bin/python --work DIR

Every family of `tests/support/models/families.py` gets other names of functions, one at a time, under every key of its text model's
config that holds one, and the real vLLM loads it. The set of names that agrees with every answer (one class takes `silu` alone,
others what one of vLLM's registries or transformers' has) is written to `ctq/engines/data/activations.json`, of other architectures
too that vLLM registers as the same class. Answers are kept in DIR, so a run that was stopped goes on. Nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from families import SWEPT, build
from sweep_truth import serves
from transformers.activations import ACT2FN

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.config import CONFIG_NAME, ModelConfig, dotted
from ctq.engines.vllm_models.known_names import activations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DATA: Final = ENGINE_DATA / "activations.json"
KEY: Final = re.compile(r"act$|act_fn$|activation$|activation_function$")
ASKED: Final = ("gelu", "relu2", "swish", "mish", "nonesuch")
"""Names that tell the sets apart."""
BATCH: Final = 20
"""Families whose checkpoints lie on the disk at a time."""
Answers = dict[str, dict[str, dict[str, bool]]]
"""By family and dotted path of a key (no path: the config as it was built): which names load."""


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    python, store = options.vllm_python, options.work / "activations.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    answers = read_answers(store)
    missing = [name for name in SWEPT if name not in answers]
    for start in range(0, len(missing), BATCH):
        ask(missing[start : start + BATCH], python, store)
    sets = sets_of(installed(python, "model_executor/layers/activation.py"))
    found = learnt(read_answers(store), sets)
    write(with_aliases(found, registered_classes(installed(python, "model_executor/models/registry.py"))), sets)


def ask(names: Sequence[str], python: Path, store: Path) -> None:
    """Ask vLLM about some families and keep what it answered."""
    found: Answers = {name: {} for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        cases = [(name, *case) for name in names for case in renamed(name, Path(scratch) / name)]
        seen = observed([folder for *_, folder in cases], python)
    for (name, path, value, _), one in zip(cases, seen, strict=True):
        found[name].setdefault(path, {})[value] = serves(one)
    with store.open("a") as stream:
        for name, answers in found.items():
            print(name, answers, flush=True)
            stream.write(json.dumps({"family": name, "answers": answers}) + "\n")


def read_answers(store: Path) -> Answers:
    """Return what is known already."""
    lines = store.read_text().splitlines() if store.exists() else []
    return {row["family"]: row["answers"] for row in map(json.loads, lines)}


def renamed(name: str, scratch: Path) -> Iterator[tuple[str, str, Path]]:
    """Build a family, and make a copy of it for each key and each name: the path of the key, the name and the folder."""
    base = built(name, scratch / "base")
    if base is None:
        return
    config = json.loads((base / CONFIG_NAME).read_text())
    yield "", "", base
    for path in keys_of(config):
        for value in ASKED:
            folder = shutil.copytree(base, scratch / f"{path}-{value}", copy_function=os.link)
            (folder / CONFIG_NAME).unlink()
            (folder / CONFIG_NAME).write_text(json.dumps(changed(config, path.split("."), value)))
            yield path, value, folder


def keys_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted path of every key of the text model that holds the name of a function."""
    for path, level in ModelConfig(config).text_levels:
        for key, value in level.items():
            if isinstance(value, str) and KEY.search(key) and value.lower() in activations():
                yield dotted(path, key)


def changed(config: Mapping[str, Any], path: Sequence[str], value: str) -> dict[str, Any]:
    """Return the config with one value changed."""
    key, *rest = path
    return {**config, key: changed(config[key], rest, value) if rest else value}


def sets_of(source: str) -> dict[str, list[str]]:
    """Return the names that vLLM's registries have, which are read in lower case, and those of transformers."""

    def registry(name: str) -> list[str]:
        body = source.partition(f"\n{name}")[2].partition("\n)")[0]
        return sorted(re.findall(r'^\s+"(\w+)": lambda', body, re.MULTILINE))

    plain, gated = registry("_ACTIVATION_REGISTRY"), registry("_ACTIVATION_AND_MUL_REGISTRY")
    return {"plain": plain, "gated": gated, "transformers": sorted(ACT2FN)}


def learnt(answers: Answers, sets: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str | list[str]]]:
    """Return which set holds for each key of each architecture; none where families of one architecture disagree."""
    found: dict[str, dict[str, str | list[str]]] = {}
    for name, paths in answers.items():
        if paths.get("", {}).get("") is not True:  # not even as it was built
            continue
        keys = {}
        for path, loads in sorted(paths.items(), key=lambda item: item[0].count(".")):
            way = way_of({value: loads[value] for value in ASKED}, own_value(name, path), sets) if path else None
            if way is not None:
                keys[path.rpartition(".")[2]] = way  # of two levels the inner one counts
        known = found.setdefault(SWEPT[name].architecture, keys)
        found[SWEPT[name].architecture] = {key: way for key, way in keys.items() if known.get(key) == way}
    return found


def way_of(loads: Mapping[str, bool], own: str, sets: Mapping[str, Sequence[str]]) -> str | list[str] | None:
    """Return the set that agrees with every answer, ``any`` or the family's own name alone; None where none does."""
    if all(loads.values()):
        return "any"
    if not any(loads.values()):
        return [own]
    fits = [way for way, names in sets.items() if all((value in names) is took for value, took in loads.items())]
    if not fits:
        print(f"no set fits {loads}")
    return fits[0] if fits else None


def own_value(name: str, path: str) -> str:
    """Return the name that a family was built with."""
    level: Any = settings_as_saved(name)
    for word in filter(None, path.split(".")):
        level = level[word]
    return str(level)


@lru_cache(maxsize=1)
def settings_as_saved(name: str) -> dict[str, Any]:
    """Return the config of a family as it is saved."""
    with tempfile.TemporaryDirectory() as scratch:
        config: dict[str, Any] = json.loads((build(name, Path(scratch) / "base") / CONFIG_NAME).read_text())
    return config


def with_aliases(
    found: Mapping[str, dict[str, str | list[str]]], classes: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, str | list[str]]]:
    """Return the same of all architectures that vLLM registers as the same class."""
    by_class = {classes[name]: keys for name, keys in found.items() if name in classes}
    aliases = {name: by_class[kind] for name, kind in classes.items() if kind in by_class}
    return {**aliases, **found}


def write(found: Mapping[str, Mapping[str, object]], sets: Mapping[str, Sequence[str]]) -> None:
    """Write the data, an architecture a line."""
    about = (
        "Names of activation functions that vLLM 0.32.0 takes, by architecture and key of its text model's config: made by "
        "benchmarks/learn/activations.py. A set is one of `sets`, `any` name, or the names themselves."
    )
    write_tables(DATA, about, sets=sets, architectures=found)


if __name__ == "__main__":
    main()
