"""CFG: targets and ignore entries that reach nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.findings import Severity, named
from ctq.inspect.facts.entries import KNOWN_CLASSES
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit
from ctq.recipe.fused import FUSED_INTO
from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.modules.patterns import PatternList

_TAIL = 3
"""Last words of a name that no wrapper changes."""


def unmatched_target(facts: Facts) -> Iterator[Hit]:
    """Report a target that reaches no module.

    ## What it checks
    A target that is a name or a `re:` pattern matches no module of the files, nor a tied head. Names of classes are left alone:
    headers cannot show them.

    ## Why it hurts
    Nothing is quantized by it, silently; engines do not warn.

    ## Example
    `"targets": ["model.layers.0.mlp.down_prj"]`, or a regular expression without its `re:`.

    ## How to mend
    Correct the pattern, or remove it. Names are compared whole: write `re:.*NAME$` for a part.

    ## References
    compressed-tensors PR #866.
    """
    unused = [pattern for pattern in _unused(facts.patterns.targets, facts) if not _may_be_class(pattern)]
    if unused:
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.config_groups",
            message=f"target {_quoted(unused)} {_matches_nothing(unused)}",
            hint="correct or remove it; names are compared whole, `re:.*NAME$` matches their end",
        )


def unmatched_ignore(facts: Facts) -> Iterator[Hit]:
    """Report an `ignore` entry that excludes nothing.

    ## What it checks
    An entry of `ignore` that is a name or a `re:` pattern matches no module of the files, nor a tied head.

    ## Why it hurts
    What it was meant to keep dense is expected to be quantized. An entry that differs from a module's name only in what stands
    before it is a note: tools and engines name the wrappers of multimodal models differently.

    ## Example
    `"ignore": ["lm_head"]` in a model whose head is `language_model.lm_head`; `".*mlp.gate"` without `re:`.

    ## How to mend
    Correct the entry, or remove it.

    ## References
    llm-compressor issue #1428, PR #2803; compressed-tensors PR #866.
    """
    unused = [
        pattern
        for pattern in _unused(facts.patterns.ignore, facts)
        if not _may_be_class(pattern) or pattern == "lm_head"
    ]
    tails = _tails(facts) if unused else {}
    near = [pattern for pattern in unused if _tail(pattern) in tails]
    far = [pattern for pattern in unused if _tail(pattern) not in tails]
    hint = "correct or remove it; names are compared whole, `re:.*NAME$` matches their end"
    if far:
        message = f"ignore {_quoted(far)} {_matches_nothing(far)}"
        yield Hit(where=f"{QUANTIZATION_CONFIG}.ignore", message=message, hint=hint)
    if near:
        message = f"ignore {_quoted(near)} {_matches_nothing(near)} (the files have `{tails[_tail(near[0])]}`)"
        yield Hit(where=f"{QUANTIZATION_CONFIG}.ignore", message=message, hint=hint, severity=Severity.NOTE)


def _quoted(patterns: Sequence[str]) -> str:
    return named([f"`{pattern}`" for pattern in patterns])


def _matches_nothing(patterns: Sequence[str]) -> str:
    looks_regular = any(not _is_regex(pattern) and any(mark in pattern for mark in "*\\$^[") for pattern in patterns)
    words = "match no module" if len(patterns) > 1 else "matches no module"
    return f"{words}: it looks like a regular expression without `re:`" if looks_regular else words


def _is_regex(pattern: str) -> bool:
    return pattern.startswith(REGEX_PREFIX)


def _unused(patterns: PatternList, facts: Facts) -> list[str]:
    """Return patterns that match no module; modules that only hold others count, since tools list them too."""
    used = patterns.used | KNOWN_CLASSES
    unused = [
        pattern
        for pattern in patterns.patterns
        if pattern not in used and pattern not in patterns.invalid and not _names_head_for_engines(pattern, facts)
    ]
    if not unused:
        return []
    containers = _containers(facts)
    return [pattern for pattern in unused if not _matches_container(pattern, containers)]


def _names_head_for_engines(pattern: str, facts: Facts) -> bool:
    """Tell whether a pattern reaches the head under the name that engines give it, whatever it is called in the files."""
    return facts.head.name is not None and _is_regex(pattern) and matches_name("lm_head", pattern)


def _containers(facts: Facts) -> dict[str, bool]:
    """Return every module that only holds others (``model.layers.0.mlp``), and whether regular expressions are tried on it.

    So do the layers that engines fuse, under their own names (``model.layers.0.self_attn.qkv_proj``). Expressions are tried on the
    first and the last of alike modules: a pattern that names only one in between is not looked for.
    """
    containers: dict[str, bool] = {}
    for entry in facts.entries:
        for name in entry.modules.names:
            tried = name in (entry.modules.names[0], entry.modules.names[-1])
            parent, _, leaf = name.rpartition(".")
            if leaf in FUSED_INTO:
                layer = f"{parent}.{FUSED_INTO[leaf]}"
                containers[layer] = tried or containers.get(layer, False)
            while parent and (parent not in containers or (tried and not containers[parent])):
                containers[parent] = tried
                parent = parent.rpartition(".")[0]
    return containers


def _matches_container(pattern: str, containers: dict[str, bool]) -> bool:
    if not _is_regex(pattern):
        return pattern in containers
    return any(tried and matches_name(container, pattern) for container, tried in containers.items())


def _may_be_class(pattern: str) -> bool:
    """Tell whether a target may be the name of a class that headers cannot show: capitalised, without dots."""
    return pattern.isidentifier() and not pattern.islower()


def _tails(facts: Facts) -> dict[str | None, str]:
    """Return a module for each last three words of a name: tools and engines differ in what they put before those."""
    return {tail: name for entry in facts.entries for name in entry.modules.names if (tail := _tail(name))}


def _tail(name: str) -> str | None:
    words = name.rsplit(".", _TAIL)
    return ".".join(words[-_TAIL:]) if len(words) >= _TAIL and not _is_regex(name) else None
