"""`ctq inspect`: options in, one report, one view and an exit code out."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import click

from ctq.errors import ExitCode, UsageError
from ctq.findings import Severity

if TYPE_CHECKING:
    from ctq.inspect.report import InspectOptions, Report

_FAIL_ON = ("error", "warning", "never")


@click.command(name="inspect")
@click.argument("checkpoint")
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option("--modules", "unfolded", is_flag=True, help="List every module instead of folding repeated layers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--fail-on",
    type=click.Choice(_FAIL_ON),
    default="error",
    show_default=True,
    help="Exit with 1 when a finding is that grave, or graver.",
)
@click.option("--expect-lm-head", type=click.Choice(["quantized", "dense"]), help="Exit with 1 if the head is not so.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME[==VERSION]",
    help="vllm, sglang or transformers; repeatable. [default: the newest known of each]",
)
@click.option("--select", multiple=True, metavar="CODE", help="Only these rules, a prefix names a family; repeatable.")
@click.option("--ignore-rule", multiple=True, metavar="CODE", help="Not these rules; repeatable.")
@click.option("--deep", is_flag=True, help="Read scales, norms and samples too.")
@click.option("--diff", "other", metavar="CHECKPOINT", help="Show what is different in another checkpoint.")
def command(checkpoint: str, **options: Any) -> int:  # noqa: ANN401  # as click passes them
    """Show what CHECKPOINT, a local folder, a file or a hub id, really contains, and what is wrong with it.

    Reads headers, index and config alone. An error is what the newest vLLM refuses or serves wrong; what
    becomes of the head is judged for each --engine.

    Exit codes: 0 good, 1 a finding as grave as --fail-on, or another head than expected, 2 usage, 3 could not read it.
    """
    gc.disable()  # one short pass over many small objects: nothing to collect, much to go through
    report = _inspect(checkpoint, options["revision"], _options(options))
    if options["other"] is not None:
        return _show_diff(report, _inspect(options["other"], None, _options(options)), as_json=options["as_json"])
    _show(report, unfolded=options["unfolded"], as_json=options["as_json"])
    return exit_code(report, options["fail_on"])


def exit_code(report: Report, fail_on: str) -> int:
    """Return 1 when a finding is as grave as ``fail_on``, or when the head is not what was expected of it."""
    worst = report.worst()
    limit = None if fail_on == "never" else Severity(fail_on)
    is_bad = limit is not None and worst is not None and worst.rank <= limit.rank
    return ExitCode.NOT_GOOD if is_bad or not report.facts.as_expected else ExitCode.GOOD


def _options(options: dict[str, Any]) -> InspectOptions:
    from ctq.inspect.report import InspectOptions
    from ctq.inspect.rules.check import Selection

    return InspectOptions(
        engines=tuple(_engine(word) for word in options["engines"]),
        selection=Selection(select=_codes(options["select"]), ignore=_codes(options["ignore_rule"])),
        expect_lm_head=options["expect_lm_head"],
        deep=options["deep"],
    )


def _codes(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code.strip() for word in words for code in word.split(",") if code.strip())


def _engine(word: str) -> Any:  # noqa: ANN401  # EngineRequest, imported only here
    from ctq.cli.releases import note_newer
    from ctq.inspect.facts.engines import EngineRequest

    name, equals, version = word.partition("==")
    if equals and not version:
        raise UsageError(f"--engine {word}: no version after ==", hint="write --engine vllm==0.32.0")
    request = EngineRequest(name.strip().lower(), version.strip() or None)
    note_newer(request.engine, request.version)
    return request


def _inspect(name: str, revision: str | None, options: InspectOptions) -> Report:
    from ctq.checkpoint.checkpoint import open_checkpoint
    from ctq.checkpoint.hub import open_source
    from ctq.inspect.report import inspect_checkpoint

    return inspect_checkpoint(open_checkpoint(open_source(name, revision=revision)), options)


def _show(report: Report, *, unfolded: bool, as_json: bool) -> None:
    if as_json:
        _print_json(report.to_json())
        return
    from ctq.cli.console import show, width
    from ctq.cli.render.inspect import report_view

    show(report_view(report, width(), unfolded=unfolded))


def _show_diff(before: Report, after: Report, *, as_json: bool) -> int:
    from ctq.inspect.diff import compare

    difference = compare(before, after)
    if as_json:
        _print_json(difference.to_json())
        return ExitCode.GOOD
    from ctq.cli.console import show, width
    from ctq.cli.render.diff import difference_view

    show(difference_view(difference, width()))
    return ExitCode.GOOD


def _print_json(value: dict[str, Any]) -> None:
    from ctq.cli.render.json_lines import json_lines

    click.echo("\n".join(json_lines(value)))
