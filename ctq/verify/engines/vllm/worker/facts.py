"""Say what a dry load showed, as plain data: methods of modules, elements loaded, dtypes converted, tensors unused."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from .coverage import covered
from .cuts import partly_read
from .recorder import Write, storage_key
from .standins import NAMES as STAND_INS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from .model import DryModel

LISTED = 200  # names listed of each kind; the counts are exact
UNREAD = "weight_shape"  # whatever it holds, no kernel reads it
SPARE = {"AutoGPTQMoEMethod": ("w13_bias", "w2_bias")}  # zeros, taken away after loading where the files have none
ORDER = "g_idx"  # the order of activations: older versions keep a place for it in every packed expert


def describe(dry: DryModel, *, modules: bool) -> dict[str, Any]:
    """Describe a dry load as JSON-ready data."""
    methods = dict(module_methods(dry.model))
    faults = list(parameter_faults(dry, methods))
    loaded = storages_of(dry.model)
    used = frozenset().union(*(dry.recorder.origins[key].names for key in loaded if key in dry.recorder.origins))
    unused = [name for name in dry.offered if name not in used]
    converted = list(conversions(dry))
    whole = dry.config.parallel_config.tensor_parallel_size == 1
    facts = {
        "architecture": type(dry.model).__name__,
        "dtype": name_of(dry.config.model_config.dtype),
        "quantization": dry.config.model_config.quantization,
        "tensors": len(dry.offered),
        "heads": [describe_head(dry, name, methods[name]) for name in head_names(dry.model)],
        "stand_ins": dict(Counter(STAND_INS[m["kernel"]] for m in methods.values() if m["kernel"] in STAND_INS)),
        "never_loaded": [fault for fault in faults if not fault["loaded"]][:LISTED],
        "partly_loaded": [fault for fault in faults if fault["loaded"]][:LISTED],
        "converted": converted[:LISTED],
        "partly_read": list(partly_read(dry.recorder))[:LISTED] if whole else [],
        "unused": unused[:LISTED],
        "unused_count": len(unused),
    }
    return {**facts, "modules": methods} if modules else facts


def name_of(dtype: torch.dtype) -> str:
    """Name a dtype without its module."""
    return str(dtype).removeprefix("torch.")


def module_methods(model: torch.nn.Module) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every module that has a quant method, with the classes of method, scheme and kernel; empty where there is none."""
    for name, module in model.named_modules(remove_duplicate=False):
        method = getattr(module, "quant_method", None)
        if method is None or isinstance(method, str):
            continue
        scheme = getattr(module, "scheme", None)
        kernel = kernel_of(method, scheme)
        yield (
            name,
            {
                "class": type(module).__name__,
                "quant_method": type(method).__name__,
                "scheme": type(scheme).__name__ if scheme is not None else "",
                "kernel": kernel,
            },
        )


def kernel_of(method: Any, scheme: Any) -> str:
    """Name the kernel or experts class that a method or its scheme chose; empty when it names none."""
    for owner, attribute in ((scheme, "kernel"), (method, "kernel"), (method, "experts_cls")):
        kernel = getattr(owner, attribute, None)
        if kernel is not None:
            return kernel.__name__ if isinstance(kernel, type) else type(kernel).__name__
    return ""


def head_names(model: torch.nn.Module) -> list[str]:
    """Name every head of the model, and the modules that stand where a head would be when it is the embedding itself."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    return [name for name, module in model.named_modules(remove_duplicate=False) if isinstance(module, ParallelLMHead)]


def describe_head(dry: DryModel, name: str, method: dict[str, str]) -> dict[str, Any]:
    """Describe one head: its method, its parameters with what was loaded into them, and what it shares its weight with."""
    head = dry.model.get_submodule(name)
    return {
        "name": name,
        "prefix": str(getattr(head, "prefix", "")),
        **method,
        "quantized": method["quant_method"] not in ("UnquantizedEmbeddingMethod", "UnquantizedLinearMethod"),
        "tied_to": tied_to(dry.model, name, head),
        "parameters": [
            describe_parameter(dry, key, value) for key, value in head.named_parameters(remove_duplicate=False)
        ],
    }


def tied_to(model: torch.nn.Module, name: str, head: torch.nn.Module) -> str | None:
    """Name the parameter outside the head that shares the memory of its weight."""
    weight = getattr(head, "weight", None)
    if weight is None:
        return None
    for other, parameter in model.named_parameters(remove_duplicate=False):
        if not other.startswith(f"{name}.") and storage_key(parameter) == storage_key(weight):
            return other
    return None


def describe_parameter(dry: DryModel, name: str, parameter: torch.Tensor) -> dict[str, Any]:
    """Describe one parameter with the tensors of the files that reached it."""
    origin = dry.recorder.origins.get(storage_key(parameter))
    return {
        "name": name,
        "dtype": name_of(parameter.dtype),
        "shape": list(parameter.shape),
        "elements": parameter.numel(),
        "loaded": loaded_elements(dry, parameter),
        "tensors": sorted(origin.names)[:LISTED] if origin else [],
    }


def loaded_elements(dry: DryModel, parameter: torch.Tensor) -> int:
    """Count the elements of a parameter that were written, padding among them."""
    key = storage_key(parameter)
    origin = dry.recorder.origins.get(key)
    writes = dry.recorder.writes.get(key, [])
    if not writes:
        return parameter.numel() if origin else 0  # it took over the file's own tensor
    start = int(parameter.storage_offset())
    return covered(writes, start=start, end=start + parameter.numel())


def parameter_faults(dry: DryModel, methods: dict[str, dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield the parameters that were not wholly written, unless nothing has to write them."""
    scales = frozenset(attention_scales(dry.model))
    ordered = any(name.endswith(ORDER) for name in dry.offered)
    for name, parameter in dry.model.named_parameters(remove_duplicate=False):
        loaded = loaded_elements(dry, parameter)
        if loaded == parameter.numel() or name in scales or name.endswith(UNREAD):
            continue
        if ORDER in name and not ordered:
            continue
        owner, _, part = name.rpartition(".")
        if loaded == 0 and part in SPARE.get(methods.get(owner, {}).get("quant_method", ""), ()):
            continue
        yield {
            "name": name,
            "dtype": name_of(parameter.dtype),
            "shape": list(parameter.shape),
            "elements": parameter.numel(),
            "loaded": loaded,
            "quant_method": methods.get(owner, {}).get("quant_method", ""),
        }


def attention_scales(model: torch.nn.Module) -> Iterator[str]:
    """Yield the scales of caches, which have defaults when a checkpoint has none (vLLM 0.32.0 kv_cache.py:51)."""
    from vllm.model_executor.layers.quantization.kv_cache import BaseKVCacheMethod

    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(getattr(module, "quant_method", None), BaseKVCacheMethod):
            yield from (f"{name}.{key}" for key, _ in module.named_parameters(recurse=False))


def storages_of(model: torch.nn.Module) -> set[int]:
    """Collect the memory that a model keeps: parameters and buffers."""
    return {storage_key(tensor) for tensor in itertools.chain(model.parameters(), model.buffers())}


def conversions(dry: DryModel) -> Iterator[dict[str, Any]]:
    """Yield the writes that changed what numbers mean: floating point into integers, integers into floating point."""
    for name, parameter in dry.model.named_parameters():
        if name.endswith(UNREAD):
            continue
        for write in dry.recorder.writes.get(storage_key(parameter), []):
            source = source_dtype(dry, write)
            if source is not None and meaning(source) != meaning(parameter.dtype):
                tensors = sorted(write.sources)[:3]
                yield {"name": name, "from": name_of(source), "to": name_of(parameter.dtype), "tensors": tensors}
                break


def source_dtype(dry: DryModel, write: Write) -> torch.dtype | None:
    """Tell the dtype that a write had in the files; where a loader computed the value, the dtype that it computed."""
    if write.kind != "copy" or not write.sources:
        return None
    if write.moved:
        stored = {dry.offered[name].dtype for name in write.sources}
        if len(stored) == 1 and meaning(next(iter(stored))) != "other":
            return stored.pop()
    return write.source_dtype


def meaning(dtype: torch.dtype) -> str:
    """Group dtypes between which a conversion keeps the value."""
    if dtype.is_floating_point:
        return "float" if dtype.itemsize > 1 else name_of(dtype)
    return name_of(dtype)
