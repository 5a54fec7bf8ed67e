"""Load a kernel: from kept machine code with llvmlite alone, or compiled once with numba and kept."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from ctq.kernels.code_cache import keep_code, read_code
from ctq.kernels.kernel import SOURCES, SYMBOL, Kernel

_C_TYPES = {"int64": ctypes.c_int64}
"""Of numbers; all else are addresses."""
_lock = threading.Lock()
_engines: list[Any] = []  # the owners of loaded code, which lives as long as they do


def load_kernel(kernel: Kernel) -> Callable[..., None]:
    """Return a kernel as a function of addresses and numbers, which runs without the interpreter's lock."""
    with _lock:
        return _load(kernel)


@cache
def _load(kernel: Kernel) -> Callable[..., None]:
    machine = _machine()
    name = f"{kernel.name}-{kernel.dtype}-{_key(kernel)}.o"
    code = read_code(name)
    if code is None:
        from ctq.kernels.compiling import compile_object  # noqa: PLC0415  # numba is slow to import

        code = compile_object(kernel, machine)
        keep_code(name, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    function: Callable[..., None] = _signature(kernel)(engine.get_function_address(SYMBOL))
    return function


def _signature(kernel: Kernel) -> Any:
    arguments: list[Any] = [_C_TYPES.get(argument, ctypes.c_void_p) for argument in kernel.arguments]
    return ctypes.CFUNCTYPE(None, *arguments)


@cache
def _machine() -> Any:
    """Describe this computer to LLVM, with all that its processor can do."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="static",
        codemodel="jitdefault",
        jit=True,
    )


def _key(kernel: Kernel) -> str:
    """Identify all that machine code depends on."""
    folder = Path(__file__).parent
    key = hashlib.sha256(b"".join((folder / source).read_bytes() for source in SOURCES))
    for text in (llvmlite.__version__, llvm.get_process_triple(), _cpu(), *kernel.arguments):
        key.update(text.encode() + b"\n")
    return key.hexdigest()[:16]


def _cpu() -> str:
    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
