"""The Jalali calendar against the official list and two libraries; weeks: traps D8-D13, D22."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import jdatetime
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from persiantools.jdatetime import JalaliDate

from ingestion.errors import IngestError
from ingestion.normalise import calendar
from ingestion.normalise.calendar import (
    CalendarError,
    days_in_month,
    from_jalali,
    is_leap,
    last_closed_week,
    months_frame,
    parse_week,
    to_jalali,
    week_label,
    week_of,
    week_start,
)

# official_leap_years.txt: the national calendar authority's list, transcribed by
# github.com/roozbehp/persiancalendar, CC0 1.0
OFFICIAL = Path(__file__).parent / "data" / "official_leap_years.txt"
DAYS = st.dates(dt.date(1827, 3, 22), dt.date(2120, 3, 19))


def official() -> list[tuple[int, bool, dt.date]]:
    lines = OFFICIAL.read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [(int(y.rstrip("*")), "*" in y, dt.date.fromisoformat(d)) for y, d in rows]


def test_D8_every_official_year_starts_and_leaps_as_listed() -> None:
    rows = official()
    assert [row[0] for row in rows] == list(range(1206, 1499))
    for year, leap, new_year in rows:
        assert is_leap(year) is leap, year
        assert from_jalali(year, 1, 1) == new_year
        assert to_jalali(new_year) == (year, 1, 1)


def test_D8_the_year_that_the_2820_rule_gets_wrong() -> None:
    assert from_jalali(1403, 12, 30) == dt.date(2025, 3, 20)
    with pytest.raises(CalendarError, match="29 days"):
        from_jalali(1402, 12, 30)
    with pytest.raises(CalendarError, match="29 days"):
        from_jalali(1404, 12, 30)


@pytest.mark.parametrize(("month", "day"), [(7, 31), (11, 31), (12, 31), (1, 32), (1, 0), (13, 1)])
def test_D9_days_that_do_not_exist_are_refused_not_rolled(month: int, day: int) -> None:
    with pytest.raises(CalendarError):
        from_jalali(1401, month, day)


def test_every_day_from_1300_to_1450_goes_there_and_back() -> None:
    day, last = from_jalali(1300, 1, 1), from_jalali(1450, 12, days_in_month(1450, 12))
    before = to_jalali(day - dt.timedelta(days=1))
    while day <= last:
        jalali = to_jalali(day)
        assert jalali > before
        assert from_jalali(*jalali) == day
        before, day = jalali, day + dt.timedelta(days=1)


@given(DAYS)
def test_D8_agrees_with_two_libraries_over_the_whole_table(day: dt.date) -> None:
    # jdatetime 6.1 and persiantools 6.2 follow the official list from 1206 to 1498 (2026-11)
    first, second = jdatetime.date.fromgregorian(date=day), JalaliDate(day)
    expected = to_jalali(day)
    assert (first.year, first.month, first.day) == expected
    assert (second.year, second.month, second.day) == expected


@pytest.mark.parametrize(
    "day", [dt.date(1827, 3, 21), dt.date(2120, 3, 21), dt.date(1, 1, 1), dt.date(9999, 12, 31)]
)
def test_outside_the_official_table_nothing_is_extrapolated(day: dt.date) -> None:
    with pytest.raises(CalendarError):
        to_jalali(day)
    assert issubclass(CalendarError, IngestError)


@pytest.mark.parametrize("year", [1205, 1499, 0, -1])
def test_years_outside_the_official_table_are_refused(year: int) -> None:
    with pytest.raises(CalendarError, match="1206-1498"):
        from_jalali(year, 1, 1)


def test_months_frame_lists_every_month() -> None:
    frame = months_frame()
    assert frame.height == 293 * 12
    nexts = frame["first"].shift(-1)
    assert ((nexts - frame["first"]).dt.total_days() == frame["length"]).drop_nulls().all()


@given(DAYS)
def test_D12_a_week_opens_on_saturday_and_closes_on_friday(day: dt.date) -> None:
    saturday = week_start(day)
    assert saturday.weekday() == 5
    assert 0 <= (day - saturday).days <= 6
    assert week_start(saturday + dt.timedelta(days=6)) == saturday
    assert week_start(saturday + dt.timedelta(days=7)) != saturday


def test_D13_labels() -> None:
    assert week_label(dt.date(2026, 11, 14)) == "1405-W35"
    assert week_label(dt.date(2026, 11, 20)) == "1405-W35"
    # the week from 29 Esfand 1404 to 6 Farvardin belongs to the year of its Saturday
    nowruz = from_jalali(1405, 1, 1)
    assert nowruz.weekday() == 5
    assert week_label(nowruz) == "1405-W01"
    straddling = week_start(from_jalali(1404, 1, 1))
    assert to_jalali(straddling)[0] == 1403
    assert week_label(from_jalali(1404, 1, 1)).startswith("1403-W5")


@given(st.dates(dt.date(1921, 3, 26), dt.date(2100, 3, 19)))
def test_D13_labels_are_unique_and_read_back(day: dt.date) -> None:
    assert parse_week(week_label(day)) == week_start(day)


def test_D13_years_with_53_weeks() -> None:
    # 1405 opens on a Saturday, 1399 is a leap year that opens on a Friday
    assert week_of(1405, 53) == from_jalali(1405, 12, 29)
    assert to_jalali(week_of(1399, 53)) == (1399, 12, 30)
    for year in (1400, 1401, 1402, 1403, 1404):
        with pytest.raises(CalendarError, match="no week 53"):
            week_of(year, 53)


@pytest.mark.parametrize("text", ["۱۴۰۵-W۳۵", "1405W35", " 1405-w35 "])
def test_parse_week_accepts_other_digits(text: str) -> None:
    assert parse_week(text) == dt.date(2026, 11, 14)


@pytest.mark.parametrize("text", ["1405-W00", "1405-W54", "1405/35", "W35", "2026-11-14", ""])
def test_parse_week_refuses_what_is_no_week(text: str) -> None:
    with pytest.raises(CalendarError):
        parse_week(text)


def test_D22_the_week_follows_the_clock_of_tehran() -> None:
    # Friday 20:30 UTC is Saturday 00:00 in Tehran (+03:30): the week of 14 November is over
    friday = dt.datetime(2026, 11, 20, 20, 29, tzinfo=dt.UTC)
    assert last_closed_week(friday) == dt.date(2026, 11, 7)
    assert last_closed_week(friday + dt.timedelta(minutes=1)) == dt.date(2026, 11, 14)
    # and with the summer time of 2022 (+04:30) one hour earlier
    summer = dt.datetime(2022, 7, 1, 19, 30, tzinfo=dt.UTC)
    assert last_closed_week(summer) == dt.date(2022, 6, 25)
    with pytest.raises(CalendarError, match="zone"):
        last_closed_week(dt.datetime(2026, 11, 20))  # noqa: DTZ001


def test_the_month_names_are_twelve() -> None:
    assert len(calendar.MONTHS_FA) == 12
    assert pl.Series(calendar.MONTHS_FA).n_unique() == 12
