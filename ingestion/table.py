"""The shapes that travel between the rooms of ingestion, from bytes to records.

bytes --readers--> `Grid` (one a sheet) or `JsonRows` --layouts--> `RawTable`
--normalise, contracts--> `Records` --load--> raw

Nothing here reads or decides; a shape says what a room may rely on. All columns are polars, so
that a million rows stay columns from the reader to COPY.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, overload

import polars as pl

if TYPE_CHECKING:
    from ingestion.spec.model import FieldMap


class CellType(IntEnum):
    """What a reader knows of a cell, apart from its text."""

    BLANK = 0
    TEXT = 1
    NUMBER = 2
    BOOL = 3
    # a serial with a date format; text holds ISO 8601 of the serial, never the display form
    DATE = 4
    # text holds the error as shown: #REF!, #DIV/0!
    ERROR = 5
    # a formula whose value was never computed; text holds the formula
    NO_VALUE = 6


@dataclass(frozen=True)
class Merge:
    """A merged range, zero-based and inclusive; its value stands in the top-left cell."""

    top: int
    left: int
    bottom: int
    right: int


class ColumnRows(Sequence[list[Any]]):
    """The rows of a large sheet that is kept in columns: rows are made when somebody looks at them.

    Each column has the texts (Utf8) and the numbers (Float64) of its cells, null where a cell holds
    none; no cell holds both.
    """

    def __init__(
        self,
        columns: Sequence[tuple[pl.Series, pl.Series]],
        first: int = 0,
        last: int | None = None,
    ) -> None:
        self._columns = columns
        self._first = first
        height = columns[0][0].len() if columns else 0
        self._last = height if last is None else last

    def __len__(self) -> int:
        return self._last - self._first

    @overload
    def __getitem__(self, index: int) -> list[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> ColumnRows: ...

    def __getitem__(self, index: int | slice) -> list[Any] | ColumnRows:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError("rows are cut in their order only")
            stop = max(start, stop)
            return ColumnRows(self._columns, self._first + start, self._first + stop)
        at = range(self._first, self._last)[index]
        return [
            texts[at] if numbers[at] is None else numbers[at] for texts, numbers in self._columns
        ]

    def __iter__(self) -> Iterator[list[Any]]:
        for start in range(self._first, self._last, _ROWS_AT_ONCE):
            height = min(_ROWS_AT_ONCE, self._last - start)
            values = [
                _values(texts.slice(start, height), numbers.slice(start, height))
                for texts, numbers in self._columns
            ]
            yield from map(list, zip(*values, strict=True))

    def column(self, at: int) -> tuple[pl.Series, pl.Series]:
        """The texts and the numbers of a column, of these rows."""
        if at >= len(self._columns):
            nothing = pl.Series([None], dtype=pl.Utf8).new_from_index(0, len(self))
            return nothing, nothing.cast(pl.Float64)
        texts, numbers = self._columns[at]
        return texts.slice(self._first, len(self)), numbers.slice(self._first, len(self))

    def values(self, at: int) -> list[Any]:
        """The values of a column, as rows have them."""
        return _values(*self.column(at))


def _values(texts: pl.Series, numbers: pl.Series) -> list[Any]:
    if numbers.null_count() == numbers.len():
        return texts.to_list()
    if texts.null_count() == texts.len():
        return numbers.to_list()
    pairs = zip(texts.to_list(), numbers.to_list(), strict=True)
    return [text if number is None else number for text, number in pairs]


_ROWS_AT_ONCE = 2_000


@dataclass
class Grid:
    """One sheet or text table as read: rows of raw values, addresses zero-based from A1.

    `rows[r][c]` is a str, float, int, bool, date, datetime, time, timedelta, `CellError` or None;
    rows may be ragged. `number_formats` holds the formats of cells that have one, on demand.
    """

    name: str
    rows: list[list[Any]] | ColumnRows
    merges: list[Merge] = field(default_factory=list)
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    is_hidden: bool = False
    # cells were told apart by separators or tags: a stray one moves the rest of its row
    is_delimited: bool = False
    number_formats: dict[tuple[int, int], str] = field(default_factory=dict)
    comments: dict[tuple[int, int], str] = field(default_factory=dict)
    # formulas without a cached value: address -> formula text
    unvalued_formulas: dict[tuple[int, int], str] = field(default_factory=dict)
    # formulas that take their value from another workbook, where the file tells
    external_formulas: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class CellError:
    """A spreadsheet error value, by the name that the sheet shows."""

    name: str


@dataclass
class JsonRows:
    """The record objects of a JSON answer as columns.

    `frame` has one Utf8 column per leaf (nested names joined by '.'; numbers in the digits of the
    document, missing keys null) plus `__part` (UInt32) and `__pointer` (Utf8, RFC 6901, of the
    object inside its part).
    """

    frame: pl.DataFrame


@dataclass(frozen=True)
class Places:
    """Addresses of cells that follow from those of their rows, so that none need be written out.

    rows: Utf8, the address of each row (`sheet!7`, `0#/data/3`); place: the letters of the sheet's
    column (`D`: `sheet!D7`), for JSON what is added (`/actual`: `0#/data/3/actual`), or one address
    for all rows (`=form!B2`).
    """

    rows: pl.Series
    place: str

    def texts(self) -> pl.Series:
        """The addresses of all cells (Utf8)."""
        if self.place.startswith("="):
            return pl.Series([self.place[1:]], dtype=pl.Utf8).new_from_index(0, self.rows.len())
        if self.place.startswith("/"):
            return self.rows + self.place
        return self.rows.str.replace(r"!([0-9]+)$", f"!{self.place}${{1}}")


class _Addresses:
    """`Column.at`: given as a series or as `Places`, which are written out when asked for."""

    def __get__(self, column: Column | None, owner: type[Column] | None = None) -> pl.Series:
        if column is None:
            raise AttributeError("at")
        found: pl.Series | Places = column.__dict__["at"]
        if isinstance(found, Places):
            if "_written" not in column.__dict__:
                column.__dict__["_written"] = found.texts()
            written: pl.Series = column.__dict__["_written"]
            return written
        return found

    def __set__(self, column: Column, at: pl.Series | Places) -> None:
        column.__dict__["at"] = at
        column.__dict__.pop("_written", None)


@dataclass
class Column:
    """One mapped field of a `RawTable`, all series of the table's height.

    text: Utf8, the raw text (numbers in the shortest form of the stored value), null = blank cell;
    kind: UInt8 of `CellType`, or None when every value is TEXT or BLANK (csv, json);
    number_format: Utf8 of the cell's number format where it has one, or None;
    at: Utf8, the address of each cell (`sheet!D7`, `0#/data/3/actual`), or `Places`;
    header: the header text as it stands in the file; None for constants of the source file;
    headers: Utf8, given instead of `header` where it differs by row (wide columns turned long);
    decided: for rows whose text somebody has decided on, what stands in the file and a note.
    """

    text: pl.Series
    at: _Addresses = _Addresses()
    kind: pl.Series | None = None
    number_format: pl.Series | None = None
    header: str | None = None
    headers: pl.Series | None = None
    decided: dict[int, tuple[str | None, str]] = field(default_factory=dict)

    @property
    def places(self) -> Places | None:
        """The addresses as `Places`, where they are."""
        found: pl.Series | Places = self.__dict__["at"]
        return found if isinstance(found, Places) else None

    def with_text(self, text: pl.Series) -> Column:
        """The column with other texts in its cells."""
        return replace(self, text=text, at=self.__dict__["at"])

    def each(self, take: Callable[[pl.Series], pl.Series]) -> Column:
        """The column with `take` (some of the rows, in some order) applied to all its series.

        Decisions count rows: they are left behind.
        """

        def taken(series: pl.Series | None) -> pl.Series | None:
            return None if series is None else take(series)

        places = self.places
        return Column(
            take(self.text),
            take(self.at) if places is None else Places(take(places.rows), places.place),
            taken(self.kind),
            taken(self.number_format),
            self.header,
            taken(self.headers),
        )


@dataclass(frozen=True)
class NonData:
    """A row that was read and recognised as no record: counted under `reason`.

    Reasons: title, header, units, group, blank, total, note, blank_value, out_of_scope, hidden.
    """

    reason: str
    count: int


@dataclass(frozen=True)
class ControlTotal:
    """A total row of the sheet, kept to be held against the sum of its rows (trap K9)."""

    label: str
    field: str
    raw_text: str
    at: str
    # as in `RawTable.ways`
    way: int = 0


@dataclass(frozen=True)
class Finding:
    """Something refused or remarkable, addressed and with its remedy; a row of raw.quarantine.

    scope: file, row or cell. `row` is the row's position in the RawTable, if it has one.
    """

    scope: str
    reason_code: str
    locator: str
    message: str
    remedy: str
    rule: str
    field: str | None = None
    header: str | None = None
    raw_text: str | None = None
    row: int | None = None


@dataclass
class RawTable:
    """Candidate records of one snapshot before anything is typed.

    `columns` by field name of the kind; every Column has `height` values. `at` is the row's own
    locator. `rows_read` = height + the counts of `non_data`; blank rows below the last filled one
    are not read. `hidden` marks rows from hidden rows, columns or sheets (trap X4). `faults`: Utf8,
    `field:reason` (or `:reason`) of rows whose structure alone forbids to read them, else null.
    `ways` are the ways in which rows are read where they differ (wide columns, tables with a unit
    of their own): the settings that hold in place of the layout's; `way`: UInt16, the position of
    each row's own among them, None where all rows are read in one way.
    """

    height: int
    columns: dict[str, Column]
    at: pl.Series
    hidden: pl.Series | None = None
    faults: pl.Series | None = None
    non_data: list[NonData] = field(default_factory=list)
    control_totals: list[ControlTotal] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    # columns of the file that the layout does not know; they stay in the snapshot only
    extra_headers: list[str] = field(default_factory=list)
    ways: list[dict[str, FieldMap]] = field(default_factory=lambda: [{}])
    way: pl.Series | None = None


@dataclass
class Records:
    """What contracts made of a `RawTable`.

    accepted: typed frame in the column order of the raw table from `record_key` on (without
    load_id, record_no, source, received_at) plus `row` (UInt32, position in the RawTable);
    quarantine: row and cell findings, `rows_refused` distinct rows among them;
    refused: for each refused row what could be read of agency_code, province_code, period_kind
    and period_start, beside `row`;
    by_column: the cells of some column decided together how each of them is read, so that a part
    of the table would be read otherwise than the whole;
    places: for each field [position, place, header] when `lineage` holds arrays of raw texts, whose
    addresses follow from the row's `locator` (see `Places`).
    """

    accepted: pl.DataFrame
    findings: list[Finding]
    rows_refused: int
    rows_read: int
    non_data: dict[str, int]
    control_totals: list[ControlTotal]
    refused: pl.DataFrame | None = None
    by_column: bool = False
    places: dict[str, list[int | str | None]] | None = None
