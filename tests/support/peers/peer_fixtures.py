"""What other tools wrote, kept as headers: real outputs of llm-compressor and compressed-tensors without their weights.

``capture`` turns a folder into one small JSON value, ``materialise`` turns that back into a folder with made-up weights.
The stored ones are remade by ``benchmarks/peers/llm_compressor_outputs.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from raw_safetensors import ITEM_BITS, Header, Raw, from_floats, read_file, write_file

Fixture: TypeAlias = dict[str, Any]
FOLDER: Final = Path(__file__).parent / "peer_headers"
INDEX: Final = "model.safetensors.index.json"
OUTCOMES: Final = Path(__file__).parent / "peer_outcomes.json"
"""What the real vLLM made of each, by ``benchmarks/peers/engine_outcomes.py``."""
FIXTURES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))
"""Names of the stored outputs: TOOL-SOURCE-SCHEME-HEAD."""


def load_fixture(name: str) -> Fixture:
    """Return one stored output; its ``made_by`` says with what."""
    loaded: Fixture = json.loads((FOLDER / f"{name}.json").read_text())
    return loaded


def load_outcomes() -> dict[str, Any]:
    """Return the real engine's outcome of each stored output: ``outcome``, ``heads``, ``error``."""
    loaded: dict[str, Any] = json.loads(OUTCOMES.read_text())["outcomes"]
    return loaded


def capture(folder: Path, made_by: dict[str, Any]) -> Fixture:
    """Take config, index and headers of ``folder``, and the values of ``weight_shape``, which no header tells."""
    files: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        header, data = read_file(path)
        metadata = header.pop("__metadata__", None)
        rows = [[name, entry["dtype"], entry["shape"], *_values(entry, data)] for name, entry in header.items()]
        files[path.name] = {"metadata": metadata, "tensors": rows}
    fixture = {"made_by": made_by, "config": json.loads((folder / "config.json").read_text()), "files": files}
    if (folder / INDEX).exists():
        fixture["index"] = json.loads((folder / INDEX).read_text())
    return fixture


def store(fixture: Fixture, path: Path) -> None:
    """Write a fixture with one tensor to a line, so that a difference can be read."""
    files = ",\n".join(
        f'"{name}": {{"metadata": {json.dumps(file["metadata"])}, "tensors": [\n'
        + ",\n".join(json.dumps(row) for row in file["tensors"])
        + "\n]}"
        for name, file in fixture["files"].items()
    )
    parts = [f'"{key}": {json.dumps(value, indent=1)}' for key, value in fixture.items() if key != "files"]
    path.write_text("{\n" + ",\n".join([*parts, f'"files": {{\n{files}\n}}']) + "\n}\n")


def materialise(fixture: str | Fixture, folder: Path) -> Path:
    """Write the folder of a stored output: same config, index and headers, plausible weights."""
    content = load_fixture(fixture) if isinstance(fixture, str) else fixture
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content["config"], indent=2) + "\n")
    if "index" in content:
        (folder / INDEX).write_text(json.dumps(content["index"], indent=2) + "\n")
    for name, file in content["files"].items():
        header: Header = {"__metadata__": file["metadata"]} if file["metadata"] else {}
        data = b""
        for tensor, dtype, shape, *values in file["tensors"]:
            raw = _made_up(dtype, tuple(shape), values)
            header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw.data)]}
            data += raw.data
        write_file(folder / name, header, data)
    return folder


def _values(entry: dict[str, Any], data: bytes) -> list[int]:
    if entry["dtype"] != "I64":
        return []
    values: list[int] = np.frombuffer(data[slice(*entry["data_offsets"])], "<i8").tolist()
    return values


def _made_up(dtype: str, shape: tuple[int, ...], values: list[int]) -> Raw:
    """Small positive numbers for floats (a scale must not be zero), the stored values, or any bits."""
    if values:
        return Raw(dtype, shape, np.array(values, "<i8").tobytes())
    if dtype in {"BF16", "F16", "F32"}:
        return from_floats(np.full(shape, 0.01, np.float32), dtype)
    size = int(np.prod(shape)) * ITEM_BITS[dtype] // 8
    return Raw(dtype, shape, bytes([0x38]) * size)
