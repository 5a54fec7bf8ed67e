"""Everything that rules and views need, computed once (``ctq.inspect.facts.collect``) and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ctq.inspect.facts.entries import State
from ctq.inspect.facts.side_config import SideConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.engines.vllm_models.names import EngineNames
    from ctq.inspect.facts.engine_verdict import EngineVerdict
    from ctq.inspect.facts.entries import Entry, Patterns
    from ctq.inspect.facts.head import InspectedHead
    from ctq.inspect.facts.oddities import Odd
    from ctq.recipe.quant_config import QuantConfig

Expected = Literal["quantized", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a checkpoint holds.

    ``skeleton`` is what is known of the architecture's tensors and ``names`` what vLLM calls its modules, each None where nothing
    is. ``method`` names how it is quantized, by the config or, without one, by the tensors; None means dense. ``lacks_config`` says
    that nothing tells how the tensors are quantized, although a config is there to tell it; ``side_config`` is what a file of its
    own says of it where ``config.json`` says nothing. ``entries`` are sets of alike modules in the order of the files; ``engines``
    what each engine makes of the head, ``expected`` what the user expects of it. ``unreadable`` files are readable by their owner
    alone, ``deep`` holds what is odd about values, where they were read.
    """

    checkpoint: Checkpoint
    skeleton: Skeleton | None
    names: EngineNames | None
    quant: QuantConfig | None
    method: str | None
    lacks_config: bool
    side_config: SideConfig = field(default_factory=SideConfig)
    entries: tuple[Entry, ...]
    patterns: Patterns
    head: InspectedHead
    engines: tuple[EngineVerdict, ...] = ()
    expected: Expected | None = None
    unreadable: tuple[str, ...] = ()
    deep: tuple[Odd, ...] = ()

    @property
    def config(self) -> ModelConfig:
        """The model's config, with the architecture that loaders choose."""
        return self.checkpoint.config

    @property
    def compressed_tensors(self) -> QuantConfig | None:
        """The quantization config, if it is one that these rules judge."""
        return self.quant if self.quant is not None and self.quant.is_compressed_tensors else None

    @property
    def is_compressed_tensors(self) -> bool:
        """Whether there is such a config."""
        return self.compressed_tensors is not None

    @property
    def raw_quantization(self) -> Mapping[str, Any]:
        """The quantization config as it stands, empty where there is none."""
        return self.quant.raw if self.quant is not None else {}

    @property
    def as_expected(self) -> bool:
        """Whether the head is what was expected of it: a tied one counts as dense, a broken or absent one as neither."""
        allowed = {"quantized": (State.QUANTIZED,), "dense": (State.DENSE, State.TIED)}
        return self.expected is None or self.head.state in allowed[self.expected]

    @property
    def quantized(self) -> tuple[Entry, ...]:
        """The sets that are stored quantized."""
        return tuple(entry for entry in self.entries if entry.stored.is_quantized)
