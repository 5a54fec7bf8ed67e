"""Other names under which vLLM loads the tensors of a known architecture: two names that lead to one place are one tensor to it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ctq.engines.skeletons.find import skeleton_around, skeleton_named, with_tower_from
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.bare_models import is_without_head
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.names import engine_names
from ctq.engines.vllm_models.registry import is_registered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.skeletons.skeleton import Skeleton

_HEAD_BIAS = "lm_head.bias"
_HEAD = "lm_head"
_MODEL = "model"
_AROUND = {"BertModel": _MODEL, "ModernBertModel": _MODEL, "RobertaModel": "roberta", "XLMRobertaModel": "roberta"}
"""What the body may be called in files of encoders that vLLM 0.32.0 has a class for (models/bert.py, roberta.py, modernbert.py)."""
_OLDER = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""What BERT's first files call the parts of norms, by which vLLM and transformers know them yet (vLLM 0.32.0 models/bert.py)."""
_BODY = ".model."
"""What vLLM 0.32.0 models/adapters.py tries to put before names in a text model that pools."""


def own_name(skeleton: Skeleton, name: str) -> str:
    """Return the name in the skeleton of a tensor, by template (`w1` for Mixtral's `gate_proj`); itself where none is."""
    if name in skeleton.tensors:
        return name
    if name.endswith(_HEAD_BIAS) and is_served_by_backend(skeleton.architecture):
        return _HEAD_BIAS  # vLLM 0.32.0 models/transformers/causal.py:75 looks at the end of the name alone
    if is_without_head(skeleton.architecture):
        return next((other for other in _in_encoder(skeleton, name) if other in skeleton.tensors), name)
    place = _place(skeleton, name)
    return name if place is None else _places_of(skeleton).get(place, name)


def _in_encoder(skeleton: Skeleton, name: str) -> Iterator[str]:
    """Yield what a tensor may be called in the skeleton of an encoder, whose body vLLM knows by several names.

    Its backend takes the body's tensors as ``model``'s, as the class has them, and by their own names
    (vLLM 0.32.0 models/transformers/base.py, ``hf_to_vllm_mapper``).
    """
    modern, by_backend = _modern(name), not is_registered(skeleton.architecture)
    yield modern
    (first, _, rest), body = modern.partition("."), (skeleton.stack or "").partition(".")[0]
    if first == (_MODEL if by_backend else _AROUND.get(skeleton.architecture)):
        yield from (rest, f"{body}.{rest}")
    if by_backend:
        yield f"{body}.{modern}"


def has_part(skeleton: Skeleton, name: str) -> bool:
    """Tell whether a tensor lies in a part that the engine's model has at its top, or is dropped unread."""
    place = _place(skeleton, name)
    known = _places_of(skeleton)
    return place is None or _top(place) in skeleton.others or _top(place) in map(_top, known)


def other_part(skeleton: Skeleton, name: str) -> str | None:
    """Return the part that a tensor lies in of those of which nothing but the first word is known; None where it is no such."""
    place = _place(skeleton, name)
    return _top(place) if place is not None and _top(place) in skeleton.others else None


def part_of(skeleton: Skeleton, name: str) -> str | None:
    """Return the part at the top of the engine's model that a tensor lies in; None where it is dropped unread."""
    place = _place(skeleton, name)
    return _top(place) if place is not None else None


def lies_in(skeleton: Skeleton, module: str, stack: str) -> bool:
    """Tell whether a module belongs to one of the layers of a list, as the skeleton calls it."""
    first, place = _place(skeleton, f"{stack}.0.x"), _place(skeleton, f"{module}.x")
    return first is not None and place is not None and place.startswith(first.removesuffix("x"))


def is_head_of_engine(skeleton: Skeleton, module: str) -> bool:
    """Tell a module that takes the place in the engine's model where its head is."""
    support = head_support(skeleton.architecture)
    return support is not None and support.prefix is not None and _place(skeleton, module) == support.prefix


def is_inside_layer(skeleton: Skeleton, module: str) -> bool:
    """Tell a module inside one that has a weight of its own, and so none inside (PEFT's copy, `lm_head.original_module`)."""
    place = _place(skeleton, f"{module}.x")
    parts = place.split(".")[:-1] if place is not None else []
    known = _places_of(skeleton)
    return any(".".join(parts[:end]) in known for end in range(1, len(parts)))


def has_nowhere_to_go(skeleton: Skeleton, module: str) -> bool:
    """Tell a head that vLLM looks for at the top of a wrapper, which has no such part, or in the body, where its head is not."""
    support, place = head_support(skeleton.architecture), _place(skeleton, module)
    if support is None or support.prefix is None or place is None or place == support.prefix.lstrip("."):
        return False
    stack = _place(skeleton, skeleton.stack) if skeleton.stack is not None else None
    is_in_body = stack is not None and "" != stack.rpartition(".")[0] == place.rpartition(".")[0]
    return is_in_body or (skeleton.wrapped and not has_part(skeleton, f"{module}.weight"))


def leaves_bias_behind(skeleton: Skeleton, module: str) -> bool:
    """Tell a module, by template, whose weight the loader leads to another one, and whose bias to where the model has none."""
    names = engine_names(skeleton.architecture, skeleton.inner)
    if names is None:
        return False
    weight, bias = ((names.tensor(_first(module), part) or "").rpartition(".")[0] for part in ("weight", "bias"))
    return weight != bias and bias not in _places_of(skeleton)


def _top(place: str) -> str:
    return place.partition(".")[0]


def _places_of(skeleton: Skeleton) -> Mapping[str, str]:
    """Return the names of the whole architecture's tensors by their places in the engine's model."""
    return _by_place(skeleton.architecture, skeleton.inner, skeleton.tower_from)


@lru_cache(maxsize=16)
def _by_place(architecture: str, inner: str | None, tower_from: str | None) -> Mapping[str, str]:
    skeleton = with_tower_from(skeleton_around(architecture, inner) or skeleton_named(architecture), tower_from)
    places = {_place(skeleton, name): name for name in skeleton.tensors}
    return {place: name for place, name in places.items() if place is not None}


def _place(skeleton: Skeleton, name: str) -> str | None:
    names = engine_names(skeleton.architecture, skeleton.inner)
    if names is None:
        return _first(name)
    place = names.module(_first(name))
    if place is None or not skeleton.relative_inside or skeleton.stack is None:
        return place
    return _in_body(place, names.module(_first(f"{skeleton.stack}.#")) or "")


def _first(template: str) -> str:
    return _modern(template).replace("#", "0").removesuffix(".weight")


def _modern(template: str) -> str:
    older = next((older for older in _OLDER if template.endswith(older)), None)
    return template if older is None else f"{template.removesuffix(older)}{_OLDER[older]}"


def _in_body(place: str, layer: str) -> str:
    """Return the place in the body of a wrapper's text model that is called as in there; ``layer`` is the first of its list."""
    outside, found, _ = layer.partition(_BODY)
    is_relative = (
        found and place.startswith(f"{outside}.") and not place.startswith((f"{outside}{_BODY}", f"{outside}.{_HEAD}"))
    )
    return f"{outside}{_BODY}{place.removeprefix(f'{outside}.')}" if is_relative else place
