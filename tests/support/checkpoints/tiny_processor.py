"""What vLLM's Transformers backend wants beside a model that sees or hears: the processor that transformers names for its type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tiny_tokenizer import save_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

KINDS: Final = ("image", "video", "audio", "boi", "eoi", "image_boundary", "image_break", "image_end")
MARKS: Final = {f"{kind}_token": f"<{kind}>" for kind in KINDS}
"""Attributes of a tokenizer that processors ask for, and the tokens that they stand for."""
FUYU: Final = ("|SPEAKER|", "|NEWLINE|", "<0x04>")
"""Tokens that a processor asks for by name."""


def save_processor(folder: Path, *, vocab: int = 320) -> None:
    """Write to ``folder`` what the processor of its ``config.json``'s model type is made of: settings by default, and a tokenizer."""
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    kind = json.loads((folder / "config.json").read_text())["model_type"]
    stated = {
        "image_processor_type": _first(IMAGE_PROCESSOR_MAPPING_NAMES.get(kind)),
        "feature_extractor_type": FEATURE_EXTRACTOR_MAPPING_NAMES.get(kind),
        "processor_class": PROCESSOR_MAPPING_NAMES.get(kind),
    }
    settings = {key: value for key, value in stated.items() if value is not None}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    save_tokenizer(folder, vocab=vocab, more=(*MARKS.values(), *FUYU), marks=MARKS)


def _first(classes: Any) -> str | None:
    """Return the class of one image processor, by the name that files state: that of any backend's without its suffix."""
    if isinstance(classes, dict):
        classes = next(filter(None, classes.values()), None)
    return str(classes).removesuffix("Pil").removesuffix("Fast") if classes else None
