"""Ground truth of `agency_reporting_weekly`: who owed what, who reported, how late, how whole.

In: the ledger and the calendar. Out: rows as dictionaries in the mart's columns. A report on a week
is due `due_hours` after the following Saturday 00:00 in Tehran.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import WEEK, Calendar, tehran_midnight
from infra.sandbox.truth.model import Ledger, Record, SourceInfo
from infra.sandbox.truth.numbers import ratio, rounded

Rows = list[dict[str, Any]]
_COPIES = 4


def agency_reporting_weekly(ledger: Ledger, calendar: Calendar, as_of_week: dt.date) -> Rows:
    """Return each source's owed weeks up to `as_of_week`, and its periods with records."""
    by_period: dict[tuple[str, str, dt.date], list[Record]] = {}
    for record in ledger.latest.values():
        row = record.row
        if row.period_kind != "week" or row.period_start <= as_of_week:
            key = (record.source, row.period_kind, row.period_start)
            by_period.setdefault(key, []).append(record)
    copied = _copied_forward(ledger)
    keys = set(by_period)
    owed = {
        info.source: frozenset(_owed(info, calendar, as_of_week))
        for info in ledger.sources.values()
    }
    for name, weeks in owed.items():
        keys.update((name, "week", week) for week in weeks)
    rows: Rows = []
    for key in sorted(keys):
        source, period_kind, period_start = key
        info = ledger.sources[source]
        records = by_period.get(key, [])
        is_week = period_kind == "week"
        expected = int(is_week and period_start in owed[source])
        received = int(bool(records))
        first = ledger.first_received[key] if records else None
        due_at = None
        if expected:
            due_at = tehran_midnight(period_start + WEEK) + _hours(info.due_hours or 0)
            due_at += max(
                (
                    one.extra
                    for one in calendar.exceptions
                    if one.extra and one.speaks_of(period_start, source, info.agency)
                ),
                default=dt.timedelta(),
            )
        on_time = int(
            due_at is not None and first is not None and first <= due_at + _hours(info.grace_hours)
        )
        late: Fraction | None = None
        if due_at is not None and first is not None:
            seconds = Fraction((first - due_at) // dt.timedelta(microseconds=1), 1_000_000)
            late = Fraction(0) if on_time else seconds / 3600
        required = sum(record.cells_required for record in records)
        filled = sum(record.cells_filled for record in records)
        refused = ledger.quarantined.get(key)
        # a fault stands until the period is told anew: the record then replaces it
        if refused is not None and any(record.rank > refused.rank for record in records):
            refused = None
        rows.append(
            {
                "agency_code": info.agency,
                "source": source,
                "period_kind": period_kind,
                "period_start": period_start,
                "week_label": calendar.week_label(period_start) if is_week else None,
                "is_simulated": info.is_simulated,
                "expected": expected,
                "received": received,
                "on_time": on_time,
                "is_missing": bool(expected and not received),
                "due_at": due_at,
                "first_received_at": first,
                "late_hours": rounded(late, 2),
                "records": len(records),
                "cells_required": required,
                "cells_filled": filled,
                "cell_completeness": rounded(ratio(filled, required), 6),
                "copied_forward": copied.get(key, 0),
                "quarantined_rows": refused.rows if refused else 0,
                "quarantined_cells": refused.cells if refused else 0,
                "reporting_rate": rounded(ratio(received, expected), 6),
                "on_time_rate": rounded(ratio(on_time, expected), 6),
            }
        )
    return rows


def _owed(info: SourceInfo, calendar: Calendar, as_of_week: dt.date) -> list[dt.date]:
    """Return the Saturdays of the weeks that a source owes a report on (trap D14)."""
    if info.cadence != "weekly" or info.owed_from is None:
        return []
    found: list[dt.date] = []
    week = info.owed_from
    while week <= as_of_week and (info.owed_to is None or week <= info.owed_to):
        if not any(
            one.extra is None and one.speaks_of(week, info.source, info.agency)
            for one in calendar.exceptions
        ):
            found.append(week)
        week += WEEK
    return found


def _copied_forward(ledger: Ledger) -> dict[tuple[str, str, dt.date], int]:
    """Count the figures told four reports running unchanged while the plan rose (trap K3)."""
    series: dict[tuple[str, str, str, str, str], list[Record]] = {}
    for record in ledger.records("progress"):
        if record.number("actual_pct") is not None:
            row = record.row
            key = (record.source, row.project, row.agency, row.province, row.activity)
            series.setdefault(key, []).append(record)
    found: dict[tuple[str, str, dt.date], int] = {}
    for records in series.values():
        records.sort(key=lambda record: record.row.period_start)
        for at in range(_COPIES - 1, len(records)):
            window = records[at - _COPIES + 1 : at + 1]
            before, now = window[0].number("planned_pct"), window[-1].number("planned_pct")
            is_same = len({record.number("actual_pct") for record in window}) == 1
            if is_same and before is not None and now is not None and now > before:
                row = records[at].row
                period = (records[at].source, row.period_kind, row.period_start)
                found[period] = found.get(period, 0) + 1
    return found


def _hours(hours: float) -> dt.timedelta:
    return dt.timedelta(hours=hours)
