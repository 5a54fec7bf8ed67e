"""What engines look at in the head of one healthy Llama, as W8A8 and as W8A16, and how such a config is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ctq.engines.verdicts.head_facts import HeadFacts, HeadTensor

ROWS, COLUMNS = 1000, 256
HEAD = "re:.*lm_head$"
W8 = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
TOKEN = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
INT8 = {"weight": HeadTensor("I8", (ROWS, COLUMNS)), "weight_scale": HeadTensor("BF16", (ROWS, 1))}
PACKED = {
    "weight_packed": HeadTensor("I32", (ROWS, COLUMNS // 4)),
    "weight_scale": HeadTensor("BF16", (ROWS, COLUMNS // 128)),
    "weight_shape": HeadTensor("I64", (2,)),
}
DENSE = {"weight": HeadTensor("BF16", (ROWS, COLUMNS))}
TIED: dict[str, bool] = {"": True}


def config(*targets: str, packed: bool = False, ignore: list[str] | None = None, **weights: Any) -> dict[str, Any]:
    args = {**W8, "strategy": "group", "group_size": 128} if packed else W8
    form = "pack-quantized" if packed else "int-quantized"
    group = {
        "targets": list(targets),
        "weights": {**args, **weights},
        "input_activations": None if packed else TOKEN,
        "format": form,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": group},
        "ignore": ignore or [],
    }


W8A8 = HeadFacts(
    architecture="LlamaForCausalLM",
    quantization=config(HEAD, "Linear"),
    name="lm_head",
    tensors=INT8,
    tie_flags={"": False},
    vocab_size=ROWS,
    hidden_size=COLUMNS,
)
W8A16 = replace(W8A8, quantization=config(HEAD, "Linear", packed=True), tensors=PACKED)
