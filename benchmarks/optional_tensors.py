"""Learn which switch of a config brings which tensors: `attention_bias` the biases of q, k, v and o.

    python benchmarks/optional_tensors.py

Every family of `tests/support/families.py` is built by transformers with each switch of its config turned alone; tensors that all
layers have only then are optional. The result, `ctq/engines/data/optional_tensors.json`, is what inspection expects of checkpoints
whose config has the switch. Nothing is downloaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks")]

from families import FAMILIES, build  # noqa: E402
from skeleton_fit import Build, presence  # noqa: E402
from skeletons import SWITCH, read_build  # noqa: E402

DATA: Final = ROOT / "ctq" / "engines" / "data" / "optional_tensors.json"
ELSEWHERE: Final = ("tie_word_embeddings", "add_cross_attention")
"""Switches that have rules of their own, or that engines do not read."""


def main() -> None:
    found: dict[str, dict[str, list[Any]]] = {}
    for name, family in FAMILIES.items():
        learnt = switches_of(name)
        known = found.setdefault(family.architecture, learnt)
        found[family.architecture] = {
            key: value for key, value in {**known, **learnt}.items() if known.get(key, value) == value
        }
        print(name, learnt, flush=True)
    about = (
        "Tensors that a switch of the config brings: made by benchmarks/optional_tensors.py. By architecture and template, the "
        "switch and its value with which every layer has the tensor."
    )
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(found.items()) if value)
    DATA.write_text(f'{{\n "about": {json.dumps(about)},\n "architectures": {{\n{rows}\n }}\n}}\n')


def switches_of(name: str) -> dict[str, list[Any]]:
    """Return the templates of one family that come or go with one switch, with that switch and the value that brings them."""
    with tempfile.TemporaryDirectory() as scratch:
        first = read_build(build(name, Path(scratch) / "first"))
        found: dict[str, list[Any]] = {}
        for key, value in first.switches.items():
            turned = _turned(name, key, Path(scratch) / key, value=not value) if SWITCH.search(key) else None
            if turned is None or key in ELSEWHERE:
                continue
            with_it, without = (presence(turned), presence(first)) if not value else (presence(first), presence(turned))
            found |= {name: [key, True] for name, every in with_it.items() if every and name not in without}
            found |= {name: [key, False] for name, every in without.items() if every and name not in with_it}
        return found


def _turned(name: str, key: str, folder: Path, *, value: bool) -> Build | None:
    over: dict[str, Any] = {key: value}
    for level in reversed([word for word in FAMILIES[name].text.split(".") if word]):
        over = {level: over}
    try:
        return read_build(build(name, folder, config=over))
    except Exception as error:  # noqa: BLE001  # whatever a model says against a switch: it is not taken
        print(f"  {name} {key}: {type(error).__name__} {str(error)[:80]}")
        return None


if __name__ == "__main__":
    main()
