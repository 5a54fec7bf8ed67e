"""The recipe that holds after every flag was put over the recipe file's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ctq.errors import UsageError
from ctq.recipe.recipe import BodyGroup, Recipe, default_body
from ctq.recipe.schemes import Scheme, scheme_named, variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def effective_recipe(options: Mapping[str, Any]) -> Recipe:
    """Return the recipe file's recipe, or the default one, with every given flag put over it.

    Raises:
        RecipeError: the recipe file does not validate.
        UsageError: flags that contradict each other or the scheme.

    """
    recipe = Recipe(origin="flags")
    if options["recipe_file"]:
        from ctq.recipe.recipe_file import read_recipe

        recipe = read_recipe(options["recipe_file"])
    asked = _asked(options)
    if options["lm_head_scheme"] and asked is False:
        raise UsageError("--lm-head-scheme with an excluded head", hint="give --include-lm-head, or drop the scheme")
    recipe = replace(
        recipe,
        body=_body(recipe, options),
        ignore=recipe.ignore + options["ignore"],
        lm_head=asked if asked is not None else True if options["lm_head_scheme"] else recipe.lm_head,
        lm_head_scheme=scheme_named(options["lm_head_scheme"]) if options["lm_head_scheme"] else recipe.lm_head_scheme,
        observer=options["observer"] or recipe.observer,
        origin="flags" if asked is not None else recipe.origin,
    )
    return _vary(recipe, options)


def _asked(options: Mapping[str, Any]) -> bool | None:
    """Return what the flags decide on the head; both at once are a mistake of a script, whichever stands last."""
    if options["head_in"] and options["head_out"]:
        raise UsageError("--include-lm-head and --exclude-lm-head at once", hint="give one of them")
    return True if options["head_in"] else False if options["head_out"] else None


def _body(recipe: Recipe, options: Mapping[str, Any]) -> tuple[BodyGroup, ...]:
    named = scheme_named(options["scheme"]) if options["scheme"] else None
    if options["targets"]:
        scheme = named or (recipe.body[0].scheme if recipe.body else recipe.head_scheme)
        return (BodyGroup(targets=options["targets"], scheme=scheme),)
    if named is None:
        return recipe.body
    if len(recipe.body) > 1:
        raise UsageError("--scheme over a recipe with several groups", hint="change the recipe, or give --target too")
    return tuple(replace(group, scheme=named) for group in recipe.body) or default_body(named)


def _vary(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """Put strategy, group size and symmetry over every scheme that allows them; one at least must."""
    choices = {
        "strategy": options["strategy"],
        "group_size": options["group_size"],
        "symmetric": False if options["asymmetric"] else None,
    }
    if not any(choices.values()) and choices["symmetric"] is None:
        return recipe
    schemes = [group.scheme for group in recipe.body] + ([recipe.lm_head_scheme] if recipe.lm_head_scheme else [])
    varied = _allowed(schemes or [recipe.head_scheme], choices)
    body = tuple(replace(group, scheme=scheme) for group, scheme in zip(recipe.body, varied, strict=False))
    head = varied[-1] if recipe.lm_head_scheme or not recipe.body else None
    return replace(recipe, body=body, lm_head_scheme=head)


def _allowed(schemes: Sequence[Scheme], choices: Mapping[str, Any]) -> list[Scheme]:
    results: list[Scheme] = []
    refusals: list[UsageError] = []
    for scheme in schemes:
        try:
            results.append(variant(scheme, **choices))
        except UsageError as refusal:
            refusals.append(refusal)
            results.append(scheme)
    if len(refusals) == len(schemes):
        raise refusals[0]
    return results
