"""Faults of how values are stored: other dtypes, other packings, other sizes, as another tool or a wrong conversion writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from fault_places import each, tensors
from faults_model import Model, none
from faults_tensors import float_tensor, int8_parts, named, put, quantize_tensor, recount_rows, reshape
from raw_safetensors import Raw, from_floats, from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    from fault import Fault

SIZES: Final = {
    "U8": 1,
    "I8": 1,
    "I16": 2,
    "U16": 2,
    "I32": 4,
    "U32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
    "BOOL": 1,
    "F8_E8M0": 1,
}
EMBEDDING: Final = r"(embed_tokens|embed_in|wte)\.weight$"
ROUTER: Final = r"\.gate\.weight$"
NORM: Final = r"norm\.weight$"


def _scale_dtype(dtype: str) -> Callable[[Model, str], None]:
    """Store the scale in another dtype, of bytes that fit."""

    def change(model: Model, module: str) -> None:
        raw = model.tensors[f"{module}.weight_scale"]
        count = int(np.prod(raw.shape))
        put(model, f"{module}.weight_scale", Raw(dtype, raw.shape, (raw.data * 8)[: count * SIZES[dtype]]))

    return change


def _scale_doubles(model: Model, module: str) -> None:
    raw = model.tensors[f"{module}.weight_scale"]
    put(model, f"{module}.weight_scale", Raw("F64", raw.shape, raw.floats.astype(np.float64).tobytes()))


def _packed_of(model: Model, module: str) -> Raw:
    return model.tensors.get(f"{module}.weight_packed") or none("not packed")


def _packed_view(dtype: str) -> Callable[[Model, str], None]:
    """Look at the packed words as another dtype, with as many columns as that makes."""

    def change(model: Model, module: str) -> None:
        raw = _packed_of(model, module)
        columns = raw.shape[1] * 4 // SIZES[dtype]
        put(model, f"{module}.weight_packed", Raw(dtype, (raw.shape[0], columns), raw.data))

    return change


def _packed_along_rows(model: Model, module: str) -> None:
    raw = _packed_of(model, module)
    put(model, f"{module}.weight_packed", Raw("I32", (raw.shape[0] // 4, raw.shape[1] * 4), raw.data))


def _packed_by_four_bits(model: Model, module: str) -> None:
    raw = _packed_of(model, module)
    put(model, f"{module}.weight_packed", Raw("I32", (raw.shape[0], raw.shape[1] // 2), raw.data[: len(raw.data) // 2]))


def _unpacked(model: Model, module: str) -> None:
    """Store the codes of a packed module as int8 under its own name."""
    raw = _packed_of(model, module)
    put(model, f"{module}.weight_packed", Raw("I8", (raw.shape[0], raw.shape[1] * 4), raw.data))


def _shape_as(dtype: str, values: Callable[[int, int], list[int]]) -> Callable[[Model, str], None]:
    def change(model: Model, module: str) -> None:
        if f"{module}.weight_shape" not in model.tensors:
            none("no weight_shape")
        numbers = values(*model.shape(module))
        raw = (
            from_floats(np.array(numbers, np.float32), "F32")
            if dtype == "F32"
            else from_numpy(np.array(numbers, dtype.replace("I", "int")))
        )
        put(model, f"{module}.weight_shape", raw)

    return change


def _relabelled(pattern: str, dtype: str) -> Callable[[Model], None]:
    """Store a dense tensor in another float dtype, value by value."""

    def change(model: Model) -> None:
        name = named(pattern)(model)
        raw = model.tensors[name]
        if raw.dtype == dtype:
            none("already so")
        put(model, name, from_floats(raw.floats, dtype))

    return change


def _resized(pattern: str, shape: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Callable[[Model], None]:
    """Give a dense tensor another shape; the bytes are made to fit."""

    def change(model: Model) -> None:
        name = named(pattern)(model)
        raw = model.tensors[name]
        new = shape(raw.shape)
        if new == raw.shape:
            none("already so")
        size = len(raw.data) // int(np.prod(raw.shape))
        count = int(np.prod(new))
        put(model, name, Raw(raw.dtype, new, (raw.data * (1 + count * size // len(raw.data)))[: count * size]))

    return change


def _quantized_matrix(pattern: str) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        name = named(pattern)(model)
        if model.tensors[name].dtype == "I8":
            none("quantized already")
        quantize_tensor(model, name)

    return change


def _padded_and_told(model: Model) -> None:
    """Pad the vocabulary everywhere: a healthy checkpoint."""
    recount_rows(lambda count: count + 64)(model, model.head)
    raw = model.tensors[model.embedding]
    rows, columns = raw.shape
    put(model, model.embedding, Raw(raw.dtype, (rows + 64, columns), raw.data + raw.data[: 64 * columns * 2]))
    model.text("vocab_size")["vocab_size"] += 64


def _head_as_experts(model: Model, module: str) -> None:
    raw = model.tensors[model.weight(module)]
    put(model, model.weight(module), Raw(raw.dtype, (2, raw.shape[0] // 2, raw.shape[1]), raw.data))


def _key_value_repeated(model: Model) -> None:
    """Repeat k and v for every query head, as an export for engines without grouped attention."""
    for leaf in ("k_proj", "v_proj"):
        module = model.layer(leaf)
        recount_rows(lambda count: count * 2)(model, module)


def _int8_zero_point(dtype: str, value: int) -> Callable[[Model, str], None]:
    def change(model: Model, module: str) -> None:
        raw = model.tensors[f"{module}.weight_scale"]
        count = int(np.prod(raw.shape))
        put(model, f"{module}.weight_zero_point", Raw(dtype, raw.shape, bytes([value]) * (count * SIZES[dtype])))

    return change


def _everywhere(part: str, change: Callable[[Model, str], object]) -> Callable[[Model], None]:
    def run(model: Model) -> None:
        for module in [module for module in model.quantized if f"{module}.{part}" in model.tensors] or none(
            f"no {part}"
        ):
            change(model, module)

    return run


def _scale_values(dtype: str) -> Callable[[Model, str], None]:
    def change(model: Model, module: str) -> None:
        raw = model.tensors[f"{module}.weight_scale"]
        put(model, f"{module}.weight_scale", from_floats(raw.floats, dtype))

    return change


def _drop_everywhere(part: str) -> Callable[[Model], None]:
    return _everywhere(part, lambda model, module: model.drop(f"{module}.{part}"))


STORAGE_FAULTS: Final[tuple[Fault, ...]] = (
    *each("scale-float64", _scale_doubles, "head", "body", "k", "expert"),
    *each("scale-bits-as-integers", _scale_dtype("U16")),
    *each("scale-int16", _scale_dtype("I16")),
    *each("scale-exponents", _scale_dtype("F8_E8M0")),
    tensors("scales-float32-everywhere", _everywhere("weight_scale", _scale_values("F32"))),
    tensors("scales-float16-everywhere", _everywhere("weight_scale", _scale_values("F16"))),
    *each("scale-by-column", lambda model, module: put(model, f"{module}.weight_scale", float_tensor(1, model.shape(module)[1]))),
    *each("scale-per-weight", lambda model, module: put(model, f"{module}.weight_scale", float_tensor(*model.shape(module)))),
    *each("scale-padded", reshape("weight_scale", lambda shape: (shape[0] + 64, *shape[1:])), "head", "body", "k", "expert"),
    *each("packed-as-bytes", _packed_view("U8"), "head", "body", "k", "expert"),
    *each("packed-as-int64", _packed_view("I64")),
    *each("packed-as-unsigned", _packed_view("U32"), "head", "body", "expert"),
    *each("packed-along-rows", _packed_along_rows, "head", "body", "k", "expert"),
    *each("packed-by-four-bits", _packed_by_four_bits, "head", "body", "expert"),
    *each("packed-unpacked", _unpacked, "head", "body", "expert"),
    *each("codes-int16", lambda model, module: put(model, model.weight(module), Raw("I16", model.tensors[model.weight(module)].shape, b"\1\0" * int(np.prod(model.tensors[model.weight(module)].shape))))),
    *each("codes-bool", lambda model, module: put(model, model.weight(module), Raw("BOOL", model.tensors[model.weight(module)].shape, b"\1" * int(np.prod(model.tensors[model.weight(module)].shape))))),
    *each("codes-in-two", _head_as_experts),
    *each("codes-one-row-less", reshape("codes", lambda shape: (shape[0] - 1, *shape[1:])), "head", "body", "k", "expert"),
    *each("codes-one-column-less", reshape("codes", lambda shape: (shape[0], shape[1] - 1)), "head", "body", "k", "expert"),
    *each("shape-int32", _shape_as("I32", lambda rows, columns: [rows, columns])),
    *each("shape-float", _shape_as("F32", lambda rows, columns: [rows, columns])),
    *each("shape-of-three", _shape_as("I64", lambda rows, columns: [1, rows, columns]), "head", "body", "k", "expert"),
    *each("shape-wrong", _shape_as("I64", lambda rows, columns: [rows, columns * 2])),
    *each("shape-of-packed", _shape_as("I64", lambda rows, columns: [rows, columns // 4])),
    tensors("no-shapes", _drop_everywhere("weight_shape")),
    tensors("no-scales", _drop_everywhere("weight_scale")),
    *each("rows-padded-128", recount_rows(lambda count: count + 128), "head", "body", "k", "expert"),
    *each("rows-by-one", recount_rows(lambda count: count + 1), "head", "body", "k", "expert"),
    *each("rows-halved", recount_rows(lambda count: count // 2), "head", "body", "k", "fused", "expert"),
    *each("rows-doubled", recount_rows(lambda count: count * 2), "head", "body", "k", "fused", "expert"),
    tensors("vocabulary-padded-and-told", _padded_and_told),
    tensors("key-value-repeated", _key_value_repeated),
    *each("zero-point-int8", _int8_zero_point("I8", 0), "head", "body", "k", "expert"),
    *each("zero-point-int32", _int8_zero_point("I32", 0)),
    tensors("norm-float32", _relabelled(NORM, "F32")),
    tensors("embedding-float32", _relabelled(EMBEDDING, "F32")),
    tensors("embedding-float16", _relabelled(EMBEDDING, "F16")),
    tensors("router-float32", _relabelled(ROUTER, "F32")),
    tensors("bias-float32", _relabelled(r"_proj\.bias$", "F32")),
    tensors("embedding-transposed", _resized(EMBEDDING, lambda shape: shape[::-1])),
    tensors("embedding-padded", _resized(EMBEDDING, lambda shape: (shape[0] + 64, shape[1]))),
    tensors("embedding-cut", _resized(EMBEDDING, lambda shape: (shape[0] - 10, shape[1]))),
    tensors("embedding-narrow", _resized(EMBEDDING, lambda shape: (shape[0], shape[1] // 2))),
    tensors("embedding-flat", _resized(EMBEDDING, lambda shape: (shape[0] * shape[1],))),
    tensors("router-cut", _resized(ROUTER, lambda shape: (shape[0] - 1, shape[1]))),
    tensors("router-transposed", _resized(ROUTER, lambda shape: shape[::-1])),
    tensors("norm-long", _resized(NORM, lambda shape: (shape[0] * 2,))),
    tensors("norm-scalar", _resized(NORM, lambda shape: (1,))),
    tensors("norm-empty", _resized(NORM, lambda shape: (0,))),
    tensors("bias-short", _resized(r"\.bias$", lambda shape: (shape[0] // 2,))),
    tensors("bias-matrix", _resized(r"\.bias$", lambda shape: (1, *shape))),
    tensors("bias-int8", lambda model: put(model, named(r"\.bias$")(model), Raw("I8", model.tensors[named(r"\.bias$")(model)].shape, b"\1" * model.tensors[named(r"\.bias$")(model)].shape[0]))),
    tensors("projector-quantized", _quantized_matrix(r"(projector|projection|merger).*weight$")),
    tensors("norm-quantized", lambda model: [put(model, named(NORM)(model).replace(".weight", f".{part}"), raw) for part, raw in int8_parts(1, 128).items()]),
)  # fmt: skip
