"""YAML from a file that nobody vouches for: plain data and the line of each key, refused with a cause and in bounded time.

Tags, aliases, deep nesting and a key that is given twice are refused: of the last, readers take one or the other without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from ctq.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_RECIPE_BYTES = 64 * 1024
_TEXT = "tag:yaml.org,2002:str"
_DEEPEST = 20
"""Levels of nesting; the scanner's time grows with their square."""
EXAMPLE = "a recipe is YAML like {scheme: W8A8, lm_head: {include: true}}"

KeyPath = tuple[str, ...]
"""The keys and list positions that lead to a value, as texts."""


def load_yaml(path: Path) -> tuple[Any, dict[KeyPath, int]]:
    """Return the plain data of a YAML file and the line of each key path.

    Raises:
        RecipeError: not readable, too large, not YAML, or YAML with aliases, tags, a key twice or one that is no text.

    """
    raw = _read(path)
    try:
        _refuse_bombs(raw, path)
        node = yaml.compose(raw, Loader=yaml.SafeLoader)
        data = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not YAML: {_words(error)}", hint=EXAMPLE) from error
    lines: dict[KeyPath, int] = {}
    odd = next(_keys_of_no_text(node), None) if node else None
    if odd is not None:
        line = odd.start_mark.line + 1
        raise RecipeError(f"{path}:{line}: the key '{odd.value}' is no text", hint=f"put quotes around '{odd.value}'")
    for key, line in _lines(node, ()) if node else ():
        if key in lines:
            raise RecipeError(f"{path}:{line}: {'.'.join(key)}: given in line {lines[key]} already", hint="keep one")
        lines[key] = line
    return data, lines


def _words(error: Exception) -> str:
    """Return what is wrong and where, without the excerpt that the scanner points into."""
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.MarkedYAMLError) and mark is not None:
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_RECIPE_BYTES + 1)  # no more: it may be a device that never ends
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}", hint="--recipe takes a YAML file") from error
    if len(raw) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{path}: more than {MAX_RECIPE_BYTES} bytes is no recipe", hint=EXAMPLE)
    return raw


def _refuse_bombs(raw: bytes, path: Path) -> None:
    """Go through the events, which come as they are scanned, and stop at the first that a recipe has no use for."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise RecipeError(f"{path}: aliases are not read in recipes", hint="write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecipeError(f"{path}: nested more than {_DEEPEST} levels deep is no recipe", hint=EXAMPLE)


def _lines(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    """Yield each key path and its line; one that is given twice comes twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            here = (*path, str(number))
            yield here, value.start_mark.line + 1
            yield from _lines(value, here)


def _keys_of_no_text(node: yaml.Node) -> Iterator[yaml.Node]:
    """Yield keys that YAML takes for a switch, a number or nothing (`no`, `1`)."""
    if isinstance(node, yaml.MappingNode):
        yield from (key for key, _ in node.value if key.tag != _TEXT)
    if isinstance(node, yaml.CollectionNode):
        for entry in node.value:
            yield from _keys_of_no_text(entry[1] if isinstance(entry, tuple) else entry)
