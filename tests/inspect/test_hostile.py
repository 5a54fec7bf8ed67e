"""Configs, names and patterns that nobody vouches for: a report or a refusal, in bounded time, never a traceback."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import breaking as do
import pytest
from builders import INDEX, edit_tensors, tiny_quantized
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_safetensors import Raw, write_file

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import InspectOptions, Report, inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["Linear", "re:.*", "re:(", "re:(a+)+$", "lm_head", "int-quantized", "group", "float", "compressed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def inspect(folder: Path) -> Report:
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(deep=True))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_quantized(tmp_path_factory.mktemp("hostile"), kind="mixed", shards=1)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, item in items for path in paths(item, (*prefix, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_config_with_anything_anywhere_is_reported_on(base: Path, data: st.DataObject) -> None:
    raw = json.loads((base / "config.json").read_text())
    healthy = (base / "config.json").read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        raw = put(raw, data.draw(st.sampled_from(paths(raw))), data.draw(VALUES))
    try:
        (base / "config.json").write_text(json.dumps(raw))
        report = inspect(base)
        assert json.dumps(report.to_json())
    finally:
        (base / "config.json").write_bytes(healthy)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
            | st.sampled_from(["weight", "lm_head.weight", ".", "..", "a..weight", "lm_head.weight_scale", "0.weight",
                               "layers.0.weight", "model.layers.99999999999.w.weight", "experts.0_scale", "#.0.weight",
                               "x.weight.absmax", "lm_head.weight_packed", "#", "a.#.weight"]),
            st.sampled_from(["I8", "BF16", "F8_E4M3", "U8", "I32", "BOOL", "F4", "C64"]),
            st.sampled_from([(), (0,), (1,), (2, 2), (4, 2), (2, 2, 2), (1, 1, 1, 1, 2)]),
        ),
        max_size=8,
        unique_by=lambda row: row[0],
    )
)  # fmt: skip
def test_tensors_of_any_name_and_shape_are_reported_on(
    rows: list[tuple[str, str, tuple[int, ...]]], base: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    shutil.copy(base / "config.json", folder)
    header: dict[str, Any] = {}
    data = b""
    bits = {"I8": 8, "BF16": 16, "F8_E4M3": 8, "U8": 8, "I32": 32, "BOOL": 8, "F4": 4, "C64": 64}
    for name, dtype, shape in rows:
        size = bits[dtype]
        for dimension in shape:
            size *= dimension
        if size % 8 or name == "__metadata__":
            continue
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size // 8]}
        data += bytes(size // 8)
    write_file(folder / "model.safetensors", header, data)
    report = inspect(folder)
    assert json.dumps(report.to_json())
    shutil.rmtree(folder)


EXPLOSIVE = ["re:(a+)+$", "re:(.*)*x", "re:(a|aa)+b", "re:" + "(" * 500, "re:(?P<n>.)(?P=n)+$", "re:a{1,99999}"]


@pytest.mark.parametrize("pattern", EXPLOSIVE)
def test_patterns_that_explode_end_in_bounded_time(pattern: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    long = "a" * 5000
    edit_tensors(folder, lambda tensors: tensors.update({f"{long}.weight": Raw("I64", (1, 1), bytes(8))}))
    do.ignore(pattern)(folder)
    report = inspect(folder)
    assert report.facts.head.state == "quantized"


def test_a_hundred_thousand_patterns_and_modules_are_no_product(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, shards=1)
    names = [f"model.layers.{number}.mlp.experts.{expert}.w9" for number in range(20) for expert in range(200)]
    edit_tensors(
        folder, lambda tensors: tensors.update({f"{name}.weight": Raw("BF16", (1, 1), bytes(2)) for name in names})
    )
    do.ignore(*names, *(f"other.{number}" for number in range(20_000)))(folder)
    report = inspect(folder)
    ignored = [module for module in report.to_json()["modules"] if module["ignored_by"]]
    assert len(ignored) == len(names)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b'{"a":1,"a":2}', b'{"x": NaN}', b"\xff", b"[" * 100_000, b'{"quantization_config": []}'],
)
def test_a_config_that_is_no_config_is_one_finding(raw: bytes, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    (folder / "config.json").write_bytes(raw)
    codes = [finding.code for finding in inspect(folder).findings if finding.severity == "error"]
    assert codes in (["FIL003"], ["CFG001"]), codes


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret.safetensors", "a\\b", "\0", ""])
def test_an_index_that_leaves_the_folder_is_a_finding(target: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    do.index(lambda index: index["weight_map"].update({"lm_head.weight": target}))(folder)
    assert "FIL004" in [finding.code for finding in inspect(folder).findings]


def test_a_folder_of_files_that_are_not_what_they_seem(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04 not safetensors at all")
    (tmp_path / INDEX).write_text("[]")
    assert "FIL001" in {finding.code for finding in inspect(tmp_path).findings}
