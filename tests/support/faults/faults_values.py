"""More faults of the numbers: what mixed checkpoints, bad copies and conversions of values leave under right names and shapes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
from faults_model import Model, none
from faults_numbers import codes, exchange, numbers, scales, swap
from raw_safetensors import Raw, from_floats

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Codes = npt.NDArray[np.int8]
    from fault import Fault

NORM: Final = r"layers\.1\..*norm\.weight$"


def dense(name: str, pattern: str, change: Callable[[Floats], Floats]) -> Fault:
    """Change the values of a dense tensor."""
    compiled = re.compile(pattern)

    def run(model: Model) -> None:
        tensor = next((n for n in model.tensors if compiled.search(n)), None) or none(f"no {pattern}")
        raw = model.tensors[tensor]
        if raw.dtype not in ("BF16", "F16", "F32"):
            none("not dense")
        model.tensors[tensor] = from_floats(change(raw.floats.copy()), raw.dtype)

    return numbers(name, run)


def _two_rows(rows: Codes) -> Codes:
    rows[[0, 1]] = rows[[1, 0]]
    return rows


def _page(rows: Codes) -> Codes:
    """Zero a page of 4096 bytes, as a hole that a copy left."""
    flat = rows.reshape(-1)
    flat[: min(4096, flat.size // 2)] = 0
    return rows


def _tail(rows: Codes) -> Codes:
    rows.reshape(-1)[-64:] = 0
    return rows


def _narrow(rows: Codes) -> Codes:
    """Keep the upper four bits of every code."""
    return (rows.view(np.uint8) & 0xF0).view(np.int8)


def _nibbles(rows: Codes) -> Codes:
    bits = rows.view(np.uint8)
    return ((bits << 4) | (bits >> 4)).astype(np.uint8).view(np.int8)


def _off_by_one(rows: Codes) -> Codes:
    return np.where(rows < 127, rows + 1, rows).astype(np.int8)


def _transposed_blocks(rows: Codes) -> Codes:
    """Give a square corner the order of its transpose."""
    side = min(rows.shape)
    rows[:side, :side] = rows[:side, :side].T.copy()
    return rows


def _one(value: float) -> Callable[[Floats], Floats]:
    def change(values: Floats) -> Floats:
        values.reshape(-1)[values.size // 2] = value
        return values

    return change


def _roll(values: Floats) -> Floats:
    return np.roll(values, 1, axis=0)


def _first_two(values: Floats) -> Floats:
    flat = values.reshape(-1)
    if flat[0] == flat[1]:
        none("two scales alike")
    flat[[0, 1]] = flat[[1, 0]]
    return values


def _next(values: Floats) -> Floats:
    """Move one scale by the least step of bfloat16."""
    flat = values.reshape(-1)
    flat[flat.size // 2] *= np.float32(1 + 2**-7)
    return values


def _bytes_reversed(model: Model) -> None:
    """Store the head's scales with their bytes in the other order."""
    name = f"{model.head}.weight_scale"
    raw = model.tensors[name]
    model.tensors[name] = Raw(raw.dtype, raw.shape, np.frombuffer(raw.data, np.uint16).byteswap().tobytes())


def _scales_of(leaf: str, other: str) -> Callable[[Model], None]:
    """Take the scales of another module of the same shape."""

    def change(model: Model) -> None:
        one = model.layer(leaf)
        twin = f"{one.rpartition('.')[0]}.{other}"
        raw = model.tensors.get(f"{twin}.weight_scale")
        if raw is None or raw.shape != model.tensors[f"{one}.weight_scale"].shape:
            none("no twin")
        model.tensors[f"{one}.weight_scale"] = raw

    return change


def _scales_exchanged(model: Model) -> None:
    """Exchange the scales of two layers, and leave the codes."""
    module = model.down()
    twin = module.replace(".0.", ".1.", 1) if ".0." in module else module.replace(".1.", ".0.", 1)
    one, other = f"{module}.weight_scale", f"{twin}.weight_scale"
    if other not in model.tensors or model.tensors[other].shape != model.tensors[one].shape:
        none("no twin")
    model.tensors[one], model.tensors[other] = model.tensors[other], model.tensors[one]


def _head_of_embedding(model: Model) -> None:
    """Quantize the embedding in the place of the head, as a tool does that takes them for tied."""
    values = model.tensors[model.embedding].floats
    name = model.weight(model.head)
    if name.endswith("packed"):
        none("packed")
    scale = np.abs(values).max(axis=1, keepdims=True) / 127.5
    rows = np.clip(np.round(values / scale), -128, 127).astype(np.int8)
    model.tensors[name] = Raw("I8", rows.shape, rows.tobytes())
    model.tensors[f"{model.head}.weight_scale"] = from_floats(scale, "BF16")


def _all_rows_of_experts(model: Model) -> None:
    """Give every expert the weights of the second."""
    module = model.expert()
    for part, raw in model.parts(module).items():
        for name in list(model.tensors):
            if re.sub(r"\.experts\.\d+\.", ".experts.1.", name) == f"{module}.{part}":
                model.tensors[name] = raw


VALUE_FAULTS: Final[tuple[Fault, ...]] = (
    *scales("scales-two-swapped", _first_two),
    *scales("scale-next", _next),
    *scales("scales-of-127", lambda values: values * np.float32(127.5 / 127)),
    *scales("scales-tiny", lambda values: values * np.float32(1e-6)),
    *scales("scales-inverted", lambda values: 1 / values),
    *scales("scales-zero", np.zeros_like, "head", "body", "expert"),
    *scales("scale-negative", _one(-0.01), "head", "body", "expert"),
    numbers("scales-bytes-reversed", _bytes_reversed),
    numbers("scales-of-up", _scales_of("gate_proj", "up_proj")),
    numbers("scales-of-v", _scales_of("k_proj", "v_proj")),
    numbers("scales-of-another-layer", _scales_exchanged),
    *codes("codes-two-rows-swapped", _two_rows, "head", "body", "k", "expert"),
    *codes("codes-page-lost", _page, "head", "body", "expert"),
    *codes("codes-tail-lost", _tail),
    *codes("codes-four-bits", _narrow),
    *codes("codes-nibbles-swapped", _nibbles),
    *codes("codes-off-by-one", _off_by_one),
    *codes("codes-corner-transposed", _transposed_blocks),
    *codes("codes-random", lambda rows: np.random.default_rng(1).integers(-128, 128, rows.shape).astype(np.int8), "head", "body", "expert"),
    *codes("codes-largest", lambda rows: np.full_like(rows, 127)),
    numbers("q-and-o-swapped", swap("q_proj", "o_proj")),
    numbers("head-of-embedding", _head_of_embedding),
    numbers("experts-all-alike", _all_rows_of_experts),
    numbers("expert-layers-swapped", lambda model: exchange(model, model.expert(), re.sub(r"layers\.0\.", "layers.1.", model.expert()) if "layers.0." in model.expert() else model.expert().replace("layers.1.", "layers.0."))),
    dense("norm-zero", NORM, np.zeros_like),
    dense("norm-minus-one", NORM, lambda values: values - 1),
    dense("norm-nan", NORM, _one(float("nan"))),
    dense("norm-rolled", NORM, _roll),
    dense("embedding-nan", r"embed_tokens\.weight$", _one(float("nan"))),
    dense("embedding-infinite", r"embed_tokens\.weight$", _one(float("inf"))),
    dense("embedding-one-value", r"embed_tokens\.weight$", _one(3.0)),
    dense("embedding-zero", r"embed_tokens\.weight$", np.zeros_like),
    dense("router-rolled", r"\.gate\.weight$", _roll),
    dense("router-zero", r"\.gate\.weight$", np.zeros_like),
    dense("bias-lost", r"_proj\.bias$", np.zeros_like),
    dense("bias-rolled", r"_proj\.bias$", _roll),
    dense("tower-changed", r"(vision|visual).*weight$", lambda values: values * np.float32(1.01)),
)  # fmt: skip
