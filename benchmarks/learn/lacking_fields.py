"""Learn which keys vLLM's classes read that transformers' config classes do not have: no config that transformers saves loads.

    python -m benchmarks.learn.lacking_fields --vllm-python ENV/bin/python --work DIR

Of each architecture that vLLM has a class for, the default configuration of transformers' class is made small and loaded. Where the
real vLLM refuses it for want of an attribute, that key is stated, with a number, where its config class stands, and it is loaded
again, until vLLM says something else; so are the families of the stored sweep (`python -m benchmarks.conformance architectures`)
that it refused so. The result is `ctq/engines/data/lacking_fields.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builders import edit_config
from families import EVERY, build_family, settings_of
from sweep_truth import truth_of

from benchmarks import RESULTS
from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.backend_architectures import default_of, has_a_class, listed, survey
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.config import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from family import Family
    from transformers import PreTrainedConfig

SWEEP: Final = RESULTS / "architectures.json"
DATA: Final = ENGINE_DATA / "lacking_fields.json"
LACKS: Final = re.compile(r"'(\w*Config)' object has no attribute '(\w+)'")
MOST: Final = 8
"""Keys of one family that are asked for."""


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    rows = json.loads(SWEEP.read_text())
    said = survey(sorted(filter(has_a_class, listed())), options.work, options.vllm_python)
    families = [default_of(name) for name, words in said.items() if LACKS.search(words)]
    families += [EVERY[row["family"]] for row in rows if LACKS.search(row["dense"]) and row["family"] in EVERY]
    found: dict[str, list[list[str]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for family in families:
            lost = [list(pair) for pair in lacked(family, Path(scratch) / family.name, options.vllm_python)]
            if lost:
                found[family.architecture] = lost
                print(family.name, lost)
    about = (
        "Keys that vLLM 0.32.0's class of an architecture reads and the class of its config does not have: the level of the config "
        "and the key, made by benchmarks/learn/lacking_fields.py."
    )
    DATA.write_text(json.dumps({"about": about, "architectures": dict(sorted(found.items()))}, indent=1) + "\n")


def lacked(family: Family, folder: Path, python: Path) -> Iterator[tuple[str, str]]:
    """Yield the levels and the keys that one family lacks, each stated before the next is asked for."""
    build_family(family, folder)
    for _ in range(MOST):
        [seen] = observed([folder], python)
        said = LACKS.search(str(truth_of(seen, None)))
        where = level_of(family, said[1]) if said is not None else None
        if said is None or where is None or _is_stated(folder, where, said[2]):
            break
        edit_config(folder, partial(_state, where=where, key=said[2]))
        yield where, said[2]
    shutil.rmtree(folder)


def level_of(family: Family, config_class: str) -> str | None:
    """Return the dotted path of the level whose class is called so, in a family's config; None where there is none."""
    import transformers

    made = getattr(transformers, family.architecture).config_class(**settings_of(family))
    return next((path for path, level in _levels(made, "") if type(level).__name__ == config_class), None)


def _levels(config: PreTrainedConfig, path: str) -> Iterator[tuple[str, PreTrainedConfig]]:
    yield path, config
    for key in type(config).sub_configs:
        yield from _levels(getattr(config, key), dotted(path, key))


def _is_stated(folder: Path, where: str, key: str) -> bool:
    return key in _at(json.loads((folder / "config.json").read_text()), where)


def _state(config: dict[str, Any], *, where: str, key: str) -> None:
    _at(config, where)[key] = 1


def _at(config: dict[str, Any], path: str) -> dict[str, Any]:
    for key in filter(None, path.split(".")):
        config = config.setdefault(key, {})
    return config


if __name__ == "__main__":
    main()
