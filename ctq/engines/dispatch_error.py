"""What an engine raises on a config or a layer, as an exception of ours."""

from __future__ import annotations


class DispatchError(Exception):
    """A refusal of vLLM; ``kind`` names the exception that it raises, ``message`` says why in our words."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
