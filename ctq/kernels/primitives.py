"""The few machine-level steps that compiled loops are written in: pointers, bits, and sums in any order.

As numba intrinsics they cost nothing to compile, and need neither arrays nor their runtime: what is built from them
calls no function outside itself, so that its machine code can be kept and loaded without numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

LANES = 32
"""How many sums a loop keeps side by side where the order must be the same on every processor."""

Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(function: Function) -> Function:
    """Compile a part of a kernel, to be inlined; division follows IEEE 754 and raises nothing."""
    compiled = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return cast("Function", compiled)


def _primitive(function: Callable[..., Any]) -> Callable[..., Any]:
    made: Callable[..., Any] = intrinsic(function)
    return made


def _unchanged(_target: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
    return arguments[0]


def chosen_for(stub: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the one that picks, by numba types, what kernels call in place of ``stub``."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("Callable[[Callable[..., Any]], Callable[..., Any]]", overload(stub, jit_options=options))


@_primitive
def peek(_context: Any, pointer: Any, index: Any) -> Any:
    """Read element ``index`` of what ``pointer`` points at."""

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.gep(arguments[0], [arguments[1]], inbounds=True))

    return pointer.dtype(pointer, index), code


@_primitive
def poke(_context: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Write element ``index`` of what ``pointer`` points at; integers keep their low bits."""

    def code(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = target.cast(builder, arguments[2], signature.args[2], pointer.dtype)
        builder.store(value, builder.gep(arguments[0], [arguments[1]], inbounds=True))
        return target.get_dummy_value()

    return types.void(pointer, index, value), code


@_primitive
def advance(_context: Any, pointer: Any, count: Any) -> Any:
    """Return the pointer to the element ``count`` further on."""

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]], inbounds=True)

    return pointer(pointer, count), code


@_primitive
def make_lanes(_context: Any) -> Any:
    """Return ``LANES`` float32 numbers of the kernel's own, of any content."""

    def code(_target: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        lanes = cgutils.alloca_once(builder, ir.ArrayType(ir.FloatType(), LANES))
        return builder.bitcast(lanes, ir.PointerType(ir.FloatType()))

    return types.CPointer(types.float32)(), code


@_primitive
def as_signed(_context: Any, bits: Any) -> Any:
    """Read an integer as a signed one of the same size."""
    return types.Integer.from_bitwidth(bits.bitwidth, signed=True)(bits), _unchanged


@_primitive
def as_unsigned(_context: Any, bits: Any) -> Any:
    """Read an integer as an unsigned one of the same size."""
    return types.Integer.from_bitwidth(bits.bitwidth, signed=False)(bits), _unchanged


@_primitive
def as_pointee(_context: Any, bits: Any, pointer: Any) -> Any:
    """Read an integer as what ``pointer`` points at, which has the same size."""
    return pointer.dtype(bits, pointer), _unchanged


@_primitive
def as_float(_context: Any, bits: Any) -> Any:  # noqa: ARG001
    """Read 32 bits as a float32."""

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), code


@_primitive
def as_bits(_context: Any, number: Any) -> Any:  # noqa: ARG001
    """Read a float32 as 32 bits."""

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), code


@_primitive
def add_square(_context: Any, total: Any, term: Any) -> Any:  # noqa: ARG001
    """Add a square in whatever order vectorises. For statistics alone: nothing stored may depend on an order."""
    flags = ("reassoc", "contract")

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        square = builder.fmul(arguments[1], arguments[1], flags=flags)
        return builder.fadd(arguments[0], square, flags=flags)

    return types.float32(types.float32, types.float32), code
