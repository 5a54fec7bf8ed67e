"""Cases for the fuzzer: a folder in which something was changed by somebody who means harm, and a command to run on it.

A case is files and a command line. ``MODEL`` is the changed checkpoint, ``GOOD`` the healthy one that it was made from, ``OUT`` where
a result goes, ``RECIPE`` a recipe file.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hostile_values import changed_json, damaged, json_bytes, names, texts, values
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL: Final = ".ctq-journal"
RECIPES: Final = (
    {"scheme": "W8A16", "group_size": 32, "lm_head": {"include": True, "scheme": "W8A8"}, "ignore": ["re:.*mlp.*"], "observer": "mse"},
    {"groups": [{"targets": ["Linear"], "scheme": "W8A8"}, {"targets": ["re:.*mlp.*"], "scheme": "W8A16"}], "lm_head": False},
    {"default_stage": {"default_modifiers": {"QuantizationModifier": {"targets": ["Linear"], "scheme": "W8A8", "ignore": ["lm_head"]}}}},
)  # fmt: skip
INSPECTIONS: Final = (
    ["inspect", "MODEL"],
    ["inspect", "MODEL", "--json", "--deep"],
    ["inspect", "MODEL", "--deep", "--modules"],
    ["inspect", "MODEL", "--diff", "GOOD"],
    ["inspect", "GOOD", "--diff", "MODEL", "--json"],
)
RUNS: Final = (
    ["quantize", "MODEL", "--dry-run", "--include-lm-head"],
    ["quantize", "MODEL", "--dry-run", "--json", "--scheme", "W8A16"],
    ["quantize", "MODEL", "-o", "OUT", "--include-lm-head", "--no-verify"],
    ["quantize", "MODEL", "-o", "OUT", "--include-lm-head", "--scheme", "W8A16", "--no-verify", "--json", "--max-shard-size", "100KB"],
    ["quantize", "MODEL", "-o", "OUT", "--include-lm-head"],
)  # fmt: skip
PROOFS: Final = (
    ["verify", "MODEL", "--engine", "builtin", "--tokens", "4"],
    ["verify", "MODEL", "--engine", "builtin", "--reference", "GOOD", "--json", "--tokens", "4"],
)
RESUMES: Final = (
    ["quantize", "MODEL", "-o", "OUT", "--include-lm-head", "--no-verify", "--resume"],
    ["quantize", "MODEL", "-o", "OUT", "--include-lm-head", "--no-verify"],
    ["quantize", "MODEL", "-o", "OUT", "--include-lm-head", "--no-verify", "--force"],
)


@dataclass(frozen=True, slots=True)
class Odd:
    """A file that is none: a ``link`` to ``target``, a ``fifo`` or a ``folder``."""

    kind: str
    target: str = ""


Files = dict[str, "bytes | Odd"]


@dataclass(slots=True)
class Case:
    """The changed checkpoint, what an unfinished run left at the output, the recipe file, and the command line."""

    base: str
    files: Files
    arguments: list[str]
    recipe: bytes | None = None
    partial: Files = field(default_factory=dict)


@st.composite
def cases(draw: st.DrawFn, bases: Mapping[str, Mapping[str, bytes]]) -> Case:
    """Draw a case; ``bases`` are the healthy folders by name, each with a folder of its own ``NAME.partial`` or without."""
    kind = draw(st.sampled_from(("inspect", "inspect", "run", "run", "recipe", "proof", "resume")))
    base = draw(st.sampled_from([name for name in bases if _suits(name, kind)]))
    files: Files = dict(bases[base])
    if kind == "recipe":
        return Case(base, files, _with_recipe(draw(st.sampled_from(RUNS[:3]))), recipe=draw(recipes()))
    if kind == "resume":
        partial = draw(changed_files(bases[f"{base}.partial"], most=2))
        return Case(base, files, list(draw(st.sampled_from(RESUMES))), partial=partial)
    table = {"inspect": INSPECTIONS, "run": RUNS, "proof": PROOFS}[kind]
    arguments = draw(st.sampled_from(table)) + draw(_more_options(kind))
    return Case(base, draw(changed_files(files, most=3)), arguments)


def _suits(base: str, kind: str) -> bool:
    is_dense = base.startswith("dense")
    return not base.endswith(".partial") and {"recipe": is_dense, "resume": base == "dense", "proof": not is_dense}.get(
        kind, True
    )


def _with_recipe(arguments: list[str]) -> list[str]:
    return [*arguments, "--recipe", "RECIPE"]


@st.composite
def _more_options(draw: st.DrawFn, kind: str) -> list[str]:
    if kind != "run" or draw(st.booleans()):
        return []
    return [
        draw(st.sampled_from(("--ignore", "--target", "--lm-head-scheme", "--scheme"))),
        draw(texts.filter(_is_argument)),
    ]


def _is_argument(text: str) -> bool:
    return "\0" not in text and text.isprintable()


@st.composite
def recipes(draw: st.DrawFn) -> bytes:
    """Draw a recipe file: a good one changed as data, or as text."""
    value = draw(st.sampled_from(RECIPES))
    if draw(st.booleans()):
        return json_bytes(draw(changed_json(value)))
    return draw(damaged(json.dumps(value, indent=1).encode()))


@st.composite
def changed_files(draw: st.DrawFn, files: Mapping[str, bytes | Odd], *, most: int) -> Files:
    """Change one to ``most`` files of a folder."""
    changed: Files = dict(files)
    for _ in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(sorted(changed) or ["config.json"]))
        content = changed.get(name, b"{}")
        action = draw(st.sampled_from(("content",) * 8 + ("odd", "remove", "rename", "extra")))
        if action == "content" and isinstance(content, bytes):
            changed[name] = draw(_changed_content(name, content))
        elif action == "odd":
            changed[name] = draw(odd_files())
        elif action == "remove":
            changed.pop(name, None)
        elif action == "rename":
            changed[draw(file_names())] = changed.pop(name, b"")
        else:
            changed[draw(file_names())] = draw(st.sampled_from((content, b"", b"{}", b"\x80\x04.")) | odd_files())
    return changed


def odd_files() -> st.SearchStrategy[Odd]:
    """Return what may lie in the place of a file."""
    targets = (
        "/dev/zero",
        "/etc/passwd",
        "nowhere",
        "model.safetensors",
        ".",
        "..",
        "config.json",
        "../GOOD/config.json",
    )
    return st.sampled_from((Odd("fifo"), Odd("folder"), *(Odd("link", target) for target in targets)))


def file_names() -> st.SearchStrategy[str]:
    """Return names that a file system takes."""
    suffixes = st.sampled_from(("", ".safetensors", ".json", ".bin", ".py", ".index.json", ".txt"))
    stems = st.sampled_from(
        ("model", "model-00001-of-00002", "config", "tokenizer", "ctq", "a b", "\x1b[31m", "-o", "é", "e\u0301", "x\n")
    )
    return st.builds(lambda stem, suffix: f"{stem}{suffix}" if stem or suffix else "x", stems, suffixes)


@st.composite
def _changed_content(draw: st.DrawFn, name: str, content: bytes) -> bytes:
    if name == JOURNAL:
        return draw(_changed_journal(content))
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(content[:4096])) + content[4096:]
    if name.endswith(".safetensors"):
        return draw(changed_header(content))
    value = _parsed(content)
    return draw(damaged(content)) if value is None else json_bytes(draw(changed_json(value)))


def _parsed(content: bytes) -> Any:
    """Return the JSON of ``content``, None where an earlier change left none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


@st.composite
def changed_header(draw: st.DrawFn, content: bytes) -> bytes:
    """Change the header of a safetensors file as data: entries that lie, names that are none, lengths that do not fit."""
    (length,) = struct.unpack("<Q", content[:8].ljust(8, b"\0"))
    header = _parsed(content[8 : 8 + length])
    if header is None:
        return draw(damaged(content))
    body = content[8 + length :]
    header = draw(_changed_entries(header) if isinstance(header, dict) and header else changed_json(header))
    text = json_bytes(header)
    lie = draw(st.sampled_from((0,) * 9 + (1, -1, 1 << 30, 1 << 62)))
    return struct.pack("<Q", max(0, len(text) + lie)) + text + body


@st.composite
def _changed_entries(draw: st.DrawFn, header: dict[str, Any]) -> dict[str, Any]:
    changed = dict(header)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(changed) or [""]))
        action = draw(st.sampled_from(("rename", "rename", "field", "reshape", "empty", "anything")))
        entry = changed.get(name)
        if action == "rename":
            changed = {(draw(names) if key == name else key): value for key, value in changed.items()}
        elif action == "field" and isinstance(entry, dict):
            changed[name] = entry | {draw(st.sampled_from(("dtype", "shape", "data_offsets", "x"))): draw(values)}
        elif action == "reshape" and isinstance(entry, dict) and isinstance(entry.get("shape"), list):
            changed[name] = entry | {"shape": draw(_same_size(entry["shape"]))}
        elif action == "empty":
            changed[draw(names)] = {
                "dtype": "F32",
                "shape": [0, draw(st.sampled_from((0, 1, 1 << 40)))],
                "data_offsets": [0, 0],
            }
        else:
            changed[name] = draw(values)
    return changed


@st.composite
def _same_size(draw: st.DrawFn, shape: list[Any]) -> list[Any]:
    """Spell a shape in another way that needs as many bytes."""
    return draw(st.sampled_from((shape[::-1], [1, *shape], [*shape, 1], [*shape, 1, 1], [1] * 9 + shape)))


@st.composite
def _changed_journal(draw: st.DrawFn, content: bytes) -> bytes:
    head, _, rest = content.partition(b"\n")
    choice = draw(st.integers(0, 3))
    if choice == 0:
        return draw(damaged(content))
    if choice == 1:
        return json_bytes(draw(changed_json(_parsed(head)))) + b"\n" + rest
    lines = draw(
        st.lists(
            st.sampled_from((b"0", b"1", b"-1", b"999999999999", b"9" * 5000, b"", b"\0", b" 3 ", b"1_0", b"\xd9\xa1")),
            max_size=6,
        )
    )
    return head + b"\n" + b"\n".join(lines) + draw(st.sampled_from((b"", b"\n")))
