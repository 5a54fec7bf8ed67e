"""Which text model an architecture stands for: another name of a class, or a wrapper that holds whichever its config names.

The data is made by ``benchmarks/learn/borrowed_skeletons.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.causal_lms import causal_lm_of

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig


def inner_name(config: ModelConfig) -> str | None:
    """Return the architecture or model type of the text model inside, that of the class where the config has no part for it."""
    known = read_data("borrowed_skeletons")["wrappers"].get(config.architecture or "", {}).get("inner", {})
    return inner_architecture(config) or known.get(str(config.raw.get("version", "")))


def keeps_text_inside(architecture: str) -> bool:
    """Tell a wrapper that transformers does not build, whose config has a part for its text model."""
    wrapper = read_data("borrowed_skeletons")["wrappers"].get(architecture)
    return wrapper is not None and "inner" not in wrapper


def borrowed_from(config: ModelConfig) -> str | None:
    """Return the architecture that another name or a wrapper stands for; None of those that stand for themselves."""
    data, name = read_data("borrowed_skeletons"), config.architecture or ""
    if name in data["same"]:
        return str(data["same"][name])
    inner = inner_name(config) if name in data["wrappers"] or name in data["any_text"] else None
    return causal_lm_of(inner) or inner
