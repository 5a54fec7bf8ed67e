"""A recipe: what the user wants quantized and how, whichever file or flags it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ctq.recipe.schemes import DEFAULT_SCHEME, SCHEMES, Scheme

Observer = Literal["minmax", "mse"]
OBSERVERS: tuple[Observer, ...] = ("minmax", "mse")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyGroup:
    """Linear layers that ``targets`` reach, with compressed-tensors' meaning, and their scheme."""

    targets: tuple[str, ...]
    scheme: Scheme


def default_body(scheme: Scheme = SCHEMES[DEFAULT_SCHEME]) -> tuple[BodyGroup, ...]:
    """Return the body groups that quantize every linear layer with ``scheme``."""
    return (BodyGroup(targets=("Linear",), scheme=scheme),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to quantize; the first body group that matches a module decides its scheme.

    ``lm_head`` is True or False where someone decided, None where nobody did (the head then stays dense); ``origin`` names the
    file or flags for messages.
    """

    body: tuple[BodyGroup, ...] = field(default_factory=default_body)
    ignore: tuple[str, ...] = ()
    lm_head: bool | None = None
    lm_head_scheme: Scheme | None = None
    observer: Observer = "minmax"
    origin: str = "defaults"

    @property
    def head_scheme(self) -> Scheme:
        """The head's scheme: its own, else the first body group's, else the default."""
        return self.lm_head_scheme or (self.body[0].scheme if self.body else SCHEMES[DEFAULT_SCHEME])

    def to_json(self) -> dict[str, Any]:
        """Return the effective recipe as the provenance record stores it."""
        return {
            "groups": [{"targets": list(group.targets), **scheme_json(group.scheme)} for group in self.body],
            "ignore": list(self.ignore),
            "lm_head": {"include": bool(self.lm_head)} | (scheme_json(self.head_scheme) if self.lm_head else {}),
            "observer": self.observer,
        }


def scheme_json(scheme: Scheme) -> dict[str, Any]:
    """Return the fields that set ``scheme`` apart, under the names that recipes use."""
    weights = scheme.weights
    fields: dict[str, Any] = {"scheme": scheme.name, "strategy": weights.strategy}
    if weights.group_size is not None:
        fields["group_size"] = weights.group_size
    return fields | {"symmetric": weights.symmetric}
