"""The release of vLLM that was loaded to learn what its sources do not show: what it takes, drops and refuses."""

from __future__ import annotations

from typing import Final

LEARNT_WITH: Final = "0.32.0"
