"""`ctq verify`: options in, one verification, one report and its exit code out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctq.errors import UsageError
from ctq.quantize.job import default_workers

if TYPE_CHECKING:
    from ctq.verify.report import VerifyReport
    from ctq.verify.request import VerifyRequest

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="verify")
@click.argument("checkpoint")
@click.option(
    "--expect-lm-head",
    "expected",
    type=click.Choice(["quantized", "dense"]),
    help="What the head must be. [default: what the checkpoint's own config declares]",
)
@click.option("--reference", metavar="MODEL", help="The dense original: compare every weight, and the head's logits.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME[==VERSION]",
    help="builtin (the rules of a vLLM, by default the newest known), vllm or transformers (installed ones); repeatable. "
    "[default: builtin, and vllm when it is there]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", show_default=True, help="Runs the head."
)
@click.option(
    "--tensor-parallel-size", type=click.IntRange(min=1), default=1, show_default=True, help="Load as this many ranks."
)
@click.option("--hidden-states", type=_FILE, metavar="FILE", help="Run the head on these: one safetensors tensor.")
@click.option(
    "--tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Or on this many random ones."
)
@click.option("--token-ids", metavar="IDS", help="Ids for whole models, separated by commas. [default: random]")
@click.option("--vllm-python", metavar="PATH", help="An interpreter that has vLLM.")
@click.option("--generate", type=click.IntRange(min=0), default=0, metavar="N", help="Also generate N tokens in vLLM.")
@click.option("--min-sqnr", type=float, metavar="DB", help="Least SQNR of a weight. [default: 30 at 8 bits, 12 at 4]")
@click.option(
    "--min-top1", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="Least share of equal choices."
)
@click.option("--strict", is_flag=True, help="Every weight within half a step of its original.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=600, show_default=True, metavar="S", help="Per engine."
)
@click.option("--workers", type=click.IntRange(min=1), help="Threads. [default: one per core]")
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(checkpoint: str, **options: Any) -> int:  # noqa: ANN401  # as click passes them
    """Prove that the head of CHECKPOINT, a local folder or a hub id, is what it should be.

    By the dispatch of serving engines, by loading and running the head, and with --reference by comparing every weight.

    Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive or could not read it.
    """
    from ctq.cli.progress import progress
    from ctq.verify.run import verify

    quiet = options["quiet"] or options["as_json"]
    request = _request(checkpoint, options, quiet=quiet)
    _refuse_idle(request)
    with progress(quiet=quiet) as on_event:
        report = verify(request, on_event=on_event)
    _show(report, as_json=options["as_json"])
    return report.exit_code


def _request(checkpoint: str, options: dict[str, Any], *, quiet: bool) -> VerifyRequest:
    from ctq.cli.releases import note_newer
    from ctq.verify.engine_names import parse_engine
    from ctq.verify.request import Limits, VerifyRequest

    engines = tuple(parse_engine(word) for word in options["engines"])
    for engine in engines:
        if engine.name == "builtin":
            note_newer("vllm", engine.version)
    return VerifyRequest(
        checkpoint=_folder(checkpoint, options["revision"], quiet=quiet),
        expected=options["expected"],
        engines=engines,
        reference=_folder(options["reference"], None, quiet=quiet) if options["reference"] else None,
        device=options["device"],
        tensor_parallel_size=options["tensor_parallel_size"],
        hidden_states=options["hidden_states"],
        tokens=options["tokens"],
        token_ids=_token_ids(options["token_ids"]),
        vllm_python=options["vllm_python"],
        generate=options["generate"],
        timeout_s=options["timeout"],
        workers=options["workers"] or default_workers(),
        limits=Limits(min_sqnr=options["min_sqnr"], min_top1=options["min_top1"], strict=options["strict"]),
    )


def _refuse_idle(request: VerifyRequest) -> None:
    """Refuse options that would prove nothing: who asks for a proof must not be told that all is well without it."""
    from ctq.verify.run import engines_of

    if request.reference is None:
        for option, given in (("--strict", request.limits.strict), ("--min-sqnr", request.limits.min_sqnr is not None)):
            if given:
                raise UsageError(
                    f"{option} without a reference to compare with", hint="give the dense original: --reference"
                )
    for option, given, engine in (
        ("--generate", request.generate > 0, "vllm"),
        ("--token-ids", bool(request.token_ids), "transformers"),
    ):
        if given and engine not in {asked.name for asked in engines_of(request)}:
            raise UsageError(f"{option} without the engine that it is for", hint=f"give --engine {engine}")


def _folder(model: str, revision: str | None, *, quiet: bool) -> Path:
    from ctq.checkpoint.hub import obtain
    from ctq.checkpoint.telltales import require_folder
    from ctq.quantize.side_files import side_files

    folder = obtain(model, side_files, revision=revision, show_progress=not quiet).folder
    require_folder(folder)
    return folder.path


def _token_ids(text: str | None) -> tuple[int, ...]:
    if not text:
        return ()
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of token ids like 1,42,7", param_hint="--token-ids") from None


def _show(report: VerifyReport, *, as_json: bool) -> None:
    if as_json:
        from ctq.cli.render.json_lines import json_lines

        click.echo("\n".join(json_lines(report.to_json())))
        return
    from ctq.cli.console import show, width
    from ctq.cli.render.verify import verify_view

    show(verify_view(report, width()))
