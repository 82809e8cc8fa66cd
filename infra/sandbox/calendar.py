"""Weeks and Jalali dates for the sandbox, from the official table of year beginnings alone.

In: (Jalali year, Gregorian first day) pairs of the seed `official_leap_year.csv`. Out: `Calendar`.
Deliberately not the pipeline's own calendar: the ground truth has to be able to contradict it.
A week is named by its Saturday; its label counts Saturdays within the Jalali year of that day.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

WEEK = dt.timedelta(days=7)
_TEHRAN = ZoneInfo("Asia/Tehran")
_SATURDAY = 5
MONTHS_FA = (
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


@dataclass(frozen=True)
class DutyException:
    """A week on which a report is not owed (`extra` None) or may come later.

    It holds for `source` and for the agencies in `agencies`; None means all of them.
    """

    week_start: dt.date
    source: str | None
    agencies: frozenset[str] | None
    extra: dt.timedelta | None

    def speaks_of(self, week_start: dt.date, source: str, agency: str) -> bool:
        return (
            self.week_start == week_start
            and self.source in (None, source)
            and (self.agencies is None or agency in self.agencies)
        )


@dataclass(frozen=True)
class Calendar:
    """The Jalali calendar over the years of the official table, and departures from duty."""

    years: tuple[int, ...]
    first_days: tuple[dt.date, ...]
    exceptions: tuple[DutyException, ...] = ()

    @classmethod
    def from_years(cls, pairs: Iterable[tuple[int, dt.date]]) -> Calendar:
        """Build it from the official (year, first day) pairs, in any order."""
        ordered = sorted(pairs)
        return cls(tuple(year for year, _ in ordered), tuple(day for _, day in ordered))

    def to_jalali(self, day: dt.date) -> tuple[int, int, int]:
        """Return (year, month, day); ValueError outside the official table."""
        at = bisect.bisect_right(self.first_days, day) - 1
        if at < 0 or at + 1 >= len(self.first_days):
            raise ValueError(f"{day} lies outside the official table of years")
        offset = (day - self.first_days[at]).days
        if offset < 186:
            return self.years[at], 1 + offset // 31, 1 + offset % 31
        offset -= 186
        return self.years[at], 7 + offset // 30, 1 + offset % 30

    def from_jalali(self, year: int, month: int, day: int) -> dt.date:
        """Return the Gregorian day; ValueError for a day that does not exist."""
        at = bisect.bisect_left(self.years, year)
        if at + 1 >= len(self.years) or self.years[at] != year or not 1 <= month <= 12:
            raise ValueError(f"no Jalali date {year}/{month}/{day} in the official table")
        offset = (month - 1) * 31 if month <= 7 else 186 + (month - 7) * 30
        found = self.first_days[at] + dt.timedelta(days=offset + day - 1)
        if day < 1 or self.to_jalali(found) != (year, month, day):
            raise ValueError(f"no Jalali date {year}/{month}/{day}")
        return found

    def month_start(self, day: dt.date) -> dt.date:
        """Return the first day of the Jalali month that holds `day`."""
        year, month, _ = self.to_jalali(day)
        return self.from_jalali(year, month, 1)

    def add_months(self, first: dt.date, months: int) -> dt.date:
        """Return the first day of the month `months` after the one that begins at `first`."""
        year, month, _ = self.to_jalali(first)
        index = year * 12 + month - 1 + months
        return self.from_jalali(index // 12, index % 12 + 1, 1)

    def week_label(self, saturday: dt.date) -> str:
        """Return a week's label, for example 1405-W35 for 2026-11-14."""
        year = self.to_jalali(saturday)[0]
        day_of_year = (saturday - self.from_jalali(year, 1, 1)).days + 1
        return f"{year}-W{1 + (day_of_year - 1) // 7:02d}"

    def parse_week(self, text: str) -> dt.date:
        """Return the Saturday of a label such as 1405-W35, or of any ISO date; ValueError."""
        if "-W" not in text:
            return week_start(dt.date.fromisoformat(text))
        year_text, number_text = text.split("-W", 1)
        saturday = week_start(self.from_jalali(int(year_text), 1, 1) + dt.timedelta(days=6))
        found = saturday + (int(number_text) - 1) * WEEK
        if self.week_label(found) != f"{int(year_text)}-W{int(number_text):02d}":
            raise ValueError(f"there is no week {text}")
        return found


def week_start(day: dt.date) -> dt.date:
    """Return the Saturday that opens the week of `day`."""
    return day - dt.timedelta(days=(day.weekday() - _SATURDAY) % 7)


def last_closed_week(now: dt.datetime) -> dt.date:
    """Return the Saturday of the last week that has ended in Tehran at the instant `now`."""
    return week_start(now.astimezone(_TEHRAN).date()) - WEEK


def tehran_midnight(day: dt.date) -> dt.datetime:
    """Return 00:00 of `day` in Tehran as an instant in UTC."""
    return dt.datetime.combine(day, dt.time(), _TEHRAN).astimezone(dt.UTC)
