"""Find out what numbers of a config the dimensions of tensors are made of, from builds that differ in one number each."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ctq.checkpoint.architecture_endings import CLASSIFIERS
from ctq.checkpoint.config import ModelConfig
from ctq.engines.configs.fields import stated_number
from ctq.engines.configs.labels import LABELS, label_count
from ctq.engines.skeletons.adjusted import FEED_FORWARD, adjusted_feed_forward
from ctq.engines.skeletons.filled import FILLED
from ctq.engines.skeletons.layer_numbers import numbers_of_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.engines.skeletons.layer_numbers import Numbers

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
FACTORS: Final = (1, 2, 3, 4)
USUAL: Final = (
    "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size", "intermediate_size_mlp",
    "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "head_dim", "num_experts",
    "num_local_experts", "n_routed_experts", "moe_num_experts", "n_shared_experts", "moe_num_shared_experts", "num_shared_experts",
    "n_embd", "d_model", "ffn_dim", "n_inner", "n_head", "num_heads", "num_kv_heads", "max_position_embeddings", "n_positions",
    "type_vocab_size", LABELS,
)  # fmt: skip
"""Numbers that a dimension may be made of, the likeliest first; of two that a class makes alike, the one that it is told."""
WIDTH: Final = ("hidden_size", "n_embd")
HEADS_OF_IT: Final = ("num_attention_heads", "n_head")
Json: TypeAlias = dict[str, Any]
Axis: TypeAlias = tuple[str, int]
"""A dimension of a tensor, by template and number."""
Terms = tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Build:
    """One build: shapes of its tensors, numbers and switches of its config, and the numbers that layers have of their own."""

    shapes: dict[str, tuple[int, ...]]
    numbers: dict[str, int]
    switches: dict[str, bool]
    own: tuple[Numbers, ...] = ()

    def numbers_of(self, tensor: str) -> dict[str, int]:
        """Return the numbers that a tensor is made of: in a layer that has some of its own, those."""
        layer = _NUMBER.search(tensor)
        own = self.own[int(layer[0])] if layer is not None and int(layer[0]) < len(self.own) else {}
        return {key: size for key, size in {**self.numbers, **own}.items() if size is not None}


def text_level(config: Json) -> Json:
    """Return the config of the text model, its numbers over those of the wrapper."""
    return {key: value for _, level in ModelConfig(config).text_levels for key, value in level.items()}


def build_from(config: Json, shapes: dict[str, tuple[int, ...]]) -> Build:
    """Return a build of what the text model's config says."""
    numbers = {key: value for key, value in config.items() if type(value) is int}
    hidden, heads = (next((numbers[key] for key in keys if numbers.get(key)), 0) for keys in (WIDTH, HEADS_OF_IT))
    if hidden and heads:  # what attention divides the width into
        numbers["head_dim"] = stated_number(ModelConfig(config), "head_dim") or hidden // heads
    rounded = adjusted_feed_forward(config.get)
    if rounded is not None:
        numbers[FEED_FORWARD] = rounded
    if any(str(name).endswith(CLASSIFIERS) for name in config.get("architectures") or ()):
        numbers[LABELS] = label_count(config)
    switches = {key: value for key, value in config.items() if type(value) is bool}
    return Build(shapes, numbers, switches, numbers_of_layers(ModelConfig(config)))


def template(name: str) -> str:
    """Return a tensor's name with ``#`` for each number."""
    return _NUMBER.sub("#", name)


def moved(one: Build, other: Build) -> set[Axis]:
    """Return the dimensions of common tensors that differ."""
    return {
        (template(name), axis)
        for name, shape in one.shapes.items()
        if len(other.shapes.get(name, ())) == len(shape)
        for axis, size in enumerate(shape)
        if other.shapes[name][axis] != size
    }


def fit(families: Sequence[Sequence[Build]]) -> dict[str, list[Any]]:
    """Return for each template whether every layer of every build has it, and its dimensions as expressions or None."""
    every = [build for builds in families for build in builds]
    counts = [presence(build) for build in every]
    found: dict[str, list[Any]] = {}
    for name in dict.fromkeys(name for count in counts for name in count):
        always = all(count.get(name) for count in counts)
        found[name] = [always, dimensions(name, families)]
    return found


def presence(build: Build) -> dict[str, bool]:
    """Tell of each template whether all layers of its list need it; what has no number is needed."""
    layers: dict[str, set[str]] = defaultdict(set)
    having: dict[str, set[str]] = defaultdict(set)
    for name in build.shapes:
        numbers = _NUMBER.findall(name)
        if numbers:
            stack = template(name).partition(".#")[0]
            layers[stack].add(numbers[0])
            having[template(name)].add(numbers[0])
        else:
            having[name] = {""}
    return {
        name: present == layers.get(name.partition(".#")[0], {""})
        and name.count("#") < 2  # experts differ by layer
        and not name.endswith(FILLED)
        for name, present in having.items()
    }


def dimensions(name: str, families: Sequence[Sequence[Build]]) -> list[str | None] | None:
    """Return each dimension as an expression that holds in every build; None where the tensor's rank or all of it is unknown."""
    samples = [
        (shape, build.numbers_of(tensor), len(builds))
        for builds in families
        for build in builds
        for tensor, shape in build.shapes.items()
        if template(tensor) == name
    ]
    ranks = {len(shape) for shape, *_ in samples}
    if len(ranks) != 1:
        return None
    found = [dimension([(shape[axis], numbers) for shape, numbers, _ in samples]) for axis in range(ranks.pop())]
    return found if any(found) else None


def dimension(samples: Sequence[tuple[int, dict[str, int]]]) -> str | None:
    """Return the simplest expression that gives every sample; None for what never changes: a constant cannot be told."""
    if len({size for size, _ in samples}) == 1:
        return None
    varied = {key for key in USUAL if len({numbers.get(key) for _, numbers in samples}) > 1}
    known = [key for key in USUAL if all(key in numbers for _, numbers in samples)]
    for terms in candidates(known):
        if all(key in varied for _, keys in terms for key in keys) and all(
            value(terms, numbers) == size for size, numbers in samples
        ):
            return written(terms)
    return None


def written(terms: Terms) -> str:
    """Write a sum of products as the data has it."""
    return "+".join("*".join([*([str(factor)] if factor > 1 or not keys else []), *keys]) for factor, keys in terms)


def candidates(known: Sequence[str]) -> Iterator[Terms]:
    """Yield sums of products, the simplest first."""
    for factor, key in itertools.product(FACTORS, known):
        yield ((factor, (key,)),)
    pairs = list(itertools.combinations(known, 2))
    for factor, pair in itertools.product(FACTORS, pairs):
        yield ((factor, pair),)
    for one, other in pairs:
        yield ((1, (one,)), (1, (other,)))
    for one, other, size in itertools.permutations(known, 3):
        if size.endswith(("dim", "channels")):
            yield ((1, (one, size)), (2, (other, size)))
    for head, one, other in itertools.permutations(known, 3):
        if head.startswith("num_") and one < other:
            yield ((1, (head, one)), (1, (head, other)))
    for one, head, size in itertools.permutations(known, 3):
        if head.startswith("num_"):
            yield ((1, (one,)), (2, (head, size)))
    yield from (((1, (one,)), (2, ("head_dim",))) for one in known if "head_dim" in known)


def value(terms: Terms, numbers: dict[str, int]) -> int:
    """Work out a sum of products."""
    total = 0
    for factor, keys in terms:
        product = factor
        for key in keys:
            product *= numbers[key]
        total += product
    return total
