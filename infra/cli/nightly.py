"""Run one whole night and say what happened: arrivals, quarantine, failures, release, figures.

In: the agencies (real and simulated). Out: records in raw, marts, a release; progress while it
works, then a report, or one JSON object with --json (progress goes to standard error then).
Exit codes: 0 done, 1 done with quarantine, warnings or failed sources under --strict, 2 refused,
3 the night failed (no release could be made).
Run it: `payesh nightly`, `payesh nightly --week 1405-W35`
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TextIO

import click

from infra.cli.output import as_typed, console, emit, json_option, wants_json
from infra.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    from infra.airflow.faults import Fault
    from infra.airflow.night import Finding, Headline, Night, SourceNight

_TITLES: Final = {
    "database": "Postgres and schema",
    "sandbox": "simulated nation",
    "registry": "registry of sources",
    "airflow": "Airflow",
    "ingest": "ingest: fetch and load each source",
    "warehouse": "warehouse: gate, dbt build, gate, release",
    "report": "report",
}


_LINES: Final = 40
# as many places are named where several have the same warning
_NAMED: Final = 3
"""So many sources are listed one by one."""


@click.command()
@click.option("--week", help="Reporting week, as 1405-W35 or its Saturday 2026-11-14.")
@click.option("--strict", is_flag=True, help="Exit with 1 on any finding.")
@json_option
@click.pass_context
def command(ctx: click.Context, week: str | None, strict: bool) -> int:
    """Run one whole night: fetch, load, build, judge, release."""
    from infra.airflow.night import captured_output, night_id, run_night

    settings = Settings.from_env()
    saturday = _parse_week(week)
    as_json = wants_json(ctx)
    name = night_id(settings)
    with captured_output(settings, name, to_errors=as_json) as (real, log), _Screen(real) as screen:
        night = run_night(settings, saturday, log, screen)
    if as_json:
        emit(ctx, "", night.as_dict())
    else:
        # soft: tables keep their width, lines with commands and paths are never folded or cut
        console().print(_report(night, settings), soft_wrap=True)
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
        from rich.live import Live
        from rich.spinner import Spinner

        self.is_tty = stream.isatty()
        self.console = Console(
            file=stream,
            force_terminal=self.is_tty,
            width=None if self.is_tty else 120,
            highlight=False,
        )
        self.spinner = Spinner("dots", "starting")
        # what the libraries print goes to the log; rich must not fetch it back to the screen
        self.live = Live(
            self.spinner,
            console=self.console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.stage_began = 0.0
        self.told_at = 0.0

    def __enter__(self) -> _Screen:
        self.console.print("[bold]Payesh: the night[/bold]")
        if self.is_tty:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_tty:
            self.live.stop()

    def began(self, stage: str) -> None:
        self.stage_began = time.monotonic()
        title = _TITLES.get(stage, stage)
        if self.is_tty:
            self.spinner.update(text=f"{title} ...")
        else:
            self._print(f"> {title}")

    def said(self, stage: str, text: str) -> None:
        if stage == "dbt_build":
            # more than a hundred models: a moving line on a terminal, a line a second elsewhere
            if self.is_tty:
                self.spinner.update(text=f"dbt: {text[: self.console.width - 8]}")
                return
            if time.monotonic() - self.told_at < 1.0:
                return
            self.told_at = time.monotonic()
        self._print(f"    {self._since()} {stage}: {text}")

    def failed(self, stage: str, fault: Fault) -> None:
        from rich.markup import escape

        self._print(f"    [red]{self._since()} {stage} FAILED:[/red] {escape(fault.what)}", True)
        if fault.where:
            self._print(f"          where  {fault.where}")
        if fault.fix:
            self._print(f"          do     {fault.fix}")

    def ended(self, stage: str, seconds: float, failures: int) -> None:
        title = _TITLES.get(stage, stage)
        sign = f"[red]{failures} failed[/red]" if failures else "[green]ok[/green]"
        self._print(f"  {sign} {title}  {seconds:.1f} s", True)

    def _since(self) -> str:
        return f"{time.monotonic() - self.stage_began:5.1f}s"

    def _print(self, text: str, is_markup: bool = False) -> None:
        self.console.print(text, markup=is_markup, soft_wrap=True)


def _line(text: str, style: str = "") -> Text:
    """One line that is never folded: commands and paths are there to be copied."""
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _report(night: Night, settings: Settings) -> Group:
    from rich.console import Group

    from infra.airflow.night import FINDINGS_SHOWN

    parts: list[RenderableType] = [_line(""), _line(_verdict(night), style="bold")]
    parts += [_line(""), *_arrivals(night)]
    if night.findings:
        parts += [_line(""), *_quarantine(night)]
    if night.warnings:
        parts += [_line(""), _line("Warnings of the gates", style="bold yellow")]
        told = _told_together(night.warnings)
        parts += [_line(f"  {warning}") for warning in told[:FINDINGS_SHOWN]]
        if len(told) > FINDINGS_SHOWN:
            parts.append(_line(f"  ... and {len(told) - FINDINGS_SHOWN} more"))
    faults = [(f"{s.source} ({s.owner}, {s.email})", s.fault) for s in night.sources if s.fault]
    faults += [("source file", fault) for fault in night.problems]
    faults += [("the warehouse", fault) for fault in night.failures]
    if faults:
        parts += [_line(""), _line("Failed", style="bold red")]
        for whose, fault in faults:
            parts.append(_line(f"  {whose}: {fault.what}"))
            parts += [_line(f"      where  {fault.where}")] if fault.where else []
            parts += [_line(f"      do     {fault.fix}")] if fault.fix else []
    if night.headlines:
        parts += [_line(""), _figures(night)]
    parts += [_line(""), *_times(night), _line(""), *_where_to_look(night, settings)]
    return Group(*parts)


def _told_together(warnings: Sequence[str]) -> list[str]:
    """Warnings `<where>: <what>` that say the same of several places as one, counts added up."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for warning in warnings:
        where, _, what = warning.partition(": ")
        groups.setdefault(re.sub(r"\d+", "#", what), []).append((where, what))
    lines: list[str] = []
    for form, group in groups.items():
        (where, what), *more = group
        if not more or form.count("#") != 1:
            lines += [f"{where}: {what}" for where, what in group]
            continue
        total = sum(int(re.findall(r"\d+", what)[0]) for _, what in group)
        names = ", ".join(where for where, _ in group[:_NAMED])
        dots = ", ..." if len(group) > _NAMED else ""
        lines.append(f"{len(group)} ({names}{dots}): {form.replace('#', str(total))}")
    return lines


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


def _arrivals(night: Night) -> list[RenderableType]:
    from rich.table import Table

    shown = [source for source in night.sources if source.files or source.fault]
    silent = len(night.sources) - len(shown)
    lines: list[RenderableType] = []
    if shown:
        table = Table(title="What arrived", title_justify="left", box=None, pad_edge=False)
        for name in ("source", "", "state"):
            table.add_column(name, no_wrap=True)
        for name in ("files", "read", "accepted", "rows q.", "cells q.", "unchanged", "no data"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, source in _listed(shown):
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
                name,
                "simulated" if source.is_simulated else "real",
                source.state,
                *(str(number) if number else "-" for number in numbers),
                style="red" if source.fault else "",
            )
        lines.append(table)
    if silent:
        lines.append(_line(f"  {silent} of {len(night.sources)} sources had nothing new"))
    return lines


def _listed(shown: list[SourceNight]) -> list[tuple[str, SourceNight]]:
    """Return the lines of the table: each source, or the smooth ones of a kind as one line.

    What failed or has something in quarantine keeps a line of its own, as the real ones do.
    """
    if len(shown) <= _LINES:
        return [(source.source, source) for source in shown]
    alone: list[tuple[str, SourceNight]] = []
    smooth: dict[tuple[str, str], list[SourceNight]] = {}
    for source in shown:
        if (
            source.fault
            or source.quarantined
            or source.cells_quarantined
            or not source.is_simulated
        ):
            alone.append((source.source, source))
        else:
            smooth.setdefault((source.kind, source.state), []).append(source)
    together = [
        (f"{len(sources)} x {kind}", _sum(sources)) for (kind, _), sources in smooth.items()
    ]
    return [*alone, *together]


def _sum(sources: list[SourceNight]) -> SourceNight:
    counted = ("files", "rows_read", "accepted", "unchanged", "non_data")
    sums = {name: sum(getattr(source, name) for source in sources) for name in counted}
    return replace(sources[0], **sums)


def _quarantine(night: Night) -> list[RenderableType]:

    from infra.airflow.night import FINDINGS_SHOWN

    lines: list[RenderableType] = [
        _line(f"Quarantined: {night.quarantined} cells, rows or files", style="bold yellow")
    ]
    for finding in night.findings[:FINDINGS_SHOWN]:
        lines += [_line(line) for line in _finding(finding)]
    more = len(night.findings) - FINDINGS_SHOWN
    if more > 0:
        lines.append(_line(f"  ... and {more} more reasons; see `payesh quarantine list`"))
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


def _figures(night: Night) -> Table:
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


def _times(night: Night) -> list[RenderableType]:
    whole = [f"{s.name} {s.seconds:.1f} s" for s in night.stages if "." not in s.name]
    parts = [f"{s.name.split('.', 1)[1]} {s.seconds:.1f} s" for s in night.stages if "." in s.name]
    lines: list[RenderableType] = [_line(f"Time   {night.seconds:.1f} s: {', '.join(whole)}")]
    if parts:
        lines.append(_line(f"       warehouse: {', '.join(parts)}"))
    return lines


def _where_to_look(night: Night, settings: Settings) -> list[RenderableType]:
    rows: list[tuple[str, str]] = []
    if night.release_no is not None:
        rows += [
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
    shown = ((n, as_typed(v) if v.startswith("payesh ") else v) for n, v in rows)
    return [_line("Where to look"), *(_line(f"  {name:<12} {value}") for name, value in shown)]
