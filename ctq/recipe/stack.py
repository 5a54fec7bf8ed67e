"""Where the language model lies in a checkpoint of several models, told from its embedding and its numbered layers, not from names.

What lies elsewhere (towers, projectors, adapters, codecs, under whatever name) is kept as trained: engines build most of it without
the quantization config.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EMBEDDING = re.compile(
    r"(?:.*\.)?(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings|embeddings|embedding|token_embedding|shared|embed)"
)
"""Module names of the embedding of tokens."""
LAYER_LISTS = ("layers", "h", "blocks")
"""Last names of the lists of a language model's layers."""
ENCODER_LIST = "layer"
"""What BERT and its kind call theirs."""
_USUAL = frozenset({"model", "language_model", "text_model", "transformer", "llm", "module"})
"""Names of the language model, and of what it lies in."""
_NUMBERED = re.compile(r"(?:^|\.)\d+(?=\.)")


@dataclass(frozen=True, slots=True)
class Stack:
    """The places of the language model: paths that end in a dot; a module below one of them belongs to it."""

    places: tuple[str, ...]

    def outsider(self, module: str) -> str | None:
        """Return the path of the part that ``module`` belongs to when it lies elsewhere, up to the first name of its own.

        What wrappers and language models are called tells no part: it would name the model too, wherever an engine puts it. A
        numbered list with nothing but such names before it is the model's.
        """
        if any(module.startswith(place) for place in self.places):
            return None
        shared = max((_common(module, place) for place in self.places), key=len)
        names = module[len(shared) :].split(".")
        usual = _USUAL.union(*(place.split(".") for place in self.places))
        count = next((count for count, name in enumerate(names, start=1) if name not in usual), len(names))
        return None if names[count - 1].isdigit() else shared + ".".join(names[:count])


def find_stack(modules: Iterable[str]) -> Stack | None:
    """Return where the language model is among the names of ``modules``, its towers left out; None where nothing tells.

    It is the part that holds the embedding and the numbered layers nearest to it. Where other numbered layers lie in the same part,
    the layers alone are it.
    """
    names = list(modules)
    embeddings = sorted((name for name in names if EMBEDDING.fullmatch(name)), key=lambda name: name.count("."))
    lists = {found for name in names if (found := _list_of(name))}
    for root in _ancestors(embeddings[0]) if embeddings else ():
        inside = {item for item in lists if item.startswith(root)}
        if inside:
            depth = min(item.count(".") for item in inside)
            nearest = {item for item in inside if item.count(".") == depth}
            return Stack((root,) if inside == nearest else tuple(sorted(nearest)))
    return None


def _list_of(module: str) -> str | None:
    """Return the path of the outermost numbered list that a module lies in, with a dot at its end."""
    found = _NUMBERED.search(f"{module}.")
    return f"{module[: found.start()]}." if found and found.start() else None


def _ancestors(module: str) -> Iterable[str]:
    parts = module.split(".")[:-1]
    return (".".join(parts[:count]) + "." if count else "" for count in range(len(parts), -1, -1))


def _common(module: str, place: str) -> str:
    shared = ""
    for part in place.split(".")[:-1]:
        if not module.startswith(f"{shared}{part}."):
            break
        shared += f"{part}."
    return shared
