"""Ways to break a healthy checkpoint, each of which one rule of `ctq inspect` must name, alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import breaking as do
import numpy as np
from builders import INDEX, edit_config, edit_tensors, tiny_quantized
from raw_safetensors import from_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Breakage:
    """One way: the code that must report it, what is changed, and what is built first (arguments of `tiny_quantized`)."""

    code: str
    change: do.Change
    build: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deep(self) -> bool:
        """Whether values have to be read to find it."""
        return self.code.startswith("DEP")

    def make(self, folder: Path) -> Path:
        """Build the healthy checkpoint and break it."""
        tiny_quantized(folder, **self.build)
        self.change(folder)
        return folder


UP: Final = "model.layers.1.mlp.up_proj"
QUERY: Final = "model.layers.1.self_attn.q_proj"
SCALE: Final = f"{UP}.weight_scale"
FUSED: Final = (256, 128)
"""Shape of UP."""

PACKED: Final = {"kind": "w8a16"}
CHANNEL: Final = {"kind": "w8a16-channel"}
DENSE_HEAD: Final = {"head": "dense"}
TIED: Final = {"head": "tied"}
GPTQ: Final = {"kind": "gptq", "head": "dense"}
LAYERS: Final = {"layers": 5}


def strange(change: do.Change) -> do.Change:
    """Make a change in a model of an architecture that nobody knows: of a known one the tensors are known too."""
    return do.steps(do.config(architectures=["TinyForCausalLM"], model_type="tiny"), change)


HEAD_BREAKAGES: Final = (
    Breakage("HED001", do.targets("Linear")),
    Breakage("HED001", do.targets("Linear"), PACKED),
    Breakage("HED002", do.ignore("lm_head")),
    Breakage("HED002", do.ignore("re:.*lm_head$"), PACKED),
    Breakage("HED003", do.targets(r"re:.*layers\..*")),
    Breakage("HED003", do.targets("re:.*lmhead$", r"re:.*layers\..*"), PACKED),
    Breakage("HED004", do.dense("lm_head", 320)),
    Breakage("HED004", do.dense("lm_head", 320), PACKED),
    Breakage("HED004", do.ignore(), DENSE_HEAD),
    Breakage("HED005", do.steps(do.ignore(), do.targets("re:.*lm_head$", "Linear")), TIED),
    Breakage("HED005", do.ignore(), TIED),
    Breakage("HED006", do.config(tie_word_embeddings=True)),
    Breakage("HED006", do.config(tie_word_embeddings=True), PACKED),
    Breakage("HED006", do.config(thinker_config={"tie_word_embeddings": True})),
    Breakage("HED008", do.targets("re:.*")),
    Breakage("HED008", do.add_group("group_9", "group_1", targets=["Embedding"])),
    Breakage("HED009", strange(do.put("model.audio_lm_head.weight", do.floats(320, 128)))),
)

CONFIG_BREAKAGES: Final = (
    Breakage("CFG001", do.without_config("quantization_config")),
    Breakage("CFG001", do.without_config("quantization_config"), GPTQ),
    Breakage("CFG002", do.config(thinker_config={"quantization_config": {"quant_method": "fp8"}})),
    Breakage("CFG003", do.weights(bits=8)),
    Breakage("CFG003", do.quantization(lambda raw: raw.pop("quant_method"))),
    Breakage("CFG003", do.groups(targets={"Linear": 1})),
    Breakage("CFG003", do.weights(strategy="row")),
    Breakage("CFG003", do.weights(strategy="group", group_size=0)),
    Breakage("CFG003", do.activations(dynamic=False)),
    Breakage("CFG004", do.ignore("re:*.lm_head")),
    Breakage(
        "CFG005", do.config(quantization_config={"quant_method": "compressed-tensors", "config_groups": {}}), GPTQ
    ),
    Breakage("CFG005", do.says(quant_method="gptq")),
    Breakage("CFG005", do.says(quant_method="awq"), GPTQ),
    Breakage("CFG024", do.says(quant_method="bitsandbytes"), PACKED),
    Breakage("CFG006", do.groups(format=None), {"kind": "mixed"}),
    Breakage("CFG007", do.groups(input_activations=None)),
    Breakage("CFG008", do.regroup(64, strategy="group")),
    Breakage("CFG009", do.regroup(96), PACKED),
    Breakage("CFG011", do.says(quantization_status="frozen")),
    Breakage("CFG011", do.quantization(lambda raw: raw.pop("quantization_status")), PACKED),
    Breakage("CFG012", do.weights(actorder="group"), PACKED),
    Breakage("CFG013", do.says(sparsity_config={"format": "sparse-24-bitmask", "targets": ["Linear"]})),
    Breakage("CFG014", do.add_group("group_9", targets=["Conv1d"], weights=None)),
    Breakage("CFG014", do.says(ignore=None)),
    Breakage("CFG014", do.says(sparsity_config="dense")),
    Breakage("CFG014", do.says(transform_config="hadamard")),
    Breakage(
        "CFG014", do.says(kv_cache_scheme={"num_bits": 8, "type": "int", "strategy": "tensor", "symmetric": True})
    ),
    Breakage("CFG015", do.steps(do.dense(QUERY, 128), do.ignore(QUERY))),
    Breakage(
        "CFG016",
        do.add_group("group_9", "group_1", targets=["re:.*lm_he.*"], weights={"num_bits": 4, "strategy": "channel"}),
    ),
    Breakage("CFG017", do.add_group("group_9", "group_1", targets=["re:.*down_prj$"])),
    Breakage("CFG018", do.ignore("re:.*mlp.gate$")),
    Breakage("CFG018", do.ignore(".*mlp.gate")),
    Breakage("CFG019", do.config(model_type="wonderful")),
    Breakage("CFG020", do.config(architectures=["WonderfulForCausalLM"])),
    Breakage("CFG021", do.says(ignore="lm_head")),
    Breakage("CFG021", do.says(quantization_status="COMPRESSED")),
    Breakage("CFG021", do.says(quantization_status=2)),
    Breakage("CFG021", do.says(format=7)),
    Breakage("CFG021", do.says(quant_method="Compressed-Tensors")),
    Breakage("CFG021", do.groups(input_activations=False), PACKED),
    Breakage("CFG022", do.config(tie_word_embeddings=None)),
    Breakage("CFG022", do.config(vocab_size="320")),
    Breakage("CFG022", do.config(dtype="bf16")),
    Breakage("CFG022", do.config(hidden_act="wonderful")),
    Breakage("CFG022", do.config(architectures="LlamaForCausalLM")),
    Breakage("CFG022", do.config(architectures=[None])),
    Breakage("CFG022", do.config(rope_parameters="default")),
    Breakage("CFG022", do.config(rope_scaling={"rope_type": "yarn"})),
    Breakage("CFG022", do.without_config("model_type")),
    Breakage("CFG022", do.config(dtype="torch.bfloat16")),
    Breakage("CFG022", do.config(layer_types=["full_attention"])),
    Breakage("CFG022", do.config(rope_parameters={"rope_type": "none", "rope_theta": 1e4})),
    Breakage("CFG024", do.says(quant_method="compressed-tensor")),
    Breakage("CFG005", do.says(quant_method="quark")),
    Breakage(
        "CFG025", lambda folder: edit_config(folder, lambda config: config["quantization_config"].pop("bits")), GPTQ
    ),
    Breakage("CFG023", do.config(architectures=["LlamaForSequenceClassification"])),
)

TENSOR_BREAKAGES: Final = (
    Breakage("TEN001", do.drop(f"{UP}.weight")),
    Breakage("TEN001", do.drop("lm_head.weight")),
    Breakage("TEN001", do.drop("lm_head.weight_packed"), PACKED),
    Breakage("TEN002", do.drop(SCALE)),
    Breakage("TEN002", do.drop("lm_head.weight_scale")),
    Breakage("TEN002", do.drop("lm_head.weight_scale"), PACKED),
    Breakage("TEN003", do.put(f"{UP}.weight", do.floats(*FUSED))),
    Breakage("TEN004", do.targets("re:.*lm_head$", r"re:.*self_attn\..*")),
    Breakage("TEN005", do.ignore(r"re:.*mlp\..*")),
    Breakage("TEN006", do.dense(UP, *FUSED)),
    Breakage("TEN006", do.dense(UP, *FUSED), PACKED),
    Breakage("TEN007", strange(do.put("model.layers.1.mlp.gate.weight", do.floats(4, 128)))),
    Breakage("TEN007", strange(do.put("visual.blocks.0.attn.qkv.weight", do.floats(96, 32)))),
    Breakage("TEN008", strange(do.put("mtp.fc.weight", do.floats(128, 256)))),
    Breakage("TEN008", strange(do.put("model.layers.2.eh_proj.weight", do.floats(128, 256)))),
    Breakage("TEN009", do.format_everywhere("pack-quantized")),
    Breakage("TEN009", do.format_everywhere("int-quantized"), PACKED),
    Breakage("TEN009", do.format_everywhere("dense"), {"kind": "fp8"}),
    Breakage("TEN010", do.put(f"{UP}.weight", do.codes("U8", *FUSED))),
    Breakage("TEN010", do.put(SCALE, do.codes("I32", 256, 1))),
    Breakage("TEN010", do.put(f"{UP}.weight", do.codes("I64", *FUSED))),
    Breakage("TEN010", do.put("lm_head.weight", do.codes("I32", 320, 128))),
    Breakage("TEN010", do.put("model.layers.1.mlp.down_proj.input_scale", do.codes("U8", 1)), {"kind": "w8a8-static"}),
    Breakage("TEN010", do.steps(do.weights(type="float"), do.activations(type="float"))),
    Breakage("TEN011", do.put(SCALE, do.floats(128, 1))),
    Breakage("TEN011", do.put(SCALE, do.floats(256))),
    Breakage("TEN011", do.put(SCALE, do.floats(256, 2))),
    Breakage("TEN011", do.put("lm_head.weight_scale", do.floats(256, 1))),
    Breakage("TEN011", do.put(f"{UP}.weight_packed", do.codes("I32", 256, 24)), {"kind": "w8a16-g32"}),
    Breakage(
        "TEN011",
        do.steps(
            do.put(f"{UP}.weight_packed", do.codes("I32", 254, 32)),
            do.put(SCALE, do.floats(254, 1)),
            do.put(f"{UP}.weight_zero_point", do.codes("I32", 64, 1)),
        ),
        {"kind": "w8a16-asym"},
    ),
    Breakage("TEN012", do.weights(symmetric=False), PACKED),
    Breakage("TEN013", do.activations(dynamic=False, strategy="tensor")),
    Breakage("TEN013", do.drop("model.layers.1.mlp.down_proj.input_scale"), {"kind": "w8a8-static"}),
    Breakage("TEN013", do.activations(symmetric=False), {"kind": "w8a8-static"}),
    Breakage("TEN013", do.static_outputs, {"kind": "w8a8-static"}),
    Breakage("TEN011", do.put("model.layers.1.mlp.down_proj.input_scale", do.floats(128)), {"kind": "w8a8-static"}),
    Breakage("TEN011", do.put("model.layers.1.mlp.down_proj.input_scale", do.floats(1, 1)), {"kind": "w8a8-static"}),
    Breakage("TEN011", do.put(SCALE, do.floats(1, 2)), {"kind": "fp8-block", "head": "dense"}),
    Breakage("TEN014", do.drop("lm_head.weight_shape"), PACKED),
    Breakage("TEN014", do.put("lm_head.weight_shape", do.floats(2)), PACKED),
    Breakage("TEN015", do.put(f"{UP}.input_scale", do.floats(1)), {"kind": "fp8", "head": "dense"}),
    Breakage("TEN015", do.put(f"{UP}.weight_global_scale", do.floats(1)), {"kind": "fp8", "head": "dense"}),
    Breakage("TEN015", do.put(f"{UP}.weight_zero_point", do.codes("I8", 256, 1))),
    Breakage("TEN015", do.put(f"{UP}.weight_shape", do.codes("I64", 2))),
    Breakage("TEN015", do.put(f"{UP}.input_scale", do.floats(1))),
    Breakage("TEN015", do.put(f"{UP}.output_scale", do.floats(1))),
    Breakage("TEN015", do.put(f"{UP}.weight_g_idx", do.codes("I32", 128)), PACKED),
    Breakage("TEN015", do.put(f"{UP}.weight", do.floats(*FUSED)), PACKED),
    Breakage("TEN016", do.int8("model.embed_tokens", 320)),
    Breakage("TEN017", strange(do.int8("model.layers.1.mlp.gate", 4))),
    Breakage(
        "TEN036",
        strange(
            do.steps(
                do.int8("model.layers.1.mixer.in_proj", 256),
                do.put("model.layers.1.mixer.x_proj.weight", do.floats(40, 128)),
                do.put("model.layers.1.mixer.dt_proj.weight", do.floats(128, 8)),
                do.ignore("re:.*(x_proj|dt_proj)$"),
            )
        ),
    ),
    Breakage("TEN018", strange(lambda folder: edit_tensors(folder, do.fused_experts))),
    Breakage("TEN019", do.config(vocab_size=300)),
    Breakage("TEN020", do.drop_where("layers.1.self_attn.k_proj")),
    Breakage("TEN020", do.drop("model.layers.2.input_layernorm.weight"), LAYERS),
    Breakage("TEN020", do.drop_where(".layers.3."), LAYERS),
    Breakage("TEN020", strange(do.experts(without=(1, 2)))),
    Breakage("TEN020", strange(do.experts(without=(0, 3)))),
    Breakage("TEN021", do.int8("model.layers.2.mlp.up_proj", 192), LAYERS),
    Breakage("TEN022", do.config(hidden_size=96)),
    Breakage(
        "TEN023",
        strange(
            do.steps(
                *[
                    do.put(f"model.layers.{layer}.mlp.experts.gate_up_proj", do.floats(4, 512, 128))
                    for layer in range(2)
                ]
            )
        ),
    ),
    Breakage(
        "TEN023",
        do.steps(
            strange(do.put("model.layers.1.mlp.input_linear.weight", do.floats(4, 512, 128))), do.config(num_experts=4)
        ),
    ),
    Breakage("TEN024", do.put("training_step", do.floats(1))),
    Breakage(
        "TEN024",
        do.steps(
            do.put("model.layers.1.mlp.extra_proj.weight", do.floats(128, 128)),
            do.ignore("re:.*(extra_proj|fc|eh_proj)$"),
        ),
    ),
    Breakage(
        "TEN024", do.steps(do.put("mtp.fc.weight", do.floats(128, 256)), do.ignore("re:.*(extra_proj|fc|eh_proj)$"))
    ),
    Breakage(
        "TEN024",
        do.steps(
            do.put("model.layers.2.eh_proj.weight", do.floats(128, 256)), do.ignore("re:.*(extra_proj|fc|eh_proj)$")
        ),
    ),
    Breakage("TEN024", do.int8("model.lm_head", 320)),
    Breakage("TEN024", do.int8("model.layers.0.self_attn.kv_proj", 128)),
    Breakage("TEN025", do.drop("model.norm.weight")),
    Breakage("TEN025", do.drop("model.embed_tokens.weight")),
    Breakage("TEN025", do.drop("model.layers.1.input_layernorm.weight")),
    Breakage("TEN025", do.drop_where(".layers.1.")),
    Breakage("TEN026", do.config(intermediate_size=512)),
    Breakage("TEN026", do.config(num_attention_heads=8, head_dim=32)),
    Breakage("TEN026", do.put("model.norm.weight", do.floats(1, 128))),
    Breakage("TEN026", do.int8("model.layers.1.self_attn.k_proj", 48)),
    Breakage("TEN028", do.put("model.layers.0.mlp.down_proj.k_scale", do.floats(1))),
    Breakage("TEN028", do.put("model.layers.1.mlp.v_scale", do.floats(1))),
    Breakage("TEN028", do.put("model.layers.0.self_attn.k_scale", do.floats(2))),
    Breakage("TEN029", strange(do.put("model.layers.0.mlp.up_proj.azp_adj", do.codes("I32", 1, 256)))),
    Breakage("TEN031", strange(do.int8("model.layers.1.self_attn.k_proj", 64, 96))),
    Breakage("TEN035", do.put("model.norm.input_scale", do.floats(1))),
    Breakage("TEN031", strange(do.int8("model.layers.0.mlp.up_proj", 128))),
    Breakage("TEN031", strange(do.int8("model.layers.1.self_attn.o_proj", 96))),
    Breakage("TEN037", do.says(group_size=32), GPTQ),
    Breakage("TEN037", do.says(dynamic={"-:.*o_proj": {}}), GPTQ),
    Breakage("TEN037", do.says(modules_to_not_convert=["down_proj"]), {"kind": "awq", "head": "dense"}),
    Breakage("TEN037", do.says(weight_block_size=[64, 64]), {"kind": "fp8-native", "head": "dense"}),
)

FILE_BREAKAGES: Final = (
    Breakage("FIL001", do.truncate),
    Breakage("FIL001", do.header(lambda header: header["model.embed_tokens.weight"].update(dtype="F7"))),
    Breakage("FIL002", do.remove("config.json"), DENSE_HEAD),
    Breakage("FIL003", do.write("config.json", b"<<<<<<< HEAD")),
    Breakage("FIL003", do.write("config.json", b"\xef\xbb\xbf{}")),
    Breakage("FIL004", do.write(INDEX, b"{")),
    Breakage("FIL004", do.index(lambda index: index["weight_map"].update({"lm_head.weight": "../m.safetensors"}))),
    Breakage("FIL005", do.remove(INDEX)),
    Breakage("FIL006", lambda folder: do.shards(folder)[-1].unlink()),
    Breakage("FIL007", lambda folder: (folder / "old.safetensors").write_bytes(do.shards(folder)[0].read_bytes())),
    Breakage("FIL008", do.index(lambda index: index["weight_map"].update(extra=min(index["weight_map"].values())))),
    Breakage("FIL009", do.index(lambda index: index["weight_map"].pop("model.norm.weight"))),
    Breakage("TEN027", do.ignore("model.layers.0.self_attn.qkv_proj")),
    Breakage("FIL010", do.duplicate),
    Breakage("FIL015", do.duplicate_of_another_shape),
    Breakage("FIL016", do.write("original/consolidated.00.safetensors", b"")),
    Breakage("FIL017", do.entry_twice),
    Breakage("FIL018", do.config(auto_map={"AutoConfig": "configuration_llama.LlamaConfig"})),
    Breakage("FIL011", do.index(lambda index: index["metadata"].update(total_size=0))),
    Breakage("FIL012", do.write("pytorch_model.bin", b"\x80\x04.")),
)

VALUE_BREAKAGES: Final = (
    Breakage("DEP001", do.one_scale(SCALE, float("nan"))),
    Breakage("DEP001", do.one_scale(SCALE, float("inf"))),
    Breakage("DEP002", do.one_scale(SCALE, 0.0)),
    Breakage("DEP002", do.one_scale(SCALE, -0.01)),
    Breakage("DEP003", do.one_scale(SCALE, 1e6)),
    Breakage("DEP004", do.put("lm_head.weight_shape", lambda _: from_numpy(np.array([320, 120], np.int64))), CHANNEL),
    Breakage("DEP005", do.zeros("model.layers.1.mlp.up_proj.weight")),
    Breakage("DEP005", do.zeros("model.embed_tokens.weight")),
    Breakage("DEP005", do.put(SCALE, do.floats(256, 1, value=1e-30))),
    Breakage("DEP006", do.put("model.norm.weight", do.floats(128, value=float("nan")))),
)

BREAKAGES: Final = (*HEAD_BREAKAGES, *CONFIG_BREAKAGES, *TENSOR_BREAKAGES, *FILE_BREAKAGES, *VALUE_BREAKAGES)
