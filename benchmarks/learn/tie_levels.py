"""Learn which level of a wrapper's config decides for vLLM whether its head is tied.

    python -m benchmarks.learn.tie_levels --vllm-python ENV/bin/python

Every wrapper among the families of `tests/support/models/families.py` loses its head and gets each tie flag on top and in its text
model: where the real vLLM loads it all the same, it ties the head. The way of deciding that agrees with every answer is written to
`ctq/engines/data/tie_levels.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

from builders import edit_config, edit_tensors
from families import SWEPT
from sweep_truth import serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.config import TIE_KEY, ModelConfig
from ctq.engines.vllm_models.tie_levels import WAYS, decide

DATA: Final = ENGINE_DATA / "tie_levels.json"
FLAGS: Final = (None, False, True)


def main() -> None:
    options = script(__doc__, "vllm_python").parse_args()
    seen: dict[str, list[tuple[ModelConfig, bool]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        made = [pair for name in SWEPT if SWEPT[name].text for pair in headless(name, Path(scratch) / name)]
        loads = observed([folder for _, folder in made], options.vllm_python)
        for (name, folder), one in zip(made, loads, strict=True):
            config = ModelConfig(json.loads((folder / "config.json").read_text()))
            seen[SWEPT[name].architecture].append((config, serves(one)))
    write({name: way for name, answers in sorted(seen.items()) if (way := way_of(name, answers)) is not None})


def headless(name: str, scratch: Path) -> list[tuple[str, Path]]:
    """Build a family and take its head away, once for each pair of tie flags."""
    base = built(name, scratch / "base")
    if base is None:
        return []
    edit_tensors(base, lambda tensors: [tensors.pop(key) for key in list(tensors) if key.endswith("lm_head.weight")])
    folders = []
    for top, text in product(FLAGS, FLAGS):
        folder = shutil.copytree(base, scratch / f"{top}-{text}")
        edit_config(folder, partial(set_flags, path=SWEPT[name].text, top=top, text=text))
        folders.append((name, folder))
    print(name, flush=True)
    return folders


def set_flags(config: dict[str, Any], path: str, top: bool | None, text: bool | None) -> None:
    """State both flags, or leave them out."""
    inner = config
    for word in filter(None, path.split(".")):
        inner.pop(TIE_KEY, None)
        inner = inner.setdefault(word, {})
    for level, flag in ((config, top), (inner, text)):
        level.pop(TIE_KEY, None)
        level.update({TIE_KEY: flag} if flag is not None else {})


def way_of(architecture: str, answers: list[tuple[ModelConfig, bool]]) -> str | None:
    """Return the way that foretells every answer; None where none does, or nothing loads."""
    if not any(tied for _, tied in answers):
        return None
    found = [way for way in WAYS if all(decide(way, config) is tied for config, tied in answers)]
    if not found:
        print(f"{architecture}: no way fits {[(config.tie_flags, tied) for config, tied in answers]}")
    return found[0] if found else None


def write(ways: dict[str, str]) -> None:
    """Write the data, an architecture a line."""
    about = "Which level's tie flag vLLM 0.32.0 looks at in wrappers: made by benchmarks/learn/tie_levels.py."
    write_tables(DATA, about, architectures=ways)


if __name__ == "__main__":
    main()
