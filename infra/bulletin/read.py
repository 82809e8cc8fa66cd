"""What the bulletin says, read from one release and from nothing else.

In: `marts_as_of` at `payesh.release = N`, as the reader's role. Out: a `Bulletin`, each figure with
the key that opens it. Names of metrics and bands come from the reference lists.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from infra.errors import RefusedError
from infra.postgres.connect import connect
from infra.settings import Settings

Row = dict[str, Any]
MARTS: Final = (
    "macro_overview_weekly",
    "project_progress_weekly",
    "project_province_weekly",
    "agency_reporting_weekly",
    "dim_project",
    "dim_agency",
    "dim_province",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A published value and where it stands. `value` is None with a reason, if the mart has one."""

    value: Decimal | int | None
    mart: str
    column: str
    key: Mapping[str, str]
    release_no: int
    reason: str | None = None

    @property
    def command(self) -> str:
        """The line that opens it, as typed in a shell."""
        keys = " ".join(f"{name}={value}" for name, value in self.key.items())
        return f"payesh trace {self.mart} {self.column} {keys} --release {self.release_no}"


@dataclass
class Bulletin:
    """One week of one release. Lists are in the order in which they are shown."""

    release_no: int
    published_at: datetime
    as_of_week: date
    week_label: str
    reverts_to: int | None
    sources: int = 0
    simulated_sources: int = 0
    headlines: list[Row] = field(default_factory=list)
    bands: list[Row] = field(default_factory=list)
    projects: list[Row] = field(default_factory=list)
    provinces: list[Row] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)
    late: list[Row] = field(default_factory=list)
    findings: list[Row] = field(default_factory=list)


def read_bulletin(settings: Settings, release_no: int | None = None) -> Bulletin:
    """Read a release, the newest when none is named. RefusedError when there is none such."""
    from ingestion.normalise.calendar import week_label

    with (
        connect(settings, "bi", application_name="payesh bulletin") as connection,
        connection.cursor(row_factory=dict_row) as c,
    ):
        # one moment for all marts; nothing is written
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        head = c.execute(
            "select release_no, happened_at, as_of_week, reverts_to from marts.release_history"
            " where outcome <> 'refused' and (%(no)s::int is null or release_no = %(no)s)"
            " order by release_no desc limit 1",
            {"no": release_no},
        ).fetchone()
        if head is None:
            raise RefusedError(
                "nothing has been released yet"
                if release_no is None
                else f"there is no release {release_no}",
                "",
                "see `payesh release list`; `payesh nightly` makes one",
            )
        found = Bulletin(
            release_no=int(head["release_no"]),
            published_at=head["happened_at"],
            as_of_week=head["as_of_week"],
            week_label=week_label(head["as_of_week"]),
            reverts_to=head["reverts_to"],
        )
        c.execute("select set_config('payesh.release', %s, true)", [str(found.release_no)])
        _require(c, found)
        _headlines(c, found, _names(settings, "metric", "metric_code"))
        _projects(c, found, _names(settings, "status_band", "status_band"))
        _provinces(c, found)
        _reports(c, found)
    return found


def _require(c: psycopg.Cursor[Row], found: Bulletin) -> None:
    rows = c.execute(
        "select wanted from unnest(%s::text[]) as wanted"
        " where to_regclass('marts_as_of.' || wanted) is null",
        [list(MARTS)],
    ).fetchall()
    if rows:
        raise RefusedError(
            f"the release has no {', '.join(row['wanted'] for row in rows)}",
            f"release {found.release_no}",
            "run `payesh nightly`: the marts appear with the next release",
        )


def _names(settings: Settings, seed: str, key: str) -> dict[str, Row]:
    path = settings.reference_dir / f"{seed}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row[key]: dict(row) for row in csv.DictReader(file)}


def _figure(
    found: Bulletin, mart: str, column: str, row: Row, *grain: str, reason: str | None = None
) -> Figure:
    key = {name: str(row[name]) for name in grain}
    return Figure(row[column], mart, column, key, found.release_no, reason)


def _headlines(c: psycopg.Cursor[Row], found: Bulletin, names: Mapping[str, Row]) -> None:
    mart, grain = "macro_overview_weekly", ("metric_code", "week_start")
    rows = c.execute(
        "select metric_code, week_start, value, unit, coverage_received, coverage_expected,"
        " change_on_last_week, target, null_reason from marts_as_of.macro_overview_weekly"
        " where week_start = %s",
        [found.as_of_week],
    ).fetchall()
    order = {code: place for place, code in enumerate(names)}
    for row in sorted(rows, key=lambda row: order.get(row["metric_code"], len(order))):
        name = names.get(row["metric_code"], {}).get("name_fa") or row["metric_code"]
        found.headlines.append(
            row
            | {
                "name": name,
                "figure": _figure(found, mart, "value", row, *grain, reason=row["null_reason"]),
                "change": _figure(found, mart, "change_on_last_week", row, *grain),
            }
        )


def _projects(c: psycopg.Cursor[Row], found: Bulletin, bands: Mapping[str, Row]) -> None:
    mart, grain = "project_progress_weekly", ("project_code", "week_start")
    rows = c.execute(
        "select p.project_code, p.week_start, d.name_fa, d.is_named, p.planned_pct, p.actual_pct,"
        " p.variance_pct, p.spi, p.status_band, p.is_stagnant, p.weeks_stagnant,"
        " p.reporters_received, p.reporters_expected"
        " from marts_as_of.project_progress_weekly as p"
        " left join marts_as_of.dim_project as d using (project_code)"
        " where p.week_start = %s"
        " order by p.variance_pct nulls last, p.project_code",
        [found.as_of_week],
    ).fetchall()
    for band, names in sorted(bands.items(), key=lambda item: int(item[1]["sort_no"])):
        count = sum((row["status_band"] or "no_data") == band for row in rows)
        found.bands.append({"band": band, "name": names["name_fa"], "count": count})
    for row in rows:
        band = row["status_band"] or "no_data"
        found.projects.append(
            row
            | {
                "name": row["name_fa"] or f"پروژهٔ {row['project_code']} (نامش اعلام نشده)",
                "band": band,
                "band_name": bands[band]["name_fa"] if band in bands else band,
                **{
                    name: _figure(found, mart, f"{name}_pct", row, *grain)
                    for name in ("planned", "actual", "variance")
                },
                "spi_figure": _figure(found, mart, "spi", row, *grain),
            }
        )


def _provinces(c: psycopg.Cursor[Row], found: Bulletin) -> None:
    mart, grain = "project_province_weekly", ("project_code", "province_code", "week_start")
    rows = c.execute(
        "select d.province_code, d.name_fa as province_name, s.project_code, s.week_start,"
        " p.name_fa as project_name, s.actual_pct, s.variance_pct, s.status_band,"
        " s.reporters_received, s.reporters_expected"
        " from marts_as_of.dim_province as d"
        " left join marts_as_of.project_province_weekly as s"
        "   on d.province_code = s.province_code and s.week_start = %s"
        " left join marts_as_of.dim_project as p on s.project_code = p.project_code"
        " where (d.valid_from is null or d.valid_from <= %s)"
        "   and (d.valid_to is null or d.valid_to > %s)"
        " order by d.sort_key_fa, s.variance_pct nulls last, s.project_code",
        [found.as_of_week] * 3,
    ).fetchall()
    by_province: dict[str, list[Row]] = {}
    for row in rows:
        by_province.setdefault(row["province_code"], []).append(row)
    for slices in by_province.values():
        known = [row for row in slices if row["project_code"] is not None]
        worst = next((row for row in known if row["variance_pct"] is not None), None)
        found.provinces.append(
            {
                "name": slices[0]["province_name"],
                "received": sum(row["reporters_received"] or 0 for row in known),
                "expected": sum(row["reporters_expected"] or 0 for row in known),
                "counts": [
                    sum((row["status_band"] or "no_data") == band["band"] for row in known)
                    for band in found.bands
                ],
                "worst_name": None if worst is None else worst["project_name"],
                "worst": None
                if worst is None
                else _figure(found, mart, "variance_pct", worst, *grain),
            }
        )


def _reports(c: psycopg.Cursor[Row], found: Bulletin) -> None:
    mart = "agency_reporting_weekly"
    grain = ("agency_code", "source", "period_kind", "period_start")
    rows = c.execute(
        "select r.agency_code, r.source, r.period_kind, r.period_start, r.is_simulated,"
        " a.name_fa as agency_name, r.expected, r.received, r.on_time, r.is_missing, r.due_at,"
        " r.late_hours, r.records, r.quarantined_rows, r.quarantined_cells, r.copied_forward,"
        " r.cell_completeness"
        " from marts_as_of.agency_reporting_weekly as r"
        " left join marts_as_of.dim_agency as a using (agency_code)"
        " where r.period_kind = 'week' and r.period_start = %s"
        " order by r.agency_code, r.source",
        [found.as_of_week],
    ).fetchall()
    found.sources = len(rows)
    found.simulated_sources = sum(bool(row["is_simulated"]) for row in rows)
    for row in rows:
        line = row | {"name": row["agency_name"] or row["agency_code"]}
        if row["is_missing"]:
            found.missing.append(line | {"figure": _figure(found, mart, "received", row, *grain)})
        elif row["late_hours"]:
            found.late.append(line | {"figure": _figure(found, mart, "late_hours", row, *grain)})
        if row["quarantined_rows"] or row["quarantined_cells"] or row["copied_forward"]:
            found.findings.append(
                line
                | {
                    name: _figure(found, mart, name, row, *grain)
                    for name in ("quarantined_rows", "quarantined_cells", "copied_forward")
                }
            )
