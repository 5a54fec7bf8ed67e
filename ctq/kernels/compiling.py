"""Turn a kernel into machine code that stands alone. The only module that needs numba, and only on a first run.

Importing numba takes longer (half a second and more) than quantizing a gigabyte, and its own cache still needs it.
Kernels neither raise nor allocate, so what numba makes of them ends up, after one more round of LLVM's own
optimisation, as an object file with one symbol and no reference to anything else: llvmlite alone can load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import llvmlite.binding as llvm
from numba import cfunc, types

from ctq.kernels.kernel import SYMBOL, Kernel

_LIBC = frozenset({"memset", "memcpy", "memmove"})


def compile_object(kernel: Kernel, machine: Any) -> bytes:
    """Compile a kernel to an object file for a llvmlite target machine; its symbol is ``SYMBOL``."""
    function = getattr(import_module(f"ctq.kernels.{kernel.name}"), kernel.name)
    signature = types.void(*map(_numba_type, kernel.arguments))
    compiled = cfunc(signature, nopython=True, error_model="numpy")(function)
    module = llvm.parse_assembly(compiled.inspect_llvm())
    _keep_only(module, compiled.native_name)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    outside = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")} - _LIBC
    assert not outside, f"kernel {kernel.name} calls {sorted(outside)}"
    code: bytes = machine.emit_object(module)
    return code


def _keep_only(module: Any, name: str) -> None:
    """Hide everything but one function, so that the optimiser drops what that function does not need."""
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration:
            value.linkage = "internal"
    entry = module.get_function(name)
    entry.linkage = "external"
    entry.name = SYMBOL


def _numba_type(name: str) -> Any:
    scalar = getattr(types, name.removeprefix("*"))
    return types.CPointer(scalar) if name.startswith("*") else scalar
