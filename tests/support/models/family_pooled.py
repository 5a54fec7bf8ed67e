"""Models that vLLM pools with by classes of their own, made small: what is learnt of their configs."""

from __future__ import annotations

from typing import Final

from family import Family

NAMES: Final = (
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertGenerationEncoder",
    "BertModel",
    "CLIPModel",
    "CamembertForSequenceClassification",
    "CamembertModel",
    "Data2VecTextForSequenceClassification",
    "Data2VecTextModel",
    "ElectraForSequenceClassification",
    "ElectraModel",
    "EmbeddingGemma2Model",
    "ErnieForSequenceClassification",
    "ErnieModel",
    "EuroBertForMaskedLM",
    "EuroBertForTokenClassification",
    "EuroBertModel",
    "GPT2ForSequenceClassification",
    "Gemma3TextModel",
    "JambaForSequenceClassification",
    "ModernBertForSequenceClassification",
    "ModernBertForTokenClassification",
    "ModernBertModel",
    "RoCBertForSequenceClassification",
    "RoCBertModel",
    "RobertaForMaskedLM",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "RobertaPreLayerNormForSequenceClassification",
    "RobertaPreLayerNormModel",
    "SiglipModel",
    "XLMRobertaForSequenceClassification",
)
POOLED_FAMILIES: Final = (
    *(Family(name=name, architecture=name, shrunk=True, head=None) for name in NAMES),
    Family(
        name="XLMRobertaModel",
        architecture="XLMRobertaModel",
        shrunk=True,
        head=None,
        config={"position_embedding_type": "absolute"},
        notes="vLLM reads a key that transformers' class has no more, and published files have",
    ),
)
