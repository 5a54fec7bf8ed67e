"""Read a configuration whose class lies in the checkpoint, without running that code: every key as it stands in config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "ConfigWithoutItsCode"
"""The class that stands in; an attribute that it lacks is one that the checkpoint's own code would have set."""


def register_plain_config(checkpoint: str) -> bool:
    """Let the engine read a model type that only the checkpoint's own code knows, without its defaults; say if it is one."""
    settings = json.loads((Path(checkpoint) / "config.json").read_text(encoding="utf-8"))
    kind = settings.get("model_type")
    if not isinstance(kind, str) or "AutoConfig" not in (settings.get("auto_map") or {}):
        return False
    from transformers import CONFIG_MAPPING, AutoConfig
    from vllm.transformers_utils import config as known

    if kind in known._CONFIG_REGISTRY or (kind in CONFIG_MAPPING and not is_plain(CONFIG_MAPPING[kind])):
        return False
    AutoConfig.register(kind, plain_class(kind), exist_ok=True)
    return True


def lacks_code(error: Exception) -> bool:
    """Tell an error over what the checkpoint's own code would have set or made of a value."""
    return isinstance(error, (AttributeError, TypeError))


def is_plain(config_class: type) -> bool:
    """Tell whether a class is one of these."""
    return config_class.__name__ == NAME


def plain_class(kind: str) -> Any:
    """Make a class of configurations for one model type, whose nested ones are of their own type where it is known."""
    from transformers import PreTrainedConfig

    def initialize(self: Any, **settings: Any) -> None:
        PreTrainedConfig.__init__(self, **{key: nested(key, value) for key, value in settings.items()})

    return type(NAME, (PreTrainedConfig,), {"model_type": kind, "__init__": initialize})


def nested(key: str, value: Any) -> Any:
    """Turn the configuration of a part into an object, as the code of such models does."""
    if not key.endswith("_config") or key == "quantization_config" or not isinstance(value, dict):
        return value
    from transformers import CONFIG_MAPPING

    kind = value.get("model_type", "")
    known = kind in CONFIG_MAPPING and not is_plain(CONFIG_MAPPING[kind])
    return (CONFIG_MAPPING[kind] if known else plain_class(kind))(**value)
