"""What SGLang makes of a head. Pure.

From 0.5.19 on (PR 35228) a head is quantized when a target names it, exactly, by a dotted ending or by a regular expression; the
names of classes are not asked for. Before, every head is dense. Tensors that have no parameter are passed over in silence. Source:
SGLang 0.5.23 srt/layers/quantization/compressed_tensors/compressed_tensors.py:187-208, 672-850 and 1095-1150, utils.py
(``check_equal_or_regex_match``), models/llama.py:560-580 and 796.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctq.engines import scheme_predicates as asks
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import parse_args
from ctq.engines.head_facts import Outcome, Stored
from ctq.engines.head_loading import Loader, load_dense, load_quantized
from ctq.engines.raw_config import raw_format, raw_targets, strings
from ctq.engines.scheme_choice import ACTIVATION_FORMATS, describe
from ctq.engines.versions import version_key
from ctq.errors import UsageError
from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctq.engines.head_facts import HeadFacts

_LOADER = Loader(engine="SGLang", refuses_unknown_names=False)
_WNA16_BITS = (4, 8)
_NAMES = ("lm_head", "language_model.lm_head")
"""Names that its model classes build heads with; which one is not recorded by architecture."""


def newest_sglang() -> str:
    """Return the newest release of SGLang that the data covers."""
    return str(_data()["version"])


def sglang_outcome(facts: HeadFacts, version: str) -> Outcome:
    """Return what SGLang ``version`` makes of the head.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    if facts.method not in (None, "compressed-tensors"):
        return Outcome("unknown", f"the quantization method {facts.method} is not judged here")
    untied = _untied(facts)
    if untied is not None:
        return untied
    if version_key(version) < version_key(_data()["first"]):
        return load_dense(facts, _LOADER, f"SGLang quantizes heads from {_data()['first']} on")
    return _why_not_built(facts) or _dispatched(facts)


def _untied(facts: HeadFacts) -> Outcome | None:
    """Judge a head that is tied, or that the files do not hold."""
    if facts.tied or (facts.tied is None and facts.stored is Stored.ABSENT):
        return Outcome("dense", "the embeddings are tied: SGLang takes the dense embedding for the head")
    if facts.stored is Stored.ABSENT:
        return Outcome("garbage", "the config says that the head is not tied, but the files hold no tensors of it")
    return None


def _dispatched(facts: HeadFacts) -> Outcome:
    try:
        found = [_scheme(facts, name) for name in _NAMES]
    except DispatchError as error:
        return Outcome("fails", f"SGLang refuses the head's scheme ({error.kind}): {error.message}")
    if found[0] != found[1]:
        return Outcome(
            "unknown",
            f"the targets tell {_NAMES[0]} from {_NAMES[1]}, and which of them it is depends on the model class",
        )
    if found[0] is None:
        return load_dense(
            facts, _LOADER, "no target names it, or ignore does; SGLang does not ask for classes such as Linear"
        )
    return load_quantized(facts, *found[0], _LOADER)


def _why_not_built(facts: HeadFacts) -> Outcome | None:
    """Judge a head that the config cannot reach in this architecture, or whose architecture is not known."""
    if facts.quantization is None or facts.method is None:
        return load_dense(facts, _LOADER, "there is no quantization config that SGLang reads")
    if facts.architecture in _data()["no"]:
        return load_dense(
            facts, _LOADER, f"the {facts.architecture} of SGLang does not pass the quantization config to its head"
        )
    if facts.architecture in _data()["nameless"]:
        return load_dense(facts, _LOADER, f"the {facts.architecture} of SGLang builds its head without a name")
    if facts.architecture in _data()["named"]:
        return None
    if facts.is_plain:
        return Outcome("dense", "the head is stored dense")
    return Outcome("unknown", f"the {facts.architecture or 'model class'} of SGLang is not known well enough")


def _scheme(facts: HeadFacts, name: str) -> tuple[str, asks.SchemeArgs] | None:
    raw = facts.quantization or {}
    if _names(name, strings(raw.get("ignore"))):
        return None
    matched = [group for target, group in raw_targets(raw) if _names(name, (target,))]
    if not matched:
        return None
    args = _args(matched[0], raw_format(raw, matched[0]))
    return _choose(args, blocked=matched[0]["weights"].get("block_structure") is not None), args


def _names(name: str, patterns: Iterable[str]) -> bool:
    try:
        return any(
            matches_name(name, pattern) or (not pattern.startswith(REGEX_PREFIX) and name.endswith(f".{pattern}"))
            for pattern in patterns
        )
    except UsageError as error:
        raise DispatchError("re.error", error.message) from error


def _args(group: Mapping[str, Any], in_force: str | None) -> asks.SchemeArgs:
    weights = parse_args(group.get("weights"))
    inputs = group.get("input_activations") if in_force in ACTIVATION_FORMATS else None
    return asks.SchemeArgs(weights=weights, inputs=parse_args(inputs) if inputs else None, format=in_force)


def _choose(args: asks.SchemeArgs, *, blocked: bool) -> str:
    """Return the scheme, named as vLLM's of the same tensors."""
    if blocked:
        raise DispatchError("NotImplementedError", "scales by block are not supported for a head")
    if asks.is_weight_only(args) and args.weights.type == "int":
        if args.format == asks.PACKED and args.weights.num_bits in _WNA16_BITS:
            return "WNA16"
        raise DispatchError("ImportError", f"no scheme for {describe(args)}")
    if args.format in ACTIVATION_FORMATS:
        if asks.is_fp8_w8a16(args):
            return "W8A8Fp8" if asks.is_fp8_w8a8(args) else "W8A16Fp8"
        if asks.is_static_tensor_w8a8(args) or asks.is_dynamic_token_w8a8(args):
            return "W8A8Int8"
        if asks.is_nvfp4(args.weights):
            return "W4A4Fp4"
    raise DispatchError("NotImplementedError", f"no scheme for {describe(args)}")


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name("data").joinpath("sglang_heads.json").read_bytes())
    return data
