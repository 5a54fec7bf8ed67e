"""Checkpoints with healthy and broken heads, each with what three engines make of it: one table for verdicts and for engines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import breaking as breaks
import numpy as np
from builders import all_tensors, edit_tensors, tiny_quantized
from raw_safetensors import from_floats

from ctq.checkpoint.pooling import is_pooled
from ctq.checkpoint.source import LocalFolder
from ctq.engines.verdicts.head_facts import HeadFacts, HeadTensor

if TYPE_CHECKING:
    from pathlib import Path

    from breaking import Change
    from raw_safetensors import Raw

Word: TypeAlias = Literal["quantized", "dense", "fails", "garbage", "unknown"]
TIE = breaks.config(tie_word_embeddings=True)
NAMED = breaks.steps(breaks.targets("re:.*lm_head$", "Linear"), breaks.ignore())
NO_CONFIG = breaks.without_config("quantization_config")


def nothing(folder: Path) -> None:
    """Leave it whole."""


@dataclass(frozen=True, slots=True)
class HeadCase:
    """A checkpoint and the verdicts on its head: vLLM 0.32.0, transformers 5.19, SGLang 0.5.23."""

    name: str
    kind: str
    head: Literal["quantized", "dense", "tied"]
    change: Change
    vllm: Word
    transformers: Word
    sglang: Word

    def build(self, folder: Path) -> Path:
        tiny_quantized(folder, kind=self.kind, head=self.head)
        self.change(folder)
        return folder


def spread_scales(tensors: dict[str, Raw]) -> None:
    """Write each row's scale once for every group of 32 columns, which changes no value."""
    for name in [name for name in tensors if name.endswith("weight_scale")]:
        columns = tensors[name.removesuffix("_scale")].shape[1]
        tensors[name] = from_floats(np.repeat(tensors[name].floats, columns // 32, axis=1), "BF16")


def pooled(folder: Path) -> None:
    """Make an embedding model of it, as sentence-transformers does."""
    modules = [{"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_lasttoken": True}))


GROUPED = breaks.steps(
    breaks.weights(strategy="group", group_size=32), lambda folder: edit_tensors(folder, spread_scales)
)

CASES = (
    HeadCase("healthy int8", "w8a8", "quantized", nothing, "quantized", "quantized", "quantized"),
    HeadCase("healthy static int8", "w8a8-static", "quantized", nothing, "quantized", "quantized", "quantized"),
    HeadCase("healthy packed", "w8a16", "quantized", nothing, "quantized", "quantized", "quantized"),
    HeadCase("healthy packed by channel", "w8a16-channel", "quantized", nothing, "quantized", "quantized", "quantized"),
    HeadCase("healthy mixed", "mixed", "quantized", nothing, "quantized", "quantized", "quantized"),
    HeadCase("dense, ignored", "w8a8", "dense", nothing, "dense", "dense", "dense"),
    HeadCase("dense, not named", "w8a8", "dense", breaks.targets("re:.*layers.*proj$"), "dense", "dense", "dense"),
    HeadCase("tied, ignored", "w8a8", "tied", nothing, "dense", "dense", "dense"),
    HeadCase(
        "int8, exact name",
        "w8a8",
        "quantized",
        breaks.targets("lm_head", "Linear"),
        "quantized",
        "quantized",
        "quantized",
    ),
    HeadCase("int8, only Linear", "w8a8", "quantized", breaks.targets("Linear"), "fails", "quantized", "garbage"),
    HeadCase("packed, only Linear", "w8a16", "quantized", breaks.targets("Linear"), "fails", "quantized", "garbage"),
    HeadCase(
        "int8, only the class",
        "w8a8",
        "quantized",
        breaks.targets("ParallelLMHead", "Linear"),
        "quantized",
        "quantized",
        "garbage",
    ),
    HeadCase("int8, ignored", "w8a8", "quantized", breaks.ignore("lm_head"), "fails", "fails", "garbage"),
    HeadCase("packed, ignored", "w8a16", "quantized", breaks.ignore("lm_head"), "fails", "garbage", "garbage"),
    HeadCase("dense, declared int8", "w8a8", "dense", NAMED, "garbage", "garbage", "garbage"),
    HeadCase("dense, declared packed", "w8a16", "dense", NAMED, "fails", "garbage", "garbage"),
    HeadCase("tied, declared int8", "w8a8", "tied", NAMED, "garbage", "garbage", "dense"),
    HeadCase("tied, declared packed", "w8a16", "tied", NAMED, "garbage", "fails", "dense"),
    HeadCase("int8 beside a tie flag", "w8a8", "quantized", TIE, "quantized", "quantized", "dense"),
    HeadCase("packed beside a tie flag", "w8a16", "quantized", TIE, "quantized", "fails", "dense"),
    HeadCase(
        "int8 without scales", "w8a8", "quantized", breaks.drop("lm_head.weight_scale"), "garbage", "garbage", "garbage"
    ),
    HeadCase(
        "packed without scales",
        "w8a16",
        "quantized",
        breaks.drop("lm_head.weight_scale"),
        "garbage",
        "garbage",
        "garbage",
    ),
    HeadCase(
        "packed without its shape",
        "w8a16",
        "quantized",
        breaks.drop("lm_head.weight_shape"),
        "quantized",
        "garbage",
        "quantized",
    ),
    HeadCase("no config, int8", "w8a8", "quantized", NO_CONFIG, "fails", "garbage", "garbage"),
    HeadCase("no config, packed", "w8a16", "quantized", NO_CONFIG, "fails", "garbage", "garbage"),
    HeadCase(
        "no tensors of an untied head",
        "w8a8",
        "quantized",
        breaks.drop_where("lm_head."),
        "garbage",
        "fails",
        "garbage",
    ),
    HeadCase(
        "weight-only int8", "w8a16", "quantized", breaks.format_everywhere("int-quantized"), "fails", "fails", "fails"
    ),
    HeadCase("int8 in an embedding model", "w8a8", "quantized", pooled, "dense", "quantized", "quantized"),
    HeadCase("dense in an embedding model", "w8a8", "dense", pooled, "dense", "dense", "dense"),
    HeadCase("int8 by group", "w8a8", "quantized", GROUPED, "fails", "quantized", "fails"),
)


def facts_of(folder: Path) -> HeadFacts:
    """Read the facts about a tiny checkpoint's head."""
    config = json.loads((folder / "config.json").read_text())
    prefix = "lm_head."
    tensors = {
        name.removeprefix(prefix): HeadTensor(tensor.dtype, tuple(tensor.shape))
        for name, tensor in all_tensors(folder).items()
        if name.startswith(prefix)
    }
    return HeadFacts(
        architecture=config["architectures"][0],
        quantization=config.get("quantization_config"),
        name="lm_head" if tensors else None,
        tensors=tensors,
        tie_flags={"": config["tie_word_embeddings"]} if "tie_word_embeddings" in config else {},
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        pools=is_pooled(LocalFolder(folder)),
    )
