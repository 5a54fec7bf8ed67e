"""What becomes of the head's tensors when an engine loads them into the parameters of a method. Pure.

Source: vLLM 0.32.0 model_executor/layers/vocab_parallel_embedding.py:484-520 (the loader), model_executor/models/utils.py:400-445
(unknown names), and ``create_weights`` of the schemes; a parameter that nothing was loaded into stays as it was allocated
(model_loader/default_loader.py:507).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.verdicts.head_facts import HeadForm, Outcome
from ctq.engines.vllm.head.geometry import HeadGeometry
from ctq.engines.vllm.head.parameters import ParameterSpec, head_parameters
from ctq.engines.vllm.head.placement import place
from ctq.recipe.packing import values_per_word

if TYPE_CHECKING:
    from ctq.engines.verdicts.head_facts import HeadFacts, Word
    from ctq.engines.vllm.scheme_predicates import SchemeArgs

_FLOAT8_SCHEMES = frozenset({"W8A8Fp8", "W8A16Fp8", "W8A8Mxfp8"})
_STORED_AS = {"W8A8Int8": HeadForm.INT8, "WNA16": HeadForm.PACKED} | dict.fromkeys(_FLOAT8_SCHEMES, HeadForm.FLOAT8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """How an engine treats what does not fit."""

    engine: str
    refuses_unknown_names: bool
    reshapes_scalar_scales: bool = True


def load_dense(facts: HeadFacts, loader: Loader, why: str) -> Outcome:
    """Return the outcome of a head that the engine builds dense, ``why`` being the reason for that."""
    if facts.stored is HeadForm.DENSE and not facts.quantized_parts:
        return Outcome("dense", f"the head is dense: {why}")
    stray = next(iter(facts.quantized_parts), None)
    if stray and loader.refuses_unknown_names:
        return Outcome(
            "fails", f"{loader.engine} builds a dense head and refuses the tensor {facts.name}.{stray}: {why}"
        )
    if facts.stored is HeadForm.DENSE:
        return Outcome("dense", f"the head is dense and its {stray} is not read: {why}")
    return Outcome("garbage", f"{loader.engine} builds a dense head, which quantized tensors do not fill: {why}")


def load_quantized(facts: HeadFacts, scheme: str, args: SchemeArgs, loader: Loader) -> Outcome:
    """Return the outcome of a head that gets ``scheme``, when its own tensors are loaded."""
    expected = _STORED_AS.get(scheme)
    if expected is None:
        return _load_unjudged(facts, scheme, loader)
    geometry, given = _geometry(facts, args), f"the config gives the head {scheme}"
    try:
        specs = head_parameters(scheme, args, geometry) or _block_parameters(facts, geometry)
    except DispatchError as error:
        return Outcome("fails", error.message)
    tensors = {part: tensor for part, tensor in facts.tensors.items() if part != "bias"}
    placed = place(
        specs,
        tensors,
        geometry,
        module=facts.name or "",
        reshapes_scalar_scales=loader.reshapes_scalar_scales,
    )
    if placed.unexpected and loader.refuses_unknown_names:
        return Outcome("fails", f"{given}, which has no parameter for its tensor {placed.unexpected[0]}")
    if facts.stored is not expected:
        return Outcome("garbage", f"{given}, but its weight is stored {facts.stored}")
    if placed.missing:
        return Outcome("garbage", f"{given}, but {placed.missing[0]} is not in the files")
    if placed.refusals:
        return Outcome("fails", placed.refusals[0])
    return Outcome("quantized", f"{given}, and its tensors fit")


def _load_unjudged(facts: HeadFacts, scheme: str, loader: Loader) -> Outcome:
    """Of a scheme that is only known by name, see that the weight is not stored dense."""
    if not facts.is_plain:
        return Outcome("quantized", f"the config gives the head {scheme}, whose tensors are not checked here")
    word: Word = "fails" if loader.refuses_unknown_names and scheme not in _FLOAT8_SCHEMES else "garbage"
    return Outcome(word, f"the config gives the head {scheme}, but it is stored dense")


def _geometry(facts: HeadFacts, args: SchemeArgs) -> HeadGeometry:
    """Return the size that the config states, or else that of the tensors."""
    packed, weight = facts.tensors.get("weight_packed"), facts.tensors.get("weight")
    rows, columns = next((one.shape for one in (packed, weight) if one is not None and len(one.shape) == 2), (0, 0))
    held = columns * values_per_word(args.weights.num_bits) if packed is not None else columns
    return HeadGeometry(vocabulary=facts.vocab_size or rows, hidden=facts.hidden_size or held)


def _block_parameters(facts: HeadFacts, geometry: HeadGeometry) -> tuple[ParameterSpec, ...]:
    """Return the parameters of 8-bit floats with one scale for a rectangle, whatever the rectangles' size is."""
    scale = facts.tensors.get("weight_scale")
    weight = ParameterSpec(name="weight", dtype="F8_E4M3", shape=(geometry.rows_per_rank, geometry.hidden))
    shape = scale.shape if scale is not None else ()
    return weight, ParameterSpec(name="weight_scale", dtype="F32", shape=shape, layout="whole")
