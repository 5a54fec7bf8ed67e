"""Learn which architectures of vLLM leave scales of the key-value cache unread where no quantization takes them.

    python -m benchmarks.learn.cache_scales --vllm-python ENV/bin/python

Every family of `tests/support/models/families.py`, and what `tests/support/mirrors/mirrored*.py` make, is loaded dense by the real
vLLM, as it is and with a `k_scale` in each attention. The result is `ctq/engines/data/cache_scales.json`, of other architectures
too that vLLM registers as the same class; those that are not in it refuse such scales. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builders import Raw, edit_tensors
from families import EVERY
from mirrored import build_mirrored
from mirrored_default import MIRRORED_DEFAULT
from mirrored_multimodal import MIRRORED_MULTIMODAL
from mirrored_text import MIRRORED_TEXT
from sweep_truth import serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA: Final = ENGINE_DATA / "cache_scales.json"
ATTENTION: Final = re.compile(
    r"(?P<attention>.*\.layers?\.\d+\..*|.*\.(?:h|blocks)\.\d+\..*)"
    r"\.(?:k_proj|qkv_proj|query_key_value|kv_b_proj|c_attn|Wqkv|wqkv|wk|W_pack|key)\.weight"
)
TOWERS: Final = re.compile(r"vision|visual|vit\b|audio|encoder|tower|img|image")
ONE: Final = Raw("F32", (1,), b"\0\0\x80?")


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    with tempfile.TemporaryDirectory() as scratch:
        bases = dict(denses(Path(scratch), python))
        cases = {name: scaled for name, folder in bases.items() if (scaled := with_scales(folder)) is not None}
        plain = observed([bases[name] for name in cases], python)
        seen = observed(cases.values(), python)
        owners = {name: open_checkpoint(LocalFolder(bases[name])).config.architecture or "" for name in cases}
    found: dict[str, bool] = {}
    for name, before, after in zip(cases, plain, seen, strict=True):
        if serves(before, before):
            print(name, owners[name], "overlooks" if serves(after, before) else "refuses", flush=True)
            found[owners[name]] = found.get(owners[name], True) and serves(after, before)
    write(found, registered_classes(installed(python, "model_executor/models/registry.py")))


def denses(scratch: Path, python: Path) -> Iterator[tuple[str, Path]]:
    """Build the dense originals; what this machine does not build is left out."""
    rows = (*MIRRORED_TEXT, *MIRRORED_DEFAULT, *MIRRORED_MULTIMODAL)
    wrong = build_mirrored(rows, scratch / "mirrored", python=python)
    yield from ((row.name, folder) for row in rows if str(folder := scratch / "mirrored" / row.name) not in wrong)
    for name in EVERY:
        if (dense := built(name, scratch / name)) is not None:
            yield name, dense


def with_scales(dense: Path) -> Path | None:
    """Copy a checkpoint and give each attention of its text model a scale; None where it has none that is known."""
    folder = shutil.copytree(dense, dense.with_name(f"{dense.name}-scaled"))
    given: dict[str, Raw] = {}

    def give(tensors: dict[str, Any]) -> None:
        found = (match["attention"] for name in tensors if (match := ATTENTION.fullmatch(name)))
        given.update({f"{name}.k_scale": ONE for name in found if not TOWERS.search(name)})
        tensors.update(given)

    edit_tensors(folder, give)
    return folder if given else None


def write(found: Mapping[str, bool], classes: Mapping[str, tuple[str, str]]) -> None:
    """Write the data."""
    kinds = {classes[name] for name, overlooks in found.items() if overlooks and name in classes}
    alike = {name for name, kind in classes.items() if kind in kinds and found.get(name, True)}
    names = sorted(alike | {name for name, overlooks in found.items() if overlooks})
    about = (
        "Architectures of vLLM 0.32.0 that leave scales of the key-value cache unread in a dense model: made by "
        "benchmarks/learn/cache_scales.py."
    )
    DATA.write_text(json.dumps({"about": about, "overlooked": names}, indent=1) + "\n")


if __name__ == "__main__":
    main()
