"""The field's changes: most find an occasion, none raises anything but that it finds none, and all are the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import tiny_checkpoint, tiny_quantized
from field_bases import FORMS, in_form
from field_cases import Case, changed
from field_kind import KINDS
from field_model import Model, Skip, read_model
from sweep_claims import inspected

BASES = {"dense": None, "W8A8": "w8a8", "W8A16": "w8a16", "mixed": "mixed"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    root = tmp_path_factory.mktemp("field")
    return {
        base: read_model(tiny_quantized(root / base, kind=kind) if kind else tiny_checkpoint(root / base))
        for base, kind in BASES.items()
    }


def after(models: dict[str, Model], base: str, kind: str) -> Model | None:
    try:
        return changed(Case("llama", base, (kind,)), models[base])
    except Skip:
        return None


def content(model: Model) -> tuple[object, ...]:
    return (model.config, model.tensors, list(model.tensors), model.places, len(model.after))


def test_most_kinds_change_a_llama_and_always_in_the_same_way(models: dict[str, Model]) -> None:
    found = 0
    for number, kind in enumerate(KINDS):
        base = list(BASES)[number % len(BASES)]
        first, again = after(models, base, kind), after(models, base, kind)
        assert (first is None) == (again is None), kind
        if first is not None and again is not None:
            found += content(first) == content(again) and content(first) != content(models[base])
    assert found > len(KINDS) / 2


@pytest.mark.parametrize("base", FORMS)
def test_codes_in_another_form_are_healthy(base: str, tmp_path: Path) -> None:
    head = "quantized" if base.endswith(" head") else "dense"
    in_form(base, tiny_quantized(tmp_path / "W8A8", head=head), tmp_path / "form")
    said = inspected(tmp_path / "form")
    assert (said.errors, said.crash, said.head) == ((), "", head)
    assert read_model(tmp_path / "form").quant["format"] == FORMS[base][0]
