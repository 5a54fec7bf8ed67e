"""Write docs/faults.md: what the real vLLM and ctq made of every broken checkpoint, from the outcomes stored beside the tests.

python -m benchmarks.conformance.faults_page > docs/faults.md
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from faults import FAULTS
from sweep_outcomes import Outcomes, read_outcomes
from sweep_truth import Truth

from benchmarks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sweep_faults import Case

PAGE: Final = ROOT / "docs" / "faults.md"
COLUMNS: Final = (Truth.QUANTIZED, Truth.DENSE, Truth.REFUSED, Truth.GARBAGE, Truth.UNDECIDED)
CAUSES: Final[Mapping[str, str]] = {
    "activations-added": "a scheme of one kernel package alone, whose arithmetic is not run here; `ctq verify` leaves it open",
    "num-bits-4": "8-bit codes declared as 4: it loads, and no load without bytes shows what is computed; left open",
}
"""Why a disagreement stays, by fault."""
INTRODUCTION: Final = """# Broken checkpoints

Healthy checkpoints, quantized by `ctq` in several files, are broken in {faults} ways (`tests/support/faults/faults*.py`): what a
tool, a script, a hand or a bad copy leaves in the config, in names, tensors, index and files. Each case is loaded by the real vLLM
0.32.0 without bytes and judged by `ctq inspect` and `ctq verify`, which must agree: an error where vLLM refuses the checkpoint or
serves garbage (elements never loaded, values converted, tensors read in part) or not the head that the config promises, and none
where it serves all of it right. `python -m benchmarks.conformance faults --write` runs the sweep and writes this page.

A *false pass* is a command that says nothing of what vLLM refuses or serves wrong, a *false alarm* an error about what it serves
right, *open* a `ctq verify` that ends inconclusive (exit code 3) about what vLLM serves right.
"""
_KEYS: Final = ("cases", *COLUMNS, "false pass", "false alarm", "open")


def page(outcomes: Outcomes) -> str:
    """Return the whole page."""
    sections = [INTRODUCTION.format(faults=len({fault for case in outcomes.truths for fault in case.faults}))]
    sections.append(f"## By part\n\n{_table('part', _by_part(outcomes), outcomes)}")
    sections.append(f"## By base\n\n{_table('base', _by_base(outcomes), outcomes)}")
    sections.append(f"## Disagreements\n\n{_disagreements(outcomes)}")
    sections.append(f"## By fault\n\nAlone, over all bases.\n\n{_table('fault', _by_fault(outcomes), outcomes)}")
    return "\n".join(sections)


def _by_part(outcomes: Outcomes) -> Iterator[tuple[str, list[Case]]]:
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in outcomes.truths:
        kind = "healthy" if not case.faults else "pairs" if len(case.faults) > 1 else FAULTS[case.faults[0]].part
        cases[kind].append(case)
    yield from cases.items()


def _by_base(outcomes: Outcomes) -> Iterator[tuple[str, list[Case]]]:
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in outcomes.truths:
        cases[f"{case.family}, {case.scheme}"].append(case)
    yield from sorted(cases.items())


def _by_fault(outcomes: Outcomes) -> Iterator[tuple[str, list[Case]]]:
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in outcomes.truths:
        if len(case.faults) == 1:
            cases[case.faults[0]].append(case)
    yield from ((name, cases[name]) for name in FAULTS if name in cases)


def _table(what: str, rows: Iterable[tuple[str, list[Case]]], outcomes: Outcomes) -> str:
    head = [what, "cases", *COLUMNS, "false passes", "false alarms", "open"]
    lines = [_line(head), "|---" * len(head) + "|"]
    total: Counter[str] = Counter()
    for name, cases in rows:
        counts = _counts(cases, outcomes)
        total += counts
        lines.append(_line([name, *(str(counts[key] or "") for key in _KEYS)]))
    if what == "part":
        lines.append(_line(["all", *(str(total[key]) for key in _KEYS)]))
    return "\n".join(lines) + "\n"


def _counts(cases: list[Case], outcomes: Outcomes) -> Counter[str]:
    """Count outcomes; a case in which several commands disagree alike counts once."""
    counts: Counter[str] = Counter(cases=len(cases))
    for case in cases:
        counts[outcomes.truths[case]] += 1
        counts.update({kind for _, kind in outcomes.disagreements.get(case, ())})
    return counts


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _disagreements(outcomes: Outcomes) -> str:
    if not outcomes.disagreements:
        return "None.\n"
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for case, found in outcomes.disagreements.items():
        cause = next((CAUSES[fault] for fault in case.faults if fault in CAUSES), "not known")
        kinds = "; ".join(dict.fromkeys(f"{kind}: {command}" for command, kind in found))
        rows["+".join(case.faults) or "healthy", outcomes.truths[case], kinds, cause].append(
            f"{case.family} {case.scheme}"
        )
    head = ["fault", "bases", "vLLM", "ctq", "cause"]
    lines = [
        _line([fault, ", ".join(bases), truth, kinds, cause]) for (fault, truth, kinds, cause), bases in rows.items()
    ]
    return "\n".join([_line(head), "|---" * len(head) + "|", *lines]) + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(page(read_outcomes()), end="")
