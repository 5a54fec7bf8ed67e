"""What vLLM's dispatch makes of the head of a checkpoint: its method, or the words of the refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.vllm.layers import ParallelLMHead
from ctq.engines.vllm.matching import should_ignore_layer
from ctq.engines.vllm_models.heads import Reach, head_reach
from ctq.engines.vllm_models.model_dispatch import dispatch_of

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.vllm.dispatch import DispatchConfig, Method
    from ctq.engines.vllm.rules import EngineRules
    from ctq.engines.vllm.scheme_predicates import SchemeArgs


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadDispatch:
    """The head in one release: the name that it is looked up under, its method, and why.

    ``args`` are those of the method's scheme. Where the architecture is not known, the name in the files is taken for the name in
    the engine.
    """

    prefix: str
    method: Method | None
    args: SchemeArgs | None
    reason: str

    @property
    def scheme(self) -> str | None:
        """The scheme of a quantized head."""
        return self.method.scheme if self.method else None

    @property
    def quantized(self) -> bool:
        """Whether the head gets a linear method with a scheme; what embeddings get does not run as a head."""
        return self.method is not None and self.method.kind == "linear" and self.method.scheme is not None


def dispatch_config(config: ModelConfig, rules: EngineRules, *, capability: int | None) -> DispatchConfig | None:
    """Read the checkpoint's quantization config as vLLM does, or return None where there is none.

    Raises:
        DispatchError: vLLM refuses it.

    """
    raw = config.quantization
    return dispatch_of(config, raw, rules, capability=capability) if raw is not None else None


def dispatch_head(
    config: ModelConfig, quant: DispatchConfig | None, rules: EngineRules, *, name: str, packed: bool = False
) -> HeadDispatch:
    """Ask for the method of the head, which the files call ``name``.

    ``packed`` says that its codes are called ``weight_packed``, which matters where the engine always ties it.

    Raises:
        DispatchError: vLLM refuses the layer, or would refuse every layer.

    """
    if quant is None:
        return HeadDispatch(prefix=name, method=None, args=None, reason="no quantization config")
    reach = head_reach(
        config.architecture, tuple(quant.schemes), inner=inner_architecture(config), version=rules.asked, packed=packed
    )
    prefix = name if reach.prefix is None else reach.prefix.replace("<idx>", "0")
    if reach.status == "impossible":
        return HeadDispatch(prefix=prefix, method=None, args=None, reason=reach.reason)
    layer = ParallelLMHead()
    method = quant.get_quant_method(layer, prefix)
    found = quant.matched(layer, prefix) if method is not None and method.scheme is not None else None
    return HeadDispatch(
        prefix=prefix,
        method=method,
        args=found.args if found else None,
        reason=_reason(quant, method, prefix, reach),
    )


def _reason(quant: DispatchConfig, method: Method | None, prefix: str, reach: Reach) -> str:
    shown = prefix or "the nameless head"
    if method is not None and method.target:
        return f"target `{method.target}` reaches {shown}"
    if _is_ignored(quant, prefix):
        return f"`ignore` holds {shown}"
    return reach.reason if reach.status == "missed" else f"no target reaches {shown}"


def _is_ignored(quant: DispatchConfig, prefix: str) -> bool:
    return should_ignore_layer(prefix, quant.ignore or (), quant.fused_mapping, quant.rules)
