"""Store what vLLM's Transformers backend makes of the architectures for which vLLM has no class.

    python -m benchmarks.learn.backend_architectures --vllm-python ENV/bin/python

It serves those of the stored sweep (`python -m benchmarks.conformance architectures`) whose dense checkpoints the real vLLM 0.32.0
loaded; beside them stand those that its registry sends to it by name. It refuses, whatever their config says, those that it was
seen to refuse, in the sweep or of `UNSERVED` in `tests/support/models/families.py`, those of transformers' models that write or
classify texts into which no other attention can be put, and classifiers around a body that it cannot build. The result is
`ctq/engines/data/backend_architectures.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from families import UNSERVED, build
from sweep_truth import truth_of

from benchmarks import RESULTS
from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.known_names import installed
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.architecture_endings import CLASSIFIERS
from ctq.engines.vllm.learnt_with import LEARNT_WITH
from ctq.engines.vllm_models.heads import registered_support
from ctq.engines.vllm_models.other_tasks import classified_model
from ctq.engines.vllm_models.registry import registered_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SWEEP: Final = RESULTS / "architectures.json"
DATA: Final = ENGINE_DATA / "backend_architectures.json"
REFUSED: Final = re.compile(
    r"not supported for now|not supported anymore|does not dispatch through the Transformers attention"
    r"|not found in the forward method|dispatches attention from more than one|Unrecognized configuration class"
    r"|Config' object has no attribute 'num_hidden_layers'|KeyError: 'vllm'"
    r"|no module or parameter named '(lm_head\.dense|cls|generator_predictions)'"
)
"""What vLLM says of an architecture for which it has no class and that its backend cannot build, or with a larger head."""
BODIES: Final = re.compile(r"does not dispatch through the Transformers attention|not found in the forward method")
"""What it says of a body that it cannot build, whatever is put upon it."""
TASKS: Final = (
    *("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM"),
    *("SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION"),
)
TABLES: Final = re.compile(rf"MODEL_FOR_({'|'.join(TASKS)})_MAPPING_NAMES")
"""Transformers' tables of models that write or classify texts."""
STEM: Final = re.compile(r"For[A-Z]\w+$|LMHeadModel$")


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    registry = installed(python, "model_executor/models/registry.py")
    rows = json.loads(SWEEP.read_text())
    loaded = {row["architecture"] for row in rows if row["dense"] in ("dense", "quantized")}
    seen = {row["architecture"]: row["dense"] for row in rows} | seen_unserved(python)
    refused = {name for name, said in seen.items() if REFUSED.search(said)}
    about = (
        "What vLLM 0.32.0's Transformers backend serves and refuses: made by benchmarks/learn/backend_architectures.py."
    )
    found = {
        "about": about,
        "architectures": sorted(name for name in loaded if not registered_support(name, LEARNT_WITH)),
        "refused": sorted(refused | set(closed()) | set(classifiers(seen))),
        "registered": sorted(set(re.findall(r'"(\w+)":\s*\(\s*"transformers",', registry))),
    }
    DATA.write_text(json.dumps(found, indent=1) + "\n")


def seen_unserved(python: Path) -> dict[str, str]:
    """Return what vLLM says of the dense checkpoints of the families that it does not serve, by architecture."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: build(name, Path(scratch) / name) for name in UNSERVED}
        answers = observed(folders.values(), python)
    return {name: str(truth_of(answer, None)) for name, answer in zip(folders, answers, strict=True)}


def closed() -> Iterator[str]:
    """Yield transformers' models that write or classify texts, and that the backend takes for none of its own.

    Source: vLLM 0.32.0 model_executor/models/registry.py (`_try_resolve_transformers`).
    """
    import transformers

    for name in sorted(listed()):
        model = getattr(transformers, name)
        is_open = model.is_backend_compatible() or model._can_set_attn_implementation()
        if not is_open and not has_a_class(name):
            yield name


def classifiers(seen: Mapping[str, str]) -> Iterator[str]:
    """Yield transformers' classifiers, of which vLLM has no class, around bodies that the backend was seen not to build."""
    stems = {STEM.sub("", name) for name, said in seen.items() if BODIES.search(said)}
    for name in {f"{stem}{ending}" for stem in stems for ending in CLASSIFIERS} & listed():
        if not has_a_class(name):
            yield name


def has_a_class(name: str) -> bool:
    """Tell an architecture that vLLM has a class for, under its own name or another, or makes of one that it has."""
    registered = registered_support(name, LEARNT_WITH) or registered_name(name) or classified_model(name)
    return registered is not None


def listed() -> set[str]:
    """Return transformers' models that write or classify texts."""
    from transformers.models.auto import modeling_auto

    tables = (table for name, table in vars(modeling_auto).items() if TABLES.fullmatch(name))
    entries = (entry for table in tables for entry in table.values())
    return {name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)}


if __name__ == "__main__":
    main()
