"""What vLLM's loader of an architecture passes over unread within modules that the model has, and beside its experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.skeletons.engine_places import own_name
from ctq.engines.skeletons.passed_over import passed_over
from ctq.engines.vllm.fused import fused_mapping
from ctq.inspect.modules.parts import RECURRENT
from ctq.recipe.template import EXPERTS, NUMBER, inside_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry

_HEAD = "lm_head"


def refused_parts(entry: Entry, skeleton: Skeleton, parts: Sequence[str]) -> list[str]:
    """Return those of ``parts`` that modules of the text model have and that vLLM refuses beside a weight that is dense."""
    left = [part for part in parts if part in entry.modules.parts] if "inner" in skeleton.refuses else []
    return [part for part in left if not is_passed_over(f"{entry.modules.template}.{part}", skeleton)]


def is_passed_over(tensor: str, skeleton: Skeleton) -> bool:
    """Tell a tensor, by template, whose ending the loader passes over within a module that the model has.

    Layers that vLLM fuses and those of experts do not count: to their parts it gives other names first.
    """
    module = tensor.rpartition(".")[0]
    parts = {part for row in fused_mapping(skeleton.architecture).values() for part in row}
    is_renamed = EXPERTS in module or module.rpartition(".")[2] in {*parts, _HEAD}
    if is_renamed or not tensor.endswith(passed_over(skeleton).endings):
        return False
    return holds_modules(module, skeleton) or _is_layer(module, skeleton)


def is_beside_experts(template: str, skeleton: Skeleton) -> bool:
    """Tell what lies in experts of the architecture and in none of their own layers, where the loader leaves that unread."""
    if not passed_over(skeleton).experts:
        return False
    before, found, inside = f"{template}.".partition(EXPERTS)
    if not found or not holds_modules(f"{before}{EXPERTS}".removesuffix("."), skeleton):
        return False
    number, _, rest = inside.partition(".")
    own, _, more = (rest if number == NUMBER else inside).partition(".")
    one = f"{before}{EXPERTS}{NUMBER}.{own}" if number == NUMBER else f"{before}{EXPERTS}{own}"
    return not (more and (_is_layer(one, skeleton) or one in skeleton.tensors))


def holds_modules(template: str, skeleton: Skeleton) -> bool:
    """Tell a module that other modules of the architecture lie in, as attention does; of wrappers by its place in a layer too."""
    if _names_inside(template, skeleton):
        return True
    return skeleton.wrapped and any(name.startswith(f"{template}.") for name in skeleton.tensors)


def is_attention(template: str, skeleton: Skeleton) -> bool:
    """Tell a module of the architecture that other modules lie in, as attention does, none of them a state space's."""
    inside = {name.removesuffix(".weight") for name in _names_inside(template, skeleton)}
    return bool(inside) and inside.isdisjoint(RECURRENT)


def _names_inside(template: str, skeleton: Skeleton) -> list[str]:
    """Name the tensors that lie in a module of the architecture, without its own name; of wrappers by its place in a layer."""
    place = inside_layer(template) if skeleton.wrapped else template
    names = skeleton.suffixes if skeleton.wrapped else skeleton.tensors
    return [name.removeprefix(f"{place}.") for name in names if name.startswith(f"{place}.")]


def _is_layer(template: str, skeleton: Skeleton) -> bool:
    """Tell a module of the architecture that has a weight."""
    return own_name(skeleton, f"{template}.weight") in skeleton.tensors
