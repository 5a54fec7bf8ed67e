"""Tensors as transformers saves them that vLLM refuses, lacks or never loads, though so every model of the architecture is saved.

The data is made by ``benchmarks/learn/unserved_names.py`` from loads by vLLM 0.32.0.
"""

from __future__ import annotations

from ctq.engines.data_file import read_data


def refused_names(architecture: str | None) -> frozenset[str]:
    """Return the templates of tensors for which vLLM's class has no place."""
    return frozenset(read_data("unserved_names")["refused"].get(architecture or "", ()))


def unread_names(architecture: str | None) -> frozenset[str]:
    """Return the templates of tensors that vLLM's class needs, and passes over in the files."""
    return frozenset(read_data("unserved_names")["unread"].get(architecture or "", ()))


def needed_names(architecture: str | None) -> tuple[str, ...]:
    """Return the templates of tensors that vLLM's class needs in every layer."""
    return tuple(read_data("unserved_names")["needed"].get(architecture or "", ()))
