"""Names as training frameworks, adapters and scripts leave them."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from field_kind import add, kind
from field_model import LAYER, Model, Skip, made, pick

PREFIXES: Final = (
    "base_model.model.", "_orig_mod.", "module.", "model.", "transformer.", "language_model.", "model.language_model.",
    "language_model.model.", "text_model.", "llm.", "thinker.",
)  # fmt: skip
HEAD_NAMES: Final = (
    "output", "head", "embed_out", "score", "model.lm_head", "language_model.lm_head", "model.language_model.lm_head", "lm_head.linear",
    "lm_head.0", "lm_head.modules_to_save.default", "transformer.lm_head", "output_layer", "lm_head.base_layer", "classifier",
)  # fmt: skip
EMBED_NAMES: Final = (
    "model.tok_embeddings", "model.wte", "embed_tokens", "model.embed_tokens.base_layer", "model.embed_tokens.modules_to_save.default",
    "model.language_model.embed_tokens", "language_model.model.embed_tokens", "model.embed_in", "transformer.wte",
)  # fmt: skip
WORDS: Final = (
    ("self_attn", "attention"), ("self_attn", "attn"), ("mlp", "feed_forward"), ("input_layernorm", "ln_1"),
    ("post_attention_layernorm", "ffn_norm"), ("layers", "h"), ("layers", "blocks"), ("q_proj", "wq"), ("q_proj", "query"),
    ("o_proj", "out_proj"), ("o_proj", "dense"), ("down_proj", "w2"), ("gate_proj", "w1"), ("mlp", "block_sparse_moe"), ("gate", "router"),
    ("experts", "expert"), ("norm", "final_layernorm"), ("norm", "ln_f"), ("linear_attn", "mamba"), ("mixer", "mamba"),
    ("shared_experts", "shared_expert"), ("shared_expert", "shared_experts"), ("visual", "vision_tower"), ("vision_tower", "visual"),
    ("multi_modal_projector", "mm_projector"), ("vision_tower", "vision_model"), ("q_norm", "q_layernorm"), ("k_norm", "key_layernorm"),
)  # fmt: skip


def _prefix(prefix: str) -> None:
    add(f"all under {prefix}", lambda m, d: m.rename(lambda name: prefix + name))
    add(f"{prefix} taken off", lambda m, d: m.rename(lambda name: name.removeprefix(prefix)))


for _one in PREFIXES:
    _prefix(_one)


def _module(m: Model, old: str, new: str) -> None:
    m.rename(lambda name: new + name[len(old) :] if name.startswith(old + ".") else name)


for _one in HEAD_NAMES:
    add(f"head called {_one}", lambda m, d, new=_one: _module(m, m.head(), new))
for _one in EMBED_NAMES:
    add(f"embedding called {_one}", lambda m, d, new=_one: _module(m, m.embedding(), new))
for _old, _new in WORDS:
    add(
        f"{_old} called {_new}",
        lambda m, d, o=_old, n=_new: m.rename(lambda name: re.sub(rf"(?<=\.){o}(?=\.)", n, "." + name)[1:]),
    )


@kind
def body_prefix_moved(m: Model, d: Random) -> None:
    swaps = [
        ("model.language_model.", "language_model.model."),
        ("language_model.model.", "model.language_model."),
        ("model.language_model.", "model."),
        ("language_model.model.", "model."),
        ("model.", "language_model.model."),
        ("model.", "model.model."),
        ("model.", "model.text_model."),
        ("model.", "transformer."),
        ("backbone.", "model."),
        ("model.", "backbone."),
    ]
    old, new = pick(d, [swap for swap in swaps if any(name.startswith(swap[0]) for name in m.tensors)])
    m.rename(lambda name: new + name[len(old) :] if name.startswith(old) else name)


@kind
def half_of_layers_under_another_prefix(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    new = pick(d, ("base_model.model." + prefix, "model." + prefix, prefix.removeprefix("model.")))
    start = f"{prefix}{numbers[-1]}."
    m.rename(lambda name: f"{new}{numbers[-1]}.{name[len(start) :]}" if name.startswith(start) else name)


@kind
def fsdp_wrapper_in_layers(m: Model, d: Random) -> None:
    word = pick(d, ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module", "_orig_mod"))
    prefix, _ = m.layers()
    m.rename(lambda name: re.sub(rf"^({re.escape(prefix)}\d+)\.", rf"\1.{word}.", name))


@kind
def base_layer_left_in_modules(m: Model, d: Random) -> None:
    word = pick(d, ("q_proj", "o_proj", "down_proj", "_proj", "up_proj", "dense"))
    m.rename(lambda name: re.sub(rf"({word})\.(?=[^.]+$)", r"\1.base_layer.", name))


@kind
def lora_left_beside(m: Model, d: Random) -> None:
    module = pick(d, m.linears())
    for letter in "AB":
        m.put(f"{module}.lora_{letter}.{pick(d, ('weight', 'default.weight'))}", made("BF16", (8, 128)))


@kind
def lora_of_every_module_left_beside(m: Model, d: Random) -> None:
    for module in m.linears():
        m.put(f"{module}.lora_A.weight", made("BF16", (8, 128)))
        m.put(f"{module}.lora_B.weight", made("BF16", (128, 8)))


@kind
def dora_magnitude_left(m: Model, d: Random) -> None:
    module = pick(d, m.linears())
    m.put(f"{module}.lora_magnitude_vector", made("BF16", (128,)))


@kind
def head_saved_twice_by_peft(m: Model, d: Random) -> None:
    head = m.head()
    for part, raw in m.parts(head).items():
        m.put(f"{head}.original_module.{part}", raw)
        if d.random() < 0.5:
            m.put(f"{head}.modules_to_save.default.{part}", raw)


@kind
def weight_norm_parametrization(m: Model, d: Random) -> None:
    module = pick(d, m.linears())
    name = m.main(module)
    raw = m.tensors.pop(name)
    m.put(f"{module}.parametrizations.weight.original0", made("BF16", (raw.shape[0], 1)))
    m.put(f"{module}.parametrizations.weight.original1", raw)


@kind
def layernorm_gamma_beta(m: Model, d: Random) -> None:
    names = set(m.norms())
    m.rename(lambda name: re.sub(r"weight$", "gamma", name) if name in names else name)


@kind
def linear_wrapped_in_linear(m: Model, d: Random) -> None:
    word = pick(d, ("linear", "inner", "0", "orig_layer"))
    modules = tuple(f"{module}." for module in m.linears())
    m.rename(lambda name: re.sub(r"\.([^.]+)$", rf".{word}.\1", name) if name.startswith(modules) else name)


@kind
def rotary_buffers_left(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    attention = {name.split(".")[0] for name in m.layer(numbers[0]) if "attn" in name or "attention" in name}
    word = pick(d, attention)
    for number in numbers:
        m.put(f"{prefix}{number}.{word}.rotary_emb.inv_freq", made("F32", (16,)))


@kind
def rotary_buffer_of_the_model_left(m: Model, d: Random) -> None:
    prefix, _ = m.layers()
    name = f"{prefix.rpartition('layers.')[0]}rotary_emb.{pick(d, ('inv_freq', 'cos_cached'))}"
    m.put(name, made("F32", (16,)))


@kind
def attention_mask_buffers_left(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    word = pick(d, {name.split(".")[0] for name in m.layer(numbers[0]) if "attn" in name or "attention" in name})
    name = pick(d, ("bias", "masked_bias", "mask"))
    for number in numbers:
        m.put(f"{prefix}{number}.{word}.{name}", made("U8", (1, 1, 16, 16)))


@kind
def position_ids_left(m: Model, d: Random) -> None:
    m.put(m.embedding().rpartition(".")[0] + ".position_ids", made("I64", (1, 64)))


@kind
def layers_numbered_from_one(m: Model, d: Random) -> None:
    prefix, _ = m.layers()
    m.rename(lambda name: re.sub(rf"^{re.escape(prefix)}(\d+)", lambda f: f"{prefix}{int(f[1]) + 1}", name))


@kind
def layer_numbers_padded(m: Model, d: Random) -> None:
    prefix, _ = m.layers()
    m.rename(lambda name: re.sub(rf"^{re.escape(prefix)}(\d+)", lambda f: f"{prefix}{int(f[1]):02d}", name))


@kind
def one_module_misspelt(m: Model, d: Random) -> None:
    module = pick(d, m.linears())
    base, _, last = module.rpartition(".")
    new = (
        f"{base}.{pick(d, (last.upper(), last + '_', last.replace('_proj', ''), last + '_new', last.replace('_', '')))}"
    )
    if new == module:
        raise Skip
    _module(m, module, new)


@kind
def one_tensor_misspelt(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if LAYER.match(name)])
    base, _, last = name.rpartition(".")
    new = f"{base}.{pick(d, (last + 's', last.replace('weight', 'w'), last.replace('weight', 'kernel'), last + '_1', 'qweight'))}"
    m.rename(lambda one: new if one == name else one)


@kind
def names_of_meta(m: Model, d: Random) -> None:
    table = [
        (r"^model\.embed_tokens\.", "tok_embeddings."), (r"^model\.norm\.", "norm."), (r"^lm_head\.", "output."),
        (r"^model\.layers\.", "layers."), (r"self_attn\.([qkvo])_proj", r"attention.w\1"), (r"mlp\.gate_proj", "feed_forward.w1"),
        (r"mlp\.down_proj", "feed_forward.w2"), (r"mlp\.up_proj", "feed_forward.w3"), ("input_layernorm", "attention_norm"),
        ("post_attention_layernorm", "ffn_norm"),
    ]  # fmt: skip
    count = len(table) if d.random() < 0.6 else d.randrange(1, len(table))

    def new(name: str) -> str:
        for pattern, replacement in table[:count]:
            name = re.sub(pattern, replacement, name)
        return name

    m.rename(new)


@kind
def head_outside_the_wrapper(m: Model, d: Random) -> None:
    head = m.head()
    _module(m, head, pick(d, {"lm_head", "language_model.lm_head", "model.lm_head"} - {head}))


@kind
def names_of_q_and_k_swapped(m: Model, d: Random) -> None:
    m.rename(
        lambda name: (
            name.replace("q_proj", "?").replace("k_proj", "q_proj").replace("?", "k_proj")
            if LAYER.match(name)
            else name
        )
    )


@kind
def names_of_gate_and_down_swapped(m: Model, d: Random) -> None:
    m.rename(lambda name: name.replace("gate_proj", "?").replace("down_proj", "gate_proj").replace("?", "down_proj"))


@kind
def mixtral_names_for_experts(m: Model, d: Random) -> None:
    table = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
    m.experts()
    m.rename(lambda name: re.sub(r"(experts\.\d+\.)(gate_proj|down_proj|up_proj)", lambda f: f[1] + table[f[2]], name))
