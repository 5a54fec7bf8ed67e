"""A program for vLLM's interpreter: what its models call layers, how tensors are renamed, by which name a config is asked about each."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import runpy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
FEW = ({"num_hidden_layers": 0}, {"num_hidden_layers": 0, "head_dim": 128}, {"num_hidden_layers": 1})
"""Numbers to build a base model of: some configurations have no default for the width of a head, or need a layer."""


def mappers(job: dict[str, Any]) -> dict[str, Any]:
    """Describe how each model class renames tensors, those that only the Transformers backend serves among them.

    The first answer holds prefixes, parts, suffixes and regular expressions by architecture, in the order in which they are tried;
    the second why a class could not be loaded in this build. ``folders`` are checkpoints by architecture, for those whose base model
    cannot be built of what their configuration's class assumes.
    """
    folders: dict[str, str] = job.get("folders", {})
    import transformers
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )
    from vllm.model_executor.models.registry import ModelRegistry

    failed: dict[str, Any] = {}
    unlisted = (name for name in dir(transformers) if name.endswith("ForCausalLM"))
    listed = (*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values(), *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values())
    known = dict.fromkeys((*map(str, listed), *unlisted))
    found = {name: backend_mapper(name, failed, folders.get(name)) for name in known}
    for architecture, lazy in ModelRegistry.models.items():
        found.pop(architecture, None)
        try:
            found[architecture] = describe_mapper(architecture, lazy.load_model_cls(), failed)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
            failed[architecture] = told(error, "import")["message"]
    return {"outcome": "loaded", "answers": [found, failed]}


def describe_mapper(architecture: str, model_class: type, failed: dict[str, Any]) -> dict[str, Any]:
    """Describe one class; of the Transformers backend, whose mapper is made for each model, what transformers' class says."""
    if model_class.__name__.startswith("Transformers"):
        return backend_mapper(architecture, failed)
    mapper: Any = getattr(model_class, "hf_to_vllm_mapper", None)
    if mapper is None:
        return {}
    rules = {
        "regex": [[pattern.pattern, new] for pattern, new in mapper.orig_to_new_regex.items()],
        "substr": [[old, new] for old, new in mapper.orig_to_new_substr.items()],
        "prefix": [[old, new] for old, new in mapper.orig_to_new_prefix.items()],
        "suffix": [[old, new] for old, new in mapper.orig_to_new_suffix.items()],
    }
    return {kind: pairs for kind, pairs in rules.items() if pairs}


def backend_mapper(architecture: str, failed: dict[str, Any], folder: str | None = None) -> dict[str, Any]:
    """Describe what the Transformers backend makes of names (vLLM 0.32.0 models/transformers/base.py:302).

    Old names are renamed; the base model is called `model`, whether the files name it so, otherwise or not at all; a head inside
    the base model is taken out; old names inside its parts (`vision_tower.vision_model`) are renamed there. Where the base model
    cannot be built, ``failed`` says why, and what lies in it is left out.
    """
    import transformers
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping
    from transformers.core_model_loading import WeightRenaming

    known = getattr(transformers, architecture, None)
    config = getattr(known, "config_class", None)
    renamings = get_checkpoint_conversion_mapping(config.model_type) if config is not None else None
    pairs: list[list[str | None]] = [
        [old, new]
        for renaming in renamings or ()
        if isinstance(renaming, WeightRenaming)
        for old, new in zip(renaming.source_patterns, renaming.target_patterns, strict=True)
        if "\\" not in new
    ]
    prefix = getattr(known, "base_model_prefix", "")
    pairs += [[rf"^{re.escape(prefix)}\.", "model."]] if prefix not in ("", "model") else []
    children, inside = "", list[list[str | None]]()
    try:
        base = base_of(config, folder) if config is not None else None
        if base is not None:
            children, inside = "|".join(children_of(base)), list(renamed_inside(base))
    except Exception as error:  # noqa: BLE001 - whatever the model says against its own default is the answer
        failed[architecture] = told(error, "build")["message"]
    if children:
        pairs += [
            [rf"^(?!model\.)(({children}).*)", r"model.\1"],
            [rf"^(model\.)((?!{children}).+)", r"\2"],
            [r"^model\.(.+\.)*(lm_head.+)", r"\2"],
            *inside,
        ]
    return {"regex": pairs} if pairs else {}


def base_of(config_class: type, folder: str | None) -> Any:
    """Return the base model of a configuration, built without values; raises what the last build raises."""
    import torch
    from transformers import AutoConfig, AutoModel

    made = [partial(config_class, **numbers) for numbers in FEW]
    made += [partial(AutoConfig.from_pretrained, folder)] if folder is not None else []
    for config in made:
        try:
            with torch.device("meta"):
                return AutoModel.from_config(config())
        except Exception:
            if config is made[-1]:
                raise
    return None


def children_of(base: Any) -> list[str]:
    """Name what lies in a base model."""
    tensors = (*base.named_parameters(recurse=False), *base.named_buffers(recurse=False))
    return [name for name, _ in (*base.named_children(), *tensors)]


def renamed_inside(base: Any) -> Iterator[list[str | None]]:
    """Yield the patterns of old names inside the parts of a base model, and what they become."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming

    for one in get_model_conversion_mapping(base):
        part = getattr(one, "scope_prefix", None)
        if part and isinstance(one, WeightRenaming):
            for old, new in zip(one.source_patterns, one.target_patterns, strict=True):
                later = re.sub(r"\\(\d)", lambda group: rf"\{int(group[1]) + 1}", new)
                yield [rf"^(model\.{re.escape(part)}\.){old.removeprefix('^')}", rf"\1{later}"]


def prefixes(job: dict[str, Any]) -> dict[str, Any]:
    """Build a checkpoint's model and list the layers that a config is asked about under another name than their path's.

    ``unasked`` are the kinds of layers that it is not asked about at all, ``classes`` those of linear layers by their own name.
    """
    model, engine = (importlib.import_module(f"ctq_vllm_worker.{name}") for name in ("model", "engine"))
    try:
        config = model.engine_config(job["checkpoint"], tensor_parallel_size=1)
        with engine.parallel_state(config, size=1, rank=0), asked_names() as (asked, kept):
            dry = model.build(config)
            renamed = {
                NUMBER.sub("#", path): NUMBER.sub("#", asked[id(module)])
                for path, module in dry.model.named_modules()
                if id(module) in asked and asked[id(module)] != path
            }
            unasked, classes = kinds_unasked(list(kept)), classes_of(dry.model, asked)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
        return {"outcome": "refused", "error": told(error, "build")}
    names = json.loads((Path(job["checkpoint"]) / "config.json").read_text(encoding="utf-8"))["architectures"]
    return {
        "outcome": "loaded",
        "answers": [{"architecture": names[0], "renamed": renamed, "unasked": unasked, "classes": classes}],
    }


def classes_of(built: Any, asked: dict[int, str]) -> dict[str, list[str]]:
    """Name the classes of the linear layers that a config was asked about, by the last word of their path."""
    from vllm.model_executor.layers.linear import LinearBase

    found: dict[str, set[str]] = {}
    for path, module in built.named_modules():
        if id(module) in asked and isinstance(module, LinearBase):
            found.setdefault(path.rpartition(".")[2], set()).add(type(module).__name__)
    return {leaf: sorted(classes) for leaf, classes in found.items()}


def kinds_unasked(layers: list[Any]) -> list[str]:
    """Name the kinds of layers that are not among those a config was asked about."""
    from vllm.model_executor.layers.attention import Attention
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding

    seen = {
        "attention": any(isinstance(layer, Attention) for layer in layers),
        "embedding": any(
            type(layer) is not ParallelLMHead and isinstance(layer, VocabParallelEmbedding) for layer in layers
        ),
    }
    return [kind for kind, found in seen.items() if not found]


@contextlib.contextmanager
def asked_names() -> Iterator[tuple[dict[int, str], list[Any]]]:
    """Remember the name under which the quantization config is asked about each layer, by its identity, and the layers."""
    from vllm.model_executor.layers.quantization.compressed_tensors.compressed_tensors import CompressedTensorsConfig

    asked: dict[int, str] = {}
    kept: list[Any] = []  # an identity is one only while the layer lives
    real = CompressedTensorsConfig.get_quant_method

    def remember(self: Any, layer: Any, prefix: str) -> Any:
        kept.append(layer)
        asked[id(layer)] = prefix
        return real(self, layer, prefix)

    CompressedTensorsConfig.get_quant_method = remember
    try:
        yield asked, kept
    finally:
        CompressedTensorsConfig.get_quant_method = real


def told(error: Exception, stage: str) -> dict[str, Any]:
    """Describe an exception as the worker beside does."""
    fault: dict[str, Any] = importlib.import_module("ctq_vllm_worker.faults").describe_exception(error, stage=stage)
    return fault


if __name__ == "__main__":
    answer_jobs = runpy.run_path(str(Path(__file__).with_name("vllm_worker.py")))["answer_jobs"]
    answer_jobs({"mappers": mappers, "prefixes": prefixes})
