"""A checkpoint as a value: config, headers and index of a source, and what is wrong between them.

Opening never stops at the first defect of a file: defects are collected as ``Fault`` values, so that inspection can report them
all and quantization can refuse them all. Only a source without any readable safetensors file is an error here.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ctq.checkpoint.architecture_endings import BARE
from ctq.checkpoint.config import CONFIG_NAME, ModelConfig, parse_config
from ctq.checkpoint.dtypes import FLOATS
from ctq.checkpoint.faults import HARMLESS, Fault, FaultKind
from ctq.checkpoint.header import Header, TensorInfo
from ctq.checkpoint.index import INDEX_NAME, parse_index
from ctq.checkpoint.pooling import MODULES_NAME, is_pooled
from ctq.checkpoint.strict_json import quoted
from ctq.checkpoint.telltales import without_config
from ctq.checkpoint.weights import PICKLE_SUFFIXES, WEIGHTS_SUFFIX, read_headers, require_weights, weight_files
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.index import Index
    from ctq.checkpoint.source import Source

_LARGEST_CONFIG = 32_000_000
_LARGEST_INDEX = 100_000_000
"""Bytes; ten times what the largest models have. Parsing takes a multiple of it in memory."""
_SHOWN_FAULTS = 20
_NUMBERS = re.compile(r"(\d+)")
_INSIDE = "model."
"""Where models that generate keep the model that pools; vLLM looks there too (0.32.0 model_executor/models/adapters.py:189)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's description.

    ``headers`` maps each readable shard to its header, ``tensors`` each tensor to its entry, ``shard_of`` each tensor to its shard.
    """

    source: Source
    config: ModelConfig
    headers: Mapping[str, Header]
    tensors: Mapping[str, TensorInfo]
    shard_of: Mapping[str, str]
    index: Index | None
    faults: tuple[Fault, ...] = field(default=())

    @property
    def label(self) -> str:
        """What messages call the checkpoint."""
        return self.source.label

    @property
    def nbytes(self) -> int:
        """Bytes of tensor data."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def read(self, tensor: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return the raw bytes of one tensor, or ``length`` of them from ``offset`` on; meant for little."""
        info, shard = self.tensors[tensor], self.shard_of[tensor]
        place = self.headers[shard].data_start + info.start + offset
        return self.source.read(shard, place, info.nbytes - offset if length is None else length)


def open_checkpoint(source: Source) -> Checkpoint:
    """Read config, index and headers of ``source``.

    Raises:
        CheckpointError: there is no safetensors file in it, or one of its files cannot be read.

    """
    require_weights(source)
    with _collector_paused():
        faults: list[Fault] = []
        config = _config(source, faults)
        index = _index(source, faults)
        headers = _headers(source, index, faults)
        tensors, shard_of = _tensors(headers, index, faults)
        if index is not None:
            _check_index(index, headers, shard_of, faults)
        faults += _strangers(source)
        pools = _is_pooled(source, faults)
        if pools or (config.architecture or "").endswith(BARE):
            config = replace(config, pools=pools, relative=not any(name.startswith(_INSIDE) for name in tensors))
        return Checkpoint(source, config, headers, tensors, shard_of, index, tuple(faults))


def require_sound(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint in which any tensor is in doubt.

    Raises:
        CheckpointError: with the faults that are not harmless, one line each.

    """
    serious = [fault for fault in checkpoint.faults if fault.kind not in HARMLESS]
    if serious:
        hint = serious[0].error.hint if serious[0].error else "fetch the checkpoint again, or repair what is named"
        lines = [f"{checkpoint.label}: {fault.message}" for fault in serious[:_SHOWN_FAULTS]]
        if len(serious) > _SHOWN_FAULTS:
            lines.append(f"{checkpoint.label}: and {len(serious) - _SHOWN_FAULTS} more faults like these")
        raise CheckpointError("\n".join(lines), hint=hint)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Parse without garbage collections: half a million new objects, none in a cycle, would be gone through again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _config(source: Source, faults: list[Fault]) -> ModelConfig:
    if CONFIG_NAME not in source.files:
        missing = without_config(source)
        faults.append(Fault(FaultKind.CONFIG_MISSING, CONFIG_NAME, missing.message, error=missing))
        return ModelConfig({})
    raw = source.read(CONFIG_NAME, 0, _LARGEST_CONFIG + 1)
    try:
        return parse_config(_bounded(raw, CONFIG_NAME, _LARGEST_CONFIG))
    except CheckpointError as error:
        faults.append(Fault(FaultKind.CONFIG_INVALID, CONFIG_NAME, error.message))
        return ModelConfig({})


def _is_pooled(source: Source, faults: list[Fault]) -> bool:
    try:
        return is_pooled(source)
    except CheckpointError as error:
        faults.append(Fault(FaultKind.CONFIG_INVALID, MODULES_NAME, error.message))
        return False


def _index(source: Source, faults: list[Fault]) -> Index | None:
    if INDEX_NAME not in source.files:
        return None
    raw = source.read(INDEX_NAME, 0, _LARGEST_INDEX + 1)
    try:
        return parse_index(_bounded(raw, INDEX_NAME, _LARGEST_INDEX))
    except CheckpointError as error:
        faults.append(Fault(FaultKind.INDEX_INVALID, INDEX_NAME, error.message))
        return None


def _bounded(raw: bytes, name: str, largest: int) -> bytes:
    if len(raw) > largest:
        raise CheckpointError(f"{name}: larger than the {largest} bytes that it may have")
    return raw


def _headers(source: Source, index: Index | None, faults: list[Fault]) -> dict[str, Header]:
    wanted = weight_files(source.files, index)
    if len(wanted) > 1 and INDEX_NAME not in source.files:
        faults.append(Fault(FaultKind.INDEX_MISSING, INDEX_NAME, f"{len(wanted)} shards but no {INDEX_NAME}"))
    faults += [
        Fault(FaultKind.SHARD_MISSING, name, f"{name}: named by the index, but not there")
        for name in wanted
        if name not in source.files
    ]
    headers = {}
    for name, result in read_headers(source, [name for name in wanted if name in source.files], index):
        if isinstance(result, Header):
            headers[name] = result
            faults += [
                Fault(
                    FaultKind.ENTRY_TWICE,
                    name,
                    f"{name}: the entry of tensor {quoted(tensor)} stands there twice",
                    tensor,
                )
                for tensor in result.repeated
            ]
        else:
            faults.append(Fault(FaultKind.HEADER, name, result.message, result.tensor, result))
    faults += [
        Fault(FaultKind.SHARD_UNLISTED, name, f"{name}: not part of the checkpoint; some tools load it all the same")
        for name in source.files
        if name.endswith(WEIGHTS_SUFFIX) and "/" not in name and name not in wanted
    ]
    return headers


def _tensors(
    headers: Mapping[str, Header], index: Index | None, faults: list[Fault]
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    tensors: dict[str, TensorInfo] = {}
    shard_of: dict[str, str] = {}
    weight_map = index.weight_map if index else {}
    for shard, header in sorted(headers.items(), key=lambda item: _load_order(item[0])):
        found = header.tensors
        for name in sorted(tensors.keys() & found.keys()):
            is_passed_over = weight_map.get(name, shard) != shard
            faults.append(
                _twice(name, (shard_of[name], tensors[name]), (shard, found[name]), is_passed_over=is_passed_over)
            )
            if is_passed_over:
                found = {other: tensor for other, tensor in found.items() if other != name}
        tensors.update(found)
        shard_of.update(dict.fromkeys(found, shard))
    return tensors, shard_of


def _twice(name: str, first: tuple[str, TensorInfo], last: tuple[str, TensorInfo], *, is_passed_over: bool) -> Fault:
    """Tell copies that any loader bears from those of which the index names one and engines take another, or none fits.

    Engines load both, the last file's over the other's: vLLM 0.32.0 ``weight_utils.py`` (``safetensors_weights_iterator``).
    """
    (shard, tensor), (last_shard, last_tensor) = first, last
    message = f"tensor {quoted(name)} lies in {shard} and in {last_shard}"
    if (tensor.dtype, tensor.shape) == (last_tensor.dtype, last_tensor.shape):
        return Fault(FaultKind.TENSOR_DUPLICATE, last_shard, message, name)
    are_floats = {tensor.dtype, last_tensor.dtype} <= FLOATS
    is_borne = tensor.shape == last_tensor.shape and (are_floats or not is_passed_over)
    kind = FaultKind.TENSOR_DUPLICATE if is_borne else FaultKind.TENSOR_CONFLICT
    return Fault(kind, last_shard, f"{message}, of another dtype or shape", name)


def _load_order(file: str) -> tuple[tuple[bool, int, str], ...]:
    """Order files as engines load them: numbers in names by value (vLLM 0.32.0 ``weight_utils.py``, ``_natural_sort_key``)."""
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _NUMBERS.split(file))


def _check_index(index: Index, headers: Mapping[str, Header], shard_of: Mapping[str, str], faults: list[Fault]) -> None:
    weight_map = index.weight_map
    if weight_map != shard_of:
        for name, shard in weight_map.items():
            if shard in headers and name not in headers[shard].tensors:
                message = f"tensor {quoted(name)} is not in {shard}, where the index puts it"
                faults.append(Fault(FaultKind.TENSOR_NOT_IN_SHARD, INDEX_NAME, message, name))
        faults += [
            Fault(FaultKind.TENSOR_NOT_IN_INDEX, INDEX_NAME, f"tensor {quoted(name)} is not in the index", name)
            for name in shard_of
            if name not in weight_map
        ]
        return
    total = sum(header.nbytes for header in headers.values())
    duplicates = sum(len(header.tensors) for header in headers.values()) > len(shard_of)
    if index.total_size not in (None, total) and not duplicates:
        message = f"total_size says {index.total_size} bytes, the tensors hold {total}"
        faults.append(Fault(FaultKind.TOTAL_SIZE, INDEX_NAME, message))


def _strangers(source: Source) -> Iterator[Fault]:
    for name in source.files:
        if name.endswith(PICKLE_SUFFIXES):
            yield Fault(FaultKind.PICKLE, name, f"{name}: a pickle beside the weights; ctq never opens or copies it")
    for name, target in source.links_outside.items():
        yield Fault(FaultKind.LINK_OUTSIDE, name, f"{name}: a link that leads out of the folder, to {target}")
