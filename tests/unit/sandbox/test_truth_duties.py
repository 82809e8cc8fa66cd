"""Services, tickets, money, committees, heads and ratings of the ground truth, by hand."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from infra.sandbox.calendar import WEEK, tehran_midnight
from infra.sandbox.rows import Row, Value
from infra.sandbox.truth.model import Ledger
from infra.sandbox.truth.money import digital_economy, funding_alignment, period_end
from infra.sandbox.truth.obligations import settle_all
from infra.sandbox.truth.people import (
    committee_followup,
    head_assessment,
    rating_history,
    verdict,
)
from infra.sandbox.truth.services import passes_third, service_window_compliance
from infra.sandbox.truth.tickets import bottleneck, bottleneck_ticket
from tests.unit.sandbox.ground import (
    FRIDAY,
    REFERENCE,
    RULES,
    SATURDAY,
    event,
    jalali,
    ledger,
    merged,
    notified,
)

DAY = dt.timedelta(days=1)
CALENDAR = REFERENCE.calendar


# ---------------------------------------------------------------------- services
@pytest.mark.parametrize(
    ("part", "whole", "passes"),
    [(7, 21, True), (6, 21, False), (33, 100, False), (34, 100, True), (1, 3, True), (0, 0, None)],
)
def test_K19_one_third_is_three_times_the_part(part: int, whole: int, passes: bool | None) -> None:
    assert passes_third(part, whole) is passes


def _service(code: str, week: dt.date, **more: Value) -> Row:
    return Row("service_status", "week", week, more, agency="sim_a01", subject=code)


def test_K19_K20_services_on_the_window_in_both_readings() -> None:
    """3 dedicated, 1 of them on the window; 2 high-use, none; the common one overtook."""
    rows = [
        _service("s1", SATURDAY, is_dedicated=True, is_high_use=False, on_agency_window=True),
        _service("s2", SATURDAY, is_dedicated=True, is_high_use=True, on_agency_window=False),
        _service("s3", SATURDAY, is_dedicated=True, is_high_use=False, on_agency_window=None),
        _service(
            "s4",
            SATURDAY,
            is_dedicated=False,
            is_high_use=True,
            sso=True,
            transactions_online=Decimal(30),
            transactions_total=Decimal(90),
        ),
        _service("s1", SATURDAY + WEEK, is_dedicated=True, is_high_use=False, sso=True),
        _service("s5", SATURDAY + WEEK, is_dedicated=False, transactions_total=Decimal(7)),
    ]
    first, second = service_window_compliance(ledger("service_status", rows), SATURDAY + WEEK)
    assert (first["services"], first["dedicated"], first["dedicated_on_window"]) == (4, 3, 1)
    assert first["passes_third_all"] is True
    assert (first["high_use"], first["high_use_on_window"]) == (2, 0)
    assert first["passes_third_high_use"] is False
    assert first["high_use_first_violations"] == 1
    assert first["online_share"] == Decimal("0.333333")
    assert (first["sso"], first["once_only"]) == (1, 0)
    assert first["dashboard_built"] is first["dashboard_connected"] is None
    # s2 to s4 keep their state; s1 no longer says that it is on the window
    assert (second["services"], second["catalogue_first"]) == (5, 4)
    assert (second["dedicated_on_window"], second["sso"]) == (0, 2)
    assert (second["passes_third_all"], second["high_use_first_violations"]) == (False, 0)
    assert second["online_share"] == Decimal("0.333333")


def test_the_sector_dashboard_follows_its_last_stage() -> None:
    stages = [
        event("A21", SATURDAY - 9 * DAY, "built"),
        event("A21", SATURDAY + DAY, "operating"),
        event("A21", SATURDAY + 2 * DAY, "done"),
        event("A21", SATURDAY + 9 * DAY, "connected"),
    ]
    known = merged(
        ("obligation_event", "sim_a01__obligations", [stages]),
        ("service_status", "sim_a01__s", [[_service("s", SATURDAY + n * WEEK) for n in (0, 1)]]),
    )
    first, second = service_window_compliance(known, SATURDAY + WEEK)
    names = ("dashboard_built", "dashboard_operating", "dashboard_connected")
    assert [first[name] for name in names] == [True, True, False]
    assert [second[name] for name in names] == [True, True, True]
    assert first["passes_third_all"] is None


# ---------------------------------------------------------------------- tickets
def _ticket(code: str, opened: dt.datetime, **more: Value) -> Row:
    values: dict[str, Value] = {"theme": "legal", "severity": "low", "opened_at": opened, **more}
    return Row("ticket", "date", opened.date(), values, agency="sim_a01", subject=code)


def _tickets() -> Ledger:
    midnight = tehran_midnight(SATURDAY)
    return ledger(
        "ticket",
        [
            # 30 days old and 29 days overdue: escalated
            _ticket("t1", midnight - 24 * DAY, due_at=midnight - 23 * DAY),
            # opened in the first half hour of Saturday, Friday in UTC (trap D22)
            _ticket("t2", midnight + dt.timedelta(minutes=20), severity="critical"),
            # due at the very end of the week, so not overdue in it; closed in the next
            _ticket("t3", midnight + DAY, due_at=midnight + WEEK, closed_at=midnight + 8 * DAY),
            _ticket("t4", midnight + DAY, due_at=midnight + WEEK, closed_at=midnight + 2 * DAY),
            _ticket("t5", midnight + 7 * DAY),
        ],
    )


def test_D22_bottlenecks_are_counted_by_weeks_in_tehran() -> None:
    weeks = {row["week_start"]: row for row in bottleneck(_tickets(), SATURDAY + WEEK)}
    assert min(weeks) == SATURDAY - 4 * WEEK
    row = weeks[SATURDAY]
    assert (row["opened"], row["resolved"], row["open"], row["overdue"]) == (3, 1, 3, 1)
    assert (row["median_age_days"], row["oldest_age_days"], row["escalated"]) == (6, 30, 2)
    row = weeks[SATURDAY + WEEK]
    assert (row["opened"], row["resolved"], row["open"], row["overdue"]) == (1, 1, 3, 1)
    row = weeks[SATURDAY - WEEK]
    assert (row["opened"], row["open"], row["escalated"]) == (0, 1, 0)


def test_tickets_as_they_stood_at_the_end_of_the_week() -> None:
    rows = {row["ticket_code"]: row for row in bottleneck_ticket(_tickets(), SATURDAY)}
    assert {code: row["state"] for code, row in rows.items()} == {
        "t1": "overdue",
        "t2": "open",
        "t3": "open",
        "t4": "closed",
    }
    assert (rows["t3"]["closed_on"], rows["t3"]["age_days"]) == (None, 5)
    assert (rows["t4"]["closed_on"], rows["t4"]["age_days"]) == (SATURDAY + 2 * DAY, 1)
    assert rows["t2"]["opened_on"] == SATURDAY
    later = {row["ticket_code"]: row for row in bottleneck_ticket(_tickets(), SATURDAY + WEEK)}
    assert later["t3"]["state"] == "closed_late"
    assert not any("title" in row for row in later.values())


# ---------------------------------------------------------------------- money
def _funding(project: str, allocated: int | None, released: int, spent: int | None) -> Row:
    values: dict[str, Value] = {
        "allocated": None if allocated is None else Decimal(allocated),
        "released": Decimal(released),
        "spent": None if spent is None else Decimal(spent),
    }
    month = jalali(1405, 8, 1)
    return Row("funding", "jalali_month", month, values, project=project, agency="sim_a01")


def _realised(project: str, actual: str | None, week: dt.date = SATURDAY) -> dict[str, Any]:
    return {
        "project_code": project,
        "week_start": week,
        "actual_pct": None if actual is None else Decimal(actual),
    }


def test_K23_what_was_paid_against_what_was_realised() -> None:
    """Paid 60 of 120; of sim_a01's projects (P01, P13) one has 30 %: the gap is 0.2."""
    known = ledger("funding", [_funding("P01", 80, 60, 60), _funding("P13", 40, 40, None)])
    projects = [_realised("P01", "30"), _realised("P13", None)]
    [row] = funding_alignment(known, projects, [], REFERENCE, SATURDAY)
    assert (row["allocated_rial"], row["released_rial"], row["spent_rial"]) == (120, 100, 60)
    assert (row["released_share"], row["paid_share"]) == (Decimal("0.833333"), Decimal("0.5"))
    assert (row["realisation_share"], row["realisation_coverage"]) == (
        Decimal("0.3"),
        Decimal("0.5"),
    )
    assert (row["gap"], row["null_reason"]) == (Decimal("0.2"), None)


@pytest.mark.parametrize(
    ("row", "actual", "reason"),
    [
        (_funding("P01", 0, 0, 0), "30", "no_allocation"),
        (_funding("P01", None, 1, 1), "30", "no_allocation"),
        (_funding("P01", 5, 5, None), "30", "no_spending"),
        (_funding("P01", 5, 5, 5), None, "no_realisation"),
    ],
)
def test_N16_no_gap_has_a_reason(row: Row, actual: str | None, reason: str) -> None:
    projects = [_realised("P01", actual)]
    [found] = funding_alignment(ledger("funding", [row]), projects, [], REFERENCE, SATURDAY)
    assert (found["gap"], found["null_reason"]) == (None, reason)


def test_a_month_is_realised_in_its_last_saturday_up_to_now() -> None:
    assert period_end(CALENDAR, "jalali_month", jalali(1405, 8, 1)) == jalali(1405, 8, 30)
    assert period_end(CALENDAR, "jalali_year", jalali(1403, 1, 1)) == jalali(1403, 12, 30)
    # 1405/08 ends on Saturday 2026-11-21
    projects = [_realised("P01", "30"), _realised("P01", "50", SATURDAY + WEEK)]
    known = ledger("funding", [_funding("P01", 5, 5, 5)])
    shares = [
        funding_alignment(known, projects, [], REFERENCE, SATURDAY + n * WEEK)[0][
            "realisation_share"
        ]
        for n in range(3)
    ]
    assert shares == [Decimal("0.3"), Decimal("0.5"), Decimal("0.5")]


def test_a_province_is_the_mean_of_its_slices() -> None:
    month = jalali(1405, 8, 1)
    values: dict[str, Value] = {"allocated": Decimal(4), "released": None, "spent": Decimal(1)}
    row = Row("funding", "jalali_month", month, values, province="IR-02")
    slices = [
        {**_realised(code, actual), "province_code": "IR-02"}
        for code, actual in (("P01", "10"), ("P02", "30"), ("P03", None))
    ]
    [found] = funding_alignment(ledger("funding", [row]), [], slices, REFERENCE, SATURDAY)
    assert (found["level"], found["code"], found["released_share"]) == ("province", "IR-02", None)
    assert found["realisation_share"] == Decimal("0.2")
    assert found["realisation_coverage"] == Decimal("0.666667")
    assert found["gap"] == Decimal("0.05")


def test_K21_K22_two_shares_of_the_digital_economy() -> None:
    start = jalali(1404, 1, 1)

    def cell(code: str, province: str, value: str | None) -> dict[str, Any]:
        return {
            "indicator_code": code,
            "province_code": province,
            "period_kind": "jalali_year",
            "period_start": start,
            "value": None if value is None else Decimal(value),
        }

    cells = [
        cell("sim_i_dig", "IR-00", "30"),
        cell("sim_i_gdp", "IR-00", "400"),
        cell("sim_i_dig", "IR-01", "10"),
        cell("sim_i_dig", "IR-02", None),
        cell("sim_i_gdp", "IR-02", "50"),
        cell("idi", "IR-03", "5"),
    ]
    rows = digital_economy(cells, REFERENCE, RULES)
    assert [row["share_of_national"] for row in rows] == [Decimal("0.75"), Decimal("0.25"), None]
    assert [row["share_of_gdp"] for row in rows] == [Decimal("0.075"), None, None]
    assert {row["national_share"] for row in rows} == {Decimal("0.075")}
    assert {row["national_target"] for row in rows} == {Decimal("0.1")}
    assert {row["coverage"] for row in rows} == {Decimal("0.064516")}


# ---------------------------------------------------------------------- committees
def _meeting(held_on: dt.date, minuted: dt.date | None, decisions: int, **more: Value) -> Row:
    items = [{"no": number + 1, "agency": "sim_a01"} for number in range(decisions)]
    values: dict[str, Value] = {"minuted_at": minuted, "decisions": json.dumps(items), **more}
    return Row("meeting", "date", held_on, values, subject="sim_c01", on=held_on)


def test_meetings_due_held_minuted_and_their_decisions() -> None:
    held = jalali(1405, 7, 25)
    rows = [
        # held in Shahrivar, before anything was due
        _meeting(jalali(1405, 6, 20), jalali(1405, 6, 22), 0),
        _meeting(held, FRIDAY + DAY, 2),
        # the meeting that was due in Mehr, held early in Aban
        _meeting(jalali(1405, 8, 2), jalali(1405, 8, 5), 1, due_period=jalali(1405, 7, 1)),
    ]
    done = event(f"sim_c01-{held.isoformat()}-2", FRIDAY, "done")
    known = merged(
        ("meeting", "sim_a06__meetings", [rows]),
        ("obligation_event", "sim_a01__obligations", [[done]]),
    )
    found = committee_followup(known, CALENDAR, RULES, FRIDAY)
    assert [(row["committee_code"], row["month_label"]) for row in found] == [
        ("sim_c01", "1405/06"),
        ("sim_c01", "1405/07"),
        ("sim_c01", "1405/08"),
    ]
    assert [row["meetings_due"] for row in found] == [0, 1, 1]
    assert [row["meetings_held"] for row in found] == [1, 2, 0]
    assert [row["meetings_minuted"] for row in found] == [1, 1, 0]
    assert [row["decisions"] for row in found] == [0, 3, 0]
    assert [row["decisions_implemented"] for row in found] == [0, 1, 0]
    # Aban ends on Saturday the 21st: on Friday it is not missed yet
    assert [row["is_missed"] for row in found] == [False, False, False]
    later = committee_followup(known, CALENDAR, RULES, FRIDAY + WEEK)
    assert [row["is_missed"] for row in later] == [False, False, True, False]


# ---------------------------------------------------------------------- heads
@pytest.mark.parametrize(
    ("on_time", "late", "breached", "said"),
    [
        (2, 0, 0, "insufficient"),
        (3, 0, 0, "commended"),
        (3, 2, 0, "commended"),
        (3, 3, 0, "neither"),
        (9, 0, 1, "neither"),
        (1, 1, 1, "neither"),
        (1, 0, 2, "criticised"),
        (0, 0, 0, "insufficient"),
    ],
)
def test_a_draft_says_what_its_numbers_say(
    on_time: int, late: int, breached: int, said: str
) -> None:
    decided = on_time + late + breached
    score = Fraction(2 * on_time + late, 2 * decided) if decided else None
    assert verdict(score, decided, breached) == said


def test_E9_a_case_belongs_to_whoever_held_the_post() -> None:
    """A8 done in September by h_1; A9 breached on 2026-10-01, the first day of h_2."""
    nine = jalali(1405, 1, 8)
    rows = [
        notified("A8", jalali(1405, 3, 20)),
        event("A8", dt.date(2026, 9, 9), "done"),
        notified("A9", nine),
    ]
    known = ledger("obligation_event", rows)
    debts = settle_all(known, CALENDAR, RULES, FRIDAY)
    assert debts[("A9", "sim_a01")].due_revised_on == dt.date(2026, 9, 30)
    found = {row["holder_code"]: row for row in head_assessment(debts, RULES, FRIDAY)}
    assert found["h_1"]["evidence"] == {"A8": "done_on_time", "A17": "breached"}
    assert found["h_1"]["score"] == Decimal("0.5")
    assert found["h_2"]["evidence"]["A9"] == "breached"
    assert found["h_2"]["score"] == 0
    assert {row["verdict"] for row in found.values()} == {"insufficient"}
    assert {row["state"] for row in found.values()} == {"draft"}
    assert found["h_1"]["reply_due_on"] == dt.date(2026, 12, 4)


# ---------------------------------------------------------------------- ratings
def test_K14_a_change_of_scale_breaks_the_series() -> None:
    def rating(day: dt.date, scale: str | None, value: str, author: str = "o1") -> Row:
        values: dict[str, Value] = {"scale": scale, "value": Decimal(value), "reason": ""}
        return Row("rating", "date", day, values, project="P01", subject=author, on=day)

    days = [dt.date(2026, 8, 1) + 30 * step * DAY for step in range(4)]
    rows = [
        rating(days[0], "five_point", "4"),
        rating(days[1], "five_point", "3"),
        rating(days[2], "three_point", "3"),
        rating(days[3], "five_point", "2"),
        rating(days[3], "odd", "2", "o2"),
        rating(FRIDAY + DAY, "five_point", "1"),
    ]
    found = rating_history(ledger("rating", rows), RULES, FRIDAY)
    assert [row["series_no"] for row in found] == [1, 1, 2, 3, 1]
    assert [row["is_break"] for row in found] == [False, False, True, True, False]
    # the scale of three began at 1 until 2026-10-01; days[2] is 2026-09-30
    assert [(row["scale_min"], row["scale_max"]) for row in found] == [
        (1, 5),
        (1, 5),
        (1, 3),
        (1, 5),
        (None, None),
    ]
    assert not any(row["reason_given"] for row in found)
