"""Start SGLang in one process without a device: its context, its groups, and what a GPU would be asked."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from importlib.metadata import version
from typing import Any

import torch

CAPABILITY = (9, 0)
"""The card that the rules are asked for: a Hopper."""


def begin() -> str:
    """Prepare the process as a scheduler of one rank does, and return SGLang's version."""
    torch.cuda.get_device_capability = lambda *_: CAPABILITY
    from sglang.srt.distributed import parallel_state
    from sglang.srt.platforms import current_platform
    from sglang.srt.server_args import ServerArgs

    type(current_platform).get_device = lambda *_: "meta"  # the Transformers backend puts its buffers there
    publish(ServerArgs(model_path="none", device="cpu"))
    store = tempfile.mkdtemp(prefix="ctq-sglang-")
    atexit.register(shutil.rmtree, store, ignore_errors=True)
    parallel_state.init_distributed_environment(
        world_size=1, rank=0, local_rank=0, backend="gloo", distributed_init_method=f"file://{store}/store"
    )
    parallel_state.initialize_model_parallel(backend="gloo")
    return version("sglang")


def publish(arguments: Any) -> None:
    """Install the arguments process-wide, as each release does it."""
    from sglang.srt import runtime_context

    ranks = {"ranks": runtime_context.SpawnRanks(world_rank=0)} if hasattr(runtime_context, "SpawnRanks") else {}
    runtime_context.publish(arguments, role="scheduler", **ranks)


def configs(folder: str) -> tuple[Any, Any]:
    """Read a checkpoint's config as SGLang does, and take its options of loading by default."""
    from sglang.srt.configs.load_config import LoadConfig
    from sglang.srt.configs.model_config import ModelConfig

    return ModelConfig(folder, dtype="bfloat16"), LoadConfig()


def quantization(config: Any, options: Any) -> Any:
    """Read the quantization config as SGLang's loader does."""
    from sglang.srt.model_loader import loader

    return loader._get_quantization_config(config, options)


def initialize(config: Any, options: Any, quantization: Any) -> Any:
    """Build the model class as SGLang's loader does."""
    from sglang.srt.model_loader import loader

    return loader._initialize_model(config, options, quantization)
