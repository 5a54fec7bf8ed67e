"""Learn which tensors of models as transformers saves them vLLM refuses, lacks or never loads.

    python -m benchmarks.learn.unserved_names --vllm-python ENV/bin/python [--families NAME ...]

Each family of `tests/support/models/families.py` is built by transformers and loaded by vLLM 0.32.0. Where there is no skeleton of
its architecture, or the family is a variant that brings names of its own, what vLLM refuses as no module or parameter of its own is
taken out, and it is asked again, until it refuses something else; what it then misses in some layers, and other layers have under
the same name, every layer needs. What is never loaded though the files hold it is learnt of all. The result is
`ctq/engines/data/unserved_names.json`, in which the rows of architectures that were not asked stay. Nothing is downloaded.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builders import edit_tensors, read_safetensors
from families import EVERY, SWEPT, build

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.loads import loaded
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.verify.engines.vllm.facts import VllmResult

DATA: Final = ENGINE_DATA / "unserved_names.json"
NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.|$)")
NO_PLACE: Final = ("There is no module or parameter named", "KeyError: '")
LACKS: Final = "not initialized from checkpoint"
NAME: Final = re.compile(r"'([\w.]+)'")
ROUNDS: Final = 8
VARIANTS: Final = ("learnt-stablelm-qk", "learnt-voxtral")
"""Families with tensors that vLLM's class does not have, beside others of their architecture that it loads."""


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known = read_data("skeletons")["architectures"]
    names = [name for name in (*SWEPT, *VARIANTS) if not options.families or name in options.families]
    asked = {EVERY[name].architecture for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        learnt = learn(names, Path(scratch), options.vllm_python, skip=frozenset(known))
    about = (
        "Tensors as transformers saves them, by template, that vLLM 0.32.0 refuses, those that it needs in every layer (of "
        "architectures of which no skeleton is known), and those that it never loads though it needs them: made by "
        "benchmarks/learn/unserved_names.py."
    )
    before = read_data("unserved_names")
    kept = {table: {key: row for key, row in before[table].items() if key not in asked} for table in learnt}
    write_tables(DATA, about, **{table: kept[table] | rows for table, rows in learnt.items()})


def learn(names: list[str], scratch: Path, python: Path, *, skip: frozenset[str]) -> dict[str, dict[str, list[str]]]:
    """Return what is refused, needed and unread, by architecture; of those to ``skip`` what is unread alone."""
    refused: dict[str, list[str]] = {}
    needed: dict[str, list[str]] = {}
    unread: dict[str, list[str]] = {}
    waiting: dict[str, Path] = {}
    for name in names:
        try:
            waiting[name] = build(name, scratch / name)
        except Exception as error:  # noqa: BLE001  # whatever a model says
            print(f"  {name}: {type(error).__name__} {str(error)[:80]}")
    for _ in range(ROUNDS):
        again: dict[str, Path] = {}
        for (name, folder), result in zip(waiting.items(), loaded(waiting.values(), python), strict=True):
            architecture = EVERY[name].architecture
            is_asked = architecture not in skip or name in VARIANTS
            template = refused_template(result) if is_asked else None
            if lost := passed_over(result, folder):
                unread[architecture] = lost
            if template is not None:
                refused.setdefault(architecture, []).append(template)
                edit_tensors(folder, lambda tensors, own=template: _drop(tensors, own))  # type: ignore[misc]
                again[name] = folder
            elif architecture not in skip and (lacking := lacked(result, folder)):
                needed[architecture] = lacking
            print(name, template, needed.get(architecture), unread.get(architecture), flush=True)
        waiting = again
    return {"refused": refused, "needed": needed, "unread": unread}


def refused_template(result: VllmResult) -> str | None:
    """Return the template of the tensor that is refused because vLLM's model has no place for it."""
    error = result.error
    if error is None or error.stage != "load" or not error.message.startswith(NO_PLACE) or not error.tensor:
        return None
    return NUMBER.sub("#", error.tensor)


def lacked(result: VllmResult, folder: Path) -> list[str]:
    """Return the templates that are missed in some layers and there in others."""
    error = result.error
    if error is None or LACKS not in error.message:
        return []
    return sorted({NUMBER.sub("#", name) for name in NAME.findall(error.message)} & templates(folder))


def passed_over(result: VllmResult, folder: Path) -> list[str]:
    """Return the templates of the files that end as a parameter does that was never loaded."""
    lost = {parameter.name.rpartition(".")[2] for parameter in result.never_loaded} - {"weight", "bias"}
    return sorted(name for name in templates(folder) if name.rpartition(".")[2] in lost)


def templates(folder: Path) -> set[str]:
    """Return the templates of a folder's tensors."""
    return {NUMBER.sub("#", name) for path in folder.glob("*.safetensors") for name in read_safetensors(path)}


def _drop(tensors: Mapping[str, object], template: str) -> None:
    for name in [name for name in tensors if NUMBER.sub("#", name) == template]:
        tensors.pop(name)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
