"""FIL: weights in the folder that are not part of the checkpoint, and what vLLM makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import DTYPE_KEYS
from ctq.checkpoint.dtypes import FLOATS
from ctq.checkpoint.faults import FaultKind
from ctq.checkpoint.header import LENGTH_BYTES, MAX_HEADER_BYTES, Header
from ctq.checkpoint.index import INDEX_NAME
from ctq.checkpoint.strict_json import JsonError, parse_strictly
from ctq.checkpoint.weights import is_hidden, read_headers
from ctq.engines.configs.tie_flags import tie_flags
from ctq.findings import Severity
from ctq.inspect.rules.faults import faults_of
from ctq.inspect.rules.rule import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.faults import Fault
    from ctq.checkpoint.header import TensorInfo
    from ctq.inspect.facts.facts import Facts

_CONSOLIDATED = "consolidated"
_TOWERS = ("vision_config", "encoder_config")
"""Configs whose dtype counts where no other states one."""
_CONSOLIDATED_INDEX = "consolidated.safetensors.index.json"
_MISTRAL_EMBEDDING = "tok_embeddings.weight"
"""What Mistral's own names have, which vLLM's class of theirs translates."""


def shard_unlisted(facts: Facts) -> Iterator[Hit]:
    """Report safetensors files that are not part of the checkpoint.

    ## What it checks
    Safetensors files beside the weights that the index does not name. A `consolidated` file is a note beside a dense model if it is
    Mistral's own or such files hold the whole model, a warning if they hold the whole of a quantized one, and an error otherwise.
    Where there is no index, it is an error if the files hold tensors that vLLM refuses to load into the model, or the same ones as
    the model in another form; other floats are a warning. A file without a header, hidden ones too, is an error beside a tied model
    or one whose config states no dtype.

    ## Why it hurts
    Tools that load every file take old tensors for new ones, and others refuse the folder. Without an index vLLM loads every
    safetensors file of the folder, and stops at a name that the model does not have. Where a file is called
    `consolidated*.safetensors`, vLLM loads such files and nothing else: of a quantized model it then loads what is not quantized.
    Of two tensors with one name the one in the later file counts. Of a tied model vLLM first asks every safetensors file of the
    folder, what macOS leaves behind too, whether it holds a head.

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
    if file in consolidated:
        return _judged_instead(facts, fault, consolidated)
    seen = not is_hidden(file) or (bool(facts.quantized) and any(tie_flags(facts.config).values()))
    if not consolidated and seen and _is_loaded_too(facts, file):
        return f"{file}: without an index vLLM reads it too, and it is not of the model", None
    if "/" not in file and _all_headers_are_read(facts.checkpoint.config) and not _has_header(facts.checkpoint, file):
        return f"{file}: vLLM reads the header of every safetensors file in the folder, and stops at this one", None
    return fault.message, Severity.WARNING


def _judged_instead(facts: Facts, fault: Fault, consolidated: list[str]) -> tuple[str, Severity | None]:
    """Judge a file that vLLM loads instead of the model's."""
    found = _tensors_in(facts.checkpoint, consolidated)
    is_whole = found is not None and _hold_all(facts.checkpoint, found)
    if facts.quantized:
        message = f"{fault.file}: vLLM loads this file instead of the quantized ones"
        return message, Severity.WARNING if is_whole else None
    if is_whole or any(name.endswith(_MISTRAL_EMBEDDING) for name in found or ()):
        return fault.message, Severity.NOTE
    return f"{fault.file}: vLLM loads this file instead of the model's, and it does not hold the whole model", None


def _is_loaded_too(facts: Facts, file: str) -> bool:
    """Say whether vLLM loads a file beside the model's that it refuses, or that holds the same tensors in another form."""
    checkpoint = facts.checkpoint
    if INDEX_NAME in checkpoint.source.files:
        return False
    (_, header), *_ = read_headers(checkpoint.source, [file], None)
    if not isinstance(header, Header):
        return True
    own = checkpoint.tensors
    return any(
        _is_other(info, own[name]) if name in own else _is_refused(name, facts) for name, info in header.tensors.items()
    )


def _all_headers_are_read(config: ModelConfig) -> bool:
    """Tell a model of which vLLM asks all files for a head of its own, or for the dtype that the config does not state.

    Source: vLLM 0.32.0 ``config/model.py:1242``, ``transformers_utils/model_arch_config_convertor.py:243``.
    """
    levels = (config.raw, *(level for _, level in config.text_levels), *(config.raw.get(key) for key in _TOWERS))
    states_dtype = any(level.get(key) is not None for level in levels if isinstance(level, dict) for key in DTYPE_KEYS)
    return not states_dtype or bool(tie_flags(config).get(""))


def _has_header(checkpoint: Checkpoint, file: str) -> bool:
    """Tell a file that begins as vLLM expects: a length, and so many bytes of JSON; of the data it asks nothing here."""
    head = checkpoint.source.read(file, 0, LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    if len(head) < LENGTH_BYTES or length > MAX_HEADER_BYTES:
        return False
    try:
        parse_strictly(checkpoint.source.read(file, LENGTH_BYTES, length))
    except JsonError:
        return False
    return True


def _is_other(stray: TensorInfo, own: TensorInfo) -> bool:
    """Tell tensors of two forms; floats of two kinds are one to a loader."""
    return stray.shape != own.shape or (stray.dtype != own.dtype and not {stray.dtype, own.dtype} <= FLOATS)


def _is_refused(tensor: str, facts: Facts) -> bool:
    """Say whether vLLM refuses a tensor that is not of the model; where that is not known, beside a quantized model alone."""
    skeleton = facts.skeleton
    if skeleton is None:
        return bool(facts.quantized)
    return not skeleton.knows(tensor) and ("module" if "." in tensor else "top") in skeleton.refuses


def _tensors_in(checkpoint: Checkpoint, files: list[str]) -> dict[str, TensorInfo] | None:
    """Return what some files hold together; None where one cannot be read."""
    found: dict[str, TensorInfo] = {}
    for _, header in read_headers(checkpoint.source, files, None):
        if not isinstance(header, Header):
            return None
        found |= header.tensors
    return found


def _hold_all(checkpoint: Checkpoint, found: dict[str, TensorInfo]) -> bool:
    """Say whether these are the tensors of the checkpoint and no others, as the same dtypes and shapes."""
    if _CONSOLIDATED_INDEX in checkpoint.source.files:
        return False
    return found.keys() == checkpoint.tensors.keys() and all(
        (info.dtype, info.shape) == (found[name].dtype, found[name].shape) for name, info in checkpoint.tensors.items()
    )
