"""Database address and schema.

In: `Settings`. Out: an address for BI tools and other programs; an up-to-date schema.
Run it: `payesh url --role bi`, `payesh migrate`
"""

from __future__ import annotations

import click

from infra.cli.output import emit, json_option
from infra.settings import Settings

COMMANDS = ("migrate", "url")


@click.command()
@click.option("--rotate-bi-password", is_flag=True, help="Give the BI login a new password.")
@json_option
@click.pass_context
def migrate(ctx: click.Context, rotate_bi_password: bool) -> None:
    """Create the database if missing and bring its schema up to date."""
    from infra.postgres.connect import ensure_bi_reader
    from infra.postgres.migrate import migrate as bring_up_to_date

    settings = Settings.from_env()
    result = bring_up_to_date(settings)
    if rotate_bi_password:
        ensure_bi_reader(settings, rotate=True)
    change = (
        f"already at revision {result.after}"
        if result.before == result.after
        else f"from {result.before or 'nothing'} to revision {result.after}"
    )
    rotated = "; the BI login has a new password" if rotate_bi_password else ""
    emit(
        ctx,
        f"database {change} ({result.seconds:.1f} s){rotated}",
        {
            "before": result.before,
            "after": result.after,
            "seconds": round(result.seconds, 3),
            "bi_password_rotated": rotate_bi_password,
        },
    )


@click.command()
@click.option(
    "--role",
    type=click.Choice(["admin", "owner", "ingest", "transform", "bi"]),
    default="bi",
    show_default=True,
    help="Who the sessions work as; bi has a login of its own that reads marts only.",
)
@json_option
@click.pass_context
def url(ctx: click.Context, role: str) -> None:
    """Print an address that any Postgres client or BI tool takes."""
    from infra.postgres.connect import bi_url, role_url
    from infra.postgres.migrate import migrate as bring_up_to_date

    settings = Settings.from_env()
    bring_up_to_date(settings)
    address = bi_url(settings) if role == "bi" else role_url(settings, role)  # type: ignore[arg-type]
    emit(ctx, address, {"role": role, "url": address})
