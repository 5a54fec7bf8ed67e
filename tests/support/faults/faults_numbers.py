"""Faults of the numbers: every header is as it was, so only values tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from fault import Fault
from fault_places import PLACES
from faults_model import Model, none
from raw_safetensors import Raw, from_floats

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


def numbers(name: str, change: Callable[[Model], object]) -> Fault:
    """Change values."""
    return Fault.edit(name, "numbers", change)


def scales(name: str, change: Callable[[Floats], Floats], *places: str) -> tuple[Fault, ...]:
    """Change the scales of a module."""

    def run(model: Model, module: str) -> None:
        raw = model.tensors[f"{module}.weight_scale"]
        model.tensors[f"{module}.weight_scale"] = from_floats(change(raw.floats.copy()), raw.dtype)

    return _at(name, run, *places)


def codes(name: str, change: Callable[[npt.NDArray[np.int8]], npt.NDArray[np.int8]], *places: str) -> tuple[Fault, ...]:
    """Change the bytes of a module's codes, as rows."""

    def run(model: Model, module: str) -> None:
        tensor = model.weight(module)
        raw = model.tensors[tensor]
        rows = np.frombuffer(raw.data, np.int8).reshape(raw.shape[0], -1).copy()
        model.tensors[tensor] = Raw(raw.dtype, raw.shape, change(rows).astype(np.int8).tobytes())

    return _at(name, run, *places)


def _at(name: str, change: Callable[[Model, str], object], *places: str) -> tuple[Fault, ...]:
    return tuple(
        numbers(f"{name}-{place}", lambda model, place=place: change(model, PLACES[place](model)))  # type: ignore[misc]
        for place in places or ("head", "body")
    )


def _one(value: float) -> Callable[[Floats], Floats]:
    def change(values: Floats) -> Floats:
        values.reshape(-1)[values.size // 2] = value
        return values

    return change


def _factor(factor: float) -> Callable[[Floats], Floats]:
    return lambda values: values * np.float32(factor)


def _bits(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    rows[rows.shape[0] // 2, ::7] ^= 0x40
    return rows


def _one_bit(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    rows[rows.shape[0] // 2, 5] ^= 0x40
    return rows


def swap(first: str, second: str) -> Callable[[Model], None]:
    """Exchange two modules whose tensors have the same shapes."""

    def change(model: Model) -> None:
        one = model.layer(first)
        other = one.rpartition(".")[0] + f".{second}"
        exchange(model, one, other)

    return change


def exchange(model: Model, one: str, other: str) -> None:
    for part, raw in model.parts(one).items():
        twin = model.tensors.get(f"{other}.{part}")
        if twin is None or twin.shape != raw.shape:
            none("no twin")
    for part in model.parts(one):
        a, b = f"{one}.{part}", f"{other}.{part}"
        model.tensors[a], model.tensors[b] = model.tensors[b], model.tensors[a]


def _swap_layers(model: Model) -> None:
    module = model.down()
    twin = module.replace(".0.", ".1.", 1) if ".0." in module else module.replace(".1.", ".0.", 1)
    exchange(model, module, twin)


def _swap_experts(model: Model) -> None:
    module = model.expert()
    exchange(model, module, module.replace(".experts.1.", ".experts.0."))


def _change_dense(words: str) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        name = next((n for n in model.tensors if words in n and n.endswith("weight")), None) or none(f"no {words}")
        raw = model.tensors[name]
        values = raw.floats.copy()
        values.reshape(-1)[::3] *= 1.5
        model.tensors[name] = from_floats(values, raw.dtype)

    return change


def _embedding_rows(model: Model) -> None:
    raw = model.tensors[model.embedding]
    model.tensors[model.embedding] = from_floats(np.roll(raw.floats, 1, axis=0), raw.dtype)


def _without_offset(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Read packed codes as signed: the offset of 128 is lost."""
    return (rows.view(np.uint8) ^ 0x80).view(np.int8)


NUMBER_FAULTS: Final[tuple[Fault, ...]] = (
    *scales("scales-permuted", lambda values: np.roll(values, 1, axis=0), "head", "body", "k", "expert"),
    *scales("scales-reversed", lambda values: values[::-1].copy()),
    *scales("scales-doubled", _factor(2.0), "head", "body", "k", "expert"),
    *scales("scales-slightly-off", _factor(1.05)),
    *scales("scales-negative", _factor(-1.0)),
    *scales("scales-one", np.ones_like),
    *scales("scales-mean", lambda values: np.full_like(values, values.mean())),
    *scales("scale-nan", _one(float("nan")), "head", "body", "expert"),
    *scales("scale-infinite", _one(float("inf"))),
    *scales("scale-zero", _one(0.0)),
    *scales("scale-huge", _one(1e6)),
    *codes("codes-zero", np.zeros_like, "head", "body", "k", "expert"),
    *codes("codes-negated", lambda rows: (-rows.astype(np.int16)).clip(-128, 127).astype(np.int8)),
    *codes("codes-rows-rolled", lambda rows: np.roll(rows, 1, axis=0)),
    *codes("codes-columns-rolled", lambda rows: np.roll(rows, 1, axis=1)),
    *codes("codes-bytes-reversed", lambda rows: rows.reshape(rows.shape[0], -1, 4)[..., ::-1].reshape(rows.shape).copy()),
    *codes("codes-bits-flipped", _bits),
    *codes("codes-one-bit-flipped", _one_bit),
    *codes("codes-offset-lost", _without_offset),
    numbers("gate-and-up-swapped", swap("gate_proj", "up_proj")),
    numbers("k-and-v-swapped", swap("k_proj", "v_proj")),
    numbers("layers-swapped", _swap_layers),
    numbers("experts-swapped", _swap_experts),
    numbers("norm-changed", _change_dense("norm")),
    numbers("embedding-rolled", _embedding_rows),
    numbers("router-changed", _change_dense(".gate.")),
)  # fmt: skip
