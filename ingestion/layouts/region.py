"""Parts of a sheet that hold one table each (traps X9, S9): anchors, blank bands, turned tables.

In: a grid and where its layout says that tables lie. Out: `Window`s. A window is the grid with
everything outside blanked, so that rows and columns keep their numbers and every address stays
that of the file. A turned table is read as rows; its addresses are turned back by `turn_back`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.address import letters, parse
from ingestion.layouts.cells import is_blank, text_of
from ingestion.layouts.patterns import says
from ingestion.layouts.pieces import Piece
from ingestion.spec.model import Layout
from ingestion.table import Column, Grid, Merge

_CELL = re.compile(r"!([A-Z]{1,3})?([1-9][0-9]*)$")


@dataclass(frozen=True)
class Window:
    """Rows `top` to `bottom` (exclusive) of a grid, the rest of it blank.

    `is_part`: the window is one of several into which blank bands have parted the sheet.
    """

    grid: Grid
    top: int
    bottom: int
    left: int = 0
    right: int | None = None
    is_part: bool = False

    def overlaps(self, other: Window) -> bool:
        """Whether a cell lies in both."""
        if self.top >= other.bottom or other.top >= self.bottom:
            return False
        ends_left = self.right is not None and self.right <= other.left
        return not ends_left and (other.right is None or other.right > self.left)


def windows(grid: Grid, layout: Layout, stops: Sequence[str] = ()) -> list[Window]:
    """Where the layout's table may lie on the sheet; none when its anchor is not on it.

    It ends at the latest where one of `stops` stands, the anchors of other tables. Raises
    `LayoutError` (`anchor-not-found`, `anchor-ambiguous`): `after` stands twice, or the table has a
    beginning and no end.
    """
    top, bottom = _between(grid, layout, stops)
    if top is None:
        return []
    left, right = _columns(layout)
    whole = (top, bottom, left, right)
    boxes = [whole] if layout.split == "none" else _bands(grid, whole, layout.split)
    if boxes == [(0, len(grid.rows), 0, None)]:
        return [Window(grid, 0, len(grid.rows))]
    return [Window(_masked(grid, box), *box, layout.split != "none") for box in boxes]


def turned(grid: Grid) -> Grid:
    """The sheet with rows and columns exchanged."""
    return replace(
        grid,
        rows=[list(column) for column in zip_longest(*grid.rows)],
        merges=[Merge(m.left, m.top, m.right, m.bottom) for m in grid.merges],
        hidden_rows=grid.hidden_columns,
        hidden_columns=grid.hidden_rows,
        number_formats={(c, r): shown for (r, c), shown in grid.number_formats.items()},
        comments={(c, r): text for (r, c), text in grid.comments.items()},
        unvalued_formulas={(c, r): text for (r, c), text in grid.unvalued_formulas.items()},
        external_formulas={(c, r): text for (r, c), text in grid.external_formulas.items()},
        is_delimited=False,
    )


def turn_back(piece: Piece, sheet: str, kept: Sequence[str]) -> None:
    """Give the cells of a turned table the addresses that they have in the file.

    `kept` are fields that were not read from the turned sheet.
    """

    def back(texts: pl.Series) -> pl.Series:
        return pl.Series([address_back(t, sheet) for t in texts.to_list()], dtype=pl.Utf8)

    piece.at = back(piece.at)
    for name, column in piece.columns.items():
        if name not in kept:
            piece.columns[name] = replace(column, at=back(column.at))
    piece.wide = [
        replace(one, column=_at(one.column, back(one.column.at)), at=address_back(one.at, sheet))
        for one in piece.wide
    ]
    piece.findings = [
        replace(finding, locator=address_back(finding.locator, sheet)) for finding in piece.findings
    ]
    piece.control_totals = [
        replace(total, at=address_back(total.at, sheet)) for total in piece.control_totals
    ]


def address_back(text: str, sheet: str) -> str:
    """`Sheet!C7` of the turned sheet as it is in the file; row `Sheet!7` is column `Sheet!G`."""
    if not text.startswith(f"{sheet}!"):
        return text
    cell = parse(text)
    if cell is not None:
        return f"{sheet}!{letters(cell[1])}{cell[2] + 1}"
    return _CELL.sub(lambda m: f"!{letters(int(m[2]) - 1)}" if m[1] is None else m[0], text)


def is_loose_table(grid: Grid, top: int, bottom: int) -> bool:
    """Whether rows without a header look like data: words and numbers beside each other."""
    for row in grid.rows[top:bottom]:
        filled = [value for value in row if not is_blank(value)]
        texts = [text_of(value) or "" for value in filled]
        if len(filled) >= 2 and any(any(c.isdigit() for c in text) for text in texts):
            return True
    return False


def _at(column: Column, at: pl.Series) -> Column:
    return replace(column, at=at)


def _columns(layout: Layout) -> tuple[int, int | None]:
    """First column and the one behind the last; None without an end."""
    if layout.columns is None:
        return 0, None
    first, last = (parse(f"{part}1") for part in layout.columns.split(":"))
    if first is None or last is None:
        raise ValueError(f"'{layout.columns}' was checked as columns")
    return min(first[2], last[2]), max(first[2], last[2]) + 1


def _between(grid: Grid, layout: Layout, stops: Sequence[str]) -> tuple[int | None, int]:
    """The first row of the table and the one behind its last."""
    left, right = _columns(layout)
    top: int | None = 0
    if layout.after is not None:
        found = _rows_saying(grid, layout.after, 0, left, right)
        if len(found) > 1:
            raise LayoutError(
                "anchor-ambiguous",
                f"'{layout.after}' stands in the rows {', '.join(str(r + 1) for r in found[:8])}: "
                "which of them the table stands below is not known.",
                "Give more of the text under 'after', or the columns of the table.",
                grid.name,
            )
        top = found[0] + 1 if found else None
    bottom = len(grid.rows)
    if top is not None and layout.until is not None:
        ends = _rows_saying(grid, layout.until, top, left, right)
        if not ends:
            raise LayoutError(
                "anchor-not-found",
                f"No cell below row {top + 1} says '{layout.until}', where the table should end.",
                "Correct 'until' in the source file, or leave it out if nothing follows.",
                grid.name,
            )
        bottom = ends[0]
    if top is not None:
        others = [_rows_saying(grid, stop, top, left, right) for stop in stops]
        bottom = min([bottom, *(found[0] for found in others if found)])
    return top, bottom


def _rows_saying(grid: Grid, pattern: str, start: int, left: int, right: int | None) -> list[int]:
    return [
        number
        for number, row in enumerate(grid.rows[start:], start)
        if any(type(v) is str and not is_blank(v) and says(v, pattern) for v in row[left:right])
    ]


Box = tuple[int, int, int, int | None]


def _bands(grid: Grid, box: Box, split: str) -> list[Box]:
    """The box parted at its blank rows or columns; with `both`, until nothing is left to part."""
    found = [box]
    for direction in ("rows", "columns") if split == "both" else (split,):
        found = [
            part
            for one in found
            for part in (_row_bands(grid, one) if direction == "rows" else _column_bands(grid, one))
        ]
    if split == "both" and len(found) > 1 and found != [box]:
        return [part for one in found for part in _bands(grid, one, split)]
    return found


def _row_bands(grid: Grid, box: Box) -> list[Box]:
    top, bottom, left, right = box
    across = _across(grid)
    parts: list[Box] = []
    start: int | None = None
    for row in range(top, bottom + 1):
        blank = row == bottom or (
            all(map(is_blank, grid.rows[row][left:right])) and row not in across
        )
        if not blank and start is None:
            start = row
        elif blank and start is not None:
            parts.append((start, row, left, right))
            start = None
    return parts


def _column_bands(grid: Grid, box: Box) -> list[Box]:
    top, bottom, left, right = box
    width = max((len(row) for row in grid.rows[top:bottom]), default=0)
    end = width if right is None else min(right, width)
    filled = {
        column
        for row in grid.rows[top:bottom]
        for column in range(left, min(end, len(row)))
        if not is_blank(row[column])
    }
    for merge in grid.merges:
        # a title over several columns does not hold tables together, a column's own header does
        is_inside = top <= merge.top < merge.bottom < bottom
        if is_inside and not is_blank(_first_cell(grid, merge)):
            filled.update(range(max(merge.left, left), min(merge.right + 1, end)))
    parts: list[Box] = []
    start: int | None = None
    for column in range(left, end + 1):
        if column < end and column in filled:
            start = column if start is None else start
        elif start is not None:
            parts.append((top, bottom, start, column))
            start = None
    return parts


def _across(grid: Grid) -> set[int]:
    """Rows that are blank only because a merged range from above covers them."""
    covered: set[int] = set()
    for merge in grid.merges:
        if merge.bottom > merge.top and not is_blank(_first_cell(grid, merge)):
            covered.update(range(merge.top + 1, min(merge.bottom, len(grid.rows) - 1) + 1))
    return covered


def _first_cell(grid: Grid, merge: Merge) -> Any:
    row = grid.rows[merge.top] if merge.top < len(grid.rows) else []
    return row[merge.left] if merge.left < len(row) else None


def _masked(grid: Grid, box: Box) -> Grid:
    """The grid with nothing outside the box; what follows its last row is cut off."""
    top, bottom, left, right = box
    blank: list[Any] = [None] * left
    rows: list[list[Any]] = [[] for _ in range(top)]
    rows += [blank + row[left:right] for row in grid.rows[top:bottom]]
    end = max(map(len, rows), default=0) if right is None else right
    merges = [
        Merge(max(m.top, top), max(m.left, left), min(m.bottom, bottom - 1), min(m.right, end - 1))
        for m in grid.merges
        if top <= m.top < bottom and left <= m.left < end
    ]

    def inside(cells: dict[tuple[int, int], str]) -> dict[tuple[int, int], str]:
        return {
            (r, c): text for (r, c), text in cells.items() if top <= r < bottom and left <= c < end
        }

    return replace(
        grid,
        rows=rows,
        merges=merges,
        number_formats=inside(grid.number_formats),
        unvalued_formulas=inside(grid.unvalued_formulas),
        external_formulas=inside(grid.external_formulas),
        comments=inside(grid.comments),
    )
