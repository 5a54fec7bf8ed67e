"""A checkpoint as a value: config, headers and index of a source, and what is wrong between them.

Opening never stops at the first defect of a file: defects are collected as ``Fault`` values, so that inspection can report them
all and quantization can refuse them all. Only a source without any readable safetensors file is an error here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ctq.checkpoint.config import CONFIG_NAME, ModelConfig, parse_config
from ctq.checkpoint.header import LENGTH_BYTES, Header, TensorInfo, header_length, parse_header
from ctq.checkpoint.index import INDEX_NAME, SINGLE_NAME, Index, parse_index
from ctq.errors import CheckpointError, HeaderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.source import Source

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_FIRST_READ = 64 * 1024
"""Most headers fit into the first read, so that a file costs one system call (or one HTTP range)."""


class FaultKind(StrEnum):
    """What can be wrong between the files of a checkpoint."""

    CONFIG_MISSING = "config-missing"
    CONFIG_INVALID = "config-invalid"
    HEADER = "header"
    INDEX_INVALID = "index-invalid"
    INDEX_MISSING = "index-missing"
    SHARD_MISSING = "shard-missing"
    SHARD_UNLISTED = "shard-unlisted"
    TENSOR_NOT_IN_SHARD = "tensor-not-in-shard"
    TENSOR_NOT_IN_INDEX = "tensor-not-in-index"
    TENSOR_DUPLICATE = "tensor-duplicate"
    TOTAL_SIZE = "total-size"
    PICKLE = "pickle"


HARMLESS = frozenset({FaultKind.SHARD_UNLISTED, FaultKind.TOTAL_SIZE, FaultKind.PICKLE})
"""Faults that leave no doubt about any tensor: quantization goes on over them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One defect: its kind, the file it is in, the tensor it concerns, and words for people."""

    kind: FaultKind
    file: str
    message: str
    tensor: str | None = None
    error: HeaderError | None = None


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

    def read(self, tensor: str) -> bytes:
        """Return the raw bytes of one tensor; meant for small ones."""
        info, shard = self.tensors[tensor], self.shard_of[tensor]
        return self.source.read(shard, self.headers[shard].data_start + info.start, info.nbytes)


def open_checkpoint(source: Source) -> Checkpoint:
    """Read config, index and headers of ``source``.

    Raises:
        CheckpointError: there is no safetensors file in it.

    """
    faults: list[Fault] = []
    config = _config(source, faults)
    index = _index(source, faults)
    shards = _shards(source, index, faults)
    headers = dict(_headers(source, shards, faults))
    tensors, shard_of = _tensors(headers, index, faults)
    _check_index(index, headers, tensors, faults)
    faults += [
        Fault(FaultKind.PICKLE, name, f"{name}: a pickle beside the weights; ctq never opens or copies it")
        for name in source.files
        if name.endswith(PICKLE_SUFFIXES)
    ]
    return Checkpoint(source, config, headers, tensors, shard_of, index, tuple(faults))


def require_sound(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint in which any tensor is in doubt.

    Raises:
        CheckpointError: with every fault that is not harmless, one line each.

    """
    serious = [fault for fault in checkpoint.faults if fault.kind not in HARMLESS]
    if serious:
        hint = serious[0].error.hint if serious[0].error else "fetch the checkpoint again, or repair what is named"
        raise CheckpointError("\n".join(f"{checkpoint.label}: {fault.message}" for fault in serious), hint=hint)


def _config(source: Source, faults: list[Fault]) -> ModelConfig:
    if CONFIG_NAME not in source.files:
        faults.append(Fault(FaultKind.CONFIG_MISSING, CONFIG_NAME, f"no {CONFIG_NAME}"))
        return ModelConfig({})
    try:
        return parse_config(source.read(CONFIG_NAME))
    except CheckpointError as error:
        faults.append(Fault(FaultKind.CONFIG_INVALID, CONFIG_NAME, error.message))
        return ModelConfig({})


def _index(source: Source, faults: list[Fault]) -> Index | None:
    if INDEX_NAME not in source.files:
        return None
    try:
        return parse_index(source.read(INDEX_NAME))
    except CheckpointError as error:
        faults.append(Fault(FaultKind.INDEX_INVALID, INDEX_NAME, error.message))
        return None


def _shards(source: Source, index: Index | None, faults: list[Fault]) -> list[str]:
    """Return the files that engines would load, in order; strays become faults."""
    present = [name for name in source.files if name.endswith(".safetensors")]
    if not present:
        raise _no_weights(source)
    if index is not None:
        wanted = sorted(set(index.weight_map.values()))
    elif SINGLE_NAME in source.files:
        wanted = [SINGLE_NAME]
    else:
        wanted = [name for name in present if "/" not in name] or present
        if len(wanted) > 1:
            faults.append(Fault(FaultKind.INDEX_MISSING, INDEX_NAME, f"{len(wanted)} shards but no {INDEX_NAME}"))
    faults += [
        Fault(FaultKind.SHARD_MISSING, name, f"{name}: named by the index, but not there")
        for name in wanted
        if name not in source.files
    ]
    faults += [
        Fault(FaultKind.SHARD_UNLISTED, name, f"{name}: not part of the checkpoint; some tools load it all the same")
        for name in present
        if name not in wanted and "/" not in name
    ]
    return [name for name in wanted if name in source.files]


def _no_weights(source: Source) -> CheckpointError:
    pickles = [name for name in source.files if name.endswith(PICKLE_SUFFIXES)]
    if pickles:
        return CheckpointError(
            f"{source.label}: no safetensors, only pickles ({pickles[0]}), which ctq never opens",
            hint="convert in a place you trust: AutoModelForCausalLM.from_pretrained(...).save_pretrained(DIR)",
        )
    return CheckpointError(
        f"{source.label}: no .safetensors file in it", hint="give the folder that holds config.json and *.safetensors"
    )


def _headers(source: Source, shards: list[str], faults: list[Fault]) -> Iterator[tuple[str, Header]]:
    for name in shards:
        try:
            yield name, read_header(source, name)
        except HeaderError as error:
            faults.append(Fault(FaultKind.HEADER, name, error.message, error.tensor, error))


def read_header(source: Source, name: str) -> Header:
    """Read and check the header of one safetensors file of ``source``.

    Raises:
        HeaderError: the header does not hold.

    """
    size = source.files[name]
    first = source.read(name, 0, min(_FIRST_READ, size))
    length = header_length(first, size, file=name)
    raw = first[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(raw) < length:
        raw += source.read(name, len(first), length - len(raw))
    return parse_header(raw, size, file=name)


def _tensors(
    headers: Mapping[str, Header], index: Index | None, faults: list[Fault]
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    tensors: dict[str, TensorInfo] = {}
    shard_of: dict[str, str] = {}
    weight_map = index.weight_map if index else {}
    for shard, header in headers.items():
        for name, tensor in header.tensors.items():
            if name in tensors:
                message = f"tensor '{name}' lies in {shard_of[name]} and in {shard}"
                faults.append(Fault(FaultKind.TENSOR_DUPLICATE, shard, message, name))
                if weight_map.get(name) != shard:
                    continue
            tensors[name] = tensor
            shard_of[name] = shard
    return tensors, shard_of


def _check_index(
    index: Index | None, headers: Mapping[str, Header], tensors: Mapping[str, TensorInfo], faults: list[Fault]
) -> None:
    if index is None:
        return
    for name, shard in index.weight_map.items():
        if shard in headers and name not in headers[shard].tensors:
            message = f"tensor '{name}' is not in {shard}, where the index puts it"
            faults.append(Fault(FaultKind.TENSOR_NOT_IN_SHARD, INDEX_NAME, message, name))
    if any(name not in index.weight_map for name in tensors):
        faults += [
            Fault(
                FaultKind.TENSOR_NOT_IN_INDEX, INDEX_NAME, f"tensor '{name}' is in a shard but not in the index", name
            )
            for name in tensors
            if name not in index.weight_map
        ]
    total = sum(tensor.nbytes for tensor in tensors.values())
    complete = all(shard in headers for shard in set(index.weight_map.values()))
    if complete and index.total_size is not None and index.total_size != total:
        message = f"total_size says {index.total_size} bytes, the tensors hold {total}"
        faults.append(Fault(FaultKind.TOTAL_SIZE, INDEX_NAME, message))
