"""Stand in for the CUDA kernels that a CPU build of vLLM lacks, with those kernels' own conditions.

A stand-in lets a model be built and loaded; it never proves that the kernel works, and every report says which layers had one.
The engine's own choosing runs first: stand-ins come last in its lists, so a build that has a kernel uses it.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from typing import Any

import torch

from .dequantize import unpack
from .standin_attention import install_sparse_attention

NAMES: dict[str, str] = {}  # class name of a stand-in -> the kernel that it stands for
USED: Counter[str] = Counter()  # how often each linear stand-in was made


def install() -> None:
    """Append the stand-ins where this build has no CUDA kernels; do nothing on CUDA."""
    from vllm.platforms import current_platform

    if current_platform.is_cuda_alike():
        return
    install_linear(current_platform)
    for stand_ins in (
        *(install_gptq_types, install_int8_experts, install_packed_experts),
        *(install_ungated_experts, install_sparse_attention),
    ):
        # Older versions choose them elsewhere, or have no such layers.
        with contextlib.suppress(ImportError, AttributeError):
            stand_ins()


def install_linear(platform: Any) -> None:
    """Append a weight-only linear kernel that accepts what Machete or Marlin accept."""
    from vllm.model_executor.kernels import linear
    from vllm.model_executor.kernels.linear.mixed_precision import MPLinearKernel

    base: Any = MPLinearKernel.MPLinearKernel if hasattr(MPLinearKernel, "MPLinearKernel") else MPLinearKernel

    class StandInWNA16(base):  # type: ignore[misc]  # a class of the engine, known only at run time
        """Weight-only linear by dequantization."""

        @classmethod
        def get_min_capability(cls) -> int:
            return 0

        @classmethod
        def can_implement(cls, c: Any) -> tuple[bool, str | None]:
            reasons = [machete_refuses(c), marlin_refuses(c)]
            if None in reasons:
                return True, None
            return False, f"stand-in: Machete: {reasons[0]}; Marlin: {reasons[1]}"

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            USED[NAMES[type(self).__name__]] += 1

        def process_weights_after_loading(self, layer: torch.nn.Module) -> None:
            """Keep the tensors as the files have them."""

        def apply_weights(
            self, layer: torch.nn.Module, x: torch.Tensor, bias: torch.Tensor | None = None
        ) -> torch.Tensor:
            packed, scale = getattr(layer, self.w_q_name).data, getattr(layer, self.w_s_name).data
            zero = getattr(layer, self.w_zp_name or "", None)
            weight = unpack(packed, scale, zero, bits=self.config.weight_type.size_bits)
            return torch.nn.functional.linear(x, weight.to(x.dtype), bias)

    NAMES[StandInWNA16.__name__] = "Machete or Marlin"
    kernels = linear._POSSIBLE_KERNELS
    kernels[platform._enum] = [*kernels.get(platform._enum, []), StandInWNA16]


def install_gptq_types() -> None:
    """Let GPTQ's config pass with 8 bits, which Marlin takes on CUDA (vLLM 0.32.0 marlin_utils.py:83)."""
    from vllm.model_executor.layers.quantization.utils import marlin_utils
    from vllm.scalar_type import scalar_types

    own = marlin_utils._query_cpu_marlin_supported_quant_types

    @functools.wraps(own)
    def with_eight_bits(*args: Any, **kwargs: Any) -> list[Any]:
        types = list(own(*args, **kwargs))  # with zero points no type of GPTQ's is among them
        return [*types, scalar_types.uint8b128] if scalar_types.uint4b8 in types else types

    marlin_utils._query_cpu_marlin_supported_quant_types = with_eight_bits


def machete_refuses(c: Any) -> str | None:
    """Say why Machete would not take a layer (vLLM 0.32.0 machete.py:27, machete_utils.py:12-52), on compute capability 9.0."""
    k, n = c.partition_weight_shape
    types = ("uint4", "uint8") if c.zero_points else ("uint4b8", "uint8b128")
    groups = (-1, 64, 128) if c.act_type in (torch.float16, torch.bfloat16) else (-1, 128)
    if str(c.weight_type) not in types:
        return f"weight type {c.weight_type}"
    if c.group_size not in groups:
        return f"group size {c.group_size}"
    if k % 64 or n % 128:
        return f"in {k} not a multiple of 64 or out {n} not a multiple of 128"
    return None


def marlin_refuses(c: Any) -> str | None:
    """Say why Marlin would not take a layer (vLLM 0.32.0 marlin.py:38-74, marlin_utils.py:48-89), on 7.5 and later."""
    types = ("uint4",) if c.zero_points else ("uint4b8", "uint8b128")
    if str(c.weight_type) not in types:
        return f"weight type {c.weight_type}"
    if c.group_size not in (-1, 32, 64, 128):
        return f"group size {c.group_size}"
    k = c.partition_weight_shape[0]
    if c.group_size != -1 and c.group_size < c.full_weight_shape[0] and k % c.group_size:
        return f"in {k} per rank not a multiple of group size {c.group_size}"
    return None


def install_int8_experts() -> None:
    """Append Triton's INT8 experts, which need CUDA only to run, to the backends that the engine tries."""
    from vllm.model_executor.layers.fused_moe.oracle import int8

    real: Any = int8.backend_to_kernel_cls(int8.Int8MoeBackend.TRITON)[0]
    keys = (int8.kInt8StaticChannelSym, int8.kInt8DynamicTokenSym)

    class StandInInt8Experts(real):  # type: ignore[misc]
        """INT8 experts for loading only."""

        @staticmethod
        def _supports_current_device() -> bool:
            return True

        @staticmethod
        def _supports_quant_scheme(weight_key: Any, activation_key: Any) -> bool:
            # On CUDA 7.5 and later Triton takes exactly this pair for per-channel weights (triton_moe.py:153).
            return (weight_key, activation_key) == keys

    NAMES[StandInInt8Experts.__name__] = "Triton INT8 experts"
    last = list(int8.Int8MoeBackend)[-1].name
    append_experts(int8, {last: StandInInt8Experts})


def install_packed_experts() -> None:
    """Append Marlin's and Triton's weight-only experts, with the engine's own conditions but for the device."""
    from vllm.model_executor.layers.fused_moe.oracle import int_wna16

    backends = int_wna16.WNA16MoEBackend
    marlin: Any = int_wna16.backend_to_kernel_cls(backends.MARLIN)[0]
    triton: Any = int_wna16.backend_to_kernel_cls(backends.TRITON)[0]

    class StandInMarlinExperts(marlin):  # type: ignore[misc]
        """Marlin experts for loading only."""

        @staticmethod
        def _supports_current_device() -> bool:
            return True

    class StandInTritonExperts(triton):  # type: ignore[misc]
        """Triton weight-only experts for loading only."""

        @staticmethod
        def _supports_current_device() -> bool:
            return True

    NAMES[StandInMarlinExperts.__name__] = "Marlin experts"
    NAMES[StandInTritonExperts.__name__] = "Triton weight-only experts"
    append_experts(int_wna16, {"MARLIN": StandInMarlinExperts, "TRITON": StandInTritonExperts})
    # On a CPU the engine asks only the CPU's backends (int_wna16.py:128); on CUDA it would come to these two.
    own = int_wna16._get_priority_backends
    more = [backends.MARLIN, backends.TRITON]
    int_wna16._get_priority_backends = lambda: [*own(), *more]
    reason = int_wna16._backend_incompatibility_reason

    @functools.wraps(reason)
    def by_group(backend: Any, config: Any, quant_config: Any, *args: Any) -> Any:
        # What takes groups alone is chosen for scales per row too and then asserted against (compressed_tensors_moe_wna16.py:127),
        # which CUDA never comes to: there Marlin is asked first.
        if backend not in more and getattr(quant_config, "strategy", None) == "channel":
            return "scales per row want Marlin"
        return reason(backend, config, quant_config, *args)

    int_wna16._backend_incompatibility_reason = by_group


def install_ungated_experts() -> None:
    """Let experts without a gate (Nemotron-H's) be built, which the engine does on CUDA alone, and append Triton's dense ones."""
    from vllm.model_executor.layers.fused_moe import config
    from vllm.model_executor.layers.fused_moe.oracle import unquantized

    real: Any = unquantized.backend_to_kernel_cls(unquantized.UnquantizedMoeBackend.TRITON)[0]
    own = config.FusedMoEConfig.__post_init__

    class Accelerator:
        """The platform, but for its answer to whether it is one (vLLM 0.32.0 fused_moe/config.py:1399)."""

        def __getattr__(self, name: str) -> Any:
            return getattr(platform, name)

        def is_xpu(self) -> bool:
            return True

    platform = config.current_platform

    @functools.wraps(own)
    def post_init(self: Any) -> None:
        config.current_platform = Accelerator()
        try:
            own(self)
        finally:
            config.current_platform = platform

    config.FusedMoEConfig.__post_init__ = post_init

    class StandInExperts(real):  # type: ignore[misc]
        """Dense experts for loading only."""

        @staticmethod
        def _supports_current_device() -> bool:
            return True

    NAMES[StandInExperts.__name__] = "Triton experts"
    append_experts(unquantized, {"CPU": StandInExperts})


def append_experts(oracle: Any, experts: dict[str, type]) -> None:
    """Let the engine find each class at the end of its backend's own list."""
    real = oracle.backend_to_kernel_cls

    @functools.wraps(real)
    def with_stand_in(backend: Any) -> list[type]:
        own = list(real(backend))
        return [*own, experts[backend.name]] if backend.name in experts else own

    oracle.backend_to_kernel_cls = with_stand_in
