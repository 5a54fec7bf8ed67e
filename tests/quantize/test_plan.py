"""Plans from headers alone: whole, valid for compressed-tensors, and refused with every reason at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import edit_config, edit_tensors, rename_tensor, tiny_checkpoint, tiny_quantized
from raw_safetensors import Raw, from_numpy

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.header import parse_header
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError, ExitCode, PlanError
from ctq.quantize.plan import Plan, build_plan
from ctq.recipe.recipe import BodyGroup, Recipe, default_body
from ctq.recipe.schemes import SCHEMES, Scheme

W8A8, W8A16 = SCHEMES["W8A8"], SCHEMES["W8A16"]
CheckpointFactory = Callable[..., Path]
INCLUDED = Recipe(lm_head=True)


def planned(folder: Path, recipe: Recipe = INCLUDED, *, max_shard_size: int = 5 * 10**9, allow: bool = False) -> Plan:
    return build_plan(
        open_checkpoint(LocalFolder(folder)), recipe, max_shard_size=max_shard_size, allow_unsupported_head=allow
    )


def quantization(plan: Plan) -> dict[str, Any]:
    return json.loads(plan.documents["config.json"])["quantization_config"]


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "llama")


def test_the_head_has_the_first_group_and_a_target_that_names_it(llama: Path) -> None:
    groups = quantization(planned(llama))["config_groups"]
    assert groups["group_0"]["targets"] == ["re:.*lm_head$"]
    assert groups["group_1"]["targets"] == ["Linear"]
    assert groups["group_0"]["format"] == groups["group_1"]["format"] == "int-quantized"
    assert quantization(planned(llama))["ignore"] == []


def test_the_excluded_head_is_written_into_ignore(llama: Path) -> None:
    for decision in (False, None):
        config = quantization(planned(llama, Recipe(lm_head=decision)))
        assert config["ignore"] == ["re:.*lm_head$"]
        assert [group["targets"] for group in config["config_groups"].values()] == [["Linear"]]


def test_two_formats_are_mixed_precision(llama: Path) -> None:
    config = quantization(planned(llama, Recipe(lm_head=True, lm_head_scheme=W8A16)))
    assert config["format"] == "mixed-precision"
    assert [group["format"] for group in config["config_groups"].values()] == ["pack-quantized", "int-quantized"]


def test_head_only_names_every_layer_left_dense_and_what_engines_fuse_of_them(llama: Path) -> None:
    config = quantization(planned(llama, Recipe(body=(), lm_head=True, lm_head_scheme=W8A16)))
    assert len(config["config_groups"]) == 1
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj")
    assert set(config["ignore"]) == {rf"re:.*\.{name}$" for name in names}


def test_a_layer_left_dense_beside_a_quantized_twin_is_ignored_by_its_full_name(llama: Path) -> None:
    recipe = Recipe(body=(BodyGroup(targets=(r"re:model\.layers\.0\..*",), scheme=W8A8),))
    ignore = quantization(planned(llama, recipe))["ignore"]
    assert "model.layers.1.mlp.down_proj" in ignore
    assert r"re:.*\.down_proj$" not in ignore


@pytest.mark.parametrize(
    "family",
    [
        "llama",
        "qwen3-tied",
        "qwen3-moe",
        "mixtral",
        "deepseek-v3",
        "phi3",
        "gemma3-mm",
        "gpt-neox",
        "falcon",
        "qwen2.5-vl",
    ],
)
@pytest.mark.parametrize("head_scheme", [None, W8A16], ids=["W8A8", "mixed"])
def test_the_config_validates_in_compressed_tensors(
    checkpoint: CheckpointFactory, family: str, head_scheme: Scheme | None
) -> None:
    from compressed_tensors.quantization import QuantizationConfig

    plan = planned(checkpoint(family), Recipe(lm_head=True, lm_head_scheme=head_scheme))
    read = QuantizationConfig.model_validate(quantization(plan))
    assert read.quantization_status == "compressed"
    assert list(read.config_groups) == ["group_0", "group_1"]
    assert read.config_groups["group_0"].weights.num_bits == 8


def test_tied_embeddings_are_untied_at_every_level(checkpoint: CheckpointFactory) -> None:
    plan = planned(checkpoint("gemma3-mm"))
    config = json.loads(plan.documents["config.json"])
    assert config["tie_word_embeddings"] is False
    assert config["text_config"]["tie_word_embeddings"] is False
    assert plan.head.materialized
    assert any("becomes a W8A8 tensor of its own" in note for note in plan.notes)


def test_an_excluded_tied_head_stays_tied(checkpoint: CheckpointFactory) -> None:
    plan = planned(checkpoint("llama-tied"), Recipe(lm_head=False))
    assert json.loads(plan.documents["config.json"])["tie_word_embeddings"] is True
    assert plan.head.state == "tied"


def test_a_head_that_no_engine_dispatches_is_refused_with_the_reason(checkpoint: CheckpointFactory) -> None:
    with pytest.raises(
        PlanError, match=r"OPTForCausalLM of vLLM .* does not pass the quantization config to its head"
    ) as error:
        planned(checkpoint("opt"))
    assert error.value.exit_code == ExitCode.NOT_GOOD
    assert planned(checkpoint("opt"), Recipe(lm_head=False)).head.state == "tied"
    assert any("no known engine dispatches" in note for note in planned(checkpoint("opt"), allow=True).notes)


def test_a_head_that_vllm_normalises_while_it_loads_is_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "ling")
    edit_config(folder, lambda config: config.update(architectures=["BailingMoeForCausalLM"], model_type="bailing_moe"))
    planned(folder)
    edit_config(folder, lambda config: config.update(norm_head=True))
    with pytest.raises(PlanError, match="normalises every tensor"):
        planned(folder)


def test_an_architecture_nobody_knows_only_warns(llama: Path) -> None:
    edit_config(llama, lambda config: config.update(architectures=["BrandNewForCausalLM"]))
    plan = planned(llama)
    assert plan.head.state == "quantized"
    assert any("the head may not be dispatched" in note for note in plan.notes)


def test_a_head_built_without_a_name_is_reached_by_its_class(llama: Path) -> None:
    edit_config(llama, lambda config: config.update(architectures=["ExaoneMoeForCausalLM"]))
    assert planned(llama).head.targets == ("re:.*lm_head$", "ParallelLMHead")


@pytest.mark.parametrize("shard_size", [5 * 10**9, 200_000, 1])
def test_every_output_byte_has_its_place(llama: Path, shard_size: int) -> None:
    plan = planned(llama, max_shard_size=shard_size)
    covered = {name: [(0, len(file.header))] for name, file in plan.files.items()}
    for task in plan.tasks:
        for place in [task.target] if hasattr(task, "target") else task.outputs.values():
            covered[place.file].append((place.offset, place.offset + place.nbytes))
    for name, file in plan.files.items():
        ranges = sorted(covered[name])
        assert [start for start, _ in ranges[1:]] == [end for _, end in ranges[:-1]], "no gap, no overlap"
        assert ranges[-1][1] == file.nbytes
        parse_header(file.header[8:], file.nbytes, file=name)
    assert (len(plan.files) == 1) == ("model.safetensors.index.json" not in plan.documents)
    assert list(plan.documents)[-1] == "config.json", "the config is written last"


def test_the_index_is_true(llama: Path) -> None:
    plan = planned(llama, max_shard_size=200_000)
    index = json.loads(plan.documents["model.safetensors.index.json"])
    assert index["metadata"]["total_size"] == sum(file.nbytes - len(file.header) for file in plan.files.values())
    assert index["weight_map"] == {tensor: name for name, file in sorted(plan.files.items()) for tensor in file.offsets}


def test_side_files_code_and_pickles(llama: Path) -> None:
    names = [
        "tokenizer.json",
        "chat_template.jinja",
        "LICENSE",
        "README.md",
        "additional_chat_templates/a.jinja",
        "modeling_x.py",
    ]
    left = [
        "training/run.py",
        "pytorch_model.bin",
        "consolidated.safetensors",
        ".gitattributes",
        "run.sh",
        "training_args.bin",
    ]
    for name in [*names, *left]:
        (llama / name).parent.mkdir(exist_ok=True)
        (llama / name).write_bytes(b"x" * 10)
    plan = planned(llama)
    assert sorted(plan.side_files) == sorted(names)


@pytest.mark.parametrize("kind", ["w8a8", "fp8", "gptq"])
def test_a_quantized_source_is_refused_by_what_it_is(tmp_path: Path, kind: str) -> None:
    with pytest.raises(CheckpointError, match="already quantized"):
        planned(tiny_quantized(tmp_path / "q", kind=kind, head="dense"))


def test_a_part_of_a_diffusers_pipeline_is_refused_by_name(llama: Path) -> None:
    edit_config(llama, lambda config: [config.pop("architectures"), config.update(_class_name="UNet2DConditionModel")])
    with pytest.raises(CheckpointError, match="it is the UNet2DConditionModel of a diffusers pipeline"):
        planned(llama)


def test_int8_weights_without_a_config_are_refused(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "q", kind="w8a8")
    edit_config(folder, lambda config: config.pop("quantization_config"))
    with pytest.raises(CheckpointError, match=r"8-bit weights .* but no quantization_config"):
        planned(folder)


def test_double_precision_is_refused_before_anything_is_written_unless_it_stays(llama: Path) -> None:
    module = "model.layers.1.mlp.down_proj"

    def doubled(tensors: dict[str, Raw]) -> None:
        old = tensors[f"{module}.weight"]
        tensors[f"{module}.weight"] = from_numpy(old.floats.astype(np.float64))

    edit_tensors(llama, doubled)
    with pytest.raises(
        CheckpointError, match=r"down_proj\.weight' is F64, none of the dtypes that are quantized"
    ) as error:
        planned(llama)
    assert "--ignore" in str(error.value.hint)
    left = planned(llama, Recipe(ignore=(module,), lm_head=True))
    assert quantization(left)["ignore"] == [module]


def test_all_refusals_come_together(llama: Path) -> None:
    edit_config(llama, lambda config: config.update(architectures=["OPTForCausalLM"]))
    with pytest.raises(PlanError) as error:
        planned(llama, Recipe(body=default_body(), ignore=("nothing",), lm_head=True))
    assert len(error.value.problems) == 2
    assert error.value.exit_code == ExitCode.USAGE


def test_a_damaged_source_is_refused(llama: Path) -> None:
    edit_tensors(llama, lambda tensors: tensors.pop("lm_head.weight"))
    (llama / "model-00002-of-00002.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors"):
        planned(llama)


def test_a_renamed_head_is_targeted_by_its_own_name_too(llama: Path) -> None:
    rename_tensor(llama, "lm_head.weight", "embed_out.weight")
    assert planned(llama).head.targets == ("re:.*lm_head$", "re:.*embed_out$")
