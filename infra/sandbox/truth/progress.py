"""Ground truth of `project_progress_weekly` and `project_province_weekly`.

In: the ledger and the reference data. Out: rows as dictionaries in the columns of the marts.
Formulas: earned schedule after Lipke, trend after Theil and Sen; the rest are definitions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any

from infra.sandbox.calendar import WEEK, week_start
from infra.sandbox.reference import Reference, Share
from infra.sandbox.truth.model import Ledger, Record
from infra.sandbox.truth.numbers import median, ratio, rounded

Rows = list[dict[str, Any]]
_TO_FRIDAY = dt.timedelta(days=6)
_TREND_REPORTS = 6
_STAGNANT_REPORTS = 4


@dataclass(frozen=True)
class Curve:
    """One revision of a project's baseline: points by day, linear in between."""

    revision: int
    effective_from: dt.date | None
    points: tuple[tuple[dt.date, Fraction], ...]

    @property
    def week_zero(self) -> dt.date:
        """Saturday of the week before the one that holds the first point."""
        return week_start(self.points[0][0]) - WEEK

    @property
    def budget(self) -> Fraction:
        return self.points[-1][1]

    def at(self, day: dt.date) -> Fraction:
        if day < self.points[0][0]:
            return Fraction(0)
        for (begin, low), (end, high) in zip(self.points, self.points[1:], strict=False):
            if begin <= day < end:
                return low + (high - low) * Fraction((day - begin).days, (end - begin).days)
        return self.budget

    @cached_property
    def weekly(self) -> list[Fraction]:
        """Return PV_0, PV_1, ... at the Fridays, up to the first that has all of the plan."""
        found = [Fraction(0)]
        friday = self.week_zero + _TO_FRIDAY
        while friday < self.points[-1][0]:
            friday += WEEK
            found.append(self.at(friday))
        return found

    def earned_schedule(self, earned: Fraction) -> Fraction:
        """Return the weeks of plan that `earned` is worth."""
        planned = self.weekly
        if earned == 0:
            return Fraction(0)
        if earned >= self.budget:
            return Fraction(next(t for t, value in enumerate(planned) if value >= self.budget))
        last = max(t for t, value in enumerate(planned) if value <= earned)
        return last + (earned - planned[last]) / (planned[last + 1] - planned[last])


def baselines(ledger: Ledger) -> dict[str, list[Curve]]:
    """Return the revisions of each project's baseline, in their order."""
    best: dict[tuple[str, int, dt.date], Record] = {}
    for record in ledger.records("target"):
        row = record.row
        if not row.project or row.province or record.number("target") is None:
            continue
        key = (row.project, row.revision, row.period_start)
        if key not in best or _later_then_name(record) < _later_then_name(best[key]):
            best[key] = record
    found: dict[str, list[Curve]] = {}
    for project, revision in sorted({(project, revision) for project, revision, _ in best}):
        points = sorted(
            (day, record) for (p, r, day), record in best.items() if (p, r) == (project, revision)
        )
        effective = [day for _, record in points if (day := record.day("effective_from"))]
        found.setdefault(project, []).append(
            Curve(
                revision,
                min(effective, default=None),
                tuple((day, record.number("target") or Fraction(0)) for day, record in points),
            )
        )
    return found


def curve_in_force(curves: list[Curve], friday: dt.date) -> Curve | None:
    """Return the newest revision that holds on `friday`; the first holds from the beginning."""
    in_force = [
        curve
        for curve in curves
        if curve.revision == 0
        or (curve.effective_from is not None and curve.effective_from <= friday)
    ]
    return max(in_force, key=lambda curve: curve.revision, default=None)


def band(reference: Reference, actual: Fraction | None, variance: Fraction | None) -> str:
    """Return the first status band that the figures fall into."""
    for found in reference.bands:
        if found.actual_from is not None:
            if actual is not None and actual >= Fraction(found.actual_from):
                return found.name
            continue
        low, high = found.variance_from, found.variance_below
        if low is None and high is None:
            return found.name
        if variance is None:
            continue
        if (low is None or variance >= Fraction(low)) and (
            high is None or variance < Fraction(high)
        ):
            return found.name
    raise ValueError("the status bands leave a gap")


# ---------------------------------------------------------------------- project x week
@dataclass
class _Told:
    """One project's week as the governing record tells it."""

    week: dt.date
    record: Record | None
    agencies: dict[str, Record]
    actual: Fraction | None
    planned: Fraction | None
    planned_basis: str | None
    original: Curve | None
    current: Curve | None


def project_progress_weekly(ledger: Ledger, reference: Reference, as_of_week: dt.date) -> Rows:
    """Return all projects in all weeks from the first national report to `as_of_week`."""
    national = [
        record
        for record in ledger.records("progress")
        if not record.row.province and record.row.period_start <= as_of_week
    ]
    if not national:
        return []
    first = min(record.row.period_start for record in national)
    weeks = [first + step * WEEK for step in range((as_of_week - first).days // 7 + 1)]
    curves = baselines(ledger)
    reporters = {info.agency for info in ledger.sources.values() if info.kind == "progress"}
    rows: Rows = []
    for code, project in sorted(reference.projects.items()):
        shares = reference.bridge.get(code, ())
        mine = [r for r in national if r.row.project == code] if project.is_named else []
        told = [
            _tell(
                week,
                [r for r in mine if r.row.period_start == week],
                shares,
                curves.get(code, []) if project.is_named else [],
            )
            for week in weeks
        ]
        expected = sum(share.agency in reporters for share in shares)
        rows.extend(_project_rows(code, told, shares, expected, reference))
    return rows


def _tell(
    week: dt.date, records: list[Record], shares: tuple[Share, ...], curves: list[Curve]
) -> _Told:
    agencies: dict[str, Record] = {}
    for told in sorted(records, key=_later_then_name):
        agencies.setdefault(told.row.agency, told)
    part = {share.agency: share for share in shares}

    def precedence(agency: str) -> tuple[bool, Fraction, str]:
        share = part.get(agency)
        if share is None:
            return (True, Fraction(0), agency)
        return (not share.is_lead, -Fraction(share.weight), agency)

    record = agencies[min(agencies, key=precedence)] if agencies else None
    friday = week + _TO_FRIDAY
    original = curves[0] if curves else None
    current = curve_in_force(curves, friday)
    planned = record.number("planned_pct") if record else None
    basis = "reported" if planned is not None else None
    if planned is None and current is not None:
        planned, basis = current.at(friday), "baseline"
    actual = record.number("actual_pct") if record else None
    return _Told(week, record, agencies, actual, planned, basis, original, current)


def _project_rows(
    code: str,
    told: list[_Told],
    shares: tuple[Share, ...],
    expected: int,
    reference: Reference,
) -> Rows:
    part = {share.agency: share for share in shares}
    reported: list[_Told] = []
    regressions = 0
    has_output: bool | None = None
    rows: Rows = []
    for now in told:
        friday = now.week + _TO_FRIDAY
        if now.actual is not None:
            if reported and now.actual < (reported[-1].actual or 0):
                regressions += 1
            reported.append(now)
        if now.record is not None and now.record.flag("has_output") is not None:
            has_output = now.record.flag("has_output")
        run = _run(reported) if now.actual is not None else []
        is_stagnant = (
            len(run) >= _STAGNANT_REPORTS
            and now.planned is not None
            and run[0].planned is not None
            and now.planned > run[0].planned
        )
        trend, plan_trend = _trends(reported) if now.actual is not None else (None, None)
        variance = _minus(now.actual, now.planned)
        original = None if now.original is None else now.original.at(friday)
        earned, spent, spi_t, reason = _earned(now)
        received = sum(agency in part for agency in now.agencies)
        differing = [
            record.number("actual_pct")
            for record in now.agencies.values()
            if now.actual is not None and record.number("actual_pct") not in (None, now.actual)
        ]
        value_basis = None
        if now.record is not None:
            share = part.get(now.record.row.agency)
            value_basis = "lead" if share is not None and share.is_lead else "participant"
        rows.append(
            {
                "project_code": code,
                "week_start": now.week,
                "week_label": reference.calendar.week_label(now.week),
                "planned_pct": rounded(now.planned, 4),
                "actual_pct": rounded(now.actual, 4),
                "variance_pct": rounded(variance, 4),
                "spi": rounded(ratio(now.actual, now.planned), 6),
                "value_basis": value_basis,
                "planned_basis": now.planned_basis,
                "planned_original_pct": rounded(original, 4),
                "planned_current_pct": rounded(
                    None if now.current is None else now.current.at(friday), 4
                ),
                "slippage_original_pct": rounded(_minus(now.actual, original), 4),
                "earned_schedule_weeks": rounded(earned, 6),
                "actual_time_weeks": spent,
                "spi_t": rounded(spi_t, 6),
                "spi_t_reason": reason,
                "trend_pct_per_week": rounded(trend, 6),
                "plan_trend_pct_per_week": rounded(plan_trend, 6),
                "trend_state": _trend_state(trend, plan_trend),
                "weeks_stagnant": len(run),
                "is_stagnant": is_stagnant,
                "regressions": regressions,
                "has_output": has_output,
                "conflicting_agencies": len(differing),
                "reporters_expected": expected,
                "reporters_received": received,
                "coverage": rounded(ratio(received, expected), 6),
                "status_band": band(reference, now.actual, variance),
            }
        )
    return rows


def _run(reported: list[_Told]) -> list[_Told]:
    """Return the latest reported weeks that all say the same, oldest first."""
    found = [reported[-1]]
    for earlier in reversed(reported[:-1]):
        if earlier.actual != reported[-1].actual:
            break
        found.insert(0, earlier)
    return found


def _trends(reported: list[_Told]) -> tuple[Fraction | None, Fraction | None]:
    """Return the median slopes of actual and plan over the last six reported weeks."""
    if len(reported) < 3:
        return None, None
    actual: list[Fraction] = []
    planned: list[Fraction] = []
    for a, b in combinations(reported[-_TREND_REPORTS:], 2):
        apart = (b.week - a.week).days // 7
        if a.actual is not None and b.actual is not None:
            actual.append((b.actual - a.actual) / apart)
        if a.planned is not None and b.planned is not None:
            planned.append((b.planned - a.planned) / apart)
    return median(actual), median(planned)


def _trend_state(trend: Fraction | None, plan_trend: Fraction | None) -> str:
    if trend is None:
        return "insufficient"
    if trend < 0 or (plan_trend is not None and trend < plan_trend / 2):
        return "unfavourable"
    return "favourable"


def _earned(now: _Told) -> tuple[Fraction | None, int | None, Fraction | None, str | None]:
    """Return earned schedule, actual time, SPI(t) and why there is no SPI(t)."""
    spent = None if now.current is None else (now.week - now.current.week_zero).days // 7
    if now.actual is None:
        return None, spent, None, "no_value"
    if now.current is None or spent is None:
        return None, None, None, "no_baseline"
    earned = now.current.earned_schedule(now.actual)
    if spent <= 0:
        return earned, spent, None, "not_started"
    return earned, spent, earned / spent, None


# ---------------------------------------------------------------------- project x province x week
def project_province_weekly(ledger: Ledger, reference: Reference, as_of_week: dt.date) -> Rows:
    """Return each reported (project, province) from its first reported week to `as_of_week`."""
    pairs: dict[tuple[str, str], list[Record]] = {}
    for record in ledger.records("progress"):
        row = record.row
        if row.province and row.period_start <= as_of_week:
            pairs.setdefault((row.project, row.province), []).append(record)
    rows: Rows = []
    for (project, province), records in sorted(pairs.items()):
        lead = reference.lead(project)
        began: dict[str, dt.date] = {}
        for record in records:
            week = record.row.period_start
            began[record.source] = min(week, began.get(record.source, week))
        week = last_told = min(began.values())
        while week <= as_of_week:
            here = sorted(
                (record for record in records if record.row.period_start == week),
                key=lambda record: (record.row.agency != lead, *_later_then_name(record)),
            )
            if here:
                last_told = week
            planned = here[0].number("planned_pct") if here else None
            actual = here[0].number("actual_pct") if here else None
            variance = _minus(actual, planned)
            expected = sum(begin <= week for begin in began.values())
            received = len({record.source for record in here})
            conflicts = sum(
                actual is not None and record.number("actual_pct") not in (None, actual)
                for record in here
            )
            rows.append(
                {
                    "project_code": project,
                    "province_code": province,
                    "week_start": week,
                    "week_label": reference.calendar.week_label(week),
                    "planned_pct": rounded(planned, 4),
                    "actual_pct": rounded(actual, 4),
                    "variance_pct": rounded(variance, 4),
                    "spi": rounded(ratio(actual, planned), 6),
                    "status_band": band(reference, actual, variance),
                    "reporters_expected": expected,
                    "reporters_received": received,
                    "coverage": rounded(ratio(received, expected), 6),
                    "conflict_count": conflicts,
                    "weeks_since_report": (week - last_told).days // 7,
                }
            )
            week += WEEK
    return rows


def _minus(left: Fraction | None, right: Fraction | None) -> Fraction | None:
    return None if left is None or right is None else left - right


def _later_then_name(record: Record) -> tuple[float, str, int]:
    """Sort key: latest received first, then the source's name."""
    return (-record.received_at.timestamp(), record.source, -record.order)
