"""Which changes are tried on which checkpoints: each kind on a few that give it an occasion, drawn by a seed, and some in pairs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import field_activations  # noqa: F401  # each enters its kinds
import field_any_key  # noqa: F401
import field_any_tensor  # noqa: F401
import field_architectures  # noqa: F401
import field_biases  # noqa: F401
import field_config_file  # noqa: F401
import field_copies  # noqa: F401
import field_dtypes  # noqa: F401
import field_experts  # noqa: F401
import field_files  # noqa: F401
import field_fusing  # noqa: F401
import field_groups  # noqa: F401
import field_index  # noqa: F401
import field_keys  # noqa: F401
import field_layers  # noqa: F401
import field_left_dense  # noqa: F401
import field_matrices  # noqa: F401
import field_names  # noqa: F401
import field_packed  # noqa: F401
import field_quant  # noqa: F401
import field_rope  # noqa: F401
import field_scales  # noqa: F401
import field_strays  # noqa: F401
import field_targets  # noqa: F401
import field_ties  # noqa: F401
import field_towers  # noqa: F401
import field_widths  # noqa: F401
import field_wrappers  # noqa: F401
from field_kind import KINDS
from field_model import Model, Skip, read_model

TRIES = 40
"""Checkpoints that a kind is tried on before it is given up."""


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """A healthy checkpoint, by family and base, and what was done to it, with the seed of its details; nothing: the base itself."""

    family: str
    base: str
    kinds: tuple[str, ...] = ()
    seed: int = 0

    @property
    def name(self) -> str:
        """A name for reports and stores."""
        return "/".join((self.family, self.base, "+".join(self.kinds) or "healthy", str(self.seed)))

    @property
    def healthy(self) -> Case:
        """The base itself."""
        return Case(self.family, self.base)


def changed(case: Case, model: Model) -> Model:
    """Change a copy; raises `Skip` where a kind finds no occasion, and nothing else."""
    model = copy.copy(model)
    model.config = copy.deepcopy(model.config)
    model.tensors, model.places, model.after = dict(model.tensors), dict(model.places), list(model.after)
    draw = Random(case.name)
    for kind in case.kinds:
        try:
            KINDS[kind](model, draw)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            if len(case.kinds) == 1:
                raise AssertionError(f"{case.name}: {error!r}") from error
            raise Skip from error
    return model


def drawn(bases: Sequence[tuple[Case, Path]], *, seed: int, each: int, pairs: int) -> Iterator[tuple[Case, Model]]:
    """Yield cases with what they are."""
    draw = Random(seed)
    models = {base: read_model(folder) for base, folder in bases}
    every = list(models)
    for kind in KINDS:
        found, families = 0, set[str]()
        for base in draw.sample(every, min(TRIES, len(every))):
            if found == each:
                break
            if base.family in families:
                continue
            case = Case(base.family, base.base, (kind,), seed)
            try:
                yield case, changed(case, models[base])
            except Skip:
                continue
            found += 1
            families.add(base.family)
    names = list(KINDS)
    while pairs:
        base = draw.choice(every)
        case = Case(base.family, base.base, tuple(draw.sample(names, 2)), seed)
        try:
            yield case, changed(case, models[base])
        except Skip:
            continue
        pairs -= 1
