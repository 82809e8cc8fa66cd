"""Reference data as the sandbox needs it: plain rows of the CSV seeds, typed once.

In: the folder `dbt_project/seeds/reference`. Out: `Reference`, read by the simulated world (which
agencies, projects and provinces exist) and by the independent ground truth (weights, validity,
bands). Nothing here knows the pipeline: only the files are shared.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from infra.sandbox.calendar import Calendar, DutyException
from infra.sandbox.seeds import seed_date, seed_decimal, seed_flag, seed_rows


@dataclass(frozen=True, slots=True)
class Province:
    """A province; `region_no` is its region in the Interior Ministry's division into five."""

    code: str
    name_fa: str
    region_no: str
    valid_from: dt.date | None
    valid_to: dt.date | None

    def exists_on(self, day: dt.date) -> bool:
        """True when the province existed on `day`."""
        after_begin = self.valid_from is None or self.valid_from <= day
        before_end = self.valid_to is None or day <= self.valid_to
        return after_begin and before_end


@dataclass(frozen=True, slots=True)
class Project:
    """A priority project; unnamed ones are placeholders that nobody reports on."""

    code: str
    name_fa: str
    is_named: bool
    weight: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """An agency's part in a project: who leads, and the weight that splits the project."""

    agency: str
    is_lead: bool
    weight: Decimal


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator's unit, good direction ('higher' or 'lower') and least n for a rank."""

    code: str
    name_fa: str
    unit: str
    direction: str
    min_n_rank: int


@dataclass(frozen=True, slots=True)
class Band:
    """A status band: lower bound (inclusive) and upper bound (exclusive) of the variance."""

    name: str
    variance_from: Decimal | None
    variance_below: Decimal | None
    actual_from: Decimal | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A headline metric with its unit and, where there is one, its target."""

    code: str
    unit: str
    target: Decimal | None


@dataclass(frozen=True)
class Reference:
    """The reference data by code, in the order of the files."""

    calendar: Calendar
    provinces: dict[str, Province]
    projects: dict[str, Project]
    bridge: dict[str, tuple[Share, ...]]
    indicators: dict[str, Indicator]
    agencies: dict[str, str]
    bands: tuple[Band, ...]
    metrics: dict[str, Metric]

    def lead(self, project: str) -> str | None:
        """Return the project's lead agency, None when it has none (placeholders)."""
        for share in self.bridge.get(project, ()):
            if share.is_lead:
                return share.agency
        return None


def load_reference(folder: Path) -> Reference:
    """Read the seeds in `folder`; raise RefusedError naming the file that is missing or odd."""
    provinces = {
        row["province_code"]: Province(
            row["province_code"],
            row["name_fa"],
            row["region_no"],
            seed_date(row["valid_from"]),
            seed_date(row["valid_to"]),
        )
        for row in seed_rows(folder, "province")
    }
    projects = {
        row["project_code"]: Project(
            row["project_code"], row["name_fa"], seed_flag(row["is_named"]), Decimal(row["weight"])
        )
        for row in seed_rows(folder, "project")
    }
    shares: dict[str, list[Share]] = {}
    for row in seed_rows(folder, "project_agency"):
        shares.setdefault(row["project_code"], []).append(
            Share(row["agency_code"], seed_flag(row["is_lead"]), Decimal(row["allocation_weight"]))
        )
    indicators = {
        row["indicator_code"]: Indicator(
            row["indicator_code"],
            row["name_fa"],
            row["unit"],
            row["direction"],
            int(row["min_n_rank"]),
        )
        for row in seed_rows(folder, "indicator")
    }
    bands = sorted(seed_rows(folder, "status_band"), key=lambda row: int(row["sort_no"]))
    newest = max((int(row["band_version"]) for row in bands), default=0)
    return Reference(
        calendar=replace(
            Calendar.from_years(
                (int(row["jalali_year"]), dt.date.fromisoformat(row["first_day_on"]))
                for row in seed_rows(folder, "official_leap_year")
            ),
            exceptions=_exceptions(folder),
        ),
        provinces=provinces,
        projects=projects,
        bridge={project: tuple(found) for project, found in shares.items()},
        indicators=indicators,
        agencies={row["agency_code"]: row["name_fa"] for row in seed_rows(folder, "agency")},
        bands=tuple(
            Band(
                row["status_band"],
                seed_decimal(row["variance_from_pct"]),
                seed_decimal(row["variance_below_pct"]),
                seed_decimal(row["actual_from_pct"]),
            )
            for row in bands
            if int(row["band_version"]) == newest
        ),
        metrics={
            row["metric_code"]: Metric(row["metric_code"], row["unit"], seed_decimal(row["target"]))
            for row in seed_rows(folder, "metric")
        },
    )


def _exceptions(folder: Path) -> tuple[DutyException, ...]:
    """Return the departures from weekly duty; those of a province are its agencies'."""
    homes = {row["agency_code"]: row["province_code"] for row in seed_rows(folder, "agency")}
    found = []
    for row in seed_rows(folder, "reporting_exception"):
        agencies: frozenset[str] | None = None
        if row["agency_code"] or row["province_code"]:
            agencies = frozenset(
                agency
                for agency, province in homes.items()
                if row["agency_code"] in ("", agency) and row["province_code"] in ("", province)
            )
        extra = None
        if row["exception_kind"] == "due_extended":
            extra = dt.timedelta(hours=float(row["extra_hours"]))
        found.append(
            DutyException(
                dt.date.fromisoformat(row["week_start"]), row["source"] or None, agencies, extra
            )
        )
    return tuple(found)
