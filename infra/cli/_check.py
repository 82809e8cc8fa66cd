"""What `payesh source check` says of a file: fields, cells, what is owed next, what marts gain.

In: a source file and a `Preview` of what a file would become. Out: text for people and data for
programs. Nothing is loaded, and no database is asked.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from infra.cli._hints import hints
from infra.cli._outlook import next_report
from infra.cli._sources import CellSample, FieldReport, Preview
from ingestion.spec.registry import LoadedSpec

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_FINDINGS: Final = 3
_SHOWN_FIELDS: Final = 12
_SHOWN_TEXT: Final = 28

# ----------------------------------------------------------------------------------------- text


def check_text(loaded: LoadedSpec, previews: Sequence[Preview], now: dt.datetime) -> RenderableType:
    """The whole answer of `payesh source check`."""
    from rich.console import Group
    from rich.text import Text

    lines = [_preview_text(loaded, found) for found in previews]
    return Group(*lines, Text(_next_text(next_report(loaded.spec, now))))


def _next_text(found: dict[str, Any]) -> str:
    if not found["owed"]:
        return f"next report: {found['why']}"
    late = "" if found["late_from"] == found["due_at"] else f", late from {_moment(found, 'late')}"
    return (
        f"next report: {found['period']} ({found['first_day']} to {found['last_day']}), due "
        f"{_moment(found, 'due')}{late}"
    )


def _moment(found: dict[str, Any], which: str) -> str:
    moment: dt.datetime = found["late_from" if which == "late" else "due_at"]
    return f"{moment:%Y-%m-%d %H:%M} Tehran"


def _preview_text(loaded: LoadedSpec, found: Preview) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    other = ", ".join(f"{count} {reason}" for reason, count in sorted(found.non_data.items()))
    head = Text.assemble(
        (loaded.spec.source, "bold"),
        f"  {found.file_name}\n",
        f"{found.rows_read} rows read: {found.accepted} accepted, {found.refused} refused",
        f", no records: {other}" if other else "",
    )
    if found.periods:
        head.append(f"\nperiods: {_span(found.periods)}")
    lines: list[RenderableType] = [head]
    told = hints(loaded, found)
    if told:
        lines.append(Text("\nprobably wrong in the source file", style="bold"))
    for one in told:
        lines.append(
            Text(f"  {loaded.path}:{one.line}  {one.message}\n    {one.remedy}", style="red")
        )
    lines += [Text(), _fields_table(found)]
    samples = [field for field in found.fields if field.accepted or field.refused]
    if samples:
        lines += [Text("\ncells", style="bold"), *_cells(samples)]
    if found.extra_headers:
        shown = ", ".join(f"'{title}'" for title in found.extra_headers[:_SHOWN_FIELDS])
        lines.append(Text(f"\ncolumns that are not mapped: {shown}"))
    if found.findings:
        lines += [Text("\nwould be quarantined or remarked", style="bold"), *_findings(found)]
    if found.gains:
        gained = ", ".join(f"{rows} of {mart}" for mart, rows in found.gains.items())
        lines.append(Text(f"\nrows of marts that its records speak of: {gained}"))
    if found.verdict:
        lines.append(Text(f"\nthe file as a whole would be refused: {found.verdict}", style="red"))
        lines.append(Text(f"do: {found.remedy}"))
    lines.append(Text())
    return Group(*lines)


def _fields_table(found: Preview) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    fields = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("field", "column", "filled", "distinct", "lowest", "highest", "quarantined"):
        fields.add_column(
            title,
            justify="right" if title in ("filled", "distinct", "quarantined") else "left",
            overflow="fold",
        )
    for field in found.fields:
        share = f"{100 * field.filled / found.accepted:.0f} %" if found.accepted else "-"
        fields.add_row(
            field.name,
            field.header or "-",
            share,
            str(field.distinct),
            field.lowest,
            field.highest,
            Text(str(field.quarantined), style="red" if field.quarantined else ""),
        )
    return fields


def _cells(fields: Sequence[FieldReport]) -> list[RenderableType]:
    """For each field some cells that are read, and some that are not, with their addresses."""
    from rich.text import Text

    lines: list[RenderableType] = []
    for field in fields:
        line = Text(f"  {field.name}: ")
        line.append(", ".join(map(_cell, field.accepted)), style="green")
        if field.refused:
            line.append("; " if field.accepted else "")
            line.append(", ".join(map(_cell, field.refused)), style="yellow")
        lines.append(line)
    return lines


def _cell(one: CellSample) -> str:
    raw = one.raw_text if len(one.raw_text) <= _SHOWN_TEXT else f"{one.raw_text[:_SHOWN_TEXT]}…"
    if one.reason is not None:
        return f"{one.locator} '{raw}' ({one.reason})"
    return f"{one.locator} '{raw}'" + ("" if one.value == one.raw_text else f" = {one.value}")


def _findings(found: Preview) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = []
    for code, count in Counter(f.reason_code for f in found.findings).most_common():
        lines.append(Text(f"  {code}: {count}", style="yellow"))
        for finding in [f for f in found.findings if f.reason_code == code][:_SHOWN_FINDINGS]:
            lines.append(Text(f"    {finding.locator}  {finding.message}\n      {finding.remedy}"))
    return lines


def _span(periods: Sequence[str]) -> str:
    return periods[0] if len(periods) == 1 else f"{len(periods)}, {periods[0]} to {periods[-1]}"


# ----------------------------------------------------------------------------------------- data


def check_data(loaded: LoadedSpec, previews: Sequence[Preview], now: dt.datetime) -> dict[str, Any]:
    """The same for programs."""
    return {
        "source": loaded.spec.source,
        "path": loaded.path,
        "next_report": next_report(loaded.spec, now),
        "files": [
            {**asdict(found), "hints": [asdict(h) for h in hints(loaded, found)]}
            for found in previews
        ],
    }
