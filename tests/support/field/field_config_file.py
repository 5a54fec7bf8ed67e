"""config.json as a file: marks, comments, cut off, twice the same key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from dense_builder import edit_config
from field_kind import add
from field_model import Json, Model


def _text(change: Callable[[str], str], m: Model) -> None:
    def act(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(change(path.read_text()), encoding="utf-8")

    m.after.append(act)


add("config with a mark of bytes", lambda m, d: _text(lambda text: "\ufeff" + text, m))


add("config with a comma too many", lambda m, d: _text(lambda text: text.rstrip()[:-1] + ",}", m))


add("config with a comment", lambda m, d: _text(lambda text: "// merged\n" + text, m))


add("config cut off", lambda m, d: _text(lambda text: text[: len(text) // 2], m))


add("config in a list", lambda m, d: _text(lambda text: f"[{text}]", m))


add("config with a key twice", lambda m, d: _text(lambda text: '{"num_hidden_layers": 99,' + text.lstrip()[1:], m))


add("config in one line", lambda m, d: _text(lambda text: json.dumps(json.loads(text)), m))


add("config with infinity", lambda m, d: m.after.append(lambda folder: edit_config(folder, _infinite)))


def _infinite(config: Json) -> None:
    config["initializer_range"] = float("inf")
