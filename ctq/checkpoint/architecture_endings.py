"""How names of architectures end, and what loaders take a model of each ending for.

Source: vLLM 0.32.0 config/model.py:2323 (``_SUFFIX_TO_DEFAULTS``), whose order this is.
"""

from __future__ import annotations

CAUSAL_LM = "ForCausalLM"
WRAPPER = "ForConditionalGeneration"
CHAT = "ChatModel"
LM_HEAD = "LMHeadModel"
EMBEDS = "EmbeddingModel"
CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification")
"""Of what vLLM makes a classifier of a language model's class by."""
BARE = "Model"
"""Of the model without its head."""

GENERATING = (CAUSAL_LM, WRAPPER, CHAT, LM_HEAD)
POOLING = (
    *("ForTextEncoding", EMBEDS, *CLASSIFIERS),
    *("ForAudioClassification", "ForImageClassification", "ForVideoClassification", "ClassificationModel"),
    *("ForRewardModeling", "RewardModel"),
)
"""Beside the bare model, which pools too."""
ENDINGS = (*GENERATING, *POOLING, BARE)
