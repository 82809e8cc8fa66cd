"""Figures that others have printed, and a second country, through the whole warehouse at once.

In: series and vectors from textbooks and from the documentation of statistical packages, fed as
records; one build. Out: the marts hold the printed figures to their last digit. Each test names
where its figure stands. Beside them the obligations, tickets and services of the second country
(Project 06), which nobody simulates, and what a held-back file may not do.
Run it: `pytest tests/warehouse/test_oracles.py`
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ingestion.normalise.calendar import to_jalali
from tests.warehouse.conftest import WEEK, Warehouse, week

AT = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
YEAR = dt.date(2025, 3, 21)
INCOMES = [541, 1463, 2445, 3438, 4437, 5401, 6392, 8304, 11904, 22261]
"""USA 1968 in ten classes, the example vector of R's package ineq (Zeileis)."""


def _province(number: int) -> str:
    return f"IR-{number:02d}"


def _values(indicator: str, values: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {
            "indicator_code": indicator,
            "province_code": _province(number),
            "period_kind": "jalali_year",
            "period_start": YEAR,
            "value": value,
        }
        for number, value in enumerate(values)
    ]


def _report(project: str, back: int, actual: float, planned: float | None) -> dict[str, Any]:
    return {
        "project_code": project,
        "agency_code": "sim_a01",
        "period_start": week(back),
        "actual_pct": actual,
        "planned_pct": planned,
    }


def _event(code: str, agency: str, on: dt.date, **more: Any) -> dict[str, Any]:
    return {
        "obligation_code": code,
        "agency_code": agency,
        "event_on": on,
        "period_kind": "date",
        "period_start": on,
        **more,
    }


@pytest.fixture(scope="module")
def told(warehouse: Warehouse) -> Warehouse:
    """Everything these tests ask about, in one build."""
    for source, kind, agency in (
        ("sim_a01__progress", "progress", "sim_a01"),
        ("sim_a01__plan", "target", "sim_a01"),
        ("sim_p00__values", "indicator_value", "sim_p00"),
        ("sim_p01__draft", "indicator_value", "sim_p01"),
        ("sim_p02__units", "indicator_value", "sim_p02"),
        ("sim_p02__aims", "target", "sim_p02"),
        ("sim_p02__money", "funding", "sim_p02"),
        ("sim_p02__services", "service_status", "sim_p02"),
        ("vn_oog__events", "obligation_event", "vn_oog"),
        ("vn_oog__tickets", "ticket", "vn_oog"),
        ("vn_oog__services", "service_status", "vn_oog"),
    ):
        warehouse.source(source, kind, agency, cadence="once")
    # planned for 12 periods, done in 15: Lipke's late finishing project
    warehouse.load(
        "sim_a01__plan",
        "target",
        [
            {
                "project_code": "P01",
                "period_kind": "date",
                "period_start": week(15 - number) + dt.timedelta(days=6),
                "target": Decimal(100 * number) / 12,
            }
            for number in range(1, 13)
        ],
        AT,
    )
    progress = [
        _report("P01", 15 - number, round(100 * number / 15, 4), min(100, 100 * number / 12))
        for number in range(1, 16)
    ]
    progress += [_report("P02", 2 - number, value, None) for number, value in enumerate([0, 1, 1])]
    # the state of a project at the end of period 12: EV 148, PV 158 of 248
    # a plan so small that hardly anything else is as far from it
    progress.append(_report("P04", 0, 100, 0.0001))
    progress.append(_report("P04", 0, 100, 0.0001) | {"province_code": "IR-00"})
    progress.append(_report("P03", 0, round(14800 / 248, 4), round(15800 / 248, 4)))
    warehouse.load("sim_a01__progress", "progress", progress, AT)
    warehouse.load(
        "sim_p00__values",
        "indicator_value",
        [
            *_values("sim_i03", [0] * 30 + [7]),
            *_values("sim_i04", range(1, 32)),
            *_values("sim_i05", INCOMES),
        ],
        AT,
    )
    _load_extremes(warehouse)
    draft = warehouse.load(
        "sim_p01__draft", "indicator_value", _values("sim_i04", [1000]), AT + dt.timedelta(days=1)
    )
    warehouse.load(
        "vn_oog__events",
        "obligation_event",
        [
            # a legal review in time, a decree late, one body of two done
            _event("V2", "vn_moj", dt.date(2023, 6, 30), status="done"),
            _event("V5", "vn_mic", dt.date(2023, 9, 5), status="done"),
            _event("V4", "vn_mic", dt.date(2023, 8, 1), status="done"),
            _event("G2", "vn_ministries", dt.date(2023, 5, 20), status="done"),
            _event("V10", "vn_mps", dt.date(2023, 6, 1), status="in_progress", percent_pct=30),
        ],
        AT,
    )
    warehouse.load(
        "vn_oog__tickets",
        "ticket",
        [
            {
                "ticket_code": "vn-1",
                "agency_code": "vn_mps",
                "theme_code": "p06_data_centre",
                "period_kind": "date",
                "period_start": week(2),
                "opened_at": dt.datetime.combine(week(2), dt.time(5), dt.UTC),
                "due_at": dt.datetime.combine(week(1), dt.time(5), dt.UTC),
            }
        ],
        AT,
    )
    # 53 essential services, 18 of them through one window
    warehouse.load(
        "vn_oog__services",
        "service_status",
        [
            {
                "service_code": f"essential-{number}",
                "agency_code": "vn_oog",
                "period_start": WEEK,
                "is_dedicated": True,
                "is_on_agency_window": number <= 18,
            }
            for number in range(1, 54)
        ],
        AT,
    )
    warehouse.night(full=True, held=[draft])
    return warehouse


def _load_extremes(warehouse: Warehouse) -> None:
    """The largest and the smallest that raw tables hold, as files in a wrong unit bring them."""
    largest, smallest = Decimal(10) ** 18 - 1, Decimal("0.0000000001")
    warehouse.load(
        "sim_p02__units",
        "indicator_value",
        [
            *_values("sim_i01", [largest, smallest, smallest]),
            *_values("sim_i_dig", [largest, -largest + 1, 3]),
            *_values("sim_i_gdp", [smallest, smallest, 3]),
        ],
        AT,
    )
    aim = {"indicator_code": "sim_i01", "period_kind": "jalali_year", "period_start": YEAR}
    warehouse.load("sim_p02__aims", "target", [aim | {"baseline": 0, "target": smallest}], AT)
    money = {"agency_code": "sim_a02", "period_kind": "jalali_year", "period_start": YEAR}
    most, least = Decimal(10) ** 22 - 1, Decimal("0.01")
    warehouse.load(
        "sim_p02__money",
        "funding",
        [
            money | {"allocated_rial": least, "released_rial": most, "spent_rial": most},
            money | {"project_code": "P02", "released_rial": most, "spent_rial": most},
        ],
        AT,
    )
    service = {"service_code": "s", "agency_code": "sim_a02", "period_start": WEEK}
    warehouse.load(
        "sim_p02__services",
        "service_status",
        [service | {"transactions_online": Decimal(10) ** 24 - 1, "transactions_total": 1}],
        AT,
    )


def _dispersion(told: Warehouse, indicator: str) -> dict[str, Any]:
    return told.one("select * from build.provincial_balance where indicator_code = %s", [indicator])


def _progress(told: Warehouse, project: str) -> dict[str, Any]:
    return told.one(
        "select * from build.project_progress_weekly where project_code = %s and week_start = %s",
        [project, WEEK],
    )


def test_K12_a_late_project_ends_with_an_spi_of_one_and_an_spi_t_of_four_fifths(
    told: Warehouse,
) -> None:
    """Lipke, Schedule is Different (2003): 12 months planned, 15 taken; SPI 1.00, SPI(t) 0.80."""
    row = _progress(told, "P01")
    assert (row["earned_schedule_weeks"], row["actual_time_weeks"]) == (12, 15)
    assert (row["spi"], row["spi_t"]) == (1, Decimal("0.800000"))
    # each earlier period of an even delay says the same, while SPI turns back to 1 at the end
    series = told.rows(
        "select actual_time_weeks as at, spi_t, spi from build.project_progress_weekly "
        "where project_code = 'P01' and actual_time_weeks between 1 and 15 order by 1"
    )
    assert [round(row["spi_t"], 4) for row in series] == [Decimal("0.8")] * 15
    assert [round(row["spi"], 2) for row in series[11:]] == [
        Decimal("0.80"),
        Decimal("0.87"),
        Decimal("0.93"),
        Decimal("1.00"),
    ]


def test_K13_behind_is_negative_and_below_one(told: Warehouse) -> None:
    """Gray and Larson, Project Management, status report of period 12: EV 148, PV 158, SPI 0.94."""
    row = _progress(told, "P03")
    assert round(row["spi"], 2) == Decimal("0.94")
    assert round(row["actual_pct"] / 100, 2) == Decimal("0.60")
    # SV = EV - PV = -10 of 248
    assert round(row["variance_pct"] * Decimal("2.48"), 2) == Decimal("-10.00")


def test_K2_slope_of_three_points(told: Warehouse) -> None:
    """Two figures of 1 after a 0: slope 0.5, as scipy.stats.theilslopes is tested to say."""
    row = _progress(told, "P02")
    assert row["trend_pct_per_week"] == Decimal("0.5")


def test_K2_sens_own_example_through_the_macro(told: Warehouse) -> None:
    """Sen, J. Am. Stat. Assoc. 63 (1968), p. 1388: seven points, slope 4."""
    points = [(1, 9), (2, 15), (3, 19), (4, 20), (10, 45), (12, 55), (18, 78)]
    values = ", ".join(f"({x}, {y})" for x, y in points)
    query = told.compiled(
        "select {{ median(ratio('b.y - a.y', 'b.x - a.x')) }} as slope "
        f"from (values {values}) as a (x, y) "
        f"inner join (values {values}) as b (x, y) on a.x < b.x"
    )
    assert told.one(query)["slope"] == 4


def test_K8_gini_of_the_package_example(told: Warehouse) -> None:
    """R, package ineq: ineq(x) prints 0.4620911 for its example of ten incomes."""
    row = _dispersion(told, "sim_i05")
    assert (row["n"], row["n_expected"]) == (10, 31)
    assert round(row["gini"], 7) == Decimal("0.4620911")
    assert row["theil"] == row["theil_between"] + row["theil_within"]


def test_K8_one_has_all(told: Warehouse) -> None:
    """Theil (1967): the index reaches ln n; Gini (n - 1) / n; CV the root of n - 1."""
    row = _dispersion(told, "sim_i03")
    # ln 31, of which ln(31 / provinces of that region) lies between regions
    assert row["theil"] == Decimal("3.4339872045")
    assert row["gini"] == Decimal("0.9677419355")
    assert row["cv"] == Decimal("5.4772255751")
    [size] = told.rows(
        "select count(*) as n from reference.province where region_no = "
        "(select region_no from reference.province where province_code = 'IR-30')"
    )
    assert row["theil_within"] == round(Decimal(size["n"]).ln(), 10)
    # the quotient by a least value of zero has no meaning
    assert row["max_min_ratio"] is None


def test_K8_even_steps(told: Warehouse) -> None:
    """1 to n: Gini (n - 1) / 3n, population variance (n^2 - 1) / 12."""
    row = _dispersion(told, "sim_i04")
    assert row["gini"] == Decimal("0.3225806452")
    assert row["stddev"] == Decimal("8.9442719100")
    assert (row["mean"], row["median"]) == (16, 16)


def test_Q8_what_is_held_back_is_in_no_ranking(told: Warehouse) -> None:
    """A file that the gate holds back would have the best value by far."""
    rows = told.rows(
        "select province_code, value, rank, rank_n from build.provincial_indicator "
        "where indicator_code = 'sim_i04' order by rank"
    )
    assert [row["value"] for row in rows] == sorted(range(1, 32), reverse=True)
    assert {row["rank_n"] for row in rows} == {31}
    assert rows[-1]["province_code"] == _province(0)


def test_D15_the_official_calendar_is_the_warehouses(told: Warehouse) -> None:
    """1403 as the Public Culture Council printed it; where nothing is printed it says computed."""
    rows = told.rows(
        "select date_on, is_holiday_computed, provincial_holiday_codes from build.dim_date "
        "where jalali_year = 1403 and is_national_holiday order by 1"
    )
    printed = {
        1: [1, 2, 3, 4, 12, 13, 22, 23],
        2: [15],
        3: [14, 15, 28],
        4: [5, 25, 26],
        6: [4, 12, 14, 22, 31],
        9: [15],
        10: [25],
        11: [9, 22, 26],
        12: [29],
    }
    found: dict[int, list[int]] = {}
    for row in rows:
        _, month, day = to_jalali(row["date_on"])
        found.setdefault(month, []).append(day)
    assert found == printed
    # Rabi I and II of 1446 are not listed month by month: 8 and 17 Rabi I, 3 Jumada II
    computed = [row["date_on"] for row in rows if row["is_holiday_computed"]]
    assert dt.date(2024, 9, 12) in computed
    # Ashura is printed, Nowruz is no matter of the moon
    assert not {dt.date(2024, 7, 16), dt.date(2024, 3, 20)} & set(computed)
    closed = told.rows(
        "select provincial_holiday_codes as codes from build.dim_date "
        "where provincial_holiday_codes is not null"
    )
    assert closed
    assert all(row["codes"].startswith("IR-") for row in closed)


def test_the_second_country_runs_through_the_same_models(told: Warehouse) -> None:
    states = {
        (row["obligation_code"], row["agency_code"]): row
        for row in told.rows(
            "select * from build.obligation_status where instrument_code = 'project_06_directive'"
        )
    }
    # in June: its last day; done on that day is in time
    assert states["V2", "vn_moj"]["due_original_on"] == dt.date(2023, 6, 30)
    assert states["V2", "vn_moj"]["state"] == "done_on_time"
    # in July, done in September
    late = states["V5", "vn_mic"]
    assert (late["state"], late["days_overdue"]) == ("done_late", 36)
    # before September: the last day of August
    assert states["G1", "vn_localities"]["due_original_on"] == dt.date(2023, 8, 31)
    assert states["G1", "vn_localities"]["state"] == "breached"
    # one of two bodies has not proposed: what follows waits
    assert states["G2", "vn_ministries"]["state"] == "done_on_time"
    assert states["V1", "vn_mof"]["waiting_on"] == "G2"
    # both of what it depends on are done: it is no longer waiting, and has no date
    assert states["V15", "vn_mps"]["state"] == "undated"
    assert states["V10", "vn_mps"]["state"] == "undated"
    assert states["V10", "vn_mps"]["days_overdue"] is None
    obstacle = told.one(
        "select * from build.bottleneck where theme_code = 'p06_data_centre' and week_start = %s",
        [WEEK],
    )
    assert (obstacle["agency_code"], obstacle["open"], obstacle["overdue"]) == ("vn_mps", 1, 1)
    window = told.one("select * from build.service_window_compliance where agency_code = 'vn_oog'")
    assert (window["dedicated"], window["dedicated_on_window"]) == (53, 18)
    assert window["passes_third_all"] is True
    # no Jalali calendar, no Iranian weekend stands behind any of it
    country = told.one(
        "select c.* from reference.instrument as i inner join reference.country as c "
        "using (country_code) where i.instrument_code = 'project_06_directive'"
    )
    assert (country["calendar"], country["rest_days"]) == ("gregorian", "6 7")


def test_N10_Q5_figures_in_a_wrong_unit_stop_nobody(told: Warehouse) -> None:
    """Quotients of the largest and the smallest that can be reported are shown as they are."""
    assert _progress(told, "P04")["spi"] == 1_000_000
    largest, smallest = Decimal(10) ** 18 - 1, Decimal("0.0000000001")
    row = told.one(
        "select * from build.provincial_indicator "
        "where indicator_code = 'sim_i01' and province_code = 'IR-00'"
    )
    assert row["realisation"] == largest / smallest
    assert row["realisation_clipped"] == 1
    assert _dispersion(told, "sim_i01")["max_min_ratio"] == largest / smallest
    row = told.one("select * from build.digital_economy where province_code = 'IR-00'")
    assert row["share_of_gdp"] == largest / smallest
    assert round(row["share_of_national"]) == round(largest / 4)
    row = told.one("select * from build.funding_alignment where code = 'sim_a02'")
    most = Decimal(10) ** 22 - 1
    assert row["released_share"] == 2 * most * 100
    assert (
        told.one(
            "select online_share from build.service_window_compliance where agency_code = 'sim_a02'"
        )["online_share"]
        == Decimal(10) ** 24 - 1
    )


def test_N17_halves_are_rounded_away_from_zero_once(told: Warehouse) -> None:
    query = told.compiled(
        "select ({{ ratio('1', '8') }})::numeric(9, 2) as up, "
        "({{ ratio('-1', '8') }})::numeric(9, 2) as down, {{ ratio('1', '0') }} as nothing"
    )
    assert json.loads(json.dumps(told.one(query), default=str)) == {
        "up": "0.13",
        "down": "-0.13",
        "nothing": None,
    }
