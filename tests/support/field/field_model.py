"""A checkpoint as a release engineer holds it: config, tensors and their files in memory, to be spoilt and written again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

import numpy as np
from dense_builder import INDEX, SINGLE
from raw_safetensors import ITEM_BITS, Raw, from_floats, from_numpy, read_safetensors, write_safetensors

Json: TypeAlias = dict[str, Any]
LAYER: Final = re.compile(r"^(.*?)\b(layers|h|blocks|block|layer)\.(\d+)\.")
TOWER: Final = re.compile(r"vision|visual|audio|tower|encoder|projector|merger|connector|vit|resampler|aligner", re.I)
HEADS: Final = ("lm_head", "embed_out", "output_layer", "output")
EMBEDDINGS: Final = ("embed_tokens", "wte", "embed_in", "tok_embeddings", "word_embeddings", "embeddings", "embedding")
EXPERT: Final = re.compile(r"^(.*\.experts)\.(\d+)\.(.*)$")
TEXTS: Final = ("text_config", "llm_config", "language_config", "thinker_config")
MODULES: Final = ("weight", "weight_packed")
NUMPY: Final = {8: "u1", 16: "<u2", 32: "<u4", 64: "<u8"}


class Skip(Exception):  # noqa: N818  # no error: the kind does not concern the checkpoint
    """Raised by a kind of change that a checkpoint gives no occasion for."""


@dataclass(slots=True)
class Model:
    """What is in a folder; ``places`` has the file of each tensor, ``after`` what is done to the written folder."""

    config: Json
    tensors: dict[str, Raw]
    places: dict[str, str]
    after: list[Callable[[Path], object]] = field(default_factory=list)

    @property
    def text(self) -> Json:
        """The config of the language model."""
        for key in TEXTS:
            if isinstance(inner := self.config.get(key), dict):
                return inner.get("text_config", inner) if key == "thinker_config" else inner
        return self.config

    @property
    def is_wrapper(self) -> bool:
        """Whether a language model is one part of it."""
        return self.text is not self.config

    @property
    def quant(self) -> Json:
        """The quantization_config."""
        found = self.config.get("quantization_config")
        if not isinstance(found, dict):
            raise Skip
        return found

    @property
    def groups(self) -> Json:
        """The config groups."""
        found = self.quant.get("config_groups")
        if not found:
            raise Skip
        return dict(found) and found

    def modules(self, *, text: bool = True) -> list[str]:
        """Return the modules with a matrix as weight, embeddings among them; those of towers if not ``text``."""
        names = [name.rpartition(".") for name, raw in self.tensors.items() if len(raw.shape) == 2]
        found = list(dict.fromkeys(module for module, _, part in names if part in MODULES))
        return [module for module in found if bool(TOWER.search(module)) is not text]

    def linears(self) -> list[str]:
        """Return the matrices in the language model's layers."""
        return [name for name in self.modules() if LAYER.match(name + ".")] or _skip()

    def quantized(self) -> list[str]:
        """Return the quantized modules in layers."""
        return [name for name in self.linears() if f"{name}.weight_scale" in self.tensors] or _skip()

    def packed(self) -> list[str]:
        """Return the packed modules in layers."""
        return [name for name in self.quantized() if f"{name}.weight_packed" in self.tensors] or _skip()

    def dense(self) -> list[str]:
        """Return the dense matrices in layers."""
        return [name for name in self.linears() if f"{name}.weight_scale" not in self.tensors] or _skip()

    def head(self) -> str:
        """Return the module of the head."""
        for name in self.modules():
            if name.rpartition(".")[2] in HEADS and not LAYER.match(name):
                return name
        raise Skip

    def embedding(self) -> str:
        """Return the module of the embedding."""
        for name in self.modules():
            if name.rpartition(".")[2] in EMBEDDINGS and not LAYER.match(name):
                return name
        raise Skip

    def norms(self) -> list[str]:
        """Return the vectors of norms, in layers and after them."""
        return [
            name
            for name, raw in self.tensors.items()
            if len(raw.shape) == 1 and name.endswith("weight") and "norm" in name and not TOWER.search(name)
        ] or _skip()

    def parts(self, module: str) -> dict[str, Raw]:
        """Return the tensors of a module by their last name."""
        return {name[len(module) + 1 :]: raw for name, raw in self.tensors.items() if name.startswith(module + ".")}

    def main(self, module: str) -> str:
        """Return the name of a module's matrix."""
        return next((f"{module}.{part}" for part in MODULES if f"{module}.{part}" in self.tensors), "") or _skip()

    def layers(self) -> tuple[str, list[int]]:
        """Return what stands before the numbers of the language model's layers, and the numbers."""
        numbers: dict[str, set[int]] = {}
        for name in self.tensors:
            found = LAYER.match(name)
            if found and not TOWER.search(found[1]):
                numbers.setdefault(f"{found[1]}{found[2]}.", set()).add(int(found[3]))
        if not numbers:
            raise Skip
        prefix = max(numbers, key=lambda prefix: len(numbers[prefix]))
        return prefix, sorted(numbers[prefix])

    def layer(self, number: int) -> dict[str, Raw]:
        """Return the tensors of one layer, by their name in it."""
        start = f"{self.layers()[0]}{number}."
        return {name[len(start) :]: raw for name, raw in self.tensors.items() if name.startswith(start)}

    def experts(self) -> dict[str, list[int]]:
        """Return the lists of single experts and their numbers."""
        lists: dict[str, set[int]] = {}
        for name in self.tensors:
            if found := EXPERT.match(name):
                lists.setdefault(found[1], set()).add(int(found[2]))
        return {name: sorted(numbers) for name, numbers in lists.items()} or _skip()

    def put(self, name: str, raw: Raw) -> None:
        """Set a tensor."""
        self.tensors[name] = raw

    def drop(self, name: str) -> None:
        """Remove a tensor or a whole module."""
        found = [one for one in self.tensors if one == name or one.startswith(name + ".")]
        if not found:
            raise Skip
        for one in found:
            del self.tensors[one]

    def rename(self, change: Callable[[str], str]) -> None:
        """Give tensors other names; nothing changed is no occasion."""
        renamed = {change(name): raw for name, raw in self.tensors.items()}
        if list(renamed) == list(self.tensors):
            raise Skip
        self.places = {change(name): place for name, place in self.places.items()}
        self.tensors = renamed

    def key(self, *names: str) -> tuple[Json, str]:
        """Return the config, the text model's first, that has one of some keys, and the key."""
        for holder in (self.text, self.config):
            for name in names:
                if name in holder:
                    return holder, name
        raise Skip

    def write(self, folder: Path) -> None:
        """Write the folder; new tensors join the last file."""
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(self.config, indent=2))
        last = max(self.places.values(), default=SINGLE)
        files: dict[str, dict[str, Raw]] = {}
        for name, raw in self.tensors.items():
            files.setdefault(self.places.get(name, last), {})[name] = raw
        for name, part in files.items():
            write_safetensors(folder / name, part, metadata={"format": "pt"})
        if list(files) != [SINGLE]:
            total = sum(len(raw.data) for raw in self.tensors.values())
            index = {"metadata": {"total_size": total}, "weight_map": {}}
            index["weight_map"] = {name: file for file, part in files.items() for name in part}
            (folder / INDEX).write_text(json.dumps(index, indent=2))
        for change in self.after:
            change(folder)


def read_model(folder: Path) -> Model:
    """Read a folder."""
    tensors: dict[str, Raw] = {}
    places: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, raw in read_safetensors(path).items():
            tensors[name], places[name] = raw, path.name
    model = Model(json.loads((folder / "config.json").read_text()), tensors, places)
    for extra in sorted(folder.iterdir()):
        if extra.suffix != ".safetensors" and extra.name not in ("config.json", INDEX, "ctq.json") and extra.is_file():
            model.after.append(_copying(extra.name, extra.read_bytes()))
    return model


def _copying(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def _skip() -> Any:
    raise Skip


# -- tensors ------------------------------------------------------------------------------------------------------------------


def bits(raw: Raw) -> np.ndarray[Any, Any]:
    """Return a tensor's bits as unsigned numbers of its width."""
    return np.frombuffer(raw.data, NUMPY[ITEM_BITS[raw.dtype]]).reshape(raw.shape)


def as_bits(raw: Raw, array: np.ndarray[Any, Any]) -> Raw:
    """Return bits as a tensor of the dtype of another."""
    return Raw(raw.dtype, tuple(array.shape), np.ascontiguousarray(array).tobytes())


def turned(raw: Raw) -> Raw:
    """Transpose."""
    return as_bits(raw, bits(raw).T)


def rows(raw: Raw, count: int, axis: int = 0) -> Raw:
    """Cut or pad (with repeated values) to ``count`` along an axis."""
    array = bits(raw)
    return as_bits(raw, np.take(array, np.arange(count) % array.shape[axis], axis=axis))


def joined(*parts: Raw, axis: int = 0) -> Raw:
    """Concatenate tensors of one dtype."""
    if len({raw.dtype for raw in parts}) != 1:
        raise Skip
    return as_bits(parts[0], np.concatenate([bits(raw) for raw in parts], axis=axis))


def cast(raw: Raw, dtype: str) -> Raw:
    """Convert to another dtype: floats by value, anything else to plausible bits."""
    if raw.dtype == dtype:
        raise Skip
    if raw.dtype in ("BF16", "F16", "F32"):
        if dtype in ("BF16", "F16", "F32"):
            return from_floats(raw.floats, dtype)
        if dtype == "F64":
            return from_numpy(raw.floats.astype(np.float64))
    return made(dtype, raw.shape)


def made(dtype: str, shape: tuple[int, ...], value: float = 0.01) -> Raw:
    """Make a tensor up: small floats, or some bits."""
    if dtype in ("BF16", "F16", "F32"):
        return from_floats(np.full(shape, value, np.float32), dtype)
    if dtype == "F64":
        return from_numpy(np.full(shape, value))
    size = int(np.prod(shape)) * ITEM_BITS[dtype] // 8
    if dtype in ("I64", "I32"):
        return Raw(dtype, shape, bytes(size))
    return Raw(dtype, shape, bytes([0x31]) * size)


def pick(draw: Random, choices: Any) -> Any:
    """Draw one of some, of none there is no occasion; of a set in an order that is the same in every process."""
    found = sorted(choices) if isinstance(choices, set) else list(choices)
    return draw.choice(found) if found else _skip()
