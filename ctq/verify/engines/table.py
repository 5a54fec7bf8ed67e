"""Every engine by its name, all asked in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ctq.verify.engines.builtin import engine as builtin
from ctq.verify.engines.transformers import engine as transformers
from ctq.verify.engines.vllm import engine as vllm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.verify.engine_names import EngineName
    from ctq.verify.report import EngineAnswer
    from ctq.verify.subject import Subject


class Ask(Protocol):
    """The question to an engine; that it is missing, dies or hangs is an answer too."""

    def __call__(self, engine: EngineName, subject: Subject) -> EngineAnswer:
        """Return what the engine, in the version that the user named, makes of the subject."""


ASK: Mapping[str, Ask] = {
    builtin.NAME: builtin.ask_builtin,
    vllm.NAME: vllm.ask_vllm,
    transformers.NAME: transformers.ask_transformers,
}
