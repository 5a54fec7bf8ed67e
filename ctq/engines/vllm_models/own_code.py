"""Code that a checkpoint brings along: the classes that ``auto_map`` names, and the files of the folder that they lie in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.vllm_models.known_names import model_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig

_CONFIG, _MODEL = "AutoConfig", "AutoModel"


def code_file(reference: object) -> str | None:
    """Return the file of ``module.Class``; None for one of another repository (``owner/name--module.Class``), and for nonsense.

    Source: transformers 5.19 dynamic_module_utils.py (``get_class_from_dynamic_module``).
    """
    if not isinstance(reference, str) or "--" in reference or "/" in reference:
        return None
    module, dot, _ = reference.partition(".")
    return f"{module}.py" if module and dot else None


def brings_its_own_code(config: ModelConfig) -> bool:
    """Tell a config that only code in the checkpoint's repository reads; of a type that loaders know their own class does.

    Source: transformers 5.19 auto/configuration_auto.py (``has_local_code``), vLLM 0.32.0 transformers_utils/config.py.
    """
    return "auto_map" in config.raw and config.model_type not in model_types()


def is_read(config: ModelConfig) -> bool:
    """Tell a config that some class reads: one that loaders have, or the repository's own."""
    return config.model_type in model_types() or _CONFIG in _auto_map(config.raw)


def brings_a_model(config: ModelConfig) -> bool:
    """Tell whether the repository has a model class of its own, which vLLM asks for where it registers no such name.

    Source: vLLM 0.32.0 model_executor/models/registry.py (``_try_resolve_transformers``).
    """
    return any(name.startswith(_MODEL) for name in _auto_map(config.raw))


def config_code(config: ModelConfig) -> str | None:
    """Return the file that defines the config's class, where it lies beside the weights."""
    return code_file(_auto_map(config.raw).get(_CONFIG))


def model_code(config: ModelConfig) -> tuple[str, ...]:
    """Return the files that define the model's classes, where they lie beside the weights."""
    named = (value for name, value in _auto_map(config.raw).items() if name.startswith(_MODEL))
    return tuple(dict.fromkeys(_files_of(named)))


def _auto_map(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    named = raw.get("auto_map")
    return named if isinstance(named, dict) else {}


def _files_of(values: Iterator[Any]) -> Iterator[str]:
    return (file for value in values if (file := code_file(value)) is not None)
