"""Write docs/architectures.md: what the real vLLM and ctq made of every architecture and variant, from the stored sweeps.

python -m benchmarks.conformance.architectures_page > docs/architectures.md
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from benchmarks import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SCHEMES: Final = ("W8A8", "W8A16", "mixed", "no head", "no head W8A16", "head only")
GOOD: Final = ("quantized", "dense")
WORDS: Final = ("quantized", "dense", "refused", "**disagrees**", "garbage", "undecided", "not judged")
Row = dict[str, Any]
INTRODUCTION: Final = """# Architectures, loaded for real

Tiny checkpoints of every architecture that could be built are quantized six ways by `ctq quantize` and loaded by the real vLLM
0.32.0 without bytes: every name taken, every element loaded, nothing converted, the head as promised; `ctq inspect` and
`ctq verify --engine builtin` must say the same. What vLLM does not load dense is not judged. What `ctq` refuses to write is
written all the same where an option allows it, to see whether the refusal is right. `python -m benchmarks.conformance
architectures` runs the sweep, with `--variants N` on mutated configs; `benchmarks/conformance/architectures_page.py` writes this
page from the stored answers.

- *quantized*: the whole model loads, its head dispatched; *dense*: the whole model loads, its head as it was.
- *refused*: `ctq quantize` refuses, for vLLM would not serve it (the head cannot be quantized, or no group divides the weights).
- **disagrees**: promise, engine and verdicts are not the same; listed below.
"""
NOT_JUDGED: Final = """Not judged, because vLLM 0.32.0 does not load the dense checkpoint here (no class, an image processor that is
missing, a kernel, or numbers that do not fit):
"""
MUTATED: Final = """What was mutated is in `tests/support/models/variant_fields.py`; variants that vLLM does not load dense, mostly
sizes that do not go together, are not judged.
"""


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a stored sweep; what a row leaves out is empty."""
    empty = {"promise": "", "refusal": "", "truth": "", "why": "", "wrong": []}
    return [empty | row for row in json.loads(path.read_text())] if path.exists() else []


def outcome_of(row: Row) -> str:
    """Return the word for one result."""
    if row["wrong"]:
        return "**disagrees**"
    if not row["promise"] or "no known engine dispatches" in row["refusal"]:
        return "refused"
    return str(row["truth"]) or "not judged"


def outcomes() -> dict[str, dict[str, str]]:
    """Return the outcomes of each architecture that was judged, by scheme: the first family's, unless another disagrees."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in read_rows(RESULTS / "architectures.json"):
        if row["dense"] in GOOD:
            known = found[row["architecture"]]
            word = outcome_of(row)
            if word.startswith("*") or row["scheme"] not in known:
                known[row["scheme"]] = word
    return dict(sorted(found.items()))


def page() -> str:
    """Return the whole page."""
    families, variants = read_rows(RESULTS / "architectures.json"), read_rows(RESULTS / "variants.json")
    judged = [[name, *(words.get(scheme, "") for scheme in SCHEMES)] for name, words in outcomes().items()]
    disagreements = "\n".join(_disagreements([*families, *variants])) or "None."
    sections = [
        INTRODUCTION,
        f"## Architectures\n\n{_counts(families)}\n",
        _table(("architecture", *SCHEMES), judged),
        NOT_JUDGED,
        _table(("architecture", "what vLLM says"), _not_judged(families)),
        f"## Variants of configs\n\n{_counts(variants)} {MUTATED}",
        f"## Disagreements\n\n{disagreements}",
    ]
    return "\n".join(sections) + "\n"


def _counts(rows: Sequence[Row]) -> str:
    words = Counter(outcome_of(row) if row["dense"] in GOOD else "not judged" for row in rows)
    said = ", ".join(f"{words[word]} {word}" for word in WORDS if words[word])
    names, architectures = (len({row[key] for row in rows}) for key in ("family", "architecture"))
    return f"{len(rows)} results of {names} checkpoints, {architectures} architectures: {said}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def _not_judged(rows: Iterable[Row]) -> list[tuple[str, str]]:
    judged = outcomes()
    reasons = {row["architecture"]: row["dense"] for row in rows if row["dense"] not in GOOD}
    return sorted((name, _plain(why)) for name, why in reasons.items() if name not in judged)


def _plain(why: str) -> str:
    text = (
        why.replace("|", "/").replace("\n", " ").split(" The available parameters")[0].split(". If you were trying")[0]
    )
    return " ".join("..." if word.startswith(("/", "'/")) else word for word in text[:140].split())


def _disagreements(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if row["wrong"]:
            kinds = "; ".join(dict.fromkeys(_plain(wrong) for wrong in row["wrong"]))
            yield f"- {row['family']}, {row['scheme']}: {kinds}. vLLM: {row['truth']}, {_plain(row['why'])}"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(page(), end="")
