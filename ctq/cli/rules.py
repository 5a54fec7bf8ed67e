"""`ctq rules`: the list of findings, or the documentation of one, or all of it as a page."""

from __future__ import annotations

import click

from ctq.errors import ExitCode, UsageError


@click.command(name="rules")
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--markdown", is_flag=True, help="Print the documentation page.")
def command(code: str | None, *, as_json: bool, markdown: bool) -> int:
    """List the findings that `ctq inspect` knows, or explain the one with CODE (or of that name).

    Exit codes: 0 good, 2 there is no such finding.
    """
    from ctq.inspect.rules.table import FAMILIES, RULES

    wanted = [rule for rule in RULES if code is None or code.upper() == rule.code or code.lower() == rule.name]
    if not wanted:
        raise UsageError(f"no rule '{code}'", hint="`ctq rules` lists them")
    if as_json or markdown:
        from ctq.inspect.rules import docs

        click.echo(docs.json_text(wanted) if as_json else docs.page(wanted), nl=False)
        return ExitCode.GOOD
    from ctq.cli.console import show, width
    from ctq.cli.render.findings import rule_view, rules_view

    show(rules_view(RULES, FAMILIES) if code is None else rule_view(wanted[0], width()))
    return ExitCode.GOOD
