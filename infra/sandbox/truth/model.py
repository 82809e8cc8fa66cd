"""What a perfect pipeline would know: every version of every record, by when it was received.

In: `Delivery` objects (a source's rows and the moment they reached us). Out: `Ledger`: the latest
version per source and key, first receipts, and what had to be quarantined. A row that says what
the source's last version said is no news and keeps the old receipt.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from infra.sandbox.rows import Row, Value
from infra.sandbox.truth.numbers import exact

COMPULSORY = {
    "progress": ("planned_pct", "actual_pct"),
    "target": ("target",),
    "indicator_value": (),
    "obligation_event": ("status",),
    "service_status": ("is_dedicated", "on_agency_window"),
    "ticket": ("opened_at",),
    "funding": ("allocated", "released", "spent"),
    "meeting": (),
    "rating": ("value",),
}


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A registered source. `required_cells`: key cells that its layout marks as required."""

    source: str
    agency: str
    kind: str
    is_simulated: bool
    cadence: str = "weekly"
    owed_from: dt.date | None = None
    owed_to: dt.date | None = None
    due_hours: float | None = None
    grace_hours: float = 0
    required_cells: int = 0


@dataclass(frozen=True)
class Delivery:
    """What one fetch of a source brought: an API's whole answer, or one workbook."""

    source: str
    received_at: dt.datetime
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Record:
    """One accepted version of a row; `order` tells versions of the same instant apart."""

    source: str
    row: Row
    received_at: dt.datetime
    order: int
    cells_required: int
    cells_filled: int

    @property
    def rank(self) -> tuple[dt.datetime, int]:
        return (self.received_at, self.order)

    def number(self, name: str) -> Fraction | None:
        """Return a numeric field exactly."""
        value = self.row.values.get(name)
        if value is None or isinstance(value, str | dt.date):
            return None
        return exact(value)

    def text(self, name: str) -> str | None:
        value = self.row.values.get(name)
        return value if isinstance(value, str) and value else None

    def flag(self, name: str) -> bool | None:
        value = self.row.values.get(name)
        return value if isinstance(value, bool) else None

    def day(self, name: str) -> dt.date | None:
        value = self.row.values.get(name)
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        return None

    def instant(self, name: str) -> dt.datetime | None:
        value = self.row.values.get(name)
        return value if isinstance(value, dt.datetime) else None


@dataclass
class Quarantined:
    """Refused rows and cells of one source and period in its latest delivery that had any."""

    rank: tuple[dt.datetime, int]
    rows: int = 0
    cells: int = 0


@dataclass
class Ledger:
    """All that has been received from `sources` so far."""

    sources: dict[str, SourceInfo]
    latest: dict[tuple[object, ...], Record] = field(default_factory=dict)
    first_received: dict[tuple[str, str, dt.date], dt.datetime] = field(default_factory=dict)
    quarantined: dict[tuple[str, str, dt.date], Quarantined] = field(default_factory=dict)
    _by_kind: dict[str, list[Record]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, sources: Iterable[SourceInfo], deliveries: Iterable[Delivery]) -> Ledger:
        """Take in all deliveries, in the order of their receipt."""
        ledger = cls({info.source: info for info in sources})
        ordered = sorted(enumerate(deliveries), key=lambda item: (item[1].received_at, item[0]))
        for order, (_, delivery) in enumerate(ordered):
            ledger._take(delivery, order)
        for record in ledger.latest.values():
            kind = ledger.sources[record.source].kind
            ledger._by_kind.setdefault(kind, []).append(record)
        return ledger

    @classmethod
    def holding(cls, sources: Iterable[SourceInfo], records: Iterable[Record]) -> Ledger:
        """Return a ledger of exactly these records, each the latest version of its own."""
        ledger = cls({info.source: info for info in sources})
        for number, record in enumerate(records):
            ledger.latest[(number,)] = record
            ledger._by_kind.setdefault(record.row.kind, []).append(record)
        return ledger

    def _take(self, delivery: Delivery, order: int) -> None:
        info = self.sources[delivery.source]
        rank = (delivery.received_at, order)
        for row in delivery.rows:
            period = (delivery.source, row.period_kind, row.period_start)
            if row.ugly:
                found = self.quarantined.get(period)
                if found is None or found.rank != rank:
                    found = self.quarantined[period] = Quarantined(rank)
                found.rows += any(ugly.scope == "row" for ugly in row.ugly)
                found.cells += sum(ugly.scope == "cell" for ugly in row.ugly)
            if any(ugly.scope == "row" for ugly in row.ugly):
                continue
            key = (delivery.source, *row.key)
            before = self.latest.get(key)
            if before is not None and _said(before.row.values) == _said(row.values):
                continue
            names = COMPULSORY[info.kind]
            filled = sum(row.values.get(name) is not None for name in names)
            self.latest[key] = Record(
                delivery.source,
                row,
                delivery.received_at,
                order,
                len(names) + info.required_cells,
                filled + info.required_cells,
            )
            self.first_received.setdefault(period, delivery.received_at)

    def records(self, kind: str) -> list[Record]:
        """Return the latest versions of a kind."""
        return self._by_kind.get(kind, [])


def governing_last(records: Iterable[Record], key: Callable[[Record], Any]) -> list[Record]:
    """Return `records` in the order of `key`; of equals the first source by name comes last."""
    return sorted(sorted(records, key=lambda r: r.source, reverse=True), key=key)


def _said(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value not in (None, "")}
