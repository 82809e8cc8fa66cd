"""What an operator wants to know at a glance: services, release, sources by week, faults, debts.

In: the live views of `marts`, `ops.night`, the state of the services. Out: an `Overview`.
Reads only; starts nothing but the database that it asks.
Run it: `payesh status`
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import dict_row

from infra.postgres.connect import connect
from infra.settings import Settings

if TYPE_CHECKING:
    import psycopg

MARKS: Final = {
    "on_time": "●",
    "late": "◐",
    "missing": "✗",
    "received": "●",
    "not_owed": "·",
}
"""One sign a source and week; `received`: arrived though nothing was owed."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """One source: what arrived last, what went wrong last, and its last weeks, oldest first."""

    source: str
    title: str
    owner: str
    cadence: str
    is_simulated: bool
    last_outcome: str | None
    last_attempt_at: datetime | None
    last_new_file_at: datetime | None
    last_period_start: date | None
    weeks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenFailure:
    """A source whose last attempt failed or whose last file was refused."""

    source: str
    owner: str
    code: str
    what: str
    fix: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Debt:
    """Quarantine of one source that still stands, with the age of its oldest finding in days."""

    source: str
    owner: str
    count: int
    oldest_days: int
    top_reason: str


@dataclass
class Overview:
    """Everything that `payesh status` tells."""

    services: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    release_no: int | None = None
    release_week: date | None = None
    released_at: datetime | None = None
    refusal: str = ""
    nights: list[dict[str, Any]] = field(default_factory=list)
    weeks: list[date] = field(default_factory=list)
    sources: list[Freshness] = field(default_factory=list)
    failures: list[OpenFailure] = field(default_factory=list)
    debts: list[Debt] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for `--json`."""
        return asdict(self)


def overview(settings: Settings, weeks: int = 8) -> Overview:
    """Look at the house. Raises PayeshError when the database can't be reached or is not made."""
    found = Overview()
    _services(settings, found)
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        _release(cursor, found)
        _nights(cursor, found)
        _sources(cursor, found, weeks)
        _failures(cursor, found)
        _debts(cursor, found)
    return found


def _services(settings: Settings, found: Overview) -> None:
    from infra.airflow.supervisor import health
    from infra.embedded import status as database_status

    if settings.is_embedded:
        found.services["postgres"] = database_status(settings).state
    else:
        found.services["postgres"] = "external"
    airflow = health(settings)
    if airflow.running:
        found.services |= {f"airflow {name}": state for name, state in airflow.components.items()}
        found.services["airflow UI"] = airflow.url
        found.problem = airflow.problem
    else:
        found.services["airflow"] = "stopped (`payesh up` starts it)"
    if settings.sandbox:
        from infra.sandbox import status as sandbox_status

        sandbox = sandbox_status(settings)
        if sandbox is None:
            found.services["sandbox"] = "not made yet"
        else:
            state = "running" if sandbox.is_running else "stopped"
            faults = ", ".join(f"{name} {fault}" for name, fault in sandbox.faults.items())
            found.services["sandbox"] = f"{state}, {sandbox.as_of_label}" + (
                f", faults: {faults}" if faults else ""
            )


def _release(cursor: psycopg.Cursor[dict[str, Any]], found: Overview) -> None:
    rows = cursor.execute(
        "select happened_at, outcome, release_no, as_of_week, reason_code, reason"
        " from marts.release_history order by happened_at desc limit 20"
    ).fetchall()
    if rows and rows[0]["outcome"] == "refused":
        found.refusal = f"{rows[0]['reason_code']}: {rows[0]['reason']}"
    standing = next((row for row in rows if row["outcome"] != "refused"), None)
    if standing is not None:
        found.release_no = standing["release_no"]
        found.release_week = standing["as_of_week"]
        found.released_at = standing["happened_at"]


def _nights(cursor: psycopg.Cursor[dict[str, Any]], found: Overview) -> None:
    found.nights = cursor.execute(
        "select run_id, as_of_week, started_at, status,"
        " round(extract(epoch from finished_at - started_at))::int as seconds"
        " from ops.night order by night_id desc limit 5"
    ).fetchall()


def _sources(cursor: psycopg.Cursor[dict[str, Any]], found: Overview, weeks: int) -> None:
    marks: dict[tuple[str, date], str] = {}
    known = cursor.execute(
        "select to_regclass('marts.agency_reporting_weekly') is not null as is_there"
    ).fetchone()
    if known is not None and known["is_there"] and found.release_week is not None:
        rows = cursor.execute(
            "select source, period_start, case"
            "   when is_missing then 'missing'"
            "   when expected = 1 and on_time = 1 then 'on_time'"
            "   when expected = 1 then 'late'"
            "   when received = 1 then 'received'"
            "   else 'not_owed' end as state"
            " from marts.agency_reporting_weekly"
            " where period_kind = 'week' and period_start > %s - 7 * %s and period_start <= %s",
            [found.release_week, weeks, found.release_week],
        ).fetchall()
        marks = {(row["source"], row["period_start"]): row["state"] for row in rows}
        found.weeks = sorted({day for _, day in marks})
    rows = cursor.execute(
        "select source, title, owner_name, cadence, is_simulated, last_outcome, last_attempt_at,"
        " last_new_file_at, last_period_start from marts.source_freshness"
        " where retired_on is null order by is_simulated, source"
    ).fetchall()
    for row in rows:
        name = row["source"]
        found.sources.append(
            Freshness(
                source=name,
                title=row["title"],
                owner=row["owner_name"],
                cadence=row["cadence"],
                is_simulated=row["is_simulated"],
                last_outcome=row["last_outcome"],
                last_attempt_at=row["last_attempt_at"],
                last_new_file_at=row["last_new_file_at"],
                last_period_start=row["last_period_start"],
                weeks=tuple(marks.get((name, day), "not_owed") for day in found.weeks),
            )
        )


def _failures(cursor: psycopg.Cursor[dict[str, Any]], found: Overview) -> None:
    rows = cursor.execute(
        "select f.source, f.owner_name as owner,"
        "   coalesce(f.last_error_code, 'rejected-' || f.last_reject_code) as code,"
        "   case when f.last_outcome = 'failed' then f.last_error else q.message end as what,"
        "   case when f.last_outcome = 'failed' then f.last_remedy else q.remedy end as fix,"
        "   case when f.last_outcome = 'failed' then"
        "     coalesce((select min(a.attempted_at) from raw.fetch as a where a.source = f.source"
        "       and a.attempted_at > coalesce(f.last_answer_at, '-infinity')), f.last_attempt_at)"
        "     else f.last_loaded_at end as since"
        " from marts.source_freshness as f"
        " left join raw.quarantine as q on q.load_id = f.last_load_id and q.scope = 'file'"
        "   and q.item_no = (select min(i.item_no) from raw.quarantine as i"
        "     where i.load_id = f.last_load_id and i.scope = 'file')"
        " where f.retired_on is null"
        "   and (f.last_outcome = 'failed' or f.last_load_status = 'rejected')"
        " order by since"
    ).fetchall()
    found.failures = [
        OpenFailure(
            source=row["source"],
            owner=row["owner"],
            code=str(row["code"] or ""),
            what=str(row["what"] or ""),
            fix=str(row["fix"] or ""),
            since=row["since"],
        )
        for row in rows
    ]


def _debts(cursor: psycopg.Cursor[dict[str, Any]], found: Overview) -> None:
    rows = cursor.execute(
        "select source, max(owner_name) as owner, count(*)::int as count,"
        " max(age_days) as oldest_days, mode() within group (order by reason_code) as top_reason"
        " from marts.data_quality_finding"
        " where severity = 'quarantine' and state in ('open', 'aged', 'repeated')"
        " and source is not null"
        " group by source order by oldest_days desc, count desc, source"
    ).fetchall()
    found.debts = [
        Debt(
            source=row["source"],
            owner=str(row["owner"] or ""),
            count=row["count"],
            oldest_days=int(row["oldest_days"] or 0),
            top_reason=str(row["top_reason"] or ""),
        )
        for row in rows
    ]
