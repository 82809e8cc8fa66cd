"""What the reference data says of duties, months, holidays and weights can be computed with.

The due dates themselves are the warehouse's; here stands what they are made of, so that a list
that is edited by hand cannot make a date of a word, or a month of a convention nobody declared.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
import shutil
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from infra.sandbox.rules import load_rules
from ingestion.normalise.calendar import from_jalali, to_jalali

REFERENCE = Path(__file__).parents[2] / "dbt_project" / "seeds" / "reference"
# duties without a date that anybody could compute
UNDATED = {"none", "vague", "gradual", "permissive", "by_reference", "on_event", "recurring"}
NOWRUZ = ((1, 1), (1, 2), (1, 3), (1, 4), (1, 13))


def rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LUNAR_MONTHS = rows("lunar_month")
OBLIGATIONS = {row["obligation_code"]: row for row in rows("obligation")}


def column(row: dict[str, str], ending: str) -> str:
    return row[next(name for name in row if name.endswith(ending))]


def test_D11_every_instrument_says_what_its_month_is() -> None:
    conventions = {
        row["instrument_code"]: column(row, "month_convention") for row in rows("instrument")
    }
    assert set(conventions.values()) <= {
        "calendar_months",
        "gregorian_months",
        "calendar",
        "days30",
    }
    counted = {row["instrument_code"] for row in OBLIGATIONS.values() if row["due_unit"] == "month"}
    assert counted
    assert all(conventions[code] for code in counted)


def test_D16_every_instrument_says_whether_a_holiday_moves_its_deadlines() -> None:
    assert {column(row, "to_working_day") for row in rows("instrument")} <= {"true", "false"}


def test_D17_before_and_in_a_month_name_one_month_and_its_year() -> None:
    named = [row for row in OBLIGATIONS.values() if row["due_rule"] in ("before", "in_month")]
    assert {row["due_rule"] for row in named} == {"before", "in_month"}
    for row in named:
        assert re.search(r"\b[A-Z][a-z]+ 20\d\d\b", row["due_text"]), row["obligation_code"]
        assert row["due_text"].startswith("before") == (row["due_rule"] == "before")
        assert not row["due_amount"], "a named month needs no arithmetic"


def test_D18_soon_gradually_and_at_once_are_no_dates() -> None:
    words = ("soon", "gradual", "immediately", "quickly", "زودی", "تدریج", "فور")
    vague = [row for row in OBLIGATIONS.values() if any(word in row["due_text"] for word in words)]
    assert len(vague) >= 5
    for row in vague:
        assert row["due_rule"] in UNDATED, row["obligation_code"]
        assert not row["due_amount"]


def test_D19_what_waits_for_another_duty_names_one_that_exists() -> None:
    chained = [
        row
        for row in OBLIGATIONS.values()
        if row["due_rule"] in ("event_offset", "conditional", "after_event")
    ]
    assert len(chained) >= 4
    for row in chained:
        codes = re.findall(r"\b[A-Z]\d+[a-z]?\b", row["due_anchor"])
        assert codes, f"{row['obligation_code']} waits for nothing in particular"
        assert set(codes) <= set(OBLIGATIONS) - {row["obligation_code"]}


def test_D20_every_counted_deadline_names_the_act_that_it_is_counted_from() -> None:
    counted = [row for row in OBLIGATIONS.values() if row["due_rule"] == "offset"]
    assert counted
    assert {row["due_anchor"] for row in counted} <= {"notification", "signing", "approval"}
    for row in counted:
        assert int(row["due_amount"]) > 0
        assert row["due_unit"] in ("week", "month")


HOLIDAYS = [row for row in rows("holiday") if row["country_code"] == "IR"]


def test_D14_nowruz_and_the_thirteenth_are_holidays_of_every_official_year() -> None:
    national = {row["holiday_on"] for row in HOLIDAYS if not row["province_code"]}
    years = sorted({to_jalali(dt.date.fromisoformat(day))[0] for day in national})
    # the first and the last year may be cut
    inner = years[1:-1]
    assert len(inner) >= 10
    missing = {
        (year, *day)
        for year in inner
        for day in NOWRUZ
        if from_jalali(year, *day).isoformat() not in national
    }
    assert not missing


def test_D14_one_week_a_year_owes_no_report_and_none_falls_due_on_nowruz() -> None:
    """The week that holds most of 1-4 Farvardin; no report is due on these days or on the 13th."""
    told = {
        (dt.date.fromisoformat(row["week_start"]), row["exception_kind"]): row["extra_hours"]
        for row in rows("reporting_exception")
        if not (row["source"] or row["agency_code"] or row["province_code"])
    }
    week, day = dt.timedelta(days=7), dt.timedelta(days=1)
    wanted: dict[tuple[dt.date, str], str] = {}
    for year in range(1400, 1417):
        first = from_jalali(year, 1, 1)
        saturday = first + ((5 - first.weekday()) % 7) * day
        # of the four days those before the first Saturday lie in the week before
        is_early = (saturday - first).days > 2
        free = saturday - week if is_early else saturday
        wanted[free, "not_owed"] = ""
        closed = {first + n * day for n in (0, 1, 2, 3, 12)}
        for due in closed:
            if due.weekday() == 5 and due - week != free:
                working = next(
                    due + n * day
                    for n in range(7)
                    if due + n * day not in closed and (due + n * day).weekday() != 4
                )
                wanted[due - week, "due_extended"] = str(24 * (working - due).days)
    assert told == wanted


def test_D15_the_official_calendar_of_a_year_to_the_day() -> None:
    """1403 as the Public Culture Council printed it: these days and no others."""
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
    national = load_rules(REFERENCE).holidays
    found: dict[int, list[int]] = {}
    for year, month, day in map(to_jalali, sorted(national)):
        if year == 1403:
            found.setdefault(month, []).append(day)
    assert found == printed


@pytest.mark.parametrize(
    ("hijri", "official", "computed"),
    [
        # Muharram 1446 began a day before the alternating calendar says, Rajab a day after
        ((1446, 1), dt.date(2024, 7, 7), dt.date(2024, 7, 8)),
        ((1446, 7), dt.date(2025, 1, 2), dt.date(2025, 1, 1)),
        ((1447, 7), dt.date(2025, 12, 22), dt.date(2025, 12, 21)),
        # and these as it says
        ((1445, 10), dt.date(2024, 4, 10), dt.date(2024, 4, 10)),
        ((1447, 1), dt.date(2025, 6, 27), dt.date(2025, 6, 27)),
    ],
)
def test_D15_a_printed_month_moves_its_holidays(
    tmp_path: Path, hijri: tuple[int, int], official: dt.date, computed: dt.date
) -> None:
    names = {(int(r["hijri_year"]), int(r["hijri_month"])): r["starts_on"] for r in LUNAR_MONTHS}
    assert names[hijri] == official.isoformat()
    bare = shutil.copytree(REFERENCE, tmp_path / "reference")
    (bare / "lunar_month.csv").write_text("hijri_year,hijri_month,starts_on,told_by\n")
    first = next(row for row in rows("lunar_holiday") if int(row["hijri_month"]) == hijri[1])
    ahead = dt.timedelta(days=int(first["hijri_day"]) - 1)
    assert official + ahead in load_rules(REFERENCE).holidays
    alone = load_rules(bare).holidays
    assert computed + ahead in alone
    assert (official + ahead in alone) == (official == computed)


def test_D15_a_lunar_month_has_29_or_30_days_where_two_in_a_row_are_printed() -> None:
    starts = {
        (int(r["hijri_year"]), int(r["hijri_month"])): dt.date.fromisoformat(r["starts_on"])
        for r in LUNAR_MONTHS
    }
    assert len(starts) == len(LUNAR_MONTHS)
    pairs = [
        (starts[year, month], starts[year, month + 1])
        for year, month in starts
        if (year, month + 1) in starts
    ]
    assert len(pairs) >= 3
    assert all((b - a).days in (29, 30) for a, b in pairs)


def test_D15_closures_are_dated_per_province_and_invented_ones_say_so() -> None:
    provinces = {row["province_code"] for row in rows("province")}
    local = [row for row in HOLIDAYS if row["province_code"]]
    assert local
    assert {row["province_code"] for row in local} <= provinces
    for row in rows("holiday"):
        dt.date.fromisoformat(row["holiday_on"])
        # days that depend on the moon or on the weather cannot be known years ahead
        if row["holiday_kind"] != "fixed_solar":
            assert row["is_simulated"] == "true"
    keys = [tuple(row.values()) for row in rows("holiday")]
    assert len(keys) == len(set(keys))


def test_N15_weights_are_positive_and_shares_of_a_project_add_up_exactly() -> None:
    weights = {row["project_code"]: row for row in rows("project")}
    assert all(
        Decimal(row["weight"] or 0) > 0 for row in weights.values() if row["is_named"] == "true"
    )
    shares: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows("project_agency"):
        assert Decimal(row["allocation_weight"]) > 0
        shares[row["project_code"]] += Decimal(row["allocation_weight"])
    assert shares
    assert set(shares.values()) == {Decimal(1)}, "to the last digit: rounding is no excuse"
