"""Show the house at a glance: services, release, sources by week, failures, ageing quarantine.

In: the database and the running services. Out: a page for the operator, or JSON with --json.
Run it: `payesh status`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infra.cli.output import console, emit, json_option, wants_json
from infra.settings import TEHRAN, Settings

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    from infra.airflow.overview import Overview


@click.command()
@click.option(
    "--weeks",
    type=click.IntRange(1, 52),
    default=8,
    show_default=True,
    help="How many weeks to show.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, weeks: int) -> None:
    """Show services, last release, sources by week, open failures, ageing quarantine."""
    from infra.airflow.overview import overview
    from infra.postgres.migrate import migrate

    settings = Settings.from_env()
    migrate(settings)
    found = overview(settings, weeks)
    if wants_json(ctx):
        emit(ctx, "", found.as_dict())
    else:
        console().print(_page(found), soft_wrap=True)


def _line(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _page(found: Overview) -> Group:
    from rich.console import Group

    parts: list[RenderableType] = [_line("Services", style="bold")]
    parts += [_line(f"  {name:<22} {state}") for name, state in found.services.items()]
    if found.problem:
        parts.append(_line(f"  problem: {found.problem}", style="red"))
    parts += [_line(""), _line("Release", style="bold"), _line(f"  {_release(found)}")]
    if found.refusal:
        parts.append(_line(f"  refused since: {found.refusal}", style="red"))
    for night in found.nights:
        seconds = "" if night["seconds"] is None else f", {night['seconds']} s"
        parts.append(_line(f"  night of {_time(night['started_at'])}: {night['status']}{seconds}"))
    parts += [_line(""), _grid(found)]
    parts += [_line(""), _line("Open failures", style="bold")]
    if not found.failures:
        parts.append(_line("  none"))
    for failure in found.failures:
        parts.append(
            _line(f"  {failure.source} [{failure.code}] since {_time(failure.since)}", style="red")
        )
        parts.append(_line(f"      {failure.what}"))
        parts.append(_line(f"      owner {failure.owner}; do: {failure.fix}"))
    parts += [_line(""), _line("Quarantine that still stands", style="bold")]
    if not found.debts:
        parts.append(_line("  none"))
    parts += [
        _line(
            f"  {debt.source:<34} {debt.count:5}  oldest {debt.oldest_days} days"
            f"  mostly {debt.top_reason}  ({debt.owner})"
        )
        for debt in found.debts
    ]
    return Group(*parts)


def _release(found: Overview) -> str:
    if found.release_no is None:
        return "none yet; `payesh nightly` makes the first"
    return (
        f"release {found.release_no}, week from {found.release_week},"
        f" published {_time(found.released_at)}"
    )


def _grid(found: Overview) -> Table:
    from rich.table import Table

    from infra.airflow.overview import MARKS
    from ingestion.normalise.calendar import week_label

    table = Table(title="Sources by week", title_justify="left", box=None, pad_edge=False)
    table.add_column("source", no_wrap=True)
    for day in found.weeks:
        table.add_column(week_label(day).split("-")[1], justify="center", no_wrap=True)
    for name in ("last answer", "newest period", "owner"):
        table.add_column(name, no_wrap=True)
    for source in found.sources:
        style = "red" if source.last_outcome == "failed" else ""
        table.add_row(
            source.source,
            *(MARKS[state] for state in source.weeks),
            source.last_outcome or "never asked",
            str(source.last_period_start or "-"),
            source.owner,
            style=style,
        )
    table.caption = "● received  ◐ late  ✗ missing  · nothing owed"
    table.caption_justify = "left"
    return table


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone(TEHRAN):%Y-%m-%d %H:%M} Tehran"
