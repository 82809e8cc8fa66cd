"""Run one whole night and say what happened: arrivals, quarantine, failures, release, figures.

In: the agencies (real and simulated). Out: records in raw, marts, a release; progress while it
works, then a report, or one JSON object with --json (progress goes to standard error then).
Exit codes: 0 done, 1 done with quarantine or failed sources under --strict, 2 refused,
3 the night failed (no release could be made).
Run it: `payesh nightly`, `payesh nightly --week 1405-W35`
"""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TextIO

import click

from infra.cli.output import emit, json_option, wants_json
from infra.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.status import Status

    from infra.airflow.faults import Fault
    from infra.airflow.night import Finding, Headline, Night

_TITLES: Final = {
    "database": "Postgres and schema",
    "sandbox": "simulated nation",
    "registry": "registry of sources",
    "airflow": "Airflow",
    "ingest": "ingest: fetch and load each source",
    "warehouse": "warehouse: gate, dbt build, gate, release",
    "report": "report",
}


@click.command()
@click.option("--week", help="Reporting week, as 1405-W35 or its Saturday 2026-11-14.")
@click.option("--strict", is_flag=True, help="Exit with 1 when anything was quarantined.")
@json_option
@click.pass_context
def command(ctx: click.Context, week: str | None, strict: bool) -> int:
    """Run one whole night: fetch, load, build, judge, release."""
    from infra.airflow.night import captured_output, night_id, run_night

    settings = Settings.from_env()
    saturday = _parse_week(week)
    as_json = wants_json(ctx)
    name = night_id(settings.now())
    with captured_output(settings, name, to_errors=as_json) as (real, log), _Screen(real) as screen:
        night = run_night(settings, saturday, log, screen)
    if as_json:
        emit(ctx, "", night.as_dict())
    else:
        emit(ctx, _report(night, settings), {})
    if night.status == "failed":
        return EXIT_FAILED
    return EXIT_FINDINGS if strict and night.has_findings else EXIT_DONE


def _parse_week(text: str | None) -> date | None:
    if text is None:
        return None
    from ingestion.normalise.calendar import CalendarError, parse_week, week_label, week_start

    try:
        day = date.fromisoformat(text) if text[:4].isdigit() and "W" not in text.upper() else None
        if day is None:
            return parse_week(text)
        # outside the official calendar this raises
        week_label(day)
        if week_start(day) == day:
            return day
        problem = f"{day} is not a Saturday; its week opens on {week_start(day)}"
    except (ValueError, CalendarError):
        problem = f"there is no week {text}"
    raise RefusedError(problem, "option --week", "write 1405-W35 or 2026-11-14")


class _Screen:
    """Progress: a moving line on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self.is_tty = stream.isatty()
        self.console: Console = Console(
            file=stream,
            force_terminal=self.is_tty,
            width=None if self.is_tty else 120,
            highlight=False,
        )
        self.status: Status | None = None
        self.stage_began = 0.0

    def __enter__(self) -> _Screen:
        self.console.print("[bold]Payesh: the night[/bold]")
        if self.is_tty:
            self.status = self.console.status("starting")
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def began(self, stage: str) -> None:
        self.stage_began = time.monotonic()
        title = _TITLES.get(stage, stage)
        if self.status is not None:
            self.status.update(f"{title} ...")
        else:
            self._print(f"> {title}")

    def said(self, stage: str, text: str) -> None:
        if self.status is not None and stage == "dbt_build":
            # dozens of models: one moving line on a terminal
            self.status.update(f"dbt: {text}")
            return
        self._print(f"    {self._since()} {stage}: {text}")

    def failed(self, stage: str, fault: Fault) -> None:
        from rich.markup import escape

        self._print(f"    [red]{self._since()} {stage} FAILED:[/red] {escape(fault.what)}", True)
        if fault.where:
            self._print(f"          where  {fault.where}")
        if fault.fix:
            self._print(f"          do     {fault.fix}")

    def ended(self, stage: str, seconds: float, note: str) -> None:
        title = _TITLES.get(stage, stage)
        self._print(f"  [green]ok[/green] {title}{note and ': ' + note}  {seconds:.1f} s", True)

    def _since(self) -> str:
        return f"{time.monotonic() - self.stage_began:5.1f}s"

    def _print(self, text: str, is_markup: bool = False) -> None:
        self.console.print(text, markup=is_markup, soft_wrap=True)


def _report(night: Night, settings: Settings) -> Group:
    from rich.console import Group
    from rich.text import Text

    parts: list[object] = [Text(""), Text(_verdict(night), style="bold")]
    parts.append(_arrivals(night))
    if night.findings:
        parts += [Text(""), *_quarantine(night)]
    faults = [(f"{s.source} ({s.owner}, {s.email})", s.fault) for s in night.sources if s.fault]
    faults += [("source file", fault) for fault in night.problems]
    faults += [("the warehouse", fault) for fault in night.failures]
    if faults:
        parts += [Text(""), Text("Failed", style="bold red")]
        for whose, fault in faults:
            parts.append(Text(f"  {whose}: {fault.what}"))
            parts += [Text(f"      where  {fault.where}")] if fault.where else []
            parts += [Text(f"      do     {fault.fix}")] if fault.fix else []
    if night.headlines:
        parts += [Text(""), _figures(night)]
    parts += [Text(""), *_times(night), Text(""), *_where_to_look(night, settings)]
    return Group(*parts)  # type: ignore[arg-type]


def _verdict(night: Night) -> str:
    words = {
        "done": "The night is done",
        "partial": "The night is done, some sources failed",
        "failed": "THE NIGHT HAS FAILED",
    }
    added = f"{night.records_added} records added" if night.records_added else "no new raw records"
    return (
        f"{words[night.status]} ({night.seconds:.0f} s) - week {night.week_label}"
        f" ({night.as_of_week}) - {added} - {night.release_message}"
    )


def _arrivals(night: Night) -> object:
    from rich.table import Table

    table = Table(title="What arrived", title_justify="left", box=None, pad_edge=False)
    for name in ("source", "", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("files", "read", "accepted", "quarantined", "cells q.", "unchanged", "non-data"):
        table.add_column(name, justify="right")
    for source in night.sources:
        style = "red" if source.fault else "" if source.state == "new" else "dim"
        numbers = (
            source.files,
            source.rows_read,
            source.accepted,
            source.quarantined,
            source.cells_quarantined,
            source.unchanged,
            source.non_data,
        )
        table.add_row(
            source.source,
            "simulated" if source.is_simulated else "real",
            source.state,
            *(str(number) if number else "-" for number in numbers),
            style=style,
        )
    return table


def _quarantine(night: Night) -> list[object]:
    from rich.text import Text

    from infra.airflow.night import FINDINGS_SHOWN

    lines: list[object] = [
        Text(f"Quarantined: {night.quarantined} cells, rows or files", style="bold yellow")
    ]
    for finding in night.findings[:FINDINGS_SHOWN]:
        lines += [Text(line) for line in _finding(finding)]
    more = len(night.findings) - FINDINGS_SHOWN
    if more > 0:
        lines.append(Text(f"  ... and {more} more reasons; see `payesh quarantine list`"))
    return lines


def _finding(finding: Finding) -> list[str]:
    place = " ".join(part for part in (finding.file, finding.locator) if part)
    header = f" «{finding.header}»" if finding.header else ""
    text = f": {finding.raw_text!r}" if finding.raw_text else ""
    return [
        f"  {finding.count:5} x {finding.reason}  {finding.source}",
        f"          {place}{header}{text}",
        f"          {finding.message}",
        f"          do: {finding.remedy}",
    ]


def _figures(night: Night) -> object:
    from rich.table import Table

    table = Table(
        title=f"Headline figures of week {night.week_label}, release {night.release_no}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("figure")
    for name in ("value", "change", "coverage"):
        table.add_column(name, justify="right")
    for headline in night.headlines:
        table.add_row(headline.name, *_figure(headline))
    return table


def _figure(headline: Headline) -> tuple[str, str, str]:
    value = (
        f"{_short(headline.value)} {headline.unit}".strip()
        if headline.value is not None
        else f"no value ({headline.null_reason or 'unknown'})"
    )
    change = "" if headline.change is None else f"{_short(headline.change, signed=True)}"
    coverage = f"{headline.covered} of {headline.expected}" if headline.expected is not None else ""
    return value, change, coverage


def _short(value: Decimal, signed: bool = False) -> str:
    """Round for the eye only; the stored figure keeps its digits."""
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def _times(night: Night) -> list[object]:
    from rich.text import Text

    whole = [f"{s.name} {s.seconds:.1f} s" for s in night.stages if "." not in s.name]
    parts = [f"{s.name.split('.', 1)[1]} {s.seconds:.1f} s" for s in night.stages if "." in s.name]
    lines: list[object] = [Text(f"Time   {night.seconds:.1f} s: {', '.join(whole)}")]
    if parts:
        lines.append(Text(f"       warehouse: {', '.join(parts)}"))
    return lines


def _where_to_look(night: Night, settings: Settings) -> list[object]:
    from rich.text import Text

    rows = [
        ("figures", 'payesh psql -c "select * from marts.macro_overview_weekly"'),
        ("any BI tool", "payesh url --role bi"),
    ]
    if night.trace_example:
        rows.append(("to the cell", night.trace_example))
    if night.findings:
        rows.append(("quarantine", "payesh quarantine list"))
    rows += [
        ("Airflow UI", "payesh up"),
        ("status", "payesh status"),
        ("log", str(night.log)),
    ]
    if settings.sandbox:
        rows.append(("true values", "payesh sandbox truth"))
    return [Text("Where to look"), *(Text(f"  {name:<12} {value}") for name, value in rows)]
