"""`payesh quarantine`: what could not be read, where it stands, and what to do about it.

In: raw.quarantine. Out: lists for the operator; for an agency a Persian right-to-left workbook
with each cell's file, sheet, address, raw text, fault and remedy.
Run it: `payesh quarantine list`, `payesh quarantine export AGENCY`
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.output import emit, json_option
from infra.errors import EXIT_FINDINGS, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.cli._findings import FindingRow

_NUMBER = re.compile(r"(?:q-)?(\d+)[-.](\d+)")


@click.group(name="quarantine")
def group() -> None:
    """List, show, decide and export what could not be read."""


@group.command("list")
@click.option("--source", help="Only this source.")
@click.option("--agency", help="Only this agency's code.")
@click.option("--province", help="Only this province's code.")
@click.option("--reason", help="Only this reason code.")
@click.option("--week", help="Only this reporting week, for example 1405-W35.")
@click.option("--all", "with_settled", is_flag=True, help="Also what later files have settled.")
@click.option("--limit", default=50, show_default=True, help="Findings to show at most.")
@click.option("--strict", is_flag=True, help="Exit 1 when there are findings.")
@json_option
@click.pass_context
def list_findings(
    ctx: click.Context,
    source: str | None,
    agency: str | None,
    province: str | None,
    reason: str | None,
    week: str | None,
    with_settled: bool,
    limit: int,
    strict: bool,
) -> None:
    """Show findings that still stand, newest first."""
    from infra.cli._findings import Filter, findings

    wanted = Filter(
        source=source,
        agency=agency,
        province=province,
        reason=reason,
        week=_week(week),
        with_settled=with_settled,
        # one more than shown tells whether there are more
        limit=max(0, limit) + 1,
    )
    with _connection() as connection:
        rows = findings(connection, wanted)
    shown, has_more = rows[:limit], len(rows) > limit
    emit(ctx, _list_text(shown, has_more), {"findings": _data(shown), "has_more": has_more})
    if strict and shown:
        ctx.exit(EXIT_FINDINGS)


@group.command("show")
@click.argument("number", metavar="LOAD-ITEM")
@json_option
@click.pass_context
def show(ctx: click.Context, number: str) -> None:
    """Show one finding with all that is known of it, for example 12-3."""
    from infra.cli._findings import finding

    load_id, item_no = _numbers(number)
    with _connection() as connection:
        found = finding(connection, load_id, item_no)
    if found is None:
        raise _unknown(number)
    emit(ctx, _show_text(found), _data([found])[0])


@group.command("decide")
@click.argument("number", metavar="LOAD-ITEM")
@click.option("--accept-as", "value", help="Read this text in the cell's place, by its rules.")
@click.option("--not-reported", is_flag=True, help="The cell says nothing.")
@click.option("--dismiss", is_flag=True, help="Nothing is to be done about it.")
@click.option("--reason", required=True, help="Why, for those who ask later.")
@click.option("--by", "decided_by", required=True, help="Who decides.")
@click.option("--no-replay", is_flag=True, help="Only write it down; a later replay applies it.")
@json_option
@click.pass_context
def decide(
    ctx: click.Context,
    number: str,
    value: str | None,
    not_reported: bool,
    dismiss: bool,
    reason: str,
    decided_by: str,
    no_replay: bool,
) -> None:
    """Decide about one finding; kept with reason and name, and applied to the kept file.

    The file is read again as it was received: the decided text stands in the cell's place, the
    record's lineage names the decision, and what stood in the file stays beside it.
    """
    from infra.cli._decide import decide_cell
    from infra.cli._findings import finding

    verdicts = [name for name, given in (
        ("accept-as", value is not None), ("not-reported", not_reported), ("dismiss", dismiss),
    ) if given]  # fmt: skip
    if len(verdicts) != 1:
        raise RefusedError(
            "say what is decided",
            "payesh quarantine decide",
            "give exactly one of --accept-as VALUE, --not-reported, --dismiss",
        )
    load_id, item_no = _numbers(number)
    with _connection() as connection:
        found = finding(connection, load_id, item_no)
    if found is None:
        raise _unknown(number)
    outcome = decide_cell(found, verdicts[0], value, reason, decided_by, replays=not no_replay)
    emit(ctx, outcome.text, outcome.data)


@group.command("export")
@click.argument("agency")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The workbook to write; default PAYESH_HOME/quarantine/AGENCY-DATE.xlsx.",
)
@click.option("--all", "with_settled", is_flag=True, help="Also what later files have settled.")
@json_option
@click.pass_context
def export(ctx: click.Context, agency: str, out: Path | None, with_settled: bool) -> None:
    """Write an agency's findings as a Persian workbook that can be sent back to it."""
    from infra.cli._findings import Filter, findings, reporters, write_workbook

    settings = Settings.from_env()
    with _connection() as connection:
        known = reporters(connection)
        if agency not in known:
            near = get_close_matches(agency, known, n=3)
            raise RefusedError(
                f"no agency {agency} has reported anything",
                "argument AGENCY",
                f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}",
            )
        rows = findings(connection, Filter(agency=agency, with_settled=with_settled))
    if not rows:
        emit(ctx, f"{agency}: nothing to correct, no file written", {"path": None, "findings": 0})
        return
    now = settings.now()
    path = out or settings.home / "quarantine" / f"{agency}-{now:%Y-%m-%d}.xlsx"
    try:
        write_workbook(path, agency, rows, now)
    except OSError as error:
        raise RefusedError(
            f"the workbook can't be written: {error.strerror or error}",
            str(path),
            "name another file with --out, or make its folder writable",
        ) from error
    emit(ctx, f"{len(rows)} findings written to {path}", {"path": path, "findings": len(rows)})


def _numbers(number: str) -> tuple[int, int]:
    match = _NUMBER.fullmatch(number.strip())
    if match is None:
        raise RefusedError(
            f"'{number}' is not the number of a finding",
            "argument LOAD-ITEM",
            "give load and item as `payesh quarantine list` shows them, for example 12-3",
        )
    return int(match[1]), int(match[2])


def _unknown(number: str) -> RefusedError:
    return RefusedError(
        f"there is no finding {number}", "raw.quarantine", "see `payesh quarantine list --all`"
    )


def _connection() -> Any:
    """A connection as payesh_ingest, which may read what was refused."""
    from infra.postgres import connect, migrate

    settings = Settings.from_env()
    migrate(settings)
    return connect(settings, "ingest")


def _week(label: str | None) -> dt.date | None:
    if label is None:
        return None
    from ingestion.normalise.calendar import parse_week

    try:
        return parse_week(label)
    except ValueError as error:
        raise RefusedError(str(error), f"--week {label}", "write it like 1405-W35") from error


def _data(rows: Sequence[FindingRow]) -> list[dict[str, Any]]:
    return [{"finding": row.number, **asdict(row)} for row in rows]


def _list_text(rows: Sequence[FindingRow], has_more: bool) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return Text("nothing in quarantine")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("finding", "source", "period", "where", "text", "what is wrong", "state"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(
            Text(row.number),
            Text(row.source),
            Text(str(row.period_start or "")),
            Text(f"{row.file_name} {row.locator}".strip()),
            Text((row.raw_text or "")[:40]),
            Text(f"{row.reason_code}: {row.message}", style="" if row.is_standing else "dim"),
            Text(_state(row)),
        )
    by_reason = ", ".join(
        f"{count} {code}" for code, count in Counter(r.reason_code for r in rows).most_common()
    )
    more = " (more with --limit)" if has_more else ""
    return Group(table, Text(f"{len(rows)} findings{more}: {by_reason}"))


def _state(row: FindingRow) -> str:
    if row.state == "decided":
        return f"decided by {row.decided_by}: {row.decision}"
    words = {"repeated": "repeated by a later file", "corrected": "corrected by a later file"}
    return words.get(row.state, row.state)


def _decided(row: FindingRow) -> str | None:
    if row.decision is None:
        return None
    return f"{row.decision}, by {row.decided_by} at {row.decided_at}: {row.decision_reason}"


def _show_text(row: FindingRow) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    lines: list[tuple[str, object]] = [
        ("finding", row.number),
        ("what is wrong", f"{row.message} [{row.reason_code}]"),
        ("what to do", row.remedy),
        ("raw text", row.raw_text),
        ("file", row.file_name),
        ("where", row.locator),
        ("column", row.header),
        ("field", row.field),
        ("scope", row.scope),
        ("source", f"{row.source} ({row.kind})"),
        ("owner", " ".join(filter(None, (row.owner_name, row.owner_email)))),
        ("agency", row.agency_code),
        ("province", row.province_code),
        ("period", f"{row.period_kind} {row.period_start}" if row.period_start else None),
        ("record", f"raw.{row.kind} {row.load_id}-{row.record_no}" if row.record_no else None),
        ("received", row.received_at.isoformat()),
        ("rule", row.rule),
        ("snapshot", row.sha256),
        ("state", _state(row)),
        ("decided", _decided(row)),
    ]
    for label, value in lines:
        if value not in (None, ""):
            table.add_row(label, Text(str(value)))
    return table
