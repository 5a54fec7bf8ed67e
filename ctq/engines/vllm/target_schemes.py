"""From a ``quantization_config`` to the map of targets that vLLM keeps, with the refusals that it makes while reading.

Source: vLLM 0.32.0 model_executor/layers/quantization/compressed_tensors/compressed_tensors.py:248-391 (``from_config``) and 1102
(``validate_kv_cache_scheme``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import parse_args
from ctq.engines.raw_config import raw_format
from ctq.engines.vllm.scheme_choice import ACTIVATION_FORMATS
from ctq.engines.vllm.scheme_predicates import SchemeArgs
from ctq.engines.vllm.transforms import check_transforms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.vllm.rules import EngineRules

_KV_STRATEGIES = ("tensor", "attn_head")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetScheme:
    """What one target of a group asks for."""

    target: str
    group: str
    args: SchemeArgs


def read_target_schemes(raw: Mapping[str, Any], rules: EngineRules) -> dict[str, TargetScheme]:
    """Return the scheme of every target, in the order of the config; one that comes again keeps its place and takes the new scheme.

    Raises:
        DispatchError: vLLM refuses the config while reading it.

    """
    schemes: dict[str, TargetScheme] = {}
    for name, group, targets in _groups(raw, rules):
        args = _scheme_args(name, group, raw.get("format"), rules) if targets else None
        for target in targets:
            if args is not None:
                schemes[target] = TargetScheme(target=target, group=name, args=args)
    return schemes


def read_ignore(raw: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the patterns of ``ignore``; None where it is null, which vLLM only notices at the first layer.

    Raises:
        DispatchError: it is nothing to go through, or holds what is no string.

    """
    ignore = raw.get("ignore", [])
    if ignore is None:
        return None
    if not isinstance(ignore, list | str | dict) or not all(isinstance(pattern, str) for pattern in ignore):
        raise DispatchError("TypeError", "ignore is not a list of strings")
    return tuple(ignore)


def check_sparsity(raw: Mapping[str, Any], rules: EngineRules) -> None:
    """Refuse a config with sparse targets, from 0.22 on, and what is no config of sparsity or of transforms at all.

    Raises:
        DispatchError: there are some.

    """
    check_transforms(raw.get("transform_config"))
    sparsity = raw.get("sparsity_config")
    if sparsity and not isinstance(sparsity, dict):
        raise DispatchError("ValidationError", "sparsity_config is not an object")
    if sparsity and "format" not in sparsity:
        raise DispatchError("ValidationError", "sparsity_config has no format")
    if rules.refuses_sparsity and isinstance(sparsity, dict) and sparsity.get("targets"):
        raise DispatchError("DeprecationWarning", "sparsity support has been removed from vLLM")


def check_kv_cache(scheme: Mapping[str, Any] | None, rules: EngineRules) -> None:
    """Refuse a scheme of the cache that is not float8, symmetric, per tensor or attention head.

    Raises:
        DispatchError: it is another.

    """
    if scheme is None or not rules.reads_kv_cache_scheme:
        return
    if not isinstance(scheme, dict):
        raise DispatchError("AttributeError", "kv_cache_scheme is not an object")
    wrong = (scheme.get("type") != "float", scheme.get("num_bits") != 8)
    if any(wrong) if rules.kv_cache_needs_both else all(wrong):
        raise DispatchError(
            "NotImplementedError", f"kv_cache_scheme: {scheme.get('type')}{scheme.get('num_bits')} is not float8"
        )
    if scheme.get("strategy") not in _KV_STRATEGIES:
        raise DispatchError("NotImplementedError", f"kv_cache_scheme: strategy {scheme.get('strategy')}")
    if not scheme.get("symmetric"):
        raise DispatchError("NotImplementedError", "kv_cache_scheme: asymmetric scales")


def read_groups(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], list[str]]]:
    """Yield the name, the group and the targets of each of ``config_groups``; of a text, each letter is one.

    Raises:
        DispatchError: they are no objects with lists of texts for targets.

    """
    groups = raw.get("config_groups", {})
    if not isinstance(groups, dict):
        raise DispatchError("AttributeError", "config_groups is not an object")
    for name, group in groups.items():
        targets = group.get("targets") if isinstance(group, dict) else None
        if not isinstance(targets, list | str) or not all(isinstance(target, str) for target in targets):
            raise DispatchError("TypeError", f"config_groups.{name} has no list of targets")
        yield name, group, list(targets)


def _groups(raw: Mapping[str, Any], rules: EngineRules) -> Iterator[tuple[str, Mapping[str, Any], list[str]]]:
    """Yield the groups that the release reads."""
    for name, group, targets in read_groups(raw):
        is_attention = len(targets) == 1 and targets[0].endswith("Attention")
        if not (is_attention and rules.skips_attention_groups):
            yield name, group, targets


def _scheme_args(name: str, group: Mapping[str, Any], config_format: str | None, rules: EngineRules) -> SchemeArgs:
    weights = parse_args(group.get("weights"))
    if rules.refuses_group_actorder and weights.actorder == "group":
        raise DispatchError("ValueError", f"config_groups.{name}: activation ordering by group is no longer supported")
    in_force = raw_format({"format": config_format}, group)
    inputs = group.get("input_activations")
    if not inputs and in_force in ACTIVATION_FORMATS and weights.type != "float":
        raise DispatchError(
            "AssertionError", f"config_groups.{name}: weight-only INT in format {in_force}, which vLLM asserts against"
        )
    outputs = group.get("output_activations") if rules.wna8o8 != "no" else None
    return SchemeArgs(
        weights=weights,
        inputs=parse_args(inputs) if inputs else None,
        outputs=parse_args(outputs) if outputs else None,
        format=in_force,
    )
