"""The Jalali calendar by the official table, and the reporting week that opens on Saturday.

In: calendar days. Out: Jalali dates, weeks and their labels, both for single days and, as a polars
frame of months, for whole columns. Nothing outside the official table (1206/01/01-1498/12/30) is
computed: it is refused with a `CalendarError`, never extrapolated.

A week is its Saturday (Asia/Tehran). Its label `1405-W35` carries the Jalali year of the Saturday
and 1 + (day of the year - 1) // 7, so the week that straddles Nowruz belongs to the old year
(traps D12, D13).

Run the tests: `pytest tests/unit/ingestion/test_calendar.py`
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from ingestion.errors import IngestError
from ingestion.normalise.leap_years import FIRST_DAY, FIRST_YEAR, LAST_YEAR, LEAP_YEARS
from ingestion.normalise.text import DIGITS

TEHRAN: Final = ZoneInfo("Asia/Tehran")
MONTHS_FA: Final = (
    "فروردین",
    "اردیبهشت",
    "خرداد",
    "تیر",
    "مرداد",
    "شهریور",
    "مهر",
    "آبان",
    "آذر",
    "دی",
    "بهمن",
    "اسفند",
)
_SATURDAY: Final = 5  # date.weekday()


class CalendarError(IngestError, ValueError):
    """A day that does not exist, or lies outside the official table."""

    def __init__(self, message: str) -> None:
        super().__init__("bad-date", message, "Give a day of the official Jalali calendar.")

    def __reduce__(self) -> tuple[type[CalendarError], tuple[str]]:
        return type(self), (self.message,)


def is_leap(year: int) -> bool:
    """Whether the Jalali year has 366 days, by the official list."""
    _check_year(year)
    return year in LEAP_YEARS


def days_in_month(year: int, month: int) -> int:
    """31, 30 or 29: the length of a Jalali month."""
    _check_year(year)
    if not 1 <= month <= 12:
        raise CalendarError(f"month {month} does not exist: a year has months 1 to 12")
    if month <= 6:
        return 31
    if month <= 11 or year in LEAP_YEARS:
        return 30
    return 29


def from_jalali(year: int, month: int, day: int) -> dt.date:
    """The Gregorian date of a Jalali day; a day that does not exist is refused, never rolled."""
    length = days_in_month(year, month)
    if not 1 <= day <= length:
        raise CalendarError(
            f"{year}/{month:02}/{day:02} does not exist: the month has {length} days"
        )
    return dt.date.fromordinal(_year_starts()[year - FIRST_YEAR] + day_of_year(month, day) - 1)


def to_jalali(day: dt.date) -> tuple[int, int, int]:
    """(year, month, day) of a Gregorian date."""
    starts = _year_starts()
    ordinal = day.toordinal()
    if not starts[0] <= ordinal < starts[-1]:
        raise CalendarError(f"{day} lies outside the official calendar {FIRST_YEAR}-{LAST_YEAR}")
    index = bisect_right(starts, ordinal) - 1
    rest = ordinal - starts[index]
    month, number = divmod(rest, 31) if rest < 186 else divmod(rest - 186, 30)
    return FIRST_YEAR + index, month + (1 if rest < 186 else 7), number + 1


def day_of_year(month: int, day: int) -> int:
    """1 for 1 Farvardin, 365 or 366 for the last day of Esfand."""
    return (month - 1) * 31 + day if month <= 6 else 186 + (month - 7) * 30 + day


def week_start(day: dt.date) -> dt.date:
    """The Saturday that opens the week of `day`."""
    return day - dt.timedelta(days=(day.weekday() - _SATURDAY) % 7)


def week_label(day: dt.date) -> str:
    """The label of the week of `day`: `1405-W35` for 2026-11-14."""
    year, month, number = to_jalali(week_start(day))
    return f"{year}-W{1 + (day_of_year(month, number) - 1) // 7:02}"


_LABEL: Final = re.compile(r"(\d{4})\s*-?\s*[Ww](\d{1,2})")
_DIGIT_TABLE: Final = str.maketrans(DIGITS)


def parse_week(label: str) -> dt.date:
    """The Saturday of a week label such as `1405-W35`; the inverse of `week_label`.

    Raises CalendarError for another form and for a number that the year does not have.
    """
    match = _LABEL.fullmatch(label.translate(_DIGIT_TABLE).strip())
    if match is None:
        raise CalendarError(f"'{label}' is no week; write it like 1405-W35")
    return week_of(int(match[1]), int(match[2]))


def week_of(year: int, number: int) -> dt.date:
    """The Saturday of week `number` of a Jalali year: the n-th Saturday of that year."""
    first = from_jalali(year, 1, 1)
    saturday = week_start(first + dt.timedelta(days=6)) + dt.timedelta(weeks=number - 1)
    if number < 1 or to_jalali(saturday)[0] != year:
        raise CalendarError(f"the year {year} has no week {number}")
    return saturday


def last_closed_week(now: dt.datetime) -> dt.date:
    """The Saturday of the last week that is over at `now` (aware), by the clock of Tehran."""
    if now.tzinfo is None:
        raise CalendarError("a time without its zone cannot tell the week")
    return week_start(now.astimezone(TEHRAN).date()) - dt.timedelta(weeks=1)


@cache
def months_frame() -> pl.DataFrame:
    """Every Jalali month of the table: `year`, `month` (Int32), `length` (Int32), `first` (Date).

    What columns are joined with; never mutate it.
    """
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    rows = [
        (year, month, days_in_month(year, month), from_jalali(year, month, 1))
        for year in years
        for month in range(1, 13)
    ]
    return pl.DataFrame(
        rows,
        schema={"year": pl.Int32, "month": pl.Int32, "length": pl.Int32, "first": pl.Date},
        orient="row",
    )


@cache
def _year_starts() -> tuple[int, ...]:
    """Ordinals of every 1 Farvardin of the table, and of the day after its last day."""
    starts = [FIRST_DAY.toordinal()]
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        starts.append(starts[-1] + (366 if year in LEAP_YEARS else 365))
    return tuple(starts)


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise CalendarError(
            f"the year {year} lies outside the official calendar {FIRST_YEAR}-{LAST_YEAR}"
        )
