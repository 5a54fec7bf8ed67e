"""Stand in for the sparse attention that a CPU build of vLLM lacks, so that models which have it can be built and loaded.

The backend is CUDA's own, which is never run here; what it would ask a GPU for while it is made is given without memory.
"""

from __future__ import annotations

from typing import Any

import torch

_CUDA_CLASSES = {
    "DeepseekV32ForCausalLM": ("vllm.models.deepseek_v32.nvidia.model", "DeepseekV32ForCausalLM"),
    "GlmMoeDsaForCausalLM": ("vllm.models.deepseek_v32.nvidia.model", "DeepseekV32ForCausalLM"),
}
"""The classes that vLLM takes on CUDA in place of those for other platforms (vLLM 0.32.0 models/deepseek_v32/__init__.py:19)."""


class _NoMemory:
    """A manager of workspaces that has none (vLLM 0.32.0 v1/worker/workspace.py)."""

    def get_simultaneous(self, *specs: tuple[tuple[int, ...], torch.dtype]) -> list[torch.Tensor]:
        return [torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in specs]


def install_sparse_attention() -> None:
    """Let CUDA's backend be chosen where this platform has none for sparse attention, and CUDA's classes be built."""
    from vllm.model_executor.models.registry import ModelRegistry, _LazyRegisteredModel
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum
    from vllm.v1.worker import workspace

    kind: Any = type(current_platform)
    own = kind.get_attn_backend_cls.__func__
    sparse = AttentionBackendEnum.FLASHMLA_SPARSE.get_path()

    def chosen(cls: Any, /, *args: Any, attn_selector_config: Any, **kwargs: Any) -> str:
        if attn_selector_config.use_sparse:
            return str(sparse)
        return str(own(cls, *args, attn_selector_config=attn_selector_config, **kwargs))

    kind.get_attn_backend_cls = classmethod(chosen)
    if not workspace.is_workspace_manager_initialized():
        workspace._manager = _NoMemory()
    for architecture, (module, name) in _CUDA_CLASSES.items():
        ModelRegistry.models[architecture] = _LazyRegisteredModel(module_name=module, class_name=name)
