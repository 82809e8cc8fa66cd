"""Ground truth of `macro_overview_weekly`: the headline figures, each with its coverage.

In: the rows of the other marts, as published. Out: rows as dictionaries in the mart's columns.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import WEEK
from infra.sandbox.reference import Reference
from infra.sandbox.truth.numbers import exact, ratio, rounded

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class _Figure:
    value: Fraction | None
    numerator: Fraction | None
    denominator: Fraction | None
    received: int
    expected: int
    reason: str | None


def macro_overview_weekly(
    projects: Rows, slices: Rows, reports: Rows, reference: Reference, as_of_week: dt.date
) -> Rows:
    """Return every metric in every week with project rows or owed reports."""
    owed = [row for row in reports if row["expected"] == 1]
    weeks = {row["week_start"] for row in projects} | {row["period_start"] for row in owed}
    provinces = sum(p.exists_on(as_of_week) for p in reference.provinces.values())
    needed = weeks | {week - WEEK for week in weeks}
    figures = {
        week: {
            **_reporting([row for row in owed if row["period_start"] == week]),
            **_portfolio([row for row in projects if row["week_start"] == week], reference),
            "provinces_reporting": _provinces(
                [row for row in slices if row["week_start"] == week], provinces
            ),
        }
        for week in needed
    }
    rows: Rows = []
    for week in sorted(weeks):
        for code, metric in reference.metrics.items():
            figure, before = figures[week][code], figures[week - WEEK][code]
            change = None
            # before the first week there is none to compare with
            if week - WEEK in weeks and figure.value is not None and before.value is not None:
                change = figure.value - before.value
            rows.append(
                {
                    "metric_code": code,
                    "week_start": week,
                    "week_label": reference.calendar.week_label(week),
                    "value": rounded(figure.value, 6),
                    "numerator": rounded(figure.numerator, 6),
                    "denominator": rounded(figure.denominator, 6),
                    "unit": metric.unit,
                    "coverage_received": figure.received,
                    "coverage_expected": figure.expected,
                    "coverage": rounded(ratio(figure.received, figure.expected), 6),
                    "change_on_last_week": rounded(change, 6),
                    "target": rounded(metric.target, 6),
                    "null_reason": figure.reason if figure.value is None else None,
                }
            )
    return rows


def _reporting(owed: Rows) -> dict[str, _Figure]:
    """Return the two rates over what is owed in a week; coverage counts agencies."""
    agencies = {row["agency_code"] for row in owed}
    found: dict[str, _Figure] = {}
    for code, column in (("reporting_rate_pct", "received"), ("on_time_rate_pct", "on_time")):
        count, whole = sum(row[column] for row in owed), len(owed)
        having = {row["agency_code"] for row in owed if row[column]}
        found[code] = _Figure(
            ratio(100 * count, whole),
            Fraction(count) if owed else None,
            Fraction(whole) if owed else None,
            len(having),
            len(agencies),
            "none_owed",
        )
    return found


def _portfolio(projects: Rows, reference: Reference) -> dict[str, _Figure]:
    """Return the figures over named projects, weighted; coverage counts all of the portfolio."""
    named = [row for row in projects if reference.projects[row["project_code"]].is_named]
    valued = [row for row in named if row["actual_pct"] is not None]
    planned = [row for row in valued if row["planned_pct"] is not None]
    size = len(reference.projects)

    def weight(rows: Rows, column: str | None = None) -> Fraction | None:
        if not rows:
            return None
        return sum(
            (
                Fraction(reference.projects[row["project_code"]].weight)
                * (Fraction(1) if column is None else (exact(row[column]) or Fraction(0)))
                for row in rows
            ),
            Fraction(0),
        )

    def share(rows: Rows, above: Fraction | None, below: Fraction | None) -> _Figure:
        return _Figure(ratio(above, below), above, below, len(rows), size, "no_value")

    def count(rows: Rows) -> _Figure:
        number = Fraction(len(rows))
        value = number if valued else None
        return _Figure(value, number, None, len(valued), size, "no_value")

    return {
        "portfolio_actual_pct": share(valued, weight(valued, "actual_pct"), weight(valued)),
        "portfolio_planned_pct": share(planned, weight(planned, "planned_pct"), weight(planned)),
        "portfolio_spi": share(
            planned, weight(planned, "actual_pct"), weight(planned, "planned_pct")
        ),
        "projects_behind_plan": count(
            [row for row in named if row["status_band"] in ("behind", "at_risk")]
        ),
        "projects_stagnant": count([row for row in named if row["is_stagnant"]]),
    }


def _provinces(slices: Rows, expected: int) -> _Figure:
    reporting = {row["province_code"] for row in slices if row["reporters_received"] > 0}
    number = Fraction(len(reporting))
    return _Figure(number, number, None, len(reporting), expected, None)
