"""Tie flags against heads of their own."""

from __future__ import annotations

from random import Random
from typing import Any

from field_kind import add, kind
from field_model import Model, Skip, made, pick


def _tie(m: Model, top: Any, text: Any) -> None:
    for holder, value in ((m.config, top), (m.text, text)):
        if value == "out":
            holder.pop("tie_word_embeddings", None)
        elif value != "as it is":
            holder["tie_word_embeddings"] = value


for _top in (True, False, "out", None, "true", "false", 0, 1):
    add(f"tie flag {_top} everywhere", lambda m, d, v=_top: _tie(m, v, v))
    add(f"tie flag {_top} at the top level", lambda m, d, v=_top: _tie(m, v, "as it is"))
    add(
        f"tie flag {_top} of the text model",
        lambda m, d, v=_top: _tie(m, "as it is", v) if m.is_wrapper else pick(d, []),
    )


@kind
def head_dropped_and_tied(m: Model, d: Random) -> None:
    m.drop(m.head())
    _tie(m, True, pick(d, (True, False, "out", "as it is")))


@kind
def head_dropped_and_tie_flag_left_out(m: Model, d: Random) -> None:
    m.drop(m.head())
    _tie(m, "out", "out")


@kind
def head_copied_from_the_embedding(m: Model, d: Random) -> None:
    embedding = m.embedding()
    try:
        m.head()
    except Skip:
        name = pick(d, ("lm_head", "model.lm_head", "language_model.lm_head", embedding.split("model.")[0] + "lm_head"))
        m.put(f"{name}.weight", m.tensors[m.main(embedding)])
        if d.random() < 0.5:
            _tie(m, pick(d, (False, "out")), pick(d, (False, "out")))
        return
    raise Skip


@kind
def embedding_dropped_and_head_kept(m: Model, d: Random) -> None:
    m.head()
    m.drop(m.embedding())
    _tie(m, pick(d, (True, False)), pick(d, (True, False)))


@kind
def head_of_zeros_rows(m: Model, d: Random) -> None:
    try:
        m.head()
    except Skip:
        m.put("lm_head.weight", made("BF16", (pick(d, (0, 1)), 128)))
        return
    raise Skip
