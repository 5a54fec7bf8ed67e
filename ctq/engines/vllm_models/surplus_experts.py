"""Experts beyond the number of the config: most of vLLM's classes leave them unread, some refuse them.

The data is made by ``benchmarks/learn/surplus_experts.py`` from loads by vLLM 0.32.0.
"""

from __future__ import annotations

from ctq.engines.data_file import read_data


def refuses_surplus_experts(architecture: str | None) -> bool:
    """Tell an architecture whose class was seen to refuse them."""
    return architecture in read_data("surplus_experts")["refused"]
