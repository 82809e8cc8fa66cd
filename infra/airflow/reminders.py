"""Remind owners of what they owe: reports past their term, quarantine that nobody has mended.

In: `marts` (the standing release and the live findings), the owners in `raw.source`. Out: one
notice a source, told again after a week at the earliest, and one more when it is settled. Questions
to the database, asked once a day: nothing waits, no worker is held.
`PAYESH_QUARANTINE_DAYS` (7): how old a finding must be.
Run it: trigger `reminders` in the user interface
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from psycopg.rows import dict_row

from infra.airflow.faults import Fault
from infra.airflow.notifier import Channels, Notice, is_open, send
from infra.errors import RefusedError
from infra.postgres.connect import connect
from infra.settings import Settings

REPEAT: Final = timedelta(days=7)
WEEKS: Final = 8
"""What is older is a matter for a letter, not for a notice each week."""

_OWNERS: Final = """
with in_force as (
    select distinct on (s.source)
        s.source, s.title, s.owner_name, s.owner_email, s.grace_hours
    from raw.source as s
    where not exists (select from raw.retired_source as r where r.source = s.source)
    order by s.source asc, s.valid_from desc
)
"""


@dataclass(frozen=True, slots=True)
class Told:
    """How many sources owe something, how many were reminded now, how many have settled."""

    owing: int
    reminded: int
    settled: int

    def as_dict(self) -> dict[str, int]:
        """Return plain data for Airflow."""
        return {"owing": self.owing, "reminded": self.reminded, "settled": self.settled}


def remind_of_reports(settings: Settings, channels: Channels) -> Told:
    """Remind owners of the weeks that are past their term (grace included) and not there."""
    from ingestion.normalise.calendar import week_label

    now = settings.now()
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        sources = _sources(cursor)
        known = cursor.execute(
            "select to_regclass('marts.agency_reporting_weekly') is not null as is_there"
        ).fetchone()
        if known is None or not known["is_there"]:
            return Told(0, 0, 0)
        rows = cursor.execute(
            _OWNERS + "select m.source, array_agg(m.period_start order by m.period_start) as weeks,"
            " min(m.due_at) as due_at"
            " from marts.agency_reporting_weekly as m"
            " inner join in_force as f on m.source = f.source"
            " where m.is_missing and m.period_kind = 'week' and m.period_start > %s"
            " and m.due_at + make_interval(secs => (f.grace_hours * 3600)::float8) < %s"
            " group by m.source",
            [now.date() - timedelta(weeks=WEEKS), now],
        ).fetchall()
    faults: dict[str, Fault] = {}
    for row in rows:
        weeks: list[date] = row["weeks"]
        due: datetime = row["due_at"]
        faults[row["source"]] = Fault(
            "late-report",
            f"the report of {', '.join(week_label(day) for day in weeks)} has not arrived;"
            f" the first was due {due:%Y-%m-%d %H:%M} UTC",
            row["source"],
            "send it as usual; it counts as late, and the next release takes it in",
        )
    return _tell(settings, channels, "late", "late-report", faults, sources, now)


def remind_of_quarantine(settings: Settings, channels: Channels) -> Told:
    """Remind owners of findings that are older than `PAYESH_QUARANTINE_DAYS` and still stand."""
    now = settings.now()
    days = _days()
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        sources = _sources(cursor)
        rows = cursor.execute(
            "select source, count(*)::int as count, min(first_seen_at) as oldest,"
            " mode() within group (order by reason_code) as reason,"
            " max(agency_code) as agency"
            " from marts.data_quality_finding"
            " where severity = 'quarantine' and state in ('open', 'aged', 'repeated')"
            " and source = any(%s)"
            " and first_seen_at < %s group by source",
            [sorted(sources), now - timedelta(days=days)],
        ).fetchall()
    faults = {
        row["source"]: Fault(
            "quarantine-ages",
            f"{row['count']} cells, rows or files are set aside for more than {days} days, the"
            f" oldest since {row['oldest']:%Y-%m-%d}; the most frequent reason: {row['reason']}",
            row["source"],
            f"`payesh quarantine export {row['agency'] or row['source'].split('__')[0]}` lists"
            " them with address and remedy; a corrected file settles them by itself",
        )
        for row in rows
    }
    return _tell(settings, channels, "quarantine", "quarantine-ages", faults, sources, now)


def _sources(cursor: Any) -> dict[str, Mapping[str, Any]]:
    rows: Iterable[Mapping[str, Any]] = cursor.execute(_OWNERS + "select * from in_force")
    return {str(row["source"]): dict(row) for row in rows}


def _tell(
    settings: Settings,
    channels: Channels,
    topic: str,
    code: str,
    faults: Mapping[str, Fault],
    sources: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> Told:
    slow = replace(channels, repeat_seconds=REPEAT.total_seconds() - 3600)
    reminded = settled = 0
    for name, source in sources.items():
        key = f"{topic}.{name}"
        owed = faults.get(name)
        if owed is None and not is_open(settings.home, key):
            continue
        notice = Notice(
            kind="settled" if owed is None else "reminder",
            key=key,
            subject=str(source["title"]),
            fault=owed or Fault(code, "Nothing is owed any more.", name, ""),
            owner=str(source["owner_name"]),
            email=str(source["owner_email"]),
            at=now,
        )
        outcome = send(notice, settings.home, slow)
        if not outcome.held_back:
            reminded += owed is not None
            settled += owed is None
    return Told(len(faults), reminded, settled)


def _days() -> int:
    text = os.environ.get("PAYESH_QUARANTINE_DAYS", "").strip() or "7"
    if not text.isdecimal() or int(text) < 1:
        raise RefusedError(
            "PAYESH_QUARANTINE_DAYS is not a whole number of at least 1",
            f"PAYESH_QUARANTINE_DAYS={text}",
            "for example 7",
        )
    return int(text)
