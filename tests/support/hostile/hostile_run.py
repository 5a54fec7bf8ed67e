"""Carry a hostile case out with the real command line, in this process, and hold the promises against what happened."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders import edit_config, tiny_checkpoint, tiny_quantized
from hostile_cases import Odd
from quantizing import plan_of, quantize

from ctq import events
from ctq.cli.main import run
from ctq.quantize.job import Job
from ctq.quantize.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hostile_cases import Case

Folders = dict[str, dict[str, bytes]]
SMALL = {"layers": 1, "vocab": 64}
_MODEL, _GOOD, _OUT = "MODEL", "GOOD", "OUT"


class BrokenPromiseError(AssertionError):
    """What ctq did that it must never do."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def healthy_folders(work: Path) -> Folders:
    """Build the folders that cases are made from: dense and quantized ones, a result of ctq, and an unfinished run."""
    tiny_checkpoint(work / "dense", shards=2, **SMALL)
    tiny_checkpoint(work / "dense-tied", shards=1, tied=True, **SMALL)
    (work / "dense/tokenizer_config.json").write_text('{"a": 1}')
    for kind in ("w8a8", "w8a16", "mixed"):
        tiny_quantized(work / kind, kind=kind, shards=1, **SMALL)
    quantize(work / "dense", work / "ours")
    edit_config(work / "dense-tied", lambda config: config.update(text_config={"tie_word_embeddings": True}))
    _leave_unfinished(work / "dense", work / "stopped")
    names = ("dense", "dense-tied", "w8a8", "w8a16", "mixed", "ours")
    return {name: read_folder(work / name) for name in names} | {"dense.partial": read_folder(work / "stopped.partial")}


def _leave_unfinished(source: Path, out: Path) -> None:
    class Stopped(Exception):  # noqa: N818  # no error: a stand-in for an interruption
        pass

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Advanced):
            raise Stopped

    with contextlib.suppress(Stopped):
        run_plan(plan_of(source), Job(source=source, out=out, model="MODEL", workers=1), on_event=listen)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def write_folder(folder: Path, files: Mapping[str, bytes | Odd]) -> None:
    """Write a folder of files and of things that are none."""
    folder.mkdir()
    for name, content in files.items():
        place = os.path.join(folder, name)  # noqa: PTH118  # names that pathlib would tidy up
        if isinstance(content, bytes):
            Path(place).write_bytes(content)
        elif content.kind == "link":
            os.symlink(content.target, place)  # noqa: PTH211
        elif content.kind == "fifo":
            os.mkfifo(place)
        else:
            Path(place).mkdir()


def carry_out(case: Case, good: Mapping[str, bytes], work: Path) -> Done:
    """Run a case in the empty folder ``work`` and return what it did; ``good`` is the healthy folder it was made from.

    Raises:
        BrokenPromiseError: a traceback, an unknown exit code, terminal codes, JSON that is none, or a file outside the output.

    """
    write_folder(work / _MODEL, case.files)
    write_folder(work / _GOOD, good)
    if case.partial:
        write_folder(work / f"{_OUT}.partial", case.partial)
    (work / "RECIPE").write_bytes(case.recipe or b"")
    before = _state(work)
    with _in_folder(work):
        done = call(case.arguments)
    check_words(done, as_json="--json" in case.arguments)
    changed = {name for name, state in (_state(work).items() ^ before.items()) if not name.startswith(_OUT)}
    _promise(not changed, f"wrote outside the output: {sorted(changed)}")
    if done.code != 0 and (work / _OUT).exists():
        _promise(done.code == 1, f"exit code {done.code}, and something stands at the output")
    if done.code == 0 and (work / _OUT).exists():
        loads = call(["inspect", str(work / _OUT), "--json", "--fail-on", "never"])
        _promise(loads.code == 0, f"the result cannot be inspected: {loads.err}")
    return done


def call(arguments: list[str]) -> Done:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
    finally:
        gc.enable()  # inspect turns it off for its one short pass
    return Done(int(code), out.getvalue(), err.getvalue())


def check_words(done: Done, *, as_json: bool) -> None:
    """Hold exit code and words to what is promised of them."""
    _promise("Traceback (most recent call last)" not in done.err, done.err)
    _promise(done.code in (0, 1, 2, 3), f"exit code {done.code}")
    _promise(bool(done.out or done.err) or done.code == 0, "refused without a word")
    for text in (done.out, done.err):
        bad = {
            character
            for character in text
            if character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        }
        _promise(not bad, f"printed {sorted(map(ascii, bad))}")
    if as_json and done.out:
        _promise(isinstance(_parsed(done.out), dict), "no JSON object")


def _parsed(text: str) -> Any:
    def refuse(name: str) -> None:
        raise BrokenPromiseError(f"{name} in JSON")

    return json.loads(text, parse_constant=refuse)


def _promise(kept: bool, otherwise: str) -> None:
    if not kept:
        raise BrokenPromiseError(otherwise)


def _state(work: Path) -> dict[str, tuple[int, ...]]:
    """Return what lies where: names with kind, size and time of change; nothing is opened, as there may be pipes."""
    found: dict[str, tuple[int, ...]] = {}
    for root, folders, names in os.walk(work):
        for name in (*folders, *names):
            place = os.path.join(root, name)  # noqa: PTH118
            status = os.lstat(place)
            is_folder = os.path.isdir(place) and not os.path.islink(place)  # noqa: PTH112, PTH114
            found[os.path.relpath(place, work)] = (
                status.st_mode,
                0 if is_folder else status.st_size,
                status.st_mtime_ns if not is_folder else 0,
            )
    return found


@contextlib.contextmanager
def _in_folder(folder: Path) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def cleared(folder: Path) -> Path:
    """Return the folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
