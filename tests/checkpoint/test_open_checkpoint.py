"""One defect between the files gives one fault, named by it; a healthy checkpoint gives none."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from breaking import entry_twice
from builders import (
    INDEX,
    SINGLE,
    Raw,
    edit_header,
    edit_index,
    read_file,
    tiny_checkpoint,
    write_file,
    write_safetensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import ctq
from ctq.checkpoint.checkpoint import open_checkpoint, require_sound
from ctq.checkpoint.faults import HARMLESS, FaultKind
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = "model-00001-of-00002.safetensors"
SECOND = "model-00002-of-00002.safetensors"
HEAD = "lm_head.weight"
NORM = "model.norm.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "tiny", shards=2)


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def mapped(**entries: str) -> Callable[[Path], object]:
    return lambda folder: edit_index(folder, lambda index: index["weight_map"].update(entries))


def unlisted(folder: Path) -> None:
    edit_index(folder, lambda index: index["weight_map"].pop(HEAD))


def wrong_total(folder: Path) -> None:
    edit_index(folder, lambda index: index["metadata"].update({"total_size": 1}))


def stray(folder: Path) -> None:
    shutil.copy(folder / SECOND, folder / "old.safetensors")


def truncated(folder: Path) -> None:
    with (folder / SECOND).open("r+b") as file:
        file.truncate(9000)


def without_index(folder: Path) -> None:
    (folder / INDEX).unlink()


def second_copy(folder: Path) -> None:
    """Put a tensor of the second shard into the first one as well."""
    header, data = read_file(folder / SECOND)
    start, end = header[NORM]["data_offsets"]
    first = folder / "model-00001-of-00002.safetensors"
    entries, before = read_file(first)
    entries[NORM] = header[NORM] | {"data_offsets": [len(before), len(before) + end - start]}
    write_file(first, entries, before + data[start:end])


def second_of_another_shape(folder: Path) -> None:
    """Put a tensor of the second shard into the first one too, as one value."""
    first = folder / "model-00001-of-00002.safetensors"
    entries, before = read_file(first)
    entries[NORM] = {"dtype": "BF16", "shape": [1], "data_offsets": [len(before), len(before) + 2]}
    write_file(first, entries, before + b"\0\0")


def as_codes(folder: Path, file: str) -> None:
    """Call the bytes of a copied tensor by the name of an integer dtype of the same width."""
    edit_header(folder / file, lambda header: header[NORM].update({"dtype": "I16"}))


def renamed(folder: Path) -> None:
    edit_header(folder / SECOND, lambda header: header.update({"lm_hood.weight": header.pop(HEAD)}))


BREAKS: list[tuple[FaultKind, str, Callable[[Path], object], str]] = [
    (FaultKind.CONFIG_MISSING, "config.json", lambda folder: (folder / "config.json").unlink(), "no config.json"),
    (FaultKind.CONFIG_INVALID, "config.json", put("config.json", b"{"), "config.json: not JSON"),
    (FaultKind.CONFIG_INVALID, "config.json", put("config.json", b"[]"), "config.json: not a JSON object"),
    (FaultKind.CONFIG_INVALID, "config.json", put("config.json", b"[" * 100_000), "config.json: not JSON"),
    (FaultKind.CONFIG_INVALID, "config.json", put("config.json", b'"%s"' % (b"x" * 32_000_000)), "config.json: larger than"),
    (FaultKind.CONFIG_INVALID, "modules.json", put("modules.json", b"{"), "modules.json: not JSON"),
    (FaultKind.CONFIG_INVALID, "modules.json", put("modules.json", b"[1]"), "modules.json: no list of modules"),
    (FaultKind.HEADER, SECOND, truncated, "bytes of tensor data are missing"),
    (FaultKind.HEADER, SECOND, put(SECOND, b""), "only 0 bytes"),
    (FaultKind.INDEX_INVALID, INDEX, put(INDEX, b"{}"), "no weight_map"),
    (FaultKind.INDEX_INVALID, INDEX, mapped(ghost="../x"), "leaves the folder"),
    (FaultKind.INDEX_MISSING, INDEX, without_index, "2 shards but no"),
    (FaultKind.SHARD_MISSING, SECOND, lambda folder: (folder / SECOND).unlink(), "named by the index, but not there"),
    (FaultKind.SHARD_UNLISTED, "old.safetensors", stray, "not part of"),
    (FaultKind.TENSOR_NOT_IN_SHARD, INDEX, mapped(ghost=SECOND), "tensor 'ghost' is not in"),
    (FaultKind.TENSOR_NOT_IN_INDEX, INDEX, unlisted, f"'{HEAD}' is not in the index"),
    (FaultKind.TENSOR_DUPLICATE, SECOND, second_copy, f"'{NORM}' lies in model-00001-of-00002.safetensors and in {SECOND}"),
    (FaultKind.TENSOR_CONFLICT, SECOND, second_of_another_shape, "of another dtype or shape"),
    (FaultKind.ENTRY_TWICE, SECOND, entry_twice, "stands there twice"),
    (FaultKind.TOTAL_SIZE, INDEX, wrong_total, "total_size says 1 bytes"),
    (FaultKind.PICKLE, "model.bin", put("model.bin", b"\x80\x04."), "never opens"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "file", "damage", "words"), BREAKS, ids=[f"{row[0]}: {row[3]}" for row in BREAKS])
def test_one_defect_is_one_fault(
    folder: Path, kind: FaultKind, file: str, damage: Callable[[Path], object], words: str
) -> None:
    damage(folder)
    checkpoint = open_checkpoint(LocalFolder(folder))
    assert [(fault.kind, fault.file) for fault in checkpoint.faults] == [(kind, file)], checkpoint.faults
    assert words in checkpoint.faults[0].message
    if kind in HARMLESS:
        require_sound(checkpoint)
    else:
        with pytest.raises(CheckpointError) as refusal:
            require_sound(checkpoint)
        assert words in refusal.value.message
        assert str(folder) in refusal.value.message
        assert refusal.value.hint


def test_every_kind_of_fault_has_a_checkpoint() -> None:
    assert {row[0] for row in BREAKS} == set(FaultKind) - {FaultKind.LINK_OUTSIDE}


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_a_healthy_checkpoint_has_no_fault(tmp_path: Path, shards: int) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny", shards=shards)
    checkpoint = open_checkpoint(LocalFolder(folder))
    require_sound(checkpoint)
    assert checkpoint.faults == ()
    assert len(checkpoint.headers) == shards
    assert checkpoint.nbytes == sum(header.nbytes for header in checkpoint.headers.values())
    assert set(checkpoint.shard_of) == set(checkpoint.tensors)


def test_reads_one_tensor(folder: Path) -> None:
    header, data = read_file(folder / SECOND)
    start, end = header[NORM]["data_offsets"]
    assert open_checkpoint(LocalFolder(folder)).read(NORM) == data[start:end]


def test_a_tensor_twice_is_read_where_the_index_puts_it(folder: Path) -> None:
    second_copy(folder)
    assert open_checkpoint(LocalFolder(folder)).shard_of[NORM] == SECOND
    edit_index(folder, lambda index: index["weight_map"].update({NORM: "model-00001-of-00002.safetensors"}))
    assert open_checkpoint(LocalFolder(folder)).shard_of[NORM] == "model-00001-of-00002.safetensors"


@pytest.mark.parametrize(("named", "kind"), [(SECOND, FaultKind.TENSOR_DUPLICATE), (FIRST, FaultKind.TENSOR_CONFLICT)])
def test_a_copy_of_another_dtype_is_borne_where_the_index_names_the_last_file(
    folder: Path, named: str, kind: FaultKind
) -> None:
    second_copy(folder)
    as_codes(folder, FIRST)
    edit_index(folder, lambda index: index["weight_map"].update({NORM: named}))
    assert kind in {fault.kind for fault in open_checkpoint(LocalFolder(folder)).faults}


def test_tensors_twice_are_told_by_name_in_every_run_alike(folder: Path) -> None:
    names = [f"copy.{number:02}" for number in range(20)]
    for file in (FIRST, SECOND):
        entries, data = read_file(folder / file)
        starts = range(len(data), len(data) + 2 * len(names), 2)
        for name, start in zip(names, starts, strict=True):
            entries[name] = {"dtype": "BF16", "shape": [1], "data_offsets": [start, start + 2]}
        write_file(folder / file, entries, data + bytes(2 * len(names)))
    faults = open_checkpoint(LocalFolder(folder)).faults
    assert [fault.tensor for fault in faults if fault.kind is FaultKind.TENSOR_DUPLICATE] == names


def test_a_renamed_tensor_is_missing_and_unlisted(folder: Path) -> None:
    renamed(folder)
    kinds = [fault.kind for fault in open_checkpoint(LocalFolder(folder)).faults]
    assert kinds == [FaultKind.TENSOR_NOT_IN_SHARD, FaultKind.TENSOR_NOT_IN_INDEX]


def test_many_faults_are_told_in_few_lines(folder: Path) -> None:
    edit_index(folder, lambda index: index["weight_map"].update({f"ghost.{n}": SECOND for n in range(5000)}))
    with pytest.raises(CheckpointError) as refusal:
        require_sound(open_checkpoint(LocalFolder(folder)))
    assert len(refusal.value.message.splitlines()) == 21
    assert refusal.value.message.endswith("and 4980 more faults like these")


def test_pickles_alone_name_the_conversion(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match=r"only pickles \(pytorch_model.bin\)") as refusal:
        open_checkpoint(LocalFolder(tmp_path))
    assert "save_pretrained" in str(refusal.value.hint)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no \.safetensors file in it"):
        open_checkpoint(LocalFolder(tmp_path))


def test_weights_in_sub_folders_alone(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "transformer", shards=1)
    (tmp_path / "model_index.json").write_text("{}")
    checkpoint = open_checkpoint(LocalFolder(tmp_path))
    assert list(checkpoint.headers) == [f"transformer/{SINGLE}"]


def test_a_folder_of_checkpoints_is_none_itself(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tiny_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"no checkpoint itself, but one, two in it") as refusal:
        open_checkpoint(LocalFolder(tmp_path))
    assert refusal.value.hint == f"give one of them: {tmp_path}/one"


def test_names_that_sort_and_print_oddly(tmp_path: Path) -> None:
    names = ["", "with space", "uni·code", "🙂", "line\nbreak", "__metadata", 'quote"d', "back\\slash"]
    write_safetensors(tmp_path / SINGLE, {name: Raw("I8", (2,), bytes(2)) for name in names})
    (tmp_path / "config.json").write_text("{}")
    checkpoint = open_checkpoint(LocalFolder(tmp_path))
    assert set(checkpoint.tensors) == set(names)
    assert checkpoint.faults == ()


MEMORY_PROGRAM = """
import re, sys
from pathlib import Path
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
checkpoint = open_checkpoint(LocalFolder(Path(sys.argv[1])))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(len(checkpoint.tensors), len(checkpoint.faults), int(peak[1]) // 1024)
"""


def opened_apart(folder: Path, megabytes: int) -> tuple[int, int, int]:
    """Open ``folder`` in a process that may not have more memory; return its tensors, faults and peak in MiB."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM, folder],
        cwd=Path(ctq.__file__).parents[1],
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tensors, faults, peak = map(int, done.stdout.split())
    return tensors, faults, peak


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"[", b'{"a":'], ids=lambda unit: unit.decode())
def test_a_header_of_nothing_but_brackets_takes_no_more_memory_than_its_text(tmp_path: Path, unit: bytes) -> None:
    (tmp_path / "config.json").write_text("{}")
    text = b'{"w":[' + unit * (20_000_000 // len(unit))
    (tmp_path / SINGLE).write_bytes(len(text).to_bytes(8, "little") + text)
    tensors, faults, peak = opened_apart(tmp_path, 600)
    assert (tensors, faults) == (0, 1)
    assert peak < 100


def test_ninety_thousand_tensors_in_many_shards(tmp_path: Path) -> None:
    weight_map, per_shard = {}, 600
    for shard in range(150):
        name = f"model-{shard:05d}-of-00150.safetensors"
        tensors = {
            f"model.layers.{shard}.mlp.experts.{n}.down_proj.weight": Raw("I8", (4,), bytes(4))
            for n in range(per_shard)
        }
        write_safetensors(tmp_path / name, tensors)
        weight_map |= dict.fromkeys(tensors, name)
    (tmp_path / INDEX).write_text(
        json.dumps({"metadata": {"total_size": 4 * len(weight_map)}, "weight_map": weight_map})
    )
    (tmp_path / "config.json").write_text("{}")
    tensors, faults, peak = opened_apart(tmp_path, 600)
    assert (tensors, faults) == (90_000, 0)
    assert peak < 130


@given(data=st.data())
@settings(max_examples=60)
def test_whatever_is_done_to_the_bytes_of_any_file_is_a_fault_or_a_refusal(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_checkpoint(Path(name), shards=2)
        victim = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
        content = bytearray(victim.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, min(len(content), 3000)))
            stop = data.draw(st.integers(start, min(len(content), start + 50)))
            content[start:stop] = data.draw(
                st.binary(max_size=8) | st.sampled_from([b'"', b"{", b"]", b"null", b"-1", b"1e9", b","])
            )
        victim.write_bytes(content)
        try:
            checkpoint = open_checkpoint(LocalFolder(folder))
        except CheckpointError:
            return
        assert all("\n" not in fault.message and len(fault.message) < 1000 for fault in checkpoint.faults)
        assert checkpoint.config.text_levels
