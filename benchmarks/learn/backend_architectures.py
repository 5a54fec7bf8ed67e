"""Store what vLLM's Transformers backend makes of the architectures for which vLLM has no class.

    python -m benchmarks.learn.backend_architectures --vllm-python ENV/bin/python --work DIR

It serves those of the stored sweep (`python -m benchmarks.conformance architectures`) whose dense checkpoints the real vLLM 0.32.0
loaded; beside them stand those that its registry sends to it by name. It refuses, whatever their config says, those that it was
seen to refuse, in the sweep or of transformers' other classes with a vocabulary (each built by its default configuration made
small), those into which no other attention can be put, and classifiers around a body that it cannot build. The result is
`ctq/engines/data/backend_architectures.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from types import NoneType
from typing import TYPE_CHECKING, Final

from families import build_family, settings_of
from family import Family
from sweep_truth import truth_of

from benchmarks import RESULTS
from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.known_names import installed
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.architecture_endings import CLASSIFIERS
from ctq.engines.vllm.learnt_with import LEARNT_WITH
from ctq.engines.vllm_models.bare_models import resembles_a_class
from ctq.engines.vllm_models.heads import registered_support
from ctq.engines.vllm_models.other_tasks import classified_model
from ctq.engines.vllm_models.registry import registered_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SWEEP: Final = RESULTS / "architectures.json"
DATA: Final = ENGINE_DATA / "backend_architectures.json"
REFUSED: Final = re.compile(
    r"not supported for now|not supported anymore|does not dispatch through the Transformers attention"
    r"|not found in the forward method|dispatches attention from more than one|Unrecognized configuration class"
    r"|Config' object has no attribute 'num_hidden_layers'|KeyError: 'vllm'|Cannot resolve attention scaling expression"
    r"|no module or parameter named '(lm_head\.dense|cls|generator_predictions)'"
    r"|no module or parameter named '(score|classifier|head|dense)[\w.]*' in \w+ForSequenceClassification"
)
"""What vLLM says of an architecture for which it has no class and that its backend cannot build, or with another head."""
BODIES: Final = re.compile(r"does not dispatch through the Transformers attention|not found in the forward method")
"""What it says of a body that it cannot build, whatever is put upon it."""
TASKS: Final = (
    *("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM"),
    *("SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION", "MASKED_LM"),
)
TABLES: Final = re.compile(rf"MODEL(_FOR_({'|'.join(TASKS)}))?_MAPPING_NAMES")
"""Transformers' tables of models that write, classify or embed texts."""
MOST_NUMBERS: Final = 40_000_000
"""Parameters of a model that is built here: what is larger has sizes that nothing makes small."""
ANSWERS: Final = "answers.json"
PART: Final = 40
"""Models that one process of vLLM is asked about before the answers are kept."""
STEM: Final = re.compile(r"For[A-Z]\w+$|LMHeadModel$")


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    registry = installed(options.vllm_python, "model_executor/models/registry.py")
    rows = json.loads(SWEEP.read_text())
    loaded = {row["architecture"] for row in rows if row["dense"] in ("dense", "quantized")}
    seen = {row["architecture"]: row["dense"] for row in rows}
    seen |= survey(
        sorted(name for name in listed() - seen.keys() if not has_a_class(name)), options.work, options.vllm_python
    )
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


def survey(names: list[str], work: Path, python: Path) -> dict[str, str]:
    """Return what vLLM says of the dense checkpoints of classes, by name; those that cannot be made small are left out."""
    work.mkdir(parents=True, exist_ok=True)
    store = work / ANSWERS
    said: dict[str, str] = json.loads(store.read_text()) if store.exists() else {}
    left = [name for name in names if name not in said]
    for start in range(0, len(left), PART):
        folders = {name: folder for name in left[start : start + PART] if (folder := made_small(name, work / name))}
        answers = observed(folders.values(), python)
        said |= {name: str(truth_of(answer, None)) for name, answer in zip(folders, answers, strict=True)}
        store.write_text(json.dumps(said, indent=1) + "\n")
        print(f"{start + PART} of {len(left)}", flush=True)
    return said


def default_of(name: str) -> Family:
    """Return the row of a class of transformers in its default configuration made small."""
    return Family(name=name, architecture=name, shrunk=True, head=None)


def made_small(name: str, folder: Path) -> Path | None:
    """Build a class by its default configuration made small; None where it reads no texts, is too large or cannot be built."""
    import torch
    import transformers

    family, model = default_of(name), getattr(transformers, name)
    try:
        if not hasattr(model.config_class().get_text_config(), "vocab_size"):
            return None
        with torch.device("meta"):
            whole = model._from_config(model.config_class(**settings_of(family)))
        if sum(parameter.numel() for parameter in whole.parameters()) > MOST_NUMBERS:
            return None
        return build_family(family, folder)
    except Exception as error:  # noqa: BLE001  # whatever a class says against its own defaults made small
        print(f"{name}: not built: {type(error).__name__} {str(error)[:80]}")
        return None


def closed() -> Iterator[str]:
    """Yield transformers' models that the backend takes for none of its own.

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
    return registered is not None or resembles_a_class(name)


def listed() -> set[str]:
    """Return transformers' models that write, classify or embed texts."""
    import transformers
    from transformers.models.auto import modeling_auto
    from transformers.utils.import_utils import DummyObject

    tables = (table for name, table in vars(modeling_auto).items() if TABLES.fullmatch(name))
    entries = (entry for table in tables for entry in table.values())
    names = {name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)}
    # Of some the table alone has the name, and some want a package that is not here.
    return {name for name in names if not isinstance(getattr(transformers, name, None), (DummyObject, NoneType))}


if __name__ == "__main__":
    main()
