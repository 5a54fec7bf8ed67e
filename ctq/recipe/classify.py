"""Which tensors are the weights of linear layers, decided from names, shapes and the config, without running model code.

A two-dimensional ``.weight`` that no name (``kinds_by_name``) and no shape makes anything else is a linear layer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOAT_SOURCES, FLOATS
from ctq.recipe.kinds import BESIDE, EXPERT_COUNTS, OTHER_PARTS, Classified, Kind
from ctq.recipe.kinds_by_name import TOWER_IGNORE, filled, kind_by_name, leaf_pattern
from ctq.recipe.stack import find_stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.header import TensorInfo

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,9})(?:\.|$)")
_NUMBERED = re.compile(r"\.\d+(?:\.|$)")
_HEADS = ("head", "out", "output", "output_layer", "output_projection", "decoder", "classifier")
_OTHER_MODELS = re.compile(r"(vision|visual|vit|image|img|video|audio|speech|sound)\w*")
"""Keys of a config that hold another model's, when they hold an object."""
_CONV1D_LEAVES = frozenset({"c_attn", "c_proj", "c_fc", "q_attn"})
_CONV1D_MODELS = frozenset({"gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp"})
"""Model types whose linear layers are transformers' Conv1D, stored as [in, out]."""


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
            or kind_by_name(module)
            or _unfit(tensor)
            or self._outside(module)
            or self._embedding(module, tensor)
            or self._transposed_layer(module)
            or self._mamba1_layer(module)
            or Classified(Kind.LINEAR, "linear layer")
        )

    def _draft_layer(self, module: str) -> Classified | None:
        """Recognise layers numbered beyond the model's own as draft layers (DeepSeek, GLM: ``num_nextn_predict_layers``).

        A tower may have more layers than the language model.
        """
        found = _LAYER.search(module)
        if found is None or self._layers is None or int(found[1]) < self._layers or self._is_beside(module):
            return None
        path = re.escape(module[: found.end(1)])
        return Classified(
            Kind.DRAFT, f"layer {found[1]} of a model with {self._layers}: a draft layer", f"re:{path}\\..*"
        )

    def _is_beside(self, module: str) -> bool:
        named = kind_by_name(module)
        is_outside = self._stack is not None and self._stack.outsider(module) is not None
        return is_outside or (named is not None and named.kind in OTHER_PARTS)

    def _outside(self, module: str) -> Classified | None:
        """Keep what lies beside the language model as trained, whatever it is called."""
        part = self._stack.outsider(module) if self._stack else None
        if part is None:
            return None
        pattern = filled(TOWER_IGNORE, re.escape(part.rpartition(".")[2]))
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
        found = kind_by_name(module)
        if found is None or found.kind not in BESIDE:
            yield module


def _unfit(tensor: TensorInfo) -> Classified | None:
    if len(tensor.shape) != 2:  # a matrix
        return Classified(Kind.PARAMETER, f"{len(tensor.shape)}-D, not a matrix")
    if 0 in tensor.shape:
        return Classified(Kind.PARAMETER, "empty")
    if tensor.dtype not in FLOATS:
        return Classified(Kind.PARAMETER, f"{tensor.dtype}, not a float weight")
    return None


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


def classify_all(config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> dict[str, Classified]:
    """Return what each tensor is, by tensor name, in the order of ``tensors``."""
    classifier = Classifier(config, tensors)
    return {name: classifier.classify(tensor) for name, tensor in tensors.items()}
