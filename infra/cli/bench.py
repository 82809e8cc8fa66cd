"""`payesh bench`: how fast the house is beside bare tools, each figure beside its limit.

In: which benchmark, how many rows. Out: ratios measured in one run; exit code 1 when a limit is
missed. It works in a throw-away Postgres under PAYESH_HOME/bench.
Run it: `payesh bench ingest`
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
