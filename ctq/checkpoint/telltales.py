"""What a folder without ``config.json`` is instead of a checkpoint: a file that tells, what it tells, and what to do. Data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.weights import require_weights
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from ctq.checkpoint.source import Source

JOURNAL_NAME = ".ctq-journal"
"""Stands in the folder of a run of `ctq quantize` until it is whole."""


class Telltale(NamedTuple):
    """A file that only folders of one kind have."""

    file: str
    kind: str
    hint: str


TELLTALES = (
    Telltale(
        JOURNAL_NAME, "an unfinished run of ctq quantize", "finish it: repeat the call that began it with --resume"
    ),
    Telltale(
        "adapter_config.json",
        "an adapter (LoRA or the like), not a model",
        "merge it into its base model (merge_and_unload of PEFT), and give the result",
    ),
    Telltale("model_index.json", "a diffusers pipeline", "give the folder of one of its models"),
    Telltale("params.json", "a model in Mistral's own format", "give the model as transformers saves it"),
)


def without_config(source: Source) -> CheckpointError:
    """Return what to say of weights without ``config.json``."""
    for file, kind, hint in TELLTALES:
        if file in source.files:
            return CheckpointError(f"no {CONFIG_NAME}: {file} says that this is {kind}", hint=hint)
    if source.is_file:
        return CheckpointError(f"a file by itself, no {CONFIG_NAME}", hint="give the folder that it lies in")
    return CheckpointError(f"no {CONFIG_NAME}", hint=f"copy the model's {CONFIG_NAME} beside the weights")


def require_folder(source: Source) -> None:
    """Refuse a single file where a whole checkpoint is wanted.

    Raises:
        CheckpointError: it says what the file is, and what to give instead.

    """
    if source.is_file:
        require_weights(source)
        missing = without_config(source)
        raise CheckpointError(f"{source.label}: {missing.message}", hint=missing.hint)
