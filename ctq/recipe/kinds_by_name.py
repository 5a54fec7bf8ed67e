"""Kinds of modules by their names: one table, of which the first row that fits says what a module is and why it stays dense.

Each kind that engines may build as a linear layer all the same brings the ``ignore`` pattern that says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ctq.recipe.kinds import Classified, Kind


@dataclass(frozen=True, slots=True)
class _NameRule:
    """Modules by name: ``component`` is any part of the dotted path, ``parent`` any above it, ``leaf`` the last (one of them).

    ``numbered`` asks for a number behind the last name: one of several layers in a row; ``outside`` for nothing before it.
    """

    kind: Kind
    reason: str
    component: str | None = None
    parent: str | None = None
    leaf: str | None = None
    numbered: bool = False
    outside: bool = False
    ignored: bool = True
    ignore: str | None = None


_TOWERS = (
    r"visual|vision_tower|vision_model|vision_encoder|vision_backbone|vision_module|vision|vit|img_encoder|image_encoder|"
    r"audio_tower|audio_model|audio_encoder|audio|speech_encoder|speech_model|sound_encoder|apm|vpm|"
    r"talker|token2wav|code2wav|code_predictor|image_newline|vision_embed_tokens|img_processor|image_embed|"
    r"vq_model|vqmodel|video_tower|encoder_adapter|sam_model|siglip|clip_vision"
)
_ENGINE_TOWERS = "visual|vit_merger|vision_tower|vision_model|vision_encoder|vpm|apm|audio_tower|audio_encoder"
"""What engines call towers that the files call otherwise (vLLM's MiniCPM-V: `vpm` for transformers' `vision_tower`)."""
_ENGINE_PROJECTORS = "multi_modal_projector|projector"
"""What engines call projectors that the files call otherwise: vLLM 0.32.0 the first (phi4siglip.py, lightonocr.py, kimi_audio.py),
transformers 5.19 both (HyperCLOVA X's `vision_projector`, PaddleOCR-VL's `mlp_AR`)."""
_NAMELESS_TOWER = r"\.encoder"
"""How the layers of a tower begin that is given no name of its own (vLLM 0.32.0 blip2.py:532)."""
TOWER_IGNORE = r"re:((.*\.)?({hit}|" + _ENGINE_TOWERS + "|" + _ENGINE_PROJECTORS + ")|" + _NAMELESS_TOWER + r")(\..*)?$"
_PROJECTORS = (
    r"multi_modal_projector|multimodal_projector|mm_projector|mm_projector_\w+|vision_projection|vision_proj|audio_projector|"
    r"audio_projection|visual_projection|image_projection|img_projector|projector|connector|aligner|"
    r"resampler|qformer|q_former|embed_vision|embed_audio|mlp1|merger|patch_merger|deepstack_merger_list|vl_connector|adaptor|"
    r"vision_adapter|audio_adapter|modality_projection|visual_tokenizer|vte|vq_adaptor"
)
_PROJECTOR_IGNORE = r"re:(.*\.)?({hit}|" + _ENGINE_PROJECTORS + r")(\..*)?$"
_DRAFTS = r"mtp|mtp_\w+|nextn\w*|eagle\w*|medusa\w*|draft\w*|speculator\w*|shared_head"

NAME_RULES: tuple[_NameRule, ...] = (
    _NameRule(Kind.DRAFT, "multi-token-prediction or draft layer: engines load it on its own", component=_DRAFTS),
    _NameRule(Kind.TOWER, "vision or audio tower: kept as trained", component=_TOWERS, ignore=TOWER_IGNORE),
    _NameRule(Kind.PROJECTOR, "multimodal projector: kept as trained", component=_PROJECTORS, ignore=_PROJECTOR_IGNORE),
    _NameRule(
        Kind.ROUTER,
        "MoE router or gate: engines keep it dense",
        component=r"router\w*|gate_network",
    ),
    _NameRule(
        Kind.ROUTER,
        "MoE router or gate: engines keep it dense",
        leaf=r"gate|wg|shared_expert_gate|shared_experts_gate|moe_gate|router_proj|g_score|modality_router|(prediction|correction)_coefs",
        ignore=r"re:.*\.({hit}|router)$",  # transformers, and vLLM's backend of it, call some gates `router`
    ),
    _NameRule(
        Kind.STATE_SPACE,
        "state-space projection: engines keep it dense",
        leaf=r"x_proj|dt_proj|A_log|dt_bias|dt_layernorm|in_proj_ba|in_proj_[ab]|f_[ab]_proj|b_proj|g_[ab]_proj|bcdt_proj",
    ),
    _NameRule(Kind.CONVOLUTION, "convolution", leaf=r"(\w+_)?conv(1d|2d|3d)?(_proj)?|\w_conv1d|patch_embed\w*"),
    _NameRule(Kind.NORM, "norm", leaf=r"\w*norm\d*|ln(_\w+)?|\w+_ln|\w*layernorm\w*", ignored=False),
    _NameRule(
        Kind.CLASSIFIER,
        "output of a reward model: kept as trained",
        leaf=r"score",
        numbered=True,
        ignore=r"re:((.*\.)?{hit}\.\d+)?$",  # vLLM asks about both layers without a name (qwen2_rm.py:50)
    ),
    _NameRule(
        Kind.CLASSIFIER,
        "output of a classifier: kept as trained",
        leaf=r"score|classifier|qa_outputs",
        ignore=r"re:(.*\.)?{hit}$",
    ),
    _NameRule(
        Kind.CLASSIFIER,
        "part of a classifier or of what pools: engines keep it dense",
        component=r"classifier|classification_head|mlm_head|pooler|pooling",
    ),
    _NameRule(
        Kind.CLASSIFIER,
        "part of a classifier or of what pools: engines keep it dense",
        parent=r"head",  # ModernBERT's, which vLLM calls `pooling` (modernbert.py:318)
        ignore=r"re:(.*\.)?({hit}|pooling)(\..*)?$",
    ),
    _NameRule(
        Kind.CLASSIFIER,
        "what a masked language model predicts with: engines keep it dense",
        component=r"predictions",  # BERT's, which vLLM calls `mlm_head` (bert.py)
        ignore=r"re:(.*\.)?({hit}|mlm_head)(\..*)?$",
    ),
    _NameRule(
        Kind.CLASSIFIER,
        "projection of what pools: engines keep it dense",
        leaf=r"linear|colbert_linear",  # vLLM 0.32.0 colbert.py
        outside=True,
        ignore=r"re:(.*\.)?{hit}$",
    ),
    _NameRule(Kind.NORM, "part of a norm: kept as trained", component=r"\w*norm\d*|\w*layernorm\w*"),
    _NameRule(
        Kind.EMBEDDING,
        "embedding",
        leaf=r"\w*(?<!un)embed(?!_out)\w*|\w*embd|wte|wpe|shared|relative_attention_bias|position_\w+",
        ignored=False,
    ),
    _NameRule(
        Kind.LOW_RANK,
        "sparse-attention indexer: engines keep it dense",
        component=r"indexer",
    ),
)


def kind_by_name(module: str) -> Classified | None:
    """Return the kind of a module that a row of the table knows, whatever the numbers in its name."""
    words = module.split(".")
    return _first_rule(tuple(word for word in words if not word.isdigit()), numbered=words[-1].isdigit())


@cache
def _first_rule(words: tuple[str, ...], *, numbered: bool) -> Classified | None:
    for rule, pattern in _COMPILED:
        if (rule.numbered and not numbered) or (rule.outside and len(words) > 1):
            continue
        candidates = words[-1:] if rule.leaf else words[:-1] if rule.parent else words
        hit = next((word for word in candidates if pattern.fullmatch(word)), None)
        if hit is not None:
            return Classified(rule.kind, rule.reason, _ignore_of(rule, re.escape(hit)))
    return None


def _ignore_of(rule: _NameRule, hit: str) -> str | None:
    if not rule.ignored:
        return None
    return filled(rule.ignore or (r"re:.*\.{hit}$" if rule.leaf else r"re:(.*\.)?{hit}(\..*)?$"), hit)


def filled(pattern: str, hit: str) -> str:
    """Put a name into a pattern, unless it stands among the alternatives there already."""
    others = pattern.partition("{hit}|")[2].partition(")")[0].split("|")
    return pattern.replace("{hit}|", "") if hit in others else pattern.replace("{hit}", hit)


_COMPILED: tuple[tuple[_NameRule, re.Pattern[str]], ...] = tuple(
    (rule, re.compile(rule.component or rule.parent or rule.leaf or "")) for rule in NAME_RULES
)


def leaf_pattern(module: str) -> str:
    """Return the ``re:`` pattern for every module whose last name is that of ``module``."""
    return f"re:.*\\.{re.escape(module.rpartition('.')[2])}$"
