"""One table's columns before they become records, and how pieces are joined into a `RawTable`.

In: for each sheet (or for a JSON answer) the mapped columns and the wide columns of its data rows.
Out: one `RawTable`; wide columns are turned long here, one candidate record a cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from ingestion.spec.model import FieldMap, WideColumn
from ingestion.table import CellType, Column, ControlTotal, Finding, NonData, Places, RawTable

# field types whose values add up: never filled into merged cells, kept of totals
NUMERIC: Final = frozenset({"number", "pct", "rial", "integer"})


@dataclass(frozen=True)
class Wide:
    """A column to be turned long, and what its title at `at` says of further fields."""

    entry: WideColumn
    column: Column
    caught: tuple[tuple[str, str], ...] = ()
    at: str = ""


@dataclass
class Piece:
    """Data rows of one table: `height` values in each column; `wide` are to be turned long.

    `settings`: how fields are read here, where it differs from the layout's.
    """

    height: int
    at: pl.Series
    columns: dict[str, Column]
    hidden: pl.Series | None = None
    # as in `RawTable`
    faults: pl.Series | None = None
    wide: list[Wide] = field(default_factory=list)
    into: str = "value"
    non_data: Counter[str] = field(default_factory=Counter)
    control_totals: list[ControlTotal] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    extra_headers: list[str] = field(default_factory=list)
    settings: dict[str, FieldMap] = field(default_factory=dict)


def constant(text: str | None, height: int, at: str) -> Column:
    """A value of the source file for every row."""
    texts = _repeat(text, height)
    return Column(texts, Places(texts, f"={at}"))


def cut(column: Column, keep: pl.Series) -> Column:
    """The rows of a column for which `keep` (Boolean) is true."""
    return column.each(lambda series: series.filter(keep))


def lengthen(piece: Piece, origin: str) -> list[Piece]:
    """The wide columns as pieces of their own; cells without a value count as `blank_value`."""
    if not piece.wide:
        return [piece]
    parts: list[Piece] = []
    blanks = 0
    for wide in piece.wide:
        column = wide.column
        keep = column.text.is_not_null()
        height = int(keep.sum())
        blanks += piece.height - height
        columns = {name: cut(c, keep) for name, c in piece.columns.items()}
        value = cut(column, keep)
        value.headers = _repeat(column.header, height)
        value.header = None
        columns[piece.into] = value
        for name, text in wide.entry.set.items():
            columns[name] = constant(text, height, origin)
        for name, text in wide.caught:
            said = constant(text, height, wide.at or origin)
            columns[name] = replace(said, headers=_repeat(column.header, height))
        reading = {
            "percent_scale": wide.entry.percent_scale,
            "unit": wide.entry.unit,
            "decimal_mark": wide.entry.decimal_mark,
        }
        setting = piece.settings.get(piece.into, FieldMap(value="")).model_copy(
            update={name: given for name, given in reading.items() if given is not None}
        )
        parts.append(
            Piece(
                height,
                value.at,
                columns,
                None if piece.hidden is None else piece.hidden.filter(keep),
                None if piece.faults is None else piece.faults.filter(keep),
                into=piece.into,
                settings={**piece.settings, piece.into: setting},
            )
        )
    first = parts[0]
    first.non_data = Counter(piece.non_data)
    if blanks:
        first.non_data["blank_value"] += blanks
    first.control_totals = piece.control_totals
    # a row of the sheet has become several: which of them is meant, nobody can say
    first.findings = [replace(finding, row=None) for finding in piece.findings]
    first.extra_headers = piece.extra_headers
    return parts


def join(pieces: Sequence[Piece]) -> RawTable:
    """The pieces below each other; every piece has the same fields or lacks optional ones."""
    height = sum(piece.height for piece in pieces)
    names = list(dict.fromkeys(name for piece in pieces for name in piece.columns))
    non_data: Counter[str] = Counter()
    findings: list[Finding] = []
    totals: list[ControlTotal] = []
    ways: list[dict[str, FieldMap]] = []
    way_of: list[int] = []
    offset = 0
    for piece in pieces:
        non_data.update(piece.non_data)
        for finding in piece.findings:
            row = None if finding.row is None else finding.row + offset
            findings.append(_moved(finding, row))
        offset += piece.height
        if piece.settings not in ways:
            ways.append(piece.settings)
        way_of.append(ways.index(piece.settings))
        totals += [replace(total, way=way_of[-1]) for total in piece.control_totals]
    hidden = None
    if any(piece.hidden is not None for piece in pieces):
        hidden = _stack(
            [_repeat_bool(False, p.height) if p.hidden is None else p.hidden for p in pieces],
            pl.Boolean,
        )
    faults = None
    if any(piece.faults is not None for piece in pieces):
        faults = _stack(
            [_repeat(None, p.height) if p.faults is None else p.faults for p in pieces], pl.Utf8
        )
    way = None
    if len(ways) > 1:
        each = zip(way_of, pieces, strict=True)
        way = _stack(
            [pl.Series([w], dtype=pl.UInt16).new_from_index(0, p.height) for w, p in each],
            pl.UInt16,
        )
    return RawTable(
        height,
        {name: _join_column(name, pieces) for name in names},
        _stack([piece.at for piece in pieces], pl.Utf8),
        hidden,
        faults,
        [NonData(reason, count) for reason, count in sorted(non_data.items()) if count],
        totals,
        findings,
        list(dict.fromkeys(h for piece in pieces for h in piece.extra_headers)),
        ways or [{}],
        way,
    )


def _join_column(name: str, pieces: Sequence[Piece]) -> Column:
    columns = [
        piece.columns.get(name) or Column(_repeat(None, piece.height), piece.at) for piece in pieces
    ]
    if len(columns) == 1:
        return columns[0]
    kind = None
    if any(column.kind is not None for column in columns):
        kind = _stack([_kind(column) for column in columns], pl.UInt8)
    formats = None
    if any(column.number_format is not None for column in columns):
        formats = _stack(
            [
                _repeat(None, c.text.len()) if c.number_format is None else c.number_format
                for c in columns
            ],
            pl.Utf8,
        )
    header: str | None = None
    headers: pl.Series | None = None
    titles = {column.header for column in columns if column.text.len()}
    if any(column.headers is not None for column in columns) or len(titles) > 1:
        headers = _stack(
            [_repeat(c.header, c.text.len()) if c.headers is None else c.headers for c in columns],
            pl.Utf8,
        )
    elif columns:
        header = next(iter(titles)) if titles else columns[0].header
    return Column(
        _stack([column.text for column in columns], pl.Utf8),
        _join_addresses(columns),
        kind,
        formats,
        header,
        headers,
    )


def _join_addresses(columns: Sequence[Column]) -> pl.Series | Places:
    places = [column.places for column in columns]
    known = [one for one in places if one is not None]
    if len(known) == len(columns) and len({one.place for one in known}) == 1:
        return Places(_stack([one.rows for one in known], pl.Utf8), known[0].place)
    return _stack([column.at for column in columns], pl.Utf8)


def _kind(column: Column) -> pl.Series:
    if column.kind is not None:
        return column.kind
    text, blank = int(CellType.TEXT), int(CellType.BLANK)
    return column.text.is_not_null().replace_strict(
        {True: text, False: blank}, return_dtype=pl.UInt8
    )


def _moved(finding: Finding, row: int | None) -> Finding:
    return finding if finding.row == row else Finding(**{**vars(finding), "row": row})


def _stack(series: Sequence[pl.Series], dtype: type[pl.DataType]) -> pl.Series:
    if not series:
        return pl.Series(dtype=dtype)
    if len(series) == 1 and series[0].dtype == dtype:
        return series[0]
    return pl.concat([s.cast(dtype).alias("") for s in series], rechunk=False)


def _repeat(text: str | None, height: int) -> pl.Series:
    return pl.Series([text], dtype=pl.Utf8).new_from_index(0, height)


def _repeat_bool(value: bool, height: int) -> pl.Series:
    return pl.Series([value], dtype=pl.Boolean).new_from_index(0, height)
