"""Names that loaders know: made by ``benchmarks/learn/known_names.py`` from transformers 5.19 and vLLM 0.32."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ctq.engines.data_file import read_data
from ctq.engines.versions import version_key
from ctq.engines.vllm.backend import backend_architectures
from ctq.engines.vllm_models.heads import architectures, causal_lms, head_support, known_versions, registered_support

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_BARE = "Model"
_POOLS = "EmbeddingModel"
_CHAT = "ChatModel"
_CAUSAL_LM = "ForCausalLM"
_WRAPPER = "ForConditionalGeneration"
CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification")
"""Endings of what vLLM makes a classifier of a language model's class by."""
_REWARDS = {"InternLM2ForRewardModel": "v_head", "Qwen2ForProcessRewardModel": "score", "Qwen2ForRewardModel": "score"}
"""What makes a reward of a model's states (vLLM 0.32.0 models/qwen2_rm.py, internlm2.py)."""
_WITH_HEAD = (_CAUSAL_LM, _WRAPPER, "LMHeadModel")
"""Endings of the model whose body ends in `Model`."""
_ENDINGS = (
    *(_CAUSAL_LM, _WRAPPER, _CHAT, "LMHeadModel"),
    *("ForTextEncoding", "EmbeddingModel", *CLASSIFIERS),
    *("ForAudioClassification", "ForImageClassification", "ForVideoClassification", "ClassificationModel"),
    *("ForRewardModeling", "RewardModel", "Model"),
)
"""vLLM's endings in its order: the first four generate, the others pool."""
_GENERATES = _ENDINGS[:4]
_BY_THE_VERY_NAME = ("GPTNeoXForCausalLM",)
"""Those whose head vLLM's backend finds by the class of that name alone: it is called `embed_out`."""


@lru_cache(maxsize=1)
def model_types() -> frozenset[str]:
    """Return the values of ``model_type``."""
    return frozenset(read_data("known_names")["model_types"])


@lru_cache(maxsize=1)
def known_architectures() -> frozenset[str]:
    """Return the architectures, those of every known release of vLLM among them."""
    return frozenset(read_data("known_names")["architectures"]) | frozenset(architectures())


def registered_name(architecture: str) -> str | None:
    """Return the name under which the newest known vLLM registers an architecture; None where it has none.

    A name that it does not register is looked up with each usual ending in the place of its own (`LlavaLMHeadModel` is
    `LlavaForConditionalGeneration`), unless transformers has a class of the very name, which the backend then builds.
    Source: vLLM 0.32.0 model_executor/models/registry.py (`_normalize_arch`), config/model.py (`_SUFFIX_TO_DEFAULTS`).
    """
    if _is_registered(architecture):
        return architecture
    ending = next((task for task in _ENDINGS if architecture.endswith(task)), None)
    if ending is None or architecture in known_architectures():
        return None
    names = (architecture.replace(ending, task) for task in _ENDINGS)
    return next((name for name in names if _is_registered(name) and name not in _BY_THE_VERY_NAME), None)


def last_release_with(architecture: str, version: str) -> str | None:
    """Return the last known release of vLLM that had an architecture which ``version`` has no more.

    None where that is no older one, or where transformers may have a class of the name, which the backend may take.
    Source: ``_PREVIOUSLY_SUPPORTED_MODELS`` of vLLM 0.32.0 model_executor/models/registry.py.
    """
    is_of_transformers = architecture.endswith(_WRAPPER) or architecture in causal_lms()
    names = (architecture, registered_name(architecture))
    if is_of_transformers or any(head_support(name, version) is not None for name in names):
        return None
    older = (one for one in known_versions() if version_key(one) < version_key(version))
    found = [one for one in older if registered_support(architecture, one) is not None]
    return found[-1] if found else None


def generating_name(architecture: str) -> str | None:
    """Return the registered name of an architecture that generates by its ending, or that is registered as it stands."""
    if _is_registered(architecture) or architecture.endswith(_GENERATES):
        return registered_name(architecture)
    return None


def loaded_name(names: Sequence[str]) -> str | None:
    """Return the architecture that several in a row come to; None where they say nothing.

    The first that vLLM knows, or that has one of its endings, decides whether the model generates; the first that it knows is the
    class. Source: vLLM 0.32.0 config/model.py (`_get_default_runner_type`), model_executor/models/registry.py
    (`resolve_model_cls`).
    """
    first = next((name for name in names if _is_registered(name) or name.endswith(_ENDINGS)), None)
    ending = next((task for task in _ENDINGS if first is not None and first.endswith(task)), None)
    if first is None or ending is None or ending in _GENERATES:
        return next(filter(None, map(generating_name, names)), None)
    if _is_resolved(first):
        return first
    found = next(filter(None, map(registered_name, names)), None)
    task = next((task for task in _ENDINGS if found is not None and found.endswith(task)), "")
    pools = _POOLS if ending == _BARE else ending  # vLLM registers many a bare name as the class that generates
    return f"{found.removesuffix(task)}{pools}" if found is not None else None


def _is_resolved(architecture: str) -> bool:
    """Tell a name that vLLM, where it pools, has a class for: registered with or without a head, or with another ending."""
    registered = frozenset(read_data("known_names")["registered"])
    ending = next((task for task in _ENDINGS if architecture.endswith(task)), "")
    names = (architecture.removesuffix(ending) + task for task in _ENDINGS)
    return architecture in registered or any(name in registered for name in names)


def lacks_its_reward(architecture: str, leaves: Iterable[str]) -> bool:
    """Tell a reward model of vLLM's own of whose output nothing is among the last words of the files' modules."""
    output = _REWARDS.get(architecture)
    return output is not None and output not in leaves


def makes_a_classifier(architecture: str) -> bool:
    """Tell a classifier that vLLM makes of a language model's class, which is there, and a `score` from the files."""
    stem = next((architecture.removesuffix(task) for task in CLASSIFIERS if architecture.endswith(task)), None)
    return stem is not None and _is_registered(f"{stem}{_CAUSAL_LM}")


def _is_registered(architecture: str) -> bool:
    return head_support(architecture) is not None and architecture not in backend_architectures()


def is_bare(architecture: str) -> bool:
    """Tell the name of a model without its head, which no engine takes for another (`Qwen2_5_VLModel`)."""
    return is_base_name(architecture) and head_support(architecture) is None


def is_base_name(architecture: str) -> bool:
    """Tell the name of a model's class without its head, those among them that vLLM has an entry for (`LlamaModel`).

    A name that ends with `ChatModel` generates (vLLM 0.32.0 config/model.py:2325).
    """
    if not architecture.endswith(_BARE) or architecture.endswith(_CHAT):
        return False
    is_base = architecture in read_data("known_names")["chosen"].values()
    return is_base or any(name in known_architectures() for name in _whole(architecture))


def pools_without_head(architecture: str) -> bool | None:
    """Tell a bare model that vLLM serves to pool with, and drops the head of, from one that it refuses; None where not known."""
    known = read_data("bare_models")
    return architecture in known["pool"] if architecture in (*known["pool"], *known["refused"]) else None


def resembles_a_class(architecture: str) -> bool:
    """Tell a bare model that vLLM makes of the class that generates, as it registers that; its backend would refuse a head."""
    return any(map(_is_registered, _whole(architecture)))


def _whole(architecture: str) -> Iterator[str]:
    stem = architecture.removesuffix(_BARE)
    return (f"{stem}{task}" for task in _WITH_HEAD)


@lru_cache(maxsize=1)
def activations() -> frozenset[str]:
    """Return the names of activation functions, in lower case."""
    return frozenset(read_data("known_names")["activations"])


def chosen_architecture(model_type: str | None) -> str | None:
    """Return the architecture that vLLM takes where a config names none: that of transformers' base model of the type.

    Source: vLLM 0.32.0 transformers_utils/config.py:877 and model_executor/models/registry.py, where many base models are
    registered as the class that generates.
    """
    name = read_data("known_names")["chosen"].get(model_type or "")
    return str(name) if name else None


def has_a_type(architecture: str | None) -> bool:
    """Tell an architecture whose base model is that of some model type."""
    stem = (architecture or "").removesuffix(_CAUSAL_LM)
    return f"{stem}{_BARE}" in read_data("known_names")["chosen"].values()


@lru_cache(maxsize=1)
def quant_methods() -> frozenset[str]:
    """Return the values of ``quant_method``, in lower case."""
    return frozenset(read_data("known_names")["quant_methods"])
