"""Who owes what by when, and what judgements are measured with: the rules in the reference data.

In: the folder `dbt_project/seeds/reference`. Out: `Rules`: obligations and their debtors,
instruments, holidays, committees, weights, scales, posts. Read by the independent ground truth.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from infra.sandbox.seeds import seed_date, seed_decimal, seed_flag, seed_rows

_HOME = "IR"
_FRIDAY = 4
_MUHARRAM_1442 = dt.date(2020, 8, 20)
_LONG_YEARS = frozenset({2, 5, 7, 10, 13, 16, 18, 21, 24, 26, 29})


@dataclass(frozen=True, slots=True)
class Obligation:
    """An obligation and its due rule, in the words of the seed."""

    code: str
    instrument: str
    theme: str
    due_rule: str
    amount: int | None
    unit: str
    anchor: str
    text: str
    cadence_kind: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """What an instrument says about time: months by the calendar or of 30 days, and holidays."""

    code: str
    counts_days: bool
    rolls: bool
    issued_on: dt.date | None
    country: str = "IR"


@dataclass(frozen=True, slots=True)
class Country:
    """What a country counts months by, and on which days it does not work.

    `rest_days` as Python counts them, Monday 0.
    """

    counts_gregorian_months: bool
    rest_days: frozenset[int]
    holidays: frozenset[dt.date]


@dataclass(frozen=True, slots=True)
class Committee:
    """A committee; nothing is due of it before `first_due_month`."""

    code: str
    meeting_cadence: str
    first_due_month: dt.date | None


@dataclass(frozen=True, slots=True)
class Weight:
    """One component of one index in one version of the weights."""

    version: int
    valid_from: dt.date | None
    index_name: str
    component: str
    weight: Decimal
    threshold: Decimal


@dataclass(frozen=True, slots=True)
class Scale:
    """The ends of a rating scale."""

    name: str
    minimum: Decimal
    maximum: Decimal
    valid_from: dt.date | None


@dataclass(frozen=True, slots=True)
class Head:
    """Who holds a post, from day to day, both included."""

    post: str
    agency: str
    holder: str
    valid_from: dt.date | None
    valid_to: dt.date | None

    def is_in_office(self, day: dt.date) -> bool:
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Standing:
    """An agency's place in the state."""

    is_outside_government: bool
    level: str


@dataclass(frozen=True)
class Rules:
    """The rules by code. `debtors`: (obligation, agency); `digital`: indicator, target by role.

    `holidays` are Iran's; other countries are in `abroad`.
    """

    obligations: dict[str, Obligation]
    debtors: tuple[tuple[str, str], ...]
    instruments: dict[str, Instrument]
    holidays: frozenset[dt.date]
    committees: dict[str, Committee]
    weights: tuple[Weight, ...]
    scales: tuple[Scale, ...]
    heads: tuple[Head, ...]
    digital: dict[str, tuple[str, Decimal | None]]
    agencies: dict[str, Standing]
    abroad: dict[str, Country] = field(default_factory=dict)

    def country_of(self, instrument: Instrument) -> Country:
        """Return the instrument's country; Iran where it is no other."""
        home = Country(False, frozenset({_FRIDAY}), self.holidays)
        return self.abroad.get(instrument.country, home)

    def weights_on(self, day: dt.date) -> tuple[Weight, ...]:
        """Return the weights of the newest version that is valid on `day`."""
        valid = [w for w in self.weights if w.valid_from is None or w.valid_from <= day]
        newest = max((w.version for w in valid), default=0)
        return tuple(w for w in valid if w.version == newest)


def load_rules(folder: Path) -> Rules:
    """Read the seeds in `folder`; raise RefusedError naming the file that is missing or odd."""
    return Rules(
        obligations={
            row["obligation_code"]: Obligation(
                row["obligation_code"],
                row["instrument_code"],
                row["theme"],
                row["due_rule"],
                int(row["due_amount"]) if row["due_amount"] else None,
                row["due_unit"],
                row["due_anchor"],
                row["due_text"],
                row["cadence_kind"],
            )
            for row in seed_rows(folder, "obligation")
        },
        debtors=tuple(
            (row["obligation_code"], row["agency_code"])
            for row in seed_rows(folder, "obligation_debtor")
        ),
        instruments={
            row["instrument_code"]: Instrument(
                row["instrument_code"],
                row["month_convention"] == "days30",
                seed_flag(row["rolls_to_working_day"]),
                seed_date(row["issued_on"]),
                row["country_code"],
            )
            for row in seed_rows(folder, "instrument")
        },
        holidays=frozenset(
            dt.date.fromisoformat(row["holiday_on"])
            for row in seed_rows(folder, "holiday")
            if not row["province_code"] and row["country_code"] == _HOME
        )
        | _lunar_holidays(folder),
        committees={
            row["committee_code"]: Committee(
                row["committee_code"],
                row["meeting_cadence"],
                seed_date(row["first_due_month"]),
            )
            for row in seed_rows(folder, "committee")
        },
        weights=tuple(
            Weight(
                int(row["version"]),
                seed_date(row["valid_from"]),
                row["index_name"],
                row["component"],
                Decimal(row["weight"]),
                Decimal(row["threshold"]),
            )
            for row in seed_rows(folder, "scorecard_weight")
        ),
        scales=tuple(
            Scale(
                row["scale"],
                Decimal(row["minimum"]),
                Decimal(row["maximum"]),
                seed_date(row["valid_from"]),
            )
            for row in seed_rows(folder, "rating_scale")
        ),
        heads=tuple(
            Head(
                row["post_code"],
                row["agency_code"],
                row["holder_code"],
                seed_date(row["valid_from"]),
                seed_date(row["valid_to"]),
            )
            for row in seed_rows(folder, "head")
        ),
        digital={
            row["role"]: (row["indicator_code"], seed_decimal(row["national_target"]))
            for row in seed_rows(folder, "digital_economy_indicator")
        },
        agencies={
            row["agency_code"]: Standing(seed_flag(row["is_outside_government"]), row["level"])
            for row in seed_rows(folder, "agency")
        },
        abroad={
            row["country_code"]: Country(
                row["calendar"] == "gregorian",
                frozenset(int(day) - 1 for day in row["rest_days"].split()),
                frozenset(
                    dt.date.fromisoformat(one["holiday_on"])
                    for one in seed_rows(folder, "holiday")
                    if one["country_code"] == row["country_code"] and not one["province_code"]
                ),
            )
            for row in seed_rows(folder, "country")
            if row["country_code"] != _HOME
        },
    )


def _lunar_holidays(folder: Path) -> frozenset[dt.date]:
    """Return Iran's holidays by the lunar calendar: months as printed, else as they alternate.

    Every odd month has 30 days, every even one 29, and the last one 30 in eleven of thirty years.
    """
    printed = {
        (int(row["hijri_year"]), int(row["hijri_month"])): dt.date.fromisoformat(row["starts_on"])
        for row in seed_rows(folder, "lunar_month")
    }
    starts: dict[tuple[int, int], dt.date] = {}
    day = _MUHARRAM_1442
    for year in range(1442, 1467):
        for month in range(1, 13):
            starts[year, month] = day
            is_long = month % 2 == 1 or (month == 12 and year % 30 in _LONG_YEARS)
            day += dt.timedelta(days=30 if is_long else 29)
    starts |= {key: first for key, first in printed.items() if key in starts}
    return frozenset(
        first + dt.timedelta(days=int(row["hijri_day"]) - 1)
        for row in seed_rows(folder, "lunar_holiday")
        for (_, month), first in starts.items()
        if month == int(row["hijri_month"])
    )
