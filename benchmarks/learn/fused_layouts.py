"""Learn in which layout vLLM takes all experts of a layer in one tensor: as transformers 5 holds them, or turned.

    python -m benchmarks.learn.fused_layouts --vllm-python ENV/bin/python

Every mixture of `tests/support/models/families.py` is written with its experts together, `gate_up_proj` [experts, 2 * out, in] and
`down_proj` [experts, out, in], and with both turned; the real vLLM loads them. The result, `ctq/engines/data/fused_layouts.json`,
names the layouts that load by architecture. Nothing is downloaded.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from builders import Raw, all_tensors, edit_tensors, from_floats
from families import FAMILIES
from sweep_truth import serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DATA: Final = ENGINE_DATA / "fused_layouts.json"
EXPERT: Final = re.compile(r"(?P<owner>.*\.experts)\.(?P<number>\d+)\.gate_proj\.weight$")
WHOLE: Final = re.compile(r".*\.experts\.(?:gate_up|down)_proj$")


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        jobs = [
            (FAMILIES[name].architecture, layout, folder)
            for name in options.families or FAMILIES
            for layout, folder in layouts(name, Path(scratch))
        ]
        loads = observed([folder for *_, folder in jobs], options.vllm_python)
    found: dict[str, set[str]] = defaultdict(set)
    for (architecture, layout, _), one in zip(jobs, loads, strict=True):
        if serves(one):
            found[architecture].add(layout)
    about = "In which layouts vLLM takes all experts in one tensor: made by benchmarks/learn/fused_layouts.py."
    write_tables(DATA, about, architectures={name: sorted(both) for name, both in found.items()})


def layouts(name: str, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield a mixture with its experts together, in either layout; nothing of what is none, or calls its experts otherwise."""
    folder = built(name, scratch / name) if FAMILIES[name].moe or "moe" in name else None
    if folder is None:
        return
    names = all_tensors(folder)
    if not any(WHOLE.match(tensor) or EXPERT.match(tensor) for tensor in names):
        return
    edit_tensors(folder, put_together)
    turned = shutil.copytree(folder, scratch / f"{name} turned")
    edit_tensors(turned, turn)
    yield from (("straight", folder), ("turned", turned))


def put_together(tensors: dict[str, Raw]) -> None:
    """Put single experts into one tensor for each layer."""
    owners: dict[str, set[int]] = defaultdict(set)
    for found in filter(None, map(EXPERT.match, tensors)):
        owners[found["owner"]].add(int(found["number"]))
    for owner, numbers in owners.items():
        dtype = tensors[f"{owner}.0.gate_proj.weight"].dtype

        def weights(part: str, owner: str = owner, numbers: set[int] = numbers) -> NDArray[np.float32]:
            return np.stack([tensors.pop(f"{owner}.{number}.{part}.weight").floats for number in sorted(numbers)])

        together = np.concatenate([weights("gate_proj"), weights("up_proj")], axis=1)
        tensors[f"{owner}.gate_up_proj"] = from_floats(together, dtype)
        tensors[f"{owner}.down_proj"] = from_floats(weights("down_proj"), dtype)


def turn(tensors: dict[str, Raw]) -> None:
    """Turn the matrix of every expert."""
    for name in filter(WHOLE.match, list(tensors)):
        tensors[name] = from_floats(np.ascontiguousarray(tensors[name].floats.swapaxes(1, 2)), tensors[name].dtype)


if __name__ == "__main__":
    main()
