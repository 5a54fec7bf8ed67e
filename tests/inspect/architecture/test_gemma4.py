"""Gemma 4, whose layers differ: some share the keys of others, some take their keys for values, some have experts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from families import build
from inspecting import errors

Tensors = dict[str, Raw]
TEXT = ("learnt-gemma4-shared-keys", "learnt-gemma4-moe")
WRAPPERS = ("learnt-gemma4-mm-moe", "learnt-gemma4-mm-shared-keys", "learnt-gemma4-unified-dense")
LAYER = "layers.1"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("gemma4")
    return {name: build(name, root / name) for name in (*TEXT, *WRAPPERS)}


@pytest.mark.parametrize("name", [*TEXT, *WRAPPERS])
def test_a_healthy_one(name: str, originals: dict[str, Path]) -> None:
    assert errors(originals[name]) == set()


@pytest.mark.parametrize("name", ["learnt-gemma4-moe", "learnt-gemma4-mm-moe"])
@pytest.mark.parametrize(
    ("ending", "change", "code"),
    [
        ("self_attn.q_norm.weight", lambda tensors, name: tensors.pop(name), "TEN020"),
        ("self_attn.o_proj.weight", lambda tensors, name: tensors.update({f"{name}s": tensors.pop(name)}), "TEN024"),
        ("mlp.up_proj.weight", lambda tensors, name: tensors.update({name: longer(tensors[name])}), "TEN026"),
        ("router.scale", lambda tensors, name: tensors.pop(name), "TEN020"),
    ],
)
def test_a_broken_one(
    ending: str,
    change: Callable[[Tensors, str], object],
    code: str,
    name: str,
    originals: dict[str, Path],
    tmp_path: Path,
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for path in originals[name].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())

    def broken(tensors: Tensors) -> None:
        change(tensors, next(tensor for tensor in tensors if tensor.endswith(f"{LAYER}.{ending}")))

    edit_tensors(folder, broken)
    missing = {"TEN020", "TEN025"}
    assert errors(folder) & (missing if code in missing else {code})


def longer(raw: Raw) -> Raw:
    """Return a matrix of some columns more."""
    rows, columns = raw.shape
    return Raw(raw.dtype, (rows, columns + 16), bytes(2 * rows * (columns + 16)))


def copied(original: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in original.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    "name", ["learnt-gemma4-shared-keys", "learnt-gemma4-mm-shared-keys", "learnt-gemma4-unified-dense"]
)
@pytest.mark.parametrize(
    "ending",
    [
        "layers.0.self_attn.q_norm.weight",
        "layers.1.self_attn.q_norm.weight",
        "layers.0.self_attn.k_norm.weight",
        "layers.3.self_attn.q_proj.weight",
        "layers.1.self_attn.k_proj.weight",
        "layers.3.mlp.gate_proj.weight",
        "embed_tokens_per_layer.weight",
        "per_layer_projection_norm.weight",
    ],
)
def test_a_size_that_is_not_its_layer_s(ending: str, name: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals[name], tmp_path / name)

    def broken(tensors: Tensors) -> None:
        tensor = next((tensor for tensor in tensors if tensor.endswith(f".{ending}")), None)
        if tensor is None:
            pytest.skip("without embeddings for each layer")
        rows, *more = tensors[tensor].shape
        columns = more[0] if more else 1
        tensors[tensor] = Raw(tensors[tensor].dtype, (rows + 16, *more), bytes(2 * (rows + 16) * columns))

    edit_tensors(folder, broken)
    assert "TEN026" in errors(folder)


@pytest.mark.parametrize("name", ["learnt-gemma4-shared-keys", "learnt-gemma4-mm-shared-keys"])
@pytest.mark.parametrize(
    "ending",
    [
        "self_attn.v_proj.weight",
        "self_attn.k_norm.weight",
        "embed_tokens_per_layer.weight",
        "per_layer_projection_norm.weight",
    ],
)
def test_what_all_layers_lack(ending: str, name: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals[name], tmp_path / name)

    def broken(tensors: Tensors) -> None:
        for tensor in [tensor for tensor in tensors if tensor.endswith(f".{ending}")]:
            del tensors[tensor]

    edit_tensors(folder, broken)
    assert errors(folder) & {"TEN020", "TEN025"}


@pytest.mark.parametrize("name", ["learnt-gemma4-moe", "learnt-gemma4-unified-dense"])
def test_a_scalar_that_vllm_leaves_at_one(name: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals[name], tmp_path / name)

    def broken(tensors: Tensors) -> None:
        del tensors[next(tensor for tensor in tensors if tensor.endswith("layers.1.layer_scalar"))]

    edit_tensors(folder, broken)
    assert errors(folder) == set()


@pytest.mark.parametrize(("width", "expected"), [(64, set()), (128, {"TEN026"})])
def test_the_width_as_published_configs_state_it(
    width: int, expected: set[str], originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(originals["learnt-gemma4-shared-keys"], tmp_path / "published")

    def stated(config: dict[str, Any]) -> None:
        del config["per_layer_config"]
        config["global_head_dim"] = width

    edit_config(folder, stated)
    assert errors(folder) == expected


@pytest.mark.parametrize("name", ["learnt-gemma4-moe", "learnt-gemma4-mm-moe"])
@pytest.mark.parametrize("key", ["hidden_size_per_layer_input", "layer_types"])
def test_what_its_class_assumes_is_missed(name: str, key: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals[name], tmp_path / name)
    edit_config(folder, lambda config: config.get("text_config", config).pop(key))
    assert errors(folder)


def test_inputs_of_each_layer_come_with_their_size(originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals["learnt-gemma4-shared-keys"], tmp_path / "none")
    edit_config(folder, lambda config: config.update(hidden_size_per_layer_input=0))
    assert "TEN032" in errors(folder)


def test_layers_that_have_no_numbers_of_their_own_by_the_config(originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals["learnt-gemma4-moe"], tmp_path / "null")
    edit_config(folder, lambda config: config.update(per_layer_config=None))
    assert errors(folder) == {"TEN026"}  # the wider heads of the second layer


STANDARD = ("model.vision_tower.std_bias", "model.vision_tower.std_scale")


@pytest.mark.parametrize(
    ("switch", "tensors", "found"),
    [(True, STANDARD, set()), (False, STANDARD, {"TEN032"}), (False, (), set())],
)
def test_what_standardizes_a_tower_comes_with_its_switch(
    switch: bool, tensors: tuple[str, ...], found: set[str], originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(originals["learnt-gemma4-mm-moe"], tmp_path / "tower")
    edit_config(folder, lambda config: config["vision_config"].update(standardize=switch))
    edit_tensors(folder, lambda known: known.update({name: Raw("BF16", (128,), bytes(256)) for name in tensors}))
    assert errors(folder) == found


@pytest.mark.parametrize("ending", ["post_feedforward_layernorm.weight", "mlp.down_proj.linear.weight"])
def test_a_tensor_that_its_tower_lost(ending: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(originals["learnt-gemma4-mm-moe"], tmp_path / "m")
    name = f"model.vision_tower.encoder.layers.0.{ending}"
    edit_tensors(folder, lambda tensors: tensors.pop(name) and None)
    assert errors(folder) == {"TEN025"}
