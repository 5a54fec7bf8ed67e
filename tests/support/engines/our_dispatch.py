"""Our answers to the generated cases, in the words of the oracle that asks vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm import layers
from ctq.engines.vllm.dispatch import DispatchConfig
from ctq.engines.vllm.matching import PartlyIgnoredError, UnmatchedLayerError, find_matched_target, should_ignore_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctq.engines.vllm.rules import EngineRules


def match(case: dict[str, Any], rules: EngineRules) -> list[Any]:
    layer, fused = case["layer"], case["fused"]
    return [
        _attempt(lambda: find_matched_target(layer, case["cls"], case["targets"], fused, rules)),
        _attempt(lambda: should_ignore_layer(layer, case["ignore"], fused, rules)),
    ]


def dispatch(case: dict[str, Any], rules: EngineRules) -> str:
    fused = {name: tuple(parts) for name, parts in case["fused"].items()}
    try:
        config = DispatchConfig.from_quantization_config(
            case["config"], rules, fused_mapping=fused, capability=case["capability"]
        )
    except DispatchError as error:
        return f"config:{error.kind}"
    try:
        method = config.get_quant_method(getattr(layers, case["cls"])(), case["prefix"])
    except DispatchError as error:
        return f"layer:{error.kind}"
    return "none" if method is None else f"{method.kind}:{method.scheme}"


def _attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (PartlyIgnoredError, UnmatchedLayerError):
        return {"error": "ValueError"}
