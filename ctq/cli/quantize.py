"""`ctq quantize`: options in, one plan, one run, one summary out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctq.checkpoint.shards import DEFAULT_SHARD_SIZE, parse_size
from ctq.cli.console import show, width
from ctq.cli.signals import Terminated
from ctq.errors import ExitCode
from ctq.quantize.job import Job, default_workers
from ctq.recipe.recipe import OBSERVERS
from ctq.recipe.schemes import DEFAULT_SCHEME, SCHEMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.quantize.plan import Plan

_SCHEME = "|".join(SCHEMES)


class _WithOutput(click.Command):
    """A command with one argument, whose second folder is an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say of a folder that is given as an argument how it is given."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "extra argument" not in error.message:
                raise
            raise click.UsageError(f"{error.message}. The output folder is given with -o.", ctx) from error


@click.command(name="quantize", cls=_WithOutput)
@click.argument("model")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Output folder. [default: ./NAME-SCHEME[-lm_head]]"
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option("--include-lm-head", "head_in", is_flag=True, help="Quantize the head.")
@click.option("--exclude-lm-head", "head_out", is_flag=True, help="Leave the head dense, and say so in the config.")
@click.option("--scheme", metavar=_SCHEME, help=f"How linear layers are stored. [default: {DEFAULT_SCHEME}]")
@click.option("--lm-head-scheme", metavar=_SCHEME, help="Another scheme for the head.")
@click.option("--strategy", type=click.Choice(["channel", "group"]), help="One scale per row, or per group of columns.")
@click.option("--group-size", type=int, help="Columns that share a scale: 32, 64 or 128.")
@click.option("--asymmetric", is_flag=True, help="With zero points, where the scheme allows it.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="PATTERN",
    help="Name, class or re: pattern; repeatable. [default: Linear]",
)
@click.option(
    "--ignore", multiple=True, metavar="PATTERN", help="Name, class or re: pattern to leave dense; repeatable."
)
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help="YAML: ours, or llm-compressor's.")
@click.option("--observer", type=click.Choice(OBSERVERS), help="How scales are chosen. [default: minmax]")
@click.option(
    "--max-shard-size", default=DEFAULT_SHARD_SIZE, show_default=True, metavar="SIZE", help="Largest output file."
)
@click.option("--allow-unsupported-head", is_flag=True, help="Go on although no known engine dispatches this head.")
@click.option("--dry-run", is_flag=True, help="Print the plan; write nothing.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option("--force", is_flag=True, help="Replace an existing output once the new one is whole.")
@click.option("--fsync", is_flag=True, help="Wait for the disk before publishing: safe against power loss too.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads. [default: one per core]")
@click.option("--no-verify", is_flag=True, help="Skip the dispatch check of the result.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary; errors only.")
def command(model: str, **options: Any) -> int:  # noqa: ANN401  # as click passes them
    """Quantize the dense checkpoint MODEL, a local folder or a hub id, to INT8 compressed-tensors.

    Without --include-lm-head or --exclude-lm-head, and without a recipe that decides, the head stays dense. The result is
    checked by the rules of the newest known vLLM; `ctq verify` proves more.

    Exit codes: 0 good, 1 the head is impossible here or the result fails its check, 2 usage, 3 could not do it.
    """
    from ctq.checkpoint.checkpoint import open_checkpoint
    from ctq.checkpoint.hub import obtain
    from ctq.cli.effective_recipe import effective_recipe
    from ctq.quantize.plan import build_plan
    from ctq.quantize.side_files import side_files

    recipe = effective_recipe(options)
    obtained = obtain(model, side_files, revision=options["revision"], show_progress=_shows_progress(options))
    plan = build_plan(
        open_checkpoint(obtained.folder),
        recipe,
        max_shard_size=parse_size(options["max_shard_size"]),
        allow_unsupported_head=options["allow_unsupported_head"],
    )
    if options["dry_run"]:
        return _show_plan(plan, as_json=options["as_json"])
    job = Job(
        source=obtained.folder.path,
        out=options["output"] or default_output(model, plan),
        model=model if obtained.commit else obtained.folder.path.resolve().name,
        revision=obtained.commit,
        workers=options["workers"] or default_workers(),
        force=options["force"],
        resume=options["resume"],
        fsync=options["fsync"],
    )
    return _run(plan, job, options)


def _show_plan(plan: Plan, *, as_json: bool) -> int:
    from ctq.cli.render.plan import plan_view
    from ctq.quantize.report import plan_json

    if as_json:
        _show_json(plan_json(plan))
    else:
        show(plan_view(plan, width()))
    return ExitCode.GOOD


def _run(plan: Plan, job: Job, options: Mapping[str, Any]) -> int:
    from ctq.cli.progress import progress
    from ctq.cli.render.summary import summary_view
    from ctq.quantize.report import summary_json
    from ctq.quantize.run import run_plan
    from ctq.quantize.stage import stage_of

    try:
        with progress(quiet=not _shows_progress(options)) as on_event:
            done = run_plan(plan, job, on_event=on_event)
    except (KeyboardInterrupt, Terminated) as stop:
        if (kept := stage_of(job.out).work).exists():
            stop.add_note(f"{kept} keeps what is done: continue with --resume")
        raise
    summary = summary_json(plan, job, done)
    code, line = _verify(plan, job, summary, options) if not options["no_verify"] else (ExitCode.GOOD, None)
    if options["as_json"]:
        _show_json(summary)
    elif not options["quiet"]:
        show(summary_view(plan, summary, line, width()))
    elif code is not ExitCode.GOOD:
        click.echo(f"ctq: {job.out}: {line}", err=True)
    return code


def _verify(plan: Plan, job: Job, summary: dict[str, Any], options: Mapping[str, Any]) -> tuple[ExitCode, str]:
    """Reload the result through the dispatch check; what it found stands under ``verification`` in the summary."""
    from ctq.cli.checked import check
    from ctq.cli.progress import progress

    try:
        with progress(quiet=not _shows_progress(options)) as on_event:
            checked = check(job.out, head_quantized=plan.decisions.head_scheme is not None, on_event=on_event)
    except (KeyboardInterrupt, Terminated) as stop:
        stop.add_note(f"{job.out} is written, but not checked: check it with `ctq verify`")
        raise
    summary["verification"] = checked.summary
    return checked.exit_code, checked.line


def _shows_progress(options: Mapping[str, Any]) -> bool:
    return not options["quiet"] and not options["as_json"]


def _show_json(value: dict[str, Any]) -> None:
    from ctq.cli.render.json_lines import json_text

    click.echo(json_text(value, indent=2))


def default_output(model: str, plan: Plan) -> Path:
    """Return ``./NAME-SCHEME``, with ``-lm_head`` appended when the head is included."""
    from ctq.checkpoint.source import model_name

    name = model_name(Path(model)) if Path(model).exists() else model.rstrip("/").rpartition("/")[2]
    schemes = dict.fromkeys(decision.scheme.name for decision in plan.decisions.modules if decision.scheme)
    parts = [name, "-".join(schemes), "lm_head" if plan.decisions.head_scheme else ""]
    return Path("-".join(part for part in parts if part))
