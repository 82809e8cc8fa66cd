"""Recorded decisions on single cells, applied before anything is judged.

In: a `RawTable` and decisions (cell, field, what to read instead). Out: the table with those texts
in place; each changed cell keeps what stood in the file, and its lineage names the decision. The
rules read the decided text as they read any other: a decision can't make a fault a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from ingestion.table import CellType, Column, RawTable


@dataclass(frozen=True)
class CellDecision:
    """`text` (None: not reported) is to be read where `field` holds `raw_text` at `locator`."""

    number: int
    field: str
    locator: str
    raw_text: str | None
    text: str | None


def with_decisions(table: RawTable, decisions: Iterable[CellDecision]) -> RawTable:
    """`table` with the decided texts; a decision on a cell that is no longer there, or holds
    another text now, does nothing: the file before us is not the one that was looked at."""
    columns = dict(table.columns)
    for decision in decisions:
        column = columns.get(decision.field)
        if column is None:
            continue
        rows = (column.at == decision.locator).fill_null(False).arg_true().to_list()
        for row in rows:
            if _quoted(column.text[row]) == decision.raw_text:
                column = _decided(column, row, decision)
        columns[decision.field] = column
    return replace(table, columns=columns)


def _quoted(text: str | None) -> str | None:
    # as findings quote a text: no text of Postgres holds a NUL
    return None if text is None else text.replace("\x00", "\u2400")


def _decided(column: Column, row: int, decision: CellDecision) -> Column:
    note = f"decision {decision.number}: {'' if decision.text is None else decision.text}".strip()
    kind = column.kind
    if kind is not None:
        is_blank = decision.text is None
        kind = _put(kind, row, int(CellType.BLANK if is_blank else CellType.TEXT))
    formats = column.number_format
    in_file, _ = column.decided.get(row, (column.text[row], ""))
    return replace(
        column,
        text=_put(column.text, row, decision.text),
        kind=kind,
        number_format=None if formats is None else _put(formats, row, None),
        decided={**column.decided, row: (in_file, note)},
    )


def _put(series: pl.Series, row: int, value: object) -> pl.Series:
    return series.clone().scatter([row], pl.Series([value], dtype=series.dtype))
