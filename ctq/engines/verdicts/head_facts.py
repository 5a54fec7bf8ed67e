"""The simple facts about a checkpoint's head that verdicts are made of, and the verdict itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ctq.checkpoint.dtypes import FLOATS
from ctq.recipe.heads import has_no_head
from ctq.recipe.quant_config import METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

Word = Literal["quantized", "dense", "fails", "garbage", "unknown"]
BAD: frozenset[Word] = frozenset({"fails", "garbage"})
"""Words for an engine that refuses the checkpoint or serves noise."""


class HeadForm(StrEnum):
    """What the files hold as the head's weight."""

    ABSENT = "absent"
    DENSE = "dense"
    INT8 = "int8"
    PACKED = "packed"
    FLOAT8 = "float8"
    OTHER = "other"


class HeadTensor(NamedTuple):
    """One tensor of the head: dtype as safetensors spells it, and shape."""

    dtype: str
    shape: tuple[int, ...]


class Outcome(NamedTuple):
    """What an engine makes of a head: a word, and one plain sentence that says why."""

    verdict: Word
    reason: str

    @property
    def is_bad(self) -> bool:
        """Whether the engine refuses the checkpoint or serves noise."""
        return self.verdict in BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFacts:
    """What a checkpoint says and holds about its head.

    ``architecture`` is that of the top level and ``inner_architecture`` that of the text model inside, or its ``model_type``;
    ``quantization`` the ``quantization_config`` as it stands. ``name`` is the head's module name in the files (None when they hold
    none) and ``tensors`` its tensors by their last name: ``weight``, ``weight_packed``, ``weight_scale``, ... ``tie_flags`` are
    those of each config level that states one, by dotted path, ``""`` for the top level; ``vllm_ties`` is what vLLM makes of them,
    where it is known to look at them in its own way. ``pools`` says that vLLM makes an embedding model of it because a file beside
    the config says so; ``limiting_switches`` are the switches of the config that are set and rule a quantized head out somewhere.
    Sizes are in rows and columns.
    """

    architecture: str | None
    inner_architecture: str | None = None
    quantization: Mapping[str, Any] | None = None
    name: str | None = None
    tensors: Mapping[str, HeadTensor] = field(default_factory=dict)
    tie_flags: Mapping[str, bool] = field(default_factory=dict)
    vllm_ties: bool | None = None
    pools: bool = False
    limiting_switches: frozenset[str] = frozenset()
    vocab_size: int | None = None
    hidden_size: int | None = None

    @property
    def stored(self) -> HeadForm:
        """The form of the head's weight in the files."""
        if "weight_packed" in self.tensors:
            return HeadForm.PACKED
        weight = self.tensors.get("weight")
        if weight is None:
            return HeadForm.OTHER if self.tensors else HeadForm.ABSENT
        if weight.dtype in FLOATS:
            return HeadForm.DENSE
        if weight.dtype == "I8":
            return HeadForm.INT8
        return HeadForm.FLOAT8 if weight.dtype.startswith("F8") else HeadForm.OTHER

    @property
    def is_plain(self) -> bool:
        """Whether the head is stored dense, or not at all."""
        return self.stored is HeadForm.ABSENT or (self.stored is HeadForm.DENSE and not self.quantized_parts)

    @property
    def needs_no_head(self) -> str | None:
        """Why nothing is amiss where the files hold no head: the class that transformers has for the model has none."""
        if self.stored is not HeadForm.ABSENT:
            return None
        if self.pools:
            return "an embedding model has no head"
        if self.architecture is None and not self.tie_flags:
            return "no head is stored, and nothing says that there is one"
        return f"{self.architecture} has no head" if has_no_head(self.architecture) else None

    @property
    def quantized_parts(self) -> tuple[str, ...]:
        """Names of the tensors that only a quantized layer has."""
        return tuple(name for name in self.tensors if name not in ("weight", "bias"))

    @property
    def tied(self) -> bool | None:
        """The tie flag as engines see it: the top level's, else that of a nested config, None when none says anything."""
        return self.tie_flags.get("", next(iter(self.tie_flags.values()), None))

    @property
    def tied_in_vllm(self) -> bool | None:
        """The same as vLLM sees it."""
        return self.tied if self.vllm_ties is None else self.vllm_ties

    @property
    def method(self) -> str | None:
        """The quantization method that the config names; None for none, as engines read it."""
        if self.quantization is None:
            return None
        name = self.quantization.get("quant_method")
        return str(name).lower().replace("_", "-") if name else None

    @property
    def is_of_another_method(self) -> bool:
        """Whether the config names a method that is not compressed-tensors."""
        return self.method not in (None, METHOD)


def not_judged(facts: HeadFacts) -> Outcome:
    """Return what there is to say of a head that another method quantized."""
    return Outcome("unknown", f"the quantization method {facts.method} is not judged here")
