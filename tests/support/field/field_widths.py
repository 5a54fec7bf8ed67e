"""Heads, MLPs and vocabularies pruned, padded and counted otherwise."""

from __future__ import annotations

from random import Random
from typing import Final

from field_kind import kind
from field_model import LAYER, TOWER, Model, Skip, pick, rows

VOCABULARY: Final = ("vocab_size", "padded_vocab_size")


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
