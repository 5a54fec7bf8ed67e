"""Run by an interpreter that has SGLang: build its model classes without bytes, run their own loaders, ask its dispatch.

    python worker.py REQUESTS ANSWERS

REQUESTS is a JSON object with ``folders`` of checkpoints and ``configs`` to dispatch a head by; ANSWERS becomes one with SGLang's
version and an answer to each. Nothing of SGLang's own is replaced but the reading of the files, of which only headers are read.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import logging
import os
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARED = Path(__file__).resolve().parents[3] / "ctq" / "verify" / "engines" / "vllm" / "worker"
NAME = "ctq_watch"
HEAD_CODE = ("vocab_parallel_embedding.py", "get_lm_head_scheme")
UNREAD = ("weight_shape", "g_idx_sort_indices", "weight_g_idx")


def shared(module: str) -> Any:
    """Import one of the modules that watch a loader; they know of no engine."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            NAME, SHARED / "__init__.py", submodule_search_locations=[str(SHARED)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[NAME])
    return importlib.import_module(f"{NAME}.{module}")


@dataclass
class Dry:
    """A model without bytes, what was offered to its loader, and what that wrote."""

    model: Any
    offered: dict[str, Any] = field(default_factory=dict)
    recorder: Any = field(default_factory=lambda: shared("recorder").Recorder())


def main(requests: Path, answers: Path) -> None:
    shared("engine").mend_torchvision()
    asked = json.loads(requests.read_text())
    version = importlib.import_module("start").begin()
    logging.disable(logging.CRITICAL)
    found = {
        "version": version,
        "loads": [load_or_refuse(folder) for folder in asked["folders"]],
        "dispatch": [dispatch(case["config"], case["prefix"]) for case in asked["configs"]],
    }
    answers.write_text(json.dumps(found, indent=1))


def dispatch(config: dict[str, Any], prefix: str) -> str:
    """Say which scheme SGLang gives a head under a quantization config, and which error it raises where it does."""
    from sglang.srt.layers.quantization.compressed_tensors.compressed_tensors import CompressedTensorsConfig
    from sglang.srt.layers.vocab_parallel_embedding import ParallelLMHead

    head = ParallelLMHead.__new__(ParallelLMHead)
    torch.nn.Module.__init__(head)
    stage = "config"
    try:
        read = CompressedTensorsConfig.from_config(config)
        stage = "layer"
        method = read.get_quant_method(head, prefix)
    except Exception as error:  # noqa: BLE001  # what SGLang raises is its answer
        return f"{stage}:{type(error).__name__}"
    return "none" if method is None else type(head.scheme).__name__


def load_or_refuse(folder: str) -> dict[str, Any]:
    """Load one checkpoint and say how that ended, and whether a refusal was about the head."""
    stages: list[str] = []
    try:
        return load(folder, stages)
    except Exception as error:  # noqa: BLE001  # what SGLang raises is its answer
        frames = traceback.extract_tb(error.__traceback__)
        places = {name for frame in frames for name in (Path(frame.filename).name, frame.name)}
        message = f"{type(error).__name__}: {error}"
        by_head = "lm_head" in message or not places.isdisjoint(HEAD_CODE)
        return {"outcome": "refused", "stage": stages[-1], "message": message[:300], "by_head": by_head}


def load(folder: str, stages: list[str]) -> dict[str, Any]:
    from sglang.srt.model_loader import loader as loading

    start, created_on = importlib.import_module("start"), shared("placement").created_on
    stages.append("config")
    config, options = start.configs(folder)
    quantization = start.quantization(config, options)
    stages.append("build")
    with named_heads() as prefixes, created_on("meta", config.dtype):
        dry = Dry(start.initialize(config, options, quantization))
    shared("placement").move_to_meta(dry.model)
    stages.append("load")
    source = loading.DefaultModelLoader(options)
    with meta_files(loading, dry), created_on("meta", config.dtype), dry.recorder:
        dry.model.load_weights(source._get_all_weights(config, dry.model))
    return {"outcome": "loaded"} | describe(dry, prefixes)


@contextlib.contextmanager
def named_heads() -> Iterator[dict[int, str | None]]:
    """Remember the name that every head was built with, and None for one without a quantization config."""
    from sglang.srt.layers.vocab_parallel_embedding import ParallelLMHead

    prefixes: dict[int, str | None] = {}
    real = ParallelLMHead.__init__

    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        prefixes[id(self)] = None if kwargs.get("quant_config") is None else kwargs.get("prefix", "")
        real(self, *args, **kwargs)

    ParallelLMHead.__init__ = remember
    try:
        yield prefixes
    finally:
        ParallelLMHead.__init__ = real


@contextlib.contextmanager
def meta_files(loading: Any, dry: Dry) -> Iterator[None]:
    """Let SGLang's loader yield meta tensors made from the headers of the files that it chose."""

    def iterate(files: Iterable[str], *_: Any, **__: Any) -> Iterator[tuple[str, torch.Tensor]]:
        for entry in shared("headers").read_headers(files):
            tensor = torch.empty(entry.shape, dtype=entry.dtype, device="meta")
            dry.offered[entry.name] = entry
            dry.recorder.adopt(entry.name, tensor)
            yield entry.name, tensor

    real = {name: value for name, value in vars(loading).items() if name.endswith("safetensors_weights_iterator")}
    vars(loading).update(dict.fromkeys(real, iterate))
    try:
        yield
    finally:
        vars(loading).update(real)


def describe(dry: Dry, prefixes: dict[int, str | None]) -> dict[str, Any]:
    """Say what the head is, and what of the model was not loaded as it lies in the files."""
    from sglang.srt.layers.vocab_parallel_embedding import ParallelLMHead

    facts = shared("facts")
    heads = [name for name, module in dry.model.named_modules() if isinstance(module, ParallelLMHead)]
    name = min(heads, key=lambda head: head.count("."), default="")
    head = dry.model.get_submodule(name) if name else None
    method = type(head.quant_method).__name__ if head is not None else ""
    counts = {
        key: (facts.loaded_elements(dry, tensor), tensor.numel())
        for key, tensor in dry.model.named_parameters(remove_duplicate=False)
        if not key.endswith(UNREAD)
    }
    origins = dry.recorder.origins
    used = {name for key in facts.storages_of(dry.model) if key in origins for name in origins[key].names}
    return {
        "architecture": type(dry.model).__name__,
        "head": name,
        "prefix": prefixes.get(id(head)),
        "method": method,
        "scheme": type(getattr(head, "scheme", None)).__name__,
        "quantized": method not in ("", "UnquantizedEmbeddingMethod", "UnquantizedLinearMethod"),
        "never": sorted(key for key, (loaded, _) in counts.items() if not loaded),
        "partly": sorted(key for key, (loaded, size) in counts.items() if 0 < loaded < size),
        "converted": [f"{item['name']} ({item['from']} into {item['to']})" for item in facts.conversions(dry)],
        "unused": [name for name in dry.offered if name not in used],
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    os._exit(0)  # answers are on disk; groups without peers may hang
