"""Whether the class that `model_type` stands for makes a config that vLLM's class of the architecture can be built with.

vLLM chooses its class of the model by `architectures` and that of the config by `model_type` (0.32.0 ``registry.py``,
``transformers_utils/config.py``): where the two do not belong together, the one reads keys that the other does not have.
The data is made by ``benchmarks/learn/config_classes.py``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.architecture_endings import CLASSIFIERS
from ctq.engines.configs.fields import assumed_by, other_names
from ctq.engines.configs.rope_settings import has_rope_by_layer
from ctq.engines.data_file import read_data
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.bare_models import is_base_name
from ctq.engines.vllm_models.borrowed import keeps_text_inside
from ctq.engines.vllm_models.causal_lms import causal_lm_of
from ctq.engines.vllm_models.registry import registered_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

ROPE_BY_LAYER = "whose rotary embedding is one: configs of that type have one for each kind of layer"
_TYPE = "model_type"
_ALSO_CALLED = {"text_config": "llm_config"}
"""Keys that vLLM takes for others (`_CONFIG_ATTRS_MAPPING`)."""
_WIDTH = "head_dim"
_EXPERTS = frozenset({"num_experts", "n_routed_experts", "num_local_experts"})
_SIZES = ("hidden_size", "vocab_size", "num_hidden_layers")


def known_type(model_type: object) -> Mapping[str, Any] | None:
    """Return what is known of the class of a model type."""
    types: Mapping[str, Mapping[str, Any]] = read_data("config_classes")["types"]
    return types.get(model_type) if isinstance(model_type, str) else None


def known_model(architecture: str | None) -> Mapping[str, Any]:
    """Return what is known of vLLM's class of an architecture; of one that pools that of the class that it is made of."""
    models: Mapping[str, Mapping[str, Any]] = read_data("config_classes")["models"]
    name = architecture or ""
    stem = next((name.removesuffix(ending) for ending in CLASSIFIERS if name.endswith(ending)), None)
    names = (registered_name(name) or name, *([f"{stem}ForCausalLM"] if stem else []))
    return next((models[one] for one in names if one in models), {})


@lru_cache(maxsize=64)
def wrapper_of(model_type: str | None) -> str | None:
    """Return the architecture of the wrapper whose own model type one is; None of text models'."""
    known = known_type(model_type)
    models = read_data("config_classes")["models"] if known is not None and known.get("inside") else {}
    return next((name for name, model in models.items() if model.get("own") == model_type), None)


@lru_cache(maxsize=64)
def whole_model(architecture: str | None) -> str | None:
    """Return the architecture of the text model whose class vLLM builds for a base model's name (`LlamaModel`), to pool with."""
    name = architecture or ""
    own = known_model(name).get("own")
    return causal_lm_of(own) if own is not None and is_base_name(name) else None


def unbuildable(config: ModelConfig) -> Iterator[Refused]:
    """Yield what of the model type does not go with the architecture, and keys that its class refuses to be told."""
    kind, architecture = config.raw.get(_TYPE), config.architecture or ""
    if kind is not None and not isinstance(kind, str):
        yield _TYPE, "is no text"
        return
    known, model = known_type(kind), known_model(architecture)
    if known is None or kind is None:
        return
    yield from sealed(known, kind, config.raw)
    if known.get("no_backend") and is_served_by_backend(architecture) and causal_lm_of(kind) != architecture:
        yield (
            "architectures",
            f"{architecture} is built by vLLM's backend, which does not serve models of type {kind!r}",
        )
        return
    wanted = model.get("wants")
    if wanted is not None and set(wanted).isdisjoint(known.get("is", ())):
        yield _TYPE, f"{kind!r} is none that {architecture} takes: vLLM wants a {' or '.join(wanted)}"
        return
    is_nested = any(path for path, _ in config.text_levels)
    why = unread_by(architecture, kind, config.raw, moved=() if is_nested else known.get("moves", ()))
    if why is None and not is_nested:
        why = _of_a_wrapper(config, model, known) or _without_text_inside(architecture, kind)
    if why is not None:
        yield _TYPE, f"{kind!r} does not go with {architecture}, {why}"


def _without_text_inside(architecture: str, kind: str) -> str | None:
    """Say that a wrapper which transformers does not build finds no text model in the config of a text model's own type."""
    is_lost = keeps_text_inside(architecture) and causal_lm_of(kind) is not None
    return "which reads the config of a text model inside" if is_lost else None


def unread_by(architecture: str, model_type: str, level: Mapping[str, Any], *, moved: Iterable[str] = ()) -> str | None:
    """Say what vLLM's class of an architecture misses in a level of a config that is read as a model type; None where nothing.

    ``moved`` are keys that the class of the type takes away from there.
    """
    model = known_model(architecture)
    own = model.get("own")
    if known_type(model_type) is None or model_type == own:
        return None
    by_layer = has_rope_by_layer(model_type) and not (own is None or has_rope_by_layer(own))
    return (
        lacking(model.get("reads", ()), model_type, level, moved=moved)
        or _called_otherwise(model, model_type, level)
        or (ROPE_BY_LAYER if by_layer and model.get("rope") else None)
    )


def lacking(keys: Iterable[str], model_type: str, level: Mapping[str, Any], *, moved: Iterable[str] = ()) -> str | None:
    """Say which of the keys that are read neither a level of a config nor the class of its type has."""
    has = (known_type(model_type) or {}).get("has", ())
    lost = [
        key for key in keys if key not in has and (key in moved or not (key in level or _ALSO_CALLED.get(key) in level))
    ]
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"which reads {lost[0]}{more}: configs of that type have none" if lost else None


def _called_otherwise(model: Mapping[str, Any], model_type: str, level: Mapping[str, Any]) -> str | None:
    """Say which number a level states under a name that the class of its type does not know: it assumes another."""
    for key in model.get("reads", ()):
        names = other_names(model.get("own"), key)
        name = next((name for name in names if name in level), key)
        assumed = assumed_by(model_type, key)
        if key in level or name == key or name in other_names(model_type, key) or assumed == level[name]:
            continue
        if type(level[name]) is int and type(assumed) is int:
            return f"which reads {key}: configs of that type do not call it {name}, and assume {assumed}"
    return None


def sealed(known: Mapping[str, Any], kind: str, level: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield the keys of a level that the class of its type refuses to be told."""
    for key in known.get("sealed", ()):
        if key in level:
            yield key, f"is stated, which the class of model_type {kind!r} works out itself and refuses to be told"


def _of_a_wrapper(config: ModelConfig, model: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """Say why a wrapper's config without one inside makes no text model: vLLM takes the one that its class assumes."""
    by_backend = is_served_by_backend(config.architecture)
    if by_backend and known.get("inside"):
        return "which vLLM's backend builds by the model type: that is a wrapper's"
    sizes = known.get("text", {})
    if not sizes:
        return None
    other = [key for key in _SIZES if type(config.raw.get(key)) is int and config.raw[key] != sizes.get(key)]
    if model.get("below") and other:
        return f"which reads {other[0]} of the text model's config: that type assumes one of {sizes.get(other[0])}"
    if model.get("groups") and not _EXPERTS.isdisjoint(model.get("reads", ())) and _EXPERTS.isdisjoint(sizes):
        return "which has experts: the text model's config that configs of that type assume has none"
    return None


def other_head_width(config: ModelConfig) -> int | None:
    """Return how wide a head is by a model type that is none of the architecture's; None where the config says it, or its own does.

    The class of the type assumes a width, or else it is the hidden size over the heads.
    """
    (_, level), *inside = config.text_levels
    known, model = known_type(level.get(_TYPE)), known_model(config.architecture)
    if known is None or not model or inside or level.get(_TYPE) == model.get("own"):
        return None
    assumed: int | None = known.get(_WIDTH) if model.get("width") else None
    if assumed is not None and (known.get("deaf") or _WIDTH not in level):
        return assumed
    hidden, heads = level.get("hidden_size"), level.get("num_attention_heads")
    stated = level.get(_WIDTH) if model.get("width") else None
    return hidden // heads if stated is None and type(hidden) is int and type(heads) is int and heads else None
