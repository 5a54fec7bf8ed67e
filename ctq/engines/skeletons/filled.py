"""Buffers of a checkpoint that vLLM fills by itself where the files lack them, in silence: no tensor that a model needs.

Source: vLLM 0.32.0 ``model_executor/models/gemma4.py:709``, ``model_executor/layers/activation.py:709`` (Apertus' xIELU).
"""

from __future__ import annotations

from typing import Final

FILLED: Final = (".act_fn.beta", ".act_fn.eps", ".layer_scalar")
"""What their names end with."""
