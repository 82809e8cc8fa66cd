"""The ground truth against figures worked out by hand and published examples."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from infra.sandbox.calendar import WEEK, last_closed_week, tehran_midnight, week_start
from infra.sandbox.pages import whole_answer
from infra.sandbox.reference import Reference, load_reference
from infra.sandbox.rows import Row
from infra.sandbox.rules import load_rules
from infra.sandbox.truth import GRAINS, Delivery, SourceInfo, marts
from infra.sandbox.truth.given import read_given
from infra.sandbox.truth.indicators import provincial_balance
from infra.sandbox.truth.numbers import rounded
from infra.sandbox.truth.progress import Curve
from infra.sandbox.truth.receipts import (
    Night,
    Receipt,
    ledger_deliveries,
    nightly_deliveries,
    source_infos,
)
from infra.sandbox.world import World, WorldParams
from infra.settings import PROJECT_ROOT

OPENED_ON = dt.date(2026, 11, 14)
REFERENCE_DIR = PROJECT_ROOT / "dbt_project" / "seeds" / "reference"
MONDAY = dt.datetime(2026, 11, 23, 3, 0, tzinfo=dt.UTC)
RULES = load_rules(REFERENCE_DIR)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(REFERENCE_DIR)


# ---------------------------------------------------------------------- calendar and rounding
def test_D12_D13_weeks_open_on_saturday_and_count_within_the_jalali_year(
    reference: Reference,
) -> None:
    calendar = reference.calendar
    assert week_start(dt.date(2026, 11, 20)) == OPENED_ON
    assert calendar.week_label(OPENED_ON) == "1405-W35"
    assert calendar.parse_week("1405-W35") == OPENED_ON
    with pytest.raises(ValueError, match="no week"):
        calendar.parse_week("1405-W54")
    year_end = calendar.from_jalali(1403, 12, 30)
    assert calendar.to_jalali(year_end) == (1403, 12, 30)
    with pytest.raises(ValueError, match="1402/12/30"):
        calendar.from_jalali(1402, 12, 30)


def test_D22_the_week_closes_at_midnight_in_tehran() -> None:
    edge = tehran_midnight(OPENED_ON + WEEK)
    assert edge == dt.datetime(2026, 11, 20, 20, 30, tzinfo=dt.UTC)
    assert last_closed_week(edge) == OPENED_ON
    assert last_closed_week(edge - dt.timedelta(seconds=1)) == OPENED_ON - WEEK


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [("0.00005", 4, "0.0001"), ("-0.00005", 4, "-0.0001"), ("2.5", 0, "3"), ("1", 2, "1.00")],
)
def test_N17_halves_go_away_from_zero(value: str, places: int, text: str) -> None:
    assert str(rounded(Decimal(value), places)) == text


# ---------------------------------------------------------------------- earned schedule
def _curve(*targets: int) -> Curve:
    """Points on Fridays: the plan's PV_t are the targets themselves."""
    first = OPENED_ON + dt.timedelta(days=6)
    points = tuple((first + step * WEEK, Fraction(t)) for step, t in enumerate(targets))
    return Curve(0, None, points)


@pytest.mark.parametrize(
    ("earned", "weeks"),
    [
        (Fraction(0), Fraction(0)),
        (Fraction(15), Fraction(3, 2)),
        (Fraction(20), Fraction(3)),
        (Fraction(30), Fraction(7, 2)),
        (Fraction(100), Fraction(5)),
        (Fraction(120), Fraction(5)),
    ],
)
def test_K12_earned_schedule_and_its_edges(earned: Fraction, weeks: Fraction) -> None:
    """PV = 0, 10, 20, 20 (flat), 40, 100, 100: latest C on the flat, first PV = BAC at the end."""
    curve = _curve(10, 20, 20, 40, 100, 100)
    assert curve.weekly == [0, 10, 20, 20, 40, 100, 100]
    assert curve.earned_schedule(earned) == weeks


def test_plan_is_linear_by_day() -> None:
    curve = Curve(0, None, ((dt.date(2026, 10, 23), Fraction(10)), (dt.date(2026, 11, 22), 40)))  # type: ignore[arg-type]
    assert curve.at(dt.date(2026, 10, 22)) == 0
    assert curve.at(dt.date(2026, 11, 2)) == 20
    assert curve.at(dt.date(2027, 1, 1)) == 40


# ---------------------------------------------------------------------- dispersion
def test_real_provinces_give_the_known_dispersion(reference: Reference) -> None:
    """31 provinces' IDI of 2016: mean 5.608387, population CV 0.118644."""
    source = PROJECT_ROOT / "ingestion" / "sources" / "mict__provincial_ict_indicators.yml"
    info, rows = read_given(source, reference, REFERENCE_DIR)
    found = marts([info], [Delivery(info.source, MONDAY, rows)], reference, OPENED_ON, RULES)
    [idi] = [row for row in found["provincial_balance"] if row["indicator_code"] == "idi"]
    assert (idi["n"], idi["n_expected"], idi["coverage"]) == (31, 31, Decimal(1))
    assert idi["mean"].quantize(Decimal("0.000001")) == Decimal("5.608387")
    assert idi["cv"].quantize(Decimal("0.000001")) == Decimal("0.118644")
    assert abs(idi["theil"] - idi["theil_between"] - idi["theil_within"]) <= Decimal("2e-10")
    ranks = [r["rank"] for r in found["provincial_indicator"] if r["indicator_code"] == "idi"]
    assert min(ranks) == 1
    assert len(ranks) == 31


def _cells(*values: str | None) -> list[dict[str, Any]]:
    return [
        {
            "indicator_code": "sim_i03",
            "province_code": f"IR-{number:02d}",
            "period_kind": "jalali_year",
            "period_start": dt.date(2025, 3, 21),
            "value": None if value is None else Decimal(value),
        }
        for number, value in enumerate(values)
    ]


def test_dispersion_by_hand(reference: Reference) -> None:
    """1, 2, 3: mean 2, CV sqrt(2/3)/2, Gini 8/(2*9*2), Theil (0.5 ln 0.5 + 1.5 ln 1.5)/3."""
    [found] = provincial_balance(_cells("1", "2", "3", None), reference)
    assert (found["n"], found["mean"], found["median"]) == (3, 2, 2)
    assert found["cv"] == Decimal("0.4082482905")
    assert found["gini"] == Decimal("0.2222222222")
    assert found["theil"] == Decimal("0.0872080240")
    assert found["max_min_ratio"] == 3


@pytest.mark.parametrize(
    ("values", "reason"),
    [(("-1", "2"), "negative_values"), (("0", "0"), "mean_zero"), ((None,), "no_value")],
)
def test_N16_no_dispersion_where_it_means_nothing(
    reference: Reference, values: tuple[str | None, ...], reason: str
) -> None:
    [found] = provincial_balance(_cells(*values), reference)
    assert found["null_reason"] == reason
    assert found["cv"] is found["gini"] is found["theil"] is None


# ---------------------------------------------------------------------- progress by hand
def _report(week: dt.date, actual: str | None, planned: str, project: str = "P01") -> Row:
    values = {
        "planned_pct": Decimal(planned),
        "actual_pct": None if actual is None else Decimal(actual),
        "has_output": None,
    }
    return Row("progress", "week", week, values, project=project, agency="sim_a01")


def _told(reference: Reference, rows: list[Row], weeks: int) -> list[dict[str, Any]]:
    info = SourceInfo("sim_a01__progress", "sim_a01", "progress", True)
    found = marts(
        [info],
        [Delivery(info.source, MONDAY, rows)],
        reference,
        OPENED_ON + (weeks - 1) * WEEK,
        RULES,
    )
    return [row for row in found["project_progress_weekly"] if row["project_code"] == "P01"]


def test_K2_K3_trend_stagnation_and_regressions(reference: Reference) -> None:
    actual = ["10", "12", "12", "12", None, "12", "11"]
    rows = [
        _report(OPENED_ON + step * WEEK, value, str(10 + 2 * step))
        for step, value in enumerate(actual)
    ]
    told = _told(reference, rows, weeks=7)
    assert [row["weeks_stagnant"] for row in told] == [1, 1, 2, 3, 0, 4, 1]
    assert [row["is_stagnant"] for row in told] == [False] * 5 + [True, False]
    assert [row["regressions"] for row in told] == [0, 0, 0, 0, 0, 0, 1]
    assert [row["trend_state"] for row in told][:2] == ["insufficient"] * 2
    assert told[4]["trend_state"] == "insufficient"
    assert told[4]["status_band"] == "no_data"
    assert told[5]["trend_pct_per_week"] == 0
    assert told[5]["trend_state"] == "unfavourable"
    assert told[5]["plan_trend_pct_per_week"] == 2
    assert told[0]["spi_t_reason"] == "no_baseline"


def test_K11_missing_weeks_and_placeholders_stay_visible(reference: Reference) -> None:
    told = _told(reference, [_report(OPENED_ON, "50", "60")], weeks=3)
    assert [row["actual_pct"] for row in told] == [50, None, None]
    assert [row["coverage"] for row in told] == [1, 0, 0]
    assert told[0]["status_band"] == "at_risk"
    assert told[0]["spi"] == Decimal("0.833333")


# ---------------------------------------------------------------------- nights
@pytest.fixture(scope="module")
def world(reference: Reference) -> World:
    return World(WorldParams.of("small", OPENED_ON), reference)


def _night(week: dt.date, absent: frozenset[str] = frozenset()) -> Night:
    return Night(week, tehran_midnight(week + WEEK) + dt.timedelta(hours=6), absent)


def _truth(world: World, nights: list[Night]) -> dict[str, list[dict[str, Any]]]:
    deliveries = nightly_deliveries(world, nights)
    return marts(source_infos(world), deliveries, world.reference, nights[-1].as_of_week, RULES)


def test_all_marts_have_rows_and_keep_their_grain(world: World) -> None:
    found = _truth(world, [_night(OPENED_ON)])
    assert found.keys() == GRAINS.keys()
    for mart, rows in found.items():
        keys = [tuple(row[column] for column in GRAINS[mart]) for row in rows]
        assert rows, mart
        assert len(keys) == len(set(keys)), mart
    progress = found["project_progress_weekly"]
    assert len(progress) == 23 * 12
    assert {row["value_basis"] for row in progress} == {"lead", "participant", None}
    assert {row["planned_basis"] for row in progress} == {"reported", "baseline", None}
    assert {row["spi_t_reason"] for row in progress} == {
        None,
        "no_value",
        "no_baseline",
        "not_started",
    }
    assert {row["state"] for row in found["obligation_status"]} == {
        *("undetermined", "waiting", "undated", "live", "due_soon"),
        *("breached", "done_on_time", "done_late", "void"),
    }
    assert {row["state"] for row in found["bottleneck_ticket"]} == {
        *("open", "overdue", "closed", "closed_late"),
    }
    assert {row["null_reason"] for row in found["funding_alignment"]} == {
        *("no_allocation", "no_spending", "no_realisation", None),
    }
    assert {row["is_break"] for row in found["rating_history"]} == {True, False}
    assert {row["is_missed"] for row in found["committee_followup"]} == {True, False}
    assert {row["passes_third_all"] for row in found["service_window_compliance"]} == {True, False}
    assert None in {row["share_of_national"] for row in found["digital_economy"]}
    assert {row["realisation_reason"] for row in found["provincial_indicator"]} == {
        None,
        "no_value",
        "no_target",
        "no_baseline",
        "target_equals_baseline",
    }
    assert {row["null_reason"] for row in found["provincial_balance"]} == {
        None,
        "negative_values",
        "mean_zero",
    }
    quarantined = found["agency_reporting_weekly"]
    assert sum(row["quarantined_cells"] for row in quarantined) == 3
    assert sum(row["quarantined_rows"] for row in quarantined) == 1
    assert sum(row["copied_forward"] for row in quarantined) > 0


def test_S5_missing_first_then_late(world: World) -> None:
    def of(nights: list[Night]) -> dict[str, Any]:
        rows = _truth(world, nights)["agency_reporting_weekly"]
        [found] = [
            row
            for row in rows
            if row["source"] == "sim_a05__progress" and row["period_start"] == OPENED_ON
        ]
        return found

    first = of([_night(OPENED_ON)])
    assert (first["expected"], first["received"], first["is_missing"]) == (1, 0, True)
    then = of([_night(OPENED_ON), _night(OPENED_ON + WEEK)])
    assert (then["received"], then["on_time"]) == (1, 0)
    # due 96 h after the week had closed, received on the Saturday after, at 06:00
    assert then["late_hours"] == Decimal("78.00")


def test_nights_in_between_do_not_change_the_latest_figures(world: World) -> None:
    """Receipts differ, values do not: what counts is the latest version (trap S13)."""
    weeks = [OPENED_ON, OPENED_ON + WEEK, OPENED_ON + 2 * WEEK]
    nightly = _truth(world, [_night(week) for week in weeks])
    at_once = _truth(world, [_night(weeks[-1])])
    assert nightly["project_progress_weekly"] == at_once["project_progress_weekly"]
    assert nightly["provincial_balance"] == at_once["provincial_balance"]


def test_Q5_a_dead_agency_costs_its_own_figures_only(world: World) -> None:
    dead = frozenset({"sim_a04__progress"})
    whole = _truth(world, [_night(OPENED_ON)])
    holed = _truth(world, [_night(OPENED_ON, dead)])
    assert whole["provincial_indicator"] == holed["provincial_indicator"]
    different = {
        row["project_code"]
        for row, other in zip(
            whole["project_progress_weekly"], holed["project_progress_weekly"], strict=True
        )
        if row != other
    }
    assert different == set(world.projects_of("sim_a04"))


def test_receipts_are_recognised_by_their_bytes(world: World) -> None:
    bodies, after_last = whole_answer(world, "sim_a06__progress", OPENED_ON)
    shas = [hashlib.sha256(body).hexdigest() for body in (*bodies, after_last)]
    receipts = [
        Receipt("sim_a06__progress", MONDAY, tuple((str(i), sha) for i, sha in enumerate(shas))),
        Receipt("sim_p02__progress", MONDAY, (("progress-1405-W35-backlog.xlsx", "?"),)),
        Receipt("sim_a06__progress", MONDAY, (("0", "another nation's"),)),
        Receipt("mict__provincial_ict_indicators", MONDAY, (("x.xlsx", "?"),)),
    ]
    found, foreign = ledger_deliveries(world, receipts, OPENED_ON + WEEK)
    assert [delivery.source for delivery in found] == ["sim_a06__progress", "sim_p02__progress"]
    assert list(found[0].rows) == world.rows("sim_a06__progress", OPENED_ON)
    assert foreign == receipts[2:]


def test_an_unchanged_row_keeps_its_first_receipt(reference: Reference) -> None:
    """S10: the same figure sent again is no news, whatever its date."""
    lead = SourceInfo("a__progress", "sim_a01", "progress", True)
    other = SourceInfo("b__progress", "sim_a01", "progress", True)
    row, rival = _report(OPENED_ON, "10", "20"), _report(OPENED_ON, "15", "20")
    day = dt.timedelta(days=1)
    deliveries = [
        Delivery(lead.source, MONDAY, [row]),
        Delivery(other.source, MONDAY + day, [rival]),
        Delivery(lead.source, MONDAY + 2 * day, [replace(row)]),
    ]
    found = marts([lead, other], deliveries, reference, OPENED_ON, RULES)["project_progress_weekly"]
    assert found[0]["actual_pct"] == 15
