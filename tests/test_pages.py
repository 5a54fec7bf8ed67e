"""The pages of the project: every link inside leads to a file, and to a heading where it names one."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from ctq.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        ROOT / "tests" / "README.md",
    ]
)
LINK = re.compile(r"\]\((?!https?://)(?P<file>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings: lower case, spaces as hyphens, no marks."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text()):
        target = page.parent / link["file"] if link["file"] else page
        assert target.exists(), link[0]
        assert not link["heading"] or link["heading"] in anchors(target), link[0]


PLACE = re.compile(r"`((?:ctq|tests|benchmarks|docs|examples)/[\w./*-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_places_that_are_named_are_there(page: Path) -> None:
    places = set(PLACE.findall(page.read_text()))
    assert not [place for place in sorted(places) if not any(ROOT.glob(place.rstrip("/")))]


def test_the_scripts_are_in_their_table() -> None:
    table = (ROOT / "benchmarks" / "README.md").read_text()
    called = [
        path.name
        for folder in (ROOT / "benchmarks", ROOT / "benchmarks" / "learn")
        for path in folder.glob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    ]
    assert not [name for name in called if f"`{name}`" not in table]


def test_the_rooms_of_what_tests_build_with_are_in_their_table_and_looked_in() -> None:
    page = (ROOT / "tests" / "README.md").read_text().partition("## What lies in `support`")[2]
    rooms = {path.name for path in (ROOT / "tests" / "support").iterdir() if not path.name.startswith("__")}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == rooms
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    for looked_in in (settings["pytest"]["ini_options"]["pythonpath"], settings["mypy"]["mypy_path"]):
        assert set(looked_in) == {f"tests/support/{room}" for room in rooms}


def test_the_rooms_of_tests_are_on_their_page() -> None:
    page = (ROOT / "tests" / "README.md").read_text()
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert not [room for room in sorted(rooms) if f"`{room}`" not in page]


BLOCK = re.compile(r"^```(?:sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"^(?:\$ )?ctq (?P<words>[^#|>\n]*)", re.MULTILINE)
CALLS = [
    (f"{page.relative_to(ROOT)}: {call['words'].strip()}", shlex.split(call["words"]))
    for page in PAGES
    for block in BLOCK.findall(page.read_text())
    for call in CALL.finditer(block)
]


@pytest.mark.parametrize("words", [words for _, words in CALLS], ids=[name for name, _ in CALLS])
def test_calls_in_pages_are_understood(words: list[str]) -> None:
    name, *arguments = words
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)  # raises a usage error for what it does not know


def test_the_readme_shows_every_command() -> None:
    shown = {words[0] for name, words in CALLS if name.startswith("README.md")}
    assert shown == set(COMMANDS)
