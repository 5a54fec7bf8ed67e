"""The table of rules: codes, names, documentation, and the page made of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ctq.cli.render import rules_page
from ctq.errors import UsageError
from ctq.inspect import rules
from ctq.inspect.rules.check import Selection, require_known
from ctq.inspect.rules.rule import Rule
from ctq.inspect.rules.table import FAMILIES, RULES

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
HEADINGS = ("What it checks", "Why it hurts", "Example", "How to mend", "References")
BY_CODE = {rule.code: rule for rule in RULES}


def test_codes_and_names_are_unique_and_in_order() -> None:
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    assert len({rule.name for rule in RULES}) == len(RULES)
    for family in FAMILIES:
        members = [code for code in codes if code.startswith(family)]
        assert members == [f"{family}{number:03d}" for number in range(1, len(members) + 1)]
    assert [code[:3] for code in codes] == sorted((code[:3] for code in codes), key=list(FAMILIES).index)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_documented_under_the_fixed_headings(rule: Rule) -> None:
    assert re.fullmatch(r"[A-Z]{3}\d{3}", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.summary.endswith(".")
    assert tuple(rule.sections) == HEADINGS
    assert all(len(text) > 5 for text in rule.sections.values())


def test_rules_yield_to_rules_that_exist_and_never_in_a_circle() -> None:
    def ancestors(code: str, seen: tuple[str, ...] = ()) -> None:
        assert code not in seen, f"{code} yields to itself by way of {seen}"
        for other in BY_CODE[code].unless:
            ancestors(other, (*seen, code))

    for code in BY_CODE:
        ancestors(code)


def test_a_file_among_the_rules_holds_a_finding() -> None:
    room = Path(rules.__file__).parent
    files = {path.relative_to(room).with_suffix("").parts for path in room.glob("*/*.py") if path.name != "__init__.py"}
    assert files == {tuple(rule.check.__module__.split(".")[-2:]) for rule in RULES}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == rules_page.page(RULES), "run: ctq rules --markdown > docs/rules.md"


@pytest.mark.parametrize("word", ["HED001", "hed", "quantized-head-ignored"])
def test_selections_name_rules_by_code_family_or_name(word: str) -> None:
    require_known(Selection(select=(word,)))
    held = [rule.code for rule in RULES if Selection(select=(word,)).holds(rule)]
    assert held
    assert all(code.startswith("HED") for code in held)
    assert not [rule for rule in RULES if Selection(ignore=(word,)).holds(rule) and rule.code in held]


@pytest.mark.parametrize("word", ["HED999", "X", "no-such-rule"])
def test_unknown_rules_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="no rule"):
        require_known(Selection(ignore=(word,)))
