"""Models that vLLM pools with by classes of their own, made small: what is learnt of their configs."""

from __future__ import annotations

from typing import Final

from family import Family

NAMES: Final = (
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "CLIPModel",
    "EmbeddingGemma2Model",
    "GPT2ForSequenceClassification",
    "Gemma3TextModel",
    "JambaForSequenceClassification",
    "ModernBertForSequenceClassification",
    "ModernBertForTokenClassification",
    "ModernBertModel",
    "RobertaForMaskedLM",
    "RobertaForSequenceClassification",
    "RobertaModel",
    "SiglipModel",
    "XLMRobertaForSequenceClassification",
)
POOLED_FAMILIES: Final = tuple(Family(name=name, architecture=name, shrunk=True, head=None) for name in NAMES)
