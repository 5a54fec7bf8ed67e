"""Learn what vLLM's classes of models read of a config, and what config classes have: one may be built with any other.

    python -m benchmarks.learn.config_classes --vllm-python ENV/bin/python --work DIR [--families NAME ...]

vLLM chooses its class of the model by `architectures`, and that of the config by `model_type`. Every family of
`tests/support/models/families.py` is loaded without bytes by vLLM 0.32.0, and each key noted that its code reads and does not bear
to be gone: where it also asks whether there is one, the model is built again without the key. The result is
`ctq/engines/data/config_classes.json`. DIR keeps the checkpoints and the answers. Nothing is downloaded.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from families import FAMILIES, MORE_FAMILIES, POOLED
from worker_environment import worker_environment

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.learn.vllm_checks import Sources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Set

Json: TypeAlias = dict[str, Any]
DATA: Final = ENGINE_DATA / "config_classes.json"
WORKER: Final = Path(__file__).parents[2] / "tests" / "support" / "engines" / "reads_worker.py"
TOP: Final = "top"
PATTERNS: Final = {
    "width": re.compile(r"getattr\((?:self\.)?config, 'head_dim'|\bconfig\.head_dim\b"),
    "groups": re.compile(r"\bget_ep_group\("),
}
SPLITS: Final = re.compile(r"self\.(language_model(?:\.model)?)\.make_empty_intermediate_tensors")
WANTED: Final = re.compile(r"^        assert (?:\w+\.)*\w*config\.__class__\.__name__ == '(\w+)'", re.MULTILINE)
"""Whatever stands in the config: an assertion deeper in holds for some alone."""
ASSERTED: Final = re.compile(r"^ +assert isinstance\(config, (\w+Config)\)$", re.MULTILINE)
TEXTS: Final = ("text_config", "llm_config", "language_config", "thinker_config", "decoder")
TRIFLES: Final = frozenset({"name_or_path", "model_type", "architectures", "dtype", "sub_configs", "num_labels"})
"""What every config has."""
ROPE: Final = "rope_parameters"
SIZES: Final = ("hidden_size", "vocab_size", "num_hidden_layers")
FLAT_WIDTH: Final = 24
"""Of a head, as `reads_worker.FLAT` has it where a class works it out."""
NO_TOWER: Final = ("llama", "dinov2")
"""Model types that no wrapper here has as a tower: one that refuses them asks for certain ones."""
OF_CLASS: Final = ("NotImplementedError: Unsupported", "AssertionError")


def main() -> None:
    options = script(__doc__, "vllm_python", "work", "families").parse_args()
    python: Path = options.vllm_python
    options.work.mkdir(parents=True, exist_ok=True)
    answers = options.work / "reads.jsonl"
    if not answers.exists():
        ask(checkpoints(options.work, options.families), python, answers)
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    classes, rows = lines[0], [row for row in lines[1:] if "error" not in row]
    registry = registered_classes(installed(python, "model_executor/models/registry.py"))
    of_vllm = [row for row in rows if not is_backends(row)]
    models = {row["inside"][0]: model_of(row) for row in of_vllm if row["inside"]}
    sources = Sources(python)
    splits = {name: where for name, (module, _) in registry.items() if (where := splitting(python, module))}
    models = {
        name: {**model, **splits.get(name, {}), **read_in(sources, *registry[name], is_wrapper="text" in model)}
        for name, model in with_other_names(models, registry).items()
        if name in registry
    }
    refused = {row["type"] for row in of_vllm if row["backend"] and row["folder"] not in POOLED}
    if options.families:
        known = json.loads(DATA.read_text())
        models = {**known["models"], **models}
        refused |= {kind for kind, row in known["types"].items() if row.get("no_backend")}
    for name, wanted in asserted(python).items():
        models[name] = {**models.get(name, {}), "wants": [wanted]}
    write(models, types_of(classes, models, refused))


def checkpoints(work: Path, chosen: Collection[str] | None) -> list[Path]:
    """Return a checkpoint of each architecture, or of the families that are chosen, built where it is not there yet."""
    first: dict[str, str] = {}
    for name, family in {**FAMILIES, **MORE_FAMILIES, **POOLED}.items():
        if not chosen or name in chosen:
            first.setdefault(family.architecture, name)
    folders = [work / name for name in first.values()]
    there = [folder if (folder / "config.json").exists() else built(folder.name, folder) for folder in folders]
    return [folder for folder in there if folder is not None]


def ask(folders: Iterable[Path], python: Path, answers: Path) -> None:
    """Have vLLM load the checkpoints, and keep what it read."""
    request = answers.with_suffix(".request")
    request.write_text(json.dumps([str(folder.absolute()) for folder in folders]))
    command = [str(python), str(WORKER), str(request.absolute())]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=answers.parent, env=worker_environment(), check=True
    )
    marked = [line.partition(" ") for line in done.stdout.splitlines()]
    answers.write_text("".join(f"{rest}\n" for mark, _, rest in marked if mark in ("classes", "reads")))


def is_backends(row: Json) -> bool:
    """Tell what the Transformers backend built: the model of the type, whatever the architecture."""
    return any(key.startswith("base_model_") for key in row["reads"].get(TOP, ()))


def model_of(row: Json) -> Json:
    """Return what a class of models asks of its config and of those inside."""
    foreign = row.get("foreign", {})
    found = {
        "own": row["type"],
        "reads": sorted({*row["reads"].get(TOP, ()), *foreign.get("lacking", ())} - TRIFLES),
        "inline": [] if row["inside"][1:] else sorted({*row["reads"].get("text", ())} - TRIFLES),
        "rope": ROPE in foreign.get("asked", ()),
        "wants": row["expected"],
        "unsplit": row.get("unsplit", ()),
        "below": not {*SIZES}.isdisjoint(foreign.get("text", ())),
        **(inside_of(row) if row["nested"] else {}),
    }
    return {key: value for key, value in found.items() if value}


def inside_of(row: Json) -> Json:
    """Return which text model a wrapper has inside, by the type of its config, and the types of towers that it takes."""
    texts: dict[str, list[Any]] = {}
    towers: dict[str, dict[str, str | None]] = defaultdict(dict)
    for name, (error, inside) in row["variants"].items():
        key, _, kind = name.partition("=")
        if key in TEXTS:
            texts[kind] = [error, inside[0] if inside else None]
        else:
            towers[key][kind] = error
    found: Json = {"towers": {}}
    for key, errors in towers.items():
        wrong = {kind for kind, error in errors.items() if error is not None and error.startswith(OF_CLASS)}
        if wrong >= {*NO_TOWER}:
            found["towers"][key] = sorted({*errors} - wrong)
    models = {model for _, model in texts.values() if model}
    if len(models) > 1:
        found["text"] = "by type"
    elif models:
        own = row["inside"][1:2]  # after what all other types are built as
        found["text"] = [*models, *(one for one in own if one not in models)]
    found["own_text"] = bool(texts) and all(error and "model_type" in error for error, _ in texts.values())
    return found


def read_in(sources: Sources, module: str, name: str, *, is_wrapper: bool) -> Json:
    """Return what the sources of a class say: whether it takes the width of a head, asks for groups of experts, wants a config."""
    text = "\n".join(ast.unparse(one) for one in sources.reached(module, name))
    wanted = ASSERTED.search(text) if not is_wrapper else None
    found = {key: True for key, pattern in PATTERNS.items() if pattern.search(text)}
    return {**found, **({"wants": [wanted[1]]} if wanted is not None else {})}


def asserted(python: Path) -> dict[str, str]:
    """Return the class of config that vLLM asserts of an architecture before it builds the model."""
    source = installed(python, "model_executor/models/config.py")
    classes = {one.name: ast.unparse(one) for one in ast.parse(source).body if isinstance(one, ast.ClassDef)}
    found = {name: WANTED.search(text) for name, text in classes.items()}
    rows = re.findall(r'^    "(\w+)": (\w+),', source, re.MULTILINE)
    return {name: match[1] for name, kind in rows if (match := found.get(kind)) is not None}


def splitting(python: Path, module: str) -> Json:
    """Return where a wrapper's class looks for what splits its text model by layers."""
    try:
        source = installed(python, f"model_executor/models/{module}.py")
    except ValueError:  # no file of that name
        return {}
    found = SPLITS.search(source)
    return {"splits": found[1]} if found else {}


def with_other_names(found: Mapping[str, Json], registry: Mapping[str, tuple[str, str]]) -> dict[str, Json]:
    """Add the architectures that vLLM builds the same class for."""
    of_class = {registry[name]: entry for name, entry in found.items() if name in registry}
    return {**{name: of_class[kind] for name, kind in registry.items() if kind in of_class}, **found}


def types_of(classes: Mapping[str, Json], models: Mapping[str, Json], refused: Set[str]) -> dict[str, Json]:
    """Return what the class of each model type has, as far as classes of models ask for it."""
    wanted = {key for model in models.values() for key in (*model.get("reads", ()), *model.get("inline", ()))}
    everywhere = set.intersection(*(set(row["has"]) for row in classes.values()))
    sealed_everywhere = set.intersection(*(set(row["sealed"]) for row in classes.values()))
    names = {name for model in models.values() for name in model.get("wants", ())}
    found: dict[str, Json] = {}
    for kind, row in classes.items():
        width, text = row.get("head_dim"), row.get("text")
        rope = row.get("rope") or ()
        entry = {
            "sealed": sorted({*row["sealed"]} - sealed_everywhere),
            "is": sorted(names & {*row["classes"]}),
            "inside": row["inside"],
            "moves": row.get("moves") if row["inside"] else [],
            "head_dim": width if type(width) is int and width != FLAT_WIDTH else None,
            "deaf": row.get("deaf") and type(width) is int and width != FLAT_WIDTH,
            "text": {key: size for key, size in text.items() if size} if text and not row.get("moves") else None,
            "by_layer": "full_attention" in rope,
            "no_backend": kind in refused,
        }
        has = sorted(wanted & {*row["has"]} - everywhere)
        found[kind] = {"has": has, **{key: value for key, value in entry.items() if value}}
    return found


def write(models: Mapping[str, Json], types: Mapping[str, Json]) -> None:
    """Write the data."""
    about = (
        "What vLLM 0.32.0's classes of models want of a config, and what config classes have: made by "
        "benchmarks/learn/config_classes.py. By architecture: its `own` model type; keys that it `reads` and does not bear to be "
        "gone, and whether it reads rotary settings (`rope`) and the `width` of a head; whether "
        "it asks for `groups` of experts, which there are where the config counts some; what a wrapper reads `inline`, of the text "
        "model that it builds itself; config classes of which it `wants` one; "
        "whether it reads the sizes of the text model's config (`below`), and what it lacks to be split by layers. Of wrappers the "
        "`text` models that they build, whether they take their `own_text` type alone, the types of `towers`, where they take no "
        "others, and where they look for what `splits` the text model. By model type: which of those keys its class `has` whatever "
        "a config states, which are `sealed`, as it works them out and refuses to be told, which of those classes it `is`; of "
        "configs `inside` the type that one without a type is read as, whether all are, and other names for types; what it `moves` "
        "from the top into there; the width of a head, for which it may be `deaf`, and the sizes of the `text` model that it "
        "assumes; whether rotary settings lie `by_layer`; and whether vLLM's backend refuses it."
    )
    write_tables(DATA, about, models=models, types=types)


if __name__ == "__main__":
    main()
