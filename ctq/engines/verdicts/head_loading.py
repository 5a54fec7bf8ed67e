"""What becomes of the head's tensors when an engine loads them into the parameters of a method. Pure.

Source: vLLM 0.32.0 model_executor/layers/vocab_parallel_embedding.py:484-520 (the loader), model_executor/models/utils.py:400-445
(unknown names), and ``create_weights`` of the schemes; a parameter that nothing was loaded into stays as it was allocated
(model_loader/default_loader.py:507).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.verdicts.head_facts import HeadForm, Outcome
from ctq.recipe.packing import WORD_BITS, values_per_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.engine_args import EngineArgs
    from ctq.engines.verdicts.head_facts import HeadFacts, HeadTensor, Word
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
    names, optional = _parameters(scheme, args)
    unknown = next((name for name in facts.tensors if name not in (*names, *optional, "bias")), None)
    if unknown and loader.refuses_unknown_names:
        return Outcome(
            "fails", f"the config gives the head {scheme}, which has no parameter for its tensor {facts.name}.{unknown}"
        )
    if facts.stored is not expected:
        return Outcome("garbage", f"the config gives the head {scheme}, but its weight is stored {facts.stored}")
    missing = next((name for name in names if name not in facts.tensors), None)
    if missing:
        return Outcome("garbage", f"the config gives the head {scheme}, but {facts.name}.{missing} is not in the files")
    fault = next(_faults(facts, scheme, args, loader), None)
    if fault:
        return Outcome("fails", fault)
    return Outcome("quantized", f"the config gives the head {scheme}, and its tensors fit")


def _load_unjudged(facts: HeadFacts, scheme: str, loader: Loader) -> Outcome:
    """Of a scheme that is only known by name, see that the weight is not stored dense."""
    if not facts.is_plain:
        return Outcome("quantized", f"the config gives the head {scheme}, whose tensors are not checked here")
    word: Word = "fails" if loader.refuses_unknown_names and scheme not in _FLOAT8_SCHEMES else "garbage"
    return Outcome(word, f"the config gives the head {scheme}, but it is stored dense")


def _parameters(scheme: str, args: SchemeArgs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the parameters that have to be loaded, and of those that need not."""
    if scheme == "WNA16":
        zero_point = () if args.weights.symmetric else ("weight_zero_point",)
        order = ("weight_g_idx",) if args.weights.actorder == "group" else ()
        return ("weight_packed", "weight_scale", *zero_point, *order), ("weight_shape",)
    if args.inputs is None or args.inputs.dynamic:
        return ("weight", "weight_scale"), ()
    zero_point = () if args.inputs.symmetric else ("input_zero_point",)
    return ("weight", "weight_scale", "input_scale", *zero_point), ()


def _faults(facts: HeadFacts, scheme: str, args: SchemeArgs, loader: Loader) -> Iterator[str]:
    weight = facts.tensors["weight_packed" if scheme == "WNA16" else "weight"]
    rows = facts.vocab_size
    if rows is not None and weight.shape[:1] != (rows,):
        yield f"the head has {weight.shape[0] if weight.shape else 0} rows, but the vocabulary {rows}"
    yield from _scale_faults(facts, args.weights, weight, loader)
    if scheme == "WNA16":
        yield from _packed_faults(facts, args.weights, weight)


def _scale_faults(facts: HeadFacts, weights: EngineArgs, weight: HeadTensor, loader: Loader) -> Iterator[str]:
    shape = facts.tensors["weight_scale"].shape
    if weights.strategy == "block":  # one scale for a rectangle, the last ones cut off
        return
    if weights.strategy == "tensor":
        if shape == () and not loader.reshapes_scalar_scales:
            yield f"{loader.engine} refuses a scale without a dimension"
        elif shape not in ((), (1,)):
            yield f"the config says one scale for the head, but the files hold {_shown(shape)}"
    elif len(shape) != len(("rows", "groups")) or shape[:1] != weight.shape[:1]:
        yield f"the config says scales by {weights.strategy}, but those of the head have the shape {_shown(shape)}"


def _packed_faults(facts: HeadFacts, weights: EngineArgs, weight: HeadTensor) -> Iterator[str]:
    columns = facts.hidden_size
    if columns is None:
        return
    words = -(-columns * weights.num_bits // WORD_BITS)
    if weight.shape[1:] != (words,):
        yield f"{columns} columns of {weights.num_bits} bits are {words} words, but the head has the shape {_shown(weight.shape)}"
    group = weights.group_size if weights.strategy == "group" and weights.group_size else columns
    if columns % group:
        yield f"the group size {group} does not divide the {columns} columns of the head"
    scales = facts.tensors["weight_scale"].shape[1:]
    if scales not in ((columns // group,), (1,)):  # one column is spread over all groups without a word
        yield f"the head needs {columns // group} scales to a row, but the files hold {_shown(scales)}"
    per_word = values_per_word(weights.num_bits)
    if not weights.symmetric and weight.shape[0] % per_word:
        yield f"zero points of {weight.shape[0]} rows do not fill whole words of {per_word}, which the loader asserts"


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no dimension"
