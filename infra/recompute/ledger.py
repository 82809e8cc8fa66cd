"""Records of raw in the shape that the plain formulas take: a `Ledger` of what a trace names.

In: `Told` records, the register of sources. Out: `truth.model.Record`s. The formulas know fields by
the names that a source file uses, raw by those of its columns.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any, Final

from infra.recompute.records import Told, text_of
from infra.sandbox.rows import Row, Value
from infra.sandbox.truth.model import Ledger, Record, SourceInfo
from ingestion.spec.kinds import KINDS

BLANK: Final = SourceInfo("", "", "", is_simulated=False, cadence="once")
"""The source of rows that only stand for a place in a mart."""

_ORDER: Final = 2**32
# kind -> columns of what the record is about, and of its day
_SUBJECT: Final = {
    "obligation_event": ("obligation_code", "event_on"),
    "service_status": ("service_code", None),
    "ticket": ("ticket_code", None),
    "meeting": ("committee_code", "held_on"),
    "rating": ("author", "rated_on"),
}
_ELSEWHERE: Final = {
    "period", "reported_at", "retracted", "project", "agency", "province", "indicator", "revision",
    "activity",
}  # fmt: skip


def order_of(load_id: int, record_no: int = _ORDER - 1) -> int:
    """Versions of one instant in the order of their loads; by default after all of the load."""
    return load_id * _ORDER + record_no


def record_of(told: Told) -> Record:
    """Return a record as the formulas take it."""
    kind, load_id, record_no = told.ref
    values = told.values
    subject, day = _SUBJECT.get(kind, ("", None))
    row = Row(
        kind,
        str(values["period_kind"]),
        values["period_start"],
        {
            field.name: _plain(values[field.column])
            for field in KINDS[kind].fields
            if field.name not in _ELSEWHERE and field.column not in (subject, day)
        },
        project=text_of(values, "project_code"),
        agency=text_of(values, "agency_code"),
        province=text_of(values, "province_code"),
        indicator=text_of(values, "indicator_code"),
        revision=int(values.get("revision") or 0),
        subject=text_of(values, subject) if subject else "",
        on=values[day] if day else None,
        activity=text_of(values, "activity"),
    )
    return Record(
        told.source,
        row,
        told.received_at,
        order_of(load_id, record_no),
        int(values["cells_required"]),
        int(values["cells_filled"]),
    )


def _plain(value: Any) -> Value:
    if isinstance(value, list | dict):
        return json.dumps(value)
    return None if value == "" else value


def blank(
    kind: str,
    period_start: dt.date,
    source: str = "",
    period_kind: str = "week",
    values: dict[str, Value] | None = None,
    **fields: Any,
) -> Record:
    """Return a record that says nothing: it only opens a place in a mart."""
    row = Row(kind, period_kind, period_start, values or {}, **fields)
    return Record(source, row, dt.datetime.min.replace(tzinfo=dt.UTC) + dt.timedelta(1), 0, 0, 0)


def ledger_of(infos: Iterable[SourceInfo], records: Iterable[Record]) -> Ledger:
    """Return a ledger that knows these records and no others."""
    return Ledger.holding([BLANK, *infos], records)
