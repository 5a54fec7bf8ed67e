"""Every way of breaking a checkpoint gives one finding, of the rule that knows it; what was healthy before gives none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from breakages import BREAKAGES, Breakage
from builders import COMPRESSED, FOREIGN, tiny_checkpoint, tiny_quantized
from report_schema import SCHEMA, check

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, Report, inspect_checkpoint
from ctq.inspect.rules.table import RULES

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = {
    "TEN030": "a note, test_families.py in tests of quantize",
    "TEN032": "of other architectures, test_switches.py",
    "TEN033": "of mixtures of experts, test_layer_kinds.py",
    "TEN034": "of Zamba 2, test_astray.py",
    "HED007": "test_engine_verdicts.py",
    "HED010": "test_engine_verdicts.py",
    "HED011": "test_expectation.py",
    "HED012": "a note on every quantized head",
    "CFG010": "a note, test_notes.py",
    "FIL013": "a note, test_notes.py",
    "FIL014": "a note, test_notes.py",
}
"""Rules that need an option, or that only note something."""


def inspect(folder: Path, *, deep: bool = False) -> Report:
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(deep=deep))


def grave(report: Report) -> list[str]:
    return [finding.code for finding in report.findings if finding.severity is not Severity.NOTE]


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.code)
def test_one_defect_is_one_finding(breakage: Breakage, tmp_path: Path) -> None:
    report = inspect(breakage.make(tmp_path), deep=breakage.deep)
    assert grave(report) == [breakage.code], report.findings
    finding = next(finding for finding in report.findings if finding.code == breakage.code)
    assert finding.hint
    assert finding.message
    check(report.to_json(), SCHEMA)


def test_every_rule_is_exercised() -> None:
    assert {breakage.code for breakage in BREAKAGES} | ELSEWHERE.keys() == {rule.code for rule in RULES}


@pytest.mark.parametrize("head", ["quantized", "dense", "tied"])
@pytest.mark.parametrize("kind", [*COMPRESSED, *FOREIGN])
def test_healthy_checkpoints_yield_nothing(kind: str, head: str, tmp_path: Path) -> None:
    if kind in FOREIGN and head == "quantized":
        pytest.skip("other methods keep their head dense")
    report = inspect(tiny_quantized(tmp_path, kind=kind, head=head), deep=True)  # type: ignore[arg-type]
    # SGLang has no scheme for these on a head; vLLM has.
    refused = head == "quantized" and kind in ("fp8-block", "nvfp4", "mxfp4", "mxfp8")
    unknown = kind.startswith("bnb")  # vLLM 0.32.0 has no bitsandbytes
    assert grave(report) == (["HED010"] if refused else ["CFG024"] if unknown else [])
    assert unknown or report.worst() is not Severity.ERROR
    assert report.facts.head.state == head
    assert all(entry.state != "broken" for entry in report.facts.entries)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_dense_checkpoints_yield_nothing(dtype: str, tied: bool, tmp_path: Path) -> None:
    report = inspect(tiny_checkpoint(tmp_path, dtype=dtype, tied=tied))
    assert report.findings == ()
    assert report.facts.method is None
    assert report.facts.head.state == ("tied" if tied else "dense")
