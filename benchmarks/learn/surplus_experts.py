"""Learn which architectures of vLLM refuse experts beyond the number of the config, and which leave them unread.

    python -m benchmarks.learn.surplus_experts --vllm-python ENV/bin/python

Every family of `tests/support/models/families.py` whose experts are stored one by one is quantized and gets one expert more in each
layer; the real vLLM loads it. The result is `ctq/engines/data/surplus_experts.json`, of other architectures too that vLLM registers
as the same class. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builders import edit_tensors
from families import SWEPT
from sweep_quantize import quantize_as
from sweep_truth import serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA: Final = ENGINE_DATA / "surplus_experts.json"
EXPERT: Final = re.compile(r"(?P<before>.*\.experts\.)(?P<number>\d+)(?P<part>\..*)")


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    with tempfile.TemporaryDirectory() as scratch:
        cases = [(name, *pair) for name in SWEPT for pair in enlarged(name, Path(scratch) / name)]
        seen = observed([folder for *_, folder in cases], python)
    loads = {(name, more): serves(one) for (name, more, _), one in zip(cases, seen, strict=True)}
    names = {name for name, _ in loads if loads[name, False]}
    found = {SWEPT[name].architecture: not loads[name, True] for name in names}
    write(found, registered_classes(installed(python, "model_executor/models/registry.py")))


def enlarged(name: str, scratch: Path) -> Iterator[tuple[bool, Path]]:
    """Quantize a family as it is and with an expert more; nothing where it has no experts one by one."""
    dense = built(name, scratch / "dense")
    if dense is None:
        return
    made = [quantize_as("W8A16", dense, scratch / str(more)) for more in (False, True)]
    if made[1].promise and add_expert(made[1].folder):
        yield from ((False, made[0].folder), (True, made[1].folder))


def add_expert(folder: Path) -> bool:
    """Copy the last expert of each layer as one more; tell whether there was one."""
    copied: list[str] = []

    def add(tensors: dict[str, Any]) -> None:
        found = [match for match in map(EXPERT.fullmatch, tensors) if match]
        last = max((int(match["number"]) for match in found), default=0)
        for match in found:
            if int(match["number"]) == last:
                copied.append(f"{match['before']}{last + 1}{match['part']}")
                tensors[copied[-1]] = tensors[match[0]]

    edit_tensors(folder, add)
    return bool(copied)


def write(found: Mapping[str, bool], classes: Mapping[str, tuple[str, str]]) -> None:
    """Write the data."""
    refusing = {classes[name] for name, refuses in found.items() if refuses and name in classes}
    refused = sorted({name for name, kind in classes.items() if kind in refusing and found.get(name, True)})
    about = "Architectures of vLLM 0.32.0 that refuse surplus experts: made by benchmarks/learn/surplus_experts.py."
    DATA.write_text(json.dumps({"about": about, "refused": refused}, indent=1) + "\n")


if __name__ == "__main__":
    main()
