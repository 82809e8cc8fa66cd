"""Dates, instants and periods in the forms that agencies write: traps D1 to D9, D12, D22, D23."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.normalise.calendar import MONTHS_FA, to_jalali, week_label, week_start
from ingestion.normalise.dates import (
    PLAN_WINDOW,
    Calendar,
    DateOrder,
    RangeYear,
    Serials,
    read_dates,
    read_instants,
    read_periods,
)
from ingestion.normalise.text import ARABIC_DIGITS, PERSIAN_DIGITS
from ingestion.spec.kinds import PeriodKind
from ingestion.table import CellType

DAY = dt.date(2022, 9, 22)  # 1401/06/31
FA = str.maketrans("0123456789", PERSIAN_DIGITS)
AR = str.maketrans("0123456789", ARABIC_DIGITS)
SANE = st.dates(dt.date(2010, 1, 1), dt.date(2040, 12, 31))


def one(
    text: str,
    calendar: Calendar | None = "jalali",
    *,
    kind: CellType = CellType.TEXT,
    pivot: int | None = None,
    order: DateOrder | None = None,
    serials: Serials | None = None,
) -> dt.date | str | None:
    kinds = pl.Series([int(kind)], dtype=pl.UInt8)
    reading = read_dates(
        pl.Series([text]), kinds, calendar=calendar, pivot=pivot, order=order, serials=serials
    )
    assert (reading.value[0] is None) or (reading.reason[0] is None)
    return reading.value[0] if reading.reason[0] is None else reading.reason[0]


def period(
    text: str, kind: PeriodKind, calendar: Calendar | None = None
) -> tuple[str | None, dt.date | str | None]:
    reading = read_periods(pl.Series([text]), period_kind=kind, calendar=calendar)
    reason = reading.reason[0]
    return reading.kind[0], reading.start[0] if reason is None else reason


@pytest.mark.parametrize(
    "text",
    ["1401/06/31", "۱۴۰۱-۶-۳۱", "۳۱/۰۶/۱۴۰۱", "1401.6.31", "۳۱ شهریور ۱۴۰۱", "31شهریور1401",
     "٣١ شهريور ماه ١٤٠١", "31 شهریور‌ماه 1401", "31ام شهریور 1401", "14010631", "\u200f۱۴۰۱/۰۶/۳۱",
     "1401-06-31T14:30:00", "۱۴۰۱/۶/۳۱ 14:30", "'1401/06/31", "31-06-1401"],
)  # fmt: skip
@pytest.mark.parametrize("calendar", ["jalali", None])
def test_D1_declared_forms(text: str, calendar: Calendar | None) -> None:
    assert one(text, calendar) == DAY


@pytest.mark.parametrize("text", ["2022-09-22", "22 Sep 2022", "September 22, 2022", "20220922",
                                  "۲۰۲۲/۰۹/۲۲", "22 سپتامبر 2022", "9/22/2022"])  # fmt: skip
@pytest.mark.parametrize("calendar", ["gregorian", None])
def test_D1_gregorian_forms(text: str, calendar: Calendar | None) -> None:
    assert one(text, calendar) == DAY


@pytest.mark.parametrize("text", ["اسفند 1", "۱ اسفند", "31/06", "2 مرداد ماه"])
def test_D1_a_missing_year_is_never_filled_in(text: str) -> None:
    assert one(text) == "missing-year"


@pytest.mark.parametrize(
    "text", ["1401/06-31", "شهریور 1401", "1401", "soon", "week 12", "1/2/3/4"]
)
def test_D1_other_forms_are_no_dates(text: str) -> None:
    assert one(text) == "not-a-date"


@pytest.mark.parametrize("number", range(1, 13))
def test_D1_every_month_name(number: int) -> None:
    assert one(f"۱ {MONTHS_FA[number - 1]} ۱۴۰۱") == one(f"1401/{number}/1")


@pytest.mark.parametrize("text", ["01/06/31", "99/12/30", "00/01/01"])
def test_D2_two_digit_years_need_a_declared_pivot(text: str) -> None:
    assert one(text) == "ambiguous-date"


def test_D2_a_declared_pivot_places_the_century() -> None:
    assert one("01/06/31", pivot=40) == DAY
    assert one("99/12/30", pivot=40) == dt.date(2021, 3, 20)
    assert one("22-09-22", "gregorian", pivot=40) == DAY


SATURDAY = dt.date(2026, 11, 14)  # 1405/08/23


@pytest.mark.parametrize(
    "text",
    ["شنبه ۲۳ آبان ۱۴۰۵", "شنبه، 1405/08/23", "شنبه ۲۳ آبان‌ماه ۱۴۰۵", "۲۳ آبان ۱۴۰۵ (شنبه)",
     "Saturday, 14 November 2026", "Sat. 14 Nov 2026", "Saturday, November 14, 2026",
     "14 November 2026, Saturday", "saturday 14th of November 2026", "Sat 2026-11-14 10:30"],
)  # fmt: skip
def test_D1_a_weekday_beside_the_day_is_no_part_of_it(text: str) -> None:
    assert one(text, None) == SATURDAY


@pytest.mark.parametrize(
    "name", ["یک‌شنبه", "دو شنبه", "سه شنبه", "چهارشنبه", "پنج‌شنبه", "جمعه", "Sunday"]
)
def test_D7_a_weekday_that_is_not_the_days_own_refuses_it(name: str) -> None:
    assert one(f"{name} ۲۳ آبان ۱۴۰۵", None) == "weekday-mismatch"


def test_D1_every_weekday_has_its_day() -> None:
    names = ["شنبه", "یکشنبه", "دوشنبه", "سه‌شنبه", "چهارشنبه", "پنجشنبه", "جمعه"]
    english = ["Saturday", "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    for number, pair in enumerate(zip(names, english, strict=True)):
        day = SATURDAY + dt.timedelta(days=number)
        for name in (*pair, pair[1][:3]):
            assert one(f"{name} {day.isoformat()}", None) == day


@pytest.mark.parametrize("text", ["شنبه", "شنبه آبان ۱۴۰۵", "شنبه ۲۳", "Saturday November 2026"])
def test_D1_a_weekday_does_not_make_a_day_of_less(text: str) -> None:
    assert not isinstance(one(text, None), dt.date)
    assert isinstance(period(text, "jalali_month")[1], str)


@pytest.mark.parametrize("text", ["1st March 2021", "March 1st, 2021", "1 of March 2021"])
def test_D1_ordinals(text: str) -> None:
    assert one(text, None) == dt.date(2021, 3, 1)


def test_D2_a_named_month_with_a_year_of_two_digits_needs_a_pivot() -> None:
    assert one("31-Mar-21", "gregorian") == "ambiguous-date"
    assert one("31-Mar-21", "gregorian", pivot=40) == dt.date(2021, 3, 31)
    assert one("۳۱ شهریور ۰۱", "jalali", pivot=40) == DAY
    assert one("31 شهریور 14:30", "jalali", pivot=40) == "not-a-date"


def test_D2_D7_two_digits_thrice_are_read_in_a_declared_order_only() -> None:
    assert one("12/03/21", "gregorian", pivot=40) == "ambiguous-date"
    assert one("12/03/21", "gregorian", pivot=40, order="dmy") == dt.date(2021, 3, 12)
    assert one("12/03/21", "gregorian", pivot=40, order="mdy") == dt.date(2021, 12, 3)
    assert one("21/03/12", "gregorian", pivot=40, order="ymd") == dt.date(2021, 3, 12)
    assert one("31/06/01", "jalali", pivot=40, order="dmy") == DAY
    assert one("12/03/21", "gregorian", order="dmy") == "ambiguous-date", "the century is open"


def test_D7_a_declared_order_settles_day_and_month() -> None:
    assert one("03/04/2026", "gregorian") == "ambiguous-date"
    assert one("03/04/2026", "gregorian", order="dmy") == dt.date(2026, 4, 3)
    assert one("03/04/2026", "gregorian", order="mdy") == dt.date(2026, 3, 4)
    assert one("11/14/2026", "gregorian", order="dmy") == "invalid-date"
    assert one("14/11/2026", "gregorian", order="mdy") == "invalid-date"


def test_D6_serials_are_days_only_where_they_are_declared() -> None:
    assert one("44286", "gregorian") == "unformatted-serial"
    assert one("44286", "gregorian", serials="1900") == dt.date(2021, 3, 31)
    assert one("44286.0", "gregorian", kind=CellType.NUMBER, serials="1900") == dt.date(2021, 3, 31)
    assert one("42824", "gregorian", serials="1904") == dt.date(2021, 3, 31)
    assert one("14010631", "jalali", serials="1900") == DAY
    assert one("99999", "gregorian", serials="1900") == "outside-window"


def test_D22_clocks_of_twelve_hours() -> None:
    read = read_instants(
        pl.Series(["11/14/2026 2:30:00 PM", "2026-11-14 12:05 am", "2026-11-14 13:00 pm"])
    )
    assert [v and v.isoformat() for v in read.value] == [
        "2026-11-14T11:00:00+00:00",
        "2026-11-13T20:35:00+00:00",
        None,
    ]
    assert read.reason[2] == "invalid-date"


@pytest.mark.parametrize(
    ("text", "which", "expected"),
    [("2015/16", "first", 2015), ("2015-2016", "last", 2016), ("1999/00", "last", 2000),
     ("2015/17", "first", None), ("2015/16", None, None)],
)  # fmt: skip
def test_D26_a_range_of_two_years_is_the_declared_one(
    text: str, which: RangeYear | None, expected: int | None
) -> None:
    found = read_periods(
        pl.Series([text]),
        period_kind="gregorian_year",
        range_year=which,
        window=(dt.date(1990, 1, 1), dt.date(2040, 1, 1)),
    )
    assert found.start[0] == (expected and dt.date(expected, 1, 1))


@pytest.mark.parametrize("text", ["1395-96", "سال ۱۳۹۵-۱۳۹۶", "۹۶-۱۳۹۵"])
def test_D26_jalali_ranges(text: str) -> None:
    found = read_periods(pl.Series([text]), period_kind="jalali_year", range_year="first")
    assert found.start[0] == dt.date(2016, 3, 20)


def test_D3_the_year_decides_only_without_a_declaration() -> None:
    texts = pl.Series(["1401/06/31", "2022-09-22"])
    assert read_dates(texts).value.to_list() == [DAY, DAY]
    assert read_dates(texts, calendar="jalali").reason.to_list() == [None, "calendar-mismatch"]
    assert read_dates(texts, calendar="gregorian").reason.to_list() == ["calendar-mismatch", None]


def test_D3_lunar_years_collide_with_the_jalali_future() -> None:
    assert one("1443/05/01", None) == "ambiguous-calendar"
    assert one("1443/05/01", "jalali") == "outside-window"
    assert one("1443/05/01", "gregorian") == "calendar-mismatch"


@pytest.mark.parametrize("text", ["1401-06-30", "1401-06-30T00:00:00"])
def test_D4_a_jalali_year_in_a_gregorian_type_is_the_jalali_day(text: str) -> None:
    assert one(text, "jalali", kind=CellType.DATE) == dt.date(2022, 9, 21)
    assert one(text, None, kind=CellType.DATE) == dt.date(2022, 9, 21)
    assert one(text, "gregorian", kind=CellType.DATE) == "calendar-mismatch"


def test_D4_both_halves_of_a_split_column_meet_again() -> None:
    texts = pl.Series(["1401-06-30", "1401/06/31"])
    kinds = pl.Series([int(CellType.DATE), int(CellType.TEXT)], dtype=pl.UInt8)
    reading = read_dates(texts, kinds, calendar="jalali")
    assert reading.value.to_list() == [dt.date(2022, 9, 21), DAY]


@pytest.mark.parametrize("text", ["2009-12-31", "2041-01-01", "1956-01-01"])
def test_D4_the_sanity_window_holds_for_every_date(text: str) -> None:
    assert one(text, "gregorian") == "outside-window"


def test_D4_plans_may_reach_to_2045() -> None:
    texts = pl.Series(["2045-12-31", "2046-01-01"])
    reading = read_dates(texts, window=PLAN_WINDOW)
    assert reading.reason.to_list() == [None, "outside-window"]


def test_D5_the_serial_counts_not_the_display() -> None:
    assert one("2022-09-22", "jalali", kind=CellType.DATE) == DAY


@pytest.mark.parametrize("text", ["44826", "59", "60"])
def test_D6_a_bare_serial_is_not_converted(text: str) -> None:
    expected = "unformatted-serial" if len(text) == 5 else "not-a-date"
    assert one(text, kind=CellType.NUMBER) == expected


def test_D7_day_and_month_are_never_chosen_between() -> None:
    assert one("03/04/2022", "gregorian") == "ambiguous-date"
    assert one("05/05/2022", "gregorian") == dt.date(2022, 5, 5)
    assert one("22/09/2022", "gregorian") == DAY
    assert one("09/22/2022", "gregorian") == DAY
    assert one("03/04/1401", "jalali") == one("1401/04/03", "jalali")


@pytest.mark.parametrize(
    "text", ["1402/12/30", "1401/07/31", "1401/13/01", "1401/01/32", "1401/00/10", "1401/10/00"]
)
def test_D8_D9_days_that_do_not_exist_are_refused(text: str) -> None:
    assert one(text) == "invalid-date"


def test_D8_the_leap_day_of_1403_is_read() -> None:
    assert one("1403/12/30") == dt.date(2025, 3, 20)


@pytest.mark.parametrize(
    "text", ["0", "00:00:00", "0:00", "1900-01-00", "9999-12-31", "0000/00/00"]
)
def test_D23_stand_ins_for_no_date(text: str) -> None:
    assert one(text) == "zero-date"


@given(SANE)
def test_every_spelling_of_a_day_is_that_day(day: dt.date) -> None:
    year, month, number = to_jalali(day)
    plain = [
        f"{year}/{month:02}/{number:02}",
        f"{number}-{month}-{year}",
        f"{year}{month:02}{number:02}",
        f"{number} {MONTHS_FA[month - 1]} {year}",
    ]
    texts = [t for p in plain for t in (p, p.translate(FA), p.translate(AR))] + [day.isoformat()]
    reading = read_dates(pl.Series(texts))
    assert reading.value.to_list() == [day] * len(texts)


@given(st.lists(st.one_of(st.none(), st.text(max_size=15)), max_size=10))
def test_a_cell_is_read_or_refused_never_both(texts: list[str | None]) -> None:
    reading = read_dates(pl.Series(texts, dtype=pl.Utf8), calendar="jalali")
    for value, reason in zip(reading.value, reading.reason, strict=True):
        assert value is None or reason is None


def test_D22_instants_without_a_zone_are_tehrans_clock() -> None:
    texts = [
        "1405/08/23 10:30",
        "2026-11-14T10:30:00+03:30",
        "2026-11-14T07:00:00Z",
        "2022-07-01 12:00",
    ]
    found = read_instants(pl.Series(texts)).value.to_list()
    assert found[:3] == [dt.datetime(2026, 11, 14, 7, tzinfo=dt.UTC)] * 3
    assert found[3] == dt.datetime(2022, 7, 1, 7, 30, tzinfo=dt.UTC)  # summer time, +04:30


def test_D22_hours_that_the_clock_skipped_or_had_twice() -> None:
    texts = ["2022-03-22 00:30", "2022-09-21 23:30", "1401/01/02", "2022-09-22 00:00"]
    reading = read_instants(pl.Series(texts))
    assert reading.reason.to_list() == ["ambiguous-time", "ambiguous-time", None, None]
    assert reading.value[2] == dt.datetime(2022, 3, 21, 20, 30, tzinfo=dt.UTC)


def test_D22_a_day_with_a_zone_is_the_day_in_tehran() -> None:
    assert one("2026-11-13T21:00:00Z", "gregorian") == dt.date(2026, 11, 14)
    assert one("2026-11-14T01:00:00", "gregorian") == dt.date(2026, 11, 14)


def test_instants_keep_microseconds() -> None:
    found = read_instants(pl.Series(["2026-11-14T07:00:00.123456Z", "2026-11-14 07:00:61"]))
    assert found.value[0] == dt.datetime(2026, 11, 14, 7, 0, 0, 123456, tzinfo=dt.UTC)
    assert found.reason.to_list() == [None, "invalid-date"]


@pytest.mark.parametrize(
    "text",
    [
        "1405-W35",
        "هفته ۳۵ سال ۱۴۰۵",
        "هفته 35 1405",
        "1405/08/23",
        "2026-11-20",
        "week:1405-W35",
        "جمعه",
        "1405/08/29",
    ],
)
def test_D12_a_week_is_its_saturday(text: str) -> None:
    expected = "not-a-date" if text == "جمعه" else dt.date(2026, 11, 14)
    assert period(text, "week")[1] == expected


@given(SANE)
def test_D12_any_day_of_a_week_is_that_week(day: dt.date) -> None:
    if not dt.date(2010, 1, 9) <= day <= dt.date(2040, 12, 20):
        return
    texts = pl.Series([day.isoformat(), week_label(day), week_start(day).isoformat()])
    assert read_periods(texts, period_kind="week").start.to_list() == [week_start(day)] * 3


def test_D12_iso_weeks_are_refused() -> None:
    assert period("2026-W46", "week") == (None, "iso-week")
    assert period("1405-W54", "week") == (None, "invalid-date")


@pytest.mark.parametrize(
    "text",
    [
        "1405/08",
        "1405-8",
        "۱۴۰۵/۰۸",
        "08/1405",
        "140508",
        "آبان ۱۴۰۵",
        "آبان‌ماه سال ۱۴۰۵",
        "1405/08/23",
    ],
)
def test_D26_jalali_months(text: str) -> None:
    assert period(text, "jalali_month") == ("jalali_month", dt.date(2026, 10, 23))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1405/13", "invalid-date"),
        ("2026/11", "calendar-mismatch"),
        ("نوامبر 2026", "calendar-mismatch"),
        ("فلان 1405", "not-a-period"),
        ("آبان", "not-a-date"),
    ],
)
def test_D26_what_is_no_jalali_month(text: str, reason: str) -> None:
    assert period(text, "jalali_month") == (None, reason)


def test_D26_years() -> None:
    assert period("۱۴۰۵", "jalali_year") == ("jalali_year", dt.date(2026, 3, 21))
    assert period("سال 1405", "jalali_year") == ("jalali_year", dt.date(2026, 3, 21))
    assert period("2016", "gregorian_year") == ("gregorian_year", dt.date(2016, 1, 1))
    assert period("2016", "jalali_year") == (None, "calendar-mismatch")
    assert period("1395", "gregorian_year") == (None, "calendar-mismatch")
    assert period("05", "jalali_year") == (None, "not-a-period")


def test_S6_a_year_of_two_numbers_is_no_year() -> None:
    assert period("2018/19", "gregorian_year") == (None, "not-a-period")


def test_a_text_may_name_its_own_period_kind() -> None:
    texts = pl.Series(
        ["gregorian_year:2016", "jalali_month:1405/08", "1405-W35", "date:1405/08/24"]
    )
    reading = read_periods(texts, period_kind="week")
    assert reading.kind.to_list() == ["gregorian_year", "jalali_month", "week", "date"]
    assert reading.start.to_list() == [
        dt.date(2016, 1, 1),
        dt.date(2026, 10, 23),
        dt.date(2026, 11, 14),
        dt.date(2026, 11, 15),
    ]
