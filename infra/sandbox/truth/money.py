"""Ground truth of `funding_alignment` and `digital_economy`.

In: the ledger, reference data and rules, and the rows of marts that they build upon. Out: rows in
the marts' columns. Allocated, released and spent are three facts (trap K23); a province's share of
the nation and its share within its own product are two figures (trap K22).
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import Calendar, week_start
from infra.sandbox.reference import Reference
from infra.sandbox.rules import Rules
from infra.sandbox.truth.model import Ledger, Record, governing_last
from infra.sandbox.truth.numbers import exact, ratio, rounded

Rows = list[dict[str, Any]]
_DAY = dt.timedelta(days=1)
_TO_FRIDAY = 6 * _DAY
_SUMS = ("allocated", "released", "spent")
_Realised = tuple[Fraction | None, Fraction | None]


# ---------------------------------------------------------------------- funding
def funding_alignment(
    ledger: Ledger, projects: Rows, slices: Rows, reference: Reference, as_of_week: dt.date
) -> Rows:
    """Return each agency's and province's money by period, beside what its projects realised."""
    newest: dict[tuple[object, ...], Record] = {}
    for record in governing_last(ledger.records("funding"), lambda r: r.received_at):
        if record.row.period_start <= as_of_week + _TO_FRIDAY:
            newest[record.row.key] = record
    groups: dict[tuple[str, str, str, dt.date], list[Record]] = {}
    for record in newest.values():
        row = record.row
        level = "province" if row.province else "agency"
        key = (level, row.province or row.agency, row.period_kind, row.period_start)
        groups.setdefault(key, []).append(record)
    rows: Rows = []
    for (level, code, kind, start), records in sorted(groups.items()):
        allocated, released, spent = (_sum(records, name) for name in _SUMS)
        last_day = period_end(reference.calendar, kind, start)
        week: dt.date | None = min(week_start(last_day), as_of_week)
        if week is not None and week < start:
            week = None
        realised, coverage = (
            _by_agency(code, projects, reference, week)
            if level == "agency"
            else _by_province(code, slices, week)
        )
        paid = ratio(spent, allocated)
        reason = None
        if not allocated:
            reason = "no_allocation"
        elif spent is None:
            reason = "no_spending"
        elif realised is None:
            reason = "no_realisation"
        gap = None if reason or paid is None or realised is None else paid - realised
        rows.append(
            {
                "level": level,
                "code": code,
                "period_kind": kind,
                "period_start": start,
                "allocated_rial": rounded(allocated, 2),
                "released_rial": rounded(released, 2),
                "spent_rial": rounded(spent, 2),
                "released_share": rounded(ratio(released, allocated), 6),
                "paid_share": rounded(paid, 6),
                "realisation_share": rounded(realised, 6),
                "realisation_coverage": rounded(coverage, 6),
                "gap": rounded(gap, 6),
                "null_reason": reason,
            }
        )
    return rows


def period_end(calendar: Calendar, kind: str, start: dt.date) -> dt.date:
    """Return the last day of a period."""
    if kind == "week":
        return start + _TO_FRIDAY
    if kind == "jalali_month":
        return calendar.add_months(start, 1) - _DAY
    if kind == "jalali_year":
        return calendar.add_months(start, 12) - _DAY
    return dt.date(start.year, 12, 31) if kind == "gregorian_year" else start


def _sum(records: list[Record], name: str) -> Fraction | None:
    values = [value for record in records if (value := record.number(name)) is not None]
    return sum(values, Fraction(0)) if values else None


def _by_agency(
    agency: str, projects: Rows, reference: Reference, week: dt.date | None
) -> _Realised:
    """Return the weighted realisation of the projects that `agency` leads, and its coverage."""
    led = [code for code in reference.projects if reference.lead(code) == agency]
    here = {row["project_code"]: row for row in projects if row["week_start"] == week}
    if not any(code in here for code in led):
        return None, None
    valued = [code for code in led if code in here and here[code]["actual_pct"] is not None]
    weight = {code: Fraction(reference.projects[code].weight) for code in led}
    whole = sum((weight[code] for code in valued), Fraction(0))
    earned = sum(
        (weight[code] * Fraction(here[code]["actual_pct"]) / 100 for code in valued), Fraction(0)
    )
    return ratio(earned, whole), ratio(whole, sum(weight.values(), Fraction(0)))


def _by_province(province: str, slices: Rows, week: dt.date | None) -> _Realised:
    """Return the mean realisation of a province's slices, and how many of them have a value."""
    here = [r for r in slices if r["province_code"] == province and r["week_start"] == week]
    valued = [Fraction(row["actual_pct"]) / 100 for row in here if row["actual_pct"] is not None]
    return ratio(sum(valued, Fraction(0)), len(valued)), ratio(len(valued), len(here))


# ---------------------------------------------------------------------- digital economy
def digital_economy(indicators: Rows, reference: Reference, rules: Rules) -> Rows:
    """Return each province's digital product by period, in two shares, and the nation's."""
    roles = {code: role for role, (code, _) in rules.digital.items()}
    target = next((aim for _, aim in rules.digital.values() if aim is not None), None)
    periods: dict[tuple[str, dt.date], dict[str, dict[str, Fraction | None]]] = {}
    for row in indicators:
        role = roles.get(row["indicator_code"])
        if role is not None:
            provinces = periods.setdefault((row["period_kind"], row["period_start"]), {})
            provinces.setdefault(row["province_code"], {})[role] = exact(row["value"])
    rows: Rows = []
    for (kind, start), provinces in sorted(periods.items()):
        digital = {code: told.get("digital_value") for code, told in provinces.items()}
        gdp = {code: told.get("gdp") for code, told in provinces.items()}
        told = [value for value in digital.values() if value is not None]
        both = [code for code in provinces if digital[code] is not None and gdp[code] is not None]
        expected = sum(p.exists_on(start) for p in reference.provinces.values())
        national = ratio(
            sum((digital[code] or Fraction(0) for code in both), Fraction(0)),
            sum((gdp[code] or Fraction(0) for code in both), Fraction(0)),
        )
        for code in sorted(provinces):
            rows.append(
                {
                    "province_code": code,
                    "period_kind": kind,
                    "period_start": start,
                    "digital_value": rounded(digital[code], 10),
                    "gdp": rounded(gdp[code], 10),
                    "share_of_national": rounded(ratio(digital[code], sum(told, Fraction(0))), 6),
                    "share_of_gdp": rounded(ratio(digital[code], gdp[code]), 6),
                    "national_share": rounded(national, 6),
                    "national_target": rounded(target, 6),
                    "coverage": rounded(ratio(len(told), expected), 6),
                }
            )
    return sorted(rows, key=lambda r: (r["province_code"], r["period_kind"], r["period_start"]))
