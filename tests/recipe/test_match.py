"""Targets and ignores mean what compressed-tensors' own matching says, and no pattern takes forever."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from compressed_tensors.utils import match as oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctq.errors import UsageError
from ctq.recipe.match import first_match, is_match, matches_class, matches_name
from ctq.recipe.regex_automaton import Automaton

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = (
    "lm_head",
    "language_model.lm_head",
    "model.lm_head",
    ".lm_head",
    "mtp.lm_head",
    "model.embed_tokens",
    "model.layers.0.self_attn.q_proj",
    "model.layers.10.self_attn.qkv_proj",
    "model.layers.1.mlp.experts.7.down_proj",
    "model.layers.1.mlp.gate",
    "",
)
PATTERNS = (
    "lm_head",
    "re:.*lm_head$",
    "re:lm_head",
    "re:.*",
    "re:",
    "Linear",
    "LinearBase",
    "linear",
    "Embedding",
    "ParallelLMHead",
    "Module",
    "model.layers.0.self_attn.q_proj",
    "q_proj",
    "re:.*q_proj",
    r"re:model\.layers\.\d+\.mlp\.(gate|up|down)_proj$",
    r"re:^(?!.*lm_head).*$",
    r"re:.*\.layers\..*\.mlp\..*\.experts\..*",
    r"re:(?i)MODEL\..*",
    r"re:(.*\.)*down_proj",
    "re:(?:[^.]+[.]){1,9}gate$",
)


class LinearBase(torch.nn.Module):
    """A stand-in for vLLM's class of that name, which compressed-tensors singles out."""


class ColumnParallelLinear(LinearBase):
    pass


class VocabParallelEmbedding(torch.nn.Module):
    pass


class ParallelLMHead(VocabParallelEmbedding):
    pass


MODULES = (torch.nn.Linear(1, 1), torch.nn.Embedding(1, 1), ColumnParallelLinear(), ParallelLMHead())


def class_names(module: torch.nn.Module) -> list[str]:
    return [cls.__name__ for cls in type(module).__mro__ if issubclass(cls, torch.nn.Module)]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", NAMES)
def test_names_match_as_in_compressed_tensors(name: str, pattern: str) -> None:
    assert matches_name(name, pattern) == oracle.match_name(name, pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_classes_match_as_in_compressed_tensors(module: torch.nn.Module, pattern: str) -> None:
    assert matches_class(class_names(module), pattern) == oracle._match_class(module, pattern)


patterns = st.lists(st.sampled_from(PATTERNS), max_size=4, unique=True)


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(MODULES), patterns, patterns)
def test_targets_and_ignores_decide_as_in_compressed_tensors(
    name: str, module: Any, targets: Sequence[str], ignore: Sequence[str]
) -> None:
    classes = class_names(module)
    assert is_match(name, classes, targets, ignore) == oracle.is_match(name, module, targets, ignore)
    matched = oracle.match_targets(name, module, targets)
    assert first_match(name, classes, targets) == (matched[0] if matched else None)


def test_a_head_is_reached_by_linear_in_compressed_tensors_only() -> None:
    assert is_match("lm_head", ["Linear", "Module"], ["Linear"])
    assert not is_match("lm_head", ["ParallelLMHead", "VocabParallelEmbedding", "Module"], ["Linear"])


@pytest.mark.parametrize("pattern", ["re:(", "re:*", "re:[a", "re:a{2,1}", "re:(?P<n>a)(?P<n>b)", "re:" + "(" * 5000])
def test_an_invalid_regular_expression_is_named(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        matches_name("lm_head", pattern)
    assert pattern in caught.value.message


EXPLODING = (
    r"(a+)+$",
    r"(a|aa)+$",
    r"(a|a)*b",
    r"(.*)*x",
    r"(x+x+)+y",
    r"(a?){40}a{40}b",
    r".*a.*a.*a.*a.*a.*a.*a.*b",
    r"((a{1,9}){1,9}){1,9}b",
    r"(?:(?:a*)*)*b",
    r"(?:ab|ab|a|b)*c",
)


@pytest.mark.parametrize("source", EXPLODING)
def test_exploding_patterns_are_answered(source: str) -> None:
    # `re` itself would take years for any of these: what is tested is that an answer comes, and which.
    assert matches_name("a" * 3000, f"re:{source}") == (source in (r"(a+)+$", r"(a|aa)+$"))


def test_what_cannot_be_bounded_is_refused() -> None:
    with pytest.raises(UsageError, match="bounded time"):
        matches_name("a" * 60, r"re:(a+)+(?!b)\1$")


atoms = st.sampled_from(
    ["a", "b", ".", r"\.", r"\d", "[ab]", "[^a]", r"\w", r"\b", "^", "$", "(?i:A)", "1", r"\Z", r"\A"]
)
sources = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,2}", "{0,3}?"])).map(
            lambda p: f"({p[0]}){p[1]}"
        ),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(sources, st.text("abA.1\n", max_size=7))
@example("(?:^a|b)*$", "aab")
@example("a$", "a\n")
@example("(a|b*)*$", "ab\n")
def test_the_automaton_agrees_with_re(source: str, name: str) -> None:
    # Not matches_name: that would hand most of these to `re` itself.
    assert Automaton(re._parser.parse(source)).match(name) == (re.match(source, name) is not None)


@settings(deadline=None)
@given(sources, st.text("abA.1\n", max_size=7))
def test_bounded_matching_agrees_with_re(source: str, name: str) -> None:
    assert matches_name(name, f"re:{source}") == (re.match(source, name) is not None)


def test_repeats_that_multiply_are_refused_rather_than_unrolled() -> None:
    with pytest.raises(UsageError, match="too many steps"):
        matches_name("a", "re:((a{1,999}){1,999}){1,999}b")


def test_a_long_name_does_not_slow_an_ordinary_pattern() -> None:
    assert matches_name("a." * 40_000 + "lm_head", "re:.*lm_head$")
    assert matches_name("a." * 40_000 + "lm_head", "re:.*a.*a.*lm_head$")
