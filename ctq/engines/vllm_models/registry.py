"""Which class vLLM takes for the names in ``architectures``, and where a config names none.

Source: vLLM 0.32.0 model_executor/models/registry.py, config/model.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.checkpoint.architecture_endings import BARE, CLASSIFIERS, EMBEDS, ENDINGS, GENERATING, WRAPPER
from ctq.engines.data_file import read_data
from ctq.engines.versions import version_key
from ctq.engines.vllm.backend import backend_architectures
from ctq.engines.vllm_models.causal_lms import causal_lms
from ctq.engines.vllm_models.heads import head_support, known_versions, registered_support
from ctq.engines.vllm_models.known_names import base_models, known_architectures, registered_architectures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.config import ModelConfig

_BY_THE_VERY_NAME = ("GPTNeoXForCausalLM",)
"""Those whose head vLLM's backend finds by the class of that name alone: it is called `embed_out`."""


def as_loaded(config: ModelConfig) -> ModelConfig:
    """Return the config with the architecture that vLLM takes where none is named, or another than the first as it stands."""
    if config.names_no_architecture:
        return replace(config, chosen=chosen_architecture(config.model_type))
    names = config.raw["architectures"]
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    known = loaded_name(texts)
    return replace(config, chosen=known) if known is not None and known != config.architecture else config


def is_registered(architecture: str) -> bool:
    """Tell an architecture that the newest known vLLM has a class of its own for."""
    return head_support(architecture) is not None and architecture not in backend_architectures()


def registered_name(architecture: str) -> str | None:
    """Return the name under which the newest known vLLM registers an architecture; None where it has none.

    A name that it does not register is looked up with each usual ending in the place of its own (`LlavaLMHeadModel` is
    `LlavaForConditionalGeneration`), unless transformers has a class of the very name, which the backend then builds.
    Source: vLLM 0.32.0 model_executor/models/registry.py (`_normalize_arch`), config/model.py (`_SUFFIX_TO_DEFAULTS`).
    """
    if is_registered(architecture):
        return architecture
    ending = next((task for task in ENDINGS if architecture.endswith(task)), None)
    if ending is None or architecture in known_architectures():
        return None
    names = (architecture.replace(ending, task) for task in ENDINGS)
    return next((name for name in names if is_registered(name) and name not in _BY_THE_VERY_NAME), None)


def last_release_with(architecture: str, version: str) -> str | None:
    """Return the last known release of vLLM that had an architecture which ``version`` has no more.

    None where that is no older one, or where transformers may have a class of the name, which the backend may take.
    Source: ``_PREVIOUSLY_SUPPORTED_MODELS`` of vLLM 0.32.0 model_executor/models/registry.py.
    """
    is_of_transformers = architecture.endswith((WRAPPER, *CLASSIFIERS)) or architecture in causal_lms() | base_models()
    names = (architecture, registered_name(architecture))
    if is_of_transformers or any(head_support(name, version) is not None for name in names):
        return None
    older = (one for one in known_versions() if version_key(one) < version_key(version))
    found = [one for one in older if registered_support(architecture, one) is not None]
    return found[-1] if found else None


def generating_name(architecture: str) -> str | None:
    """Return the registered name of an architecture that generates by its ending, or that is registered as it stands."""
    if is_registered(architecture) or architecture.endswith(GENERATING):
        return registered_name(architecture)
    return None


def loaded_name(names: Sequence[str]) -> str | None:
    """Return the architecture that several in a row come to; None where they say nothing.

    The first that vLLM knows, or that has one of its endings, decides whether the model generates; the first that it knows is the
    class. Source: vLLM 0.32.0 config/model.py (`_get_default_runner_type`), model_executor/models/registry.py
    (`resolve_model_cls`).
    """
    first = next((name for name in names if is_registered(name) or name.endswith(ENDINGS)), None)
    ending = next((task for task in ENDINGS if first is not None and first.endswith(task)), None)
    if first is None or ending is None or ending in GENERATING:
        return next(filter(None, map(generating_name, names)), None)
    if _is_resolved(first):
        return first
    found = next(filter(None, map(registered_name, names)), None)
    task = next((task for task in ENDINGS if found is not None and found.endswith(task)), "")
    pools = EMBEDS if ending == BARE else ending  # vLLM registers many a bare name as the class that generates
    return f"{found.removesuffix(task)}{pools}" if found is not None else None


def chosen_architecture(model_type: str | None) -> str | None:
    """Return the architecture that vLLM takes where a config names none: that of transformers' base model of the type.

    Source: vLLM 0.32.0 transformers_utils/config.py:877 and model_executor/models/registry.py, where many base models are
    registered as the class that generates.
    """
    name = read_data("known_names")["chosen"].get(model_type or "")
    return str(name) if name else None


def _is_resolved(architecture: str) -> bool:
    """Tell a name that vLLM, where it pools, has a class for: registered with or without a head, or with another ending."""
    registered = registered_architectures()
    ending = next((task for task in ENDINGS if architecture.endswith(task)), "")
    names = (architecture.removesuffix(ending) + task for task in ENDINGS)
    return architecture in registered or any(name in registered for name in names)
