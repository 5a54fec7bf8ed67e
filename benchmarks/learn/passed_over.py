"""Learn which tensors the loaders of vLLM pass over without a word, although the model has no place for them.

    python -m benchmarks.learn.passed_over --vllm-python ENV/bin/python --work DIR

Every architecture with a skeleton is built by vLLM, and its loader is offered tensors of no model, each alone
(`tests/support/engines/strangers_worker.py`): beside the layers of experts, biases of those and of layers that are not there, draft
layers, and names with the endings that some classes pass over. What it leaves unread goes into `ctq/engines/data/passed_over.json`,
of other architectures too that vLLM registers as the same class. DIR keeps the checkpoints of one run to the next. Nothing is
downloaded.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from families import EVERY
from mirrored import build_mirrored
from mirrored_default import MIRRORED_DEFAULT
from mirrored_layers import MIRRORED_LAYERS
from mirrored_text import MIRRORED_TEXT
from raw_safetensors import read_safetensors
from worker_environment import worker_environment

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from ctq.engines.data_file import read_data
from ctq.engines.skeletons.find import skeleton_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Shapes = dict[str, tuple[int, ...]]
DATA: Final = ENGINE_DATA / "passed_over.json"
WORKER: Final = Path(__file__).parents[2] / "tests" / "support" / "engines" / "strangers_worker.py"
EXPERTS: Final = re.compile(r"(?P<experts>.*\.experts)\.(?:(?P<number>\d+)\.)?(?P<own>\w+)(?:\.weight)?")
STRANGER: Final = "wonder"
PLACES: Final = ("experts", "expert_biases", "biases", "drafts")
ENDINGS: Final = ("_bias", "_weight_scale", "_input_scale", ".weight_scale", ".input_scale")


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    bases = dict(checkpoints(options.work, options.vllm_python))
    asked = {str(folder): probes(folder, architecture) for folder, architecture in bases.items()}
    jobs = [{"folder": folder, "strangers": {name: [8] for name in names.values()}} for folder, names in asked.items()]
    answers: dict[str, list[dict[str, bool]]] = defaultdict(list)
    for answer in ask(jobs, options.vllm_python, options.work):
        names, said = asked[answer["folder"]], answer.get("answers")
        if said is None:
            print(f"{answer['folder']}: {answer['error']}", flush=True)
        else:
            passes = {kind: not said[name] for kind, name in names.items()}
            answers[bases[Path(answer["folder"])]].append(passes)
    write(answers, registered_classes(installed(options.vllm_python, "model_executor/models/registry.py")))


def checkpoints(work: Path, python: Path) -> Iterator[tuple[Path, str]]:
    """Yield a checkpoint of each family whose architecture has a skeleton, with that."""
    known = read_data("skeletons")["architectures"]
    for name, family in EVERY.items():
        if family.architecture in known:
            folder = work / name if (work / name).exists() else built(name, work / name)
            if folder is not None:
                yield folder, family.architecture
    rows = [row for row in (*MIRRORED_TEXT, *MIRRORED_LAYERS, *MIRRORED_DEFAULT) if row.architecture in known]
    failed = build_mirrored(rows, work / "mirrored", python=python)
    for row in rows:
        if str(work / "mirrored" / row.name) not in failed:
            yield work / "mirrored" / row.name, row.architecture


def probes(folder: Path, architecture: str) -> dict[str, str]:
    """Name a stranger of each kind in the text model of a checkpoint."""
    stacks = tuple(f"{stack}." for stack in skeleton_named(architecture).stacks)
    paths = sorted(folder.glob("*.safetensors"))
    shapes = {name: raw.shape for path in paths for name, raw in read_safetensors(path).items()}
    inside = {name: shape for name, shape in sorted(shapes.items()) if name.startswith(stacks)}
    return dict(_strangers(inside)) if stacks else {}


def _strangers(inside: Shapes) -> Iterator[tuple[str, str]]:
    beside = next((found for name in inside if (found := EXPERTS.fullmatch(name))), None)
    if beside is not None:
        one = f".{beside['number']}" if beside["number"] else ""
        yield "experts", f"{beside['experts']}{one}.{STRANGER}.weight"
        yield from [("expert_biases", f"{beside['experts']}{one}.{beside['own']}.bias")] if one else []
    body = {name.partition("layers.")[0] for name in inside if ".layers." in name}
    yield from (("drafts", f"{name}mtp.layers.0.{STRANGER}.weight") for name in sorted(body)[:1])
    norm = next((name for name, shape in inside.items() if len(shape) == 1 and name.endswith("norm.weight")), None)
    layer = next((name for name, shape in inside.items() if len(shape) > 1 and "experts" not in name), None)
    if norm is None or layer is None:
        return
    holder = layer.removesuffix(".weight").rpartition(".")[0]
    yield "biases", f"{holder}.{STRANGER}.bias"
    for ending in ENDINGS:
        module = norm.removesuffix(".weight") if ending.startswith(".") else f"{holder}.{STRANGER}"
        yield ending, f"{module}{ending}"


def ask(jobs: Sequence[Mapping[str, object]], python: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Have vLLM build the models, and yield what their loaders say of each stranger."""
    request = work / "request.json"
    request.write_text(json.dumps(jobs))
    command = [str(python), str(WORKER), str(request.absolute())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=work, env=worker_environment()) as worker:
        for line in worker.stdout or ():
            mark, _, rest = line.partition(" ")
            if mark == "strangers":
                yield json.loads(rest)


def write(answers: Mapping[str, list[dict[str, bool]]], classes: Mapping[str, tuple[str, str]]) -> None:
    """Write the data: what all checkpoints of an architecture, or of its class, have passed over."""
    by_class: dict[tuple[str, str], list[dict[str, bool]]] = defaultdict(list)
    for architecture, found in answers.items():
        if architecture in classes:
            by_class[classes[architecture]] += found
    others = {name: by_class[kind] for name, kind in classes.items() if kind in by_class and name not in answers}
    rows = {name: row(found) for name, found in {**others, **answers}.items()}
    about = (
        "What loaders of vLLM 0.32.0 leave unread, though the model has no place for it: made by benchmarks/learn/passed_over.py. "
        "`experts`: tensors beside the layers of experts; `expert_biases`: biases of those; `biases`: those of layers that are not "
        "there; `drafts`: draft layers in the body (`mtp`); `endings`: of names in modules that are there."
    )
    write_tables(DATA, about, architectures=rows)


def row(found: Iterable[Mapping[str, bool]]) -> dict[str, object]:
    """Return what all that was asked passes over."""
    kinds: dict[str, list[bool]] = defaultdict(list)
    for passes in found:
        for kind, passed in passes.items():
            kinds[kind].append(passed)
    over = [kind for kind, passed in kinds.items() if all(passed)]
    places: dict[str, object] = {kind: True for kind in PLACES if kind in over}
    endings = [kind for kind in ENDINGS if kind in over]
    return places | ({"endings": endings} if endings else {})


if __name__ == "__main__":
    main()
