"""Dense text models for the sweep over architectures."""

from __future__ import annotations

from typing import Any, Final

from family import BASE, GQA, TOKENS, Family

SLIDING: Final = {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}
MLA: Final = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 128,
    "q_lora_rank": 128,
    "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 32,
}


def dense(name: str, architecture: str, **over: Any) -> Family:
    """Make a row for a model with the usual names of sizes; fields of `Family` and of the config may be mixed."""
    fields = {key: over.pop(key) for key in ("head", "tied", "notes") if key in over}
    if fields.get("tied"):
        fields.setdefault("head", None)
    return Family(name=name, architecture=architecture, config={**GQA, **over}, **fields)


def named(name: str, architecture: str, /, **config: Any) -> Family:
    """Make a row for an older model whose config has names of its own, tied."""
    return Family(name=name, architecture=architecture, config={**TOKENS, **config}, tied=True, head=None)


DENSE_FAMILIES: Final[tuple[Family, ...]] = (
    dense("mistral", "MistralForCausalLM", head_dim=32),
    dense("ministral", "MinistralForCausalLM", head_dim=32),
    dense("ministral3", "Ministral3ForCausalLM", head_dim=32),
    dense("qwen2-tied", "Qwen2ForCausalLM", tied=True),
    dense("qwen3", "Qwen3ForCausalLM", head_dim=32),
    dense("olmo", "OlmoForCausalLM"),
    dense("olmo2", "Olmo2ForCausalLM"),
    dense("olmo3", "Olmo3ForCausalLM", **SLIDING),
    dense("stablelm", "StableLmForCausalLM", notes="vLLM's prefix is .lm_head"),
    dense("starcoder2", "Starcoder2ForCausalLM", tied=True),
    dense("granite", "GraniteForCausalLM"),
    dense("granite-swa", "GraniteSWAForCausalLM", tied=True),
    dense("cohere", "CohereForCausalLM", tied=True, notes="vLLM takes the logits from the embedding"),
    dense("cohere2", "Cohere2ForCausalLM", tied=True, head_dim=32, **SLIDING),
    dense("gemma", "GemmaForCausalLM", tied=True, head_dim=32),
    dense("gemma2", "Gemma2ForCausalLM", tied=True, head_dim=32, **SLIDING),
    dense("vaultgemma", "VaultGemmaForCausalLM", tied=True, head_dim=32, **SLIDING),
    dense("glm", "GlmForCausalLM", head_dim=32, notes="gate_up_proj is fused"),
    dense("glm4", "Glm4ForCausalLM", head_dim=32, notes="gate_up_proj is fused"),
    dense("nemotron", "NemotronForCausalLM", head_dim=32),
    dense("phi", "PhiForCausalLM", notes="the head has a bias"),
    dense("smollm3", "SmolLM3ForCausalLM", tied=True),
    dense("ernie4.5", "Ernie4_5ForCausalLM", tied=True, head_dim=32),
    dense("exaone4", "Exaone4ForCausalLM", **SLIDING),
    dense("hunyuan", "HunYuanDenseV1ForCausalLM", head_dim=32),
    dense("minicpm3", "MiniCPM3ForCausalLM", tied=True, **MLA),
    dense("arcee", "ArceeForCausalLM", head_dim=32),
    dense("apertus", "ApertusForCausalLM"),
    dense("helium", "HeliumForCausalLM", head_dim=32, notes="vLLM falls back to its Transformers backend"),
    dense("seed-oss", "SeedOssForCausalLM", head_dim=32),
    dense("jais2", "Jais2ForCausalLM", head_dim=32),
    dense("cwm", "CwmForCausalLM", head_dim=32, **SLIDING),
    dense("hyperclovax", "HyperCLOVAXForCausalLM", head_dim=32),
    dense("nanochat", "NanoChatForCausalLM", notes="vLLM falls back to its Transformers backend"),
    Family(name="persimmon", architecture="PersimmonForCausalLM", config=BASE, notes="fused query_key_value"),
    Family(
        name="gptj",
        architecture="GPTJForCausalLM",
        config={**TOKENS, "n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 256, "rotary_dim": 16},
        notes="the head has a bias",
    ),
    named("gpt-bigcode", "GPTBigCodeForCausalLM", n_embd=128, n_layer=2, n_head=4, n_positions=256),
    named("bloom", "BloomForCausalLM", hidden_size=128, n_layer=2, n_head=4),
    named("mpt", "MptForCausalLM", d_model=128, n_layers=2, n_heads=4, max_seq_len=256),
    named("xglm", "XGLMForCausalLM", d_model=128, ffn_dim=256, num_layers=2, attention_heads=4),
    named(
        "biogpt",
        "BioGptForCausalLM",
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
    ),
)
