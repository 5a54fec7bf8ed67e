"""What vLLM calls the modules of a checkpoint: the mapper of its model class, and the names that a config is asked about.

A pattern is matched with the engine's names, not with those in the files: plain names with a dot are mapped as tensors are, regular
expressions stay as they were written. The data is made by ``benchmarks/learn/engine_names.py``. Source: vLLM 0.32.0
model_executor/models/utils.py (``WeightsMapper``) and compressed_tensors.py:129 (``apply_vllm_mapper``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.causal_lms import causal_lm_of
from ctq.engines.vllm_models.heads import head_support
from ctq.recipe.match import REGEX_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.checkpoint.config import ModelConfig

AskedKind = Literal["attention", "embedding"]
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_INSIDE = "language_model."
"""Where nearly all wrappers keep their text model."""
_PART = "weight"
"""The part that modules are placed by: mappers are made for tensors, and many of their prefixes end in a dot."""
_KINDS: tuple[tuple[str, Callable[[str, str], bool], Callable[[str, str, str], str]], ...] = (
    ("regex", lambda name, old: re.search(old, name) is not None, lambda name, old, new: re.sub(old, new, name)),
    ("substr", lambda name, old: old in name, lambda name, old, new: name.replace(old, new, 1)),
    ("prefix", str.startswith, lambda name, old, new: name.replace(old, new, 1)),
    ("suffix", str.endswith, lambda name, old, new: name.removesuffix(old) + new),
)
"""The tables of a mapper in vLLM's order, when an entry of each applies, and what it does."""


@dataclass(frozen=True, kw_only=True)
class EngineNames:
    """The names of one model class: ``tables`` are those of its mapper, ``asked`` layers that a config is asked about otherwise.

    ``classes`` are those of linear layers by the last word of their name, where the word does not tell.
    ``loaded`` are the first words that its loader changes in names of tensors alone, before any mapper.
    ``inner`` are the names of the text model inside, whose own mapper sees what stands behind ``before``. ``unasked`` are kinds of
    layers that this class does not ask a config about.
    """

    tables: Mapping[str, list[list[Any]]] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    loaded: tuple[tuple[str, str], ...] = ()
    before: str = ""
    inner: EngineNames | None = None
    unasked: frozenset[str] = frozenset()

    @cached_property
    def is_plain(self) -> bool:
        """Whether modules are called as in the files."""
        return self.inner is None and not self.loaded and not any(kind in self.tables for kind, *_ in _KINDS)

    def module(self, name: str) -> str | None:
        """Return the place in the engine's model of a module of the files; None where its tensors are dropped unread."""
        place = self.tensor(name, _PART)
        return place.removesuffix(f".{_PART}") if place is not None else None

    def tensor(self, module: str, part: str) -> str | None:
        """Return the place in the engine's model of a part of a module; None where it is dropped unread."""
        if self.is_plain:
            return f"{module}.{part}"
        old, new = next((pair for pair in self.loaded if module.startswith(pair[0])), ("", ""))
        mapped = self._map(f"{new}{module.removeprefix(old)}.{part}", drops=True)
        before = next((text for text in (self.before, _INSIDE) if mapped and mapped.startswith(text)), None)
        if mapped is None or self.inner is None or before is None:
            return mapped
        inside, _, last = mapped.removeprefix(before).rpartition(".")
        within = self.inner.tensor(inside, last)
        return f"{before}{within}" if within is not None else None

    def asks(self, kind: AskedKind) -> bool:
        """Say whether this class asks a config about a kind of layers."""
        return kind not in self.unasked

    def drops(self, name: str) -> bool:
        """Say whether the tensors of a module of the files are dropped unread."""
        return self.module(name) is None

    def prefix(self, layer: str) -> str:
        """Return the name under which a config is asked about a layer at this place; the number of a list is as good as another."""
        template = _NUMBER.sub("#", layer) if self.asked else layer
        if template not in self.asked:
            return layer
        numbers = iter(_NUMBER.findall(layer))
        return re.sub("#", lambda _: next(numbers, "0"), self.asked[template])

    def pattern(self, pattern: str) -> str:
        """Return a target or an entry of `ignore` as the engine keeps it."""
        if "." not in pattern or pattern.startswith(REGEX_PREFIX):
            return pattern
        return self.listed(pattern)

    def listed(self, name: str) -> str:
        """Return a name of another method's list of modules as the engine keeps it: those are mapped without a dot too."""
        return self._map(name, drops=False) or name

    def _map(self, name: str, *, drops: bool) -> str | None:
        for kind, applies, change in _KINDS:
            for old, new in self.tables.get(kind, ()):
                if (new is None and not drops) or not applies(name, old):
                    continue
                if new is None:
                    return None
                name = change(name, old, new)
        return name


def engine_names(architecture: str | None, inner: str | None = None) -> EngineNames | None:
    """Return what vLLM calls the modules of a model; None where its class is not known.

    ``inner`` is the architecture of the text model inside a multimodal one, or its ``model_type``.
    """
    known = _class_names(architecture or "")
    if known is None:
        return None
    text = _class_names(causal_lm_of(inner) or inner) if inner is not None else None
    if text is None:
        return known
    support = head_support(architecture)
    own = support.before if support is not None else ""
    return replace(known, before=own or _INSIDE, inner=text)


def names_of(config: ModelConfig) -> EngineNames | None:
    """Return what vLLM calls the modules of a config's model; None where its class is not known."""
    return engine_names(config.architecture, inner_architecture(config))


@lru_cache(maxsize=64)
def _class_names(architecture: str) -> EngineNames | None:
    data = read_data("engine_names")
    if architecture in data["plain"]:
        return EngineNames()
    found = data["architectures"].get(architecture)
    if found is None:
        return None
    return EngineNames(
        tables=found,
        asked=found.get("named", {}),
        classes=found.get("classes", {}),
        loaded=tuple((old, new) for old, new in found.get("loaded", ())),
        unasked=frozenset(found.get("unasked", ())),
    )
