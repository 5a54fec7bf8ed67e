"""A method's config as written in a checkpoint, read as vLLM reads it for a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ctq.engines.vllm.methods.auto_round import AutoRound
from ctq.engines.vllm.methods.called import method_called
from ctq.engines.vllm.methods.fp8 import Fp8
from ctq.engines.vllm.methods.integer_methods import Awq, Gptq
from ctq.engines.vllm.methods.layout import WHOLE_ROW, is_group_size
from ctq.engines.vllm.methods.modelopt import ALGORITHMS, ModelOpt
from ctq.engines.vllm.methods.quark import Quark

if TYPE_CHECKING:
    from ctq.engines.vllm.methods.layout import Method

Config: TypeAlias = Mapping[str, Any]
_BITS = (4, 8)
_SCHEMES = ("static", "dynamic")
_NVFP4_GROUP = 16
_ROUND_LAYOUTS = ("auto_round:auto_gptq", "auto_round:auto_awq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a config is read for: the fused layers of the model, what it calls the modules of a list, and what the files hold.

    ``quantized`` and ``dense`` return the modules that have a tensor of something else than floats, and those that have none.
    """

    fused: Mapping[str, tuple[str, ...]]
    named: Callable[[str], str]
    quantized: Callable[[], Collection[str]]
    dense: Callable[[], Collection[str]]


def read_method(method: str, config: Config, model: Model) -> Method | None:
    """Read a config; None where the method is not known here, or where values are of another kind than its own."""
    reader = _READERS.get(method_called(method))
    return reader(config, model) if reader is not None else None


def _gptq(config: Config, model: Model) -> Gptq | None:
    bits, group_size = config.get("bits"), config.get("group_size")
    dynamic, blocks = config.get("dynamic") or {}, config.get("modules_in_block_to_quantize") or []
    names = list(_flat(blocks))
    if bits not in _BITS or not is_group_size(group_size) or not isinstance(dynamic, dict) or None in names:
        return None
    listed = frozenset(model.named(name) for name in names if name is not None)
    return Gptq(
        bits=bits,
        group_size=group_size,
        lm_head=bool(config.get("lm_head")),
        dynamic=dynamic,
        listed=(lambda: listed) if listed else partial(_mapped, model.quantized, model),
        fused=model.fused,
    )


def _awq(config: Config, model: Model) -> Awq | None:
    bits = config.get("w_bit", config.get("bits"))
    group_size = config.get("q_group_size", config.get("group_size"))
    names = _names(config.get("modules_to_not_convert"))
    if bits != _BITS[0] or not is_group_size(group_size) or names is None:
        return None
    listed = frozenset(map(model.named, names))
    return Awq(
        bits=bits,
        group_size=group_size,
        lm_head=bool(config.get("lm_head")),
        skipped=(lambda: listed) if listed else partial(_mapped, model.dense, model),
        fused=model.fused,
    )


def _fp8(config: Config, model: Model) -> Fp8 | None:
    names = _names(config.get("ignored_layers") or config.get("modules_to_not_convert"))
    block, scheme = config.get("weight_block_size"), config.get("activation_scheme")
    is_block = isinstance(block, list) and [type(size) for size in block] == [int, int] and min(block) > 0
    if names is None or scheme not in _SCHEMES or not (block is None or is_block) or config.get("store_dtype"):
        return None
    return Fp8(
        static=scheme == "static",
        block=(block[0], block[1]) if block is not None else None,
        skipped=frozenset(map(model.named, names)),
        fused=model.fused,
    )


def _modelopt(config: Config, model: Model) -> ModelOpt | None:
    inside = config.get("quantization", config)
    if not isinstance(inside, dict):
        return None
    listed = _names(inside.get("exclude_modules" if "quantization" in config else "ignore"))
    algorithm, group_size = inside.get("quant_algo"), inside.get("group_size")
    layers = inside.get("quantized_layers") or {}
    algorithms = _algorithms(layers, model) if isinstance(layers, dict) else None
    if listed is None or not isinstance(algorithm, str) or not (group_size is None or type(group_size) is int):
        return None
    algorithm = algorithm.upper()
    if algorithms is None or (algorithm not in ALGORITHMS and not algorithms):
        return None
    return ModelOpt(
        algorithm=algorithm,
        group_size=group_size or _group_of(layers) or _NVFP4_GROUP,
        excluded=[model.named(name) for pattern in listed for name in _split(pattern)],
        algorithms=algorithms if algorithm == "MIXED_PRECISION" else {},
        fused=model.fused,
    )


def _algorithms(layers: Config, model: Model) -> dict[str, str] | None:
    """Return the algorithm of each layer that a config of several names; None where it says something else."""
    named = {model.named(name): layer.get("quant_algo") for name, layer in layers.items() if isinstance(layer, dict)}
    found = {name: algorithm.upper() for name, algorithm in named.items() if isinstance(algorithm, str)}
    return found if len(found) == len(layers) else None


def _group_of(layers: Config) -> int | None:
    sizes = (layer.get("group_size") for layer in layers.values() if "NVFP4" in str(layer.get("quant_algo")).upper())
    return next((size for size in sizes if type(size) is int), None)


def _split(pattern: str) -> Iterator[str]:
    """Yield what vLLM makes of a pattern for a whole tree of modules (``modelopt.py:262``)."""
    if len(pattern) > 1 and pattern.endswith("*") and not pattern.endswith(".*"):
        yield from (pattern[:-1], f"{pattern[:-1]}.*")
    else:
        yield pattern


def _auto_round(config: Config, model: Model) -> AutoRound | None:
    bits, group_size, layout = config.get("bits"), config.get("group_size"), config.get("packing_format")
    own = config.get("extra_config") or {}
    blocks = config.get("block_name_to_quantize", config.get("to_quant_block_names"))
    listed = blocks.split(",") if isinstance(blocks, str) else _names(blocks)
    if bits not in _BITS or not is_group_size(group_size) or listed is None:
        return None
    if not _is_of_objects(own) or not all(map(_is_of_numbers, own.values())):
        return None
    if config.get("data_type", "int") != "int" or layout not in (None, *_ROUND_LAYOUTS):
        return None
    return AutoRound(
        bits=bits,
        group_size=group_size,
        is_awq=layout == _ROUND_LAYOUTS[1],
        own={model.named(name): settings for name, settings in own.items()},
        blocks=[model.named(name) for name in listed],
        fused=model.fused,
    )


def _quark(config: Config, model: Model) -> Quark | None:
    excluded, every = config.get("exclude"), config.get("global_quant_config")
    own = config.get("layer_quant_config") or {}
    names = _names(excluded) if isinstance(excluded, list) else None
    if names is None or not isinstance(every, dict) or not _is_of_objects(own):
        return None
    return Quark(
        excluded=[model.named(name) for name in names],
        own={model.named(name): settings for name, settings in own.items()},
        every=every,
        fused=model.fused,
    )


def _is_of_objects(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())


def _is_of_numbers(settings: Config) -> bool:
    """Tell what one layer may have of its own: numbers of bits and columns, where it states them."""
    group_size = settings.get("group_size", WHOLE_ROW)
    return type(settings.get("bits", 0)) is int and is_group_size(group_size)


_READERS: Mapping[str, Callable[[Config, Model], Method | None]] = {
    "gptq": _gptq,
    "awq": _awq,
    "fp8": _fp8,
    **dict.fromkeys(("modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed"), _modelopt),
    "auto-round": _auto_round,
    "quark": _quark,
}


def _mapped(held: Callable[[], Collection[str]], model: Model) -> Collection[str]:
    return frozenset(map(model.named, held()))


def _names(value: object) -> list[str] | None:
    """Return a list of names, empty where there is none; None where it holds something else."""
    if not value:
        return []
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else None


def _flat(value: object) -> Iterator[str | None]:
    """Yield the names of lists in lists, None for anything else."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value if isinstance(value, str) else None
