"""Open a figure to the file, sheet, cell and raw text behind it.

In: mart, column, key of the row. Out: the published value, how it is computed, and every record
behind it; each cell is read again from the kept bytes and held against what was read then, and the
figure is computed again from these cells.
Run it: `payesh trace project_progress_weekly actual_pct project_code=P01 week_start=2026-11-14`
"""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from infra.cli.output import emit, json_option
from infra.errors import EXIT_FAILED
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.recompute import Recomputed
    from infra.trace import Input, Trace

_SHOWN = 60


@click.command()
@click.argument("mart")
@click.argument("column")
@click.argument("key", nargs=-1)
@click.option("--release", type=int, help="Release to look at; the newest when not given.")
@click.option("--all", "show_all", is_flag=True, help=f"Show more than {_SHOWN} records.")
@click.option("--reason", help="What a restricted mart is looked at for; it is kept.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    mart: str,
    column: str,
    key: tuple[str, ...],
    release: int | None,
    show_all: bool,
    reason: str | None,
) -> int | None:
    """Open the figure COLUMN of the row of MART that KEY=VALUE... names, and compute it again.

    Exit code 3 when the kept bytes of a cell no longer give the text that was read, or the cells
    no longer give the figure.
    """
    from infra.cli._cells import cell_reader
    from infra.recompute import Recomputer
    from infra.trace import ask, parse_key, trace

    settings = Settings.from_env()
    request = None if reason is None else ask(settings, mart, reason, release)
    found = trace(settings, mart, column, parse_key(key), release, cell_reader(settings), request)
    again = Recomputer(settings).again(found)
    emit(ctx, _human(found, again, None if show_all else _SHOWN), _data(found, again))
    return None if found.is_intact and again.state != "differs" else EXIT_FAILED


def _data(found: Trace, again: Recomputed) -> dict[str, Any]:
    return {**asdict(found), "is_intact": found.is_intact, "recomputed": asdict(again)}


def _verdict(again: Recomputed) -> tuple[str, str]:
    """Say in a line what became of computing the figure again."""
    if again.state == "equal":
        words = f"equal, from {again.records} records"
        if again.reread:
            words += f", {again.reread} of them read again from the kept bytes"
        return words if again.records else "equal", "green"
    if again.state == "differs":
        return f"DIFFERS: {_shown(again.value)}", "red"
    return "not recomputable", "yellow"


def _human(found: Trace, again: Recomputed, limit: int | None) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    keys = " ".join(f"{name}={value}" for name, value in found.key.items())
    head = Text()
    head.append(f"{found.mart}.{found.column}", style="bold")
    head.append(f"  {keys}\n")
    head.append("value    ", style="dim")
    head.append(_shown(found.value), style="bold cyan")
    if "coverage" in found.row and found.column != "coverage":
        head.append(f"   coverage {_shown(found.row['coverage'])}")
    head.append("\nrelease  ", style="dim")
    head.append(
        f"{found.release_no}, published {found.published_at:%Y-%m-%d %H:%M} UTC,"
        f" weeks up to {found.as_of_week}\n"
    )
    head.append("formula  ", style="dim")
    head.append(found.formula or "as reported")
    words, style = _verdict(again)
    head.append("\nrecomputed: ", style="dim")
    head.append(words, style=style)
    if again.note:
        head.append(f"\n  {again.note}", style="dim" if again.is_equal else style)

    records = [one for one in found.inputs if not one.is_reference]
    references = [one for one in found.inputs if one.is_reference]
    parts: list[RenderableType] = [head, Text()]
    if records:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("role", "field", "raw text", "value", "where", "header", "source", "bytes"):
            table.add_column(name, overflow="fold")
        for one in records[:limit]:
            table.add_row(*_cells(one))
        parts.append(table)
        if limit is not None and len(records) > limit:
            parts.append(Text(f"… and {len(records) - limit} more records (--all)", style="dim"))
        parts.append(Text())
        parts.append(_files(records))
    else:
        parts.append(Text("no record stands behind this value", style="yellow"))
    if references:
        lines = sorted({f"{one.role}: {one.kind} ({one.field})" for one in references})
        parts.append(Text("\nreference data\n  " + "\n  ".join(lines[:12]), style="dim"))
        if len(lines) > 12:
            parts.append(Text(f"  … and {len(lines) - 12} more", style="dim"))
    return Group(*parts)


def _cells(one: Input) -> tuple[str, ...]:
    mark = {"holds": "[green]hold it[/]", "differs": "[red]differ[/]", "not checked": "[dim]-[/]"}
    note = f" [dim]({one.check_note})[/]" if one.check_note else ""
    role = one.role if one.weight is None else f"{one.role} ×{float(one.weight):.4g}"
    return (
        role,
        one.field or "",
        _shown(one.raw_text),
        _shown(one.value),
        one.locator or "",
        one.header or "",
        one.source or "",
        mark[one.check] + note,
    )


def _files(records: list[Input]) -> RenderableType:
    """List the files once: the cells above say which one by source and sheet."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("file", "sha256", "received (UTC)", "load", "rules", "origin"):
        table.add_column(name, overflow="fold")
    seen: dict[tuple[str | None, int | None], Input] = {}
    for one in records:
        seen.setdefault((one.part_sha256, one.load_id), one)
    for one in seen.values():
        table.add_row(
            one.file_name or "",
            (one.part_sha256 or one.snapshot_sha256 or "")[:16],
            f"{one.received_at:%Y-%m-%d %H:%M}" if one.received_at else "",
            str(one.load_id),
            one.rules_version or "",
            one.origin or "",
        )
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Decimal):
        # trailing zeros are the column's scale, not what anybody has told
        return f"{value.normalize():f}"
    return str(value)
