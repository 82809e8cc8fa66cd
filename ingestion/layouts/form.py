"""Forms: records are read from cells at fixed addresses.

In: grids and a layout whose fields are given by `cell`, `sheet_name` or `value`, or that lists its
records under `cells`. Out: one `Piece`: a row a sheet, or a row a listed record; a cell that names
its sheet (`Summary!C4`) is read from there for every record. Labels that the layout expects are
checked first: a form in which something was moved is refused with the place where it stands now.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.address import address, parse
from ingestion.layouts.cells import Unvalued, is_blank, text_of, to_cells
from ingestion.layouts.labels import refuse_other_years
from ingestion.layouts.patterns import caught, says
from ingestion.layouts.pieces import NUMERIC, Piece
from ingestion.layouts.select import out_of_scope, select
from ingestion.normalise.text import display, key
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import CellRecord, FieldMap, Layout, SourceSpec
from ingestion.table import CellType, Column, Grid

# as many differing labels as a message bears
_SHOWN = 5
# rows in which the title of a form stands
_TITLE_ROWS = 4

Cell = tuple[object, str, str | None]


def extract_form(grids: list[Grid], layout: Layout, spec: SourceSpec) -> list[Piece]:
    """The records of a form.

    Records of listed cells that are all blank count as `blank_value`, sheets on which every
    addressed cell is blank as `blank`. Raises `LayoutError` (`missing-sheet`, `bad-cell-address`,
    `label-mismatch`, `duplicate-cell`).
    """
    if layout.cells:
        return [_listed(grids, layout, spec)]
    chosen, left = select(grids, layout)
    books = _Books(grids)
    _check_labels(books, chosen, layout)
    _check_years(chosen, layout, spec)
    rows = _Rows(f"{spec.source}.yml")
    counts = out_of_scope(left)
    mapped = {n: m for n, m in layout.fields.items() if m.cell is not None}
    for grid in chosen:
        record = {name: cell_at(grids, grid, name, m, books) for name, m in mapped.items()}
        if record and all(is_blank(value) for value, _, _ in record.values()):
            counts["blank"] += 1
            continue
        rows.add(grid, grid.name, record, layout, {})
    return [rows.piece(counts)]


def check_labels(grids: list[Grid], layout: Layout) -> None:
    """Refuse (`label-mismatch`) sheets whose cells do not say what the layout expects there."""
    _check_labels(_Books(grids), select(grids, layout)[0], layout)


def _check_years(chosen: Sequence[Grid], layout: Layout, spec: SourceSpec) -> None:
    """The first rows of a form must not be those of another year's."""
    if layout.other_years:
        return
    for grid in chosen:
        rows = enumerate(grid.rows[:_TITLE_ROWS])
        refuse_other_years(rows, layout.fields.get("period"), spec, grid.name)


def _listed(grids: list[Grid], layout: Layout, spec: SourceSpec) -> Piece:
    """A record for each entry of the layout's list and each sheet that it speaks of."""
    kind = KINDS[spec.kind]
    books = _Books(grids)
    chosen, _ = select(grids, layout)
    _check_labels(books, chosen, layout)
    _check_years(chosen, layout, spec)
    rows = _Rows(f"{spec.source}.yml")
    counts: Counter[str] = Counter()
    used: set[int] = set()
    taken: dict[str, CellRecord] = {}
    mapped = {n: m for n, m in layout.fields.items() if m.cell is not None}
    shared: dict[tuple[int, str], Cell] = {}
    for entry in layout.cells:
        own = dict(entry.cells)
        if entry.cell is not None:
            own[layout.cells_into] = entry.cell
        for grid in _sheets_of(entry, chosen, layout, books):
            used.add(id(grid))
            record: dict[str, Cell] = {}
            for name, where in own.items():
                record[name] = cell_at(grids, grid, name, FieldMap(cell=where), books)
                at = record[name][1]
                if kind.field(name).type in NUMERIC and taken.setdefault(at, entry) is not entry:
                    raise LayoutError(
                        "duplicate-cell",
                        f"Two records of the form read their value from {at}.",
                        "Correct the address of one of them; cells of a merged range are one cell.",
                        at,
                    )
            if all(is_blank(value) for value, _, _ in record.values()):
                counts["blank_value"] += 1
                continue
            first = next(iter(record.values()))[1]
            for name, mapping in mapped.items():
                if name not in record:
                    place = (id(grid), name)
                    if place not in shared:
                        shared[place] = cell_at(grids, grid, name, mapping, books)
                    record[name] = shared[place]
            rows.add(grid, first, record, layout, entry.set)
    hidden = layout.hidden == "exclude"
    counts.update(
        out_of_scope(
            [
                (g, "hidden" if hidden and g.is_hidden else "out_of_scope")
                for g in grids
                if id(g) not in used
            ]
        )
    )
    return rows.piece(counts)


@dataclass
class _Rows:
    """Records while they are gathered; every field has a cell or a constant in each of them."""

    origin: str
    at: list[str] = field(default_factory=list)
    hidden: list[bool] = field(default_factory=list)
    records: list[dict[str, Cell]] = field(default_factory=list)

    def add(
        self,
        grid: Grid,
        at: str,
        record: dict[str, Cell],
        layout: Layout,
        constants: dict[str, str],
    ) -> None:
        whole = dict(record)
        for name, mapping in layout.fields.items():
            if mapping.sheet_name:
                whole[name] = (cut_out(grid.name, mapping), grid.name, None)
            elif mapping.value is not None:
                whole[name] = (text_of(mapping.value), self.origin, None)
        for name, text in constants.items():
            whole[name] = (text, self.origin, None)
        self.records.append(whole)
        self.at.append(at)
        self.hidden.append(grid.is_hidden)

    def piece(self, counts: Counter[str]) -> Piece:
        names = list(dict.fromkeys(name for record in self.records for name in record))
        columns: dict[str, Column] = {}
        for name in names:
            read = [
                record.get(name, (None, at, None))
                for record, at in zip(self.records, self.at, strict=True)
            ]
            formats = {i: shown for i, (_, _, shown) in enumerate(read) if shown is not None}
            cells = to_cells([value for value, _, _ in read], formats)
            kind = cells.kind
            if kind is not None and kind.is_in([int(CellType.BLANK), int(CellType.TEXT)]).all():
                kind = None
            at = pl.Series([at for _, at, _ in read], dtype=pl.Utf8)
            columns[name] = Column(cells.text, at, kind, cells.formats)
        hidden = pl.Series(self.hidden, dtype=pl.Boolean)
        piece = Piece(
            len(self.records),
            pl.Series(self.at, dtype=pl.Utf8),
            columns,
            hidden if hidden.any() else None,
        )
        piece.non_data = counts
        return piece


class _Books:
    """The sheets by name, and the merged ranges by cell, looked up once."""

    def __init__(self, grids: Sequence[Grid]) -> None:
        self.by_key = {key(grid.name): grid for grid in reversed(grids)}
        self._origins: dict[int, dict[tuple[int, int], tuple[int, int]]] = {}

    def origin(self, grid: Grid, row: int, column: int) -> tuple[int, int]:
        """The cell in which the value of a cell stands: the first one of its merged range."""
        if id(grid) not in self._origins:
            cells: dict[tuple[int, int], tuple[int, int]] = {}
            for m in grid.merges:
                if (m.bottom - m.top + 1) * (m.right - m.left + 1) > _LARGE:
                    continue
                for r in range(m.top, m.bottom + 1):
                    for c in range(m.left, m.right + 1):
                        cells[r, c] = (m.top, m.left)
            self._origins[id(grid)] = cells
        found = self._origins[id(grid)].get((row, column))
        if found is not None:
            return found
        for m in grid.merges:
            if m.top <= row <= m.bottom and m.left <= column <= m.right:
                return m.top, m.left
        return row, column


# cells of a merged range beyond which it is looked at only when asked
_LARGE = 10_000


def _sheets_of(
    entry: CellRecord, chosen: Sequence[Grid], layout: Layout, books: _Books
) -> Iterator[Grid]:
    """The sheets that an entry speaks of; without any name its cells must name theirs."""
    if entry.sheet is None:
        if layout.sheets or len(chosen) == 1:
            yield from chosen
            return
        named = [parse(at) for at in (entry.cell, *entry.cells.values()) if at is not None]
        if chosen and named and all(place is not None and place[0] is not None for place in named):
            first = named[0]
            yield books.by_key.get(key(str(first[0] if first else "")), chosen[0])
            return
        raise LayoutError(
            "missing-sheet",
            f"The file has {len(chosen)} sheets and the record of the cell '{entry.cell}' does not "
            "say on which of them it stands.",
            "Give it a sheet, or write the address like 'Sheet!C7'.",
        )
    wanted = key(entry.sheet)
    found = [grid for grid in chosen if fnmatch.fnmatchcase(key(grid.name), wanted)]
    if not found:
        raise LayoutError(
            "missing-sheet",
            f"No sheet is called '{entry.sheet}'; the file has: "
            f"{', '.join(repr(grid.name) for grid in chosen[:30])}.",
            "Correct the sheet in the list of cells, or ask the agency for the agreed form.",
            entry.sheet,
        )
    yield from found


def _check_labels(books: _Books, chosen: Sequence[Grid], layout: Layout) -> None:
    """Every label that the layout expects, before any value is read."""
    wrong: list[tuple[str, str, str, Grid]] = []

    def check(grid: Grid, where: str, expected: str, name: str) -> None:
        value, at, _ = cell_at((), grid, name, FieldMap(cell=where), books)
        text = text_of(value) or ""
        if not says(text, expected):
            wrong.append((at, expected, text, _named(grid, where, books)))

    for grid in chosen:
        for one in layout.checks:
            check(grid, one.cell, one.text, "checks")
        for name, mapping in layout.fields.items():
            if mapping.label_cell is not None and mapping.label is not None:
                check(grid, mapping.label_cell, mapping.label, name)
    for entry in layout.cells:
        if entry.label_cell is None or entry.label is None:
            continue
        for grid in _sheets_of(entry, chosen, layout, books):
            check(grid, entry.label_cell, entry.label, layout.cells_into)
    if not wrong:
        return
    shown = "; ".join(
        f"{at} should say '{expected}' and says '{display(text)[:60]}'"
        for at, expected, text, _ in wrong[:_SHOWN]
    )
    more = f" ({len(wrong)} such cells)" if len(wrong) > _SHOWN else ""
    raise LayoutError(
        "label-mismatch",
        f"The form is not the agreed one: {shown}{more}.{_elsewhere(wrong[0])}",
        "Correct the addresses in the source file (a new layout with valid_from if the agency "
        "changed its form), or ask the agency for the agreed form.",
        wrong[0][0],
    )


def _named(grid: Grid, where: str, books: _Books) -> Grid:
    place = parse(where)
    if place is None or place[0] is None:
        return grid
    return books.by_key.get(key(place[0]), grid)


def _elsewhere(wrong: tuple[str, str, str, Grid]) -> str:
    """Where the label stands now, if it is on the sheet."""
    _, expected, _, grid = wrong
    for r, row in enumerate(grid.rows):
        for c, value in enumerate(row):
            if type(value) is str and says(value, expected):
                return f" '{expected}' stands at {address(grid.name, r, c)}."
    return ""


def cut_out(value: object, mapping: FieldMap) -> str | None:
    """The part of a text that the field's pattern speaks of; the text itself when it differs."""
    text = text_of(value)
    if text is None or mapping.pattern is None:
        return text
    found = caught(text, mapping.pattern.replace("{}", "{x}"))
    return text if found is None else found["x"]


def cell_at(
    grids: Sequence[Grid], grid: Grid, name: str, mapping: FieldMap, books: _Books | None = None
) -> Cell:
    """Value, address and number format of the cell that a field is read from.

    A merged range has its value in its first cell; its address is given then.
    """
    books = books or _Books(grids)
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
        named = books.by_key.get(key(sheet))
        if named is None:
            raise LayoutError(
                "missing-sheet",
                f"The field '{name}' is read from the sheet '{sheet}', which the file has not: "
                f"{', '.join(repr(g.name) for g in books.by_key.values())}.",
                "Correct the address in the source file, or ask the agency for the agreed form.",
                grid.name,
            )
        grid = named
    row, column = books.origin(grid, row, column)
    cells = grid.rows[row] if row < len(grid.rows) else []
    value = cells[column] if column < len(cells) else None
    if (row, column) in grid.unvalued_formulas:
        value = Unvalued(grid.unvalued_formulas[row, column])
    elif mapping.pattern is not None and type(value) is str:
        value = cut_out(value, mapping)
    return value, address(grid.name, row, column), grid.number_formats.get((row, column))
