"""Experts and routers missing, counted, numbered and stacked otherwise."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from field_kind import add, kind
from field_model import EXPERT, LAYER, Model, Raw, Skip, made, pick, rows

EXPERT_COUNTS: Final = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


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


@kind
def experts_key_called_otherwise(m: Model, d: Random) -> None:
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    holder, old = m.key(*names)
    holder[pick(d, [name for name in names if name != old])] = holder.pop(old)


@kind
def more_experts_chosen_than_there_are(m: Model, d: Random) -> None:
    holder, key = m.key("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k")
    holder[key] = pick(d, (64, 5, 1, 0))
