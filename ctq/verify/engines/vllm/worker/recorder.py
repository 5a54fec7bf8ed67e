"""Watch what a loader writes: which elements of which storage, from which tensors of the files.

Names alone hide a missing part of a fused parameter, and copies between meta tensors convert dtypes in silence, so every write
is recorded where it happens, below the engine's own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Iterator

# Operations after which a value is still the file's own, moved or converted but not computed.
MOVES = frozenset({"aten::copy_", "aten::_to_copy", "aten::clone", "aten::cat", "aten::stack"})


def storage_key(tensor: torch.Tensor) -> int:
    """Name the memory behind a tensor; views of one storage share it."""
    return int(tensor.untyped_storage()._cdata)


@dataclass(frozen=True)
class Region:
    """Elements of a storage: an offset and a strided box."""

    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class Write:
    """One write into a storage: a region in elements of its dtype, and the tensors of the files it came from."""

    kind: str  # copy, fill or other
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    source_dtype: torch.dtype | None
    sources: frozenset[str]
    moved: bool


@dataclass
class Origin:
    """What a storage holds: its elements, names of file tensors, and whether they were only moved."""

    elements: int
    names: frozenset[str]
    storage: Any
    """Kept alive, so that no other storage takes its key."""
    moved: bool = True

    @classmethod
    def of(cls, tensor: torch.Tensor, names: frozenset[str], *, moved: bool = True) -> Origin:
        """Describe the storage behind a tensor, in elements of the tensor's own dtype."""
        storage = tensor.untyped_storage()
        return cls(storage.nbytes() // tensor.dtype.itemsize, names, storage, moved)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own __init_subclass__
    """Record writes while it is entered; meta tensors of the files are announced with ``adopt``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.origins: dict[int, Origin] = {}
        self.writes: dict[int, list[Write]] = {}
        self.reads: dict[int, set[Region]] = {}

    def adopt(self, name: str, tensor: torch.Tensor) -> None:
        """Announce a tensor of the files under its name."""
        self.origins[storage_key(tensor)] = Origin.of(tensor, frozenset({name}))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, then note what it wrote and what its results came from."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        inputs = list(tensors_in((args, kwargs)))
        written = [tensor for tensor in written_tensors(func, args) if isinstance(tensor, torch.Tensor)]
        sources = [tensor for tensor in inputs if not any(tensor is other for other in written)]
        moved = func._schema.name in MOVES
        origin = self.origin_of(sources, moved=moved)
        for tensor in written:
            self.note_write(func._schema.name, tensor, sources, origin)
        self.note_reads(sources, result)
        for tensor in tensors_in(result):
            self.note_result(tensor, inputs, moved=moved)
        return result

    def note_reads(self, sources: list[torch.Tensor], result: Any) -> None:
        """Remember which elements of what came from the files an operation used; a view of them uses none yet."""
        made = {storage_key(tensor) for tensor in tensors_in(result)}
        for tensor in sources:
            key = storage_key(tensor)
            if key in self.origins and key not in made:
                region = Region(int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))
                self.reads.setdefault(key, set()).add(region)

    def origin_of(self, sources: list[torch.Tensor], *, moved: bool) -> tuple[frozenset[str], bool]:
        """Join the names behind several tensors."""
        found = [self.origins[key] for key in {storage_key(tensor) for tensor in sources} if key in self.origins]
        names: frozenset[str] = frozenset().union(*(origin.names for origin in found))
        return names, moved and all(origin.moved for origin in found)

    def note_write(
        self, name: str, tensor: torch.Tensor, sources: list[torch.Tensor], origin: tuple[frozenset[str], bool]
    ) -> None:
        """Remember one write and what the written storage holds from now on."""
        key = storage_key(tensor)
        kind = {"aten::copy_": "copy", "aten::fill_": "fill", "aten::zero_": "fill"}.get(name, "other")
        names, moved = origin
        source_dtype = sources[0].dtype if kind == "copy" and sources else None
        region = (int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))
        write = Write(kind, *region, tensor.dtype, source_dtype, names, moved)
        self.writes.setdefault(key, []).append(write)
        if names:
            held = self.origins.get(key)
            before = held.names if held else frozenset()
            self.origins[key] = Origin.of(tensor, before | names, moved=moved and (held is None or held.moved))

    def note_result(self, tensor: torch.Tensor, inputs: list[torch.Tensor], *, moved: bool) -> None:
        """Give a new storage the names behind the tensors it was computed from."""
        key = storage_key(tensor)
        if key in self.origins:
            return
        names, kept = self.origin_of(inputs, moved=moved)
        if names:
            self.origins[key] = Origin.of(tensor, names, moved=kept)


def written_tensors(func: Any, args: Any) -> list[Any]:
    """List the positional arguments that an operation writes to, by its schema."""
    arguments = func._schema.arguments
    return [
        value
        for argument, value in zip(arguments, args, strict=False)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors inside nested arguments."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
