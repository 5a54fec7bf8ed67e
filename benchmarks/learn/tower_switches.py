"""Learn which tensors of towers and projectors come or go with a switch of their config, where vLLM keeps to it.

    python -m benchmarks.tower_values ask --vllm-python ENV/bin/python --work DIR
    python -m benchmarks.learn.tower_switches --work DIR

Of each switch that vLLM did not serve turned round, transformers builds the model with it turned round: the tensors that it then
has too, or no longer has, are those that the switch brings or takes away. The result, `ctq/engines/data/tower_switches.json`, has
the form of `optional_tensors.json`.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from families import EVERY

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import template
from benchmarks.learn.tower_builds import Maker
from benchmarks.tower_values import read_answers, truth_in
from ctq.checkpoint.config import TEXT_CONFIG_KEYS, TIE_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA: Final = ENGINE_DATA / "tower_switches.json"


def main() -> None:
    options = script(__doc__, "work").parse_args()
    turned: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in read_answers(options.work / "answers.jsonl"):
        path, value = row["path"], row["value"]
        if isinstance(value, bool) and not truth_in(row)[0].is_good and path.partition(".")[0] not in TEXT_CONFIG_KEYS:
            turned[row["family"]][path] = value
    tensors: dict[str, dict[str, list[Any]]] = defaultdict(dict)
    asked: dict[str, dict[str, list[list[bool]]]] = defaultdict(dict)
    for name, switches in turned.items():
        with tempfile.TemporaryDirectory() as scratch:
            make = Maker(EVERY[name], Path(scratch))
            first = make({})
            for path, value in switches.items():
                other = make({path: value}) if path != TIE_KEY else None
                if first is None or other is None:
                    continue
                base, there = set(map(template, first.shapes)), set(map(template, other.shapes))
                brings = value if there - base else not value
                for tensor in sorted(there - base or base - there):
                    tensors[EVERY[name].architecture][tensor] = [path, brings]
                    asked[EVERY[name].architecture][path] = [[brings], [True, False] if there - base else [brings]]
    write(tensors, asked)


def write(tensors: Mapping[str, object], asked: Mapping[str, object]) -> None:
    """Write the data, an architecture a line."""
    about = (
        "Tensors of towers and projectors that come with a switch: made by benchmarks/learn/tower_switches.py. `architectures` "
        "have the switch of each tensor by dotted path and the value that brings it, `vllm` the values of a switch under which "
        "vLLM 0.32.0 needs its tensors and those under which it takes them."
    )
    write_tables(DATA, about, architectures=tensors, vllm=asked)


if __name__ == "__main__":
    main()
