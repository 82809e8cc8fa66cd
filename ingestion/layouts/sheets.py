"""Tables on sheets to fields: header, data rows, totals, remarks, merged labels, hidden parts.

In: grids and a layout with mapped columns. Out: one `Piece` a sheet that has the table. Every row
of such a sheet is either data or counted: title, header, blank, total, note, hidden (law 2).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.address import address, letters
from ingestion.layouts.cells import Cells, Unvalued, is_blank, stored_cells, text_of, to_cells
from ingestion.layouts.form import cell_at, cut_out
from ingestion.layouts.header import BESIDE, JOINT, Target
from ingestion.layouts.labels import refuse_other_years
from ingestion.layouts.patterns import fields_of, is_worded
from ingestion.layouts.pieces import NUMERIC, Piece, Wide, constant
from ingestion.layouts.places import Place, find_places
from ingestion.layouts.region import turn_back
from ingestion.layouts.rows import (
    LABELS_SEEN,
    SEARCHED_ROWS,
    Heading,
    below_header,
    heading_of,
    in_force,
    refuse_header_unit,
    refuse_other_unit,
    refuse_title_unit,
    rulings,
)
from ingestion.layouts.words import ROW_NUMBER_KEYS, is_figure, is_remark, total_keys
from ingestion.normalise.rules import rule
from ingestion.normalise.text import display, key, key_series
from ingestion.spec.kinds import KINDS, Kind
from ingestion.spec.model import Layout, SourceSpec
from ingestion.table import (
    CellError,
    Column,
    ColumnRows,
    ControlTotal,
    Finding,
    Grid,
    Merge,
    Places,
)

RULE: Final = rule("layout")


def extract_sheets(grids: list[Grid], layout: Layout, spec: SourceSpec) -> list[Piece]:
    """A `Piece` for each table of the file. Raises `LayoutError`, as `find_places` does and for a
    second table below the first (`second-header`), a unit other than the declared one
    (`unit-mismatch`) or a title of another year (`period-mismatch`)."""
    kind = KINDS[spec.kind]
    places, outside = find_places(grids, layout, kind)
    pieces = []
    for place in places:
        piece = _Table(grids, place, spec, kind).piece()
        if layout.transpose:
            kept = [name for name, m in place.layout.fields.items() if m.cell or m.sheet_name]
            turn_back(piece, place.origin.name, kept)
        pieces.append(piece)
    pieces[0].non_data.update(outside)
    return pieces


@dataclass
class _Field:
    """A column of the sheet while it is worked on: values of the rows below the header."""

    target: Target
    column: int
    # the values, or the rows that have them: of a large sheet few are looked at one by one
    given: list[Any] | ColumnRows
    cells: Cells
    is_numeric: bool
    # whether merged ranges have changed `values`, so that `cells` is out of date
    is_changed: bool = False
    # data row -> the row from which a merged label was taken
    filled_from: dict[int, int] = field(default_factory=dict)

    @property
    def values(self) -> list[Any]:
        """The values of the rows below the header, to be read and changed."""
        if isinstance(self.given, ColumnRows):
            self.given = self.given.values(self.column)
        return self.given

    def head(self, count: int) -> list[Any]:
        """The first values, to be read."""
        if isinstance(self.given, ColumnRows):
            return self.given[:count].values(self.column)
        return self.given[:count]

    def blanks(self, rows: Sequence[int]) -> list[int]:
        """Those of the rows that have nothing in this column."""
        if self.is_changed:
            return [i for i in rows if is_blank(self.values[i])]
        blank = set(self.cells.text.is_null().arg_true().to_list())
        return [i for i in rows if i in blank] if blank else []


class _Table:
    """One sheet's table on its way to a `Piece`; rows are counted from below the header."""

    def __init__(self, grids: Sequence[Grid], place: Place, spec: SourceSpec, kind: Kind) -> None:
        self._grids, self._place = grids, place
        grid, header = place.window.grid, place.header
        self._grid, self._header = grid, header
        self._layout, self._spec, self._kind = place.layout, spec, kind
        self._first = header.top + header.depth
        self._rows = grid.rows[self._first :]
        # headings between the data rows
        self._headings: list[Heading] = []
        filled = len(self._rows)
        while filled and all(map(is_blank, self._rows[filled - 1])):
            filled -= 1
        self._rows = self._rows[:filled]
        self._formats: dict[int, dict[int, str]] = defaultdict(dict)
        for (row, column), shown in grid.number_formats.items():
            self._formats[column][row - self._first] = shown
        self._fields = []
        for target, column in header.found.items():
            if target.field is not None or target.wide is not None:
                values = self._values(column)
                if isinstance(values, ColumnRows):
                    cells = stored_cells(*values.column(column))
                else:
                    cells = to_cells(values, self._formats[column])
                self._fields.append(_Field(target, column, values, cells, self._is_numeric(target)))
        self._counts: Counter[str] = Counter()

    def piece(self) -> Piece:
        if not self._layout.other_years:
            titles = range(self._place.window.top, self._header.top)
            above = [(number, self._grid.rows[number]) for number in titles]
            period = self._layout.fields.get("period")
            refuse_other_years(above, period, self._spec, self._grid.name)
        counts = self._counts
        for row in self._grid.rows[self._place.window.top : self._header.top]:
            counts["blank" if all(map(is_blank, row)) else "title"] += 1
        counts["header"] += self._header.depth
        state = self._classify()
        keep = [i for i, reason in enumerate(state) if reason is None]
        self._refuse_unread(keep)
        self._refuse_beside(keep)
        for reason in state:
            if reason is not None:
                counts[reason] += 1
        controls = self._control_totals([i for i, r in enumerate(state) if r == "total"])
        withheld = self._fill_merges(set(keep))
        self._fill_down(state)
        columns: dict[str, Column] = {}
        numbers = pl.Series(keep, dtype=pl.Int64) + (self._first + 1)
        rows_at = f"{self._grid.name}!" + numbers.cast(pl.Utf8)
        result = Piece(len(keep), rows_at, columns, self._hidden(keep))
        for one in self._fields:
            column = self._column(one, keep, rows_at)
            if one.target.wide is not None:
                at = address(self._grid.name, self._header.top, one.column)
                result.wide.append(Wide(one.target.wide, column, one.target.caught, at))
            elif one.target.field is not None:
                columns[one.target.field] = column
        if self._layout.unpivot is not None:
            result.into = self._layout.unpivot.into
        self._add_constants(columns, len(keep))
        ungrouped = self._add_groups(columns, keep, state)
        result.faults = self._faults(keep, ungrouped)
        position = {row: i for i, row in enumerate(keep)}
        result.findings = [self._merged_finding(*one, position) for one in withheld]
        result.findings += self._external_findings(keep)
        result.settings = dict(self._place.settings)
        result.non_data = counts
        result.control_totals = controls
        used = set(self._header.found.values())
        result.extra_headers = [
            display(title) for c, title in sorted(self._header.titles.items()) if c not in used
        ]
        return result

    # -------------------------------------------------------------------------- reading columns

    def _refuse_unread(self, keep: list[int]) -> None:
        """Where titles are found by their form, figures below one of another form stop the file:
        a year would be missing, and nobody would see it."""
        unpivot = self._layout.unpivot
        if unpivot is None or not any(wide.pattern for wide in unpivot.columns):
            return
        known = set(self._header.found.values())
        for i in keep:
            for column, value in enumerate(self._rows[i]):
                if column in known or is_blank(value) or not is_figure(value):
                    continue
                title = display(self._header.titles.get(column, ""))
                if key(title) in ROW_NUMBER_KEYS:
                    known.add(column)
                    continue
                raise LayoutError(
                    "unclear-title",
                    f"Column {letters(column)} '{title}' holds figures, but its title is of none "
                    "of the declared forms.",
                    "Give it a pattern or headers under unpivot.columns, or list it under "
                    "unpivot.ignore; where the titles of an upper level hold for the columns "
                    "beside them, write 'header_fill: true'.",
                    address(self._grid.name, self._first + i, column),
                )

    def _refuse_beside(self, keep: list[int]) -> None:
        """A title merged over several columns of figures names none of them for certain."""
        known = set(self._header.found.values())
        numeric = [one.column for one in self._fields if one.is_numeric]
        for first in numeric:
            title = self._header.titles.get(first, "")
            for column, other in self._header.titles.items():
                if column in known or other != f"{title}{BESIDE}{column - first + 1}":
                    continue
                for i in keep:
                    row = self._rows[i]
                    if column < len(row) and not is_blank(row[column]) and is_figure(row[column]):
                        raise LayoutError(
                            "duplicate-header",
                            f"The title '{display(title)}' spans the columns {letters(first)} and "
                            f"{letters(column)}, and both hold figures.",
                            "If the row below names them, write 'header_depth: 2' and its titles; "
                            f"else say which is meant: '{display(title)}' is the first, "
                            f"'{display(other)}' this one, and 'columns' leaves one out.",
                            address(self._grid.name, self._first + i, column),
                        )

    def _values(self, column: int) -> list[Any] | ColumnRows:
        grid = self._grid
        has_more = grid.number_formats or grid.unvalued_formulas
        if isinstance(self._rows, ColumnRows) and not has_more:
            return self._rows
        values = [row[column] if column < len(row) else None for row in self._rows]
        for (row, at), formula in self._grid.unvalued_formulas.items():
            if at == column and 0 <= row - self._first < len(values):
                values[row - self._first] = Unvalued(formula)
        return values

    def _is_numeric(self, target: Target) -> bool:
        if target.wide is not None:
            into = self._layout.unpivot.into if self._layout.unpivot else "value"
            return self._kind.field(into).type in NUMERIC
        return target.field is not None and self._kind.field(target.field).type in NUMERIC

    def _column(self, one: _Field, keep: list[int], rows_at: pl.Series) -> Column:
        cells = one.cells
        setting = self._layout.fields.get(one.target.field or "")
        if setting is not None and setting.pattern is not None:
            one.given = [cut_out(value, setting) for value in one.values]
            one.is_changed = True
        if one.is_changed:
            cells = to_cells(one.values, self._formats[one.column])
        if len(keep) < len(self._rows):
            cells = cells.take(pl.Series(keep, dtype=pl.UInt32))
        at: pl.Series | Places = Places(rows_at, letters(one.column))
        if one.filled_from:
            # the text stands in the first cell of the merged range: that one opens
            moved = {
                i: address(self._grid.name, self._first + one.filled_from[row], one.column)
                for i, row in enumerate(keep)
                if row in one.filled_from
            }
            written = Places(rows_at, letters(one.column)).texts()
            at = pl.Series([moved.get(i, a) for i, a in enumerate(written)], dtype=pl.Utf8)
        return Column(
            cells.text, at, cells.kind, cells.formats, self._header.titles.get(one.column)
        )

    def _add_constants(self, columns: dict[str, Column], height: int) -> None:
        for name, mapping in self._layout.fields.items():
            if mapping.value is not None:
                text = text_of(mapping.value)
                columns[name] = constant(text, height, f"{self._spec.source}.yml")
            elif mapping.sheet_name:
                columns[name] = constant(cut_out(self._grid.name, mapping), height, self._grid.name)
            elif mapping.cell is not None:
                value, at, shown = cell_at(self._grids, self._place.origin, name, mapping)
                one = to_cells([value], {0: shown} if shown else None)
                columns[name] = Column(
                    one.text.new_from_index(0, height),
                    Places(one.text.new_from_index(0, height), f"={at}"),
                    None if one.kind is None else one.kind.new_from_index(0, height),
                    None if one.formats is None else one.formats.new_from_index(0, height),
                )

    def _hidden(self, keep: list[int]) -> pl.Series | None:
        if self._layout.hidden == "exclude":
            return None
        columns = any(one.column in self._grid.hidden_columns for one in self._fields)
        if self._grid.is_hidden or columns:
            return pl.Series([True], dtype=pl.Boolean).new_from_index(0, len(keep))
        if not self._grid.hidden_rows:
            return None
        return pl.Series(
            [row + self._first in self._grid.hidden_rows for row in keep], dtype=pl.Boolean
        )

    # -------------------------------------------------------------------------- kinds of rows

    def _classify(self) -> list[str | None]:
        """For each row None (data) or the reason why it is none."""
        height = len(self._rows)
        state: list[str | None] = [None] * height
        filled = pl.Series([0], dtype=pl.UInt32).new_from_index(0, height)
        for one in self._fields:
            filled = filled + one.cells.text.is_not_null().cast(pl.UInt32)
        labels = self._label_columns()
        totals = total_keys(self._layout.total_words)
        self._mark_totals(state, labels, totals)
        for i, reason in below_header(
            self._rows,
            [one.column for one in self._fields],
            self._label_values(labels),
            self._layout,
        ).items():
            state[i] = state[i] or reason
        self._check_units(state)
        if self._grid.is_delimited:
            for i in rulings(self._rows):
                state[i] = state[i] or "note"
        self._mark_groups(state, totals)
        wide_merges = self._rows_merged_across()
        for i in (filled == 0).arg_true():
            if state[i] is None:
                state[i] = self._without_mapped(self._rows[i], totals)
        if len(self._fields) > 1:
            for i in (filled == 1).arg_true():
                if state[i] is None and (i in wide_merges or self._is_note(i)):
                    state[i] = "note"
        for i in self._rows_of_titles():
            if state[i] is None:
                if not self._repeats_header(i):
                    raise self._second_header(i)
                state[i] = "header"
        # labels left of the mapped ones: «جمع کل» often stands in the column of row numbers
        for i in self._rows_without_label(labels):
            if state[i] is None and self._without_mapped(self._rows[i], totals) == "total":
                state[i] = "total"
        if self._layout.hidden == "exclude":
            for row in self._grid.hidden_rows:
                if 0 <= row - self._first < height:
                    state[row - self._first] = "hidden"
        return state

    def _label_columns(self) -> list[_Field]:
        keys = {f.name for f in self._kind.key_fields if f.type in ("code", "text")}
        return [one for one in self._fields if one.target.field in keys]

    def _label_values(self, labels: list[_Field]) -> dict[int, list[Any]]:
        return {one.column: one.head(LABELS_SEEN) for one in labels}

    def _mark_groups(self, state: list[str | None], totals: frozenset[str]) -> None:
        """Headings inside the table: rows with one text only that a pattern of the layout fits.

        A heading may carry the sums of its group. A row without a label or period beside its text,
        which fits a pattern of placeholders only, may be that or a record with a gap: it is
        judged as a record, yet the rows below it do not stay in the group above.
        """
        if not self._layout.group_rows:
            return
        sums = {one.column for one in self._fields if one.is_numeric}
        labels = {one.column for one in self._fields} - sums
        for i, row in enumerate(self._rows):
            if state[i] is not None:
                continue
            filled = [(column, value) for column, value in enumerate(row) if not is_blank(value)]
            if not filled or type(filled[0][1]) is not str:
                continue
            column, text = filled[0]
            if any(other not in sums for other, _ in filled[1:]):
                continue
            if key(text).rstrip(":") in totals or self._is_note(i):
                continue
            heading = heading_of(i, column, text, self._layout.group_rows)
            if heading is None:
                continue
            if len(filled) == 1 or is_worded(self._layout.group_rows[heading.level]):
                state[i] = "group"
            elif not labels - {column}:
                continue
            self._headings.append(heading)

    def _add_groups(
        self, columns: dict[str, Column], keep: list[int], state: list[str | None]
    ) -> dict[int, str]:
        """What the headings say for the rows below them; rows that no heading speaks of."""
        ungrouped: dict[int, str] = {}
        for level, pattern in enumerate(self._layout.group_rows):
            name = fields_of(pattern)[0]
            texts: list[str | None] = []
            places: list[str | None] = []
            for i, heading in zip(keep, in_force(self._headings, level, keep, state), strict=True):
                texts.append(None if heading is None else heading.text)
                at = None
                if heading is None:
                    ungrouped[i] = f"{name}:missing-key"
                else:
                    at = address(self._grid.name, self._first + heading.row, heading.column)
                places.append(at or f"{self._grid.name}!{self._first + i + 1}")
            columns[name] = Column(
                pl.Series(texts, dtype=pl.Utf8), pl.Series(places, dtype=pl.Utf8), header=pattern
            )
        return ungrouped

    def _fill_down(self, state: list[str | None]) -> None:
        """Blank cells of a column that says `fill_down` get what stands above, never across a
        total or a heading: there a new group begins."""
        for one in self._fields:
            setting = self._layout.fields.get(one.target.field or "")
            if setting is None or not setting.fill_down:
                continue
            last: int | None = None
            for i, reason in enumerate(state):
                if reason in ("total", "group"):
                    last = None
                elif not is_blank(one.values[i]) and reason in (None, "hidden"):
                    last = i
                elif reason is None and last is not None:
                    one.values[i] = one.values[last]
                    one.filled_from[i] = one.filled_from.get(last, last)
                    one.is_changed = True

    def _check_units(self, state: list[str | None]) -> None:
        """A unit that the sheet names must be the declared one (trap N10)."""
        for one in self._fields:
            declared = self._declared_rial(one)
            if declared is None:
                continue
            for i, reason in enumerate(state[:SEARCHED_ROWS]):
                if reason == "units" and type(one.values[i]) is str:
                    at = address(self._grid.name, self._first + i, one.column)
                    refuse_other_unit(one.values[i], declared, at)
            title = self._header.titles.get(one.column, "")
            refuse_header_unit(
                title, declared, address(self._grid.name, self._first - 1, one.column)
            )
        declared_units = [d for d in map(self._declared_rial, self._fields) if d is not None]
        if declared_units:
            rows = self._grid.rows[self._place.window.top : self._first + SEARCHED_ROWS]
            for number, row in enumerate(rows, self._place.window.top):
                is_lone = sum(not is_blank(value) for value in row) == 1
                for column, value in enumerate(row):
                    if type(value) is str and (number < self._header.top or is_lone):
                        at = address(self._grid.name, number, column)
                        refuse_title_unit(value, declared_units, at)

    def _declared_rial(self, one: _Field) -> str | None:
        """The unit that the source file gives a column of money."""
        if one.target.wide is not None:
            into = self._layout.unpivot.into if self._layout.unpivot else "value"
            unit = one.target.wide.unit
            return unit if self._kind.field(into).type == "rial" else None
        name = one.target.field or ""
        setting = self._layout.fields.get(name)
        return setting.unit if setting and self._kind.field(name).type == "rial" else None

    def _mark_totals(
        self, state: list[str | None], labels: list[_Field], totals: frozenset[str]
    ) -> None:
        for one in labels:
            keys = key_series(one.cells.text).str.strip_suffix(":")
            for i in keys.is_in(list(totals)).fill_null(value=False).arg_true():
                state[i] = "total"
        # «جمع» merged over the rows of men and women is the total of both
        columns = {one.column for one in labels}
        for merge in self._grid.merges:
            top = merge.top - self._first
            if merge.bottom == merge.top or not 0 <= top < len(state):
                continue
            if state[top] == "total" and not columns.isdisjoint(range(merge.left, merge.right + 1)):
                row = self._rows[top]
                label = row[merge.left] if merge.left < len(row) else None
                if type(label) is str and key(label).rstrip(":") in totals:
                    last = min(merge.bottom - self._first, len(state) - 1)
                    state[top : last + 1] = ["total"] * (last + 1 - top)

    def _rows_without_label(self, labels: list[_Field]) -> list[int]:
        if not labels:
            return []
        blank = labels[0].cells.text.is_null()
        for one in labels[1:]:
            blank = blank & one.cells.text.is_null()
        return blank.arg_true().to_list()

    @staticmethod
    def _without_mapped(row: list[Any], totals: frozenset[str]) -> str:
        first = next((v for v in row if not is_blank(v)), None)
        if first is None:
            return "blank"
        is_total = type(first) is str and key(first).rstrip(":") in totals
        return "total" if is_total else "note"

    def _is_note(self, i: int) -> bool:
        texts = [v for v in self._rows[i] if not is_blank(v)]
        if not texts or type(texts[0]) is not str:
            return False
        return is_remark(texts[0], self._layout.note_words)

    def _rows_merged_across(self) -> set[int]:
        """Rows whose only text spans several mapped columns: headings and footnotes."""
        mapped = {one.column for one in self._fields}
        found: set[int] = set()
        for merge in self._grid.merges:
            spanned = sum(merge.left <= column <= merge.right for column in mapped)
            if merge.top == merge.bottom and spanned > max(1, len(mapped) // 2):
                found.add(merge.top - self._first)
        return found

    def _rows_of_titles(self) -> list[int]:
        """Rows below the header in which at least two, and half, of the cells are column titles."""
        titles = {alias for one in self._fields for alias in one.target.aliases}
        for row in self._grid.rows[self._header.top : self._first]:
            titles.update(value for value in row if type(value) is str and not is_blank(value))
        titles |= {part for title in titles for part in title.split(JOINT)}
        words = [*titles, *map(display, titles)]
        hits = pl.Series([0], dtype=pl.UInt32).new_from_index(0, len(self._rows))
        filled = hits
        for one in self._fields:
            text = one.cells.text
            hits = hits + text.is_in(words).fill_null(value=False).cast(pl.UInt32)
            filled = filled + text.is_not_null().cast(pl.UInt32)
        found = set(((hits >= 2) & (hits * 2 >= filled)).arg_true().to_list())
        return sorted(found | self._rows_of_own_titles())

    def _rows_of_own_titles(self) -> set[int]:
        """Rows in which a name's column holds its own title and no column of numbers a figure:
        the header of a second table that shares only this title."""
        found: set[int] = set()
        numbers = [one for one in self._fields if one.is_numeric]
        for one in self._fields:
            if one.is_numeric:
                continue
            own = {self._header.titles.get(one.column, ""), *one.target.aliases}
            words = [*own, *map(display, own)]
            for i in one.cells.text.is_in(words).fill_null(value=False).arg_true():
                beside = [n.values[i] for n in numbers if not is_blank(n.values[i])]
                if beside and not any(map(is_figure, beside)):
                    found.add(i)
        return found

    def _repeats_header(self, i: int) -> bool:
        """Whether the row is one of the header's own levels again, as on the next printed page."""

        def keys(row: list[Any]) -> list[str]:
            cells = (row[one.column] if one.column < len(row) else None for one in self._fields)
            return [key(text_of(cell) or "") for cell in cells]

        again = keys(self._rows[i])
        levels = self._grid.rows[self._header.top : self._first]
        return any(again == keys(level) for level in levels)

    def _second_header(self, i: int) -> LayoutError:
        found = [text_of(v) for v in self._rows[i] if not is_blank(v)]
        return LayoutError(
            "second-header",
            "A second table with other columns begins below the first: "
            f"{', '.join(repr(display(t or '')) for t in found[:12])}.",
            "Say where each lies with 'tables' (after, until), or with 'split: rows' if blank rows "
            "part them; or ask the agency for one table a sheet.",
            f"{self._grid.name}!{i + self._first + 1}",
        )

    def _control_totals(self, rows: list[int]) -> list[ControlTotal]:
        found = []
        into = self._layout.unpivot.into if self._layout.unpivot else "value"
        for i in rows:
            label = next((v for v in self._rows[i] if type(v) is str and not is_blank(v)), "")
            for one in self._fields:
                value = one.values[i]
                if not one.is_numeric or is_blank(value):
                    continue
                title = display(self._header.titles.get(one.column, ""))
                found.append(
                    ControlTotal(
                        display(label)
                        if one.target.wide is None
                        else f"{display(label)} / {title}",
                        one.target.field or into,
                        text_of(value) or "",
                        address(self._grid.name, i + self._first, one.column),
                    )
                )
        return found

    # -------------------------------------------------------------------------- rows at fault

    def _faults(self, keep: list[int], ungrouped: dict[int, str]) -> pl.Series | None:
        """`field:reason` of data rows that the table itself makes doubtful; None without any.

        A row of a delimited text with more cells than the header was moved by a stray separator
        («1,234» without quotes). A blank label among filled ones may be forgotten, or stand for the
        row above, or mean the whole country: `required: false` of the field says that it means
        what a blank says; without it the row is refused.
        """
        found = dict(ungrouped)
        keys = {f.name for f in self._kind.key_fields if f.type in ("code", "text", "integer")}
        for one in self._fields:
            setting = self._layout.fields.get(one.target.field or "")
            if (
                one.target.field not in keys
                or setting is None
                or (setting.required is False and not setting.fill_down)
            ):
                continue
            blank = one.blanks(keep)
            if len(blank) < len(keep):
                found.update((i, f"{one.target.field}:missing-key") for i in blank)
        if self._grid.is_delimited:
            titles = self._grid.rows[self._header.top : self._first]
            spans = [m.right + 1 for m in self._grid.merges if m.top < self._first]
            width = max([*map(len, titles), *spans])
            for i in keep:
                if any(not is_blank(value) for value in self._rows[i][width:]):
                    found[i] = ":shifted-row"
        return pl.Series([found.get(i) for i in keep], dtype=pl.Utf8) if found else None

    # -------------------------------------------------------------------------- merged cells

    def _fill_merges(self, data: set[int]) -> list[tuple[_Field, int, Any]]:
        """Give merged labels to each of their rows; withhold merged numbers (trap X2).

        A label merged over rows holds for each of them. A number merged over several records or
        several columns belongs to nobody in particular: all its cells are taken out, and returned
        with the row in which they stand and the number.
        """
        withheld: list[tuple[_Field, int, Any]] = []
        by_column: dict[int, list[_Field]] = defaultdict(list)
        for one in self._fields:
            by_column[one.column].append(one)
        for merge in self._grid.merges:
            top, bottom = merge.top - self._first, merge.bottom - self._first
            rows = [
                i for i in range(max(top, 0), min(bottom, len(self._rows) - 1) + 1) if i in data
            ]
            inside = [
                one
                for column in sorted(by_column)
                if merge.left <= column <= merge.right
                for one in by_column[column]
            ]
            if not rows or not inside or top < 0:
                continue
            origin = self._rows[top]
            value = origin[merge.left] if merge.left < len(origin) else None
            if is_blank(value) or isinstance(value, CellError):
                continue
            labels = [one for one in inside if not one.is_numeric]
            if labels and not any(one.is_numeric for one in inside):
                self._fill_label(labels, merge, top, rows, value)
            elif len(rows) > 1 or len(inside) > 1:
                withheld += [(one, i, value) for one in inside for i in rows]
        for one, i, _ in withheld:
            one.filled_from.pop(i, None)
            one.values[i] = None
            one.is_changed = True
        return withheld

    @staticmethod
    def _fill_label(
        labels: list[_Field], merge: Merge, top: int, rows: list[int], value: Any
    ) -> None:
        columns = {one.column for one in labels}
        if len(columns) > 1 and labels[0].column != merge.left:
            return  # which of them is meant is not known: they stay blank
        for one in labels:
            if one.column != labels[0].column:
                continue
            one.is_changed = True
            for i in rows:
                one.values[i] = value
                if i != top:
                    one.filled_from[i] = top

    def _external_findings(self, keep: list[int]) -> list[Finding]:
        """One finding a column whose values come from another workbook (trap X6)."""
        found: list[Finding] = []
        data = set(keep)
        for one in self._fields:
            places = sorted(
                row
                for row, column in self._grid.external_formulas
                if column == one.column and row - self._first in data
            )
            if not places:
                continue
            at = address(self._grid.name, places[0], one.column)
            title = display(self._header.titles.get(one.column, ""))
            formula = self._grid.external_formulas[places[0], one.column]
            found.append(
                Finding(
                    "file",
                    "external-link",
                    at,
                    f"{len(places)} cells of '{title}' are computed from another workbook, which "
                    f"may have changed since; the first at {at}: {formula}.",
                    "Nothing to do if the figures are right; better send values than links.",
                    RULE,
                    field=one.target.field,
                    header=title or None,
                    raw_text=formula,
                )
            )
        return found

    def _merged_finding(
        self, one: _Field, row: int, value: Any, position: dict[int, int]
    ) -> Finding:
        title = display(self._header.titles.get(one.column, ""))
        into = self._layout.unpivot.into if self._layout.unpivot else "value"
        return Finding(
            "cell",
            "merged-value",
            address(self._grid.name, row + self._first, one.column),
            f"The number stands in a cell merged over several records or columns of '{title}'.",
            "Undo the merge and give each record its own number.",
            RULE,
            field=one.target.field or into,
            header=title or None,
            raw_text=text_of(value),
            row=position.get(row) if one.target.wide is None else None,
        )
