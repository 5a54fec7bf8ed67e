"""Learn what vLLM asks of the values in a tower's config beyond the sizes of tensors: divisors and activation functions.

    python -m benchmarks.tower_values ask --vllm-python ENV/bin/python --work DIR
    python -m benchmarks.learn.tower_rules --vllm-python ENV/bin/python --work DIR

The answers of the first script are read, of families whose every value was changed. A number divides another where vLLM builds
none of the models in which it does not, and refused both the one and the other changed alone. Of functions the set is taken that
agrees with every answer. What holds of every architecture with a type of tower is written down of the type too, for architectures
that were not asked about. The result is `ctq/engines/data/tower_rules.json`.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from dotted_values import GONE
from families import EVERY
from tower_changes import ACTIVATION, OTHER_TEXTS, Change, changed

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.tower_values import read_answers, truth_in
from ctq.checkpoint.config import CONFIG_NAME, ModelConfig
from ctq.engines.configs.field_types import mistyped
from ctq.engines.configs.tower_fields import refused_by_tower_classes, towers_of
from ctq.engines.configs.towers import tower_number
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]
Rules = dict[str, Any]
DATA: Final = ENGINE_DATA / "tower_rules.json"
SHARED: Final = {"internvl": ("intern_vit",), "interns1": ("interns1_vit",)}
"""Modules of vLLM that have the tower of another."""
DIVIDES: Final = re.compile(r"divisible|multiple|%")
ROPE_TYPE: Final = "rope_type"
"""Whose `default` transformers 5.19 takes for the class's own (``modeling_rope_utils.standardize_rope_params``)."""


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    rows: dict[str, list[Json]] = defaultdict(list)
    for row in read_answers(options.work / "answers.jsonl"):
        rows[row["family"]].append(row)
    found: dict[str, Rules] = {}
    types: dict[str, list[Rules]] = defaultdict(list)
    classes = registered_classes(installed(options.vllm_python, "model_executor/models/registry.py"))
    for name, asked in rows.items():
        module = classes.get(EVERY[name].architecture, ("", ""))[0]
        source = "".join(
            installed(options.vllm_python, f"model_executor/models/{one}.py")
            for one in (module, *SHARED.get(module, ()))
            if one
        )
        config = json.loads((options.work / "bases" / name / CONFIG_NAME).read_text())
        rules = {path: own for path, own in learnt(config, asked, source) if path or own}
        found[EVERY[name].architecture] = rules
        for tower in towers_of(ModelConfig(config)):
            types[tower.model_type or ""].append(rules.get(tower.path, {}))
    by_class = {classes[name]: rules for name, rules in found.items() if name in classes}
    aliases = {name: by_class[kind] for name, kind in classes.items() if kind in by_class}
    write({**aliases, **found}, {kind: rules for kind, several in types.items() if (rules := common(several))})


def learnt(config: Json, rows: Sequence[Json], source: str) -> Iterator[tuple[str, Rules]]:
    """Yield the rules of each tower of a family, by path."""
    above: Rules = {"needed": list(needed("", rows, config)), "nonzero": list(nonzero("", rows))}
    yield "", {key: value for key, value in above.items() if value}
    for tower in towers_of(ModelConfig(config)):
        mine = [row for row in rows if row["path"].rpartition(".")[0] == tower.path]
        divides = [list(pair) for pair in pairs(tower.path, tower.level, config, mine)]
        functions = {
            key: way for key in tower.level if ACTIVATION.search(key) and (way := way_of(key, tower.level, mine))
        }
        untyped = any(
            row["path"].endswith(".model_type") and row["value"] not in (None, GONE) and truth_in(row)[0].is_good
            for row in mine
        )
        found: Rules = {"divides": divides, "activations": functions, "needed": list(needed(tower.path, rows, config))}
        found |= {
            "any_type": untyped,
            "nonzero": list(nonzero(tower.path, rows)),
            "only": words(tower.path, tower.level, rows, config, source),
        }
        yield tower.path, {key: value for key, value in found.items() if value}


def needed(path: str, rows: Sequence[Json], config: Json) -> Iterator[str]:
    """Yield what vLLM does not take as null although its config class does, in settings inside a tower's config too."""
    for row in rows:
        key = below(row["path"], path)
        if row["value"] is None and key and not truth_in(row)[0].is_good:
            state = ModelConfig(changed(config, Change(row["path"], None)))
            if key != "model_type" and row["path"] not in dict([*mistyped(state), *refused_by_tower_classes(state)]):
                yield key


def below(path: str, tower: str) -> str:
    """Return a dotted path as a tower's config has it, "" where it lies elsewhere; at the top nothing of what is inside counts."""
    if not tower:
        return "" if "." in path else path
    return path.removeprefix(f"{tower}.") if path.startswith(f"{tower}.") else ""


def nonzero(path: str, rows: Sequence[Json]) -> Iterator[str]:
    """Yield numbers with which vLLM builds no model where they are 0."""
    for row in rows:
        truth, why = truth_in(row)
        key = below(row["path"], path)
        if key and type(row["value"]) is float and row["value"] == 0 and not truth.is_good and why.startswith("build:"):
            yield key


def words(path: str, level: Mapping[str, Any], rows: Sequence[Json], config: Json, source: str) -> dict[str, list[str]]:
    """Return the words that a class of vLLM takes where it does not take any: those of a table in its source, or the usual one."""
    found: dict[str, list[str]] = {}
    for row in rows:
        key = below(row["path"], path)
        if not key or key == "model_type" or row["value"] not in OTHER_TEXTS or ACTIVATION.search(key):
            continue
        state = ModelConfig(changed(config, Change(row["path"], row["value"])))
        if not truth_in(row)[0].is_good and row["path"] not in dict(
            [*mistyped(state), *refused_by_tower_classes(state)]
        ):
            usual: Any = level
            for word in key.split("."):
                usual = usual[word]
            found[key] = sorted(table_with(usual, source) or {usual, *(["default"] if key.endswith(ROPE_TYPE) else [])})
    return found


def table_with(word: str, source: str) -> set[str]:
    """Return the keys of a table in a source that has a word among them."""
    for node in ast.walk(ast.parse(source)):
        keys = (
            {key.value for key in node.keys if isinstance(key, ast.Constant)} if isinstance(node, ast.Dict) else set()
        )
        if word in keys:
            return {key for key in keys if isinstance(key, str)}
    return set()


def pairs(path: str, level: Mapping[str, Any], config: Json, rows: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Yield each number of a tower that another divides, with that one."""
    numbers = {key: value for key, value in level.items() if type(value) is int and value > 0}
    states = [
        (row, ModelConfig(changed(config, Change(row["path"], row["value"]))))
        for row in rows
        if row["value"] is not None
    ]
    for one, other in itertools.permutations(numbers, 2):
        if numbers[other] == 1 or numbers[one] % numbers[other] or numbers[one] == numbers[other]:
            continue
        broken = {"one": False, "other": False}
        served = False
        for row, state in states:
            size, part = tower_number(state, f"{path}.{one}"), tower_number(state, f"{path}.{other}")
            if size is None or not part or size % part == 0:
                continue
            truth, why = truth_in(row)
            served = served or truth.is_good or not is_told(why)
            key = row["path"].rpartition(".")[2]
            broken["one"] = broken["one"] or (key == one and is_told(why))
            broken["other"] = broken["other"] or (key == other and is_told(why))
        if all(broken.values()) and not served:
            yield one, other


def is_told(why: str) -> bool:
    """Tell a refusal for the sake of a number that does not divide another: before anything is loaded."""
    stage, _, message = why.partition(":")
    return stage in ("config", "build") and bool(DIVIDES.search(message))


def way_of(key: str, level: Mapping[str, Any], rows: Sequence[Json]) -> str | list[str] | None:
    """Return the set of functions that agrees with every answer, ``any`` or the usual one alone; None where none does."""
    loads = {
        row["value"]: truth_in(row)[0].is_good
        for row in rows
        if row["path"].endswith(f".{key}") and isinstance(row["value"], str) and "(" not in row["value"]
    }
    if not loads:
        return None
    if all(loads.values()):
        return "any"
    if not any(loads.values()):
        return [level[key]]
    sets = read_data("activations")["sets"]
    fits = [way for way, names in sets.items() if all((name in names) is took for name, took in loads.items())]
    return fits[0] if fits else None


def common(several: Sequence[Rules]) -> Rules:
    """Return what all towers of one type have in common."""
    first = several[0]
    divides = [pair for pair in first.get("divides", ()) if all(pair in rules.get("divides", ()) for rules in several)]
    functions = {
        key: way
        for key, way in first.get("activations", {}).items()
        if all(rules.get("activations", {}).get(key) == way for rules in several)
    }
    numbers = [key for key in first.get("needed", ()) if all(key in rules.get("needed", ()) for rules in several)]
    zeros = [key for key in first.get("nonzero", ()) if all(key in rules.get("nonzero", ()) for rules in several)]
    only = {
        key: names
        for key, names in first.get("only", {}).items()
        if all(rules.get("only", {}).get(key) == names for rules in several)
    }
    found = {"divides": divides, "activations": functions, "needed": numbers, "nonzero": zeros, "only": only}
    return {key: value for key, value in found.items() if value}


def write(found: Mapping[str, Rules], types: Mapping[str, Rules]) -> None:
    """Write the data, an architecture a line."""
    about = (
        "What vLLM 0.32.0 asks of the values in the configs of towers: made by benchmarks/learn/tower_rules.py. Of each "
        "architecture by the dotted path of the tower, and of types of towers in other architectures: pairs of numbers of which "
        "the second divides the first, the functions taken under a key, a set of activations.json or the names, what may not be "
        "null although its config class takes that, what may not be 0, the words that are taken under a key, and whether the "
        "tower's model type is unread."
    )
    known = {name: rules for name, rules in found.items() if any(rules.values())}
    write_tables(DATA, about, types=types, architectures=known)


if __name__ == "__main__":
    main()
