"""Wrappers that lost a whole part beside their language model: engines serve what was never loaded."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from inspecting import error_list
from quantizing import quantize

from ctq.recipe.recipe import Recipe

CheckpointFactory = Callable[..., Path]


@pytest.mark.parametrize("part", ["visual.", "visual.merger.", "visual.patch_embed."])
def test_a_lost_tower_or_a_piece_of_it_is_one_error(checkpoint: CheckpointFactory, tmp_path: Path, part: str) -> None:
    quantize(checkpoint("qwen2.5-vl"), tmp_path / "whole")
    assert error_list(tmp_path / "whole") == []
    broken = shutil.copytree(tmp_path / "whole", tmp_path / "broken")

    def lose(tensors: dict[str, Raw]) -> None:
        lost = [name for name in tensors if name.removeprefix("model.").startswith(part)]
        assert lost
        for name in lost:
            del tensors[name]

    edit_tensors(broken, lose)
    assert error_list(broken) == ["TEN025"]


@pytest.mark.parametrize(
    ("family", "lost", "code"), [("qwen3-moe", r"experts\.3\.up_proj\.", "TEN020"), ("jamba", r"experts\.", "TEN025")]
)
def test_lost_experts_are_one_error(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, lost: str, code: str
) -> None:
    quantize(checkpoint(family), tmp_path / "broken", Recipe(lm_head=False))
    assert error_list(tmp_path / "broken") == []

    def lose(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if re.search(lost, name)]:
            del tensors[name]

    edit_tensors(tmp_path / "broken", lose)
    assert error_list(tmp_path / "broken") == [code]


@pytest.mark.parametrize(("family", "codes"), [("qwen2.5-vl", ["HED010"]), ("llama", ["HED010"]), ("gemma3-mm", [])])
def test_a_config_that_says_nothing_of_ties_is_read_as_its_class_assumes(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, codes: list[str]
) -> None:
    quantize(checkpoint(family), tmp_path / "out", Recipe(lm_head=False))

    def say_nothing(config: dict[str, Any]) -> None:
        for level in (config, config.get("text_config", {})):
            level.pop("tie_word_embeddings", None)

    edit_config(tmp_path / "out", say_nothing)
    edit_tensors(tmp_path / "out", lambda tensors: [tensors.pop(name) for name in list(tensors) if "lm_head" in name])
    assert error_list(tmp_path / "out") == codes


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
def test_a_lost_config_of_a_part_is_an_error(checkpoint: CheckpointFactory, tmp_path: Path, part: str) -> None:
    quantize(checkpoint("qwen3-vl"), tmp_path / "broken")
    assert error_list(tmp_path / "broken") == []
    edit_config(tmp_path / "broken", lambda config: config.pop(part))
    assert "CFG022" in error_list(tmp_path / "broken")


def test_any_known_architecture_of_the_list_is_enough(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llama"), tmp_path / "made")
    edit_config(tmp_path / "made", lambda config: config["architectures"].insert(0, "TinyForCausalLM"))
    assert "CFG020" not in error_list(tmp_path / "made")


@pytest.mark.parametrize(("part", "axis"), [("up_proj", 0), ("down_proj", 1), ("gate_proj", 1)])
def test_an_expert_of_another_size_is_an_error_where_no_size_of_experts_is_known(
    checkpoint: CheckpointFactory, tmp_path: Path, part: str, axis: int
) -> None:
    quantize(checkpoint("llama4"), tmp_path / "broken", Recipe(lm_head=False))
    edit_config(tmp_path / "broken", lambda config: config.update(architectures=["TinyForCausalLM"], model_type="tiny"))
    assert error_list(tmp_path / "broken") == []

    def halve(tensors: dict[str, Raw]) -> None:
        module = next(name for name in tensors if re.search(rf"experts\.1\.{part}\.weight$", name)).rpartition(".")[0]
        codes, scales = tensors[f"{module}.weight"], tensors[f"{module}.weight_scale"]
        rows, columns = (size // 2 if at == axis else size for at, size in enumerate(codes.shape))
        tensors[f"{module}.weight"] = Raw(codes.dtype, (rows, columns), codes.data[: rows * columns])
        kept = len(scales.data) // codes.shape[0] * rows
        tensors[f"{module}.weight_scale"] = Raw(scales.dtype, (rows, 1), scales.data[:kept])

    edit_tensors(tmp_path / "broken", halve)
    assert error_list(tmp_path / "broken") == ["TEN031"]


@pytest.mark.parametrize("family", ["granite-hybrid", "llama4"])
def test_experts_are_of_the_size_that_the_config_gives_to_all_of_them_in_one(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str
) -> None:
    quantize(checkpoint(family), tmp_path / "broken", Recipe(lm_head=False))
    assert error_list(tmp_path / "broken") == []

    def double(config: dict[str, Any]) -> None:
        level = config.get("text_config", config)
        level["intermediate_size"] *= 2

    edit_config(tmp_path / "broken", double)
    assert error_list(tmp_path / "broken") == ["TEN026"]


@pytest.mark.parametrize(
    ("family", "leaf", "rows", "columns"),
    [
        ("falcon", "query_key_value", 0.5, 1),
        ("falcon", "query_key_value", 1, 0.5),
        ("falcon", "dense_h_to_4h", 0.75, 1),
        ("phi3", "qkv_proj", 1, 0.75),
        ("phi3", "gate_up_proj", 0.75, 1),
    ],
)
def test_a_layer_that_reads_other_widths_than_its_partner_writes_is_an_error_in_any_architecture(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, leaf: str, rows: float, columns: float
) -> None:
    quantize(checkpoint(family), tmp_path / "broken", Recipe(lm_head=False))
    edit_config(tmp_path / "broken", lambda config: config.update(architectures=["TinyForCausalLM"], model_type="tiny"))
    assert error_list(tmp_path / "broken") == []

    def cut(tensors: dict[str, Raw]) -> None:
        module = next(name for name in tensors if name.endswith(f".{leaf}.weight")).rpartition(".")[0]
        codes, scales = tensors[f"{module}.weight"], tensors[f"{module}.weight_scale"]
        shape = (int(codes.shape[0] * rows), int(codes.shape[1] * columns))
        tensors[f"{module}.weight"] = Raw(codes.dtype, shape, codes.data[: shape[0] * shape[1]])
        kept = len(scales.data) // codes.shape[0] * shape[0]
        tensors[f"{module}.weight_scale"] = Raw(scales.dtype, (shape[0], 1), scales.data[:kept])

    edit_tensors(tmp_path / "broken", cut)
    assert error_list(tmp_path / "broken") == ["TEN031"]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_lost_layer_of_a_model_that_lists_its_layers(
    checkpoint: CheckpointFactory, tmp_path: Path, layer: int
) -> None:
    quantize(checkpoint("nemotron-h"), tmp_path / "q")
    edit_config(tmp_path / "q", lambda config: config.pop("num_hidden_layers", None))
    assert error_list(tmp_path / "q") == []

    def lose(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if f".layers.{layer}." in name]:
            del tensors[name]

    edit_tensors(tmp_path / "q", lose)
    assert error_list(tmp_path / "q") == ["TEN020"]


@pytest.mark.parametrize(
    ("family", "tower"), [("qwen2.5-vl", "visual."), ("gemma3-mm", "vision_tower."), ("llama4", "vision_model.")]
)
def test_all_biases_of_a_tower_are_missed(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, tower: str
) -> None:
    quantize(checkpoint(family), tmp_path / "broken")
    assert error_list(tmp_path / "broken") == []

    def lose(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if tower in name and name.endswith(".bias")]:
            del tensors[name]

    edit_tensors(tmp_path / "broken", lose)
    assert error_list(tmp_path / "broken") == ["TEN025"]


@pytest.mark.parametrize(
    ("family", "name", "codes"),
    [
        ("gpt-oss", "model.language_model.lm_head.weight", ["TEN025"]),  # passed over, and the head is never loaded
        ("llama", "model.language_model.lm_head.weight", ["TEN024", "TEN025"]),  # refused
        ("qwen3-next", "lm_head.weight", []),
    ],
)
def test_a_head_where_its_class_does_not_look_for_it_is_lost(
    family: str, name: str, codes: list[str], checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")
    edit_tensors(folder, lambda tensors: tensors.update({name: tensors.pop("lm_head.weight")}))
    assert error_list(folder) == codes


@pytest.mark.parametrize(("name", "codes"), [("medusa_head.0.0.linear.weight", ["TEN024"]), ("mtp.fc.weight", [])])
def test_heads_of_drafts_are_passed_over_by_the_name_that_the_class_knows(
    name: str, codes: list[str], checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("qwen3-next"), tmp_path / "m")
    edit_tensors(folder, lambda tensors: tensors.update({name: Raw("F32", (1, 1), bytes(4))}))
    assert error_list(folder) == codes


@pytest.mark.parametrize("name", ["model.embed_tokens", "model.norm", "model.layers.1.mlp.up_proj", "lm_head"])
def test_a_scale_does_not_stand_for_a_weight_of_a_dense_model(
    name: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "m")
    edit_tensors(folder, lambda tensors: tensors.update({f"{name}.weight_scale": tensors.pop(f"{name}.weight")}))
    assert "TEN001" in error_list(folder)


@pytest.mark.parametrize(("layer", "codes"), [(0, ["TEN025"]), (7, [])])
def test_a_bias_is_missed_in_the_layers_of_a_tower_that_its_config_counts(
    layer: int, codes: list[str], checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("paligemma"), tmp_path / "m")
    start = "vision_tower.vision_model.encoder.layers."

    def change(tensors: dict[str, Raw]) -> None:
        first = next(name for name in tensors if f"{start}0.self_attn.k_proj.weight" in name)
        name = first.replace(f"{start}0.", f"{start}{layer}.")
        tensors[name] = tensors[first]  # vLLM does not read the layers behind the last
        tensors.pop(name.replace(".weight", ".bias"), None)

    edit_tensors(folder, change)
    assert error_list(folder) == codes


def test_a_norm_that_has_a_bias_has_it_in_every_layer(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("falcon"), tmp_path / "m")
    edit_tensors(folder, lambda tensors: tensors.pop("transformer.h.1.input_layernorm.bias") and None)
    assert error_list(folder) == ["TEN025"]


@pytest.mark.parametrize("part", ["", ".weight"])
@pytest.mark.parametrize("family", ["qwen3-moe", "mixtral", "jamba", "solar-open"])
def test_experts_in_one_tensor_for_each_projection_are_not_loaded(
    family: str, part: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")

    def stack(tensors: dict[str, Raw]) -> None:
        experts = [name for name in tensors if re.search(r"\.experts\.\d+\.", name)]
        owners: dict[str, list[Raw]] = {}
        for name in experts:
            owners.setdefault(re.sub(r"\.experts\.\d+\.", ".experts.", name), []).append(tensors.pop(name))
        for name, parts in owners.items():
            data = b"".join(one.data for one in parts)
            tensors[name.removesuffix(".weight") + part] = Raw(parts[0].dtype, (len(parts), *parts[0].shape), data)

    edit_tensors(folder, stack)
    assert "TEN024" in error_list(folder)


@pytest.mark.parametrize("family", ["qwen3-moe", "mixtral", "olmoe", "hunyuan-moe", "hy-v3", "phimoe", "deepseek-v3"])
@pytest.mark.parametrize("layers", [r"\d+", "1"])
def test_experts_that_a_router_chooses_from_are_missed(
    family: str, layers: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")

    def lose(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if re.search(rf"layers\.{layers}\..*\.experts\.\d", name)]:
            del tensors[name]

    edit_tensors(folder, lose)
    assert set(error_list(folder)) <= {"TEN020", "TEN025"}
    assert error_list(folder)


@pytest.mark.parametrize(
    ("family", "piece"),
    [
        ("qwen3-next", "linear_attn"),
        ("granite-hybrid", "mamba"),
        ("jamba", "mamba"),
        ("lfm2-vl", "conv"),
        ("nemotron-h", "mixer"),
        ("zamba2", "mamba"),
    ],
)
def test_a_layer_without_attention_or_what_stands_for_it(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, piece: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    assert error_list(folder) == []

    def lose(tensors: dict[str, Raw]) -> None:
        lost = [name for name in tensors if f"layers.0.{piece}." in name]
        assert lost
        for name in lost:
            del tensors[name]

    edit_tensors(folder, lose)
    assert error_list(folder) == ["TEN025"]
