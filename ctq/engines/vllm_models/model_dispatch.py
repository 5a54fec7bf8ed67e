"""A checkpoint's quantization config as the engine holds it for the checkpoint's own model class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.vllm.dispatch import DispatchConfig
from ctq.engines.vllm.fused import fused_mapping
from ctq.engines.vllm_models.names import engine_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.vllm.rules import EngineRules


def model_dispatch(
    raw: Mapping[str, Any],
    rules: EngineRules,
    *,
    architecture: str | None,
    inner: str | None = None,
    capability: int | None = None,
) -> DispatchConfig:
    """Read ``raw`` as vLLM does for a model: with its fused layers, and plain names mapped as its class maps them.

    ``inner`` is the architecture of the text model inside a multimodal one, or its ``model_type``.

    Raises:
        DispatchError: vLLM refuses the config itself.

    """
    dispatch = DispatchConfig.from_quantization_config(
        raw, rules, fused_mapping=fused_mapping(architecture), capability=capability
    )
    names = engine_names(architecture, inner)
    return dispatch.renamed(names.pattern) if names is not None else dispatch


def dispatch_of(
    config: ModelConfig, raw: Mapping[str, Any], rules: EngineRules, *, capability: int | None = None
) -> DispatchConfig:
    """Read ``raw`` as vLLM does for the model of ``config``.

    Raises:
        DispatchError: vLLM refuses the config itself.

    """
    inner = inner_architecture(config)
    return model_dispatch(raw, rules, architecture=config.architecture, inner=inner, capability=capability)
