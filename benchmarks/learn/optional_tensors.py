"""Learn which switch of a config brings which tensors (`attention_bias` the biases of q, k, v and o), and what vLLM makes of them.

    python -m benchmarks.learn.optional_tensors --vllm-python ENV/bin/python [--families NAME ...]

Every family of `tests/support/models/families.py` is built by transformers with each switch of its config turned alone, or a size
that may be 0 set to that; tensors that all layers have only then are optional. vLLM 0.32.0 then loads the model with and without
them under both values of the switch: it needs them under a value where it does not load without them, and takes them where it loads
with them. The result, `ctq/engines/data/optional_tensors.json`, is what inspection expects of checkpoints. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

from builders import edit_config
from families import EVERY, FAMILIES, build
from sweep_truth import Truth, truth_of

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Build, presence
from benchmarks.learn.skeletons import SWITCH, read_build
from benchmarks.loads import observed

DATA: Final = ENGINE_DATA / "optional_tensors.json"
ELSEWHERE: Final = ("tie_word_embeddings", "add_cross_attention")
"""Switches that have rules of their own, or that engines do not read."""
SIZE: Final = re.compile(r"^hidden_size_per_")
SOME: Final = 32
"""A size for what a family has none of."""
MISSES: Final = "were not initialized"
"""In vLLM's words for tensors that a dense model lacks."""
State = tuple[str, str, bool, bool]
"""An architecture, a switch, whether the tensors are there, and the value that the config gives the switch."""


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    names = options.families or list(FAMILIES)
    found: dict[str, dict[str, list[Any]]] = {}
    folders: dict[State, Path] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            family, learnt = EVERY[name], switches_of(name, Path(scratch) / name, folders)
            known = found.setdefault(family.architecture, learnt)
            found[family.architecture] = {
                key: value for key, value in {**known, **learnt}.items() if known.get(key, value) == value
            }
            print(name, learnt, flush=True)
        seen = zip(folders, observed(folders.values(), options.vllm_python), strict=True)
    write(found, vllm_of({state: truth_of(one) for state, one in seen}))


def vllm_of(outcomes: dict[State, tuple[Truth, str]]) -> dict[str, dict[str, list[list[bool]]]]:
    """Return the values of each switch under which vLLM needs the tensors, and those under which it takes them.

    A switch with which nothing loads says nothing of vLLM. Tensors that are there are not taken where it stumbles over a name, not
    where it misses others.
    """
    answers: dict[str, dict[str, list[list[bool]]]] = {}
    for architecture, switch in dict.fromkeys(state[:2] for state in outcomes):
        seen = {state[2:]: outcome for state, outcome in outcomes.items() if state[:2] == (architecture, switch)}
        if any(truth.is_good for truth, _ in seen.values()):
            needs = [value for value in (True, False) if not _is_good(seen.get((False, value)))]
            takes = [value for value in (True, False) if not _stumbles(seen.get((True, value)))]
            answers.setdefault(architecture, {})[switch] = [needs, takes]
    return answers


def _is_good(outcome: tuple[Truth, str] | None) -> bool:
    return outcome is None or outcome[0].is_good


def _stumbles(outcome: tuple[Truth, str] | None) -> bool:
    return outcome is not None and outcome[0] is Truth.REFUSED and MISSES not in outcome[1]


def write(found: dict[str, dict[str, list[Any]]], vllm: dict[str, dict[str, list[list[bool]]]]) -> None:
    """Write the data, a line to an architecture; those of families that were not asked stay."""
    about = (
        "Tensors that a switch of the config brings: made by benchmarks/learn/optional_tensors.py. By architecture and template, "
        "the switch and its value with which every layer has the tensor, or every one that has the third; and by architecture and "
        "switch the values under which vLLM needs these tensors, and those under which it takes them."
    )
    known = json.loads(DATA.read_text())
    write_tables(
        DATA,
        about,
        architectures=dict(sorted((known["architectures"] | found).items())),
        vllm=dict(sorted((known["vllm"] | vllm).items())),
    )


def switches_of(name: str, scratch: Path, folders: dict[State, Path]) -> dict[str, list[Any]]:
    """Return the templates of one family that come or go with one switch, with that switch and the value that brings them.

    To ``folders`` are added the checkpoints to ask vLLM about.
    """
    first = read_build(build(name, scratch / "first"))
    found: dict[str, list[Any]] = {}
    for key, value in {**first.switches, **sizes_of(first)}.items():
        if not (SWITCH.search(key) or SIZE.search(key)) or key in ELSEWHERE:
            continue
        settings: dict[bool, int] = (
            {True: value or SOME, False: 0} if type(value) is int else {True: True, False: False}
        )
        turned = _turned(name, key, scratch / key, value=settings[not value])
        if turned is None:
            continue
        with_it, without = (presence(turned), presence(first)) if not value else (presence(first), presence(turned))
        beside = {name: of_weight for name in with_it | without if (of_weight := companion(name, first, turned))}
        brought = {name: True for name, every in with_it.items() if (every or name in beside) and name not in without}
        brought |= {name: False for name, every in without.items() if (every or name in beside) and name not in with_it}
        found |= {name: [key, brings, *([beside[name]] if name in beside else [])] for name, brings in brought.items()}
        values = set(brought.values())
        if len(values) == 1:
            _add_states(
                name,
                key,
                brings=values.pop(),
                made={bool(value): scratch / "first", not value: scratch / key},
                settings=settings,
                folders=folders,
            )
    return found


def sizes_of(build: Build) -> dict[str, int]:
    """Return the numbers of a build that may be 0, which leaves out what they are the size of."""
    return {key: number for key, number in build.numbers.items() if SIZE.search(key)}


def companion(name: str, *builds: Build) -> str | None:
    """Return the weight beside a bias that some layers of a list have, and the bias in the same ones in the build that has it.

    Beside a bias of experts (`expert_bias`) it is their router's.
    """
    parent, _, leaf = name.rpartition(".")
    if not leaf.endswith("bias") or name.count("#") != 1:
        return None
    beside = (f"{parent}.weight", f"{parent}.gate.weight")
    weight = next((one for one in beside if any(one in presence(build) for build in builds)), None)
    if weight is None or any(presence(build).get(weight, True) for build in builds):
        return None
    having = [{part: layers_of(part, build) for part in (name, weight)} for build in builds]
    return weight if all(found[name] in (found[weight], set()) for found in having) else None


def layers_of(name: str, build: Build) -> set[str]:
    """Return the numbers of the layers that have a tensor, by template."""
    before, _, after = name.partition("#")
    return {
        other.removeprefix(before).removesuffix(after)
        for other in build.shapes
        if other.startswith(before) and other.endswith(after)
    }


def _add_states(
    name: str,
    key: str,
    *,
    brings: bool,
    made: dict[bool, Path],
    settings: dict[bool, int],
    folders: dict[State, Path],
) -> None:
    """Add each build under both values of the switch."""
    family = EVERY[name]
    for built_with, source in made.items():
        for value in (True, False):
            state = (family.architecture, key, built_with is brings, value)
            if state not in folders:
                folders[state] = shutil.copytree(source, source.parent / f"{key}-{built_with}-{value}")
                edit_config(folders[state], partial(_turn, path=family.text, key=key, value=settings[value]))


def _turn(config: dict[str, Any], *, path: str, key: str, value: int) -> None:
    for word in filter(None, path.split(".")):
        config = config.setdefault(word, {})
    config[key] = value


def _turned(name: str, key: str, folder: Path, *, value: int) -> Build | None:
    try:
        return read_build(build(name, folder, config=EVERY[name].in_text({key: value})))
    except Exception as error:  # noqa: BLE001  # whatever a model says against a switch: it is not taken
        print(f"  {name} {key}: {type(error).__name__} {str(error)[:80]}")
        return None


if __name__ == "__main__":
    main()
