"""Matrices fused that are stored apart, and taken apart that are stored fused."""

from __future__ import annotations

from random import Random

from field_kind import add, kind
from field_model import Model, Skip, as_bits, bits, joined, pick


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
