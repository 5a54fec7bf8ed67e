"""Learn which loaders of vLLM leave the layers behind the decoder's unread, and by which key of the config they count them.

    python -m benchmarks.learn.draft_layers --vllm-python ENV/bin/python --work DIR

Every architecture with a skeleton is built by vLLM, as it is and with one draft layer stated under each of the keys that configs
count them by, and its loader is offered a tensor of no model in the layer behind the last
(`tests/support/engines/strangers_worker.py`). The keys under which it leaves that unread, where it refuses it without, go into
`ctq/engines/data/draft_layers.json`, of other architectures too that vLLM registers as the same class. DIR keeps the checkpoints of
one run to the next. Nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.learn.passed_over import STRANGER, ask, checkpoints
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.skeletons.find import skeleton_of
from ctq.engines.skeletons.layer_counts import counted_stacks, layer_count
from ctq.engines.vllm.backend import is_served_by_backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

DATA: Final = ENGINE_DATA / "draft_layers.json"
KEYS: Final = ("num_nextn_predict_layers", "num_mtp_modules", "mtp_num_hidden_layers", "n_predict")
NONE: Final = ""


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    variants = options.work / "variants"
    shutil.rmtree(variants, ignore_errors=True)
    asked: dict[str, tuple[str, str]] = {}
    jobs: list[dict[str, object]] = []
    for folder, architecture in checkpoints(options.work, options.vllm_python):
        name = behind_the_last(folder)
        for key in (NONE, *KEYS) if name else ():
            made = stating(key, folder, variants / f"{len(jobs)}")
            asked[str(made)] = architecture, key
            jobs.append({"folder": str(made), "strangers": {name: [8]}})
    passed: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for answer in ask(jobs, options.vllm_python, options.work):
        architecture, key = asked[answer["folder"]]
        passed[architecture][key] += [not refused for refused in answer.get("answers", {}).values()]
    write(passed, registered_classes(installed(options.vllm_python, "model_executor/models/registry.py")))


def behind_the_last(folder: Path) -> str | None:
    """Name a tensor of no model in the layer behind the decoder's last."""
    config = open_checkpoint(LocalFolder(folder)).config
    skeleton, count = skeleton_of(config), layer_count(config)
    stacks = counted_stacks(skeleton, config) if skeleton is not None else ()
    return f"{stacks[0]}.{count}.{STRANGER}.weight" if stacks and count else None


def stating(key: str, folder: Path, out: Path) -> Path:
    """Copy a checkpoint, with one draft layer under a key of its text model's config and none under the usual one."""
    shutil.copytree(folder, out)
    path = out / "config.json"
    raw = json.loads(path.read_text())
    where, _ = read_levels(open_checkpoint(LocalFolder(folder)).config)[-1]
    level = raw
    for word in where.split(".") if where else ():
        level = level[word]
    level.update({KEYS[0]: 0} | ({key: 1} if key else {}))  # some classes assume one
    path.write_text(json.dumps(raw))
    return out


def write(passed: Mapping[str, Mapping[str, list[bool]]], classes: Mapping[str, tuple[str, str]]) -> None:
    """Write the keys by architecture, of those too that vLLM registers as a class that was asked."""
    found = {architecture: counted_by(answers) for architecture, answers in passed.items()}
    by_class = {classes[name]: keys for name, keys in found.items() if name in classes}
    others = {name: by_class[kind] for name, kind in classes.items() if kind in by_class}
    about = (
        "Keys by which classes of vLLM 0.32.0 count the draft layers behind the decoder's, which they leave unread: made by "
        "benchmarks/learn/draft_layers.py. Classes that look over any layer behind the last are not among them, nor is what vLLM's "
        "Transformers backend serves."
    )
    rows = others | {name: keys for name, keys in found.items() if passed[name][NONE]}
    own = {name: keys for name, keys in rows.items() if not is_served_by_backend(name)}
    write_tables(DATA, about, architectures=own)


def counted_by(answers: Mapping[str, Iterable[bool]]) -> list[str]:
    """Return the keys that make a loader leave the layer unread, of one that refuses it without any."""
    said = {key: list(answers.get(key, ())) for key in (NONE, *KEYS)}
    if not said[NONE] or any(said[NONE]):
        return []
    return [key for key in KEYS if said[key] and all(said[key])]


if __name__ == "__main__":
    main()
