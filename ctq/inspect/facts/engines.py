"""What each engine will make of the head: the verdicts of ``ctq.engines`` for the engines that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctq.checkpoint.faults import hides
from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.configs.tie_flags import tie_flags
from ctq.engines.verdicts.head_facts import HeadFacts, HeadTensor, Outcome
from ctq.engines.verdicts.transformers_layers import Layer, layers_outcome
from ctq.engines.verdicts.verdict import ENGINES, head_verdict, newest_version
from ctq.engines.vllm.head.geometry import head_columns
from ctq.engines.vllm_models.limits import limiting_switches
from ctq.engines.vllm_models.tie_levels import tied_in_vllm
from ctq.inspect.facts.engine_verdict import EngineVerdict
from ctq.inspect.facts.entries import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.inspect.facts.facts import Facts


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """An engine to judge the head by; ``version`` None is the newest known."""

    engine: str
    version: str | None = None


def with_engines(facts: Facts, requests: Sequence[EngineRequest]) -> Facts:
    """Return the facts with every engine's verdict on the head.

    Raises:
        UsageError: there is no such engine, or its version is not a version number.

    """
    return replace(facts, engines=judge_head(facts, requests))


def judge_head(facts: Facts, requests: Sequence[EngineRequest]) -> tuple[EngineVerdict, ...]:
    """Ask each engine that was requested, or the newest known release of every one.

    Raises:
        UsageError: there is no such engine, or its version is not a version number.

    """
    known = head_facts_for_engines(facts)
    asked = list(dict.fromkeys(requests)) or [EngineRequest(engine) for engine in ENGINES]
    heads = [_judge(known, request, decides=bool(requests) or request.engine == ENGINES[0]) for request in asked]
    unknown = _unknown(facts)
    if unknown:
        return tuple(replace(verdict, outcome=Outcome("unknown", unknown)) for verdict in heads)
    return tuple(_with_body(facts, verdict) for verdict in heads)


def _unknown(facts: Facts) -> str:
    """Say why no engine can be judged by what was seen; "" where all can."""
    if facts.checkpoint.source.is_file:  # which may well lie beside its config
        return "a file by itself, and engines go by its folder's config.json"
    if facts.head.state is State.ABSENT and hides(facts.checkpoint.faults):
        return "not all files could be read"
    return ""


def _judge(known: HeadFacts, request: EngineRequest, *, decides: bool) -> EngineVerdict:
    version = request.version or newest_version(request.engine)
    return EngineVerdict(request.engine, version, head_verdict(known, request.engine, version), decides)


def _with_body(facts: Facts, verdict: EngineVerdict) -> EngineVerdict:
    """Return the verdict, that of the body where a layer of it stops the engine."""
    if verdict.engine != "transformers" or verdict.outcome.is_bad or not facts.is_compressed_tensors:
        return verdict
    found = layers_outcome(facts.config.architecture, _layers(facts), verdict.version)
    if found is None:
        return verdict
    outcome, layer = found
    return replace(verdict, outcome=outcome, layer=layer)


def _layers(facts: Facts) -> Iterator[Layer]:
    for entry in facts.quantized:
        parts = entry.modules.parts
        if "weight_packed" in parts:
            yield Layer(entry.modules.names[0], "packed")
        elif "weight" in parts and parts["weight"].dtype == "I8":
            yield Layer(entry.modules.names[0], "int8")


def head_facts_for_engines(facts: Facts) -> HeadFacts:
    """Return what engines look at in a head: its tensors as they are, and the config as it stands."""
    config, head = facts.config, facts.head
    parts = head.entry.modules.parts if head.entry is not None else {}
    return HeadFacts(
        architecture=config.architecture,
        inner_architecture=inner_architecture(config),
        quantization=facts.quant.raw if facts.quant is not None else None,
        name=head.name if head.entry is not None else None,
        tensors={part: HeadTensor(tensor.dtype, tensor.shape) for part, tensor in parts.items()},
        tie_flags=tie_flags(config),
        vllm_ties=tied_in_vllm(config),
        pools=config.pools,
        limiting_switches=limiting_switches(config),
        vocab_size=config.vocab_size,
        hidden_size=head_columns(config),
    )
