"""Matrices turned, cut, padded, fused and stored in other dtypes; layers, heads, experts and vocabularies pruned or repeated."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

from field_kind import Change, add, kind
from field_model import EXPERT, LAYER, TOWER, Model, Raw, Skip, as_bits, bits, cast, joined, made, pick, rows, turned

LAYER_COUNTS: Final = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
VOCABULARY: Final = ("vocab_size", "padded_vocab_size")
EXPERT_COUNTS: Final = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


# -- one matrix ---------------------------------------------------------------------------------------------------------------


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


# -- biases -------------------------------------------------------------------------------------------------------------------


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


# -- dtypes -------------------------------------------------------------------------------------------------------------------


def _dtype(dtype: str) -> None:
    @add_as(f"a dense matrix as {dtype}")
    def one(m: Model, d: Random) -> None:
        name = m.main(pick(d, m.dense()))
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"a norm as {dtype}")
    def norm(m: Model, d: Random) -> None:
        name = pick(d, m.norms())
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"codes as {dtype}")
    def codes(m: Model, d: Random) -> None:
        name = m.main(pick(d, m.quantized()))
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"head as {dtype}")
    def head(m: Model, d: Random) -> None:
        name = m.main(m.head())
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"embedding as {dtype}")
    def embedding(m: Model, d: Random) -> None:
        name = m.main(m.embedding())
        m.put(name, cast(m.tensors[name], dtype))


def add_as(name: str) -> Callable[[Change], Change]:
    return lambda change: add(name, change)


for _name in ("F32", "F16", "F64", "F8_E4M3", "I8", "U8", "I32"):
    _dtype(_name)


@kind
def all_floats_as_another_dtype(m: Model, d: Random) -> None:
    dtype = pick(d, ("F16", "F32"))
    for name, raw in list(m.tensors.items()):
        if raw.dtype == "BF16":
            m.put(name, cast(raw, dtype))


@kind
def norms_and_router_in_f32(m: Model, d: Random) -> None:
    for name, raw in list(m.tensors.items()):
        if raw.dtype == "BF16" and ("norm" in name or name.endswith(("gate.weight", "router.weight"))):
            m.put(name, cast(raw, "F32"))


@kind
def whole_layer_in_fp8_without_scales(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    start = f"{prefix}{pick(d, numbers)}."
    for module in [module for module in m.dense() if module.startswith(start)] or pick(d, []):
        m.put(f"{module}.weight", cast(m.tensors[f"{module}.weight"], "F8_E4M3"))


# -- fused and taken apart ----------------------------------------------------------------------------------------------------


def _fuse(m: Model, d: Random, names: tuple[str, ...], fused: str, *, only: bool) -> None:
    firsts = [module for module in m.linears() if module.endswith("." + names[0])]
    for module in [pick(d, firsts)] if only else firsts or pick(d, []):
        base = module[: -len(names[0])]
        parts = [m.parts(base + name) for name in names]
        if not all(parts) or len({frozenset(part) for part in parts}) != 1:
            raise Skip
        for part in parts[0]:
            whole = [piece[part] for piece in parts]
            m.put(f"{base}{fused}.{part}", whole[0] if part == "weight_shape" else joined(*whole))
        for name in names:
            m.drop(base + name)


for _only in (False, True):
    _where = "once" if _only else "everywhere"
    add(f"q k v fused {_where}", lambda m, d, o=_only: _fuse(m, d, ("q_proj", "k_proj", "v_proj"), "qkv_proj", only=o))
    add(
        f"gate and up fused {_where}",
        lambda m, d, o=_only: _fuse(m, d, ("gate_proj", "up_proj"), "gate_up_proj", only=o),
    )


@kind
def fused_taken_apart(m: Model, d: Random) -> None:
    word, names = pick(
        d,
        [
            (word, names)
            for word, names in (
                ("qkv_proj", "q_proj k_proj v_proj"),
                ("gate_up_proj", "gate_proj up_proj"),
                ("in_proj_qkvz", "in_proj_qkv in_proj_z"),
                ("query_key_value", "query key value"),
                ("in_proj", "in_proj_x in_proj_z"),
                ("kv_a_proj_with_mqa", "kv_a_proj k_rope_proj"),
                ("c_attn", "q_attn k_attn v_attn"),
            )
            if any(module.endswith("." + word) for module in m.linears())
        ],
    )
    parts = names.split()
    for module in [module for module in m.linears() if module.endswith("." + word)]:
        for part, raw in m.parts(module).items():
            size = raw.shape[0] // len(parts) if raw.shape else 0
            for number, name in enumerate(parts):
                last = number == len(parts) - 1
                cut = bits(raw)[number * size : None if last else (number + 1) * size]
                m.put(
                    f"{module.rpartition('.')[0]}.{name}.{part}", as_bits(raw, cut) if part != "weight_shape" else raw
                )
        m.drop(module)


# -- layers -------------------------------------------------------------------------------------------------------------------


def _count(m: Model, change: int) -> None:
    holder, key = m.key(*LAYER_COUNTS)
    holder[key] += change


add("one layer fewer counted", lambda m, d: _count(m, -1))
add("one layer more counted", lambda m, d: _count(m, 1))


@kind
def last_layer_dropped(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    m.drop(f"{prefix}{numbers[-1]}")


@kind
def first_layer_dropped_and_counted(m: Model, d: Random) -> None:
    prefix, _ = m.layers()
    m.drop(f"{prefix}0")
    _count(m, -1)


@kind
def last_layer_dropped_and_counted(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    m.drop(f"{prefix}{numbers[-1]}")
    _count(m, -1)


@kind
def first_layer_dropped_renumbered_and_counted(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    m.drop(f"{prefix}0")
    m.rename(lambda name: re.sub(rf"^{re.escape(prefix)}(\d+)\.", lambda f: f"{prefix}{int(f[1]) - 1}.", name))
    _count(m, -1)
    if d.random() < 0.5 and isinstance(m.text.get("layer_types"), list):
        m.text["layer_types"] = m.text["layer_types"][1:]
    _ = numbers


def _repeat(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    source, new = pick(d, numbers), numbers[-1] + 1
    for name, raw in m.layer(source).items():
        m.put(f"{prefix}{new}.{name}", raw)
    kinds = m.text.get("layer_types")
    if isinstance(kinds, list):
        kinds.append(kinds[source])


@kind
def a_layer_repeated_and_counted(m: Model, d: Random) -> None:
    _repeat(m, d)
    _count(m, 1)


@kind
def a_layer_repeated_and_not_counted(m: Model, d: Random) -> None:
    _repeat(m, d)


@kind
def a_layer_repeated_and_lists_not_extended(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    kept = list(kinds) if isinstance(kinds, list) else None
    _repeat(m, d)
    _count(m, 1)
    if kept is None:
        raise Skip
    m.text["layer_types"] = kept


@kind
def a_layer_of_a_larger_model(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    start = f"{prefix}{pick(d, numbers)}."
    for name, raw in list(m.tensors.items()):
        if name.startswith(start) and len(raw.shape) == 2:
            m.put(name, rows(rows(raw, raw.shape[0] * 2), raw.shape[1] * 2, 1))


# -- heads and widths ---------------------------------------------------------------------------------------------------------


def _halve(m: Model, outputs: tuple[str, ...], inputs: tuple[str, ...], factor: float = 0.5) -> None:
    found = False
    for name, raw in list(m.tensors.items()):
        module, _, part = name.rpartition(".")
        if not LAYER.match(name) or TOWER.search(name) or part == "weight_shape" or not raw.shape:
            continue
        if module.endswith(outputs):
            found = True
            m.put(name, rows(raw, max(int(raw.shape[0] * factor), 1)))
        elif module.endswith(inputs) and len(raw.shape) == 2 and raw.shape[1] > 1:
            m.put(name, rows(raw, max(int(raw.shape[1] * factor), 1), 1))
    if not found:
        raise Skip


@kind
def heads_pruned(m: Model, d: Random) -> None:
    _halve(m, (".q_proj", ".k_proj", ".v_proj"), (".o_proj",))


@kind
def heads_pruned_and_counted(m: Model, d: Random) -> None:
    _halve(m, (".q_proj", ".k_proj", ".v_proj"), (".o_proj",))
    holder, key = m.key("num_attention_heads", "n_head")
    if "head_dim" not in holder and d.random() < 0.5:
        holder["head_dim"] = holder.get("hidden_size", 128) // holder[key]
    holder[key] //= 2
    if holder.get("num_key_value_heads"):
        holder["num_key_value_heads"] = max(holder["num_key_value_heads"] // 2, 1)


@kind
def key_heads_repeated(m: Model, d: Random) -> None:
    _halve(m, (".k_proj", ".v_proj"), (), 2)


@kind
def key_heads_repeated_and_counted(m: Model, d: Random) -> None:
    _halve(m, (".k_proj", ".v_proj"), (), 2)
    holder, key = m.key("num_key_value_heads")
    holder[key] *= 2


@kind
def mlp_pruned(m: Model, d: Random) -> None:
    _halve(m, (".gate_proj", ".up_proj", ".fc1", ".w1", ".w3"), (".down_proj", ".fc2", ".w2"))


@kind
def mlp_pruned_and_counted(m: Model, d: Random) -> None:
    _halve(m, (".gate_proj", ".up_proj"), (".down_proj",))
    holder, key = m.key("intermediate_size", "ffn_hidden_size")
    holder[key] //= 2
    if "moe_intermediate_size" in holder:
        holder["moe_intermediate_size"] //= 2


@kind
def mlp_of_one_layer_pruned(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    start = f"{prefix}{pick(d, numbers)}."
    for name, raw in list(m.tensors.items()):
        module, _, part = name.rpartition(".")
        if name.startswith(start) and part in ("weight", "weight_scale", "weight_packed"):
            if module.endswith((".gate_proj", ".up_proj")):
                m.put(name, rows(raw, raw.shape[0] // 2))
            elif module.endswith(".down_proj") and raw.shape[1] > 1:
                m.put(name, rows(raw, raw.shape[1] // 2, 1))


@kind
def v_projection_without_its_group(m: Model, d: Random) -> None:
    name = m.main(pick(d, [module for module in m.linears() if module.endswith("v_proj")]))
    m.put(name, rows(m.tensors[name], m.tensors[name].shape[0] * 2))


# -- vocabulary ---------------------------------------------------------------------------------------------------------------


def _vocabulary(m: Model, count: int, modules: tuple[str, ...]) -> None:
    for module in modules:
        for part, raw in m.parts(module).items():
            if raw.shape and part != "weight_shape" and raw.shape[0] > 4:
                m.put(f"{module}.{part}", rows(raw, raw.shape[0] + count))


@kind
def embedding_resized(m: Model, d: Random) -> None:
    _vocabulary(m, pick(d, (1, 64, -1, -64, 3)), (m.embedding(),))


@kind
def head_resized(m: Model, d: Random) -> None:
    _vocabulary(m, pick(d, (1, 64, -1, -64, 3)), (m.head(),))


@kind
def vocabulary_resized_and_not_counted(m: Model, d: Random) -> None:
    _vocabulary(m, pick(d, (1, 64, -1, -64, 3)), (m.embedding(), m.head()))


@kind
def vocabulary_resized_and_counted(m: Model, d: Random) -> None:
    change = pick(d, (1, 64, -1, -64, 3))
    try:
        _vocabulary(m, change, (m.embedding(), m.head()))
    except Skip:
        _vocabulary(m, change, (m.embedding(),))
    holder, key = m.key(*VOCABULARY)
    holder[key] += change


@kind
def vocabulary_counted_otherwise(m: Model, d: Random) -> None:
    holder, key = m.key(*VOCABULARY)
    holder[key] += pick(d, (1, 2, 63, 64, -1, -2, -64, 128))


@kind
def vocabulary_of_the_top_level_counted_otherwise(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    m.config["vocab_size"] = m.text.get("vocab_size", 320) + pick(d, (1, 64, -64, 31680))


# -- experts ------------------------------------------------------------------------------------------------------------------


def _expert_count(m: Model, count: int) -> None:
    holder, key = m.key(*EXPERT_COUNTS)
    holder[key] = count


@kind
def last_expert_of_one_layer_missing(m: Model, d: Random) -> None:
    name = pick(d, m.experts())
    m.drop(f"{name}.{m.experts()[name][-1]}")


@kind
def an_expert_of_every_layer_missing(m: Model, d: Random) -> None:
    for name, numbers in m.experts().items():
        m.drop(f"{name}.{numbers[-1]}")


def _fewer(m: Model, *, router: bool) -> None:
    for name, numbers in m.experts().items():
        m.drop(f"{name}.{numbers[-1]}")
        for gate in ("gate", "router"):
            for part, raw in m.parts(f"{name.rpartition('.')[0]}.{gate}").items() if router else ():
                if raw.shape and raw.shape[0] == len(numbers):
                    m.put(f"{name.rpartition('.')[0]}.{gate}.{part}", rows(raw, len(numbers) - 1))
        _expert_count(m, len(numbers) - 1)


add("an expert dropped, counted, the router not cut", lambda m, d: _fewer(m, router=False))
add("an expert dropped, counted, the router cut", lambda m, d: _fewer(m, router=True))


@kind
def experts_counted_otherwise(m: Model, d: Random) -> None:
    numbers = next(iter(m.experts().values()))
    _expert_count(m, len(numbers) + pick(d, (-1, 1, 4)))


@kind
def experts_numbered_from_one(m: Model, d: Random) -> None:
    m.experts()
    m.rename(lambda name: EXPERT.sub(lambda f: f"{f[1]}.{int(f[2]) + 1}.{f[3]}", name))


@kind
def an_expert_repeated(m: Model, d: Random) -> None:
    for name, numbers in m.experts().items():
        for part, raw in m.parts(f"{name}.{numbers[-1]}").items():
            m.put(f"{name}.{numbers[-1] + 1}.{part}", raw)


@kind
def experts_stacked(m: Model, d: Random) -> None:
    dot = pick(d, ("", ".weight"))
    for name, numbers in m.experts().items():
        for part, raw in m.parts(f"{name}.{numbers[0]}").items():
            whole = [m.tensors[f"{name}.{number}.{part}"] for number in numbers]
            data = b"".join(one.data for one in whole)
            suffix = part.removesuffix(".weight") + dot if part.endswith(".weight") else part
            m.put(f"{name}.{suffix}", Raw(raw.dtype, (len(numbers), *raw.shape), data))
        for number in numbers:
            m.drop(f"{name}.{number}")


@kind
def one_part_of_an_expert_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [module for module in m.linears() if EXPERT.match(module)]))


@kind
def router_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.tensors if re.search(r"(gate|router)\.weight$", name) and LAYER.match(name)]))


@kind
def router_cut(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if re.search(r"(gate|router)\.weight$", name) and LAYER.match(name)])
    m.put(name, rows(m.tensors[name], max(m.tensors[name].shape[0] - 1, 1)))


@kind
def correction_bias_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.tensors if "correction_bias" in name or "expert_bias" in name]))


@kind
def correction_bias_added(m: Model, d: Random) -> None:
    numbers = next(iter(m.experts().values()))
    for name in m.experts():
        m.put(f"{name.rpartition('.')[0]}.gate.e_score_correction_bias", made("F32", (len(numbers),)))


@kind
def shared_expert_missing(m: Model, d: Random) -> None:
    for module in {name.rpartition(".")[0] for name in m.tensors if "shared_expert" in name} or pick(d, []):
        m.drop(module)


@kind
def shared_expert_added(m: Model, d: Random) -> None:
    name, numbers = next(iter(m.experts().items()))
    if any("shared_expert" in one for one in m.tensors):
        raise Skip
    for part, raw in m.parts(f"{name}.{numbers[0]}").items():
        m.put(f"{name.rpartition('.')[0]}.{pick(d, ('shared_expert', 'shared_experts'))}.{part}", raw)


@kind
def a_dense_layer_among_experts(m: Model, d: Random) -> None:
    name, numbers = next(iter(m.experts().items()))
    for part, raw in m.parts(f"{name}.{numbers[0]}").items():
        m.put(f"{name.rpartition('.')[0]}.{part}", raw)
    m.drop(name)


# -- what does not belong there -----------------------------------------------------------------------------------------------


@kind
def medusa_heads_beside(m: Model, d: Random) -> None:
    m.put(f"{pick(d, ('medusa_head', 'medusa_heads'))}.0.0.linear.weight", made("BF16", (128, 128)))


@kind
def value_head_beside(m: Model, d: Random) -> None:
    name = pick(
        d, ("v_head.summary.weight", "score.weight", "value_head.weight", "critic.weight", "pooler.dense.weight")
    )
    m.put(name, made("BF16", (1, 128)))


@kind
def an_mtp_layer_after_the_last(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    new = f"{prefix}{numbers[-1] + 1}."
    for name, raw in m.layer(numbers[-1]).items():
        m.put(new + name, raw)
    for name in ("eh_proj.weight", "enorm.weight", "hnorm.weight", "shared_head.norm.weight"):
        m.put(new + name, made("BF16", (128, 256) if "eh" in name else (128,)))
    if d.random() < 0.6:
        m.text["num_nextn_predict_layers"] = 1


@kind
def mtp_module_beside(m: Model, d: Random) -> None:
    _, numbers = m.layers()
    start = pick(d, ("mtp.", "model.mtp.", "mtp.layers.0.", "model.mtp_layers.0."))
    for name, raw in m.layer(numbers[-1]).items():
        m.put(start + name, raw)
    m.put(start + "fc.weight", made("BF16", (128, 256)))


@kind
def eagle_parts_beside(m: Model, d: Random) -> None:
    name = pick(d, ("fc.weight", "midlayer.hidden_norm.weight", "d2t", "t2d"))
    m.put(name, made("I64", (320,)) if name in ("d2t", "t2d") else made("BF16", (128, 384)))


@kind
def mtp_layers_counted_and_not_there(m: Model, d: Random) -> None:
    m.text[pick(d, ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"))] = 1


@kind
def mtp_tensors_stripped(m: Model, d: Random) -> None:
    for name in [name for name in m.tensors if "mtp" in name or "nextn" in name] or pick(d, []):
        m.drop(name)


@kind
def another_embedding_beside(m: Model, d: Random) -> None:
    name = pick(
        d, ("model.embed_positions.weight", "model.embed_tokens_per_layer.weight", "model.token_type_embeddings.weight")
    )
    m.put(name, made("BF16", (256, 128)))


@kind
def optimizer_state_beside(m: Model, d: Random) -> None:
    m.put(f"{m.main(pick(d, m.linears()))}.exp_avg", made("F32", (128, 128)))
    if d.random() < 0.5:
        m.put("step", made("I64", ()))


@kind
def ema_copy_beside(m: Model, d: Random) -> None:
    for name, raw in list(m.tensors.items()):
        m.put(pick(d, ("ema.",)) + name, raw)


@kind
def tower_beside_a_text_model(m: Model, d: Random) -> None:
    if m.is_wrapper:
        raise Skip
    prefix = pick(d, ("visual.", "vision_tower.", "model.visual.", "model.vision_tower.", "audio_tower."))
    for number in range(2):
        m.put(f"{prefix}blocks.{number}.attn.qkv.weight", made("BF16", (384, 128)))


@kind
def tower_dropped(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    for name in [name for name in m.tensors if TOWER.search(name)]:
        del m.tensors[name]


@kind
def projector_dropped(m: Model, d: Random) -> None:
    names = [name for name in m.tensors if re.search(r"projector|merger|connector", name)] if m.is_wrapper else []
    for name in names or pick(d, []):
        del m.tensors[name]


@kind
def a_layer_of_the_tower_dropped(m: Model, d: Random) -> None:
    starts = {found[0] for name in m.tensors if (found := LAYER.match(name)) and TOWER.search(found[1])}
    m.drop(pick(d, sorted(starts)).rstrip("."))


@kind
def tower_as_another_dtype(m: Model, d: Random) -> None:
    dtype = pick(d, ("F16", "F32", "F8_E4M3"))
    for name in [name for name in m.tensors if TOWER.search(name) and m.is_wrapper] or pick(d, []):
        if m.tensors[name].dtype == "BF16":
            m.put(name, cast(m.tensors[name], dtype))


@kind
def a_matrix_of_the_tower_turned(m: Model, d: Random) -> None:
    name = m.main(pick(d, m.modules(text=False)))
    m.put(name, turned(m.tensors[name]))


@kind
def a_matrix_of_the_tower_quantized(m: Model, d: Random) -> None:
    module = pick(d, [module for module in m.modules(text=False) if f"{module}.weight" in m.tensors])
    raw = m.tensors[f"{module}.weight"]
    m.put(f"{module}.weight", made("I8", raw.shape))
    m.put(f"{module}.weight_scale", made("BF16", (raw.shape[0], 1)))
