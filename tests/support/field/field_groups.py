"""Groups of the quantization_config: their arguments, their order, and what is added to or lost from them."""

from __future__ import annotations

import copy
from random import Random
from typing import Any, Final

from field_kind import add, kind
from field_model import Json, Model, Skip, pick

WEIGHTS: Final[dict[str, Any]] = {
    "num_bits": (4, 16, "8", 8.0, None, 3), "strategy": ("tensor", "group", "token", "block", "channel", None, "Channel", "attn_head"),
    "group_size": (64, 32, -1, 0, None, "128", 128, 256), "symmetric": (False, None, "true"), "type": ("float", "INT", "uint", None),
    "dynamic": (True, "local", None), "actorder": ("group", "weight", "static", True), "block_structure": ([128, 128], "128x128"),
    "observer": ("mse", None, "minmax", "unknown"), "scale_dtype": ("torch.float32", "torch.uint8", None),
    "zp_dtype": ("torch.int8", None), "extra": (1,), "observer_kwargs": ({}, {"averaging_constant": 0.01}), "desc_act": (True,),
}  # fmt: skip


ACTIVATIONS: Final[dict[str, Any]] = {
    "num_bits": (16, 4, "8", None), "strategy": ("tensor", "channel", "group", None, "token"), "symmetric": (False, None),
    "type": ("float", None), "dynamic": (False, "local", None, True), "group_size": (128, 64), "observer": ("memoryless", None),
}  # fmt: skip


def _args(m: Model, d: Random, part: str) -> Json:
    return pick(d, [group[part] for group in m.groups.values() if group.get(part)])


def _set(m: Model, d: Random, part: str, key: str, values: tuple[Any, ...]) -> None:
    args = _args(m, d, part)
    args[key] = pick(d, [value for value in values if args.get(key, "?") != value])


for _key, _values in WEIGHTS.items():
    add(f"weights' {_key} otherwise", lambda m, d, k=_key, v=_values: _set(m, d, "weights", k, v))
    add(
        f"weights' {_key} left out",
        lambda m, d, k=_key: _args(m, d, "weights").pop(k) if k in _args(m, d, "weights") else pick(d, []),
    )


for _key, _values in ACTIVATIONS.items():
    add(f"activations' {_key} otherwise", lambda m, d, k=_key, v=_values: _set(m, d, "input_activations", k, v))


@kind
def groups_as_a_list(m: Model, d: Random) -> None:
    m.quant["config_groups"] = list(m.groups.values())


@kind
def groups_in_another_order(m: Model, d: Random) -> None:
    groups = m.groups
    if len(groups) < 2:
        raise Skip
    m.quant["config_groups"] = dict(reversed(list(groups.items())))


@kind
def groups_renumbered_in_another_order(m: Model, d: Random) -> None:
    groups = m.groups
    if len(groups) < 2:
        raise Skip
    m.quant["config_groups"] = dict(zip(groups, reversed(list(groups.values())), strict=True))


@kind
def groups_called_otherwise(m: Model, d: Random) -> None:
    m.quant["config_groups"] = {f"{pick(d, ('W8A8', 'my group', '0'))} {key}": group for key, group in m.groups.items()}


@kind
def groups_merged(m: Model, d: Random) -> None:
    groups = m.groups
    if len(groups) < 2:
        raise Skip
    targets = [target for group in groups.values() for target in group["targets"]]
    m.quant["config_groups"] = {"group_0": {**pick(d, groups.values()), "targets": targets}}


@kind
def a_group_lost(m: Model, d: Random) -> None:
    groups = m.groups
    groups.pop(pick(d, groups))


@kind
def a_group_doubled(m: Model, d: Random) -> None:
    groups = m.groups
    one = copy.deepcopy(pick(d, groups.values()))
    if d.random() < 0.5:
        one["weights"]["num_bits"] = 4
    groups["group_9"] = one


@kind
def a_group_without_weights(m: Model, d: Random) -> None:
    group = pick(d, m.groups.values())
    if d.random() < 0.5:
        group["weights"] = None
    else:
        group.pop("weights")


@kind
def a_group_without_targets(m: Model, d: Random) -> None:
    pick(d, m.groups.values()).pop("targets")


@kind
def activations_lost(m: Model, d: Random) -> None:
    found = [group for group in m.groups.values() if group.get("input_activations")]
    for group in found if d.random() < 0.5 else [pick(d, found)]:
        group["input_activations"] = None


@kind
def activations_added(m: Model, d: Random) -> None:
    group = pick(d, [group for group in m.groups.values() if not group.get("input_activations")])
    group["input_activations"] = {"num_bits": 8, "type": "int", "strategy": "token", "symmetric": True, "dynamic": True}


@kind
def output_activations_added(m: Model, d: Random) -> None:
    pick(d, m.groups.values())["output_activations"] = {
        "num_bits": 8,
        "type": "int",
        "strategy": "tensor",
        "symmetric": True,
        "dynamic": False,
    }


@kind
def a_scheme_by_name(m: Model, d: Random) -> None:
    m.quant["config_groups"] = {pick(d, ("W8A8", "W8A16", "W4A16", "FP8")): pick(d, (["Linear"], ["lm_head"]))}


@kind
def sparsity_config_left(m: Model, d: Random) -> None:
    m.quant["sparsity_config"] = pick(
        d,
        (
            {"format": "dense"},
            None,
            {"format": "dense", "global_sparsity": 0.1, "sparsity_structure": "unstructured"},
            {"format": "sparse-24-bitmask", "sparsity_structure": "2:4", "targets": ["Linear"], "ignore": []},
            {"format": "sparse-bitmask", "global_sparsity": 0.5, "sparsity_structure": "unstructured"},
        ),
    )


@kind
def transform_config_left(m: Model, d: Random) -> None:
    m.quant["transform_config"] = pick(
        d,
        (
            None,
            {"config_groups": {}},
            {
                "config_groups": {
                    "R4": {
                        "type": "hadamard",
                        "apply": [
                            {"targets": ["Linear"], "location": "input", "inverse": False, "ignore": ["lm_head"]}
                        ],
                        "randomize": False,
                        "requires_grad": False,
                    }
                }
            },
        ),
    )


@kind
def kv_cache_scheme_without_scales(m: Model, d: Random) -> None:
    scheme = {
        "num_bits": 8,
        "type": pick(d, ("float", "int")),
        "strategy": pick(d, ("tensor", "attn_head")),
        "symmetric": True,
    }
    m.quant["kv_cache_scheme"] = {**scheme, "dynamic": pick(d, (False, True)), "observer": "minmax"}
