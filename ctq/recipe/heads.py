"""Finding the language-model head of a checkpoint: its own weight, or the embedding that it is tied to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.architecture_endings import BARE, CHAT, POOLING
from ctq.recipe.classify import Classifier
from ctq.recipe.kinds import BESIDE, Kind
from ctq.recipe.stack import EMBEDDING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.header import TensorInfo

HEAD_PATTERN = r"re:.*lm_head$"
"""The target that reaches the head under every name that engines give it (`lm_head`, `language_model.lm_head`, `.lm_head`)."""
ENGINE_CLASS = "ParallelLMHead"
"""vLLM's class of a head, in which "linear" does not occur: as a target it also reaches heads that are built without a name."""

HEAD_NAMES = ("lm_head", "embed_out", "output_layer", "proj_out", "output_projection", "output", "head")
"""Last names of heads, the surest first."""
_NEEDS_ROWS = frozenset({"output", "head", "proj_out", "output_layer", "output_projection"})
"""Those that count only when they have the vocabulary's rows."""
WEIGHT_PARTS = ("weight", "weight_packed", "qweight")
"""Parts that hold the weight of a head, in whatever form."""
_HEAD_OF_TYPE = {
    "gpt_neox": "embed_out",
    "gpt_neox_japanese": "embed_out",
    "trocr": "output_projection",
    "moonshine": "proj_out",
    "chatglm": "transformer.output_layer",
    "internlm2": "output",
    "whisper": "proj_out",
    "qwen3_asr": "language_model.lm_head",
}
_GENERATION = re.compile(r"CausalLM|ConditionalGeneration|LMHead|Generation|BlockDiffusion|ForMaskedLM")
_CLASSIFICATION = "Classification"
"""The end of names of every classifier, those among them that vLLM has no ending for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a model.

    ``name`` is the module name that it has, or gets when it is untied; ``tensor`` its own weight in the files, if any;
    ``embedding`` the input embedding's weight; ``others`` are further modules that ``re:.*lm_head$`` would also catch;
    ``own_target`` is a pattern for the head alone where its name is another.
    """

    name: str
    tensor: str | None
    embedding: str | None
    others: tuple[str, ...] = ()
    own_target: str | None = None

    @property
    def tied(self) -> bool:
        """Whether the head has no weight of its own and shares the embedding's."""
        return self.tensor is None

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that name it: the common pattern, and its own name where that differs."""
        return (HEAD_PATTERN, self.own_target) if self.own_target else (HEAD_PATTERN,)


def find_head(config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> Head | None:
    """Return the head of a dense or quantized checkpoint, or None when the model has none.

    A head in the files is the head, whatever the tie flags say (transformers, and vLLM from 0.29 on, do so). Without one the
    head is tied when a config level says so, or when none says anything and the model generates text.
    """
    classifier = Classifier(config)
    modules = dict(_weights(tensors))
    embedding = _embedding(config, modules, tensors, classifier)
    own = _own_head(config, modules, tensors, classifier)
    matched = tuple(name for name in modules if name.endswith("lm_head"))
    if own is not None:
        others = tuple(name for name in matched if name != own)
        return Head(
            name=own, tensor=modules[own], embedding=embedding, others=others, own_target=_own_target(own, modules)
        )
    if embedding is None or not _is_tied(config):
        return None
    name = _name_for(config, embedding)
    return Head(name=name, tensor=None, embedding=embedding, others=matched, own_target=_own_target(name, modules))


def _own_target(name: str, modules: Iterable[str]) -> str | None:
    """Return a pattern for a head of another name, under any wrapper's prefix unless that would catch layers of the body."""
    leaf = name.rpartition(".")[2]
    if leaf == "lm_head":
        return None
    caught = any(module.endswith(leaf) and module != name for module in modules)
    return f"re:{re.escape(name)}$" if caught else f"re:.*{re.escape(leaf)}$"


def _weights(tensors: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in tensors:
        module, _, part = name.rpartition(".")
        if part in WEIGHT_PARTS:
            yield module, name


def _own_head(
    config: ModelConfig, modules: Mapping[str, str], tensors: Mapping[str, TensorInfo], classifier: Classifier
) -> str | None:
    found: list[tuple[int, int, str]] = []
    for module, tensor in modules.items():
        leaf = module.rpartition(".")[2]
        if leaf not in HEAD_NAMES or len(tensors[tensor].shape) != 2:  # a matrix
            continue
        if leaf in _NEEDS_ROWS and tensors[tensor].shape[0] != config.vocab_size:
            continue
        if classifier.classify(tensors[tensor]._replace(name=f"{module}.weight")).kind in BESIDE:
            continue
        found.append((HEAD_NAMES.index(leaf), module.count("."), module))
    return min(found)[2] if found else None


def _embedding(
    config: ModelConfig, modules: Mapping[str, str], tensors: Mapping[str, TensorInfo], classifier: Classifier
) -> str | None:
    """Return the embedding of a usual name, or else the one matrix of another name that has a row for each word."""
    vocabulary = config.vocab_size
    found = [
        (tensors[tensor].shape[0] != vocabulary, module.count("."), tensor)
        for module, tensor in modules.items()
        if EMBEDDING.fullmatch(module)
        and len(tensors[tensor].shape) == 2  # a matrix
        and classifier.classify(tensors[tensor]._replace(name=f"{module}.weight")).kind not in BESIDE
    ]
    if found:
        return min(found)[2]
    others = [
        tensor
        for module, tensor in modules.items()
        if len(tensors[tensor].shape) == 2  # a matrix
        and tensors[tensor].shape[0] == vocabulary
        and classifier.classify(tensors[tensor]._replace(name=f"{module}.weight")).kind is Kind.EMBEDDING
    ]
    return others[0] if len(others) == 1 else None


def is_pooling(architecture: str | None) -> bool:
    """Tell an architecture that classifies or embeds: whatever its config says of ties, it has no head."""
    return (architecture or "").endswith((*POOLING, _CLASSIFICATION))


def has_no_head(architecture: str | None) -> bool:
    """Tell an architecture whose class in transformers has no head: one that pools, or the bare model (`Qwen3Model`)."""
    name = architecture or ""
    is_bare = name.endswith(BARE) and not name.endswith(CHAT) and not _GENERATION.search(name)
    return is_bare or is_pooling(name)


def _is_tied(config: ModelConfig) -> bool:
    if is_pooling(config.architecture):
        return False
    flags = list(config.tie_flags.values())
    return flags[0] if flags else bool(_GENERATION.search(config.architecture or ""))


def _name_for(config: ModelConfig, embedding: str) -> str:
    """Return the name that engines load an untied head under: that of the model type, beside the model that holds the embedding."""
    name = _HEAD_OF_TYPE.get(config.model_type or "", "lm_head")
    wrapper = re.match(
        r"(.*?language_model\.|(?:llm|thinker|text_model)\.(?=(?:model|transformer|gpt_neox)\.))", embedding
    )
    return (
        f"{wrapper[1]}{name.removeprefix('language_model.')}"
        if wrapper and not embedding.startswith("model.")
        else name
    )
