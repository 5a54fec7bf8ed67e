"""Run as a program: for each JSON line ``[action, model, revision]`` on stdin, prints what came of it as one JSON line.

The hub's constants are read when huggingface_hub is imported, so that another hub, token or mode needs another process.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.hub import obtain, open_source
from ctq.errors import CtqError
from ctq.quantize.side_files import side_files


def inspect(model: str, revision: str | None) -> dict[str, Any]:
    source = open_source(model, revision=revision)
    checkpoint = open_checkpoint(source)
    return {
        "label": source.label,
        "architecture": checkpoint.config.architecture,
        "tensors": {name: [info.dtype, *info.shape] for name, info in checkpoint.tensors.items()},
        "faults": [fault.message for fault in checkpoint.faults],
        "smallest": checkpoint.read(min(checkpoint.tensors, key=lambda name: checkpoint.tensors[name].nbytes)).hex(),
    }


def download(model: str, revision: str | None) -> dict[str, Any]:
    obtained = obtain(model, side_files, revision=revision)
    files = sorted(obtained.folder.files)
    faults = [fault.message for fault in open_checkpoint(obtained.folder).faults]
    return {"folder": str(obtained.folder.path), "commit": obtained.commit, "files": files, "faults": faults}


def answer(action: str, model: str, revision: str | None = None) -> dict[str, Any]:
    try:
        return {"inspect": inspect, "download": download}[action](model, revision)
    except CtqError as error:
        return {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(*json.loads(line))) + "\n")
