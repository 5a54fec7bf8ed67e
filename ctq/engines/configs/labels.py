"""How many classes a classifier tells apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LABELS: Final = "num_labels"
"""What transformers calls that number, which configs seldom state."""
_NAMES = "id2label"
_ASSUMED = 2


def label_count(config: Mapping[str, Any]) -> int:
    """Return how many classes a config has, as transformers' config classes count them: stated, by their names, or assumed.

    Source: transformers 5.19 ``configuration_utils.py`` (``PreTrainedConfig.__post_init__``).
    """
    stated, names = config.get(LABELS), config.get(_NAMES)
    if type(stated) is int:
        return stated
    return len(names) if isinstance(names, dict) else _ASSUMED
