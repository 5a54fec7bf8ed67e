"""A checkpoint's quantization config as the engine holds it for the checkpoint's own model class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch import DispatchConfig
from ctq.engines.engine_names import engine_names
from ctq.engines.fused import fused_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.rules import EngineRules


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
