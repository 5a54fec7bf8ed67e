"""The check of a fresh result, as `ctq quantize` uses it: an exit code, one line, and the object for `--json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctq import events

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found; ``summary`` is what stands under ``verification`` in the JSON summary of a run."""

    exit_code: ExitCode
    line: str
    summary: dict[str, Any]


def check(out: Path, *, head_quantized: bool, on_event: events.OnEvent = events.ignore) -> Checked:
    """Reload a result through the dispatch of serving engines.

    Raises:
        CheckpointError: the result cannot be read.

    """
    from ctq.cli.render.verify import result_line
    from ctq.errors import ExitCode
    from ctq.verify.report import Verdict
    from ctq.verify.result_check import check_result

    report = check_result(out, head_quantized=head_quantized, on_event=on_event)
    found = report.to_json()
    summary = {key: found[key] for key in ("verdict", "expected", "engines", "findings")}
    # That no data tells how this architecture's head is built was a warning of the plan; it does not make the result a bad one.
    code = ExitCode.NOT_GOOD if report.verdict is Verdict.FAIL else ExitCode.GOOD
    return Checked(code, result_line(report), summary | {"logits": found["numeric"]["logits"]})
