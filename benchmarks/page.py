"""Write the tables and plots of docs/benchmarks.md anew from the raw results, so that page and numbers never differ.

python -m benchmarks.page
"""

from __future__ import annotations

import argparse
import json
import re
from typing import Any, Final

from benchmarks import RESULTS, ROOT
from benchmarks.plots import bars, lines
from benchmarks.suites import SUITES

PAGE: Final = ROOT / "docs" / "benchmarks.md"
PLOTTED: Final = ("side-by-side", "schemes", "verify")
GROWTH: Final = ("growth-1gb", "growth-3gb", "growth-10gb")
_SECTION: Final = re.compile(r"(<!-- results: (?P<names>[^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(record: dict[str, Any]) -> str:
    """Render a suite's summary as Markdown."""
    first = record["summary"][0]["name"]
    lines = [
        f"{record['title']}:",
        "",
        f"| | runs | median | range | x `{first}` | CPU | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['runs']} | {row['median_s']:.2f} s | {row['min_s']:.2f}-{row['max_s']:.2f} s "
        f"| {row['ratio']:.2f} | {row['cpu_s']:.2f} s | {row['peak_mb']} MB |"
        for row in record["summary"]
    ]
    return "\n".join(lines)


def machine_words(records: dict[str, Any]) -> str:
    """Say what the numbers were taken on, and how busy it was with other things."""
    machines = [record["machine"] for record in records.values()]
    cores, cpu, memory, kernel = (machines[0][key] for key in ("cores", "cpu", "memory_gb", "kernel"))
    loads = [machine["load"] for machine in machines if "load" in machine]
    busy = f"; load average before each comparison {min(loads)} to {max(loads)}" if loads else ", beside other work"
    return f"{cores} cores ({cpu}), {memory:.0f} GB of memory, Linux {kernel}{busy}."


def main() -> None:
    paths = {suite.name: RESULTS / f"{suite.name}.json" for suite in SUITES}
    records = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}

    def section(found: re.Match[str]) -> str:
        parts = [text for name in found["names"].split() if (text := render(name, records))]
        body = "\n\n".join(parts)
        return f"{found[1]}{body}\n{found[3]}" if parts else found[0]

    PAGE.write_text(_SECTION.sub(section, PAGE.read_text()))
    images = PAGE.parent / "images"
    images.mkdir(exist_ok=True)
    for name in PLOTTED:
        if name in records:
            (images / f"{name}.svg").write_text(bars(records[name]))
    grown = [records[name] for name in GROWTH if name in records]
    if grown:
        (images / "growth.svg").write_text(lines("Seconds over the size of the source, W8A8 with the head", grown))


def render(name: str, records: dict[str, Any]) -> str:
    """Return what stands for one name of a section: the machine, or a suite's table."""
    if name == "machine":
        return machine_words(records) if records else ""
    return table(records[name]) if name in records else ""


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
