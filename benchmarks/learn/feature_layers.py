"""Learn which wrappers read the images of several layers of their tower side by side, as many as their config lists.

    python -m benchmarks.learn.feature_layers --vllm-python ENV/bin/python

transformers builds each family whose config names one layer (`vision_feature_layer`) with a list of two instead, as Granite Vision
has four in LLaVA-NeXT; what then is twice as wide is made of that number, where the real vLLM loads it so. The dimensions in
`ctq/engines/data/skeletons.json` are amended.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sweep_truth import serves

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Axis, moved
from benchmarks.learn.skeletons import DATA, FAMILIES, write
from benchmarks.learn.tower_builds import LENGTH, Maker
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS: Final = ("vision_feature_layer", "vision_feature_layers")
TWICE: Final = [-1, -1]
"""Two layers that each tower has."""


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known = json.loads(DATA.read_text())["architectures"]
    for name, family in FAMILIES.items():
        if family.text and family.architecture in known and (not options.families or name in options.families):
            tensors = known[family.architecture]["tensors"]
            for (tensor, axis), count in widened(name, options.vllm_python):
                size = (tensors[tensor][1] or [None] * (axis + 1))[axis] if tensor in tensors else None
                if size is not None and count not in size:
                    tensors[tensor][1][axis] = f"{count}*{size}|{size}"
                    print(name, tensor, axis, tensors[tensor][1][axis], flush=True)
    write(known)


def widened(name: str, python: Path) -> Iterator[tuple[Axis, str]]:
    """Yield the dimensions of a family that grow with a list of layers, and the number of its entries by path."""
    with tempfile.TemporaryDirectory() as scratch:
        make = Maker(FAMILIES[name], Path(scratch))
        for key in KEYS:
            first, folder = (make({}), make.write({key: TWICE})) if type(make.config.get(key)) is int else (None, None)
            build = make({key: TWICE}) if folder is not None else None
            if first is None or build is None or folder is None or not moved(first, build):
                continue
            [seen] = observed([folder], python)
            if serves(seen):
                yield from ((axis, f"{key}{LENGTH}") for axis in sorted(moved(first, build)))


if __name__ == "__main__":
    main()
