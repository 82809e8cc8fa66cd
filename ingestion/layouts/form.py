"""Forms: a record is read from cells at fixed addresses, one record a sheet.

In: grids and a layout whose fields are all `cell` or `value`. Out: one `Piece` with a row for each
sheet of the layout; a cell that names its sheet (`Summary!C4`) is read from there for every record.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.address import address, parse
from ingestion.layouts.cells import Unvalued, is_blank, text_of, to_cells
from ingestion.layouts.pieces import Piece
from ingestion.layouts.select import out_of_scope, select
from ingestion.normalise.text import key
from ingestion.spec.model import FieldMap, Layout, SourceSpec
from ingestion.table import Column, Grid


def extract_form(grids: list[Grid], layout: Layout, spec: SourceSpec) -> list[Piece]:
    """One record a sheet; sheets on which every addressed cell is blank count as `blank`.

    Raises `LayoutError` (`missing-sheet`, `bad-cell-address`).
    """
    chosen, left = select(grids, layout)
    kept: list[Grid] = []
    read: list[dict[str, tuple[object, str, str | None]]] = []
    piece_counts = out_of_scope(left)
    for grid in chosen:
        record = {
            name: cell_at(grids, grid, name, mapping)
            for name, mapping in layout.fields.items()
            if mapping.cell is not None
        }
        if record and all(is_blank(value) for value, _, _ in record.values()):
            piece_counts["blank"] += 1
            continue
        kept.append(grid)
        read.append(record)
    columns: dict[str, Column] = {}
    origin = f"{spec.source}.yml"
    for name, mapping in layout.fields.items():
        if mapping.cell is not None:
            formats = {i: r[name][2] for i, r in enumerate(read)}
            cells = to_cells(
                [r[name][0] for r in read], {i: f for i, f in formats.items() if f is not None}
            )
            at = pl.Series([r[name][1] for r in read], dtype=pl.Utf8)
            columns[name] = Column(cells.text, at, cells.kind, cells.formats)
        else:
            text = text_of(mapping.value)
            columns[name] = Column(
                pl.Series([text] * len(read), dtype=pl.Utf8),
                pl.Series([origin] * len(read), dtype=pl.Utf8),
            )
    hidden = pl.Series([grid.is_hidden for grid in kept], dtype=pl.Boolean)
    at = pl.Series([grid.name for grid in kept], dtype=pl.Utf8)
    piece = Piece(len(read), at, columns, hidden if hidden.any() else None)
    piece.non_data = piece_counts
    return [piece]


def cell_at(
    grids: Sequence[Grid], grid: Grid, name: str, mapping: FieldMap
) -> tuple[object, str, str | None]:
    """Value, address and number format of the cell that a field is read from.

    A merged range has its value in its first cell; its address is given then.
    """
    place = parse(mapping.cell or "")
    if place is None:
        raise LayoutError(
            "bad-cell-address",
            f"'{mapping.cell}' of the field '{name}' is no cell address.",
            "Write it like 'C7' or 'Sheet!C7'.",
            grid.name,
        )
    sheet, row, column = place
    if sheet is not None:
        named = [g for g in grids if key(g.name) == key(sheet)]
        if not named:
            raise LayoutError(
                "missing-sheet",
                f"The field '{name}' is read from the sheet '{sheet}', which the file has not: "
                f"{', '.join(repr(g.name) for g in grids)}.",
                "Correct the address in the source file, or ask the agency for the agreed form.",
                grid.name,
            )
        grid = named[0]
    for merge in grid.merges:
        if merge.top <= row <= merge.bottom and merge.left <= column <= merge.right:
            row, column = merge.top, merge.left
            break
    cells = grid.rows[row] if row < len(grid.rows) else []
    value = cells[column] if column < len(cells) else None
    if (row, column) in grid.unvalued_formulas:
        value = Unvalued(grid.unvalued_formulas[row, column])
    return value, address(grid.name, row, column), grid.number_formats.get((row, column))
