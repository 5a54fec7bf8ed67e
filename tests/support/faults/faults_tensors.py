"""Faults of the tensors: names, dtypes, shapes, and tensors that are missing or too many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
from fault import Fault
from fault_places import each, each_name, names, tensors
from faults_model import Model, none
from raw_safetensors import Raw, from_floats, from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable


def rename_part(old: str, new: str) -> Callable[[Model, str], None]:
    def change(model: Model, module: str) -> None:
        model.rename(lambda name: f"{module}.{new}" if name == f"{module}.{old}" else name)

    return change


def rename_everywhere(pattern: str, replacement: str) -> Callable[[Model], None]:
    return lambda model: model.rename(lambda name: re.sub(pattern, replacement, name))


def rename_head(new: str) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        old = model.head
        model.rename(lambda name: name.replace(old, new, 1) if name.startswith(f"{old}.") else name)

    return change


def _drop_part(part: str) -> Callable[[Model, str], None]:
    return lambda model, module: model.drop(f"{module}.{part}")


def put(model: Model, name: str, raw: Raw) -> None:
    model.tensors[name] = raw


def float_tensor(*shape: int, value: float = 0.01, dtype: str = "BF16") -> Raw:
    return from_floats(np.full(shape, value, np.float32), dtype)


def _dense(model: Model, module: str) -> None:
    """Store a module dense where it is declared quantized."""
    rows, columns = model.shape(module)
    model.drop_module(module)
    put(model, f"{module}.weight", float_tensor(rows, columns))


def int8_parts(rows: int, columns: int) -> dict[str, Raw]:
    codes = np.random.default_rng(rows).integers(-127, 128, (rows, columns), np.int8)
    return {"weight": from_numpy(codes), "weight_scale": float_tensor(rows, 1)}


def quantize_tensor(model: Model, name: str) -> None:
    """Store a dense matrix as int8."""
    raw = model.tensors[name]
    if len(raw.shape) != 2:
        none("no matrix")
    module = name.removesuffix(".weight")
    for part, value in int8_parts(*raw.shape).items():
        put(model, f"{module}.{part}", value)


def named(pattern: str) -> Callable[[Model], str]:
    compiled = re.compile(pattern)
    return lambda model: next((name for name in model.tensors if compiled.search(name)), None) or none(f"no {pattern}")


def _in_another_form(model: Model, module: str) -> None:
    """Store a packed module as int8, and an int8 one packed."""
    rows, columns = model.shape(module)
    was_packed = f"{module}.weight_packed" in model.tensors
    model.drop_module(module)
    parts = int8_parts(rows, columns) if was_packed else _packed(rows, columns)
    for part, value in parts.items():
        put(model, f"{module}.{part}", value)


def _packed(rows: int, columns: int) -> dict[str, Raw]:
    words = -(-columns // 4)
    return {
        "weight_packed": Raw("I32", (rows, words), b"\x01" * (rows * words * 4)),
        "weight_scale": float_tensor(rows, 1),
        "weight_shape": from_numpy(np.array([rows, columns], np.int64)),
    }


def _to_dtype(part: str, dtype: str) -> Callable[[Model, str], None]:
    """Store a float part in another float dtype, value by value."""

    def change(model: Model, module: str) -> None:
        name = f"{module}.{part}"
        if name not in model.tensors:
            none(f"no {part}")
        put(model, name, from_floats(model.tensors[name].floats, dtype))

    return change


def _relabel(dtype: str, size: int) -> Callable[[Model, str], None]:
    """Give the codes another dtype of the same or another width; the bytes are made to fit."""

    def change(model: Model, module: str) -> None:
        name = model.weight(module)
        raw = model.tensors[name]
        count = int(np.prod(raw.shape))
        put(model, name, Raw(dtype, raw.shape, (raw.data * size)[: count * size]))

    return change


def _codes_as_floats(model: Model, module: str) -> None:
    name = f"{module}.weight"
    if name not in model.tensors:
        none("packed")
    codes = np.frombuffer(model.tensors[name].data, np.int8).reshape(model.tensors[name].shape)
    put(model, name, from_floats(codes.astype(np.float32), "BF16"))


def _scale_as_integers(model: Model, module: str) -> None:
    raw = model.tensors[f"{module}.weight_scale"]
    put(model, f"{module}.weight_scale", Raw("I8", raw.shape, b"\x01" * int(np.prod(raw.shape))))


def reshape(part: str, shape: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Callable[[Model, str], None]:
    def change(model: Model, module: str) -> None:
        name = f"{module}.{part}" if part != "codes" else model.weight(module)
        if name not in model.tensors:
            none(f"no {part}")
        raw = model.tensors[name]
        new = shape(raw.shape)
        if new == raw.shape:
            none("already so")
        size = len(raw.data) // max(1, int(np.prod(raw.shape)))
        count = int(np.prod(new))
        filler = raw.data * (1 + count * size // max(1, len(raw.data)))
        put(model, name, Raw(raw.dtype, new, filler[: count * size]))

    return change


def recount_rows(count: Callable[[int], int]) -> Callable[[Model, str], None]:
    """Cut or pad codes and scales alike."""

    def change(model: Model, module: str) -> None:
        for part in ("codes", "weight_scale"):
            reshape(part, lambda shape: (count(shape[0]), *shape[1:]))(model, module)
        shape_name = f"{module}.weight_shape"
        if shape_name in model.tensors:
            rows, columns = model.shape(module)
            put(model, shape_name, from_numpy(np.array([rows, columns], np.int64)))

    return change


def _padded_embedding(model: Model) -> None:
    """Pad the vocabulary of embedding and head alike, without telling the config."""
    recount_rows(lambda count: count + 64)(model, model.head)
    raw = model.tensors[model.embedding]
    rows, columns = raw.shape
    put(model, model.embedding, Raw(raw.dtype, (rows + 64, columns), raw.data + raw.data[: 64 * columns * 2]))


def _zero_point(model: Model, module: str) -> None:
    raw = model.tensors[f"{module}.weight_scale"]
    if f"{module}.weight_packed" in model.tensors:
        rows = -(-raw.shape[0] // 4)
        put(model, f"{module}.weight_zero_point", Raw("I32", (rows, raw.shape[1]), b"\x00" * (rows * raw.shape[1] * 4)))
    else:
        put(model, f"{module}.weight_zero_point", Raw("I8", raw.shape, b"\x00" * int(np.prod(raw.shape))))


def _swap_shapes(model: Model, module: str) -> None:
    name = f"{module}.weight_shape"
    if name not in model.tensors:
        none("no weight_shape")
    rows, columns = model.shape(module)
    put(model, name, from_numpy(np.array([columns, rows], np.int64)))


def _drop_layer(model: Model) -> None:
    found = [name for name in model.tensors if re.search(r"\.(layers|h|blocks)\.1\.", name)] or none("no layers")
    model.drop(*found)


def _drop_expert(model: Model) -> None:
    path = model.expert().rpartition(".")[0]
    model.drop(*[name for name in model.tensors if name.startswith(f"{path}.")])


def _half_scales(model: Model, module: str) -> None:
    """Turn one scale per row into one for each half of the row, or groups into groups twice as wide."""
    raw = model.tensors[f"{module}.weight_scale"]
    columns = raw.shape[1] // 2 or 2
    reshape("weight_scale", lambda shape: (shape[0], columns))(model, module)


def copy_head(new: str) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        for part, raw in model.parts(model.head).items():
            put(model, f"{new}.{part}", raw)

    return change


def _dense_head_beside(model: Model) -> None:
    rows, columns = model.shape(model.head)
    put(model, "model.lm_head.weight", float_tensor(rows, columns))


def _dense_beside_packed(model: Model, module: str) -> None:
    if f"{module}.weight_packed" not in model.tensors:
        none("not packed")
    put(model, f"{module}.weight", float_tensor(*model.shape(module)))


def _untie_lost(model: Model) -> None:
    """Drop the head and leave the config as it was, as a tool does that takes it for tied."""
    model.drop_module(model.head)


def _renumber(model: Model) -> None:
    model.rename(lambda name: re.sub(r"\.layers\.(\d+)\.", lambda m: f".layers.{int(m[1]) + 1}.", name))


def _fuse(model: Model) -> None:
    """Store gate and up as one tensor, as another tool's export does."""
    gate = model.layer("gate_proj")
    path = gate.rpartition(".")[0]
    parts, up = model.parts(gate), model.parts(f"{path}.up_proj")
    for part in parts:
        one, other = parts[part], up[part]
        put(
            model,
            f"{path}.gate_up_proj.{part}",
            Raw(one.dtype, (one.shape[0] * 2, *one.shape[1:]), one.data + other.data),
        )
    model.drop_module(gate)
    model.drop_module(f"{path}.up_proj")


NAME_FAULTS: Final[tuple[Fault, ...]] = (
    *each_name("no-scale", _drop_part("weight_scale"), "head", "body", "k", "fused", "expert"),
    *each_name("no-weight", lambda model, module: model.drop(model.weight(module)), "head", "body", "k", "fused", "expert"),
    *each_name("no-shape", _drop_part("weight_shape"), "head", "body", "k", "expert"),
    *each_name("no-module", lambda model, module: model.drop_module(module), "body", "k", "fused", "expert"),
    names("no-head", _untie_lost),
    names("no-expert", _drop_expert),
    names("no-layer", _drop_layer),
    names("no-norm", lambda model: model.drop(named(r"layers\.1\..*norm\.weight$")(model))),
    names("no-final-norm", lambda model: model.drop(named(r"(^|\.)(model|language_model|gpt_neox)\.(norm|final_layer_norm)\.weight$")(model))),
    names("no-embedding", lambda model: model.drop(model.embedding)),
    names("no-router", lambda model: model.drop(named(r"\.gate\.weight$")(model))),
    names("no-bias", lambda model: model.drop(named(r"\.bias$")(model))),
    *each_name("scale-called-scale", rename_part("weight_scale", "scale")),
    *each_name("scale-called-scales", rename_part("weight_scale", "scales")),
    *each_name("scale-called-inverse", rename_part("weight_scale", "weight_scale_inv")),
    *each_name("scale-called-scb", rename_part("weight_scale", "SCB")),
    *each_name("scale-beside", rename_part("weight_scale", "weight.scale")),
    *each_name("weight-called-packed", rename_part("weight", "weight_packed")),
    *each_name("packed-called-weight", rename_part("weight_packed", "weight")),
    *each_name("packed-called-qweight", rename_part("weight_packed", "qweight")),
    *each_name("weight-called-qweight", rename_part("weight", "qweight")),
    names("scales-called-inverse-everywhere", rename_everywhere(r"weight_scale$", "weight_scale_inv")),
    names("prefix-added", rename_everywhere(r"^", "base_model.")),
    names("prefix-module", rename_everywhere(r"^", "module.")),
    names("prefix-removed", rename_everywhere(r"^model\.", "")),
    names("orig-mod", rename_everywhere(r"^model\.", "_orig_mod.model.")),
    names("attention-renamed", rename_everywhere(r"\.self_attn\.", ".attention.")),
    names("layers-renumbered", _renumber),
    names("gate-and-up-fused", _fuse),
    names("head-called-output", rename_head("output")),
    names("head-called-head", rename_head("head")),
    names("head-in-model", rename_head("model.lm_head")),
    names("head-in-wrapper", rename_head("language_model.lm_head")),
    names("head-upper-case", rename_head("LM_head")),
    names("head-twice", copy_head("model.lm_head")),
    names("head-twice-in-wrapper", copy_head("language_model.lm_head")),
    names("head-dense-beside", _dense_head_beside),
    names("head-as-embed-out", copy_head("embed_out")),
    names("draft-head", lambda model: put(model, "mtp.lm_head.weight", float_tensor(320, 128))),
    names("draft-layer", lambda model: [put(model, "mtp.fc.weight", float_tensor(128, 256)), put(model, "mtp.norm.weight", float_tensor(128))]),
    names("draft-layer-quantized", lambda model: [put(model, f"mtp.fc.{part}", raw) for part, raw in int8_parts(128, 256).items()]),
    names("layer-beyond", lambda model: put(model, "model.layers.2.eh_proj.weight", float_tensor(128, 256))),
    names("extra-tensor", lambda model: put(model, "training_step", from_numpy(np.array([7], np.int64)))),
    names("extra-module", lambda model: put(model, "model.layers.0.mlp.extra_proj.weight", float_tensor(128, 128))),
    names("extra-rotary", lambda model: put(model, "model.layers.0.self_attn.rotary_emb.inv_freq", float_tensor(16, dtype="F32"))),
    names("extra-cache-scales", lambda model: [put(model, f"model.layers.0.self_attn.{part}", float_tensor(1)) for part in ("k_scale", "v_scale")]),
    names("extra-bias", lambda model: put(model, f"{model.down()}.bias", float_tensor(model.shape(model.down())[0]))),
    names("extra-head-bias", lambda model: put(model, f"{model.head}.bias", float_tensor(model.shape(model.head)[0]))),
    *each_name("zero-point-added", _zero_point, "head", "body", "k", "expert"),
    *each_name("input-scale-added", lambda model, module: put(model, f"{module}.input_scale", float_tensor(1)), "head", "body", "expert"),
    *each_name("group-index-added", lambda model, module: put(model, f"{module}.weight_g_idx", from_numpy(np.zeros(model.shape(module)[1], np.int32)))),
    *each_name("dense-beside-packed", _dense_beside_packed),
)  # fmt: skip

TENSOR_FAULTS: Final[tuple[Fault, ...]] = (
    *each("dense-where-declared", _dense, "head", "body", "k", "fused", "expert"),
    *each("other-form", _in_another_form, "head", "body", "k", "expert"),
    tensors("embedding-quantized", lambda model: quantize_tensor(model, model.embedding)),
    tensors("router-quantized", lambda model: quantize_tensor(model, named(r"\.gate\.weight$")(model))),
    tensors("tower-quantized", lambda model: quantize_tensor(model, named(r"(vision|visual).*\.weight$")(model))),
    tensors("norm-as-matrix", lambda model: reshape("weight", lambda shape: (1, *shape))(model, named(r"norm\.weight$")(model).removesuffix(".weight"))),
    tensors("norm-short", lambda model: reshape("weight", lambda shape: (shape[0] // 2,))(model, named(r"norm\.weight$")(model).removesuffix(".weight"))),
    tensors("norm-int8", lambda model: put(model, named(r"norm\.weight$")(model), Raw("I8", (128,), b"\x01" * 128))),
    tensors("embedding-int8", lambda model: put(model, model.embedding, Raw("I8", model.tensors[model.embedding].shape, b"\x01" * int(np.prod(model.tensors[model.embedding].shape))))),
    *each("scale-float32", _to_dtype("weight_scale", "F32")),
    *each("scale-float16", _to_dtype("weight_scale", "F16")),
    *each("scale-int8", _scale_as_integers),
    *each("codes-uint8", _relabel("U8", 1)),
    *each("codes-int64", _relabel("I64", 8)),
    *each("codes-float8", _relabel("F8_E4M3", 1)),
    *each("codes-int32", _relabel("I32", 4)),
    *each("codes-as-floats", _codes_as_floats, "head", "body", "expert"),
    *each("scale-vector", reshape("weight_scale", lambda shape: shape[:1]), "head", "body", "k", "expert"),
    *each("scale-transposed", reshape("weight_scale", lambda shape: shape[::-1]), "head", "body", "k", "expert"),
    *each("scale-one-value", reshape("weight_scale", lambda _: (1,)), "head", "body", "k", "expert"),
    *each("scale-scalar", reshape("weight_scale", lambda _: ()), "head", "body", "expert"),
    *each("scale-one-by-one", reshape("weight_scale", lambda _: (1, 1)), "head", "body", "expert"),
    *each("scale-one-column", reshape("weight_scale", lambda shape: (shape[0], 1)), "head", "body", "expert"),
    *each("scale-more-columns", _half_scales, "head", "body", "expert"),
    *each("scale-three-dimensions", reshape("weight_scale", lambda shape: (*shape, 1))),
    *each("scale-rows-cut", reshape("weight_scale", lambda shape: (shape[0] - 16, *shape[1:])), "head", "body", "k", "expert"),
    *each("scale-empty", reshape("weight_scale", lambda shape: (0, *shape[1:]))),
    *each("codes-rows-cut", reshape("codes", lambda shape: (shape[0] - 16, *shape[1:])), "head", "body", "k", "expert"),
    *each("codes-columns-cut", reshape("codes", lambda shape: (shape[0], shape[1] // 2)), "head", "body", "k", "expert"),
    *each("codes-columns-doubled", reshape("codes", lambda shape: (shape[0], shape[1] * 2)), "head", "body", "k", "expert"),
    *each("codes-transposed", reshape("codes", lambda shape: shape[::-1]), "head", "body", "k", "expert"),
    *each("codes-flat", reshape("codes", lambda shape: (shape[0] * shape[1],))),
    *each("codes-three-dimensions", reshape("codes", lambda shape: (1, *shape))),
    *each("codes-empty", reshape("codes", lambda shape: (0, shape[1]))),
    *each("rows-cut", recount_rows(lambda count: count - 16), "head", "body", "k", "fused", "expert"),
    *each("rows-padded", recount_rows(lambda count: count + 64), "head", "body", "k", "expert"),
    tensors("vocabulary-padded", _padded_embedding),
    *each("shape-swapped", _swap_shapes),
    *each("shape-short", reshape("weight_shape", lambda _: (1,))),
)  # fmt: skip
