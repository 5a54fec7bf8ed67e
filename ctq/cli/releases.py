"""A release that is newer than what is known here is judged as the newest known one, and that is said."""

from __future__ import annotations

import click


def note_newer(engine: str, version: str | None) -> None:
    """Say on stderr that ``version`` is newer than every release of ``engine`` that the rules were read from."""
    from ctq.engines.verdicts.verdict import newest_version
    from ctq.engines.versions import version_key

    newest = newest_version(engine)
    if version is not None and version_key(version) > version_key(newest):
        click.echo(f"{engine} {version.strip()} is newer than what is known here, and judged as {newest}", err=True)
