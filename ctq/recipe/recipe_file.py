"""Recipes in YAML: ours, and llm-compressor's as people have them. Errors name the file, the line and the key.

Ours::

    scheme: W8A8                 # or groups: [{targets: [...], scheme: W8A16, group_size: 64}]
    lm_head: {include: true, scheme: W8A16}
    targets: [Linear]
    ignore: ["re:.*experts.*"]
    observer: mse

Only plain YAML is read: tags, aliases and deep nesting are refused by the loader below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ctq.errors import RecipeError, UsageError
from ctq.recipe.llm_compressor import is_llm_compressor, read_llm_compressor
from ctq.recipe.recipe import BodyGroup, Observer, Recipe
from ctq.recipe.schemes import DEFAULT_SCHEME, Scheme, scheme_named, variant

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    type(None): "nothing",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a truth value",
}
_NO_SUCH_KEY = "extra_forbidden"
MAX_RECIPE_BYTES = 64 * 1024
_DEEPEST = 20
"""Levels of nesting; the scanner's time grows with their square."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SchemeFields(_Strict):
    """A scheme's name and the choices that it leaves."""

    scheme: str = DEFAULT_SCHEME
    strategy: str | None = None
    group_size: int | None = None
    symmetric: bool | None = None

    def build(self) -> Scheme:
        """Return the scheme that these fields describe."""
        return variant(
            scheme_named(self.scheme), strategy=self.strategy, group_size=self.group_size, symmetric=self.symmetric
        )


class GroupFields(SchemeFields):
    """Modules and their scheme."""

    targets: list[str]


class HeadFields(SchemeFields):
    """The decision on the head; without a scheme it takes the body's."""

    include: bool
    scheme: str = ""


class RecipeFields(SchemeFields):
    """The keys of a recipe file of ours."""

    groups: list[GroupFields] | None = None
    targets: list[str] | None = None
    ignore: list[str] = []
    lm_head: HeadFields | bool | None = None
    observer: Observer = "minmax"

    @model_validator(mode="after")
    def _one_way(self) -> RecipeFields:
        if self.groups is not None and (self.targets is not None or "scheme" in self.model_fields_set):
            raise ValueError("give either groups, or scheme and targets, not both")
        return self


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file, ours or llm-compressor's.

    Raises:
        RecipeError: the file cannot be read or does not validate.

    """
    data, lines = load_yaml(path)
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys, found {_KINDS.get(type(data), 'a value')}")
    try:
        if is_llm_compressor(data):
            return read_llm_compressor(data, origin=path.name)
        return _ours(RecipeFields.model_validate(data), path.name)
    except ValidationError as error:
        problems = "\n".join(_problem(path, item, lines) for item in error.errors())
        raise RecipeError(problems, hint=_keys(error)) from error
    except UsageError as error:
        raise RecipeError(f"{path}: {error.message}", hint=error.hint) from error


def recipe_from_json(data: object, *, origin: str) -> Recipe:
    """Return the recipe that a provenance record holds (the object of `Recipe.to_json`).

    Raises:
        RecipeError: it does not validate.

    """
    try:
        return _ours(RecipeFields.model_validate(data), origin)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {error.errors()[0]['msg']}") from error


def _ours(fields: RecipeFields, origin: str) -> Recipe:
    if fields.groups is not None:
        body = tuple(BodyGroup(targets=tuple(group.targets), scheme=group.build()) for group in fields.groups)
    else:
        body = (BodyGroup(targets=tuple(fields.targets or ["Linear"]), scheme=fields.build()),)
    head = fields.lm_head
    own_scheme = head.build() if isinstance(head, HeadFields) and head.scheme else None
    return Recipe(
        body=body,
        ignore=tuple(fields.ignore),
        lm_head=head.include if isinstance(head, HeadFields) else head,
        lm_head_scheme=own_scheme,
        observer=fields.observer,
        origin=origin,
    )


def _keys(error: ValidationError) -> str | None:
    """Name the keys that there are, where one was given that there is not."""
    if not any(item["type"] == _NO_SUCH_KEY for item in error.errors()):
        return None
    own, head, group = (", ".join(fields.model_fields) for fields in (RecipeFields, HeadFields, GroupFields))
    return f"keys: {own}; in lm_head: {head}; in groups: {group}"


def _problem(path: Path, item: Any, lines: dict[tuple[str, ...], int]) -> str:  # noqa: ANN401  # pydantic's error record
    key = tuple(str(part) for part in item["loc"] if not (isinstance(part, str) and part[:1].isupper()))
    line = next((lines[key[:size]] for size in range(len(key), 0, -1) if key[:size] in lines), 1)
    name = ".".join(key) or "recipe"
    words = "no such key" if item["type"] == _NO_SUCH_KEY else item["msg"].removeprefix("Value error, ")
    return f"{path}:{line}: {name}: {words}"


def load_yaml(path: Path) -> tuple[Any, dict[tuple[str, ...], int]]:
    """Return the plain data of a YAML file and the line of each key path.

    Raises:
        RecipeError: not readable, too large, not YAML, or YAML with aliases or tags.

    """
    raw = _read(path)
    try:
        _refuse_bombs(raw, path)
        node = yaml.compose(raw, Loader=yaml.SafeLoader)
        data = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not YAML: {_words(error)}") from error
    return data, dict(_lines(node, ())) if node else {}


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
        raise RecipeError(f"{path}: {error.strerror}") from error
    if len(raw) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{path}: more than {MAX_RECIPE_BYTES} bytes is no recipe")
    return raw


def _refuse_bombs(raw: bytes, path: Path) -> None:
    """Go through the events, which come as they are scanned, and stop at the first that a recipe has no use for."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise RecipeError(f"{path}: aliases are not read in recipes", hint="write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecipeError(f"{path}: nested more than {_DEEPEST} levels deep is no recipe")


def _lines(node: yaml.Node, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
    found: list[tuple[tuple[str, ...], int]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            found += [(here, key.start_mark.line + 1), *_lines(value, here)]
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            here = (*path, str(number))
            found += [(here, value.start_mark.line + 1), *_lines(value, here)]
    return found
