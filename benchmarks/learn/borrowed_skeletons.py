"""Learn which architectures that transformers does not build are made of others that it does.

    python -m benchmarks.learn.borrowed_skeletons --vllm-python ENV/bin/python --work DIR

vLLM serves many names by one class (`TeleChat3ForCausalLM` is its Llama), and its wrappers hold any text model that it has. The
first is read off its registry. Of the second, the checkpoints of `tests/support/mirrors/mirrored*.py` show what the parts at the
top of the model are called, and loading each with one tensor too many, in several places, where vLLM refuses it. The result is
`ctq/engines/data/borrowed_skeletons.json`. Nothing is downloaded.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mirrored import build_mirrored
from mirrored_multimodal import MIRRORED_MULTIMODAL
from raw_safetensors import read_file
from sweep_truth import serves, truth_of

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed
from benchmarks.learn.options import script
from benchmarks.learn.skeletons import probe, probes_of
from benchmarks.loads import observed
from ctq.checkpoint.config import parse_config
from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.names import engine_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweep_truth import Observation

Json: TypeAlias = dict[str, Any]
DATA: Final = ENGINE_DATA / "borrowed_skeletons.json"
ABOUT: Final = (
    "Architectures that are made of others: `same` names one that vLLM 0.32.0 serves by the same class; of wrappers `parts` "
    "are the first words of the places in its model, `refuses` where it refuses a tensor that it does not know, `inner` the text "
    "model of one whose config has no part for it, by the `version` that the config states; `any_text` are wrappers with a "
    "skeleton of their own that hold whatever text model their config names, `one_text` those that build the same whatever "
    "architecture the text model's config names. Made by "
    "benchmarks/learn/borrowed_skeletons.py."
)
NAMED: Final = ".architectures"
"""How an expression ends that means what a text model's config names."""
BACKEND: Final = "Transformers"
GENERATES: Final = "ForCausalLM"
ENDINGS: Final = (GENERATES, "ForConditionalGeneration")


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    python = options.vllm_python
    with tempfile.TemporaryDirectory() as scratch:
        found = wrappers(options.work / "dense", Path(scratch), python)
    classes = registered(python)
    sections = {"any_text": any_text(classes, python), "one_text": one_text((*wrapped(), *found), classes, python)}
    write_tables(DATA, ABOUT, same=same_classes(classes), wrappers=found, **sections)


def registered(python: Path) -> dict[str, tuple[str, ...]]:
    """Return the module and the class of each architecture in vLLM's registry."""
    classes: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(ast.parse(installed(python, "model_executor/models/registry.py"))):
        for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
            if isinstance(key, ast.Constant) and isinstance(value, ast.Tuple):
                words = [part.value for part in value.elts if isinstance(part, ast.Constant)]
                classes[str(key.value)] = tuple(map(str, words))
    return classes


def any_text(classes: Mapping[str, tuple[str, ...]], python: Path) -> dict[str, bool]:
    """Tell the wrappers with a skeleton that hold whatever text model their config names.

    They have `init_vllm_registered_model` build it from ``config.text_config``; others name an architecture beside it, or build
    a class of their own.
    """
    known = read_data("skeletons")["architectures"]
    return {
        name: True for name in known if known[name]["inner"] and builds_what_is_named(classes[name], classes, python)
    }


def wrapped() -> list[str]:
    """Return the wrappers with a skeleton."""
    return [name for name, entry in read_data("skeletons")["architectures"].items() if entry["inner"]]


def one_text(names: Iterable[str], classes: Mapping[str, tuple[str, ...]], python: Path) -> dict[str, bool]:
    """Tell the wrappers that never have `init_vllm_registered_model` look at what architectures a text model's config names."""
    return {name: True for name in sorted(names) if not looks_at_names(classes[name], classes, python)}


def looks_at_names(place: tuple[str, ...], classes: Mapping[str, tuple[str, ...]], python: Path) -> bool:
    """Tell a class of a wrapper that builds a text model by the architectures which a config inside names."""
    calls, bases = calls_of(place, python)
    given = [call.get("architectures", NAMED) for call in calls]
    if given:
        return any(said.endswith(NAMED) for said in given)
    return any(looks_at_names(classes[base], classes, python) for base in bases if base in classes)


def calls_of(place: tuple[str, ...], python: Path) -> tuple[list[dict[str | None, str]], list[str]]:
    """Return what a class passes to `init_vllm_registered_model` by name, and the classes that it is made of."""
    module, name = place[-2:]
    source = ast.parse(installed(python, f"model_executor/models/{module}.py"))
    owner = next(node for node in ast.walk(source) if isinstance(node, ast.ClassDef) and node.name == name)
    calls = [
        {word.arg: ast.unparse(word.value) for word in node.keywords}
        for node in ast.walk(owner)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "init_vllm_registered_model"
    ]
    return calls, [ast.unparse(base) for base in owner.bases]


def builds_what_is_named(place: tuple[str, ...], classes: Mapping[str, tuple[str, ...]], python: Path) -> bool:
    """Tell a class of a wrapper, by its module and its name, that builds the text model which its config names."""
    calls, bases = calls_of(place, python)
    if calls:
        own = "config.text_config"
        return calls[0].get("hf_config") == own and calls[0].get("architectures") in (None, f"{own}{NAMED}")
    return any(builds_what_is_named(classes[base], classes, python) for base in bases if base in classes)


def same_classes(classes: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the architectures without a skeleton whose class in vLLM is that of one with a skeleton."""
    import transformers

    known = read_data("skeletons")["architectures"]
    text = [name for name in known if known[name]["inner"] is None]
    return {
        name: place[1] if place[1] in text else owners[0]
        for name, place in classes.items()
        if name not in known and name.endswith(ENDINGS)
        if not place[1].startswith(BACKEND) and not hasattr(transformers, name)
        if (owners := [other for other in text if classes.get(other) == place])
    }


def wrappers(dense: Path, scratch: Path, python: Path) -> Json:
    """Return the parts and the refusals of each wrapper without a skeleton that vLLM loads."""
    known = read_data("skeletons")["architectures"]
    rows = [row for row in MIRRORED_MULTIMODAL if row.architecture not in known]
    for folder, why in build_mirrored(rows, dense, python=python).items():
        print(f"{folder}: not built: {why[:200]}")
    made = {row.name: row.architecture for row in rows if any((dense / row.name).glob("*.safetensors"))}
    shapes = {name: of_text(dense / name, made[name]) for name in made}
    jobs = [(name, "", dense / name) for name in made]
    for name in made:
        jobs += [
            (name, key, probe(dense / name, scratch / "probes" / name / key, tensor))
            for key, tensor in probes_of(shapes[name]).items()
        ]
    seen = {
        (name, key): one
        for (name, key, _), one in zip(jobs, observed([folder for *_, folder in jobs], python), strict=True)
    }
    groups: dict[str, list[str]] = defaultdict(list)
    for name, architecture in made.items():
        if shapes[name] and serves(seen[name, ""], seen[name, ""]):
            groups[architecture].append(name)
        else:
            print(f"{name}: {truth_of(seen[name, ''])}")
    return {architecture: facts_of(architecture, names, seen, dense) for architecture, names in sorted(groups.items())}


def facts_of(architecture: str, names: list[str], seen: Mapping[tuple[str, str], Observation], dense: Path) -> Json:
    """Return what some checkpoints of one wrapper show together."""
    probed = {key for name, key in seen if key and name in names}
    inner = inside({name: seen[name, "inner"] for name in names if (name, "inner") in seen}, dense)
    return {
        **({"inner": inner} if inner else {}),
        "parts": sorted({part for name in names for part in parts(dense / name, architecture)}),
        "refuses": sorted(
            key for key in probed if all(seen[name, key].outcome == "refused" for name in names if (name, key) in seen)
        ),
    }


def inside(seen: Mapping[str, Observation], dense: Path) -> dict[str, str]:
    """Return the text models of checkpoints whose config has no part for it, by the `version` that the config states or ``""``.

    Which one it is the engine says where it refuses a tensor: *no module or parameter named ... in Qwen3Model*.
    """
    found: dict[str, str] = {}
    for name, one in seen.items():
        config = parse_config((dense / name / "config.json").read_bytes())
        owner = re.search(r" in (\w+)Model\b", one.message)
        if inner_architecture(config) is None and owner is not None:
            found[str(config.raw.get("version", ""))] = f"{owner[1]}{GENERATES}"
    return found


def of_text(folder: Path, architecture: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the text model's tensors, where vLLM keeps it below a name of its own."""
    support = head_support(architecture)
    before = support.before if support is not None else ""
    found = places(folder, architecture)
    return {name: shape for name, (place, shape) in found.items() if before and place.startswith(before)}


def parts(folder: Path, architecture: str) -> set[str]:
    """Return the first words of all places."""
    return {place.partition(".")[0] for place, _ in places(folder, architecture).values()}


def places(folder: Path, architecture: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the place in vLLM's model and the shape of each tensor that it loads."""
    config = parse_config((folder / "config.json").read_bytes())
    names = engine_names(architecture, inner_architecture(config))
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, entry in read_file(path)[0].items():
            place = names.module(name.removesuffix(".weight")) if names is not None and name != "__metadata__" else None
            if place is not None:
                found[name] = (place, tuple(entry["shape"]))
    return found


if __name__ == "__main__":
    main()
