"""The command line's entry: the group of commands, and the one place where refusals become a line and an exit code."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from ctq import __version__
from ctq.cli.patient_stream import PatientStream, open_closed_streams
from ctq.cli.signals import Terminated, end_orderly_on_sigterm
from ctq.errors import CtqError, ExitCode, PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = ("quantize", "inspect", "verify", "rules")
"""Each is the attribute ``command`` of the module of its name beside this one, imported only when it is asked for."""

_SUMMARIES = {
    "quantize": "Quantize a dense checkpoint to INT8, the lm_head in or out.",
    "inspect": "Show what a checkpoint really contains, and what is wrong with it.",
    "verify": "Prove by dispatch, loading and numbers that the head is quantized.",
    "rules": "List the findings that inspect and verify know, or explain one.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they run, so that `ctq --help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are used."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"ctq.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; of a misspelt one say which it may be."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            advice = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(COMMANDS)}."
            raise click.UsageError(f"{error.message} {advice}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES[name]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ctq")
def cli() -> None:
    """Quantize Hugging Face checkpoints to INT8 compressed-tensors, lm_head explicitly in or out; inspect them; prove them.

    Exit codes: 0 good, 1 checked and not good, 2 usage, 3 could not do it or could not decide, 130 interrupted,
    143 terminated.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a reader that goes away (`| head`) changes nothing about it."""
    end_orderly_on_sigterm()
    open_closed_streams()
    output = PatientStream(sys.stdout)
    sys.stdout = cast("TextIO", output)
    sys.stderr = cast("TextIO", PatientStream(sys.stderr, forgives=OSError))
    code = run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        output.hang_up()
        if code != ExitCode.FAILED:  # then it was said
            code = _fail(f"output: {error.strerror}", ExitCode.FAILED)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; only a mistake of ours leaves a traceback."""
    try:
        result: Any = cli.main(
            args=None if arguments is None else list(arguments), prog_name="ctq", standalone_mode=False
        )
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        return _fail("interrupted", ExitCode.INTERRUPTED, hint=_advice(stop.__cause__ or stop))
    except Terminated as stop:
        return _fail("terminated", ExitCode.TERMINATED, hint=_advice(stop))
    except click.ClickException as error:
        error.show(sys.stderr)
        return ExitCode.USAGE
    except CtqError as error:
        return _refuse(error)
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}", ExitCode.FAILED)
    except Exception:  # noqa: BLE001  # the process boundary
        # A mistake of ours: the traceback stays, and scripts do not take it for "checked, and not good" (Python's own 1).
        traceback.print_exc()
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.GOOD


def _advice(stop: BaseException) -> str | None:
    return next(iter(getattr(stop, "__notes__", ())), None)


def _refuse(error: CtqError) -> int:
    if isinstance(error, PlanError):
        for problem in error.problems:
            _fail(problem.message, problem.exit_code, hint=problem.hint)
        return error.exit_code
    return _fail(error.message, error.exit_code, hint=error.hint)


def _fail(message: str, code: ExitCode, *, hint: str | None = None) -> int:
    for line in message.splitlines():
        click.echo(f"ctq: {_printable(line)}", err=True)
    if hint:
        click.echo(f"  hint: {_printable(hint)}", err=True)
    return code


def _printable(text: str) -> str:
    """Show control characters as escapes: names in a checkpoint are not trusted with the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
