"""FIL: weights in the folder that are not part of the checkpoint, and what vLLM makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.faults import FaultKind
from ctq.checkpoint.header import Header
from ctq.checkpoint.index import INDEX_NAME
from ctq.checkpoint.weights import is_hidden, read_headers
from ctq.engines.configs.fields import tie_flags
from ctq.findings import Severity
from ctq.inspect.rules.files.shards import faults_of
from ctq.inspect.rules.rule import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.faults import Fault
    from ctq.checkpoint.header import TensorInfo
    from ctq.inspect.facts.facts import Facts

_CONSOLIDATED = "consolidated"
_CONSOLIDATED_INDEX = "consolidated.safetensors.index.json"


def shard_unlisted(facts: Facts) -> Iterator[Hit]:
    """Report safetensors files that are not part of the checkpoint.

    ## What it checks
    Safetensors files beside the weights that the index does not name. A `consolidated` file, as Mistral ships it, is a note beside
    a dense model, and an error beside a quantized one; a warning where such files hold every tensor of the quantized model. Where
    there is no index, it is an error beside a quantized model if the files hold other tensors than the model, or the same ones in
    another form.

    ## Why it hurts
    Tools that load every file take old tensors for new ones, and others refuse the folder. Without an index vLLM loads every
    safetensors file of the folder, and stops at a name that the model does not have. Where a file is called
    `consolidated*.safetensors`, vLLM loads such files and nothing else: of a quantized model it then loads what is not quantized.

    ## Example
    `model.safetensors` of a former run beside its successor's shards.

    ## How to mend
    Remove the file, or name it in the index.

    ## References
    llm-compressor `model_free_ptq` (refuses such folders); vLLM 0.32.0 `default_loader.py:170`.
    """
    unlisted = faults_of(facts, FaultKind.SHARD_UNLISTED)
    consolidated = [fault.file for fault in unlisted if fault.file.startswith(_CONSOLIDATED)]
    for fault in unlisted:
        message, severity = _judged(facts, fault, consolidated)
        yield Hit(where=fault.file, message=message, hint="remove the file if it is a leftover", severity=severity)


def _judged(facts: Facts, fault: Fault, consolidated: list[str]) -> tuple[str, Severity | None]:
    """Return what there is to say of a file, and how grave it is: None is an error."""
    file = fault.file
    if not facts.quantized:
        return fault.message, Severity.NOTE if file in consolidated else Severity.WARNING
    if file in consolidated:
        whole = _hold_all(facts.checkpoint, consolidated)
        return f"{file}: vLLM loads this file instead of the quantized ones", Severity.WARNING if whole else None
    if (
        not consolidated
        and (not is_hidden(file) or any(tie_flags(facts.checkpoint.config).values()))
        and _is_loaded_too(facts.checkpoint, file)
    ):
        return f"{file}: without an index vLLM reads it too, and it is not of the model", None
    return fault.message, Severity.WARNING


def _is_loaded_too(checkpoint: Checkpoint, file: str) -> bool:
    """Say whether vLLM loads a file beside the model's that holds other tensors, or the same ones in another form."""
    if INDEX_NAME in checkpoint.source.files:
        return False
    (_, header), *_ = read_headers(checkpoint.source, [file], None)
    if not isinstance(header, Header):
        return True
    own = checkpoint.tensors
    return any(
        name not in own or (info.dtype, info.shape) != (own[name].dtype, own[name].shape)
        for name, info in header.tensors.items()
    )


def _hold_all(checkpoint: Checkpoint, files: list[str]) -> bool:
    """Say whether ``files`` hold the tensors of the checkpoint and no others, as the same dtypes and shapes."""
    if not files or _CONSOLIDATED_INDEX in checkpoint.source.files:
        return False
    found: dict[str, TensorInfo] = {}
    for _, header in read_headers(checkpoint.source, files, None):
        if not isinstance(header, Header):
            return False
        found |= header.tensors
    return found.keys() == checkpoint.tensors.keys() and all(
        (info.dtype, info.shape) == (found[name].dtype, found[name].shape) for name, info in checkpoint.tensors.items()
    )
