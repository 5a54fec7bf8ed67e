"""Learn what vLLM takes of quantization methods other than compressed-tensors: which configs, and which storages of layers.

    python -m benchmarks.learn.other_methods --vllm-python ENV/bin/python

A tiny Llama is written in every storage that inspection tells apart, and a mixture of experts dense, each under the config of every
method; the real vLLM loads them. The result is `ctq/engines/data/other_methods.json`. Methods whose kernels or packages lack on a
CPU (ModelOpt's NVFP4 and MXFP8, torchao, humming) are not learnt. Nothing is downloaded.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from builders import KINDS, edit_config, quark, tiny_checkpoint, tiny_quantized
from families import build
from sweep_truth import Observation, Truth, truth_of

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.engines.vllm_models.known_names import quant_methods
from ctq.inspect.facts.collect import collect_facts
from ctq.inspect.modules.storage import storage

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = dict[str, Any]
When: TypeAlias = dict[str, bool | str]

DATA: Final = ENGINE_DATA / "other_methods.json"
GPTQ: Final[Json] = {"bits": 4, "group_size": 128, "desc_act": False, "sym": True}
AWQ: Final[Json] = {"bits": 4, "group_size": 128, "zero_point": True}
ROUND: Final[Json] = {"bits": 4, "group_size": 128, "sym": True}
AWQ_OR_GPTQ: Final[tuple[When, When]] = ({"packing_format": "auto_round:auto_awq"}, {})
"""How AutoRound's config tells whose layout it packs in."""
BLOCKS: Final = [128, 128]
QUARK: Final = ("w8a8-zeros", "fp8-vector")
"""Kinds of `builders.KINDS` that are Quark's."""
FP8: Final[Json] = {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "is_dynamic": False, "symmetric": True}
CONFIGS: Final[tuple[tuple[str, When, Json], ...]] = (
    *((method, {}, GPTQ) for method in ("gptq", "auto_gptq", "gptq_marlin")),
    *((method, {}, AWQ) for method in ("awq", "auto_awq", "awq_marlin")),
    *(
        (method, when, ROUND | dict(when))
        for method in ("auto-round", "inc")
        for when in AWQ_OR_GPTQ
    ),
    ("fp8", {"weight_block_size": True}, {"activation_scheme": "dynamic", "weight_block_size": BLOCKS}),
    ("fp8", {"activation_scheme": "static"}, {"activation_scheme": "static"}),
    ("fp8", {"activation_scheme": "dynamic"}, {"activation_scheme": "dynamic"}),
    ("modelopt", {"quant_algo": "FP8"}, {"quant_algo": "FP8", "ignore": ["lm_head"]}),
    ("mxfp4", {}, {}),
    ("gpt_oss_mxfp4", {}, {}),
    ("experts_int8", {}, {}),
    *(("quark", {}, KINDS[kind].method or {}) for kind in QUARK),
    *(("quark", {}, quark(FP8, FP8 | {"is_dynamic": dynamic})) for dynamic in (False, True)),
)  # fmt: skip
"""Methods, the keys by which their configs differ in what they take, and a config; the first row whose keys hold counts."""
STORAGES: Final = (
    "w8a8", "w8a8-static", "w8a8-zeros", "w8a16", "w4a16", "fp8", "fp8-block", "fp8-native", "fp8-tensor", "fp8-static",
    "fp8-vector", "nvfp4", "mxfp4", "mxfp8", "modelopt-nvfp4", "gptq", "awq", "bnb-int8", "bnb-nf4",
)  # fmt: skip
"""Kinds of `builders.KINDS`, in each of which a tiny Llama is stored."""
BLOCKS_OF_EXPERTS: Final = {"mxfp4": ["mxfp4"], "gpt_oss_mxfp4": ["mxfp4"]}
"""What is known of experts alone: GPT-OSS as it is published."""
WORDS: Final = {
    "Unknown quantization method": "it knows no such method",
    "is deprecated": "it takes the method no more unless told to (--allow-deprecated-quantization)",
    "does not support loading from a checkpoint config": "the method quantizes as vLLM loads, and stands in no checkpoint",
    "moe_wna16 only support": "the method is one of vLLM's own words, and stands in no checkpoint",
}
"""Why vLLM refuses a method whatever its config says, by what its message holds."""


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    with tempfile.TemporaryDirectory() as scratch:
        jobs = list(checkpoints(Path(scratch)))
        seen = list(zip(jobs, observed([folder for *_, folder in jobs], python), strict=True))
    write(refused(seen), taken(seen), dense(seen))


Job: TypeAlias = tuple[str, When, str, Path]


def checkpoints(scratch: Path) -> Iterator[Job]:
    """Yield each method, what tells its config from others, what the files hold, and the folder."""
    bases = {
        "layers": tiny_checkpoint(scratch / "dense", head_dim=64),
        "experts": build("qwen3-moe", scratch / "experts"),
        **{kind: tiny_quantized(scratch / kind, kind=kind, head="dense", head_dim=64) for kind in STORAGES},
    }
    for number, (method, when, config) in enumerate(CONFIGS):
        for held, base in bases.items():
            folder = shutil.copytree(base, scratch / f"{number}-{held}")
            yield method, when, held if held in ("layers", "experts") else name_of(base), under(folder, method, config)
    for method in sorted({*quant_methods(), "moe_wna16"} - {method for method, *_ in CONFIGS}):
        folder = shutil.copytree(bases["layers"], scratch / f"alone-{method}")
        yield method, {}, "", under(folder, method, GPTQ)


def under(folder: Path, method: str, config: Json) -> Path:
    """Declare the method in the folder's config."""
    edit_config(folder, lambda content: content.update(quantization_config={**config, "quant_method": method}))
    return folder


def name_of(folder: Path) -> str:
    """Return what inspection calls the storage of a folder's layers."""
    entries = collect_facts(open_checkpoint(LocalFolder(folder))).quantized
    [name] = {storage(entry.stored, entry.modules.parts) for entry in entries}
    return str(name)


Seen: TypeAlias = list[tuple[Job, Observation]]


def refused(seen: Seen) -> dict[str, str]:
    """Return why a method is refused whatever its config says."""
    return {
        method: words
        for (method, _, _, _), one in seen
        for found, words in WORDS.items()
        if one.stage == "config" and found in one.message
    }


def taken(seen: Seen) -> dict[str, list[Json]]:
    """Return the storages that load by a method's config; what could not be asked is not known."""
    rows: dict[str, dict[str, Json]] = defaultdict(dict)
    for (method, when, held, _), one in seen:
        if held and held not in ("layers", "experts"):
            row = rows[method].setdefault(str(when), {"when": when, "storages": [*BLOCKS_OF_EXPERTS.get(method, ())]})
            if truth_of(one)[0].is_good and held not in row["storages"]:
                row["storages"].append(held)
    return {method: list(found.values()) for method, found in rows.items()}


def dense(seen: Seen) -> dict[str, dict[str, bool]]:
    """Return whether dense layers and dense experts load; of several configs all must say the same."""
    found: dict[str, dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    for (method, _, held, _), one in seen:
        truth = truth_of(one)[0]
        if held in ("layers", "experts") and truth is not Truth.UNDECIDED and "Meta tensors" not in one.message:
            found[method][held].add(truth.is_good)
    return {
        method: {held: answers.pop() for held, answers in by_held.items() if len(answers) == 1}
        for method, by_held in found.items()
    }


def write(refusals: dict[str, str], takes: dict[str, list[Json]], loads_dense: dict[str, dict[str, bool]]) -> None:
    """Write the data, a method a line."""
    about = "What vLLM takes of other quantization methods: made by benchmarks/learn/other_methods.py."
    write_tables(DATA, about, refused=refusals, takes=takes, dense=loads_dense)


if __name__ == "__main__":
    main()
