"""One matrix or norm turned, cut, padded, flattened or missing."""

from __future__ import annotations

import re
from random import Random

from field_kind import kind
from field_model import LAYER, TOWER, Model, Raw, Skip, made, pick, rows, turned


def _one(m: Model, d: Random) -> str:
    return m.main(pick(d, m.linears()))


@kind
def a_matrix_turned(m: Model, d: Random) -> None:
    name = _one(m, d)
    m.put(name, turned(m.tensors[name]))


@kind
def a_matrix_that_is_not_square_turned(m: Model, d: Random) -> None:
    names = [m.main(module) for module in m.linears()]
    name = pick(d, [name for name in names if len(set(m.tensors[name].shape)) == 2])
    m.put(name, turned(m.tensors[name]))


@kind
def all_matrices_of_a_kind_turned(m: Model, d: Random) -> None:
    word = pick(d, {module.rpartition(".")[2] for module in m.linears()})
    for module in m.linears():
        if module.endswith("." + word):
            m.put(m.main(module), turned(m.tensors[m.main(module)]))


@kind
def head_turned(m: Model, d: Random) -> None:
    name = m.main(m.head())
    m.put(name, turned(m.tensors[name]))


@kind
def embedding_turned(m: Model, d: Random) -> None:
    name = m.main(m.embedding())
    m.put(name, turned(m.tensors[name]))


@kind
def a_matrix_flattened(m: Model, d: Random) -> None:
    name = _one(m, d)
    raw = m.tensors[name]
    m.put(name, Raw(raw.dtype, (int(raw.shape[0] * raw.shape[1]),), raw.data))


@kind
def a_matrix_with_one_more_axis(m: Model, d: Random) -> None:
    name = _one(m, d)
    raw = m.tensors[name]
    m.put(name, Raw(raw.dtype, pick(d, ((1, *raw.shape), (*raw.shape, 1), (*raw.shape, 1, 1))), raw.data))


@kind
def a_matrix_cut(m: Model, d: Random) -> None:
    name = _one(m, d)
    axis = d.randrange(2)
    m.put(name, rows(m.tensors[name], m.tensors[name].shape[axis] // 2, axis))


@kind
def a_matrix_padded(m: Model, d: Random) -> None:
    name = _one(m, d)
    axis = d.randrange(2)
    m.put(name, rows(m.tensors[name], m.tensors[name].shape[axis] + pick(d, (1, 8, 64, 128)), axis))


@kind
def a_matrix_of_tensor_parallel_rank_0(m: Model, d: Random) -> None:
    for module in m.linears():
        name = m.main(module)
        axis = 1 if re.search(r"(o_proj|down_proj|w2|out_proj|dense|c_proj)$", module) else 0
        m.put(name, rows(m.tensors[name], max(m.tensors[name].shape[axis] // 2, 1), axis))


@kind
def a_matrix_empty(m: Model, d: Random) -> None:
    name = _one(m, d)
    m.put(name, Raw(m.tensors[name].dtype, (0,), b""))


@kind
def a_scalar_for_a_matrix(m: Model, d: Random) -> None:
    name = _one(m, d)
    m.put(name, made(m.tensors[name].dtype, ()))


@kind
def a_norm_with_two_axes(m: Model, d: Random) -> None:
    name = pick(d, m.norms())
    raw = m.tensors[name]
    m.put(name, Raw(raw.dtype, pick(d, ((1, *raw.shape), (*raw.shape, 1), (1, 1, *raw.shape))), raw.data))


@kind
def a_norm_cut(m: Model, d: Random) -> None:
    name = pick(d, m.norms())
    m.put(name, rows(m.tensors[name], m.tensors[name].shape[0] // 2))


@kind
def a_norm_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, m.norms()))


@kind
def final_norm_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.norms() if not LAYER.match(name)]))


@kind
def a_kind_of_norm_missing_everywhere(m: Model, d: Random) -> None:
    word = pick(d, {re.sub(r"^.*\.\d+\.", "", name) for name in m.norms() if LAYER.match(name)})
    for name in [name for name in m.norms() if name.endswith("." + word)]:
        m.drop(name)


@kind
def norms_of_queries_and_keys_added(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    word = pick(d, {name.split(".")[0] for name in m.layer(numbers[0]) if "attn" in name})
    if any("q_norm" in name for name in m.tensors):
        raise Skip
    for number in numbers:
        for letter in "qk":
            m.put(f"{prefix}{number}.{word}.{letter}_norm.weight", made("BF16", (pick(d, (32, 128)),)))


@kind
def norms_of_queries_and_keys_missing(m: Model, d: Random) -> None:
    names = [name for name in m.norms() if re.search(r"(q|k|query|key)_?(layer)?norm", name)]
    for name in names or pick(d, []):
        m.drop(name)


@kind
def a_tensor_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.tensors if LAYER.match(name) and not TOWER.search(name)]))


@kind
def a_tensor_of_the_tower_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.tensors if TOWER.search(name) and m.is_wrapper]))


@kind
def a_module_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, m.linears()))


@kind
def a_kind_of_module_missing_everywhere(m: Model, d: Random) -> None:
    word = pick(d, {module.rpartition(".")[2] for module in m.linears()})
    for module in [module for module in m.linears() if module.endswith("." + word)]:
        m.drop(module)


@kind
def embedding_missing(m: Model, d: Random) -> None:
    m.drop(m.embedding())


@kind
def head_missing(m: Model, d: Random) -> None:
    m.drop(m.head())
