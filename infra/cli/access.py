"""Let BI logins see an agency's or a province's rows, and say who asked for restricted data.

In: names and codes. Out: logins with an address that any BI tool takes; lists.
Run it: `payesh access grant mazandaran --province IR-02`, `payesh access list`
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from infra.cli.output import emit, json_option
from infra.settings import Settings


@click.group(name="access")
def group() -> None:
    """Let BI logins see an agency's or a province's rows; log of restricted data."""


@group.command("grant")
@click.argument("name")
@click.option("--agency", "agencies", multiple=True, metavar="CODE", help="Its rows are seen.")
@click.option("--province", "provinces", multiple=True, metavar="CODE", help="Its rows are seen.")
@click.option("--restricted", is_flag=True, help="May ask for restricted marts, each time noted.")
@click.option("--new-password", is_flag=True, help="Give an existing login a new password.")
@json_option
@click.pass_context
def grant_command(
    ctx: click.Context,
    name: str,
    agencies: tuple[str, ...],
    provinces: tuple[str, ...],
    restricted: bool,
    new_password: bool,
) -> None:
    """Make a login, or let it see more; its address with the password is shown once."""
    from infra.postgres.access import grant
    from infra.postgres.migrate import migrate

    settings = Settings.from_env()
    migrate(settings)
    found = grant(settings, name, agencies, provinces, restricted, new_password)
    sees = [f"agency {code}" for code in found.agencies]
    sees += [f"province {code}" for code in found.provinces]
    if found.is_restricted:
        sees.append("restricted marts on request")
    words = f"{found.login} sees {', '.join(sees) or 'nothing'}"
    if found.url is not None:
        words += f"\n{found.url}\nkeep it now: the password is stored nowhere"
    emit(ctx, words, asdict(found))


@group.command("revoke")
@click.argument("name")
@json_option
@click.pass_context
def revoke_command(ctx: click.Context, name: str) -> None:
    """Take everything from a login, lock it and end its sessions."""
    from infra.postgres.access import login_of, revoke

    ended = revoke(Settings.from_env(), name)
    login = login_of(name)
    emit(
        ctx,
        f"{login} is locked and sees nothing; {ended} session(s) ended",
        {"login": login, "sessions_ended": ended},
    )


@group.command("list")
@click.option("--all", "with_revoked", is_flag=True, help="Also what has been revoked.")
@json_option
@click.pass_context
def list_command(ctx: click.Context, with_revoked: bool) -> None:
    """List the logins and what each sees."""
    from infra.postgres.access import list_access

    found = list_access(Settings.from_env(), with_revoked)
    data = {"access": [asdict(one) for one in found]}
    if not found:
        emit(ctx, "no login but the nation-wide one (`payesh url --role bi`)", data)
        return
    table = _table("login", "sees", "granted (UTC)", "by", "state")
    for one in found:
        state = "open" if one.can_log_in else "locked"
        if one.revoked_at is not None:
            state = f"revoked {one.revoked_at:%Y-%m-%d %H:%M}"
        table.add_row(
            one.login,
            f"{one.what} {one.code}".strip(),
            f"{one.granted_at:%Y-%m-%d %H:%M}" if one.granted_at else "",
            one.granted_by or "",
            state,
        )
    emit(ctx, table, data)


@group.command("log")
@click.option("--limit", default=50, show_default=True, help="How many, newest first.")
@json_option
@click.pass_context
def log_command(ctx: click.Context, limit: int) -> None:
    """List who asked for restricted data, when and why."""
    from infra.postgres.access import list_requests

    found = list_requests(Settings.from_env(), limit)
    data = {"requests": [asdict(one) for one in found]}
    if not found:
        emit(ctx, "nobody has asked for restricted data", data)
        return
    table = _table("request", "login", "asked (UTC)", "mart", "release", "opened", "reason")
    for one in found:
        table.add_row(
            str(one.request_no),
            one.login,
            f"{one.asked_at:%Y-%m-%d %H:%M}",
            one.mart,
            str(one.release_no),
            str(one.readings),
            one.reason,
        )
    emit(ctx, table, data)


def _table(*names: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold")
    return table
