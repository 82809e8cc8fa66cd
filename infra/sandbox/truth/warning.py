"""Ground truth of `early_warning` and `early_warning_track`.

In: the rows of `project_progress_weekly` and the baselines. Out: rows in the marts' columns. The
forecast goes on at the median of the pairwise slopes of the last six reports; its interval at their
10th and 90th percentile. The track holds every past forecast against what came.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

from infra.sandbox.calendar import WEEK
from infra.sandbox.truth.numbers import exact, median, rounded
from infra.sandbox.truth.progress import Curve, curve_in_force

Rows = list[dict[str, Any]]
HORIZONS = (4, 8, 12)
_SHOWN_BY = 8
_TO_FRIDAY = dt.timedelta(days=6)
_REPORTS, _LEAST_REPORTS = 6, 3
_FARTHEST_WEEKS = 1040
_FULL = Fraction(100)
_EARLY, _LATE = Fraction(9, 10), Fraction(1, 10)


@dataclass(frozen=True)
class Outlook:
    """A project's week: its actual, its plan, and the slopes of its last reports."""

    project: str
    week: dt.date
    actual: Fraction | None
    planned: Fraction | None
    reports: int
    slopes: tuple[Fraction, ...]

    @property
    def is_forecast(self) -> bool:
        return self.actual is not None and self.actual < _FULL and self.reports >= _LEAST_REPORTS


def outlooks(projects: Rows) -> list[Outlook]:
    """Return what each project's week could know of its pace."""
    found: list[Outlook] = []
    reported: list[tuple[dt.date, Fraction]] = []
    project = None
    for row in sorted(projects, key=lambda r: (r["project_code"], r["week_start"])):
        if row["project_code"] != project:
            project, reported = row["project_code"], []
        actual = exact(row["actual_pct"])
        slopes: tuple[Fraction, ...] = ()
        if actual is not None:
            reported = [*reported, (row["week_start"], actual)][-_REPORTS:]
            slopes = tuple(
                (b - a) / ((later - earlier).days // 7)
                for (earlier, a), (later, b) in combinations(reported, 2)
            )
        found.append(
            Outlook(
                row["project_code"],
                row["week_start"],
                actual,
                exact(row["planned_pct"]),
                len(reported),
                slopes,
            )
        )
    return found


def percentile(values: Sequence[Fraction], share: Fraction) -> Fraction:
    """Return the percentile, linear between the two nearest values (rank share·(n−1))."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def finish_on(week: dt.date, actual: Fraction, slope: Fraction | None) -> dt.date | None:
    """Return the Friday on which the project is done at this pace, None where it never is."""
    if slope is None or slope <= 0:
        return None
    weeks = math.ceil((_FULL - actual) / slope)
    return None if weeks > _FARTHEST_WEEKS else week + _TO_FRIDAY + weeks * WEEK


def _clip(value: Fraction) -> Fraction:
    return min(_FULL, max(Fraction(0), value))


# ---------------------------------------------------------------------- the track record
def early_warning_track(seen: list[Outlook]) -> Rows:
    """Return how well past forecasts did, for each horizon."""
    came = {(outlook.project, outlook.week): outlook for outlook in seen}
    rows: Rows = []
    for horizon in HORIZONS:
        forecasts = [outlook for outlook in seen if outlook.is_forecast]
        inside = 0
        judged: list[tuple[Fraction, int]] = []
        for outlook in forecasts:
            later = came.get((outlook.project, outlook.week + horizon * WEEK))
            if later is None or later.actual is None or later.planned is None:
                continue
            if outlook.actual is None:
                continue
            low, high = (
                _clip(outlook.actual + horizon * percentile(outlook.slopes, share))
                for share in (_LATE, _EARLY)
            )
            inside += low <= later.actual <= high
            behind = sum(
                _clip(outlook.actual + horizon * slope) < later.planned for slope in outlook.slopes
            )
            judged.append(
                (Fraction(behind, len(outlook.slopes)), int(later.actual < later.planned))
            )
        brier = base = None
        if judged:
            brier = sum(((p - o) ** 2 for p, o in judged), Fraction(0)) / len(judged)
            share = Fraction(sum(o for _, o in judged), len(judged))
            base = share * (1 - share)
        rows.append(
            {
                "horizon_weeks": horizon,
                "forecasts": len(forecasts),
                "resolved": len(judged),
                "coverage_80": rounded(Fraction(inside, len(judged)), 6) if judged else None,
                "brier": rounded(brier, 8),
                "brier_base_rate": rounded(base, 8),
                "is_shown": brier is not None and base is not None and brier < base,
            }
        )
    return rows


# ---------------------------------------------------------------------- the forecast
def early_warning(seen: list[Outlook], track: Rows, curves: dict[str, list[Curve]]) -> Rows:
    """Return a forecast for every project's week, or why there is none."""
    is_shown = any(row["is_shown"] for row in track if row["horizon_weeks"] == _SHOWN_BY)
    rows: Rows = []
    for outlook in seen:
        planned = _planned_finish(curves.get(outlook.project, []), outlook.week)
        likely = early = late = None
        probability: Fraction | None = None
        reason = None
        if outlook.actual is None:
            reason = "no_value"
        elif outlook.actual >= _FULL:
            reason = "completed"
        elif outlook.reports < _LEAST_REPORTS:
            reason = "insufficient"
        else:
            likely, early, late = (
                finish_on(outlook.week, outlook.actual, slope)
                for slope in (
                    median(outlook.slopes),
                    percentile(outlook.slopes, _EARLY),
                    percentile(outlook.slopes, _LATE),
                )
            )
            if planned is not None:
                ends = [_finish_week(outlook, slope) for slope in outlook.slopes]
                late_ones = sum(
                    weeks is None or _is_after(outlook.week, weeks, planned) for weeks in ends
                )
                probability = Fraction(late_ones, len(ends))
            if likely is None:
                reason = "no_pace"
            elif not is_shown:
                reason = "not_better_than_base_rate"
        if reason is not None:
            likely = early = late = probability = None
        rows.append(
            {
                "project_code": outlook.project,
                "week_start": outlook.week,
                "forecast_finish_on": likely,
                "forecast_early_on": early,
                "forecast_late_on": late,
                "planned_finish_on": planned,
                "probability_late": rounded(probability, 6),
                "null_reason": reason,
            }
        )
    return rows


def _finish_week(outlook: Outlook, slope: Fraction) -> int | None:
    if slope <= 0 or outlook.actual is None:
        return None
    return math.ceil((_FULL - outlook.actual) / slope)


def _is_after(week: dt.date, weeks: int, planned: dt.date) -> bool:
    return 7 * weeks > (planned - week - _TO_FRIDAY).days


def _planned_finish(curves: list[Curve], week: dt.date) -> dt.date | None:
    """Return the first day on which the baseline then in force has everything done."""
    curve = curve_in_force(curves, week + _TO_FRIDAY)
    if curve is None:
        return None
    return next((day for day, target in curve.points if target >= _FULL), None)
