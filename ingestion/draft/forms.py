"""Forms of unknown files: labels with a value beside or below them, one record a sheet.

In: grids and the synonyms. Out: `Form`: for a kind the cells of its fields with the labels that
must stand there. A label that stands twice on a sheet tells nothing and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ingestion.draft.assign import Assigned, Mapped
from ingestion.draft.settle import Question, Reader
from ingestion.draft.synonyms import WORDED, Synonyms
from ingestion.draft.tables import Table
from ingestion.layouts.address import letters
from ingestion.layouts.cells import is_blank, text_of, to_cells
from ingestion.normalise.codelists import CodeLists
from ingestion.normalise.text import display, key
from ingestion.spec.kinds import KINDS, KindField
from ingestion.table import Column, Grid

# a form names at least so many fields of its kind, on the first rows and columns of a sheet
_LEAST: Final = 3
_ROWS: Final = 80
_COLUMNS: Final = 30
# a value stands at most so many cells beside its label
_BESIDE: Final = 4
_INSIDE: Final = re.compile(r"^(?P<label>[^:：]{2,40}[:：])\s*(?P<value>\S.*)$", re.DOTALL)


@dataclass(frozen=True)
class _Place:
    """Where a field stands: row and column of its value and of its label."""

    item: KindField
    row: int
    column: int
    label: str
    # None: the label is the beginning of the value's own cell
    label_row: int | None = None
    label_column: int | None = None


@dataclass
class Form:
    """A form for one kind, read from each of `sheets`."""

    kind: str
    places: list[_Place]
    sheets: list[Grid]
    others: list[str] = field(default_factory=list)
    # kinds of which the form names as many fields
    rivals: list[str] = field(default_factory=list)


def form_of(grids: Sequence[Grid], kinds: Iterable[str], synonyms: Synonyms) -> Form | None:
    """The form that names most fields of a kind; None where no sheet names enough of them."""
    best: Form | None = None
    for kind in kinds:
        for grid in grids:
            places = _places(grid, kind, synonyms)
            if len(places) < _LEAST or _is_turned_table(grid, places):
                continue
            if best is not None and len(places) <= len(best.places):
                if kind != best.kind and len(places) == len(best.places):
                    best.rivals.append(kind)
                continue
            same = [other for other in grids if _has(other, places)]
            used = {other.name for other in same}
            others = [
                other.name
                for other in grids
                if other.name not in used and any(not all(map(is_blank, r)) for r in other.rows)
            ]
            best = Form(kind, places, same, others)
    return best


def _is_turned_table(grid: Grid, places: Sequence[_Place]) -> bool:
    """Whether further values stand behind those of most labels: titles in a column, not a form."""
    further = sum(
        any(
            not is_blank(value) and not isinstance(value, str)
            for value in grid.rows[place.row][place.column + 1 : place.column + 1 + _BESIDE]
        )
        for place in places
    )
    return further * 2 > len(places)


def assigned(form: Form, lists: CodeLists) -> tuple[Assigned, Table]:
    """The form's fields with the settings that read them, and what stands on its sheets."""
    kind = KINDS[form.kind]
    reader = Reader(kind, lists)
    result = Assigned(kind)
    for place in form.places:
        values = [_value(grid, place) for grid in form.sheets]
        formats = {
            n: shown
            for n, grid in enumerate(form.sheets)
            if (shown := grid.number_formats.get((place.row, place.column))) is not None
        }
        cells = to_cells(values, formats)
        column = Column(cells.text, cells.text, cells.kind, cells.formats, place.label)
        settled = reader.settle(place.item, column, place.label, None)
        where = f"{letters(place.column)}{place.row + 1}"
        settled.reasons.insert(0, f"the label «{place.label}» stands beside {where}")
        settled.confidence = min(settled.confidence, 0.9)
        mapped = Mapped(place.item.name, settled, where=where, cell=where, texts=cells.text)
        if place.label_row is None or place.label_column is None:
            mapped.pattern = f"{place.label} {{}}"
        else:
            mapped.label_cell = f"{letters(place.label_column)}{place.label_row + 1}"
            mapped.label = place.label
        result.fields[place.item.name] = mapped
        result.score += settled.confidence
    table = Table([], len(form.sheets), [grid.name for grid in form.sheets], others=form.others)
    taken = {(place.row, place.column) for place in form.places}
    table.above = [
        (f"{grid.name}!{letters(c)}{r + 1}", display(str(text_of(value))))
        for grid in form.sheets[:1]
        for r, row in enumerate(grid.rows[:_ROWS])
        for c, value in enumerate(row[:_COLUMNS])
        if isinstance(value, str) and not is_blank(value) and (r, c) not in taken
    ]
    result.questions += _left(form)
    return result, table


def _left(form: Form) -> list[Question]:
    """Figures of the form that no label of a field stands beside."""
    taken = {(place.row, place.column) for place in form.places}
    grid = form.sheets[0]
    left = [
        f"{letters(c)}{r + 1}"
        for r, row in enumerate(grid.rows[:_ROWS])
        for c, value in enumerate(row[:_COLUMNS])
        if isinstance(value, int | float) and not isinstance(value, bool) and (r, c) not in taken
    ]
    if not left:
        return []
    return [
        Question(
            "checks",
            f"the form has figures that no field takes ({', '.join(left[:6])}): is that right?",
        )
    ]


def _places(grid: Grid, kind: str, synonyms: Synonyms) -> list[_Place]:
    """One place for each field that exactly one label of the sheet names."""
    found: dict[str, list[_Place]] = {}

    def named(text: str) -> KindField | None:
        scored = [(synonyms.score(kind, f.name, text), f) for f in KINDS[kind].fields]
        best = max(scored, key=lambda pair: pair[0])
        return best[1] if best[0] >= WORDED else None

    for r, row in enumerate(grid.rows[:_ROWS]):
        for c, value in enumerate(row[:_COLUMNS]):
            if not isinstance(value, str) or is_blank(value):
                continue
            item = named(value)
            if item is not None:
                at = _beside(grid, r, c, named)
                if at is not None:
                    place = _Place(item, *at, display(value), r, c)
                    found.setdefault(item.name, []).append(place)
                continue
            inside = _INSIDE.match(value.strip())
            if inside is not None and (item := named(inside["label"])) is not None:
                found.setdefault(item.name, []).append(_Place(item, r, c, inside["label"].strip()))
    return [places[0] for places in found.values() if len(places) == 1]


def _beside(
    grid: Grid, row: int, column: int, named: Callable[[str], KindField | None]
) -> tuple[int, int] | None:
    """The cell with a label's value: the next filled one of its row, else the one below."""
    cells = grid.rows[row]
    for at in range(column + 1, min(column + 1 + _BESIDE, len(cells))):
        if is_blank(cells[at]):
            continue
        is_label = isinstance(cells[at], str) and named(cells[at]) is not None
        return None if is_label else (row, at)
    return None


def _value(grid: Grid, place: _Place) -> Any:
    value = _at(grid, place.row, place.column)
    if place.label_row is None and isinstance(value, str):
        inside = _INSIDE.match(value.strip())
        return inside["value"] if inside else value
    return value


def _at(grid: Grid, row: int, column: int) -> Any:
    cells = grid.rows[row] if row < len(grid.rows) else []
    return cells[column] if column < len(cells) else None


def _has(grid: Grid, places: Sequence[_Place]) -> bool:
    """Whether a sheet is the same form: each label stands where it should."""
    for place in places:
        if place.label_row is None or place.label_column is None:
            value = _at(grid, place.row, place.column)
            if not isinstance(value, str) or not key(value).startswith(key(place.label)):
                return False
        elif key(text_of(_at(grid, place.label_row, place.label_column)) or "") != key(place.label):
            return False
    return True
