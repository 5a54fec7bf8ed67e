"""Architectures with no row of numbers of their own: their class's default configuration, made small, for the whole sweep."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from family import Config, Family

TEXT: Final = (
    "AXK1ForCausalLM",
    "AXK2ForCausalLM",
    "BartForCausalLM",
    "BertLMHeadModel",
    "BitNetForCausalLM",
    "BltForCausalLM",
    "CodeGenForCausalLM",
    "CpmAntForCausalLM",
    "CTRLLMHeadModel",
    "DeepseekV32ForCausalLM",
    "DeepseekV4ForCausalLM",
    "DiffLlamaForCausalLM",
    "DogeForCausalLM",
    "Emu3ForCausalLM",
    "Gemma4UnifiedForCausalLM",
    "GlmMoeDsaForCausalLM",
    "GPTNeoXJapaneseForCausalLM",
    "GraniteMoeSWAForCausalLM",
    "HrmTextForCausalLM",
    "HYV4ForCausalLM",
    "InklingForCausalLM",
    "JetMoeForCausalLM",
    "LongcatFlashForCausalLM",
    "MiniMaxM3VLForCausalLM",
    "MllamaForCausalLM",
    "ModernBertDecoderForCausalLM",
    "MoshiForCausalLM",
    "OpenAIGPTLMHeadModel",
    "Phi4MultimodalForCausalLM",
    "Qwen4ExpForCausalLM",
    "RecurrentGemmaForCausalLM",
    "RoFormerForCausalLM",
    "RwkvForCausalLM",
    "WhisperForCausalLM",
    "XLNetLMHeadModel",
    "xLSTMForCausalLM",
    "YoutuForCausalLM",
    "ZayaForCausalLM",
    "Mistral4ForCausalLM",
    "CohereAsrForConditionalGeneration",
    "T5Gemma2ForConditionalGeneration",
    "AriaTextForCausalLM",
    "BertGenerationDecoder",
)
"""Architectures whose text model's config is the top level."""
WRAPPERS: Final = (
    "AriaForConditionalGeneration",
    "Blip2ForConditionalGeneration",
    "Cosmos3OmniForConditionalGeneration",
    "Exaone4_5_ForConditionalGeneration",
    "Glm4vMoeForConditionalGeneration",
    "GlmOcrForConditionalGeneration",
    "InstructBlipForConditionalGeneration",
    "Kimi_K25ForConditionalGeneration",
    "Kosmos2ForConditionalGeneration",
    "LlavaNextVideoForConditionalGeneration",
    "MiniCPMV4_6ForConditionalGeneration",
    "MiniCPMV4_7ForConditionalGeneration",
    "MiniMaxM3SparseForConditionalGeneration",
    "MuseGlimmerForConditionalGeneration",
    "NemotronH_Omni_Reasoning_V3",
    "PaddleOCRVLForConditionalGeneration",
    "QianfanOCRForConditionalGeneration",
    "Qwen2_5OmniThinkerForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration",
    "Qwen3OmniMoeThinkerForConditionalGeneration",
    "Qwen4ExpForConditionalGeneration",
    "Step3p7ForConditionalGeneration",
    "GraniteSpeechForConditionalGeneration",
    "GraniteSpeechPlusForConditionalGeneration",
    "Qwen3ASRForConditionalGeneration",
    "VoxtralRealtimeForConditionalGeneration",
    "GlmAsrForConditionalGeneration",
    "AudioFlamingo3ForConditionalGeneration",
)
"""Architectures whose text model lies below, in ``text_config``."""
SEEING: Final = (
    "FuyuForCausalLM",
    "GotOcr2ForConditionalGeneration",
    "DeepseekVLForConditionalGeneration",
    "DeepseekVLHybridForConditionalGeneration",
    "Glm46VForConditionalGeneration",
    "HyperCLOVAXVisionV2ForConditionalGeneration",
    "Idefics2ForConditionalGeneration",
    "LightOnOcrForConditionalGeneration",
    "Ovis2ForConditionalGeneration",
    "VideoLlama3ForConditionalGeneration",
    "VideoLlavaForConditionalGeneration",
    "VipLlavaForConditionalGeneration",
)
"""Those of both that vLLM's Transformers backend loads with their processor beside them."""
UNSERVED: Final = (
    "AlbertModel",
    "DistilBertForMaskedLM",
    "MarianMTModel",
    "RobertaForCausalLM",
    "T5ForConditionalGeneration",
)
"""Some of those that no engine here serves."""
CHAMELEON: Final[Config] = {
    "vocabulary_map": {"<image>": 1, "IMGIMGBSZ": 5},
    "vq_config": {
        "base_channels": 32,
        "embed_dim": 32,
        "latent_channels": 32,
        "num_embeddings": 16,
        "num_res_blocks": 1,
    },
}
MLLAMA: Final[Config] = {"text_config": {"num_hidden_layers": 3, "cross_attention_layers": [1]}}
JANUS: Final[Config] = {
    "vq_config": {"base_channels": 32, "embed_dim": 8, "latent_channels": 32, "num_embeddings": 16, "num_res_blocks": 1,
                  "projection_dim": 128, "image_token_embed_dim": 128},
}  # fmt: skip


def seeing(name: str, config: Config = MappingProxyType({}), *, text: str = "") -> Family:
    """Make a row of an architecture that is loaded with its processor beside it."""
    return Family(name=name, architecture=name, shrunk=True, head=None, text=text, config=config, processor=True)


DEFAULT_FAMILIES: Final[tuple[Family, ...]] = (
    *(Family(name=name, architecture=name, shrunk=True, head=None) for name in TEXT),
    *(Family(name=name, architecture=name, shrunk=True, head=None, text="text_config") for name in WRAPPERS),
    *(seeing(name, text="text_config") for name in SEEING),
    seeing("ChameleonForConditionalGeneration", CHAMELEON),
    seeing("JanusForConditionalGeneration", JANUS, text="text_config"),
    seeing("MllamaForConditionalGeneration", MLLAMA, text="text_config"),
)
UNSERVED_FAMILIES: Final[tuple[Family, ...]] = tuple(
    Family(name=name, architecture=name, shrunk=True, head=None) for name in UNSERVED
)
