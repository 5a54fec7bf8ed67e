"""What SGLang's own model classes give their heads, read in the sources of a release: `ctq/engines/data/sglang_heads.json`.

    python -m benchmarks.sglang_heads 0.5.23 ENV/lib/python3.11/site-packages/sglang [--compare]

The package `sglang` is read without importing it, as `benchmarks/learn/heads/` reads vLLM's: which classes pass a quantization
config and a name (`named`, and the name in `prefixes`), no name (`nameless`) or no config (`no`). Of the rest (`unread`) nothing is
known: they build no head, or let the config decide. What was measured (`sglang_source.py`) is kept and comes first: names that were
seen, and what loaders do (`untied`, `tied`). `--compare` prints what would change, and writes nothing.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import ROOT
from benchmarks.learn.heads.constructors import Constructors
from benchmarks.learn.heads.rows import heads_in, quant_of
from benchmarks.learn.heads.source_tree import Defined, SourceTree
from benchmarks.learn.heads.values import Head, Module, Quant, Unknown, in_name, options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA: Final = ROOT / "ctq" / "engines" / "data" / "sglang_heads.json"
ANSWERS: Final = ROOT / "tests" / "engines_rules" / "sglang_source.json"
MODELS: Final = "sglang.srt.models"
ENTRIES: Final = "EntryClass"
"""What a module calls the classes that it registers."""
WORDS: Final = ("named", "nameless", "no", "unread")
EMBEDDING: Final = "embedding"
ABOUT: Final = (
    "The heads of SGLang's own model classes, of one release: made by benchmarks/sglang_heads.py from its sources. `named` pass a "
    "quantization config and a name, which is in `prefixes`, `nameless` no name, `no` no config; of the `unread` nothing is known. "
    "What its loader does with heads (`untied`, `tied`) was measured (benchmarks/sglang_source.py), and so were the names of those "
    "architectures; others are taken for common ones."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="the release")
    parser.add_argument("root", type=Path, help="its package's folder")
    parser.add_argument("--compare", action="store_true", help="print what would change, and write nothing")
    options_ = parser.parse_args()
    known = json.loads(DATA.read_text())
    seen = {row["architecture"]: row["prefix"] for row in measured(options_.version) if "prefix" in row}
    headless = known["untied"][EMBEDDING]
    read = {name: given(name, found, headless) for name, found in names_read(options_.root).items()}
    read.update({name: ("named", prefix) for name, prefix in seen.items()})
    compare(known, read)
    if not options_.compare:
        DATA.write_text(json.dumps(table(known, options_.version, read), indent=0) + "\n")


def measured(version: str) -> list[dict[str, Any]]:
    """Return what was seen of each family whose class SGLang has."""
    probes = json.loads(ANSWERS.read_text()).get(version, {}).get("probes", {})
    return [row for row in probes.values() if not row["class"].startswith("Transformers")]


def names_read(root: Path) -> dict[str, list[Head]]:
    """Return the heads that each class that SGLang registers may build; ``root`` is its package's folder."""
    tree = SourceTree(root)
    classes = dict(registered(tree, root))
    return {name: _heads(tree, cls) for name, cls in sorted(classes.items())}


def registered(tree: SourceTree, root: Path) -> Iterator[tuple[str, Defined]]:
    """Yield the classes that the modules of models register."""
    for file in sorted((root / "srt" / "models").glob("*.py")):
        module = f"{MODELS}.{file.stem}"
        entry = tree.meaning(module, ENTRIES)
        if entry is None:
            continue
        if isinstance(entry.node, ast.ClassDef):
            yield entry.name, entry
            continue
        for node in ast.walk(entry.node):
            cls = tree.meaning(module, node.id) if isinstance(node, ast.Name) else None
            if cls is not None:
                yield cls.name, cls


def given(name: str, heads: list[Head], headless: list[str]) -> tuple[str, str]:
    """Return how a head is dispatched, and its name."""
    if not heads:
        return ("no" if name in headless else "unread"), ""
    [(quant, prefix), *others] = {(quant_of(head.quant), in_name(head.prefix)) for head in heads}
    if others or quant == "conditional":
        return "unread", ""
    if quant != "yes":
        return "no", ""
    return ("named" if prefix else "nameless"), prefix


def table(known: Mapping[str, Any], version: str, read: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the data: what is known but for what is read."""
    lists = {word: sorted(name for name, (kind, _) in read.items() if kind == word) for word in WORDS}
    prefixes = defaultdict(list)
    for name, (word, prefix) in sorted(read.items()):
        if word == "named":
            prefixes[prefix].append(name)
    return {**known, "about": ABOUT, "version": version, **lists, "prefixes": dict(sorted(prefixes.items()))}


def compare(known: Mapping[str, Any], read: Mapping[str, tuple[str, str]]) -> None:
    """Print which classes are given otherwise than is stored."""
    stored = {name: word for word in WORDS for name in known[word]}
    agreeing = sum(stored.get(name) == word for name, (word, _) in read.items())
    print(f"{len(read)} classes, {agreeing} as they are stored")
    for name in sorted(stored.keys() | read.keys()):
        word, prefix = read.get(name, ("nothing", ""))
        if stored.get(name) != word:
            print(f"  {name}: {stored.get(name)} is stored, {word} {prefix} is read")


def _heads(tree: SourceTree, cls: Defined) -> list[Head]:
    """Return the heads that a class may build, of text models of several kinds."""
    constructors = Constructors(tree, {}, rooms=(f"{MODELS}.",))
    built = constructors.made(cls, ([], {"config": Unknown("config"), "quant_config": Quant.GIVEN}))
    places = [place for one in options(built) if isinstance(one, Module) for place in heads_in([one])]
    return [place.head for place in places if isinstance(place.head, Head)]


if __name__ == "__main__":
    main()
