"""What does not belong to the model: drafts, heads of training, states of an optimizer, copies of the embedding."""

from __future__ import annotations

from random import Random

from field_kind import kind
from field_model import Model, Skip, made, pick


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
