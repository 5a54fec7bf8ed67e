"""The rules by release: their edges, and which ones hold for releases in between and beyond."""

from __future__ import annotations

import pytest

from ctq.engines.versions import at_or_below, version_key
from ctq.engines.vllm.rules import FIRST_WITH_HEAD, KNOWN_VERSIONS, rules_for
from ctq.errors import UsageError


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("0.19.1", "0.20.0", "lm_head_branch"),
        ("0.20.2", "0.21.0", "unmatched"),
        ("0.21.0", "0.22.1", "refuses_sparsity"),
        ("0.22.1", "0.23.0", "embedding_branch"),
        ("0.23.0", "0.24.0", "moe_class"),
        ("0.24.0", "0.25.0", "wna16_bits"),
        ("0.25.0", "0.26.0", "wnam_int"),
        ("0.26.0", "0.27.0", "match_order"),
        ("0.28.0", "0.29.0", "unties_from_weight"),
        ("0.29.0", "0.30.0", "ignore_reads_fused_name"),
        ("0.30.0", "0.31.0", "wna16_zero_point_bits"),
    ],
)
def test_edges(before: str, after: str, field: str) -> None:
    assert getattr(rules_for(before), field) != getattr(rules_for(after), field)


def test_known_versions_are_in_order() -> None:
    assert sorted(KNOWN_VERSIONS, key=version_key) == list(KNOWN_VERSIONS)
    assert FIRST_WITH_HEAD == "0.20.0"


@pytest.mark.parametrize(
    ("asked", "version", "beyond"),
    [
        ("0.20.1", "0.20.0", None),
        ("0.27.5", "0.27.1", None),
        ("0.20.2.post1", "0.20.2", None),
        ("0.32.0+cpu", "0.32.0", None),
        ("v0.21", "0.21.0", None),
        ("0.33.0", "0.33.0", None),
        ("0.34.1", "0.33.0", "newer"),
        ("1.0", "0.33.0", "newer"),
        ("0.9.2", "0.11.2", "older"),
        (None, "0.33.0", None),
    ],
)
def test_the_nearest_known_release_below_is_taken(asked: str | None, version: str, beyond: str | None) -> None:
    rules = rules_for(asked)
    assert (rules.version, rules.beyond) == (version, beyond)


@pytest.mark.parametrize("version", ["", "latest", "0.x", "0.32.0; rm", "9" * 5000])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match="not a version"):
        version_key(version)


def test_at_or_below() -> None:
    assert at_or_below("0.1", ["0.2.0"]) is None
    assert at_or_below("0.10.0", ["0.2.0", "0.9.0"]) == "0.9.0"
