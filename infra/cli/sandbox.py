"""Start, stop and disturb the simulated nation; print the truth of its figures.

In: `PAYESH_HOME`. Out: a server on 127.0.0.1, source files and workbooks under
`PAYESH_HOME/sandbox`; `truth` prints what a perfect pipeline would have published.
Run it: `payesh sandbox start`, `payesh sandbox fault sim_a01 500`, `payesh sandbox truth --json`
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from infra.cli.output import emit, json_option, wants_json
from infra.errors import RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.sandbox import SandboxInfo, WorldParams

_SHOWN_ROWS = 25


@click.group()
def group() -> None:
    """Start, stop and disturb the simulated nation; print the truth of its figures."""


@group.command()
@click.option(
    "--nation",
    type=click.Choice(["full", "small"]),
    help="full: 25 agencies, 31 provinces, five years; small: 6, 4, 12 weeks."
    "  [default: by PAYESH_SANDBOX]",
)
@click.option("--seed", type=int, help="Another seed makes another nation.  [default: 1405]")
@click.option("--weeks", type=int, help="Weeks of backlog, up to 260.")
@click.option("--agencies", type=int, help="Agencies with an API, up to 25.")
@click.option("--provinces", type=int, help="Provinces with workbooks, up to 31.")
@click.option("--opened-on", metavar="WEEK", help="Last week of the backlog: 1405-W35 or a date.")
@click.option("--fresh", is_flag=True, help="Forget the nation that lives here and make a new one.")
@json_option
@click.pass_context
def start(
    ctx: click.Context,
    nation: str | None,
    seed: int | None,
    weeks: int | None,
    agencies: int | None,
    provinces: int | None,
    opened_on: str | None,
    fresh: bool,
) -> None:
    """Make the nation if there is none, and start its server."""
    from infra import sandbox

    settings = Settings.from_env()
    if fresh:
        sandbox.remove(settings)
    asked = {"seed": seed, "weeks": weeks, "agencies": agencies, "provinces": provinces}
    given = {name: value for name, value in asked.items() if value is not None}
    params = None
    if nation or given or opened_on:
        params = _params(settings, nation or settings.nation, given, opened_on)
    _tell(ctx, sandbox.start(settings, params))


@group.command()
@json_option
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop the server; the nation and its clock stay."""
    from infra import sandbox

    did_run = sandbox.stop(Settings.from_env())
    emit(ctx, "stopped" if did_run else "it was not running", {"stopped": did_run})


@group.command()
@json_option
@click.pass_context
def status(ctx: click.Context) -> None:
    """Tell what runs where, the clock, the faults and the sources."""
    from infra import sandbox

    info = sandbox.status(Settings.from_env())
    if info is None:
        emit(ctx, "no sandbox here; `payesh sandbox start` makes one", {"exists": False})
        return
    _tell(ctx, info)


@group.command()
@click.argument("agency", required=False)
@click.argument("fault", required=False)
@json_option
@click.pass_context
def fault(ctx: click.Context, agency: str | None, fault: str | None) -> None:
    """Give AGENCY a FAULT, or `clear` it; without either, list the faults that there are."""
    from infra import sandbox
    from infra.sandbox.faults import FAULTS

    if agency is None:
        known = [dataclasses.asdict(found) for found in FAULTS.values()]
        emit(ctx, _faults(), {"faults": known})
        return
    if fault is None:
        raise RefusedError(
            f"which fault shall {agency} have?",
            "payesh sandbox fault",
            "one of: " + ", ".join(FAULTS) + ", clear",
        )
    settings = Settings.from_env()
    _tell(ctx, sandbox.set_fault(settings, agency, None if fault == "clear" else fault))


def _faults() -> str:
    from infra.sandbox.faults import FAULTS

    titles = {"api": "of an API (sim_a01 ...)", "workbook": "of a workbook (sim_p02 ...)"}
    lines: list[str] = []
    for medium, title in titles.items():
        lines.append(f"Faults {title}: what happens, the traps, what the house answers")
        lines += [
            f"  {found.name:<17} {found.what:<45} {', '.join(found.traps):<9} "
            + (found.code or "nothing new")
            for found in FAULTS.values()
            if found.medium == medium
        ]
    lines.append("`payesh sandbox fault AGENCY FAULT` begins one, `... AGENCY clear` ends it")
    return "\n".join(lines)


@group.command()
@click.argument("week")
@json_option
@click.pass_context
def clock(ctx: click.Context, week: str) -> None:
    """Set the nation's clock to the night after WEEK (1405-W36, or any day of it)."""
    from infra import sandbox

    settings = Settings.from_env()
    world = sandbox.world_of(settings)
    arrived = sandbox.set_week(settings, _week(world.reference.calendar.parse_week, week))
    found = sandbox.status(settings)
    label = found.as_of_label if found else week
    emit(
        ctx,
        f"the nation has closed {label}; {len(arrived)} new workbooks",
        {"as_of_week": found.as_of_week if found else None, "arrived": [str(p) for p in arrived]},
    )


@group.command()
@click.argument("mart", required=False)
@click.option("--week", metavar="WEEK", help="As-of week; default: the nation's clock.")
@click.option(
    "--planned",
    is_flag=True,
    help="Without a database: as if the backlog and every week since had been fetched at 06:00.",
)
@json_option
@click.pass_context
def truth(ctx: click.Context, mart: str | None, week: str | None, planned: bool) -> None:
    """Print the exact values that a perfect pipeline publishes, of MART or of all marts.

    Only the moments of receipt are looked up in the database (nights that failed, reports that
    came late); every value is computed from the nation itself, by plain arithmetic.
    """
    from infra import sandbox
    from infra.sandbox.truth.run import truth_of

    settings = Settings.from_env()
    world = sandbox.world_of(settings)
    info = sandbox.status(settings)
    as_of_week = info.as_of_week if info is not None else world.params.opened_on
    if week is not None:
        as_of_week = _week(world.reference.calendar.parse_week, week)
    found = truth_of(settings, world, as_of_week, from_ledger=not planned)
    if mart is not None and mart not in found.marts:
        raise RefusedError(
            f"there is no mart {mart}", "payesh sandbox truth", "one of: " + ", ".join(found.marts)
        )
    shown = {mart: found.marts[mart]} if mart is not None else found.marts
    data: dict[str, Any] = {
        "as_of_week": as_of_week,
        "deliveries": found.deliveries,
        "unknown_receipts": found.unknown,
        "marts": shown,
    }
    if wants_json(ctx):
        emit(ctx, "", data)
        return
    for name, rows in shown.items():
        emit(ctx, _table(name, rows), data)
    if found.unknown:
        click.echo(
            f"{len(found.unknown)} receipts are of sources that the truth does not know: "
            + ", ".join(sorted(set(found.unknown)))
        )


def _params(
    settings: Settings, nation: str, given: dict[str, int], opened_on: str | None
) -> WorldParams:
    from infra.sandbox import WorldParams
    from infra.sandbox.calendar import last_closed_week
    from infra.sandbox.reference import load_reference

    opened = last_closed_week(settings.now())
    if opened_on is not None:
        opened = _week(load_reference(settings.reference_dir).calendar.parse_week, opened_on)
    return WorldParams.of(nation, opened, **given)


def _week(parse: Any, text: str) -> dt.date:
    try:
        week = parse(text)
    except ValueError as error:
        raise RefusedError(
            f"'{text}' is no week", str(error), "write 1405-W35, or a day of the week: 2026-11-14"
        ) from error
    if not isinstance(week, dt.date):
        raise TypeError(text)
    return week


def _tell(ctx: click.Context, info: SandboxInfo) -> None:
    state = f"running, pid {info.pid}" if info.is_running else "stopped"
    size = info.params
    lines = [
        f"{info.url}  {state}",
        f"clock    {info.as_of_label} has closed ({info.as_of_week})",
        f"nation   seed {size.seed}, {size.agencies} agencies, {size.provinces} provinces, "
        f"{size.weeks} weeks of backlog up to {size.opened_on}; all simulated",
        f"sources  {len(info.sources)} in {info.sources_dir}",
        f"drop box {info.drop_dir}",
    ]
    lines += [f"fault    {agency}: {fault}" for agency, fault in sorted(info.faults.items())]
    data = {
        "exists": True,
        "url": info.url,
        "pid": info.pid,
        "is_running": info.is_running,
        "as_of_week": info.as_of_week,
        "as_of_label": info.as_of_label,
        "seed": size.seed,
        "agencies": size.agencies,
        "provinces": size.provinces,
        "weeks": size.weeks,
        "opened_on": size.opened_on,
        "faults": info.faults,
        "sources": list(info.sources),
        "sources_dir": info.sources_dir,
        "drop_dir": info.drop_dir,
        "log_file": info.log_file,
    }
    emit(ctx, "\n".join(lines), data)


def _table(name: str, rows: list[dict[str, Any]]) -> str:
    """Return the last rows in aligned columns, one line each however long."""
    shown = rows[-_SHOWN_ROWS:]
    lines = [list(rows[0]) if rows else []]
    lines += [["" if value is None else str(value) for value in row.values()] for row in shown]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    title = f"{name}: {len(rows)} rows" + (f", the last {len(shown)}" if shown != rows else "")
    return "\n".join([title, *text, ""])
