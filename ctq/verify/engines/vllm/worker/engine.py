"""Import vLLM quietly and prepare one process for building many models without a device."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_KEPT: list[Any] = []


def import_engine() -> dict[str, Any]:
    """Import vLLM and say what it is: version, torch, platform, device.

    Raises ImportError (and whatever a broken installation raises) when it cannot be imported.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in SETTINGS.items()})
    mend_torchvision()
    import vllm
    from vllm.platforms import current_platform

    inspect_in_process()
    mend_triton()
    return {
        "version": vllm.__version__,
        "torch": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": type(current_platform).__name__,
        "device": current_platform.device_type or "none",
        "device_name": device_name(),
    }


def device_name() -> str:
    """Name the device that heads are run on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def mend_torchvision() -> None:
    """Define the operators whose absence makes the plain torchvision wheel fail to import beside a CPU torch."""
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)  # an operator lives as long as the library that defined it


def mend_triton() -> None:
    """Give the placeholder that CPU builds have for Triton the one function that a model calls while it is built."""
    from vllm.triton_utils import triton

    if not hasattr(triton, "set_allocator"):
        triton.set_allocator = lambda allocator: None  # noqa: ARG005


def inspect_in_process() -> None:
    """Inspect architectures here instead of in a process of 8 s each (vLLM 0.32.0 registry.py:1079)."""
    from vllm.model_executor.models import registry

    registry._run_in_subprocess = lambda function: function()


@contextlib.contextmanager
def parallel_state(config: Any, *, size: int, rank: int) -> Iterator[None]:
    """Enter the parallel state of one rank of a tensor parallel group, with no other rank present.

    The groups exist with one member each and are told another size and rank afterwards; expert groups depend on the model, so
    they are made anew for each.
    """
    from vllm.config import set_current_vllm_config
    from vllm.distributed import parallel_state as state

    with set_current_vllm_config(config):
        init_process_group(state)
        state.initialize_model_parallel(1, 1)
        group = state.get_tp_group()
        group.world_size, group.rank_in_group = size, rank
        try:
            yield
        finally:
            state.destroy_model_parallel()
            config.compilation_config.static_forward_context.clear()


def init_process_group(state: Any) -> None:
    """Make the world of one process, once; its store is a file of the worker's own folder, which goes with the worker."""
    if torch.distributed.is_initialized():
        return
    store = Path("store").absolute()
    state.init_distributed_environment(
        world_size=1, rank=0, distributed_init_method=f"file://{store}", local_rank=0, backend="gloo"
    )
