"""Settings of a config that are numbers or names, as vLLM and transformers take them: ranks, methods, rotary values, biases' lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_quantized
from families import build
from inspecting import errors
from quantizing import quantize

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.transforms import check_transforms

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("built", "changed", "codes"),
    [
        ({}, {}, set()),
        ({}, {"q_lora_rank": None}, {"TEN025", "TEN032"}),
        ({"q_lora_rank": None}, {}, set()),
        ({"q_lora_rank": None}, {"q_lora_rank": 128}, {"TEN025", "TEN032"}),
        ({}, {"topk_method": "greedy"}, {"TEN032"}),
    ],
)
def test_deepseek_has_the_tensors_of_its_rank_and_method(
    tmp_path: Path, built: dict[str, Any], changed: dict[str, Any], codes: set[str]
) -> None:
    quantize(build("deepseek-v3", tmp_path / "dense", config=built), tmp_path / "out")
    edit_config(tmp_path / "out", lambda config: config.update(changed))
    assert errors(tmp_path / "out") == codes


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({"rope_theta": "1e6"}, {"CFG022"}),
        ({"rope_theta": 1e6}, set()),
        ({"rope_scaling": {"rope_type": "linear", "factor": "2.0"}}, {"CFG022"}),
        ({"rope_scaling": {"rope_type": "linear", "type": "linear", "factor": 2.0}}, set()),
        ({"rope_scaling": {"rope_type": "linear", "type": "yarn", "factor": 2.0}}, {"CFG022"}),
        ({"rope_scaling": {"rope_type": "ntk"}}, {"CFG022"}),
        ({"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0] * 5, "long_factor": [1.0] * 16}}, {"CFG022"}),
        ({"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0] * 16, "long_factor": [1.0] * 16}}, set()),
        ({"rope_scaling": {"rope_type": "default", "mrope_section": [4, 6, 6]}}, set()),
        ({"rope_scaling": {"rope_type": "default", "mrope_section": [4, 6, 5]}}, {"CFG022"}),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "mrope_section": [4, 6, 5]}}, set()),
    ],
)
def test_rotary_values_are_numbers_and_as_many_as_needed(
    settings: dict[str, Any], codes: set[str], tmp_path: Path
) -> None:
    folder = tiny_quantized(tmp_path, shards=1)
    edit_config(folder, lambda config: config.update(settings))
    assert errors(folder) == codes


def test_phi_takes_one_kind_of_rotary_settings(tmp_path: Path) -> None:
    dense = build("phi3", tmp_path / "dense")
    edit_config(dense, lambda config: config.update(rope_scaling={"rope_type": "linear", "factor": 2.0}))
    assert errors(dense) == {"CFG022"}


def test_biases_that_no_switch_brings_need_no_others_beside_them(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, shards=1)
    rows = {"q_proj": 128, "k_proj": 64, "v_proj": 64}

    def give(tensors: dict[str, Raw]) -> None:
        for layer in range(2):
            for name, size in rows.items():
                tensors[f"model.layers.{layer}.self_attn.{name}.bias"] = Raw("BF16", (size,), bytes(2 * size))

    edit_tensors(folder, give)
    assert errors(folder) == set()
    edit_config(folder, lambda config: config.update(attention_bias=True))
    assert errors(folder) == {"TEN025"}


def test_the_bias_of_a_norm_is_as_long_as_its_weight(tmp_path: Path) -> None:
    dense = build("starcoder2", tmp_path / "dense")
    assert errors(dense) == set()
    edit_tensors(dense, lambda tensors: tensors.update({"model.norm.bias": _half(tensors["model.norm.bias"])}))
    assert errors(dense) == {"TEN026"}


def _half(raw: Raw) -> Raw:
    return Raw(raw.dtype, (raw.shape[0] // 2,), raw.data[: len(raw.data) // 2])


@pytest.mark.parametrize(
    ("scheme", "refused"),
    [
        ({"type": "hadamard", "apply": [{"targets": ["Linear"], "location": "input"}]}, False),
        ({"type": "hadamard", "apply": [], "head_dim": 64, "precision": "torch.float64"}, False),
        ({"type": "hadamard", "block_size": 64}, True),
        ({"type": "hadamard", "apply": [{"targets": ["Linear"], "location": "middle"}]}, True),
        ({"apply": []}, True),
    ],
)
def test_transforms_have_known_fields(scheme: dict[str, Any], *, refused: bool) -> None:
    config = {"config_groups": {"R1": scheme}}
    if refused:
        with pytest.raises(DispatchError):
            check_transforms(config)
    else:
        check_transforms(config)


@pytest.mark.parametrize(("head", "codes"), [("quantized", set()), ("tied", {"FIL007"})])
def test_files_that_macos_leaves_are_not_loaded_but_searched_for_a_tied_head(
    head: Literal["quantized", "tied"], codes: set[str], tmp_path: Path
) -> None:
    folder = tiny_quantized(tmp_path, shards=1, head=head)
    (folder / "._model.safetensors").write_bytes(b"\0\5\x16\7" * 100)
    assert errors(folder) == codes


@pytest.mark.parametrize(
    "key", ["language_config", "llm_config", "language_model_config", "decoder_config", "thinker_config"]
)
def test_a_text_config_under_another_name_is_unread(key: str, tmp_path: Path) -> None:
    dense = build("llava", tmp_path / "dense")
    assert errors(dense) == set()
    edit_config(dense, lambda config: config.update({key: config.pop("text_config")}))
    assert "CFG022" in errors(dense)


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers"])
def test_a_text_config_without_a_type_has_what_the_usual_class_assumes(key: str, tmp_path: Path) -> None:
    dense = build("llava", tmp_path / "dense")
    edit_config(dense, lambda config: config["text_config"].pop("model_type"))
    assert errors(dense) == set()
    edit_config(dense, lambda config: config["text_config"].pop(key))
    assert errors(dense)


def test_a_wrapper_reads_no_vocabulary_at_the_top(tmp_path: Path) -> None:
    dense = build("llava", tmp_path / "dense")
    edit_config(dense, lambda config: config.update(vocab_size=config["text_config"].pop("vocab_size")))
    assert "TEN019" in errors(dense)


@pytest.mark.parametrize(("key", "codes"), [("quantization_config", set()), ("compression_config", {"CFG002"})])
def test_only_the_newer_name_is_read_inside(key: str, codes: set[str], tmp_path: Path) -> None:
    quantize(build("llava", tmp_path / "dense"), tmp_path / "out")
    edit_config(tmp_path / "out", lambda config: config["text_config"].update({key: config.pop("quantization_config")}))
    assert errors(tmp_path / "out") == codes


def test_layers_are_counted_by_the_list_of_their_kinds(tmp_path: Path) -> None:
    dense = build("nemotron-h", tmp_path / "dense")
    assert errors(dense) == set()

    def repeat(tensors: dict[str, Raw]) -> None:
        last = {name: raw for name, raw in tensors.items() if name.startswith("backbone.layers.2.")}
        tensors.update({name.replace("layers.2.", "layers.3."): raw for name, raw in last.items()})

    edit_tensors(dense, repeat)
    assert errors(dense) == {"TEN024"}


TWO_KINDS: dict[str, Any] = {
    "full_attention": {"rope_type": "default", "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}


@pytest.mark.parametrize(
    ("family", "settings", "codes"),
    [
        ("qwen3", {"rope_parameters": {"rope_type": "yarn", "type": "linear", "rope_theta": 1e4, "factor": 2.0}}, {"CFG022"}),
        ("qwen3", {"rope_parameters": {"rope_type": "longrope", "type": "su", "rope_theta": 1e4,
                                       "short_factor": [1.0] * 16, "long_factor": [1.0] * 16}}, set()),
        ("gemma3", {"rope_parameters": {**TWO_KINDS, "full_attention": {"rope_theta": 1e6}}}, {"CFG022"}),
        ("gemma3", {"rope_parameters": {**TWO_KINDS, "sliding_attention": {"rope_theta": 1e4}}}, set()),
        ("mellum", {"rope_parameters": {"sliding_attention": TWO_KINDS["sliding_attention"]}}, {"CFG022"}),
        ("gptj", {"rotary_dim": 64}, {"CFG022"}),
        ("gptj", {"rotary_dim": 32}, set()),
        ("gpt2", {"n_head": 12}, {"CFG022"}),
        ("falcon-h1", {"ssm_multipliers": [1.0] * 4}, {"CFG022"}),
        ("falcon-h1", {"ssm_multipliers": [1.0] * 5}, set()),
        ("llama4-text", {"no_rope_layers": [1]}, {"CFG022"}),
    ],
)  # fmt: skip
def test_rotary_settings_and_lists_that_vllm_reads_beyond_their_end(
    family: str, settings: dict[str, Any], codes: set[str], tmp_path: Path
) -> None:
    dense = build(family, tmp_path / "dense")
    edit_config(dense, lambda config: config.update(settings))
    assert errors(dense) == codes


@pytest.mark.parametrize(
    ("family", "key", "codes"),
    [
        ("qwen3-next", "layer_types", {"TEN033"}),
        ("granite-hybrid", "layer_types", {"TEN033"}),
        ("lfm2", "layer_types", {"TEN033"}),
        ("zamba2", "layers_block_type", {"CFG022", "TEN033"}),
        ("olmo3", "layer_types", set()),
    ],
)
def test_layers_that_are_not_listed_are_those_of_the_class(
    family: str, key: str, codes: set[str], tmp_path: Path
) -> None:
    dense = build(family, tmp_path / "dense")
    edit_config(dense, lambda config: config.pop(key))
    assert errors(dense) == codes


def test_a_stated_interval_is_not_the_one_of_the_class(tmp_path: Path) -> None:
    dense = build("qwen3-next", tmp_path / "dense")

    def every_second(config: dict[str, Any]) -> None:
        del config["layer_types"]
        config["full_attention_interval"] = 2

    edit_config(dense, every_second)
    assert errors(dense) == set()


def test_a_feed_forward_is_as_wide_as_its_class_rounds_it(tmp_path: Path) -> None:
    dense = build("lfm2", tmp_path / "dense")
    edit_config(dense, lambda config: config.update(intermediate_size=300))
    assert errors(dense) == set()
    edit_config(dense, lambda config: config.update(intermediate_size=512))
    assert errors(dense) == {"TEN026"}
