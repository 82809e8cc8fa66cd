"""Small pieces to build a ledger and rules from, for the tests of the ground truth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from infra.sandbox.calendar import tehran_midnight
from infra.sandbox.reference import Reference, load_reference
from infra.sandbox.rows import Row, Value
from infra.sandbox.rules import (
    Committee,
    Head,
    Instrument,
    Obligation,
    Rules,
    Scale,
    Standing,
    Weight,
)
from infra.sandbox.truth.model import Delivery, Ledger, SourceInfo
from infra.settings import PROJECT_ROOT

REFERENCE: Reference = load_reference(PROJECT_ROOT / "dbt_project" / "seeds" / "reference")
SATURDAY = dt.date(2026, 11, 14)
FRIDAY = dt.date(2026, 11, 20)
NOTIFIED = dt.date(2022, 4, 16)
"""1401/01/27"""


def jalali(year: int, month: int, day: int) -> dt.date:
    return REFERENCE.calendar.from_jalali(year, month, day)


def obligation(code: str, rule: str, **more: str | int | None) -> Obligation:
    plain = Obligation(code, "session", "theme", rule, None, "", "", "", "one-off")
    return replace(plain, **more)  # type: ignore[arg-type]


RULES = Rules(
    obligations={
        o.code: o
        for o in (
            obligation("A8", "offset", amount=3, unit="month", anchor="notification"),
            obligation("A9", "offset", amount=6, unit="month", anchor="notification"),
            obligation("A10", "conditional", anchor="breach of A8/A9"),
            obligation("A17", "absolute", text="by Shahrivar 1401 (end: 1401/06/31)"),
            obligation("A24", "offset", amount=2, unit="month", anchor="notification"),
            obligation("A25", "event_offset", amount=2, unit="month", anchor="principles (A24)"),
            obligation("M1", "offset", amount=3, unit="week", anchor="signing"),
            obligation("P1", "none"),
            obligation("G1", "before", text="before September 2023"),
            obligation("V2", "in_month", text="June 2023"),
            obligation("V4", "by_reference"),
            obligation("V5", "in_month", text="July 2023"),
            obligation("V15", "after_event", anchor="V4, V5"),
            obligation("V11", "vague", text="immediately"),
        )
    },
    debtors=(
        *(("A8", agency) for agency in ("sim_a01", "sim_a02")),
        ("A9", "sim_a01"),
        ("A10", "aro"),
        ("A17", "sim_a01"),
        ("A24", "sim_a01"),
        ("A25", "mict"),
        ("M1", "sim_a01"),
        ("P1", "sim_p02"),
        *((code, "vn_mic") for code in ("G1", "V2", "V4", "V5", "V15", "V11")),
    ),
    instruments={
        "session": Instrument("session", False, False, NOTIFIED),
        "mazandaran_mou": Instrument("mazandaran_mou", False, False, None),
    },
    holidays=frozenset({dt.date(2026, 11, 21)}),
    committees={
        "sim_c01": Committee("sim_c01", "monthly", jalali(1405, 7, 1)),
        "joint": Committee("joint", "monthly", None),
    },
    weights=(
        Weight(1, None, "performance", "progress", Decimal("0.4"), Decimal("0.8")),
        Weight(1, None, "performance", "schedule", Decimal("0.3"), Decimal("0.8")),
        Weight(1, None, "performance", "obligations", Decimal("0.3"), Decimal("0.8")),
        Weight(1, None, "reporting_quality", "on_time", Decimal("0.4"), Decimal("0.9")),
        Weight(1, None, "reporting_quality", "completeness", Decimal("0.3"), Decimal("0.9")),
        Weight(1, None, "reporting_quality", "freshness", Decimal("0.3"), Decimal("0.9")),
        Weight(2, dt.date(2027, 3, 21), "performance", "progress", Decimal("1"), Decimal("0.5")),
    ),
    scales=(
        Scale("five_point", Decimal(1), Decimal(5), None),
        Scale("three_point", Decimal(1), Decimal(3), None),
        Scale("three_point", Decimal(0), Decimal(3), dt.date(2026, 10, 1)),
    ),
    heads=(
        Head("post_a01", "sim_a01", "h_1", None, dt.date(2026, 9, 30)),
        Head("post_a01", "sim_a01", "h_2", dt.date(2026, 10, 1), None),
    ),
    digital={"digital_value": ("sim_i_dig", Decimal("0.1")), "gdp": ("sim_i_gdp", None)},
    agencies={
        "sim_a01": Standing(False, "national"),
        "sim_a02": Standing(False, "national"),
        "sim_a03": Standing(True, "national"),
    },
)


def event(
    code: str, day: dt.date, status: str | None = None, agency: str = "sim_a01", **more: Value
) -> Row:
    values: dict[str, Value] = {"status": status, **more}
    return Row("obligation_event", "date", day, values, agency=agency, subject=code, on=day)


def notified(code: str, anchor: dt.date, agency: str = "sim_a01") -> Row:
    return event(code, anchor, "notified", agency, anchor_event="notification", anchor_date=anchor)


def ledger(kind: str, *nights: Iterable[Row], source: str = "sim_a01__x") -> Ledger:
    """Return what a source has told, each list on a night of its own."""
    return merged((kind, source, nights))


def merged(*told: tuple[str, str, Iterable[Iterable[Row]]]) -> Ledger:
    """Return what several sources (kind, name, nights) have told."""
    infos = [SourceInfo(source, source.split("__")[0], kind, True) for kind, source, _ in told]
    first = tehran_midnight(SATURDAY)
    deliveries = [
        Delivery(source, first + dt.timedelta(days=number), tuple(rows))
        for _, source, nights in told
        for number, rows in enumerate(nights)
    ]
    return Ledger.of(infos, deliveries)
