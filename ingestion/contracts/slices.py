"""A large table in slices, so that one is judged while the one before is being written.

In: a `RawTable`. Out: `RawTable`s whose rows below each other are its rows. What is said of the
table as a whole (rows that are no records, findings without a row, totals) stands with the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import polars as pl

from ingestion.table import Column, RawTable


def slices(table: RawTable, rows: int) -> Iterator[RawTable]:
    """`table` cut into pieces of `rows` rows; a table without rows is one piece."""
    for start in range(0, max(table.height, 1), rows):
        is_first = start == 0
        height = min(rows, table.height - start)
        yield replace(
            table,
            **_cut(table, start, height),
            height=height,
            columns={n: _column(c, start, height) for n, c in table.columns.items()},
            non_data=table.non_data if is_first else [],
            control_totals=table.control_totals if is_first else [],
            findings=[
                f if f.row is None else replace(f, row=f.row - start)
                for f in table.findings
                if (is_first if f.row is None else start <= f.row < start + height)
            ],
        )


def _column(column: Column, start: int, height: int) -> Column:
    rows = range(start, start + height)
    part = column.each(lambda series: series.slice(start, height))
    part.decided = {row - start: said for row, said in column.decided.items() if row in rows}
    return part


def _cut(whole: RawTable | Column, start: int, height: int) -> dict[str, Any]:
    """The slices of all series that it has: a series that is added later is cut too."""
    series = {f.name: getattr(whole, f.name) for f in fields(whole)}
    return {n: s.slice(start, height) for n, s in series.items() if isinstance(s, pl.Series)}
