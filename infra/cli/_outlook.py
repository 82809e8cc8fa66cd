"""What a source leads to: the report that is owed next, and the marts that its records reach.

In: a source file, its accepted records. Out: plain figures; no database is asked.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from ingestion.normalise.calendar import TEHRAN, from_jalali, to_jalali, week_label, week_start
from ingestion.spec.kinds import KindName
from ingestion.spec.model import Schedule, SourceSpec

if TYPE_CHECKING:
    import polars as pl

_LAST_MONTH: Final = 12

# mart -> the columns of a record that make one row of it, for each kind of record
MARTS: Final[dict[KindName, dict[str, tuple[str, ...]]]] = {
    "progress": {
        "project_progress_weekly": ("project_code", "period_start"),
        "project_province_weekly": ("project_code", "province_code", "period_start"),
    },
    "indicator_value": {
        "provincial_indicator": ("indicator_code", "province_code", "period_kind", "period_start"),
        "provincial_balance": ("indicator_code", "period_kind", "period_start"),
    },
    "target": {
        "provincial_indicator": ("indicator_code", "province_code", "period_kind", "period_start"),
        "project_progress_weekly": ("project_code", "period_start"),
    },
    "obligation_event": {"obligation_status": ("obligation_code", "agency_code")},
    "service_status": {"service_window_compliance": ("agency_code", "period_start")},
    "ticket": {
        "bottleneck": ("theme_code", "agency_code", "period_start"),
        "bottleneck_ticket": ("ticket_code",),
    },
    "funding": {
        "funding_alignment": ("agency_code", "province_code", "period_kind", "period_start")
    },
    "meeting": {"committee_followup": ("committee_code", "held_on")},
    "rating": {"rating_history": ("project_code", "agency_code", "author", "rated_on")},
}
# rows of these need a province, a project or a theme; a record without one gives them nothing
_NEEDED: Final[dict[str, str]] = {
    "project_province_weekly": "province_code",
    "provincial_indicator": "province_code",
    "provincial_balance": "province_code",
    "project_progress_weekly": "project_code",
    "bottleneck": "theme_code",
}


def gains(spec: SourceSpec, frame: pl.DataFrame) -> dict[str, int]:
    """How many rows of each mart the accepted records speak of, new or already there."""
    found: dict[str, int] = {}
    for mart, columns in MARTS[spec.kind].items():
        needed = _NEEDED.get(mart)
        rows = frame
        if needed is not None:
            rows = rows.filter(rows[needed].is_not_null() & (rows[needed] != ""))
        if rows.height:
            found[mart] = rows.select(columns).n_unique()
    if frame.height:
        found["agency_reporting_weekly"] = frame.select("period_kind", "period_start").n_unique()
    return found


def next_report(spec: SourceSpec, now: dt.datetime) -> dict[str, Any]:
    """The next report that is owed: its period, when it is due, from when on it is late.

    `owed` is false where the schedule owes none; `why` then says so.
    """
    schedule = spec.schedule
    today = now.astimezone(TEHRAN).date()
    if schedule.cadence == "once":
        return {"owed": False, "why": "cadence: once owes no further report"}
    if schedule.owed_from is None or schedule.due_hours is None:
        return {
            "owed": False,
            "why": "nothing is owed: give schedule.owed_from and due_hours to be told of missing "
            "reports",
        }
    start = max(today, schedule.owed_from)
    label, first, last = _period_of(schedule, start)
    if schedule.owed_to is not None and first > schedule.owed_to:
        return {"owed": False, "why": f"nothing is owed after {schedule.owed_to}"}
    closes = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), TEHRAN)
    due = closes + dt.timedelta(hours=schedule.due_hours)
    return {
        "owed": True,
        "period": label,
        "first_day": first,
        "last_day": last,
        "due_at": due,
        "late_from": due + dt.timedelta(hours=schedule.grace_hours),
    }


def _period_of(schedule: Schedule, day: dt.date) -> tuple[str, dt.date, dt.date]:
    """Label, first and last day of the period of a cadence in which a day lies."""
    if schedule.cadence == "weekly":
        first = week_start(day)
        return week_label(first), first, first + dt.timedelta(days=6)
    year, month, _ = to_jalali(day)
    if schedule.cadence == "monthly":
        following = (year, month + 1) if month < _LAST_MONTH else (year + 1, 1)
        first = from_jalali(year, month, 1)
        last = from_jalali(*following, 1) - dt.timedelta(days=1)
        return f"{year}/{month:02d}", first, last
    last = from_jalali(year + 1, 1, 1) - dt.timedelta(days=1)
    return str(year), from_jalali(year, 1, 1), last
