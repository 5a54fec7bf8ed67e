"""Learn in which architectures attention is as wide as a `head_dim` that the config states, though its class has no such field.

    python -m benchmarks.learn.skeleton_head_dim --vllm-python ENV/bin/python

Where attention was learnt to be as wide as the model, a family is built by transformers with another `head_dim`. What is wider
there than `hidden_size` is `num_attention_heads*head_dim`, if the real vLLM loads it too. The result goes into
`ctq/engines/data/skeletons.json`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final, TypeAlias

from families import FAMILIES
from sweep_quantize import quantize_as
from sweep_truth import serves

from benchmarks.learn.built import built
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import template
from benchmarks.learn.skeletons import DATA, read_build, write
from benchmarks.loads import observed

Json: TypeAlias = dict[str, Any]
HEAD_DIM: Final = 64
"""Of heads that the families divide into 32."""
WIDTH: Final = "num_attention_heads*head_dim"


def main() -> None:
    """Learn from one family of each architecture."""
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    known: Json = json.loads(DATA.read_text())["architectures"]
    for name, family in FAMILIES.items():
        entry = known.get(family.architecture)
        if entry is None or entry["inner"] is not None or "head_dim" not in entry["computed"]:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = wider(name, entry["tensors"], Path(scratch), python)
        for key, axis in found:
            entry["tensors"][key][1][axis] = WIDTH
        print(family.architecture, *sorted({key for key, _ in found}), sep="; ", flush=True)
    write(known)


def wider(name: str, tensors: Json, scratch: Path, python: Path) -> set[tuple[str, int]]:
    """Return the tensors and axes that a stated ``head_dim`` widens in transformers and in vLLM."""
    folder = built(name, scratch / "dense", config={"head_dim": HEAD_DIM})
    if folder is None:
        return set()
    made = read_build(folder)
    width, hidden = made.numbers.get("num_attention_heads", 0) * HEAD_DIM, made.numbers.get("hidden_size")
    found = {
        (template(key), axis)
        for key, shape in made.shapes.items()
        if (slot := tensors.get(template(key))) and slot[1] and len(slot[1]) == len(shape)
        for axis, size in enumerate(shape)
        if slot[1][axis] == "hidden_size" and size == width != hidden
    }
    if not found or quantize_as("no head", scratch / "dense", scratch / "out").promise == "":
        return set()
    [seen] = observed([scratch / "out"], python)
    return found if serves(seen) else set()


if __name__ == "__main__":
    main()
