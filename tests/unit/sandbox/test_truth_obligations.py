"""The obligation engine of the ground truth, on dates that are worked out by hand."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from infra.sandbox.rows import Row, Value
from infra.sandbox.rules import Instrument, Rules
from infra.sandbox.truth.model import Ledger
from infra.sandbox.truth.obligations import (
    add_jalali_months,
    obligation_status,
    settle_all,
    stated_date,
    working_day,
)
from tests.unit.sandbox.ground import (
    FRIDAY,
    NOTIFIED,
    REFERENCE,
    RULES,
    event,
    jalali,
    ledger,
    merged,
    notified,
    obligation,
)

DAY = dt.timedelta(days=1)
CALENDAR = REFERENCE.calendar


def _status(known: Ledger, day: dt.date = FRIDAY, rules: Rules = RULES) -> dict[Any, Any]:
    rows = obligation_status(settle_all(known, CALENDAR, rules, day), rules, day)
    return {(row["obligation_code"], row["agency_code"]): row for row in rows}


def _a8(*rows: Row, day: dt.date = FRIDAY, rules: Rules = RULES) -> dict[str, Any]:
    found = _status(ledger("obligation_event", rows), day, rules)[("A8", "sim_a01")]
    assert isinstance(found, dict)
    return found


# ---------------------------------------------------------------------- months and days
@pytest.mark.parametrize(
    ("anchor", "months", "due"),
    [
        ((1401, 1, 27), 6, (1401, 7, 27)),
        ((1401, 6, 31), 1, (1401, 7, 30)),
        ((1403, 6, 31), 6, (1403, 12, 30)),
        ((1403, 12, 30), 12, (1404, 12, 29)),
        ((1404, 6, 31), 6, (1404, 12, 29)),
        ((1404, 11, 30), 1, (1404, 12, 29)),
    ],
)
def test_D10_months_of_the_calendar_end_with_the_month(
    anchor: tuple[int, int, int], months: int, due: tuple[int, int, int]
) -> None:
    assert add_jalali_months(CALENDAR, jalali(*anchor), months) == jalali(*due)


def test_D11_six_months_from_the_notification_by_both_conventions() -> None:
    """1401/01/27: 1401/07/27 by calendar months, 1401/07/21 by months of 30 days."""
    known = ledger("obligation_event", [notified("A9", NOTIFIED)])
    row = _status(known)[("A9", "sim_a01")]
    assert (row["due_calendar_on"], row["due_days30_on"]) == (
        jalali(1401, 7, 27),
        jalali(1401, 7, 21),
    )
    assert row["due_original_on"] == jalali(1401, 7, 27)
    counting = replace(
        RULES, instruments={**RULES.instruments, "session": Instrument("s", True, False, None)}
    )
    assert _status(known, rules=counting)[("A9", "sim_a01")]["due_original_on"] == jalali(
        1401, 7, 21
    )


def test_D16_holidays_roll_only_where_the_instrument_says_so() -> None:
    """Friday 2026-11-20, a holiday on Saturday: Sunday. Thursday is a working day."""
    home = RULES.country_of(RULES.instruments["session"])
    assert working_day(FRIDAY, home) == dt.date(2026, 11, 22)
    assert working_day(FRIDAY - DAY, home) == FRIDAY - DAY
    anchor = jalali(1405, 5, 29)
    assert add_jalali_months(CALENDAR, anchor, 3) == FRIDAY
    assert _a8(notified("A8", anchor))["due_original_on"] == FRIDAY
    rolling = replace(
        RULES, instruments={**RULES.instruments, "session": Instrument("s", False, True, None)}
    )
    row = _a8(notified("A8", anchor), rules=rolling)
    assert (row["due_calendar_on"], row["due_original_on"]) == (FRIDAY, dt.date(2026, 11, 22))


@pytest.mark.parametrize(
    ("rule", "text", "due"),
    [
        ("before", "before September 2023", dt.date(2023, 8, 31)),
        ("before", "before January 2024", dt.date(2023, 12, 31)),
        ("in_month", "June 2023", dt.date(2023, 6, 30)),
        ("in_month", "in February 2024", dt.date(2024, 2, 29)),
        ("in_month", "in December 2023", dt.date(2023, 12, 31)),
        ("absolute", "by Shahrivar 1401 (end: 1401/06/31)", dt.date(2022, 9, 22)),
        ("in_month", "quickly", None),
    ],
)
def test_D17_before_and_in_a_month(rule: str, text: str, due: dt.date | None) -> None:
    assert stated_date(CALENDAR, obligation("X1", rule, text=text)) == due


def test_weeks_are_seven_days_in_both_conventions() -> None:
    signed = event("M1", NOTIFIED, None, anchor_event="signing", anchor_date=NOTIFIED)
    row = _status(ledger("obligation_event", [signed]))[("M1", "sim_a01")]
    assert row["due_calendar_on"] == row["due_days30_on"] == NOTIFIED + 21 * DAY


# ---------------------------------------------------------------------- states
@pytest.mark.parametrize(
    ("left", "state", "overdue"),
    [(15, "live", 0), (14, "due_soon", 0), (0, "due_soon", 0), (-1, "breached", 1)],
)
def test_the_last_fortnight_and_the_day_after(left: int, state: str, overdue: int) -> None:
    anchor = jalali(1405, 5, 15)
    due = add_jalali_months(CALENDAR, anchor, 3)
    row = _a8(notified("A8", anchor), day=due - left * DAY)
    assert (row["state"], row["days_overdue"]) == (state, overdue)


def test_D20_without_a_recorded_anchor_nothing_is_known() -> None:
    row = _a8(event("A8", NOTIFIED, "in_progress", percent=20))
    assert row["state"] == "undetermined"
    assert row["due_original_on"] is row["days_overdue"] is row["days_overdue_original"] is None
    assert row["age_days"] == (FRIDAY - NOTIFIED).days
    assert row["percent"] == 20


def test_the_latest_anchor_up_to_the_day_counts() -> None:
    first, second = jalali(1405, 1, 10), jalali(1405, 2, 10)
    assert _a8(notified("A8", first), notified("A8", second))["anchor_on"] == second
    row = _a8(notified("A8", first), notified("A8", second), day=jalali(1405, 2, 9))
    assert (row["anchor_on"], row["events"]) == (first, 1)


def test_D18_what_has_no_date_ages_and_is_never_overdue() -> None:
    rows = _status(ledger("obligation_event", []))
    for key in (("P1", "sim_p02"), ("V11", "vn_mic"), ("V4", "vn_mic")):
        assert rows[key]["state"] == "undated"
        assert rows[key]["days_overdue"] is None
        assert rows[key]["age_days"] == (FRIDAY - NOTIFIED).days
    done = ledger("obligation_event", [event("P1", FRIDAY, "done", "sim_p02")])
    row = _status(done)[("P1", "sim_p02")]
    assert (row["state"], row["days_overdue"], row["days_overdue_original"]) == (
        "done_on_time",
        0,
        0,
    )


def test_D19_a_chain_waits_and_then_counts_from_what_was_done() -> None:
    known = ledger("obligation_event", [notified("A24", NOTIFIED)])
    row = _status(known)[("A25", "mict")]
    assert (row["state"], row["waiting_on"], row["days_overdue"]) == ("waiting", "A24", None)
    done_on = jalali(1405, 7, 30)
    known = ledger("obligation_event", [notified("A24", NOTIFIED), event("A24", done_on, "done")])
    row = _status(known)[("A25", "mict")]
    assert (row["anchor_on"], row["waiting_on"]) == (done_on, None)
    assert (row["due_calendar_on"], row["due_days30_on"]) == (
        jalali(1405, 9, 30),
        jalali(1405, 9, 30),
    )
    assert row["state"] == "live"


def test_D19_after_several_events_all_of_them() -> None:
    def told(*codes: str) -> Any:
        rows = [event(code, FRIDAY, "done", "vn_mic") for code in codes]
        row = _status(ledger("obligation_event", rows))[("V15", "vn_mic")]
        return row["state"], row["waiting_on"]

    assert told() == ("waiting", "V4, V5")
    assert told("V4") == ("waiting", "V5")
    assert told("V4", "V5") == ("undated", None)


def test_D19_an_escalation_sleeps_until_a_breach() -> None:
    anchor = jalali(1405, 7, 1)
    known = ledger("obligation_event", [notified("A8", anchor)])
    assert _status(known)[("A10", "aro")]["state"] == "dormant"
    old = [notified("A8", jalali(1405, 1, 1))]
    row = _status(ledger("obligation_event", old))[("A10", "aro")]
    assert (row["state"], row["days_overdue"], row["due_original_on"]) == ("live", 0, None)
    late = [*old, event("A8", FRIDAY, "done")]
    assert _status(ledger("obligation_event", late))[("A10", "aro")]["state"] == "live"


def test_D21_an_extension_keeps_both_slippages() -> None:
    anchor = jalali(1405, 5, 1)
    due = jalali(1405, 8, 1)
    rows = [notified("A8", anchor), event("A8", due, "extended", extended_to=FRIDAY + 30 * DAY)]
    row = _a8(*rows)
    assert (row["due_original_on"], row["due_revised_on"]) == (due, FRIDAY + 30 * DAY)
    assert (row["state"], row["days_overdue"]) == ("live", 0)
    assert row["days_overdue_original"] == (FRIDAY - due).days == 28
    assert _a8(*rows, day=due - DAY)["due_revised_on"] == due
    undated = event("P1", FRIDAY, "extended", "sim_p02", extended_to=FRIDAY)
    row = _status(ledger("obligation_event", [undated]))[("P1", "sim_p02")]
    assert (row["state"], row["due_revised_on"]) == ("undated", None)


def test_done_once_told_twice_taken_back_and_void() -> None:
    anchor = jalali(1405, 1, 1)
    due = jalali(1405, 4, 1)
    base = notified("A8", anchor)
    on_time = [base, event("A8", due, "done"), event("A8", due + 9 * DAY, "done")]
    row = _a8(*on_time)
    assert (row["state"], row["done_on"], row["days_overdue"]) == ("done_on_time", due, 0)
    late = [base, event("A8", due + 2 * DAY, "done")]
    row = _a8(*late)
    assert (row["state"], row["days_overdue"], row["days_overdue_original"]) == ("done_late", 2, 2)
    row = _a8(*late, event("A8", due + 5 * DAY, "in_progress"))
    assert (row["state"], row["done_on"]) == ("breached", None)
    row = _a8(*late, event("A8", due + 5 * DAY, "void"))
    assert (row["state"], row["days_overdue"], row["days_overdue_original"]) == ("void", 0, 0)
    silent = event("A8", due + 8 * DAY, None, evidence="e")
    row = _a8(*late, silent)
    assert (row["state"], row["evidence"], row["events"]) == ("done_late", "e", 3)


def test_S2_a_corrected_event_replaces_the_first() -> None:
    first = [notified("A8", NOTIFIED), event("A8", FRIDAY, "in_progress", percent=90)]
    second = [event("A8", FRIDAY, "in_progress", percent=40)]
    row = _status(ledger("obligation_event", first, second))[("A8", "sim_a01")]
    assert (row["percent"], row["events"]) == (40, 2)


# ---------------------------------------------------------------------- decisions
def test_a_minuted_decision_is_an_obligation_like_any_other() -> None:
    held = dt.date(2026, 10, 4)
    decisions = [
        {"no": 1, "agency": "sim_a02", "due_on": "2026-10-20"},
        {"no": 2, "agency": "sim_a02", "due_on": None},
        {"no": 3, "title": "to whom it may concern"},
    ]
    values: dict[str, Value] = {"minuted_at": held + 5 * DAY, "decisions": json.dumps(decisions)}
    meeting = Row("meeting", "date", held, values, subject="sim_c01", on=held)
    code = "sim_c01-2026-10-04-1"
    known = merged(
        ("meeting", "sim_a06__meetings", [[meeting]]),
        ("obligation_event", "sim_a01__obligations", [[event(code, held, "done", "sim_a02")]]),
    )
    found = {key: row for key, row in _status(known).items() if key[0].startswith("sim_c01")}
    assert {key[0][-1]: row["state"] for key, row in found.items()} == {
        "1": "done_on_time",
        "2": "undated",
    }
    row = found[(code, "sim_a02")]
    assert (row["instrument_code"], row["due_rule"], row["anchor_on"]) == (
        "mazandaran_mou",
        "decision",
        held,
    )
    assert not [key for key in _status(known, held + 4 * DAY) if key[0].startswith("sim_c01")]
