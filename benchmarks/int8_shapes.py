"""The INT8 form of a dense model's tensors and config, as compressed-tensors stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from benchmarks.shapes import HEAD_PATTERN, Config, Tensor

Parts: TypeAlias = Callable[[str, int, int], Iterator[Tensor]]
IGNORED: Final = ["re:.*mlp\\.gate$"]


def _int_quantized(module: str, rows: int, columns: int) -> Iterator[Tensor]:
    yield Tensor(f"{module}.weight", "I8", (rows, columns))
    yield Tensor(f"{module}.weight_scale", "BF16", (rows, 1))


def _pack_quantized(module: str, rows: int, columns: int) -> Iterator[Tensor]:
    yield Tensor(f"{module}.weight_packed", "I32", (rows, columns // 4))
    yield Tensor(f"{module}.weight_scale", "BF16", (rows, columns // 128))
    yield Tensor(f"{module}.weight_shape", "I64", (2,))


def _args(**over: str | int | bool) -> Config:
    return {
        "num_bits": 8,
        "type": "int",
        "strategy": "channel",
        "group_size": None,
        "symmetric": True,
        "dynamic": False,
        **over,
    }


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a scheme stores for a layer and declares in its group."""

    format: str
    parts: Parts
    weights: Config
    activations: Config | None


SCHEMES: Final = {
    "W8A8": Scheme("int-quantized", _int_quantized, _args(), _args(strategy="token", dynamic=True)),
    "W8A16": Scheme("pack-quantized", _pack_quantized, _args(strategy="group", group_size=128), None),
}


def quantized_tensors(tensors: Iterable[Tensor], scheme: str, *, body: bool, head: bool) -> Iterator[Tensor]:
    """Yield ``tensors`` with the linear weights of the body, of the head, or of both in their INT8 form."""
    for tensor in tensors:
        chosen = head if tensor.name == "lm_head.weight" else body
        if tensor.linear and chosen:
            rows, columns = tensor.shape
            yield from SCHEMES[scheme].parts(tensor.name.removesuffix(".weight"), rows, columns)
        else:
            yield tensor


def quantization_config(scheme: str, *, body: bool, head: bool) -> Config:
    """Return the matching ``quantization_config``: the head's group first, an excluded head in ``ignore``."""
    chosen = SCHEMES[scheme]
    targets = [[HEAD_PATTERN]] * head + [["Linear"]] * body
    group = {
        "weights": chosen.weights,
        "input_activations": chosen.activations,
        "output_activations": None,
        "format": chosen.format,
    }
    return {
        "config_groups": {f"group_{number}": {"targets": names, **group} for number, names in enumerate(targets)},
        "format": chosen.format,
        "ignore": IGNORED * body + [HEAD_PATTERN] * (not head),
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "version": "0.17.0",
    }
