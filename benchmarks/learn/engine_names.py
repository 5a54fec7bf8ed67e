"""Learn what vLLM calls the layers of each architecture, where the files call them otherwise.

    python -m benchmarks.learn.engine_names --vllm-python ENV/bin/python

The mappers of all model classes are read off the classes themselves, in the real vLLM. Then every family of
`tests/support/models/families.py` is quantized and built there, which shows the layers that a quantization config is asked about
under another name than their place in the model. The result is `ctq/engines/data/engine_names.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final, TypeAlias

from families import FAMILIES, SWEPT
from sweep_quantize import quantize_as

from benchmarks import ROOT
from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.built import built
from benchmarks.learn.options import script
from ctq.inspect.facts.model_layers import linear_class
from ctq.verify.engines.vllm.process import run_jobs

Json: TypeAlias = dict[str, Any]
DATA: Final = ENGINE_DATA / "engine_names.json"
ELSEWHERE: Final = re.compile(r"vis|audio|image|embed|lm_head$|attn$|_shared_experts\._layer|^encoder|\.encoder\.")
"""Layers that are not looked for by name here: towers, embeddings, heads, attention itself, and second places of one layer."""
TIMEOUT_S: Final = 600.0
WORKER: Final = ROOT / "tests" / "support" / "engines" / "names_worker.py"
LOADED: Final = {
    "Llama4ForConditionalGeneration": [["model.", "language_model.model."], ["lm_head", "language_model.lm_head"]],
    "GPT2LMHeadModel": [*([word, word] for word in ("transformer.", "lm_head", "score.")), ["", "transformer."]],
    "BloomForCausalLM": [["transformer.", "transformer."], ["", "transformer."]],
}
"""What a loader calls tensors by code of its own, which no mapper shows, the first that fits: vLLM 0.32.0 mllama4.py:1065,
gpt2.py:378, bloom.py:368."""

ROUTER: Final = {"suffix": [[".router.layer.weight", ".gate.weight"], [".router.weight", ".gate.weight"]]}
RENAMED: Final = {
    "GraniteMoeForCausalLM": ROUTER,
    "GraniteMoeHybridForCausalLM": {"substr": [["A_log", "A"]]},
    "GraniteMoeSharedForCausalLM": ROUTER,
}
"""What a body's mapper renames, or a loader by code of its own, where the class has no mapper: vLLM 0.32.0 granitemoe.py:305,
granitemoehybrid.py:508."""

FUSED: Final = {
    "TeleChat2ForCausalLM": {
        f"model.layers.#.self_attn.{part}": "model.layers.#.self_attn.qkv_proj" for part in ("query", "key_value")
    },
}
"""What a loader leads into a fused layer by code of its own, under names of its own: vLLM 0.32.0 telechat2.py:70."""


def main() -> None:
    options = script(__doc__, "vllm_python").parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = {name: quantized(name, Path(scratch)) for name in SWEPT}
        folders = [folder for folder in made.values() if folder]
        jobs: list[Json] = [{"task": "prefixes", "checkpoint": str(folder)} for folder in folders]
        by_name = {SWEPT[name].architecture: str(folder) for name, folder in made.items() if folder}
        asked = [{"task": "mappers", "folders": by_name}, *jobs]
        _, (mappers, *built) = run_jobs(asked, python=options.vllm_python, timeout_s=TIMEOUT_S, worker=WORKER)
    found, failed = mappers["answers"]
    for name, why in failed.items():
        print(f"{name}: not read: {why}")
    # A default configuration made small may have lost its layers of a kind.
    whole = [answer for folder, answer in zip(folders, built, strict=True) if folder.name in FAMILIES]
    write(found, renamed(built), unasked(whole), classes(built))


def quantized(name: str, scratch: Path) -> Path | None:
    """Quantize a family without its head; None where it cannot be built, or there is nothing to quantize."""
    dense = built(name, scratch / "dense" / name)
    if dense is None:
        return None
    made = quantize_as("no head", dense, scratch / name)
    return made.folder if made.promise else None


def renamed(built: list[Json]) -> dict[str, dict[str, str]]:
    """Return the names that layers are asked for under, by architecture and place in the model."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for answer in built:
        for one in answer.get("answers", ()):
            for path, name in one["renamed"].items():
                place = path.removesuffix(".routed_experts")
                if place != name and not ELSEWHERE.search(place):
                    found[one["architecture"]][place] = name
    return found


def unasked(built: list[Json]) -> dict[str, list[str]]:
    """Return the kinds of layers that no build of an architecture asked about."""
    found: dict[str, set[str]] = {}
    for answer in built:
        for one in answer.get("answers", ()):
            name, kinds = one["architecture"], set(one["unasked"])
            found[name] = found.get(name, kinds) & kinds
    return {name: sorted(kinds) for name, kinds in found.items()}


def classes(built: list[Json]) -> dict[str, dict[str, str]]:
    """Return the classes of linear layers by architecture and last word of their path, where they are not what the word tells."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for answer in built:
        for one in answer.get("answers", ()):
            for leaf, names in one["classes"].items():
                found[one["architecture"]][leaf] |= set(names)
    return {
        architecture: {
            leaf: name
            for leaf, (name, *others) in sorted((leaf, sorted(names)) for leaf, names in leaves.items())
            if not others and name != linear_class(leaf).__name__
        }
        for architecture, leaves in found.items()
    }


def write(
    mappers: Json, named: dict[str, dict[str, str]], silent: dict[str, list[str]], classes: dict[str, dict[str, str]]
) -> None:
    """Write the data, an architecture a line."""
    about = "What vLLM 0.32.0 calls layers that files call otherwise: made by benchmarks/learn/engine_names.py."
    entries = {
        name: {
            **mappers.get(name, {}),
            **RENAMED.get(name, {}),
            **({"named": asked} if (asked := {**named.get(name, {}), **FUSED.get(name, {})}) else {}),
            **({"unasked": silent[name]} if silent.get(name) else {}),
            **({"classes": classes[name]} if classes.get(name) else {}),
            **({"loaded": LOADED[name]} if name in LOADED else {}),
        }
        for name in sorted({*mappers, *named, *silent, *classes, *LOADED, *FUSED, *RENAMED})
    }
    plain = json.dumps(sorted(name for name, entry in entries.items() if not entry))
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items() if entry)
    DATA.write_text(f'{{\n "about": {json.dumps(about)},\n "plain": {plain},\n "architectures": {{\n{rows}\n }}\n}}\n')


if __name__ == "__main__":
    main()
