"""What sweeps keep of the engine's words."""

from __future__ import annotations

import pytest
from sweep_truth import in_order


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("belonging to lm_head are: {'b.weight', 'a'}. If", "belonging to lm_head are: {'a', 'b.weight'}. If"),
        ("{'d', 'c'} and {'b', 'a'}", "{'c', 'd'} and {'a', 'b'}"),
        ("{'one'}", "{'one'}"),
        ("{'key': 'value', 'b': 'a'}", "{'key': 'value', 'b': 'a'}"),
    ],
)
def test_printed_sets_have_an_order(message: str, kept: str) -> None:
    assert in_order(message) == kept
