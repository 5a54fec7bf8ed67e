"""Stand-ins for vLLM's layer classes: what ``get_quant_method`` looks at, which is their ancestry and the name of their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctq.engines.vllm.rules import EngineRules


class LayerSpec:
    """A layer of a model; ``name_of_class`` is that of a subclass which differs in nothing else, such as ``GateLinear``."""

    # Plain classes: making eleven dataclasses takes longer than reading a checkpoint's headers.
    def __init__(self, *, name_of_class: str = "") -> None:
        self.name_of_class = name_of_class

    def class_name(self, rules: EngineRules) -> str:  # noqa: ARG002  # subclasses were renamed between releases
        """Return the class name that class targets are matched with."""
        return self.name_of_class or type(self).__name__


class LinearBase(LayerSpec):
    """Ancestor of every linear layer."""


class ReplicatedLinear(LinearBase):
    """A linear layer that every rank holds whole."""


class ColumnParallelLinear(LinearBase):
    """A linear layer whose output is split over ranks."""


class MergedColumnParallelLinear(ColumnParallelLinear):
    """Several such layers in one, as ``gate_up_proj``."""


class QKVParallelLinear(ColumnParallelLinear):
    """The projections of attention in one."""


class RowParallelLinear(LinearBase):
    """A linear layer whose input is split over ranks."""


class VocabParallelEmbedding(LayerSpec):
    """The input embedding, its rows split over ranks."""


class ParallelLMHead(VocabParallelEmbedding):
    """The head: an embedding by ancestry, and no linear layer."""


class Attention(LayerSpec):
    """Attention, which has no weights but may have scales for its cache."""


class FusedMoE(LayerSpec):
    """All experts of one layer; ``projections`` are the names of an expert's gate, up and down projection in the checkpoint."""

    def __init__(
        self, *, name_of_class: str = "", projections: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    ) -> None:
        super().__init__(name_of_class=name_of_class)
        self.projections = projections

    def class_name(self, rules: EngineRules) -> str:
        """Return the class name that class targets are matched with; it changed with 0.24.0."""
        return self.name_of_class or rules.moe_class
