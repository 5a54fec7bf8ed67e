"""Architectures that transformers does not build: other names of a class, and wrappers around a text model that is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_checkpoint
from families import build
from inspecting import errors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import inspect_checkpoint

Tensors = dict[str, Raw]
OWN = {"auto_map": {"AutoConfig": "owner/name--configuration_chat.ChatConfig"}}
WIDTH, INNER = 128, 256
LAYER = {
    "attn.qkv.weight": (3 * WIDTH, WIDTH),
    "attn.qkv.bias": (3 * WIDTH,),
    "attn.proj.weight": (WIDTH, WIDTH),
    "attn.proj.bias": (WIDTH,),
    "mlp.fc1.weight": (INNER, WIDTH),
    "mlp.fc1.bias": (INNER,),
    "mlp.fc2.weight": (WIDTH, INNER),
    "mlp.fc2.bias": (WIDTH,),
    "ls1": (WIDTH,),
    "ls2": (WIDTH,),
    **{f"{norm}.{part}": (WIDTH,) for norm in ("norm1", "norm2") for part in ("weight", "bias")},
}
TOWER: dict[str, tuple[int, ...]] = {
    "vision_model.embeddings.class_embedding": (1, 1, WIDTH),
    "vision_model.embeddings.position_embedding": (1, 5, WIDTH),
    "vision_model.embeddings.patch_embedding.weight": (WIDTH, 3, 14, 14),
    "vision_model.embeddings.patch_embedding.bias": (WIDTH,),
    **{f"vision_model.encoder.layers.{number}.{name}": shape for number in range(2) for name, shape in LAYER.items()},
    "mlp1.0.weight": (4 * WIDTH,),
    "mlp1.0.bias": (4 * WIDTH,),
    "mlp1.1.weight": (128, 4 * WIDTH),
    "mlp1.1.bias": (128,),
    "mlp1.3.weight": (128, 128),
    "mlp1.3.bias": (128,),
}
"""InternViT and InternVL's projector, as their published checkpoints have them."""


def internvl(folder: Path) -> Path:
    """A Llama inside InternVL, as its published checkpoints call the tensors."""
    tiny_checkpoint(folder)

    def wrap(config: dict[str, Any]) -> None:
        text = dict(config)
        config.clear()
        config |= OWN | {"model_type": "internvl_chat", "architectures": ["InternVLChatModel"], "llm_config": text}
        config["vision_config"] = {
            "model_type": "intern_vit_6b",
            "num_hidden_layers": 2,
            "hidden_size": WIDTH,
            "intermediate_size": INNER,
            "num_attention_heads": 4,
            "image_size": 28,
            "patch_size": 14,
        }

    def rename(tensors: Tensors) -> None:
        for name in list(tensors):
            tensors[f"language_model.{name}"] = tensors.pop(name)
        for name, shape in TOWER.items():
            tensors[name] = Raw("BF16", shape, bytes(2 * prod(shape)))

    edit_config(folder, wrap)
    edit_tensors(folder, rename)
    return folder


def telechat(folder: Path) -> Path:
    """A Llama by another name."""
    tiny_checkpoint(folder)
    edit_config(
        folder, lambda config: config.update(OWN, architectures=["TeleChat3ForCausalLM"], model_type="telechat3")
    )
    return folder


def renamed(pattern: str, new: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for name in list(tensors):
            tensors[re.sub(pattern, new, name)] = tensors.pop(name)

    return change


def without(pattern: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for name in [name for name in tensors if re.search(pattern, name)]:
            del tensors[name]

    return change


def wider(name: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        raw = tensors[name]
        tensors[name] = Raw(raw.dtype, (2 * raw.shape[0], *raw.shape[1:]), 2 * raw.data)

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (renamed(r"q_proj", "query"), "TEN024"),
        (renamed(r"^(language_model\.)?", "base_model.model."), "TEN024"),
        (renamed(r"layers\.1\.", "layers.7."), "TEN024"),
        (without(r"post_attention_layernorm"), "TEN025"),
        (without(r"embed_tokens"), "TEN025"),
        (lambda tensors: tensors.update({name: raw for name, raw in tensors.items() if "x" in name}), None),
    ],
    ids=["a layer renamed", "a prefix", "a layer beyond the last", "norms lost", "the embedding lost", "as it was"],
)
@pytest.mark.parametrize("make", [internvl, telechat])
def test_the_tensors_are_those_of_the_class(
    make: Callable[[Path], Path], change: Callable[[Tensors], None], code: str | None, tmp_path: Path
) -> None:
    folder = make(tmp_path / "m")
    edit_tensors(folder, change)
    found = errors(folder)
    assert code in found if code else found == set()


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (without("^vision_model"), {"TEN025"}),
        (without("^(vision_model|mlp1)"), {"TEN025"}),
        (renamed("^language_model.", ""), {"TEN024", "TEN025"}),
        (renamed("^mlp1", "projector"), {"TEN024", "TEN025"}),
        (without(r"layers\.1\.ls2"), {"TEN025"}),
        (without(r"vision_model\.encoder\.layers\.1\."), {"TEN025"}),
        (without(r"mlp1\.3\.bias"), {"TEN025"}),
        (without(r"position_embedding"), {"TEN025"}),
        (wider("vision_model.encoder.layers.0.mlp.fc1.bias"), {"TEN026"}),
        (renamed(r"encoder\.layers", "encoder.blocks"), {"TEN025"}),
    ],
    ids=[
        *("no tower", "nothing but text", "no prefix", "another part", "a scale of one layer", "a layer", "a bias"),
        *("positions", "a longer bias", "a tower of other names"),
    ],
)
def test_of_other_parts_the_tensors_are_known(
    change: Callable[[Tensors], None], codes: set[str], tmp_path: Path
) -> None:
    folder = internvl(tmp_path / "m")
    edit_tensors(folder, change)
    assert errors(folder) == codes


def again(pattern: str, new: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for name in [name for name in tensors if re.search(pattern, name)]:
            tensors[re.sub(pattern, new, name)] = tensors[name]

    return change


def split_the_query(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.endswith("attn.qkv.weight")]:
        raw = tensors.pop(name)
        size = len(raw.data) // 3
        for number, part in enumerate(("q_proj", "k_proj", "v_proj")):
            data = raw.data[number * size : (number + 1) * size]
            tensors[name.replace("qkv", part)] = Raw(raw.dtype, (WIDTH, WIDTH), data)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (again(r"^(vision_model\.encoder\.layers)\.0\.", r"\1.9."), "TEN024"),
        (split_the_query, "TEN024"),
        (without(r"layers\.1\.norm1\.bias"), "TEN025"),
        (renamed(r"^language_model\.lm_head", "lm_head"), "TEN024"),
    ],
    ids=["a layer more", "the query apart", "a bias of one layer lost", "the head at the top"],
)
def test_of_other_parts_no_other_tensors_are_taken(
    change: Callable[[Tensors], None], code: str, tmp_path: Path
) -> None:
    folder = internvl(tmp_path / "m")
    edit_tensors(folder, change)
    assert code in errors(folder)


def test_a_text_model_that_is_not_known_leaves_the_wrapper_unknown(tmp_path: Path) -> None:
    folder = internvl(tmp_path / "m")
    edit_config(folder, lambda config: config["llm_config"].update(architectures=["OwnForCausalLM"], model_type="own"))
    edit_tensors(folder, renamed(r"q_proj", "query"))
    assert errors(folder) == set()


def test_gpt2_is_loaded_with_and_without_its_prefix(tmp_path: Path) -> None:
    folder = build("gpt2", tmp_path / "m")
    edit_tensors(folder, renamed(r"^transformer\.", ""))
    assert errors(folder) == set()
    edit_tensors(folder, renamed(r"^h\.", "model.h."))
    assert errors(folder) & {"TEN024", "TEN025"}


def test_of_a_wrapper_whose_text_model_is_gone_all_of_it_is_missing(tmp_path: Path) -> None:
    folder = build("qwen2-vl", tmp_path / "m")
    edit_tensors(folder, without("^(?!lm_head)"))
    assert "TEN025" in errors(folder)


@pytest.mark.parametrize(("name", "codes"), [("silu", set()), ("gelu", {"CFG022"})])
def test_activation_functions_are_those_of_the_text_model(name: str, codes: set[str], tmp_path: Path) -> None:
    folder = internvl(tmp_path / "m")
    edit_config(folder, lambda config: config["llm_config"].update(hidden_act=name))
    assert errors(folder) == codes


def test_a_wrapper_wants_the_config_of_a_text_model_inside(tmp_path: Path) -> None:
    folder = internvl(tmp_path / "m")

    def extract(config: dict[str, Any]) -> None:
        text = config["llm_config"] | {"architectures": ["InternVLChatModel"]}
        config.clear()
        config.update(text)

    edit_config(folder, extract)
    assert "CFG022" in errors(folder)


@pytest.mark.parametrize("named", ["DeepseekV3ForCausalLM", "Qwen3ForCausalLM", "LlamaForCausalLM"])
def test_a_wrapper_of_one_text_model_whatever_is_named_inside(named: str, tmp_path: Path) -> None:
    folder = build("deepseek-v3", tmp_path)

    def wrap(config: dict[str, Any]) -> None:
        text = config | {"architectures": [named]}
        config.clear()
        config |= OWN | {"architectures": ["KimiVLForConditionalGeneration"], "text_config": text}

    edit_config(folder, wrap)
    edit_tensors(
        folder, lambda tensors: tensors.update({f"language_model.{name}": tensors.pop(name) for name in list(tensors)})
    )
    assert not strange_text(folder)
    edit_tensors(
        folder, lambda tensors: tensors.pop("language_model.model.layers.0.self_attn.kv_b_proj.weight") and None
    )
    assert strange_text(folder)


def strange_text(folder: Path) -> list[str]:
    """Return what is said of tensors of the text model that are missing, or that it does not have."""
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    said = [finding.message for finding in report.findings if finding.code in ("TEN024", "TEN025")]
    return [message for message in said if "language_model" in message]
