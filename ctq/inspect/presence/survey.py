"""What is asked of the files: the tensors of the architecture, which of them the config brings or leaves out, and what is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ctq.engines.configs.towers import layers_needed
from ctq.engines.skeletons.dimensions import empty_tensors
from ctq.engines.skeletons.layer_counts import counted_stacks, layer_count
from ctq.engines.skeletons.layer_numbers import layers_with
from ctq.engines.skeletons.switches import optional_tensors
from ctq.inspect.presence.stands_for import layers_by_tensor
from ctq.recipe.template import NUMBER, inside_layer, stack_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.engines.skeletons.switches import OptionalTensor
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.presence.stands_for import Present

_NOWHERE: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A skeleton beside the files.

    ``present`` are the layers that have each tensor, by template, as all that follows is; ``counts`` how many layers each list of
    the text model has by the config; ``optional`` the tensors that a setting brings, and ``having`` the layers that have each
    tensor which only some have, by what follows the layer's number.
    """

    facts: Facts
    skeleton: Skeleton
    present: Present
    counts: Mapping[str, int]
    optional: tuple[OptionalTensor, ...]
    having: Mapping[str, frozenset[int]]

    @property
    def config(self) -> ModelConfig:
        """The config of the model."""
        return self.facts.config

    @cached_property
    def switched(self) -> Mapping[str, bool]:
        """Whether vLLM needs a tensor that is not simply always there; of two switches that bring one it takes both."""
        found: dict[str, bool] = {}
        for one in self.optional:
            if not one.beside:
                found[one.tensor] = one.needed and found.get(one.tensor, True)
        of_text = (name for name in self.skeleton.tensors if stack_of(name) in self.counts)
        found |= {name: False for name in of_text if inside_layer(name) in self.having}
        return found | dict.fromkeys(empty_tensors(self.config, self.skeleton), False)

    @cached_property
    def untaken(self) -> frozenset[str]:
        """What vLLM has no place for under a switch's value, and leaves unread."""
        return frozenset(one.tensor for one in self.optional if not one.taken)

    def layers(self, tensor: str) -> frozenset[int]:
        """Return the layers that have a tensor."""
        return self.present.get(tensor, _NOWHERE)

    def of_counted(self, tensor: str, layers: frozenset[int]) -> list[int]:
        """Return those of the ``layers`` of a tensor's list that the config counts, in order; all where that is not known."""
        stack, tower = stack_of(tensor), self.skeleton.towers.lists.get(tensor.partition(f".{NUMBER}")[0])
        if stack in self.counts:
            return sorted(layers.intersection(range(self.counts[stack])))
        counted = layers_needed(tower, self.config) if tower is not None else None
        return sorted(layers if counted is None else layers.intersection(counted))


def survey(facts: Facts, skeleton: Skeleton) -> Survey:
    """Hold the files of a model against the skeleton of its architecture."""
    config = facts.config
    return Survey(
        facts=facts,
        skeleton=skeleton,
        present=layers_by_tensor(facts, skeleton),
        counts=dict.fromkeys(counted_stacks(skeleton, config), layer_count(config) or 0),
        optional=tuple(optional_tensors(config, skeleton)),
        having=layers_with(config, skeleton),
    )
