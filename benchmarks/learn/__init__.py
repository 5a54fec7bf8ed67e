"""Scripts that write ``ctq/engines/data/``: each asks transformers or vLLM, and stores the answers that the rules stand on."""

from __future__ import annotations

from typing import Final

from benchmarks import ROOT

ENGINE_DATA: Final = ROOT / "ctq" / "engines" / "data"
