"""`ctq rules`: the list of findings, or the documentation of one, or all of it as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ctq.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ctq.findings import Documented

_FAMILY_LETTERS = 3


@click.command(name="rules")
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--markdown", is_flag=True, help="Print the documentation page.")
def command(code: str | None, *, as_json: bool, markdown: bool) -> int:
    """List the findings that `ctq inspect` and `ctq verify` know, or explain the one with CODE (or of that name).

    Three letters list a family. Exit codes: 0 good, 2 there is no such finding.
    """
    from ctq.inspect.rules.table import FAMILIES, RULES
    from ctq.verify.codes import CODES, FAMILY

    known: tuple[Documented, ...] = RULES if code is None and markdown else (*RULES, *CODES)
    wanted = [rule for rule in known if code is None or _is_meant(rule, code)]
    if not wanted:
        raise UsageError(f"no finding '{code}'", hint="`ctq rules` lists them")
    if as_json or markdown:
        from ctq.cli.render import rules_page

        click.echo(rules_page.json_text(wanted) if as_json else rules_page.page(wanted, FAMILIES | FAMILY), nl=False)
        return ExitCode.GOOD
    from ctq.cli.console import show, width
    from ctq.cli.render.findings import rule_view, rules_view

    show(rules_view(wanted, FAMILIES | FAMILY) if len(wanted) > 1 else rule_view(wanted[0], width()))
    return ExitCode.GOOD


def _is_meant(rule: Documented, code: str) -> bool:
    return code.upper() in (rule.code, rule.code[:_FAMILY_LETTERS]) or code.lower() == rule.name
