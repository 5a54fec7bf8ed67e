"""Hold ctq against published configs at full size: what vLLM loads of each must raise no error.

    python -m benchmarks.published CONFIGS --vllm-python ENV/bin/python --work DIR [--most-tensors 3000]

CONFIGS has a folder for each model, named as its repository, with the config.json that is published there; none comes with ctq.
vLLM 0.32.0 builds each on the meta device, without its quantization, and what it would load is written as headers over holes, so
that a model of a terabyte takes no room. Then `ctq inspect` must find no error; where it finds one, or where there are not too many
tensors, vLLM loads the checkpoint too. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrored import build_holes
from sweep_truth import truth_of

from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.config import CONFIG_NAME, QUANTIZATION_KEYS
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

CODE: Final = "auto_map"
WEIGHTS: Final = "model.safetensors"


def main() -> int:
    options = arguments()
    folders = [dense_copy(path.parent, options.work) for path in sorted(options.configs.glob(f"*/{CONFIG_NAME}"))]
    waiting = [folder for folder in folders if not (folder / WEIGHTS).exists()]
    for folder in waiting:  # one process each: what a class registers stays in it
        for name, why in build_holes([folder], python=options.vllm_python).items():
            print(f"not built: {name}: {why.splitlines()[0]}", flush=True)
    return sum(judge(folder, options) for folder in folders if (folder / WEIGHTS).exists())


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = script(__doc__, "vllm_python", "work")
    parser.add_argument("configs", type=Path, metavar="CONFIGS")
    parser.add_argument(
        "--most-tensors", type=int, default=3000, metavar="N", help="load what has no more, whatever is found"
    )
    return parser.parse_args()


def dense_copy(published: Path, work: Path) -> Path:
    """Return a folder with a published config as that of the model before it was quantized, and its code without a line."""
    folder = work / published.name
    folder.mkdir(parents=True, exist_ok=True)
    config = dense(json.loads((published / CONFIG_NAME).read_text()))
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2))
    for name in re.findall(r"\b(\w+)\.\w+", json.dumps(config.get(CODE, {}))):
        (folder / f"{name}.py").touch()
    return folder


def dense(level: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without what quantizes, at any depth."""
    kept = {key: value for key, value in level.items() if key not in QUANTIZATION_KEYS}
    return {key: dense(value) if isinstance(value, dict) else value for key, value in kept.items()}


def judge(folder: Path, options: argparse.Namespace) -> bool:
    """Print what ctq and vLLM say of a checkpoint; tell whether they disagree."""
    checkpoint = open_checkpoint(LocalFolder(folder))
    found = [one for one in inspect_checkpoint(checkpoint).findings if one.severity is Severity.ERROR]
    said = "; ".join(f"{one.code} {one.message}" for one in found)
    count = len(checkpoint.tensors)
    if not found and count > options.most_tensors:
        print(f"no error: {folder.name}, {count} tensors, not loaded", flush=True)
        return False
    truth, why = truth_of(observed([folder], options.vllm_python)[0])
    disagrees = truth.is_good is bool(found)
    verdict = "DISAGREE" if disagrees else "agree"
    print(f"{verdict}: {folder.name}, {count} tensors: vLLM {truth}: {why[:200]} | ctq: {said[:300]}", flush=True)
    return disagrees


if __name__ == "__main__":
    sys.exit(main() > 0)
