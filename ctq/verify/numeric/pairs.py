"""Which tensors of a quantized checkpoint stand for which tensor of the dense original, from names and shapes alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ctq.checkpoint.dtypes import DTYPES, FLOAT_SOURCES
from ctq.checkpoint.weight_slice import whole
from ctq.inspect.modules.forms import SCALES
from ctq.recipe.experts import separate_experts
from ctq.recipe.heads import find_head
from ctq.recipe.packing import words
from ctq.verify.tensor_bytes import TensorBytes, first_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.header import TensorInfo
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.inspect.facts.facts import Facts
    from ctq.recipe.heads import Head

Form = Literal["int", "packed", "float8"]
_WEIGHT_FORMS: dict[tuple[str, str], Form] = {
    ("weight", "I8"): "int",
    ("weight", "F8_E4M3"): "float8",
    ("weight_packed", "I32"): "packed",
}
"""Stored weights whose values can be taken apart, by part and dtype."""
_WEIGHT_PARTS = ("weight_packed", "weight")
_CALIBRATED = ("input_scale", "input_zero_point", "input_global_scale", "output_scale", "k_scale", "v_scale", "q_scale")
"""Parts that come from calibration data, for which the original has nothing to compare."""
_DERIVED = ("rotary_emb.inv_freq", "masked_bias", "attn.bias")
"""Buffers that models compute for themselves; old checkpoints hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedPair:
    """A quantized weight ``[rows, columns]`` and the ``reference`` tensor that it was made from, as a whole or in ``part``.

    ``parts`` are its tensors by part name; ``groups`` counts scales per row, 0 for one scale in all.
    """

    module: str
    reference: TensorInfo
    part: WeightSlice
    form: Form
    bits: int
    groups: int
    parts: Mapping[str, TensorInfo]

    @property
    def rows(self) -> int:
        """Output channels."""
        return self.part.rows

    @property
    def columns(self) -> int:
        """Input channels."""
        return self.part.columns

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of the original."""
        return self.columns * DTYPES[self.reference.dtype].bits // 8

    @property
    def nbytes(self) -> int:
        """Bytes of the original."""
        return self.rows * self.row_bytes

    @property
    def symmetric(self) -> bool:
        """Whether the weight has no zero points."""
        return "weight_zero_point" not in self.parts


@dataclass(frozen=True, slots=True)
class DensePair:
    """A tensor that should be the reference's own, byte for byte."""

    tensor: TensorInfo
    reference: TensorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """All pairs, and what has no counterpart.

    ``missing`` are tensors of the reference that the checkpoint lost, ``unmatched`` tensors of the checkpoint that the reference
    does not have, ``unreadable`` quantized weights (by module, with the reason) that cannot be compared here, ``calibrated``
    tensors for which there is nothing to compare.
    """

    quantized: tuple[QuantizedPair, ...]
    dense: tuple[DensePair, ...]
    missing: tuple[str, ...]
    unmatched: tuple[str, ...]
    unreadable: Mapping[str, str]
    calibrated: tuple[str, ...]


def pair_tensors(facts: Facts, reference: Checkpoint) -> Pairs:
    """Pair every tensor of a checkpoint with the reference's; a head of its own meets the tied reference's embedding."""
    tensors = facts.checkpoint.tensors
    modules = dict(_quantized_modules(tensors))
    originals = _originals(modules, reference)
    quantized: list[QuantizedPair] = []
    unreadable: dict[str, str] = {}
    for module, parts in modules.items():
        original = originals.get(module)
        if original is not None:
            pair = _pair(module, parts, original, _declared_bits(facts))
            if isinstance(pair, str):
                unreadable[module] = pair
            else:
                quantized.append(pair)
    owned = {part.name for parts in modules.values() for part in parts.values()}
    plain = {name: info for name, info in tensors.items() if name not in owned and not name.endswith(_CALIBRATED)}
    lost = [module for module in modules if module not in originals]
    used = {original.info.name for original in originals.values()} | plain.keys()
    return Pairs(
        quantized=tuple(quantized),
        dense=tuple(
            DensePair(info, reference.tensors[name]) for name, info in plain.items() if name in reference.tensors
        ),
        missing=tuple(_missing(facts.checkpoint, reference, used)),
        unmatched=(*lost, *(name for name in plain if name not in reference.tensors)),
        unreadable=unreadable,
        calibrated=tuple(name for name in tensors if name not in owned and name.endswith(_CALIBRATED)),
    )


def _quantized_modules(tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, dict[str, TensorInfo]]]:
    """Yield the modules with a quantized weight, each with its parts."""
    modules: dict[str, dict[str, TensorInfo]] = {}
    for name, info in tensors.items():
        module, _, part = name.rpartition(".")
        if part in SCALES or part == "weight_packed":
            modules.setdefault(module, {})[part] = info
    for name, info in tensors.items():
        module, _, part = name.rpartition(".")
        if part == "weight" and (module in modules or info.dtype not in FLOAT_SOURCES):
            modules.setdefault(module, {})[part] = info
    yield from modules.items()


@dataclass(frozen=True, slots=True)
class _Original:
    """The tensor of the reference that a module was made from, and the weight's part of it; None where it is no matrix."""

    info: TensorInfo
    part: WeightSlice | None


def _originals(modules: Mapping[str, object], reference: Checkpoint) -> dict[str, _Original]:
    """Find what each module was made from: a tensor of its name, a tied head's embedding, or its part of all experts."""
    head = find_head(reference.config, reference.tensors)
    tied = {head.name: head.embedding} if head is not None and head.tensor is None else {}
    experts = separate_experts(reference.config, reference.tensors)
    found = {}
    for module in modules:
        info = reference.tensors.get(tied.get(module) or f"{module}.weight")
        if info is not None:
            found[module] = _Original(info, whole(info) if len(info.shape) == 2 else None)  # a matrix
        elif module in experts:
            found[module] = _Original(reference.tensors[experts[module].tensor], experts[module])
    return found


def _declared_bits(facts: Facts) -> tuple[int, ...]:
    groups = facts.quant.groups if facts.quant else ()
    return tuple(dict.fromkeys(group.weights.num_bits for group in groups if group.weights))


def _pair(
    module: str, parts: Mapping[str, TensorInfo], original: _Original, bits: tuple[int, ...]
) -> QuantizedPair | str:
    """Return the pair, or why it cannot be compared."""
    weight = next((parts[part] for part in _WEIGHT_PARTS if part in parts), None)
    if weight is None or "weight_scale" not in parts:
        return "has no weight" if weight is None else "has no weight_scale"
    form = _WEIGHT_FORMS.get((weight.name.rpartition(".")[2], weight.dtype))
    if form is None:
        return f"a {weight.dtype} weight is not taken apart here"
    if "weight_g_idx" in parts:
        return "groups in an order of their own (weight_g_idx) are not taken apart here"
    reference, part = original.info, original.part
    if part is None or reference.dtype not in FLOAT_SOURCES:
        return f"the reference has {reference.dtype} {list(reference.shape)} there"
    if not _readable(form, parts):
        return "its scales or zero points have a dtype that is not taken apart here"
    rows, columns = part.rows, part.columns
    width = _width(form, weight, columns, bits)
    groups = _groups(parts["weight_scale"].shape, rows, columns)
    if width is None or groups is None or weight.shape[:1] != (rows,):
        return f"its shapes do not fit the reference's {[rows, columns]}"
    return QuantizedPair(
        module=module,
        reference=reference,
        part=part,
        form=form,
        bits=width,
        groups=groups,
        parts=dict(parts),
    )


def _readable(form: Form, parts: Mapping[str, TensorInfo]) -> bool:
    zero = parts.get("weight_zero_point")
    wanted = "I32" if form == "packed" else "I8"
    return parts["weight_scale"].dtype in FLOAT_SOURCES and (zero is None or zero.dtype == wanted)


def _width(form: Form, weight: TensorInfo, columns: int, declared: tuple[int, ...]) -> int | None:
    """Return the bits of a stored value, or None where the columns do not fit."""
    if form != "packed":
        return 8 if weight.shape[1:] == (columns,) else None
    fits = [bits for bits in (8, 4) if weight.shape[1:] == (words(columns, bits),)]
    return next((bits for bits in declared if bits in fits), fits[0] if fits else None)


def _groups(scale: tuple[int, ...], rows: int, columns: int) -> int | None:
    if scale in ((), (1,), (1, 1)) and (rows > 1 or len(scale) < 2):  # one scale for all
        return 0
    if scale in ((rows,), (rows, 1)):
        return 1
    if len(scale) == 2 and scale[0] == rows and scale[1] and columns % scale[1] == 0:
        return scale[1]
    return None


def _missing(checkpoint: Checkpoint, reference: Checkpoint, used: set[str]) -> Iterator[str]:
    head, own = find_head(reference.config, reference.tensors), find_head(checkpoint.config, checkpoint.tensors)
    for name in reference.tensors:
        if name in used or name.endswith(_DERIVED):
            continue
        if head is not None and name == head.tensor and own is not None and own.tied and _is_copy(reference, head):
            continue  # a copy of the embedding beside tied embeddings: the checkpoint holds it once
        yield name


def _is_copy(reference: Checkpoint, head: Head) -> bool:
    """Tell whether the reference's head holds the very bytes of its embedding."""
    if head.tensor is None or head.embedding is None:
        return False
    first, second = reference.tensors[head.tensor], reference.tensors[head.embedding]
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    with TensorBytes(reference) as data:
        return first_difference((data, head.tensor), (data, head.embedding)) is None
