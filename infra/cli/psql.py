"""Open psql on the house's database, or run one statement.

In: a role and, with -c, SQL. Out: psql itself (the embedded one, else the system's).
Run it: `payesh psql --role bi -c 'select * from marts.release_history'`
"""

from __future__ import annotations

import os
import shutil
import sys

import click

from infra.cli.output import json_option, wants_json
from infra.errors import PayeshError
from infra.settings import Settings


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--role",
    type=click.Choice(["admin", "owner", "ingest", "transform", "bi"]),
    default="bi",
    show_default=True,
    help="Who to work as.",
)
@click.option("-c", "--command", "statement", metavar="SQL", help="Run this and leave.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@json_option
@click.pass_context
def command(
    ctx: click.Context, role: str, statement: str | None, arguments: tuple[str, ...]
) -> None:
    """Open psql as a role; further ARGUMENTS go to psql (-f FILE, --csv, ...).

    With --json, -c SQL prints one object: columns and rows.
    """
    from infra.postgres.connect import connect, libpq_environment

    settings = Settings.from_env()
    if wants_json(ctx):
        _as_json(ctx, settings, role, statement)
        return
    # In our words first, where the server, the database or the role is missing.
    connect(settings, role).close()  # type: ignore[arg-type]
    environment = {**os.environ, **libpq_environment(settings, role)}  # type: ignore[arg-type]
    environment.setdefault("PSQL_HISTORY", str(settings.home / "psql_history"))
    environment.setdefault("PGAPPNAME", f"payesh psql {role}")
    call = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
    if statement is not None:
        call += ["--command", statement]
    program = _program()
    sys.stdout.flush()
    os.execve(program, [*call, *arguments], environment)


def _program() -> str:
    """Return the path of a psql that runs here."""
    from infra.embedded import binaries

    try:
        return str(binaries() / "psql")
    except PayeshError:
        found = shutil.which("psql")
        if found is None:
            raise
        return found


def _as_json(ctx: click.Context, settings: Settings, role: str, statement: str | None) -> None:
    import psycopg
    from psycopg.rows import dict_row

    from infra.cli.output import emit
    from infra.errors import RefusedError
    from infra.postgres.connect import connect

    if statement is None:
        raise RefusedError("--json needs a statement", "payesh psql --json", "add -c 'select ...'")
    with connect(settings, role, row_factory=dict_row) as connection:  # type: ignore[arg-type]
        try:
            cursor = connection.execute(statement.encode("utf-8"))
        except psycopg.Error as error:
            raise RefusedError(
                error.diag.message_primary or str(error),
                "the statement given with -c",
                "correct it",
            ) from error
        columns = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall() if cursor.description else []
    emit(ctx, "", {"columns": columns, "rows": rows, "row_count": cursor.rowcount})
