"""Where an output may go, and that it takes its name only whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from ctq.checkpoint.telltales import JOURNAL_NAME
from ctq.errors import OutputError
from ctq.quantize.folders import PUBLISHING_NAME
from ctq.quantize.journal import Journal
from ctq.quantize.stage import Stage, open_stage, publish, settle

PLAN = {"units": 2, "version": "1", "source": "a", "recipe": "b"}


def fill(stage: Stage, text: str = "new") -> None:
    (stage.work / "config.json").write_text(text)
    stage.journal.write_text("{}\n")


def model(folder: Path, text: str = "old") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text)
    return folder


def test_nothing_stands_at_the_output_before_it_is_published(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    stage = open_stage(out, None, force=False, resume=False)
    fill(stage)
    assert not out.exists()
    publish(stage)
    assert sorted(path.name for path in out.iterdir()) == ["config.json"], "the journal is gone"
    assert not stage.work.exists()


@pytest.mark.parametrize("place", [".", "..", "inside"])
def test_the_source_is_kept_out_of_reach(tmp_path: Path, place: str) -> None:
    source = model(tmp_path / "a" / "source")
    with pytest.raises(OutputError, match="source"):
        open_stage(source / place, source, force=True, resume=False)
    assert (source / "config.json").read_text() == "old"


def test_a_link_to_the_source_is_the_source(tmp_path: Path) -> None:
    source = model(tmp_path / "source")
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(OutputError, match="is the source"):
        open_stage(tmp_path / "link", source, force=True, resume=False)


def test_an_existing_output_needs_force(tmp_path: Path) -> None:
    out = model(tmp_path / "out")
    with pytest.raises(OutputError, match="already exists"):
        open_stage(out, None, force=False, resume=False)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_kill_while_moving_up_into_a_mount_point_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    out = model(tmp_path / "volume")
    (out / "old.safetensors").write_text("old")
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == out)
    stage = open_stage(out, None, force=True, resume=False)
    fill(stage)
    (stage.work / "model.safetensors").write_text("new")
    real, calls = Path.replace, 0

    def dying(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls > moved:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Path, "replace", dying)
        publish(stage)
    settle(out)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    assert (out / "config.json").read_text() == "new"


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial/thesis.txt").write_text("mine")
    model(tmp_path / "out.old-ctq")
    with pytest.raises(OutputError, match="not an unfinished run of ctq"):
        open_stage(tmp_path / "out", None, force=not resume, resume=resume)
    assert (tmp_path / "out.partial/thesis.txt").exists()
    assert (tmp_path / "out.old-ctq").exists()


def test_a_project_with_a_config_is_no_model(tmp_path: Path) -> None:
    out = model(tmp_path / "project", "{}")
    with pytest.raises(OutputError, match="not a model's folder"):
        open_stage(out, None, force=True, resume=False)


def test_an_output_that_is_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    old = model(tmp_path / "real")
    (old / "model.safetensors").write_text("old")
    (tmp_path / "link").symlink_to(old)
    stage = open_stage(tmp_path / "link", None, force=True, resume=False)
    fill(stage)
    publish(stage)
    assert (tmp_path / "link/config.json").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_force_replaces_a_model_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    out = model(tmp_path / "out")
    (out / "model.safetensors").write_text("old")
    stage = open_stage(out, None, force=True, resume=False)
    fill(stage)
    assert (out / "config.json").read_text() == "old"
    publish(stage)
    assert (out / "config.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_force_does_not_replace_what_is_no_model(tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "letters.txt").write_text("dear")
    with pytest.raises(OutputError, match="not a model's folder"):
        open_stage(out, None, force=True, resume=False)
    with pytest.raises(OutputError, match="already exists") as refusal:
        open_stage(out, None, force=False, resume=False)
    assert "--force" not in str(refusal.value.hint), "no advice that would be refused"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="not a model's folder"):
        open_stage(tmp_path / "file", None, force=True, resume=False)


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    stage = open_stage(out, None, force=False, resume=False)
    fill(stage)
    publish(stage)
    assert (out / "config.json").read_text() == "new"


def test_an_unfinished_run_is_named_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stage = open_stage(out, None, force=False, resume=False)
    with Journal(stage.journal, PLAN) as journal:
        journal.mark(0)
    with pytest.raises(OutputError, match="an unfinished run, 1 of 2 units done") as error:
        open_stage(out, None, force=False, resume=False)
    assert "--resume" in (error.value.hint or "")
    assert open_stage(out, None, force=False, resume=True).journal.exists()
    open_stage(out, None, force=True, resume=False)
    assert not stage.journal.exists(), "--force starts over"


def test_force_does_not_discard_a_run_that_is_still_going(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stage = open_stage(out, None, force=False, resume=False)
    with Journal(stage.journal, PLAN), pytest.raises(OutputError, match="another run is writing it"):
        open_stage(out, None, force=True, resume=False)
    assert stage.journal.exists()


def test_a_kill_after_the_exchange_is_mended(tmp_path: Path) -> None:
    out = model(tmp_path / "out", "new")
    (out / JOURNAL_NAME).write_text("{}\n")
    model(tmp_path / "out.partial", "old")
    with pytest.raises(OutputError, match="already exists"):
        open_stage(out, None, force=False, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["config.json"]


def test_a_kill_between_two_renames_is_mended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    model(tmp_path / "out.old-ctq", "old")
    stage = Stage(out, tmp_path / "out.partial")
    stage.work.mkdir()
    fill(stage)
    with pytest.raises(OutputError, match="already exists"):
        open_stage(out, None, force=False, resume=True)
    assert (out / "config.json").read_text() == "old", "the old output is back"
    assert stage.work.exists(), "and nothing of the new one is lost"


def test_a_mount_point_is_staged_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = model(tmp_path / "volume")
    (out / "old.safetensors").write_text("old")
    (out / "lost+found").mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == out)
    stage = open_stage(out, None, force=True, resume=False)
    assert stage.work == out / ".partial"
    fill(stage)
    (stage.work / "model.safetensors").write_text("new")
    publish(stage)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "lost+found", "model.safetensors"]
    assert (out / "config.json").read_text() == "new"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="Not a directory"):
        open_stage(tmp_path / "file" / "out", None, force=False, resume=False)


def _link(place: Path, secret: Path) -> None:
    place.symlink_to(secret)


def _pipe(place: Path, secret: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("odd", [_link, _pipe])
@pytest.mark.parametrize("name", [JOURNAL_NAME, "model.safetensors", "deep/config.json"])
@pytest.mark.parametrize("force", [True, False])
def test_a_stage_with_links_or_pipes_in_it_is_not_written_into(
    tmp_path: Path, odd: Any, name: str, force: bool
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    work = tmp_path / "out.partial"
    (work / "deep").mkdir(parents=True)
    (work / JOURNAL_NAME).write_text("{}\n")
    (work / name).unlink(missing_ok=True)
    odd(work / name, secret)
    with pytest.raises(OutputError, match="not an unfinished run of ctq"):
        open_stage(tmp_path / "out", None, force=force, resume=not force)
    assert secret.read_text() == "mine"


def test_a_stage_that_is_a_link_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="not an unfinished run of ctq"):
        open_stage(tmp_path / "out", None, force=True, resume=False)


def test_a_list_of_a_move_up_counts_only_in_a_mount_point_and_only_with_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = model(tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / PUBLISHING_NAME).write_text("[]")
    settle(out)
    assert (out / "config.json").exists()
    volume = model(tmp_path / "volume")
    (volume / ".partial").mkdir()
    (volume / ".partial" / PUBLISHING_NAME).write_text('["../../out/config.json"]')
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == volume)
    settle(volume)
    assert (volume / "config.json").exists()
    assert (out / "config.json").exists()


def test_what_came_meanwhile_is_not_replaced_without_force(tmp_path: Path) -> None:
    stage = open_stage(tmp_path / "out", None, force=False, resume=False)
    fill(stage)
    other = model(tmp_path / "out", "other")
    with pytest.raises(OutputError, match="File exists; the result is whole in"):
        publish(stage)
    assert (other / "config.json").read_text() == "other"


def test_nothing_is_mended_under_a_run_that_is_publishing(tmp_path: Path) -> None:
    out = model(tmp_path / "out", "new")
    model(tmp_path / "out.partial", "old")
    with Journal(out / JOURNAL_NAME, PLAN), pytest.raises(OutputError, match="another run is writing it"):
        settle(out)
    assert (tmp_path / "out.partial").exists()


def test_a_discarded_stage_is_known_as_one_until_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = open_stage(tmp_path / "out", None, force=False, resume=False)
    for name in ("a", "z", JOURNAL_NAME):
        (stage.work / name).write_text("{}\n")
    real, calls = Path.unlink, 0

    def dying(self: Path, missing_ok: bool = False) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        real(self, missing_ok)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Path, "unlink", dying)
        open_stage(tmp_path / "out", None, force=True, resume=False)
    assert open_stage(tmp_path / "out", None, force=True, resume=False).work.exists()
