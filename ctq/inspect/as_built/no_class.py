"""Whether the architecture that a config names has a class in any loader, and in the vLLM that is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctq.engines.vllm_models.heads import newest_vllm
from ctq.engines.vllm_models.known_names import known_architectures, model_types
from ctq.engines.vllm_models.own_code import brings_a_model, is_read
from ctq.engines.vllm_models.registry import generating_name, last_release_with, registered_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.inspect.facts.facts import Facts


class NoClass(NamedTuple):
    """Why there is no class for an architecture, and what to do about it."""

    why: str
    hint: str


def without_class(facts: Facts) -> Iterator[NoClass]:
    """Yield what loaders lack for the architecture: a class that an older vLLM had, or any at all."""
    config = facts.config
    asked = next((one.version for one in facts.engines if one.engine == "vllm"), newest_vllm())
    last = last_release_with(config.architecture, asked) if config.architecture is not None else None
    if last is not None:
        yield NoClass(
            why=f"vLLM {asked} has no {config.architecture} any more, {last} had",
            hint=f"serve with vLLM {last}, or leave this rule out if an engine of yours has it",
        )
    if _is_unknown(config):
        is_typed = config.model_type in model_types()
        though = (
            f"although the model_type {config.model_type!r} is known" if is_typed else "and auto_map brings no model"
        )
        yield NoClass(
            why=f"no loader knows the architecture {config.architecture!r}, {though}",
            hint="give the architecture of the model that was quantized; leave this rule out if an engine of yours has it",
        )


def _is_unknown(config: ModelConfig) -> bool:
    name, listed = config.architecture, config.raw.get("architectures")
    if name is None or brings_a_model(config) or not is_read(config):
        return False
    if name in known_architectures() or registered_name(name) is not None:
        return False
    others = [other for other in listed if isinstance(other, str)] if isinstance(listed, list) else []
    return all(generating_name(other) is None for other in others)
