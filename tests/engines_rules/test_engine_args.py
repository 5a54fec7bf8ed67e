"""Quantization arguments are read as compressed-tensors reads them, oddities included."""

from __future__ import annotations

import warnings
from typing import Any

from compressed_tensors.quantization import QuantizationArgs
from hypothesis import given, settings
from hypothesis import strategies as st

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import parse_args


def still_taken(*orders: object) -> list[object]:
    """Leave out what the installed release dropped (0.20: groups, and capitals): ours is the way of 0.17, which vLLM 0.32.0 has."""

    def is_taken(order: object) -> bool:
        try:
            QuantizationArgs.model_validate({"actorder": order, "group_size": 32})
        except ValueError:
            return False
        return True

    return [order for order in orders if is_taken(order)]


USUAL = {
    "num_bits": st.sampled_from([4, 8, "8", 8.0]),
    "type": st.sampled_from(["int", "INT", "float"]),
    "symmetric": st.sampled_from([True, False, 0, 1]),
    "group_size": st.sampled_from([None, -1, 0, 32, 128]),
    "strategy": st.sampled_from([None, "tensor", "channel", "GROUP", "group", "block", "token", "tensor_group"]),
    "block_structure": st.sampled_from([None, [128, 128]]),
    "dynamic": st.sampled_from([False, True, "local", None]),
    "actorder": st.sampled_from([None, False, "weight", *still_taken(True, "group")]),
    "scale_dtype": st.sampled_from([None, "torch.uint8", "uint8"]),
    "observer": st.sampled_from(["minmax", None]),
}
ODD = {
    "num_bits": st.sampled_from(["9" * 5000, 8.5, None, True, 16, 2, "x", 0, -1]),
    "type": st.sampled_from([None, "x", 3]),
    "symmetric": st.sampled_from(["true", "no", None, 2, "maybe", 1.0]),
    "group_size": st.sampled_from(["64", 16.0, -2, []]),
    "strategy": st.sampled_from(["attn_head", "x", 3]),
    "block_structure": st.sampled_from(["128x128", [1], "x"]),
    "dynamic": st.sampled_from(["LOCAL", "x", 0, 1, "true"]),
    "actorder": st.sampled_from(["x", 3, *still_taken("Static", "dynamic")]),
    "scale_dtype": st.just(3),
    "observer": st.just(3),
    "observer_kwargs": st.sampled_from([{}, None]),
    "unheard": st.just(1),
}


def ours(raw: dict[str, Any]) -> tuple[Any, ...] | None:
    try:
        args = parse_args(raw)
    except DispatchError:
        return None
    return (args.num_bits, args.type, args.symmetric, args.group_size, args.strategy, args.dynamic, args.actorder)


def theirs(raw: dict[str, Any]) -> tuple[Any, ...] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            args = QuantizationArgs.model_validate(raw)
        except (ValueError, TypeError, NotImplementedError):
            return None
    actorder = {"static": "weight", "dynamic": "group"}.get(str(args.actorder), args.actorder)
    return (args.num_bits, args.type, args.symmetric, args.group_size, args.strategy, args.dynamic, actorder)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({}, optional=USUAL))
def test_usual_arguments(raw: dict[str, Any]) -> None:
    assert ours(raw) == theirs(raw)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional=USUAL), st.fixed_dictionaries({}, optional=ODD))
def test_odd_arguments(raw: dict[str, Any], odd: dict[str, Any]) -> None:
    assert ours({**raw, **dict(list(odd.items())[:1])}) == theirs({**raw, **dict(list(odd.items())[:1])})


def test_what_is_no_object_is_refused() -> None:
    assert ours(None) is ours([]) is ours("W8A8") is None  # type: ignore[arg-type]
