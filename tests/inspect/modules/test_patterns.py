"""Matching sets of modules gives what matching one name after another gives, with compressed-tensors' own meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctq.inspect.modules.patterns import Match, PatternList
from ctq.recipe.match import first_match

if TYPE_CHECKING:
    from collections.abc import Sequence

LAYERS = [f"model.layers.{number}.mlp.up_proj" for number in (0, 1, 2, 9, 10, 11, 100)]
EXPERTS = [f"model.layers.{layer}.mlp.experts.{expert}.w1" for layer in (0, 3, 12) for expert in (0, 7, 15, 255)]
HEAD = ["lm_head"]
PATTERNS = [
    "Linear", "lm_head", "model.layers.1.mlp.up_proj", "model.layers.10.mlp.up_proj", "re:.*up_proj$", "re:.*mlp.up_proj",
    r"re:.*layers\.1\..*", r"re:.*layers\.1.*", r"re:model\.layers\.\d\.mlp.*", r"re:model\.layers\.[0-9]{2}\.", "re:.*",
    "re:.*lm_head$", "re:lm_head", r"re:.*experts\..*\.w1$", "re:.*experts..*w1", "re:.*experts.+w1",
    r"re:.*\.experts\.\d+\.w[13]$",
    "re:.*layers..mlp", "re:.*layers...mlp", "re:.*layers.*.+mlp", "re:.*layers.+.+mlp", "re:(model|x).*", "re:.*(1|2).*",
    "re:^model", "re:.*mlp$", "re:.*a?b?up.proj$", "re:", "re:.*7.*w1", "Embedding", "up_proj",
]  # fmt: skip


@given(st.lists(st.sampled_from(PATTERNS), max_size=6), st.sampled_from([LAYERS, EXPERTS, HEAD]), st.booleans())
def test_a_set_is_matched_as_its_members_are(patterns: list[str], names: list[str], linear: bool) -> None:
    classes = ("Linear",) if linear else ()
    assert PatternList(patterns).first(names, classes) == [first_match(name, classes, patterns) for name in names]


@given(st.lists(st.sampled_from(PATTERNS), max_size=6, unique=True), st.sampled_from([LAYERS, EXPERTS, HEAD]))
def test_used_patterns_are_those_that_match_anything(patterns: list[str], names: list[str]) -> None:
    listed = PatternList(patterns)
    listed.first(names, ("Linear",))
    assert listed.used == {
        pattern for pattern in patterns if any(first_match(name, ("Linear",), [pattern]) for name in names)
    }


@given(st.text(alphabet="relayrs.*+?\\()|[]$^#19-", max_size=12))
def test_any_pattern_is_matched_alike_or_listed_as_invalid(source: str) -> None:
    pattern = f"re:{source}"
    listed = PatternList([pattern])
    names = ["layers.1.a", "layers.19.a", "layers.9.a"]
    found = listed.first(names, ())
    if pattern not in listed.invalid:
        assert found == [first_match(name, (), [pattern]) for name in names]
    else:
        assert found == [None, None, None]


@pytest.mark.parametrize("source", ["*.lm_head", "(", "[a", r"(?P<x>a"])
def test_what_does_not_compile_is_named_and_matches_nothing(source: str) -> None:
    listed = PatternList([f"re:{source}", "Linear"])
    assert listed.first(["lm_head"], ("Linear",)) == ["Linear"]
    assert list(listed.invalid) == [f"re:{source}"]


@pytest.mark.parametrize(
    ("match", "declared"),
    [(Match("Linear", None), True), (Match("Linear", "lm_head"), False), (Match(None, None), False)],
)
def test_ignore_wins_over_targets(match: Match, declared: bool) -> None:
    assert match.declared is declared


def test_thousands_of_full_names_cost_no_product_of_lists() -> None:
    names = [f"model.layers.{number}.mlp.gate" for number in range(20_000)]
    calls: list[Sequence[str]] = [
        PatternList(names).first(names, ()),
        PatternList(names[::2]).first(names, ("Linear",)),
    ]
    assert calls[0] == names
    assert calls[1][:4] == [names[0], None, names[2], None]
