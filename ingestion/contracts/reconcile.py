"""Total rows held against the rows that they add up (traps K9, K10, N14).

In: the control totals that the layout set aside, and the columns as read. Out: a finding of scope
`file` for each total that its rows do not give; nothing is adjusted, for either may be wrong.

Money and counts are compared by themselves. A total of percentages or of an indicator may as well
be a mean, so these are compared only where the source file declares `total_tolerance`: how far
rounding may bring them apart, in the stored unit. A total agrees if the whole column gives it, the
rows since the total before it (a subtotal), or all rows so far (carried over to the next page).
Where a cell of its column could not be read there
is nothing to compare: that cell has its own finding.

Run the tests: `pytest tests/unit/ingestion/test_reconcile.py`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from ingestion.contracts.fields import FieldReading, ReadContext, read_field
from ingestion.normalise.rules import rule
from ingestion.spec.kinds import KindField
from ingestion.spec.model import FieldMap
from ingestion.table import Column, ControlTotal, Finding

_ADDRESS: Final = re.compile(r"^(.*)!([A-Z]+)([0-9]+)$")
# what the sum of binary fractions leaves behind, as a share of the sum
_NOISE: Final = Decimal("1e-9")


@dataclass(frozen=True)
class Summand:
    """A column of numbers as read, and how the source file says to read it."""

    field: KindField
    setting: FieldMap
    column: Column
    reading: FieldReading

    @property
    def tolerance(self) -> Decimal | None:
        """How far a total may be off; None where totals of this column mean nothing certain."""
        if self.setting.total_tolerance is not None:
            return Decimal(str(self.setting.total_tolerance))
        is_count = self.field.type == "number" and self.field.scale == 0
        return Decimal(0) if self.field.type == "rial" or is_count else None


@dataclass(frozen=True)
class _Line:
    """A row of one column of one sheet: its value, or the total that stands there."""

    row: int
    value: Decimal | None
    is_unread: bool
    total: ControlTotal | None = None


def reconcile(
    totals: Sequence[ControlTotal], summands: Iterable[Summand], context: ReadContext
) -> list[Finding]:
    """A finding `total-differs` for each total row whose rows give another sum."""
    found: list[Finding] = []
    if not totals:
        return found
    for one in summands:
        mine = [total for total in totals if total.field == one.field.name]
        if one.tolerance is None or not mine:
            continue
        for lines in _columns(one, mine, context).values():
            found += _compared(one, sorted(lines, key=lambda line: line.row))
    return found


def _columns(
    one: Summand, totals: Sequence[ControlTotal], context: ReadContext
) -> dict[str, list[_Line]]:
    """The lines of each column (`sheet!C`) that has a total; an answer of an API is one column."""
    columns: dict[str, list[_Line]] = {}
    read = _read_totals(one, totals, context)
    for total, value in zip(totals, read, strict=True):
        place, row = _place(total.at)
        columns.setdefault(place, []).append(_Line(row, value, value is None, total))
    at = one.column.at.to_list()
    unread = one.reading.reason.is_not_null().to_list()
    for address, value, is_unread in zip(at, one.reading.value.to_list(), unread, strict=True):
        place, row = _place(address or "")
        if place in columns:
            columns[place].append(_Line(row, value, is_unread))
    return columns


def _place(address: str) -> tuple[str, int]:
    match = _ADDRESS.match(address)
    return (f"{match[1]}!{match[2]}", int(match[3])) if match else ("", 0)


def _read_totals(
    one: Summand, totals: Sequence[ControlTotal], context: ReadContext
) -> list[Decimal | None]:
    text = pl.Series("text", [total.raw_text for total in totals], dtype=pl.Utf8)
    at = pl.Series("at", [total.at for total in totals], dtype=pl.Utf8)
    # a total lies beyond the domain of its parts as a matter of course
    free = one.setting.model_copy(update={"minimum": None, "maximum": None})
    bare = KindField(one.field.name, one.field.type, one.field.column, scale=one.field.scale)
    return list(read_field(bare, Column(text, at), free, context).value.to_list())


def _compared(one: Summand, lines: list[_Line]) -> list[Finding]:
    parts = [line for line in lines if line.total is None]
    if any(line.is_unread for line in parts):
        return []
    whole = _sum(parts)
    found: list[Finding] = []
    since = so_far = Decimal(0)
    for line in lines:
        if line.total is None:
            since += line.value or 0
            so_far += line.value or 0
            continue
        if line.value is not None and not any(
            abs(line.value - given) <= (one.tolerance or 0) + _NOISE * abs(given)
            for given in (whole, since, so_far)
        ):
            found.append(_finding(one, line, line.total, whole))
        since = Decimal(0)
    return found


def _sum(lines: Iterable[_Line]) -> Decimal:
    return sum((line.value for line in lines if line.value is not None), Decimal(0))


def _finding(one: Summand, line: _Line, total: ControlTotal, whole: Decimal) -> Finding:
    said = line.value or Decimal(0)
    return Finding(
        "file",
        "total-differs",
        total.at,
        f"{one.field.name}: the row '{total.label}' says {_shown(said)}, its rows give "
        f"{_shown(whole)}; the gap is {_shown(said - whole)}.",
        "Ask the agency which of them is right; the rows were taken as they stand.",
        rule("total"),
        field=one.field.name,
        header=one.column.header,
        raw_text=total.raw_text,
    )


def _shown(number: Decimal) -> str:
    return f"{number.normalize():,f}"
