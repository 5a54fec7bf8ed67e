"""Which tensors are the weights of linear layers, decided from names, shapes and the config, without running model code.

One visible table: the first row that fits says what a tensor is and why it is not quantized; a two-dimensional ``.weight`` that no
row names is a linear layer. Each excluded kind that engines may build as a linear layer brings the ``ignore`` pattern that says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOAT_SOURCES
from ctq.recipe.stack import find_stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.header import TensorInfo


class Kind(StrEnum):
    """What a tensor is to quantization."""

    LINEAR = "linear"
    EMBEDDING = "embedding"
    NORM = "norm"
    CONVOLUTION = "convolution"
    ROUTER = "router"
    TOWER = "tower"
    PROJECTOR = "projector"
    DRAFT = "draft"
    STATE_SPACE = "state-space"
    TRANSPOSED = "transposed"
    FUSED_EXPERTS = "fused-experts"
    LOW_RANK = "low-rank"
    CLASSIFIER = "classifier"
    PARAMETER = "parameter"


OTHER_PARTS = (Kind.TOWER, Kind.PROJECTOR)
"""Parts of a wrapper beside its language model, which come in many kinds."""
BESIDE = (*OTHER_PARTS, Kind.DRAFT)
"""What stands beside the language model."""


@dataclass(frozen=True, slots=True)
class Classified:
    """The kind of one module, why it is not quantized, and the ``ignore`` pattern that keeps engines from expecting it to be."""

    kind: Kind
    reason: str
    ignore: str | None = None


@dataclass(frozen=True, slots=True)
class _NameRule:
    """Modules by name: ``component`` is any part of the dotted path, ``leaf`` its last part (one of the two)."""

    kind: Kind
    reason: str
    component: str | None = None
    leaf: str | None = None
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
_TOWER_IGNORE = (
    r"re:((.*\.)?({hit}|" + _ENGINE_TOWERS + "|" + _ENGINE_PROJECTORS + ")|" + _NAMELESS_TOWER + r")(\..*)?$"
)
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
    _NameRule(Kind.TOWER, "vision or audio tower: kept as trained", component=_TOWERS, ignore=_TOWER_IGNORE),
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
        "output of a classifier: kept as trained",
        leaf=r"score|classifier|qa_outputs",
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

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,9})(?:\.|$)")
_NUMBERED = re.compile(r"\.\d+(?:\.|$)")
_HEADS = ("head", "out", "output", "output_layer", "output_projection", "decoder", "classifier")
_OTHER_MODELS = re.compile(r"(vision|visual|vit|image|img|video|audio|speech|sound)\w*")
"""Keys of a config that hold another model's, when they hold an object."""
_CONV1D_LEAVES = frozenset({"c_attn", "c_proj", "c_fc", "q_attn"})
_CONV1D_MODELS = frozenset({"gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp"})
"""Model types whose linear layers are transformers' Conv1D, stored as [in, out]."""
EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_layer")
"""Keys of a config that say how many experts a layer has."""


class Classifier:
    """Classify the modules of one checkpoint.

    ``config`` supplies layer and expert counts and the model type, ``names`` (all tensors) which mixers are of the first Mamba.
    """

    def __init__(self, config: ModelConfig, names: Iterable[str] = ()) -> None:
        self._layers = config.num_hidden_layers
        self._experts = config.text_int(*EXPERT_COUNTS)
        types = {kind for _, level in config.text_levels if isinstance(kind := level.get("model_type"), str)}
        self._transposed = bool(types & _CONV1D_MODELS)
        names = list(names)
        self._mamba1 = {name.removesuffix(".x_proj.weight") for name in names if name.endswith(".x_proj.weight")}
        self._stack = find_stack(_of_text(names)) if _is_composed(config) else None
        self._vocabulary = config.vocab_size

    def classify(self, tensor: TensorInfo) -> Classified:
        """Say what a dense tensor is; ``LINEAR`` is a quantizable weight of shape [out, in]."""
        module, _, part = tensor.name.rpartition(".")
        if self._is_fused_experts(tensor):
            return Classified(
                Kind.FUSED_EXPERTS, "all experts of a layer in one 3-D tensor", _experts_pattern(tensor.name)
            )
        if part != "weight" or not module:
            return Classified(Kind.PARAMETER, "not a weight matrix")
        return (
            self._draft_layer(module)
            or _by_name(module)
            or _unfit(tensor)
            or self._outside(module)
            or self._embedding(module, tensor)
            or self._transposed_layer(module)
            or self._mamba1_layer(module)
            or Classified(Kind.LINEAR, "linear layer")
        )

    def _draft_layer(self, module: str) -> Classified | None:
        """Recognise layers numbered beyond the model's own as draft layers (DeepSeek, GLM: ``num_nextn_predict_layers``)."""
        found = _LAYER.search(module)
        if found is None or self._layers is None or int(found[1]) < self._layers:
            return None
        path = re.escape(module[: found.end(1)])
        return Classified(
            Kind.DRAFT, f"layer {found[1]} of a model with {self._layers}: a draft layer", f"re:{path}\\..*"
        )

    def _outside(self, module: str) -> Classified | None:
        """Keep what lies beside the language model as trained, whatever it is called."""
        part = self._stack.outsider(module) if self._stack else None
        if part is None:
            return None
        pattern = _filled(_TOWER_IGNORE, re.escape(part.rpartition(".")[2]))
        return Classified(Kind.TOWER, f"outside of the language model: `{part}` is kept as trained", pattern)

    def _embedding(self, module: str, tensor: TensorInfo) -> Classified | None:
        """Recognise an embedding of any name by its rows, one for each word."""
        if tensor.shape[0] != self._vocabulary or _NUMBERED.search(module) or module.endswith(_HEADS):
            return None
        return Classified(Kind.EMBEDDING, "a row for each word of the vocabulary: an embedding", leaf_pattern(module))

    def _transposed_layer(self, module: str) -> Classified | None:
        if not self._transposed or module.rpartition(".")[2] not in _CONV1D_LEAVES:
            return None
        return Classified(Kind.TRANSPOSED, "transposed Conv1D weight [in, out]", leaf_pattern(module))

    def _mamba1_layer(self, module: str) -> Classified | None:
        """Keep the first Mamba's mixer dense: vLLM 0.32.0 layers/mamba/mamba_mixer.py passes no quant_config to any layer of it."""
        parent = module.rpartition(".")[0]
        if parent not in self._mamba1:
            return None
        pattern = rf"re:.*\.{re.escape(parent.rpartition('.')[2])}\.(in_proj|x_proj|dt_proj|out_proj)$"
        return Classified(Kind.STATE_SPACE, "Mamba-1 mixer: engines keep it dense", pattern)

    def _is_fused_experts(self, tensor: TensorInfo) -> bool:
        if len(tensor.shape) != 3 or tensor.dtype not in FLOAT_SOURCES:  # [experts, out, in]
            return False
        parts = tensor.name.split(".")
        return "experts" in parts or (parts[-1] == "weight" and tensor.shape[0] == self._experts)


def _is_composed(config: ModelConfig) -> bool:
    others = (isinstance(value, dict) and _OTHER_MODELS.fullmatch(key) for key, value in config.raw.items())
    return any(path for path, _ in config.text_levels) or any(others)


def _of_text(names: Iterable[str]) -> Iterator[str]:
    """Yield the modules that no rule gives to a tower, a projector or a draft."""
    for name in names:
        module = name.removesuffix(".weight")
        found = _by_name(module)
        if found is None or found.kind not in BESIDE:
            yield module


def _unfit(tensor: TensorInfo) -> Classified | None:
    if len(tensor.shape) != 2:  # a matrix
        return Classified(Kind.PARAMETER, f"{len(tensor.shape)}-D, not a matrix")
    if 0 in tensor.shape:
        return Classified(Kind.PARAMETER, "empty")
    if tensor.dtype not in FLOAT_SOURCES:
        return Classified(Kind.PARAMETER, f"{tensor.dtype}, not a float weight")
    return None


def leaf_pattern(module: str) -> str:
    """Return the ``re:`` pattern for every module whose last name is that of ``module``."""
    return f"re:.*\\.{re.escape(module.rpartition('.')[2])}$"


def _experts_pattern(name: str) -> str:
    """Match the tensor, and the names `experts.0.gate_proj` that vLLM asks for whatever the files call them.

    Source: vLLM 0.32.0 compressed_tensors_moe/compressed_tensors_moe.py:38 (``unfused_names``).
    """
    module = name.removesuffix(".weight")
    if "experts" in module.split("."):
        return r"re:(.*\.)?experts(\..*)?$"
    parent, _, leaf = module.rpartition(".")
    owner = re.escape(parent.rpartition(".")[2])
    return rf"re:(.*\.)?{owner}\.({re.escape(leaf)}|experts)(\..*)?$"


def _by_name(module: str, cache: dict[tuple[str, ...], Classified | None] = {}) -> Classified | None:  # noqa: B006  # a memo
    words = tuple(part for part in module.split(".") if not part.isdigit())
    if words not in cache:
        cache[words] = _first_rule(words)
    return cache[words]


def _first_rule(words: tuple[str, ...]) -> Classified | None:
    for rule, pattern in _COMPILED:
        candidates = words[-1:] if rule.leaf else words
        hit = next((word for word in candidates if pattern.fullmatch(word)), None)
        if hit is not None:
            return Classified(rule.kind, rule.reason, _ignore_of(rule, re.escape(hit)))
    return None


def _ignore_of(rule: _NameRule, hit: str) -> str | None:
    if not rule.ignored:
        return None
    return _filled(rule.ignore or (r"re:.*\.{hit}$" if rule.leaf else r"re:(.*\.)?{hit}(\..*)?$"), hit)


def _filled(pattern: str, hit: str) -> str:
    """Put a name into a pattern, unless it stands among the alternatives there already."""
    others = pattern.partition("{hit}|")[2].partition(")")[0].split("|")
    return pattern.replace("{hit}|", "") if hit in others else pattern.replace("{hit}", hit)


_COMPILED: tuple[tuple[_NameRule, re.Pattern[str]], ...] = tuple(
    (rule, re.compile(rule.component or rule.leaf or "")) for rule in NAME_RULES
)


def classify_all(config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> dict[str, Classified]:
    """Return what each tensor is, by tensor name, in the order of ``tensors``."""
    classifier = Classifier(config, tensors)
    return {name: classifier.classify(tensor) for name, tensor in tensors.items()}
