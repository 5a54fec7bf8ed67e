"""A quantized checkpoint held in the hand: its config and tensors as values, the parts that faults aim at, and writing it back.

Faults are written once and applied to any architecture and scheme, so they ask for "the head" or "a layer of the body" rather than for
names; where a checkpoint has no such thing, `Inapplicable` says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dense_builder import INDEX, edit_tensors, write_index
from raw_safetensors import Raw, read_safetensors, write_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json: TypeAlias = dict[str, Any]
HEAD_LEAVES: Final = ("lm_head", "embed_out", "proj_out", "output")
WEIGHTS: Final = ("weight", "weight_packed")
PARTS: Final = ("weight", "weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "input_scale")
__all__ = ["INDEX", "Inapplicable", "Json", "Model", "Raw", "edit_tensors", "none", "open_model"]


class Inapplicable(Exception):  # noqa: N818  # no error: this fault does not concern this checkpoint
    """The checkpoint has nothing that this fault could break."""


@dataclass
class Model:
    """One folder, read; ``save`` writes config and tensors back, each tensor into the file that it came from."""

    folder: Path
    config: Json
    tensors: dict[str, Raw]
    homes: dict[str, str]

    @property
    def quant(self) -> Json:
        """The ``quantization_config``."""
        found: Json = self.config["quantization_config"]
        return found

    @property
    def groups(self) -> list[Json]:
        """The config groups, in order."""
        return list(self.quant["config_groups"].values())

    @property
    def body_group(self) -> Json:
        """The group whose target is the class of linear layers."""
        return next((group for group in self.groups if group["targets"] == ["Linear"]), None) or none("no body group")

    @property
    def head_group(self) -> Json:
        """The group of the head."""
        return next((group for group in self.groups if "re:.*lm_head$" in group["targets"]), None) or none(
            "no head group"
        )

    @property
    def head(self) -> str:
        """The head's module, quantized."""
        return next((m for m in self.quantized if m.rpartition(".")[2] in HEAD_LEAVES), None) or none(
            "no quantized head"
        )

    @property
    def quantized(self) -> list[str]:
        """Modules that have a scale."""
        return [name.removesuffix(".weight_scale") for name in self.tensors if name.endswith(".weight_scale")]

    @property
    def body(self) -> list[str]:
        """Quantized modules other than the head, sorted."""
        return sorted(m for m in self.quantized if m.rpartition(".")[2] not in HEAD_LEAVES)

    @property
    def embedding(self) -> str:
        """The tensor of the input embedding."""
        pattern = re.compile(r"(?:.*\.)?(embed_tokens|embed_in|wte|word_embeddings|embeddings)\.weight$")
        return next((name for name in self.tensors if pattern.match(name)), None) or none("no embedding")

    def layer(self, *leaves: str) -> str:
        """Return a quantized module of the body with one of these last names, of the first layer that has one."""
        return next((m for leaf in leaves for m in self.body if m.rpartition(".")[2] == leaf), None) or none(
            f"no {' or '.join(leaves)}"
        )

    def down(self) -> str:
        """Return a projection that nothing is fused with."""
        return self.layer("down_proj", "o_proj", "w2", "dense_4h_to_h", "out_proj", "fc2", "dense")

    def expert(self) -> str:
        """Return a projection of an expert."""
        return next((m for m in self.body if ".experts.1." in m), None) or none("no experts")

    def weight(self, module: str) -> str:
        """Return the tensor that holds a module's codes."""
        return next((f"{module}.{part}" for part in WEIGHTS if f"{module}.{part}" in self.tensors), None) or none(
            f"{module} has no weight"
        )

    def parts(self, module: str) -> dict[str, Raw]:
        """Return the tensors of a module by part."""
        return {part: self.tensors[f"{module}.{part}"] for part in PARTS if f"{module}.{part}" in self.tensors}

    def shape(self, module: str) -> tuple[int, int]:
        """Return rows and columns of a module's weight."""
        name = self.weight(module)
        rows, columns = self.tensors[name].shape
        return rows, columns * (4 if name.endswith("packed") else 1)

    def packed(self) -> list[str]:
        """Return the modules that are stored packed."""
        return [m for m in self.quantized if f"{m}.weight_packed" in self.tensors]

    def integers(self) -> list[str]:
        """Return the modules that are stored as int8."""
        return [m for m in self.quantized if f"{m}.weight" in self.tensors]

    def drop(self, *names: str) -> None:
        """Remove tensors."""
        for name in names:
            if self.tensors.pop(name, None) is None:
                none(f"no {name}")

    def drop_module(self, module: str) -> None:
        """Remove all tensors of a module."""
        self.drop(*[name for name in self.tensors if name.rpartition(".")[0] == module])

    def rename(self, change: Callable[[str], str]) -> None:
        """Rename tensors; a change that renames nothing does not apply."""
        renamed = {change(name): raw for name, raw in self.tensors.items()}
        if renamed.keys() == self.tensors.keys():
            none("nothing to rename")
        self.homes = {change(name): home for name, home in self.homes.items()}
        self.tensors = renamed

    def levels(self) -> Iterator[Json]:
        """Yield the config and the text config inside it."""
        yield self.config
        for key in ("text_config", "language_config", "llm_config"):
            if isinstance(self.config.get(key), dict):
                yield self.config[key]

    def text(self, key: str) -> Json:
        """Return the level that holds a key of the text model."""
        return next((level for level in reversed(list(self.levels())) if key in level), None) or none(f"no {key}")

    def save(self) -> None:
        """Write everything back."""
        (self.folder / "config.json").write_text(json.dumps(self.config, indent=2) + "\n")
        paths = sorted(self.folder.glob("*.safetensors"))
        for path in paths:
            part = {
                name: raw for name, raw in self.tensors.items() if self.homes.get(name, paths[-1].name) == path.name
            }
            write_safetensors(path, part, metadata={"format": "pt"})
        if (self.folder / INDEX).exists():
            write_index(self.folder)


def none(why: str) -> Any:
    """Say that a fault does not apply."""
    raise Inapplicable(why)


def open_model(folder: Path) -> Model:
    """Read a folder."""
    tensors: dict[str, Raw] = {}
    homes: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        part = read_safetensors(path)
        tensors |= part
        homes |= dict.fromkeys(part, path.name)
    return Model(folder, json.loads((folder / "config.json").read_text()), tensors, homes)
