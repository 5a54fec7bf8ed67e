"""Any tensor of the checkpoint, in whatever module it lies, changed in one way: what no kind of change was thought of for."""

from __future__ import annotations

from random import Random
from typing import Final

from field_kind import kind
from field_model import LAYER, Model, as_bits, bits, made, pick, rows, turned

PARTS: Final = (
    *(
        "weight",
        "bias",
        "weight_scale",
        "weight_packed",
        "weight_shape",
        "weight_zero_point",
        "weight_g_idx",
        "input_scale",
    ),
    *(
        "input_zero_point",
        "output_scale",
        "weight_scale_inv",
        "scales",
        "qweight",
        "qzeros",
        "g_idx",
        "azp_adj",
        "k_scale",
    ),
    *(
        "v_scale",
        "weight_global_scale",
        "lora_A.weight",
        "inv_freq",
        "e_score_correction_bias",
        "running_mean",
        "scale",
    ),
)
"""Parts that some tool or other writes beside a weight."""
DTYPES: Final = ("BF16", "F32", "F16", "I8", "I32", "U8", "F8_E4M3", "I64", "BOOL")
WORDS: Final = {
    "self_attn": "attention", "mlp": "feed_forward", "q_proj": "wq", "k_proj": "wk", "v_proj": "wv", "o_proj": "out_proj",
    "gate_proj": "w1", "up_proj": "w3", "down_proj": "w2", "experts": "moe_experts", "gate": "router", "input_layernorm": "ln_1",
    "norm": "final_layernorm", "embed_tokens": "wte", "lm_head": "head", "layers": "blocks", "model": "transformer",
    "language_model": "text_model", "visual": "vision_tower", "q_norm": "query_norm", "dense": "wo", "fc1": "up", "fc2": "down",
}  # fmt: skip
"""What other conversions call the same."""


def _any(m: Model, d: Random) -> str:
    """Draw a tensor, small modules as often as the many matrices of layers and experts."""
    alike = {".".join("#" if word.isdigit() else word for word in name.split(".")): name for name in m.tensors}
    return alike[pick(d, sorted(alike))]


@kind
def any_tensor_dropped(m: Model, d: Random) -> None:
    m.drop(_any(m, d))


@kind
def any_tensor_dropped_in_every_layer(m: Model, d: Random) -> None:
    found = LAYER.match(name := _any(m, d))
    for one in [name] if found is None else [other for other in m.tensors if other.endswith(name[found.end() :])]:
        m.drop(one)


@kind
def any_part_put_beside(m: Model, d: Random) -> None:
    name = _any(m, d)
    module, shape = name.rpartition(".")[0] or name, m.tensors[name].shape
    sizes = ((1,), (), shape, shape[:1], (*shape[:1], 1), shape[-1:])
    m.put(f"{module}.{pick(d, PARTS)}", made(pick(d, ("BF16", "F32", "I32", "I8")), pick(d, sizes)))


@kind
def any_tensor_of_another_dtype(m: Model, d: Random) -> None:
    name = _any(m, d)
    m.put(name, made(pick(d, [dtype for dtype in DTYPES if dtype != m.tensors[name].dtype]), m.tensors[name].shape))


@kind
def any_tensor_with_a_row_more_or_less(m: Model, d: Random) -> None:
    name = _any(m, d)
    shape = m.tensors[name].shape
    if shape:
        axis = d.randrange(len(shape))
        m.put(
            name, rows(m.tensors[name], max(0, shape[axis] + pick(d, (-1, 1, -(shape[axis] // 2), shape[axis]))), axis)
        )


@kind
def any_tensor_in_another_shape(m: Model, d: Random) -> None:
    name = _any(m, d)
    raw = m.tensors[name]
    if len(raw.shape) == 2 and d.random() < 0.5:
        m.put(name, turned(raw))
    else:
        shape = pick(d, ((*raw.shape, 1), (1, *raw.shape), (-1,), tuple(size for size in raw.shape if size != 1)))
        m.put(name, as_bits(raw, bits(raw).reshape(shape)))


@kind
def any_tensor_under_the_name_of_another_part(m: Model, d: Random) -> None:
    name = _any(m, d)
    module, _, part = name.rpartition(".")
    m.put(f"{module}.{pick(d, [other for other in PARTS if other != part])}", m.tensors.pop(name))


@kind
def any_module_called_as_others_call_it(m: Model, d: Random) -> None:
    name = _any(m, d)
    word = pick(d, [word for word in name.split(".") if word in WORDS])
    everywhere = d.random() < 0.5

    def change(one: str) -> str:
        return (
            ".".join(WORDS[word] if part == word else part for part in one.split("."))
            if everywhere or one == name
            else one
        )

    m.rename(change)


@kind
def any_tensor_with_a_prefix_more_or_less(m: Model, d: Random) -> None:
    name = _any(m, d)
    first, _, rest = name.partition(".")
    new = pick(
        d, (f"model.{name}", f"module.{name}", rest or f"{first}.weight", f"base_model.model.{name}", f"{name}.default")
    )
    m.rename(lambda one: new if one == name else one)


@kind
def any_tensor_twice(m: Model, d: Random) -> None:
    name = _any(m, d)
    found = LAYER.match(name)
    if found is None:
        m.put(f"extra.{name}", m.tensors[name])
    else:
        m.put(name.replace(f".{found[3]}.", f".{int(found[3]) + pick(d, (1, 2, 7))}.", 1), m.tensors[name])


@kind
def any_two_tensors_exchanged(m: Model, d: Random) -> None:
    one, other = _any(m, d), _any(m, d)
    m.tensors[one], m.tensors[other] = m.tensors[other], m.tensors[one]
