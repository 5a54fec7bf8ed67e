"""The index of shards."""

from __future__ import annotations

import json
from random import Random

from dense_builder import INDEX, SINGLE, edit_index
from field_folder import in_index, later, sharded
from field_kind import kind
from field_model import Json, Model, pick


@kind
def index_with_a_tensor_that_is_nowhere(m: Model, d: Random) -> None:
    in_index(
        m,
        d,
        lambda found: found.__setitem__(
            pick(d, ("lm_head.bias", "model.rotary_emb.inv_freq", "model.layers.9.x.weight")),
            next(iter(found.values())),
        ),
    )


@kind
def index_with_a_file_that_is_nowhere(m: Model, d: Random) -> None:
    in_index(m, d, lambda found: found.__setitem__("model.extra.weight", "model-00004-of-00004.safetensors"))


@kind
def index_without_a_tensor(m: Model, d: Random) -> None:
    in_index(m, d, lambda found: found.pop(pick(d, sorted(found))))


@kind
def index_without_a_whole_file(m: Model, d: Random) -> None:
    def change(found: Json) -> None:
        file = pick(d, sorted(set(found.values())))
        for name in [name for name, one in found.items() if one == file]:
            del found[name]

    in_index(m, d, change)


@kind
def index_with_the_wrong_file(m: Model, d: Random) -> None:
    def change(found: Json) -> None:
        name = pick(d, sorted(found))
        found[name] = pick(d, sorted(set(found.values()) - {found[name]}))

    in_index(m, d, change)


@kind
def index_of_the_dense_original(m: Model, d: Random) -> None:
    sharded(m)
    modules = {f"{module}.weight" for module in m.quantized()}

    def change(index: Json) -> None:
        kept = {
            name: file
            for name, file in index["weight_map"].items()
            if not name.endswith(("_scale", "_packed", "_shape"))
        }
        index["weight_map"] = kept | {name: pick(d, sorted(set(kept.values()))) for name in sorted(modules)}

    later(m, lambda folder: edit_index(folder, change))


@kind
def index_missing(m: Model, d: Random) -> None:
    sharded(m)
    later(m, lambda folder: (folder / INDEX).unlink())


@kind
def index_with_wrong_size(m: Model, d: Random) -> None:
    sharded(m)
    value = pick(d, (0, 123, None, "many"))
    later(m, lambda folder: edit_index(folder, lambda index: index.__setitem__("metadata", {"total_size": value})))


@kind
def index_without_metadata(m: Model, d: Random) -> None:
    sharded(m)
    later(m, lambda folder: edit_index(folder, lambda index: index.pop("metadata")))


@kind
def index_with_paths(m: Model, d: Random) -> None:
    prefix = pick(d, ("./", "/data/out/", "weights/"))
    in_index(m, d, lambda found: found.update({name: prefix + file for name, file in found.items()}))


@kind
def index_left_beside_one_file(m: Model, d: Random) -> None:
    for name in m.tensors:
        m.places[name] = SINGLE
    old = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(m.tensors)}
    later(m, lambda folder: (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": old})))


@kind
def index_true_beside_one_file(m: Model, d: Random) -> None:
    for name in m.tensors:
        m.places[name] = SINGLE
    true = dict.fromkeys(m.tensors, SINGLE)
    later(m, lambda folder: (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": true})))


@kind
def index_not_json(m: Model, d: Random) -> None:
    sharded(m)
    later(m, lambda folder: (folder / INDEX).write_text(pick(d, ("", "{", "null", "[]"))))
