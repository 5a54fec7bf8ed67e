"""Tensors and configs of large models as data: Llama in any size, DeepSeek-V3, and their INT8 forms."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Config: TypeAlias = dict[str, Any]
ITEM_SIZE: Final = {"I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I8": 1}
DTYPE_NAMES: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
HEAD_PATTERN: Final = "re:.*lm_head$"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor to be: ``linear`` marks the weights that a scheme quantizes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    linear: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return prod(self.shape) * ITEM_SIZE[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama:
    """The sizes of a Llama model; the defaults make 3.0 GB in bf16."""

    layers: int = 16
    hidden: int = 2048
    intermediate: int = 8192
    heads: int = 32
    key_value_heads: int = 8
    vocab: int = 128256
    tied: bool = False
    dtype: str = "BF16"

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Linear layers of one decoder layer: name and [out, in]."""
        narrow = self.hidden // self.heads * self.key_value_heads
        return {
            "self_attn.q_proj": (self.hidden, self.hidden),
            "self_attn.k_proj": (narrow, self.hidden),
            "self_attn.v_proj": (narrow, self.hidden),
            "self_attn.o_proj": (self.hidden, self.hidden),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }

    def tensors(self) -> Iterator[Tensor]:
        """Yield the dense tensors in the order of the model."""
        yield Tensor("model.embed_tokens.weight", self.dtype, (self.vocab, self.hidden))
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            for name, shape in self.linears.items():
                yield Tensor(f"{prefix}{name}.weight", self.dtype, shape, linear=True)
            for norm in ("input_layernorm", "post_attention_layernorm"):
                yield Tensor(f"{prefix}{norm}.weight", self.dtype, (self.hidden,))
        yield Tensor("model.norm.weight", self.dtype, (self.hidden,))
        if not self.tied:
            yield Tensor("lm_head.weight", self.dtype, (self.vocab, self.hidden), linear=True)

    def config(self) -> Config:
        """Return ``config.json``."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": DTYPE_NAMES[self.dtype],
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "head_dim": self.hidden // self.heads,
            "max_position_embeddings": 131072,
            "vocab_size": self.vocab,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0,
            "hidden_act": "silu",
            "bos_token_id": min(128000, self.vocab - 2),
            "eos_token_id": min(128001, self.vocab - 1),
            "tie_word_embeddings": self.tied,
        }


class DeepseekV3:
    """DeepSeek-V3 with 61 layers, 256 experts and MLA, without its MTP layer."""

    layers: Final = 61
    hidden: Final = 7168
    experts: Final = 256
    attention: Final = {
        "q_a_proj": (1536, 7168),
        "q_b_proj": (24576, 1536),
        "kv_a_proj_with_mqa": (576, 7168),
        "kv_b_proj": (32768, 512),
        "o_proj": (7168, 16384),
    }

    def tensors(self) -> Iterator[Tensor]:
        """Yield the dense tensors in the order of the model."""
        yield Tensor("model.embed_tokens.weight", "BF16", (129280, self.hidden))
        for layer in range(self.layers):
            yield from self._layer(f"model.layers.{layer}.", dense=layer < 3)
        yield Tensor("model.norm.weight", "BF16", (self.hidden,))
        yield Tensor("lm_head.weight", "BF16", (129280, self.hidden), linear=True)

    def _layer(self, prefix: str, *, dense: bool) -> Iterator[Tensor]:
        for name, shape in self.attention.items():
            yield Tensor(f"{prefix}self_attn.{name}.weight", "BF16", shape, linear=True)
        norms = {"self_attn.q_a_layernorm": 1536, "self_attn.kv_a_layernorm": 512}
        norms |= {"input_layernorm": self.hidden, "post_attention_layernorm": self.hidden}
        for name, size in norms.items():
            yield Tensor(f"{prefix}{name}.weight", "BF16", (size,))
        if dense:
            yield from self._mlp(f"{prefix}mlp.", 18432)
            return
        yield Tensor(f"{prefix}mlp.gate.weight", "BF16", (self.experts, self.hidden))
        yield Tensor(f"{prefix}mlp.gate.e_score_correction_bias", "F32", (self.experts,))
        yield from self._mlp(f"{prefix}mlp.shared_experts.", 2048)
        for expert in range(self.experts):
            yield from self._mlp(f"{prefix}mlp.experts.{expert}.", 2048)

    def _mlp(self, prefix: str, intermediate: int) -> Iterator[Tensor]:
        for name in ("gate_proj", "up_proj"):
            yield Tensor(f"{prefix}{name}.weight", "BF16", (intermediate, self.hidden), linear=True)
        yield Tensor(f"{prefix}down_proj.weight", "BF16", (self.hidden, intermediate), linear=True)

    def config(self) -> Config:
        """Return ``config.json``."""
        return {
            "architectures": ["DeepseekV3ForCausalLM"],
            "model_type": "deepseek_v3",
            "dtype": "bfloat16",
            "hidden_size": self.hidden,
            "intermediate_size": 18432,
            "moe_intermediate_size": 2048,
            "num_hidden_layers": self.layers,
            "num_attention_heads": 128,
            "num_key_value_heads": 128,
            "n_routed_experts": self.experts,
            "n_shared_experts": 1,
            "num_experts_per_tok": 8,
            "first_k_dense_replace": 3,
            "n_group": 8,
            "topk_group": 4,
            "topk_method": "noaux_tc",
            "scoring_func": "sigmoid",
            "norm_topk_prob": True,
            "routed_scaling_factor": 2.5,
            "q_lora_rank": 1536,
            "kv_lora_rank": 512,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
            "max_position_embeddings": 163840,
            "vocab_size": 129280,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000,
            "hidden_act": "silu",
            "bos_token_id": 0,
            "eos_token_id": 1,
            "tie_word_embeddings": False,
        }
