"""Learn how releases of vLLM build the head of every architecture that they register: `ctq/engines/data/vllm_heads.json`.

    python -m benchmarks.learn.vllm_heads --vllm-python ENV/bin/python [--sources 0.30.0=DIR 0.31.0=DIR]

Read is the release that is installed, and others whose package `vllm` lies in a DIR, out of a wheel or a checkout: `model_executor`
and, where there is one, `models`, without importing them (`heads/`). What is read takes the place of what is stored for these
releases, and the rest stays. `--compare` says how far both agree, and what would change, and writes nothing. Half a minute each.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.heads.releases import Rows, in_order, installed, rows_at, spans
from benchmarks.learn.heads.rows import HeadRow, rows_of
from benchmarks.learn.options import script
from ctq.engines.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA: Final = ENGINE_DATA / "vllm_heads.json"
ABOUT: Final = (
    "The head of every architecture that vLLM registers, by version: made by benchmarks/learn/vllm_heads.py from the sources of "
    "its releases (CUDA platform). A row is [first version, last version, prefix that the head is built with, whether the "
    "quantization config reaches it (yes, no, none, conditional, inner: as the inner text model does; null: no head of its own), "
    "whether the target re:.*lm_head$ dispatches it, how it is tied]."
)


def main() -> None:
    parser = script(__doc__, "vllm_python")
    parser.add_argument("--sources", type=_source, nargs="*", default=(), metavar="VERSION=DIR", help="more releases")
    parser.add_argument("--compare", action="store_true", help="print what would change, and write nothing")
    options = parser.parse_args()
    releases = stored()
    for version, folder in (installed(options.vllm_python), *options.sources):
        read = rows_of(folder)
        compare(version, releases.get(version, {}), read)
        releases[version] = read
    if not options.compare:
        DATA.write_text(table(releases))


def stored() -> dict[str, Rows]:
    """Return the rows that are stored, by release."""
    known = json.loads(DATA.read_text())
    return {version: rows_at(known["architectures"], version) for version in known["versions"]}


def table(releases: Mapping[str, Rows]) -> str:
    """Return the data, an architecture a line."""
    architectures = spans(releases)
    kinds = {
        kind: chosen
        for kind, given in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items())
        if (chosen := given if isinstance(given, str) else given[0]) in architectures
    }
    parts = {
        "about": json.dumps(ABOUT),
        "extracted": json.dumps(f"{datetime.now(UTC):%Y-%m}"),
        "versions": json.dumps(in_order(releases)),
        "architectures": _lines(architectures),
        "causal_lm_of_model_type": _lines(kinds),
    }
    return "{\n" + ",\n".join(f'"{key}": {text}' for key, text in parts.items()) + "\n}\n"


def compare(version: str, before: Rows, read: Rows) -> None:
    """Print how many rows are as they are stored, field by field, and those that are not."""
    both = sorted(before.keys() & read.keys())
    agreeing = ", ".join(
        f"{field} {sum(getattr(before[name], field) == getattr(read[name], field) for name in both)}"
        for field in HeadRow._fields
    )
    print(f"vLLM {version}: {len(read)} architectures; of {len(both)} that are stored agree: {agreeing}")
    for name in sorted(before.keys() | read.keys()) if before else ():
        if before.get(name) != read.get(name):
            print(f"  {name}: {_shown(before.get(name))} is stored, {_shown(read.get(name))} is read")


def _lines(rows: Mapping[str, object]) -> str:
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()) + "\n}"


def _shown(row: HeadRow | None) -> str:
    return json.dumps(row) if row else "nothing"


def _source(text: str) -> tuple[str, Path]:
    version, _, folder = text.partition("=")
    version_key(version)
    return version, Path(folder)


if __name__ == "__main__":
    main()
