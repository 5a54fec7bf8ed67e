"""The parts of modules as vLLM calls them: Mistral's FP8 has DeepSeek's names for what others call otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.modules.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.vllm_models.names import EngineNames
    from ctq.inspect.modules.grouping import ModuleSet, Part


def called_parts(modules: ModuleSet, names: EngineNames | None) -> Mapping[str, Part]:
    """Return the parts of a set by the engine's names; those of the files where it has no others."""
    if names is None or names.is_plain:
        return modules.parts
    module = modules.names[0]
    return {_called(module, part, names): value for part, value in modules.parts.items()}


def _called(module: str, part: str, names: EngineNames) -> str:
    place = names.tensor(module, part) or ""
    last = place.rpartition(".")[2]
    return last if last in PARTS else part
