"""Scales of activations and of the cache."""

from __future__ import annotations

from random import Random

from field_kind import kind
from field_model import Model, made, pick


@kind
def input_scales_of_dynamic_activations(m: Model, d: Random) -> None:
    every = m.quantized()
    for module in every if d.random() < 0.5 else [pick(d, every)]:
        m.put(f"{module}.{pick(d, ('input_scale', 'input_zero_point', 'output_scale'))}", made("BF16", (1,)))


@kind
def input_scales_missing(m: Model, d: Random) -> None:
    names = [name for name in m.tensors if name.endswith("input_scale")]
    for name in names if d.random() < 0.5 else [pick(d, names)]:
        m.drop(name)


@kind
def an_input_scale_with_many_values(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if name.endswith("input_scale")])
    m.put(name, made("BF16", (128,)))


@kind
def scales_of_the_cache_left(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    word = pick(d, {name.split(".")[0] for name in m.layer(numbers[0]) if "attn" in name})
    form = pick(
        d,
        (
            "k_scale v_scale",
            "k_proj.output_scale v_proj.output_scale",
            "attn.k_scale attn.v_scale",
            "kv_scale",
            "q_scale",
        ),
    )
    for number in numbers:
        for name in form.split():
            m.put(f"{prefix}{number}.{word}.{name}", made(pick(d, ("BF16", "F32")), pick(d, ((1,), ()))))


@kind
def scales_of_the_cache_with_a_scheme(m: Model, d: Random) -> None:
    scales_of_the_cache_left(m, d)
    m.quant["kv_cache_scheme"] = {
        "num_bits": 8,
        "type": "float",
        "strategy": "tensor",
        "symmetric": True,
        "dynamic": False,
    }
