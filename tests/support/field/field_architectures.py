"""Names of architectures and model types."""

from __future__ import annotations

from random import Random
from typing import Final

from field_kind import add, kind
from field_model import Model, pick

ARCHITECTURES: Final = (
    "LlamaForCausalLM", "LlamaModel", "MistralForCausalLM", "Qwen2ForCausalLM", "LlamaForSequenceClassification", "FooForCausalLM",
    "Qwen3ForCausalLM", "Qwen2_5_VLForConditionalGeneration", "LlavaForConditionalGeneration", "GemmaForCausalLM", "Phi3ForCausalLM",
    "GPT2LMHeadModel", "AutoModelForCausalLM", "PeftModelForCausalLM", "QWenLMHeadModel", "MixtralForCausalLM", "Qwen2Model",
)  # fmt: skip


MODEL_TYPES: Final = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "phi3",
    "mixtral",
    "unknown_model",
    "",
    None,
    "Llama",
    "qwen3_moe",
    "gpt2",
)


for _name in ARCHITECTURES:
    add(f"architecture {_name}", lambda m, d, v=_name: m.config.__setitem__("architectures", [v]))


for _type in MODEL_TYPES:
    add(f"model type {_type}", lambda m, d, v=_type: m.config.__setitem__("model_type", v))
    add(
        f"model type {_type} of the text model",
        lambda m, d, v=_type: m.text.__setitem__("model_type", v) if m.is_wrapper else pick(d, []),
    )


@kind
def architectures_otherwise(m: Model, d: Random) -> None:
    m.config["architectures"] = pick(
        d, ([], "text", ["FooForCausalLM", *m.config["architectures"]], [*m.config["architectures"], "Foo"], [None])
    )
    if m.config["architectures"] == "text":
        m.config["architectures"] = "LlamaForCausalLM"


@kind
def causal_lm_and_conditional_generation_exchanged(m: Model, d: Random) -> None:
    name = m.config["architectures"][0]
    pairs = (
        ("ForCausalLM", "ForConditionalGeneration"),
        ("ForConditionalGeneration", "ForCausalLM"),
        ("ForCausalLM", "LMHeadModel"),
    )
    old, new = pick(d, [pair for pair in pairs if pair[0] in name])
    m.config["architectures"] = [name.replace(old, new)]


@kind
def base_class_of_the_architecture(m: Model, d: Random) -> None:
    name = m.config["architectures"][0]
    base = name.replace("ForCausalLM", "").replace("ForConditionalGeneration", "").replace("LMHeadModel", "")
    m.config["architectures"] = [
        base + pick(d, ("Model", "ForSequenceClassification", "ForTokenClassification", "ForRewardModel"))
    ]


@kind
def adapted_class_of_the_architecture(m: Model, d: Random) -> None:
    m.config["architectures"] = [
        pick(d, ("PeftModelForCausalLM", "FSDP", "My", "AutoGPTQ", "Quantized")) + m.config["architectures"][0]
    ]


@kind
def auto_map_left_without_its_code(m: Model, d: Random) -> None:
    m.config["auto_map"] = {"AutoConfig": "configuration_model.Config", "AutoModelForCausalLM": "modeling_model.Model"}
