"""Shards against huggingface_hub's own split, which other tools and people's scripts rely on."""

from __future__ import annotations

import pytest
from huggingface_hub import split_state_dict_into_shards_factory
from hypothesis import example, given
from hypothesis import strategies as st

from ctq.checkpoint.shards import parse_size, shard_names, shard_plan
from ctq.errors import UsageError

sizes = st.lists(st.integers(0, 30), max_size=20).map(lambda found: [(f"t{n}", size) for n, size in enumerate(found)])


def hub_split(sizes: list[tuple[str, int]], limit: int | str) -> dict[str, list[str]]:
    split = split_state_dict_into_shards_factory(
        dict(sizes), get_storage_size=int, filename_pattern="model{suffix}.safetensors", max_shard_size=limit
    )
    return dict(split.filename_to_tensors)


@given(sizes=sizes, limit=st.integers(1, 25))
@example(sizes=[("small", 1), ("large", 30), ("next", 1)], limit=10)
def test_splits_like_the_hub(sizes: list[tuple[str, int]], limit: int) -> None:
    shards = shard_plan(sizes, limit)
    assert dict(zip(shard_names(len(shards)), shards, strict=True)) == hub_split(sizes, limit)


@given(sizes=sizes, limit=st.integers(1, 25))
def test_every_tensor_once_within_the_limit_and_no_shard_empty(sizes: list[tuple[str, int]], limit: int) -> None:
    shards, nbytes = shard_plan(sizes, limit), dict(sizes)
    assert sorted(name for shard in shards for name in shard) == sorted(nbytes)
    assert all(shards)
    assert all(len(shard) == 1 or sum(nbytes[name] for name in shard) <= limit for shard in shards)


def test_no_tensor_gives_no_shard() -> None:
    assert shard_plan([], 10) == []
    assert shard_names(0) == []


def test_tensor_larger_than_the_limit_gets_a_shard_of_its_own() -> None:
    assert shard_plan([("small", 4), ("large", 11), ("next", 6)], 10) == [["large"], ["small", "next"]]


def test_names_are_those_of_the_hub() -> None:
    assert shard_names(1) == ["model.safetensors"]
    assert shard_names(2) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


@pytest.mark.parametrize("text", ["5GB", " 1.5 gb ", "500MB", "7KB", "2TB", "0.1kb"])
def test_sizes_mean_what_they_mean_on_the_hub(text: str) -> None:
    limit = parse_size(text)
    for nbytes in (limit, limit + 1):
        pair = [("a", nbytes), ("b", 1)]
        assert shard_plan(pair, limit) == list(hub_split(pair, text).values())


def test_bare_number_is_bytes() -> None:
    assert parse_size("4096") == 4096


@pytest.mark.parametrize("text", ["5", " 500 ", "1.5"])
def test_a_unit_that_was_forgotten_is_asked_for(text: str) -> None:
    with pytest.raises(UsageError, match="has no unit"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "GB", "five GB", "5GiB", "-1GB", "0", "0.2", "nan", "inf GB", "1e999", "5PB"])
def test_what_is_not_a_size_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)
