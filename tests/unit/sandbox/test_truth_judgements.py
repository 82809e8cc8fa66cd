"""Forecasts, their track record and the scorecards of the ground truth, worked out by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from infra.sandbox.calendar import WEEK
from infra.sandbox.truth.progress import Curve
from infra.sandbox.truth.scorecard import scorecards, weigh
from infra.sandbox.truth.warning import (
    early_warning,
    early_warning_track,
    finish_on,
    outlooks,
    percentile,
)
from tests.unit.sandbox.ground import FRIDAY, REFERENCE, RULES, SATURDAY, ledger, notified

Rows = list[dict[str, Any]]


def _series(actual: list[str | None], planned: list[str | None], project: str = "P01") -> Rows:
    return [
        {
            "project_code": project,
            "week_start": SATURDAY + step * WEEK,
            "actual_pct": None if told is None else Decimal(told),
            "planned_pct": None if plan is None else Decimal(plan),
            "spi_t": None,
        }
        for step, (told, plan) in enumerate(zip(actual, planned, strict=True))
    ]


# ---------------------------------------------------------------------- forecasts
@pytest.mark.parametrize(
    ("share", "value"),
    [
        (Fraction(1, 10), Fraction(7, 5)),
        (Fraction(1, 2), Fraction(3)),
        (Fraction(9, 10), Fraction(23, 5)),
        (Fraction(1), Fraction(5)),
    ],
)
def test_percentiles_lie_on_the_line_between_neighbours(share: Fraction, value: Fraction) -> None:
    """1 to 5: rank 4·0.1 = 0.4, so 1.4."""
    assert percentile([Fraction(n) for n in (5, 3, 1, 2, 4)], share) == value
    assert percentile([Fraction(7)], share) == 7


def test_a_finish_is_a_friday_and_never_beyond_twenty_years() -> None:
    assert finish_on(SATURDAY, Fraction(90), Fraction(4)) == FRIDAY + 3 * WEEK
    assert finish_on(SATURDAY, Fraction(90), Fraction(5)) == FRIDAY + 2 * WEEK
    assert finish_on(SATURDAY, Fraction(0), Fraction(100, 1040)) == FRIDAY + 1040 * WEEK
    assert finish_on(SATURDAY, Fraction(0), Fraction(100, 1041)) is None
    assert finish_on(SATURDAY, Fraction(90), Fraction(0)) is None


def _curve(finish: dt.date) -> dict[str, list[Curve]]:
    points = ((SATURDAY, Fraction(0)), (finish, Fraction(100)))
    return {"P01": [Curve(0, None, points)]}


SHOWN: Rows = [{"horizon_weeks": 8, "is_shown": True}]
HIDDEN: Rows = [{"horizon_weeks": 8, "is_shown": False}, {"horizon_weeks": 4, "is_shown": True}]


def test_a_forecast_with_its_interval_and_its_chance_of_delay() -> None:
    """70, 72, 78, slopes 2, 6, 4: pace 4, p10 2.4, p90 5.6; 22 to go: 6, 10 and 4 weeks."""
    seen = outlooks(_series(["70", "72", "78"], ["70", "80", "90"]))
    week = SATURDAY + 2 * WEEK
    friday = FRIDAY + 2 * WEEK
    row = early_warning(seen, SHOWN, _curve(friday + 6 * WEEK))[-1]
    assert row["week_start"] == week
    assert row["forecast_finish_on"] == friday + 6 * WEEK
    assert row["forecast_early_on"] == friday + 4 * WEEK
    assert row["forecast_late_on"] == friday + 10 * WEEK
    assert row["planned_finish_on"] == friday + 6 * WEEK
    # by slope 2 it takes 11 weeks, by 4 and 6 it is there in time
    assert row["probability_late"] == Decimal("0.333333")
    assert row["null_reason"] is None
    one_day_earlier = _curve(friday + 6 * WEEK - dt.timedelta(days=1))
    assert early_warning(seen, SHOWN, one_day_earlier)[-1]["probability_late"] == Decimal(
        "0.666667"
    )
    unplanned = early_warning(seen, SHOWN, {})[-1]
    assert unplanned["probability_late"] is unplanned["planned_finish_on"] is None
    assert unplanned["forecast_finish_on"] is not None


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (["70", "72", None], "no_value"),
        (["70", "72", "100"], "completed"),
        (["70", None, "72"], "insufficient"),
        (["70", "70", "70"], "no_pace"),
        (["70", "65", "60"], "no_pace"),
        (["70", "72", "74"], "not_better_than_base_rate"),
    ],
)
def test_no_forecast_has_a_reason(actual: list[str | None], reason: str) -> None:
    seen = outlooks(_series(actual, ["1", "2", "3"]))
    row = early_warning(seen, HIDDEN, _curve(FRIDAY + 9 * WEEK))[-1]
    assert row["null_reason"] == reason
    assert row["forecast_finish_on"] is row["forecast_early_on"] is None
    assert row["forecast_late_on"] is row["probability_late"] is None
    assert row["planned_finish_on"] == FRIDAY + 9 * WEEK


def test_the_late_end_is_open_when_the_slow_slopes_stand_still() -> None:
    seen = outlooks(_series(["70", "70", "74"], ["70", "80", "90"]))
    row = early_warning(seen, SHOWN, _curve(FRIDAY + 99 * WEEK))[-1]
    assert row["forecast_late_on"] == FRIDAY + 2 * WEEK + 65 * WEEK
    seen = outlooks(_series(["70", "68", "74"], ["70", "80", "90"]))
    row = early_warning(seen, SHOWN, _curve(FRIDAY + 99 * WEEK))[-1]
    assert row["forecast_late_on"] is None
    assert row["forecast_finish_on"] == FRIDAY + 2 * WEEK + 13 * WEEK


def test_the_track_record_by_hand() -> None:
    """Steady 10, 20, ... 70 against a plan of 60 at the end: two forecasts come true in 4 weeks.

    From the third and fourth report on there is a forecast; at +4 the value lies at the end of
    its interval of no width. Whether it is behind the plan: 70 >= 60 no, 80 < 90 yes.
    """
    actual = [str(10 * step) for step in range(1, 9)]
    planned = ["10"] * 6 + ["60", "90"]
    track = early_warning_track(outlooks(_series([*actual], [*planned])))
    by_horizon = {row["horizon_weeks"]: row for row in track}
    four = by_horizon[4]
    assert (four["forecasts"], four["resolved"]) == (6, 2)
    assert four["coverage_80"] == 1
    assert four["brier"] == 0
    assert four["brier_base_rate"] == Decimal("0.25")
    assert four["is_shown"]
    eight = by_horizon[8]
    assert (eight["resolved"], eight["brier"], eight["coverage_80"]) == (0, None, None)
    assert not eight["is_shown"]


def test_a_track_that_only_repeats_the_base_rate_is_hidden() -> None:
    """The only outcome is certain: Brier 0 is not below the base rate's 0."""
    track = early_warning_track(outlooks(_series([*map(str, range(1, 8))], ["50"] * 7)))
    assert track[0]["resolved"] == 1
    assert (track[0]["brier"], track[0]["brier_base_rate"]) == (0, 0)
    assert not track[0]["is_shown"]


# ---------------------------------------------------------------------- scorecards
def test_K11_a_missing_component_lowers_the_coverage() -> None:
    weights = [w for w in RULES.weights_on(FRIDAY) if w.index_name == "performance"]
    full = weigh(weights, {"progress": Fraction(1), "schedule": Fraction(1, 2), "obligations": 0})  # type: ignore[dict-item]
    assert (full.value, full.coverage) == (Fraction(11, 20), Fraction(1))
    part = weigh(weights, {"progress": Fraction(1), "schedule": Fraction(1, 2)})
    assert (part.value, part.coverage) == (Fraction(55, 70), Fraction(7, 10))
    assert sum(value or 0 for value in part.contributions.values()) == part.value
    few = weigh(weights, {"progress": Fraction(1)})
    assert (few.value, few.coverage) == (None, Fraction(2, 5))
    none: dict[str, Fraction | None] = {"progress": None}
    assert weigh(weights, none).coverage == 0


def test_K16_the_weights_of_the_week_count() -> None:
    assert {w.version for w in RULES.weights_on(FRIDAY)} == {1}
    assert {w.version for w in RULES.weights_on(dt.date(2027, 3, 26))} == {2}


def _report(agency: str, week: dt.date, on_time: int, filled: int, copied: int) -> dict[str, Any]:
    return {
        "agency_code": agency,
        "period_kind": "week",
        "period_start": week,
        "expected": 1,
        "on_time": on_time,
        "cells_required": 10,
        "cells_filled": filled,
        "copied_forward": copied,
        "records": 4,
    }


def test_K18_who_works_well_and_who_reports_well() -> None:
    """sim_a01 leads P01 and P13: (1·0.5 + 1·1)/2 = 0.75; SPI(t) 0.9 of one; A8 in time, A17 not."""
    projects = [
        {
            "project_code": code,
            "week_start": SATURDAY + step * WEEK,
            "actual_pct": Decimal(actual),
            "planned_pct": Decimal(40),
            "spi_t": spi_t,
        }
        for step in range(5)
        for code, actual, spi_t in (("P01", 20, Decimal("0.9")), ("P13", 60 + step, None))
    ]
    last = SATURDAY + 4 * WEEK
    reports = [_report("sim_a01", last - step * WEEK, 1, 10, 0) for step in range(4)]
    reports += [_report("sim_a01", last - 4 * WEEK, 0, 0, 4)]
    reports += [_report("sim_a02", last, 1, 5, 2)]
    known = ledger(
        "obligation_event", [notified("A8", SATURDAY - 4 * WEEK)], source="sim_a01__obligations"
    )
    cards, components = scorecards(known, projects, reports, REFERENCE, RULES)
    found = {(row["agency_code"], row["week_start"]): row for row in cards}
    card = found[("sim_a01", last)]
    values = {
        row["component"]: row["value"]
        for row in components
        if (row["agency_code"], row["week_start"]) == ("sim_a01", last)
    }
    # of A8, A9, A17 and A24 one can be judged in time (A8 is live), one is overdue since 1401
    assert values == {
        "progress": Decimal("0.75"),
        "schedule": Decimal("0.9"),
        "obligations": Decimal("0.5"),
        "on_time": 1,
        "completeness": 1,
        "freshness": 1,
    }
    assert card["performance_index"] == Decimal("0.72")
    assert (card["reporting_quality_index"], card["performance_coverage"]) == (1, 1)
    assert card["quadrant"] == "reports_well_works_badly"
    assert (card["is_rank_eligible"], card["rank"], card["trend"]) == (True, 1, 0)
    assert found[("sim_a01", SATURDAY)]["trend"] is None
    # nobody's lead: sim_a13 takes part in P01 only
    other = found[("sim_a13", last)]
    assert (other["performance_index"], other["quadrant"], other["rank"]) == (None, None, None)
    assert not other["is_rank_eligible"]
    second = found[("sim_a02", last)]
    assert second["reporting_quality_index"] == Decimal("0.7")
    assert second["quadrant"] is None
    contributions = [
        row["contribution"]
        for row in components
        if (row["agency_code"], row["week_start"]) == ("sim_a01", last)
        and row["index_name"] == "performance"
    ]
    assert sum(contributions) == card["performance_index"]
