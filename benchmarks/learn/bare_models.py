"""Learn which checkpoints vLLM serves, to pool with, where the config names no architecture: it takes transformers' base model.

    python -m benchmarks.learn.bare_models --vllm-python ENV/bin/python

Every family of `tests/support/models/families.py` is quantized without its head and loses its `architectures`; the real vLLM loads
it, and drops the head unread, or refuses it. The result is `ctq/engines/data/bare_models.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builders import edit_config
from families import SWEPT
from sweep_quantize import quantize_as
from sweep_truth import Observation, serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.config import CONFIG_NAME
from ctq.engines.vllm_models.bare_models import is_bare
from ctq.engines.vllm_models.registry import chosen_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA: Final = ENGINE_DATA / "bare_models.json"


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    with tempfile.TemporaryDirectory() as scratch:
        cases = [pair for name in SWEPT for pair in nameless(name, Path(scratch) / name)]
        seen = observed([folder for _, folder in cases], python)
    found: dict[str, bool] = {}
    for (name, _), one in zip(cases, seen, strict=True):
        found[name] = pools(one) and found.get(name, True)
    write(found)


def nameless(name: str, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Quantize a family without its head and take its architecture away: the base model and the folder."""
    dense = built(name, scratch / "dense")
    if dense is None:
        return
    made = quantize_as("no head", dense, scratch / "made")
    if made.promise:
        edit_config(made.folder, lambda config: config.update(architectures=[]))
        base = chosen_architecture(json.loads((made.folder / CONFIG_NAME).read_text())["model_type"])
        if base is not None and is_bare(base):
            yield base, made.folder


def pools(seen: Observation) -> bool:
    """Tell a load without a head, of which all the rest was filled."""
    return serves(seen) and not seen.head


def write(found: Mapping[str, bool]) -> None:
    """Write the data."""
    about = "Base models that vLLM 0.32.0 serves to pool with, and those that it refuses: made by benchmarks/learn/bare_models.py."
    lists = {
        word: sorted(name for name, is_served in found.items() if is_served is (word == "pool"))
        for word in ("pool", "refused")
    }
    DATA.write_text(json.dumps({"about": about, **lists}, indent=1) + "\n")


if __name__ == "__main__":
    main()
