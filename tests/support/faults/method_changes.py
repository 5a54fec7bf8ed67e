"""One change each to what tools of other methods than compressed-tensors write: as the real vLLM 0.32.0 answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import breaking as do
from builders import edit_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTENTION: Final = "model.layers.0.self_attn"
OUT: Final = f"{ATTENTION}.o_proj"
QUERY: Final = f"{ATTENTION}.q_proj"
EXPERT: Final = "model.layers.1.mlp.experts.2.up_proj"
ROUTER: Final = "model.layers.0.mlp.gate"


def left_dense(*modules: str) -> do.Change:
    """Put float weights in the place of quantized ones, of the size that the codes tell."""
    return do.steps(
        *(do.steps(without_parts(module), do.put(f"{module}.weight", do.floats(128, 128))) for module in modules)
    )


def without_parts(module: str) -> do.Change:
    def change(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.rpartition(".")[0] == module]:
            del tensors[name]

    return lambda folder: edit_tensors(folder, change)


def listed(key: str, *names: str) -> do.Change:
    """Add names to a list of the quantization config."""
    return do.quantization(lambda raw: raw.__setitem__(key, [*(raw.get(key) or []), *names]))


def retyped(name: str, dtype: str, *shape: int) -> do.Change:
    return do.put(name, do.codes(dtype, *shape))


SKIPPED: Final = "modules_to_not_convert"
FAULTS: Final[Mapping[str, tuple[str, str, do.Change, str]]] = {
    "GPTQ: another group size": ("gptq", "llama", do.says(group_size=32), "scales is [4, 128], expected [8, 128]"),
    "GPTQ: other bits": ("gptq", "llama", do.says(bits=8), "expected [2, 128] for 128 rows and 128 columns"),
    "GPTQ: no zero points": ("gptq", "llama", do.drop(f"{OUT}.qzeros"), f"{OUT}: no qzeros"),
    "GPTQ: no scales": ("gptq", "llama", do.drop_where(".scales"), "no scales"),
    "GPTQ: no codes": ("gptq", "llama", do.drop(f"{OUT}.qweight"), f"{OUT}: no qweight"),
    "GPTQ: an expert without scales": ("gptq", "qwen3-moe", do.drop(f"{EXPERT}.scales"), f"{EXPERT}: no scales"),
    "GPTQ: zero points of another dtype": ("gptq", "llama", retyped(f"{OUT}.qzeros", "U8", 2, 16), "qzeros is U8"),
    "GPTQ: a part of a fused layer dense": ("gptq", "llama", left_dense(QUERY), "some parts of"),
    "GPTQ: dense and not in the list": (
        "gptq",
        "llama",
        do.steps(do.says(modules_in_block_to_quantize=[["self_attn"], ["mlp"]]), left_dense(OUT)),
        f"{OUT}: a BF16 weight",
    ),
    "GPTQ: a dense expert": ("gptq", "qwen3-moe", left_dense(EXPERT), f"{EXPERT}: a BF16 weight"),
    "GPTQ: quantized and excluded": ("gptq", "llama", do.says(dynamic={"-:.*o_proj": {}}), f"{OUT} and 1 more: stored quantized"),
    "GPTQ: other bits by dynamic": (
        "gptq", "llama", do.says(dynamic={r"+:.*\.0\.self_attn\.o_proj": {"bits": 8}}), "scales is [2, 128]"
    ),
    "GPTQ: no such bits by dynamic": ("gptq", "llama", do.says(dynamic={"+:.*o_proj": {"bits": 3}}), "in 3 bits"),
    "AWQ: another group size": ("awq", "llama", do.says(group_size=32), "scales is [4, 128], expected [8, 128]"),
    "AWQ: no zero points": ("awq", "llama", do.drop_where("qzeros"), "no qzeros"),
    "AWQ: no codes": ("awq", "llama", do.drop(f"{OUT}.qweight"), f"{OUT}: no qweight"),
    "AWQ: an expert without codes": ("awq", "qwen3-moe", do.drop(f"{EXPERT}.qweight"), f"{EXPERT}: no qweight"),
    "AWQ: scales of one dimension": ("awq", "llama", retyped(f"{OUT}.qzeros", "I32", 32), "qzeros is [32]"),
    "AWQ: codes of one dimension": ("awq", "llama", retyped(f"{OUT}.qweight", "I32", 2048), "expected a matrix"),
    "AWQ: a router that is not named": ("awq", "qwen3-moe", do.says(modules_to_not_convert=["lm_head"]), f"{ROUTER} and 1 more"),
    "AWQ: a router in odd words": ("awq", "qwen3-moe", do.says(modules_to_not_convert=["mlp.gate."]), f"{ROUTER} and 1 more"),
    "AWQ: dense and not named": ("awq-listed", "llama", left_dense(OUT), f"{OUT}: a BF16 weight"),
    "AWQ: quantized and excluded": ("awq-listed", "llama", listed(SKIPPED, "o_proj"), "stored quantized"),
    "AWQ: dense experts": ("awq", "qwen3-moe", left_dense(EXPERT), f"{EXPERT}: a BF16 weight"),
    "AWQ: experts by row": ("awq", "qwen3-moe", do.says(group_size=-1), "take no AWQ with one scale to a row"),
    "FP8: blocks of another size": (
        "fp8-block", "llama-head64", do.says(weight_block_size=[64, 64]), "weight_scale_inv is [1, 2], expected [2, 4]"
    ),
    "FP8: blocks that cut a fused layer": ("fp8-block", "llama", do.says(fmt="e4m3"), "64 rows in a layer that is fused"),
    "FP8: dense and not named": ("fp8-block", "llama-head64", left_dense(OUT), f"{OUT}: a BF16 weight"),
    "FP8: a router that is not named": ("fp8-tensor", "qwen3-moe", do.says(ignored_layers=[]), f"{ROUTER} and 1 more"),
    "FP8: one part of a fused layer named": ("fp8-tensor", "llama", listed("ignored_layers", QUERY), "some parts of"),
    "FP8: quantized and excluded": ("fp8-tensor", "llama", listed("ignored_layers", OUT), "stored quantized"),
    "FP8: no weight": ("fp8-tensor", "llama", do.drop(f"{OUT}.weight"), f"{OUT}: no weight"),
    "AutoRound: another group size": ("auto-round", "llama", do.says(group_size=32), "scales is [4, 128], expected [8, 128]"),
    "AutoRound: dense and not named": ("auto-round-awq", "llama", left_dense(OUT), f"{OUT}: a BF16 weight"),
    "AutoRound: quantized and in 16 bits": (
        "auto-round", "llama", do.says(extra_config={".*o_proj": {"bits": 16}}), f"{OUT} and 1 more: stored quantized"
    ),
    "AutoRound: one part of a fused layer in 16 bits": (
        "auto-round", "llama", do.says(extra_config={QUERY: {"bits": 16}}), "in several ways"
    ),
    "AutoRound: no block": ("auto-round", "llama", do.says(block_name_to_quantize="model.layers.0"), "stored quantized"),
    "ModelOpt: dense and not excluded": ("modelopt-fp8", "llama", left_dense(OUT), f"{OUT}: a BF16 weight"),
    "ModelOpt: a head that is not excluded": ("modelopt-fp8", "llama", do.says(ignore=[]), "lm_head: a BF16 weight"),
    "ModelOpt: a tied head that is not excluded": ("modelopt-fp8", "llama-tied", do.says(ignore=[]), "lm_head: a tied weight"),
    "AWQ: a tied head that is named": ("awq", "llama-tied", do.says(lm_head=True), "lm_head: a tied weight"),
    "FP8: dense experts in one tensor": ("fp8-tensor", "granite-moe", do.says(fmt="e4m3"), "input_linear and 1 more: a BF16"),
    "GPTQ: dense experts in one tensor": ("gptq", "llama4-text", do.says(damp_percent=0.1), "experts.down_proj and 1 more: a BF16"),
    "ModelOpt: a router that is not excluded": (
        "modelopt-fp8", "qwen3-moe", do.says(ignore=["lm_head"]), f"{ROUTER} and 1 more: a BF16 weight"
    ),
    "ModelOpt: quantized and excluded": ("modelopt-fp8", "llama", listed("ignore", "*.o_proj"), "stored quantized"),
    "NVFP4: another group size": ("modelopt-nvfp4", "llama", do.says(group_size=32), "weight_scale is [128, 16], expected [128, 8]"),
    "NVFP4: no scales": ("modelopt-nvfp4", "llama", do.drop(f"{OUT}.weight_scale"), f"{OUT}: no weight_scale"),
    "NVFP4: no scale of activations": ("modelopt-nvfp4", "llama", do.drop(f"{OUT}.input_scale"), f"{OUT}: no input_scale"),
    "NVFP4: quantized and excluded": ("modelopt-nvfp4", "llama", listed("ignore", "model.layers.0.self_attn*"), "stored quantized"),
    "Quark: dense and not excluded": ("quark-fp8", "llama", left_dense(OUT), f"{OUT}: a BF16 weight"),
    "Quark: a router that is not excluded": ("quark-fp8", "qwen3-moe", do.says(exclude=["lm_head"]), f"{ROUTER} and 1 more"),
    "Quark: one part of a fused layer excluded": ("quark-fp8", "llama", listed("exclude", QUERY), "some parts of"),
    "Quark: quantized and excluded": ("quark-int8", "llama", listed("exclude", "re:.*o_proj"), "stored quantized"),
    "Quark: one scale to a tensor": (
        "quark-int8", "llama", do.put(f"{OUT}.weight_scale", do.floats(1)), "weight_scale is [1], expected [128] or [128, 1]"
    ),
    "Quark: no powers of two": ("quark-mxfp4", "llama", retyped(f"{OUT}.weight_scale", "U8", 128, 2), "expected [128, 4]"),
}  # fmt: skip
"""Changes that vLLM answers with a refusal or serves as garbage: the tool, the family, the change, and words of the finding."""


OTHERWISE: Final[Mapping[str, tuple[str, str, do.Change]]] = {
    "no block scales": ("fp8-block", "llama-head64", do.drop(f"{OUT}.weight_scale_inv")),
    "no scale of activations": ("fp8-static", "llama", do.drop(f"{OUT}.input_scale")),
    "codes of another kind": ("fp8-tensor", "llama", retyped(f"{OUT}.weight", "I8", 128, 128)),
    "two scales to a weight": ("fp8-tensor", "llama", do.put(f"{OUT}.weight_scale", do.floats(2))),
}
"""Layers of FP8 that are then those of another method, which has a finding of its own."""


HARMLESS: Final[Mapping[str, tuple[str, str, do.Change]]] = {
    "GPTQ: no order of activations": ("gptq", "llama", do.drop_where("g_idx")),
    "GPTQ: a layer left dense": ("gptq", "llama", left_dense(OUT)),
    "GPTQ: a layer left dense and named": ("gptq", "llama", do.steps(left_dense(OUT), do.says(dynamic={r"-:.*\.0\..*o_proj": {}}))),
    "GPTQ: a part of a fused layer in dynamic": ("gptq", "llama", do.says(dynamic={"-:.*q_proj": {}})),
    "GPTQ: layers by parts of names": (
        "gptq", "llama", do.says(modules_in_block_to_quantize=[["self_attn"], ["mlp.up_proj", "mlp.gate_proj"], ["down_proj"]])
    ),
    "GPTQ: a tied head that is named": ("gptq", "llama-tied", do.says(lm_head=True)),
    "GPTQ: a head that is dense though named": ("gptq", "llama", do.says(lm_head=True)),
    "AWQ: a layer left dense": ("awq", "llama", left_dense(OUT)),
    "AWQ: a router by its last word": ("awq", "qwen3-moe", do.says(modules_to_not_convert=["mlp.gate"])),
    "FP8: fused layers by one name": (
        "fp8-tensor", "llama",
        do.steps(listed("ignored_layers", f"{ATTENTION}.qkv_proj"),
                 left_dense(QUERY, f"{ATTENTION}.k_proj", f"{ATTENTION}.v_proj"),
                 *(do.put(f"{ATTENTION}.{part}_proj.weight", do.floats(64, 128)) for part in "kv")),
    ),
    "AutoRound: a layer in 16 bits": (
        "auto-round", "llama", do.steps(left_dense(OUT), do.says(extra_config={rf"{ATTENTION}\.o_proj": {"bits": 16}}))
    ),
    "AutoRound: blocks": ("auto-round", "llama", do.says(block_name_to_quantize="model.layers.0,model.layers.1")),
    "ModelOpt: a tree of modules": (
        "modelopt-nvfp4", "llama",
        do.steps(listed("ignore", f"{ATTENTION}*"), left_dense(OUT, QUERY, f"{ATTENTION}.k_proj", f"{ATTENTION}.v_proj"),
                 *(do.put(f"{ATTENTION}.{part}_proj.weight", do.floats(64, 128)) for part in "kv")),
    ),
    "ModelOpt: algorithms of layers": (
        "modelopt-fp8", "llama",
        do.says(quant_algo="MIXED_PRECISION", quantized_layers={
            f"model.layers.{layer}.{part}": {"quant_algo": "FP8"} for layer in range(2)
            for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
        }),
    ),
    "ModelOpt: a scale of activations that the other projection has": (
        "modelopt-nvfp4", "qwen3-moe", do.drop(f"{EXPERT}.input_scale")
    ),
    "Quark: an own setting": (
        "quark-fp8", "llama", do.quantization(lambda raw: raw["layer_quant_config"].update({"*o_proj": raw["global_quant_config"]}))
    ),
    "FP8: scales of one value": ("fp8-tensor", "llama", do.put(f"{OUT}.weight_scale", do.floats(1))),
}  # fmt: skip
"""Changes with which vLLM serves every number as it was meant."""
