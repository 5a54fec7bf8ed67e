"""Wrappers around other text models than their family's own, saved by transformers itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from families import SWEPT, build_family, settings_of


def build_wrapped(wrapper: str, inner: str, folder: Path) -> Path:
    """Build the wrapper of one family around the text model of another in ``folder``, and return it.

    Raise `ValueError` where the wrapper's config takes no other text model.
    """
    import transformers

    outer, text = SWEPT[wrapper], SWEPT[inner]
    model_type = getattr(transformers, text.architecture).config_class.model_type
    settings = settings_of(text)
    tied = bool(settings.get("tie_word_embeddings", False))
    config = {
        **settings_of(outer),
        "text_config": {**settings, "model_type": model_type},
        "tie_word_embeddings": tied,
    }
    taken = getattr(transformers, outer.architecture).config_class(**config).text_config.model_type
    if taken != model_type:
        raise ValueError(f"{outer.architecture} holds {taken} alone, not {model_type}")
    return build_family(replace(outer, config=config, shrunk=False, vocab=text.vocab, tied=tied), folder)
