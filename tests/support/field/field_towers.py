"""Towers and projectors: dropped, of other numbers in the config, or beside a text model."""

from __future__ import annotations

import re
from random import Random

from field_kind import kind
from field_model import LAYER, TOWER, Model, Skip, cast, made, pick, turned


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


@kind
def tower_config_lost(m: Model, d: Random) -> None:
    key = pick(d, [key for key in ("vision_config", "audio_config", "encoder_config") if key in m.config])
    if d.random() < 0.5:
        m.config.pop(key)
    else:
        m.config[key] = pick(d, (None, {}))


@kind
def tower_with_another_depth(m: Model, d: Random) -> None:
    tower = pick(d, [m.config[key] for key in ("vision_config", "audio_config") if isinstance(m.config.get(key), dict)])
    key = pick(d, [key for key in ("num_hidden_layers", "depth", "encoder_layers") if key in tower])
    tower[key] += pick(d, (1, -1, 2))


@kind
def tower_with_another_width(m: Model, d: Random) -> None:
    tower = pick(d, [m.config[key] for key in ("vision_config", "audio_config") if isinstance(m.config.get(key), dict)])
    key = pick(
        d,
        [
            key
            for key in ("hidden_size", "intermediate_size", "d_model", "out_hidden_size", "patch_size")
            if key in tower
        ],
    )
    tower[key] *= 2


@kind
def tower_dropped_and_architecture_kept(m: Model, d: Random) -> None:
    if not m.is_wrapper:
        raise Skip
    for name in [name for name in m.tensors if "language_model" not in name and "lm_head" not in name] or pick(d, []):
        del m.tensors[name]
