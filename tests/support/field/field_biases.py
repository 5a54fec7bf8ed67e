"""Biases added, missing and misshapen."""

from __future__ import annotations

from random import Random

from field_kind import add, kind
from field_model import TOWER, Model, Raw, Skip, made, pick


def _bias(m: Model, d: Random, words: tuple[str, ...], *, everywhere: bool) -> None:
    found = [module for module in m.linears() if module.endswith(words) and f"{module}.bias" not in m.tensors]
    if not everywhere:
        found = [pick(d, found)]
    for module in found or pick(d, []):
        m.put(f"{module}.bias", made("BF16", (m.tensors[m.main(module)].shape[0],), pick(d, (0.0, 0.01))))


add("biases added to q k v", lambda m, d: _bias(m, d, ("q_proj", "k_proj", "v_proj"), everywhere=True))


add("biases added to o", lambda m, d: _bias(m, d, ("o_proj", "dense", "out_proj"), everywhere=True))


add("biases added to the mlp", lambda m, d: _bias(m, d, ("gate_proj", "up_proj", "down_proj", "fc1"), everywhere=True))


add("a bias added", lambda m, d: _bias(m, d, ("",), everywhere=False))


@kind
def a_bias_added_to_the_head(m: Model, d: Random) -> None:
    if f"{m.head()}.bias" in m.tensors:
        raise Skip
    m.put(f"{m.head()}.bias", made("BF16", (m.tensors[m.main(m.head())].shape[0],)))


@kind
def biases_added_to_norms(m: Model, d: Random) -> None:
    for name in m.norms():
        m.put(name.removesuffix("weight") + "bias", made("BF16", m.tensors[name].shape))


@kind
def a_bias_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.tensors if name.endswith(".bias")]))


@kind
def all_biases_missing(m: Model, d: Random) -> None:
    for name in [name for name in m.tensors if name.endswith(".bias") and not TOWER.search(name)] or pick(d, []):
        m.drop(name)


@kind
def a_bias_with_two_axes(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if name.endswith(".bias")])
    raw = m.tensors[name]
    m.put(name, Raw(raw.dtype, (1, *raw.shape), raw.data))
