"""Recipes in YAML: ours, and llm-compressor's as people have them. Errors name the file, the line and the key.

Ours::

    scheme: W8A8                 # or groups: [{targets: [...], scheme: W8A16, group_size: 64}]
    lm_head: {include: true, scheme: W8A16}
    targets: [Linear]
    ignore: ["re:.*experts.*"]
    observer: mse
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from ctq.errors import RecipeError, UsageError
from ctq.recipe.llm_compressor import is_llm_compressor, read_llm_compressor
from ctq.recipe.plain_yaml import EXAMPLE, load_yaml
from ctq.recipe.recipe import BodyGroup, Observer, Recipe
from ctq.recipe.schemes import DEFAULT_SCHEME, Scheme, scheme_named, variant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from ctq.recipe.plain_yaml import KeyPath

_KINDS = {
    type(None): "nothing",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a truth value",
}
_NO_SUCH_KEY = "extra_forbidden"
_EXPECTED = {
    "bool_type": "true or false is expected",
    "int_type": "a whole number is expected",
    "list_type": "a list is expected",
    "missing": "is missing",
    "model_type": "a mapping of keys is expected",
    "string_type": "a text is expected",
}
"""What pydantic's types of errors mean in a recipe."""
_MOST_PROBLEMS = 5


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
        return self.over(scheme_named(self.scheme))

    def over(self, scheme: Scheme) -> Scheme:
        """Return ``scheme`` with the choices of these fields."""
        return variant(scheme, strategy=self.strategy, group_size=self.group_size, symmetric=self.symmetric)


class GroupFields(SchemeFields):
    """Modules and their scheme."""

    targets: list[str]


class HeadFields(SchemeFields):
    """The decision on the head; what it leaves out of its scheme it takes from the body's."""

    include: bool
    scheme: str = ""

    def own_scheme(self, body: Sequence[BodyGroup]) -> Scheme | None:
        """Return the head's scheme where it says anything of one, the body's first group's with its choices put over it."""
        if not self.scheme and self.strategy is None and self.group_size is None and self.symmetric is None:
            return None
        inherited = body[0].scheme if body else scheme_named(DEFAULT_SCHEME)
        return self.over(scheme_named(self.scheme) if self.scheme else inherited)


class RecipeFields(SchemeFields):
    """The keys of a recipe file of ours."""

    groups: list[GroupFields] | None = None
    targets: list[str] | None = None
    ignore: list[str] = []
    lm_head: HeadFields | None = None
    observer: Observer = "minmax"

    @field_validator("lm_head", mode="before")
    @classmethod
    def _in_or_out(cls, value: object) -> object:
        return {"include": value} if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _one_way(self) -> RecipeFields:
        beside = [name for name in GroupFields.model_fields if name in self.model_fields_set]
        if self.groups is not None and beside:
            raise ValueError(f"give either groups or {beside[0]}, not both: each group has its own")
        return self


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file, ours or llm-compressor's.

    Raises:
        RecipeError: the file cannot be read or does not validate.

    """
    data, lines = load_yaml(path)
    if not isinstance(data, dict):
        found = _KINDS.get(type(data), "a value")
        raise RecipeError(f"{path}: a recipe is a mapping of keys, found {found}", hint=EXAMPLE)
    try:
        if is_llm_compressor(data):
            return read_llm_compressor(data, origin=path.name)
        return _ours(RecipeFields.model_validate(data), path.name)
    except ValidationError as error:
        raise RecipeError(_problems(path, error.errors(), lines), hint=_keys(error)) from error
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
    return Recipe(
        body=body,
        ignore=tuple(fields.ignore),
        lm_head=head.include if head is not None else None,
        lm_head_scheme=head.own_scheme(body) if head is not None else None,
        observer=fields.observer,
        origin=origin,
    )


def _keys(error: ValidationError) -> str | None:
    """Name the keys that there are, where one was given that there is not."""
    if not any(item["type"] == _NO_SUCH_KEY for item in error.errors()):
        return None
    own, head, group = (", ".join(fields.model_fields) for fields in (RecipeFields, HeadFields, GroupFields))
    return f"keys: {own}; in lm_head: {head}; in groups: {group}"


def _problems(path: Path, items: Sequence[ErrorDetails], lines: dict[KeyPath, int]) -> str:
    """Say what is wrong, a line for each of the first few: another kind of file is wrong in every line."""
    told = [_problem(path, item, lines) for item in items[:_MOST_PROBLEMS]]
    left = len(items) - len(told)
    return "\n".join([*told, f"{path}: and {left} more like these"] if left else told)


def _problem(path: Path, item: ErrorDetails, lines: dict[KeyPath, int]) -> str:
    key = tuple(str(part) for part in item["loc"])
    line = next((lines[key[:size]] for size in range(len(key), 0, -1) if key[:size] in lines), 1)
    return f"{path}:{line}: {'.'.join(key) or 'recipe'}: {_words(item, key)}"


def _words(item: ErrorDetails, key: KeyPath) -> str:
    if item["type"] == _NO_SUCH_KEY:
        known = {**RecipeFields.model_fields, **HeadFields.model_fields, **GroupFields.model_fields}
        near = get_close_matches(key[-1], known, n=1)
        return "no such key" + (f"; did you mean {near[0]}?" if near else "")
    return _EXPECTED.get(item["type"], item["msg"].removeprefix("Value error, "))
