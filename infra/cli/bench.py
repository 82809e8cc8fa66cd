"""`payesh bench`: how fast the house is beside bare tools, each figure beside its limit.

In: which benchmark, how many rows. Out: ratios measured in one run; exit code 1 when a limit is
missed. It works in a throw-away Postgres under PAYESH_HOME/bench.
Run it: `payesh bench ingest`, `payesh bench release`, `payesh bench warehouse`,
`payesh bench nights`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from infra.cli.output import console, emit, json_option, wants_json
from infra.errors import EXIT_FINDINGS
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.bench.ingest import Measure


@click.group(name="bench")
def group() -> None:
    """Measure the house beside bare tools; exit code 1 when a limit is missed."""


@group.command("ingest")
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of JSON.")
@click.option("--workbook-rows", default=300_000, show_default=True, help="Rows of the workbook.")
@click.option("--no-rivals", is_flag=True, help="Leave out dlt and fastexcel (installed by pip).")
@json_option
@click.pass_context
def ingest(ctx: click.Context, rows: int, workbook_rows: int, no_rivals: bool) -> None:
    """From an agency's bytes to committed rows: time, memory, and the same work by bare tools."""
    from infra.bench.ingest import Plan, measure

    stderr = console(stderr=True)

    def say(line: str) -> None:
        if not wants_json(ctx):
            stderr.print(f"  {line}", style="dim")

    plan = Plan(rows=rows, workbook_rows=workbook_rows, with_rivals=not no_rivals)
    found = measure(Settings.from_env(), plan, say)
    data = {"measures": [{**asdict(m), "is_met": m.is_met} for m in found]}
    emit(ctx, _text(found), data)
    if any(m.is_met is False for m in found):
        ctx.exit(EXIT_FINDINGS)


@group.command("release")
@click.option("--publications", default=200, show_default=True, help="Beside 8 readers.")
@click.option("--nights", default=30, show_default=True, help="Each read back byte for byte.")
@click.option("--history-rows", default=5_000_000, show_default=True, help="0 leaves it out.")
@click.option("--cells", default=500, show_default=True, help="Figures of this installation.")
@json_option
@click.pass_context
def release(
    ctx: click.Context, publications: int, nights: int, history_rows: int, cells: int
) -> None:
    """Readers beside publications, nights read back, a long history, figures opened to cells."""
    from infra.bench.release import Plan, measure
    from infra.cli._cells import cell_reader

    stderr = console(stderr=True)

    def say(line: str) -> None:
        if not wants_json(ctx):
            stderr.print(f"  {line}", style="dim")

    settings = Settings.from_env()
    plan = Plan(publications=publications, nights=nights, history_rows=history_rows, cells=cells)
    found = measure(settings, plan, say, cell_reader(settings, max_files=1000))
    emit(ctx, _text(found), {"measures": [{**asdict(m), "is_met": m.is_met} for m in found]})
    if any(m.is_met is False for m in found):
        ctx.exit(EXIT_FINDINGS)


@group.command("warehouse")
@click.option(
    "--history",
    default="1000000,5000000,20000000",
    show_default=True,
    help="Progress facts of each size, separated by commas.",
)
@click.option("--nights", default=2, show_default=True, help="Of each size; the quickest counts.")
@click.option("--no-textbook", is_flag=True, help="Leave out the textbook form of the models.")
@click.option("--no-check", is_flag=True, help="Don't hold the nights against a full refresh.")
@click.option("--keep", is_flag=True, help="Leave the databases, and use those that stand.")
@json_option
@click.pass_context
def warehouse(
    ctx: click.Context, history: str, nights: int, no_textbook: bool, no_check: bool, keep: bool
) -> None:
    """One week's delta on a long history: against a short one, a full refresh, the textbook."""
    from infra.bench.warehouse import Plan, measure

    stderr = console(stderr=True)

    def say(line: str) -> None:
        if not wants_json(ctx):
            stderr.print(f"  {line}", style="dim")

    try:
        sizes = tuple(sorted({int(size.replace("_", "")) for size in history.split(",")}))
    except ValueError:
        sizes = ()
    if not sizes or sizes[0] < 1 or nights < 1:
        raise click.BadParameter("give whole numbers from 1 on, as in 1000000,20000000")
    plan = Plan(
        history=sizes,
        nights=nights,
        with_textbook=not no_textbook,
        with_check=not no_check,
        keep=keep,
    )
    found = measure(Settings.from_env(), plan, say)
    emit(ctx, _text(found), {"measures": [{**asdict(m), "is_met": m.is_met} for m in found]})
    if any(m.is_met is False for m in found):
        ctx.exit(EXIT_FINDINGS)


@group.command("nights")
@click.option("--nights", default=30, show_default=True, help="3 to 30 simulated nights.")
@click.option("--seed", default=1405, show_default=True, help="Another seed, other faults.")
@click.option("--executor", type=click.Choice(["local", "celery"]), default="local")
@click.option("--agencies", default=3, show_default=True, help="Agencies with an API, 2 or more.")
@click.option("--provinces", default=2, show_default=True, help="Provinces with workbooks.")
@click.option("--minutes", type=float, help="Stop after so long; called again it goes on.")
@json_option
@click.pass_context
def nights(
    ctx: click.Context,
    nights: int,
    seed: int,
    executor: str,
    agencies: int,
    provinces: int,
    minutes: float | None,
) -> None:
    """Nights in a row on the real scheduler: dead APIs, killed tasks, a database restarted."""
    from infra.bench.nights import Plan, play

    stderr = console(stderr=True)

    def say(line: str) -> None:
        stderr.print(f"  {line}", style="dim", highlight=False)

    plan = Plan(nights, seed, executor, agencies, provinces)
    found = play(Settings.from_env(), plan, say, minutes)
    released = sum(night.release_no is not None for night in found.nights)
    lines = [
        f"{len(found.nights)} of {nights} nights played, {released} released",
        *(
            [f"{found.records} records, {found.cells} cells compared, notices {found.notices}"]
            if found.is_complete
            else ["not over yet: run it again to go on"]
        ),
        *(f"! {fault}" for fault in found.faults),
    ]
    emit(ctx, "\n".join(lines), asdict(found) | {"faults": found.faults})
    if found.faults:
        ctx.exit(EXIT_FINDINGS)


def _text(found: Sequence[Measure]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("measure", "value", "limit", "", "made of"):
        table.add_column(title, overflow="fold", justify="right" if title == "value" else "left")
    for m in found:
        value = (
            "-" if m.value is None else f"{m.value:,.0f}" if m.unit == "MB" else f"{m.value:.3f}"
        )
        verdict, style = {
            True: ("met", "green"),
            False: ("missed", "red"),
            None: ("not measured", "dim"),
        }[m.is_met]
        limit = f"{'at most' if m.at_most else 'at least'} {m.limit:g} {m.unit}"
        table.add_row(m.name, value, limit, Text(verdict, style=style), m.note)
    return table
