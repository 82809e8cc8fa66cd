"""Where the table of an unknown file lies: its header, its columns, and what stands around it.

In: grids, or JSON records. Out: a `Table` with one `Drawn` column for each title. The header is
read by the rules of the layouts room, so that what is proposed here is found there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from ingestion.draft.synonyms import WORDED
from ingestion.layouts.address import letters
from ingestion.layouts.cells import Cells, is_blank, text_of, to_cells
from ingestion.layouts.header import JOINT, MARKS, Target, find_header
from ingestion.layouts.words import ROW_NUMBER_KEYS, is_figure, is_remark, is_unit, total_keys
from ingestion.normalise.text import display, key
from ingestion.normalise.units import rial_power
from ingestion.readers.json_rows import PART, POINTER
from ingestion.spec.model import Layout, WideColumn
from ingestion.table import Column, Grid, JsonRows

_SEARCHED: Final = 60
_DEPTH: Final = 3
_YEAR: Final = re.compile(r"^(?:1[34]\d\d|19\d\d|20\d\d)$")
_RANGE: Final = re.compile(r"^(?:[<>\u2264\u2265]\d+|\d+(?:[-\u2013/]\d+|[-+<>]))%?$")
# titles among the cells of a header, figures among the cells of a column of figures
_TITLES: Final = 0.8
_LOOKED_AT: Final = 20
_LIST: Final = 5
_UNIT_PHRASE: Final = re.compile(
    r"(?i)(?:ارقام|مبالغ|مبلغ|اعداد|واحد|amounts?|figures|values|units?)\s*"
    r"(?:are\s+)?(?:به|بر\s?حسب|in|:|=|-)?\s*:?\s*([^()\[\]:،؛;]+)"
)
_UNIT_LEAD: Final = re.compile(r"^(?:به|بر\s?حسب|in|are in)\s+")
_IN_BRACKETS: Final = re.compile(r"[(\[]([^()\[\]]+)[)\]]")
_SHORT: Final = 5
_TOTAL_LIKE: Final = tuple(map(key, ("جمع", "مجموع", "سرجمع", "total", "subtotal", "sub-total")))
_LONG_LABEL: Final = 40
_LEAST_SUMMED: Final = 2


@dataclass
class Drawn:
    """A column with its title and the cells of its data rows."""

    title: str
    levels: tuple[str, ...]
    where: str
    column: Column
    # blank cells that do not lie in a merged range, among the data rows
    blanks: int
    has_figures: bool

    @property
    def is_row_number(self) -> bool:
        return key(self.title) in ROW_NUMBER_KEYS


@dataclass
class Table:
    """The table of a file.

    `above`: (address, text) of the cells over the header; `unit_row`: unit by position of column;
    `lone`: texts that stand alone in a row of the data; `odd_totals`: labels that look like totals
    and are no usual ones; `others`: sheets with rows that are no part of the table.
    """

    columns: list[Drawn]
    height: int
    sheets: list[str] = field(default_factory=list)
    top: int = 0
    depth: int = 1
    fill: bool = False
    above: list[tuple[str, str]] = field(default_factory=list)
    unit_row: dict[int, str] = field(default_factory=dict)
    lone: list[str] = field(default_factory=list)
    odd_totals: list[str] = field(default_factory=list)
    # labels of rows whose figures are the sums of the rows above them
    proven_totals: list[str] = field(default_factory=list)
    totals: int = 0
    others: list[str] = field(default_factory=list)
    # where the header stands again on a sheet, the texts that stand alone above each header
    captions: list[str | None] = field(default_factory=list)
    # tables of one form stand side by side
    is_beside: bool = False
    is_json: bool = False
    # (cell, unit) of units that stand above the table, each unit once
    units_above: list[tuple[str, str]] = field(default_factory=list)
    # a text table has no sheets: what stands for one is the name of the file
    is_text: bool = False

    def unit_of(self, at: int) -> str | None:
        """The unit of a column by the row of units, else the only one that stands above all."""
        below = self.unit_row.get(at)
        if below is not None:
            return below
        return self.units_above[0][1] if len(self.units_above) == 1 else None


@dataclass(frozen=True)
class _Found:
    grid: Grid
    top: int
    depth: int
    fill: bool
    titles: dict[int, str]
    score: float
    is_beside: bool = False


def table_of(parts: list[Grid] | JsonRows, names: Callable[[str], float]) -> Table | None:
    """The table that names most fields; None where nothing looks like a header with data below.

    `names` says how well a title names some field (0-1).
    """
    if isinstance(parts, JsonRows):
        return _of_json(parts)
    found = [one for one in (_header(grid, names) for grid in parts) if one is not None]
    if not found:
        return None
    best = _first_beside(max(found, key=lambda one: one.score))
    same = [best] if best.is_beside else [one for one in found if _alike(one, best)]
    table = _drawn(best, same)
    table.is_beside = best.is_beside
    used = {one.grid.name for one in same}
    table.others = [
        grid.name
        for grid in parts
        if grid.name not in used and sum(any(not is_blank(v) for v in r) for r in grid.rows) > 3
    ]
    return table


def _first_beside(found: _Found) -> _Found:
    """Of tables with the same titles side by side, parted by blank columns, the first."""
    columns = sorted(found.titles)
    blocks: list[list[int]] = [[]]
    for column in columns:
        if blocks[-1] and column > blocks[-1][-1] + 1:
            blocks.append([])
        blocks[-1].append(column)
    said = [[key(found.titles[column]) for column in block] for block in blocks]
    rows = found.grid.rows[found.top :]
    is_parted = all(
        all(is_blank(row[c]) for row in rows if c < len(row))
        for left, right in pairwise(blocks)
        for c in range(left[-1] + 1, right[0])
    )
    if len(blocks) == 1 or any(titles != said[0] for titles in said) or not is_parted:
        return found
    titles = {column: found.titles[column] for column in blocks[0]}
    return replace(found, titles=titles, is_beside=True)


def _alike(one: _Found, best: _Found) -> bool:
    def keys(found: _Found) -> list[str]:
        return sorted(key(title) for title in found.titles.values())

    return keys(one) == keys(best) and (one.depth, one.fill) == (best.depth, best.fill)


def _of_json(rows: JsonRows) -> Table:
    columns = []
    for name in rows.frame.columns:
        if name in (PART, POINTER):
            continue
        text = rows.frame[name]
        figures = any(is_figure(value) for value in text.drop_nulls().head(50).to_list())
        column = Column(text, text, header=name)
        columns.append(Drawn(name, (name,), name, column, text.null_count(), figures))
    return Table(columns, rows.frame.height, is_json=True)


# ------------------------------------------------------------------------------ the header


def _header(grid: Grid, names: Callable[[str], float]) -> _Found | None:
    """The best header of a sheet: titles that name fields, words above columns of figures, rows
    of data below. Further levels of titles count only where they tell columns apart."""
    best: _Found | None = None
    for top in range(min(_SEARCHED, len(grid.rows) - 1)):
        filled = [v for v in grid.rows[top] if not is_blank(v)]
        if len(filled) < 2 or not any(_is_word(v) or _is_year(v) for v in filled):
            continue
        depth, fill = _depth(grid, top)
        titles = _titles(grid, top, depth, fill)
        if titles is None or len(titles) < 2:
            continue
        likely = sum(all(map(_is_title, title.split(JOINT))) for title in titles.values())
        if likely < len(titles) * _TITLES or not any(map(_is_word, titles.values())):
            continue
        if not _has_data(grid, top + depth, titles):
            continue
        score = _header_score(grid, top, depth, titles, names)
        if best is None or score > best.score:
            best = _Found(grid, top, depth, fill, titles, score)
    return best


def _header_score(
    grid: Grid, top: int, depth: int, titles: dict[int, str], names: Callable[[str], float]
) -> float:
    distinct = {key(title): title for title in titles.values()}
    named = sum(score for score in map(names, distinct.values()) if score >= WORDED - 0.05)
    typed = _columns_of_figures(grid, top + depth, titles)
    years = sum(any(map(_is_year, title.split(JOINT))) for title in distinct.values())
    # one figure that looks like a year may be a figure
    years = years if years > 1 else 0
    below = sum(
        sum(c < len(row) and not is_blank(row[c]) for c in titles) >= min(2, len(titles))
        for row in grid.rows[top + depth :]
    )
    score = 3 * named + min(len(distinct), 12) / 4 + min(typed, 8) / 4 + min(years, 6) / 2
    score += min(math.log10(below + 1), 3) / 2 - top / 100
    score -= 3 * (len(titles) - len(distinct)) / len(titles)
    if len(titles) == 2 and below < _LIST:
        # labels and values of a description look like a header above a few rows
        score -= 2
    lasts = {key(title.split(JOINT)[-1]) for title in titles.values()}
    last = grid.rows[top + depth - 1]
    if (
        depth > 1
        and len(lasts) == len(titles)
        and all(c < len(last) and not is_blank(last[c]) for c in titles)
    ):
        score -= 0.3 * (depth - 1)
    return score


def _columns_of_figures(grid: Grid, first: int, titles: dict[int, str]) -> int:
    """How many titles stand above figures and are none themselves."""
    rows = grid.rows[first : first + _LOOKED_AT]
    found = 0
    for column in titles:
        values = [row[column] for row in rows if column < len(row) and not is_blank(row[column])]
        found += bool(values) and sum(map(is_figure, values)) >= _TITLES * len(values)
    return found


def _is_title(value: Any) -> bool:
    """A word, a year or a range such as `0-4`, `<75` and `1395-96`: what figures stand below."""
    if _is_word(value) or _is_year(value):
        return True
    return isinstance(value, str) and _RANGE.match(key(value.strip(MARKS))) is not None


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and not is_figure(value) and any(c.isalpha() for c in value)


def _is_year(value: Any) -> bool:
    return _YEAR.match(key((text_of(value) or "").strip(MARKS))) is not None


def _depth(grid: Grid, top: int) -> tuple[int, bool]:
    """How many rows the header has, and whether its upper titles hold for the blanks beside."""
    depth = 1
    while depth < _DEPTH and top + depth < len(grid.rows):
        last = top + depth - 1
        merges = [m for m in grid.merges if m.top <= last <= m.bottom and m.top >= top]
        below = grid.rows[top + depth]
        if any(m.bottom > last for m in merges) or any(m.right > m.left for m in merges):
            if any(is_figure(v) and not _is_year(v) for v in below if not is_blank(v)):
                break
            depth += 1
            continue
        break
    if depth > 1 or top + 1 >= len(grid.rows):
        return depth, False
    upper, lower = grid.rows[top], grid.rows[top + 1]
    if _parts_twins(upper, lower):
        return 2, False
    titles = [v for v in lower if not is_blank(v)]
    after = grid.rows[top + 2] if top + 2 < len(grid.rows) else []
    # what stands under a gap of the upper row is a title when figures follow below it
    gaps = [
        c
        for c, v in enumerate(lower)
        if not is_blank(v) and (c >= len(upper) or is_blank(upper[c]))
    ]
    is_header = (
        bool(gaps)
        and all(_is_word(v) or _is_year(v) for v in titles)
        and any(c < len(after) and is_figure(after[c]) for c in gaps)
    )
    return (2, True) if is_header and not _all_units(titles) else (1, False)


def _parts_twins(upper: Sequence[Any], lower: Sequence[Any]) -> bool:
    """Whether the titles of a row repeat themselves and the words below tell the twins apart."""
    above = [key(text_of(v) or "") for v in upper]
    below = [key(text_of(v) or "") for v in lower]
    if len(above) != len(below) or not all(below) or not all(map(_is_word, lower)):
        return False
    pairs = list(zip(above, below, strict=True))
    return len(set(above)) < len(above) and len(set(pairs)) == len(pairs)


def _all_units(values: Sequence[Any]) -> bool:
    return all(isinstance(v, str) and is_unit(v) for v in values)


def _titles(grid: Grid, top: int, depth: int, fill: bool) -> dict[int, str] | None:
    """The titles of columns as the layouts room joins them."""
    forms = [JOINT.join(["{value}", "*", "*"][:levels]) for levels in range(1, depth + 1)]
    targets = [Target(form, (), False, wide=WideColumn(pattern=form, set={})) for form in forms]
    layout = Layout(header_depth=depth, header_fill=fill, search_rows=1)
    header = find_header(grid, layout, targets, top)
    return None if header is None else header.titles


def _has_data(grid: Grid, first: int, titles: dict[int, str]) -> bool:
    """Whether rows with at least two cells under the titles follow."""
    rows = grid.rows[first : first + 12]
    full = [
        row
        for row in rows
        if sum(c < len(row) and not is_blank(row[c]) for c in titles) >= min(2, len(titles))
    ]
    return bool(full)


# ------------------------------------------------------------------------------ the rows


def unit_in_words(text: str) -> str | None:
    """The unit that a text above a table names: «ارقام به میلیارد ریال», `Unit: percent`."""
    said = display(text)
    found = [match[1] for match in _UNIT_PHRASE.finditer(said)]
    found += _IN_BRACKETS.findall(said)
    found += [said] if len(said.split()) < _SHORT else []
    for one in found:
        name = _UNIT_LEAD.sub("", one).strip(" :()[]«».،")
        if name and (rial_power(name) is not None or is_unit(name) or name in ("%", "٪")):
            return name
    return None


def _drawn(best: _Found, same: Sequence[_Found]) -> Table:
    usual = total_keys()
    table = Table([], 0, [one.grid.name for one in same], best.top, best.depth, best.fill)
    table.is_text = best.grid.is_delimited
    for one in same:
        for r, row in enumerate(one.grid.rows[: one.top]):
            table.above += [
                (f"{one.grid.name}!{letters(c)}{r + 1}", display(str(text_of(v))))
                for c, v in enumerate(row)
                if not is_blank(v)
            ]
    for cell, text in table.above:
        unit = unit_in_words(text)
        if unit is not None and all(key(unit) != key(other) for _, other in table.units_above):
            table.units_above.append((cell, unit))
    names = _ordinals(best.titles)
    values: dict[tuple[str, int], list[Any]] = {name: [] for name in names.values()}
    formats: dict[tuple[str, int], dict[int, str]] = {name: {} for name in values}
    blanks = dict.fromkeys(values, 0)
    for one in same:
        ordinals = _ordinals(one.titles)
        merged = {
            (r, m.left): (m.top, m.left)
            for m in one.grid.merges
            for r in range(m.top + 1, min(m.bottom, len(one.grid.rows)) + 1)
            if m.left == m.right
        }
        sums = _Sums()
        again = _headers_again(one)
        if again and one is best:
            table.captions = [_caption(one.grid, r) for r in (one.top, *again)]
        aside = {r + n for r in again for n in range(one.depth)}
        aside |= {r for r, text in _lone_rows(one.grid) if text in table.captions}
        for r in range(one.top + one.depth, len(one.grid.rows)):
            row = one.grid.rows[r]
            if r in aside:
                sums.end()
                continue
            if not _is_data(row, r - one.top - one.depth, one.titles, usual, table, sums):
                sums.end()
                continue
            sums.add(row, one.titles)
            table.height += 1
            for c, name in ordinals.items():
                value = row[c] if c < len(row) else None
                if is_blank(value) and (r, c) in merged:
                    origin = one.grid.rows[merged[r, c][0]]
                    value = origin[c] if c < len(origin) else None
                blanks[name] += is_blank(value)
                shown = one.grid.number_formats.get((r, c))
                if shown is not None:
                    formats[name][len(values[name])] = shown
                values[name].append(value)
    for c, title in sorted(best.titles.items()):
        name = names[c]
        cells: Cells = to_cells(values[name], formats[name])
        column = Column(cells.text, cells.text, cells.kind, cells.formats, title)
        figures = any(is_figure(v) for v in values[name])
        levels = tuple(title.split(JOINT))
        table.columns.append(
            Drawn(display(title), levels, letters(c), column, blanks[name], figures)
        )
    _untitled(table, best, same)
    positions = {c: n for n, c in enumerate(sorted(best.titles))}
    table.unit_row = {positions[c]: u for c, u in table.unit_row.items() if c in positions}
    return table


def _untitled(table: Table, best: _Found, same: Sequence[_Found]) -> None:
    """The column of names left of the figures that has no title; it is mapped by its letter."""
    first = min(best.titles)
    for column in range(first):
        values = []
        usual = total_keys()
        for one in same:
            scratch, sums = Table([], 0), _Sums()
            for r in range(one.top + one.depth, len(one.grid.rows)):
                row = one.grid.rows[r]
                below = r - one.top - one.depth
                if not _is_data(row, below, one.titles, usual, scratch, sums):
                    sums.end()
                    continue
                sums.add(row, one.titles)
                values.append(row[column] if column < len(row) else None)
        words = [v for v in values if isinstance(v, str) and not is_blank(v) and _is_word(v)]
        if not values or len(words) < _TITLES * len(values):
            continue
        cells = to_cells(values, {})
        title = f"@{letters(column)}"
        table.columns.append(
            Drawn(
                title,
                (title,),
                letters(column),
                Column(cells.text, cells.text, cells.kind, cells.formats, title),
                sum(map(is_blank, values)),
                False,
            )
        )


def _ordinals(titles: dict[int, str]) -> dict[int, tuple[str, int]]:
    """Column -> its title's key and which of the columns of that title it is."""
    seen: dict[str, int] = {}
    found: dict[int, tuple[str, int]] = {}
    for c, title in sorted(titles.items()):
        name = key(title)
        seen[name] = seen.get(name, -1) + 1
        found[c] = (name, seen[name])
    return found


def _headers_again(found: _Found) -> list[int]:
    """Rows below the header in which all of its titles stand again."""
    grid, depth = found.grid, found.depth
    wanted = [
        {
            c: key(text_of(v) or "")
            for c, v in enumerate(grid.rows[found.top + n])
            if not is_blank(v)
        }
        for n in range(depth)
    ]
    again = []
    for r in range(found.top + depth, len(grid.rows) - depth + 1):
        if all(
            {c: key(text_of(v) or "") for c, v in enumerate(grid.rows[r + n]) if not is_blank(v)}
            == wanted[n]
            for n in range(depth)
        ):
            again.append(r)
    return again


def _caption(grid: Grid, header: int) -> str | None:
    """The text that stands alone above a header, at most a blank row between."""
    for r in range(header - 1, max(header - 3, -1), -1):
        filled = [v for v in grid.rows[r] if not is_blank(v)]
        if not filled:
            continue
        return display(filled[0]) if len(filled) == 1 and isinstance(filled[0], str) else None
    return None


def _lone_rows(grid: Grid) -> list[tuple[int, str]]:
    """Rows with one text only, and the text."""
    found = []
    for r, row in enumerate(grid.rows):
        filled = [v for v in row if not is_blank(v)]
        if len(filled) == 1 and isinstance(filled[0], str):
            found.append((r, display(filled[0])))
    return found


class _Sums:
    """Sums of the columns: of all rows so far, and of those since the last row that was none."""

    def __init__(self) -> None:
        self._all: dict[int, float] = {}
        self._group: dict[int, float] = {}
        self._rows = self._group_rows = 0

    def add(self, row: Sequence[Any], titles: dict[int, str]) -> None:
        """Count a record in."""
        self._rows += 1
        self._group_rows += 1
        for column in titles:
            size = _size(row[column]) if column < len(row) else None
            if size is not None:
                self._all[column] = self._all.get(column, 0.0) + size
                self._group[column] = self._group.get(column, 0.0) + size

    def end(self) -> None:
        """A row that is no record: a group ends here."""
        self._group, self._group_rows = {}, 0

    def are_in(self, row: Sequence[Any], titles: dict[int, str]) -> bool:
        """Whether a row holds the sums of at least two rows, in every column that has figures."""
        figures = {
            column: size
            for column in titles
            if column < len(row) and (size := _size(row[column])) is not None
        }
        return any(
            rows >= _LEAST_SUMMED
            and any(figures.values())
            and all(
                column in sums
                and math.isclose(size, sums[column], rel_tol=1e-3, abs_tol=0.01 * rows)
                for column, size in figures.items()
            )
            for sums, rows in ((self._group, self._group_rows), (self._all, self._rows))
        )


def _size(value: Any) -> float | None:
    """A figure as a number, where there are no two ways to read it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    text = key(value).replace("٬", "").replace("٫", ".")
    text = re.sub(r",(?=\d{3}(?:\D|$))", "", text).removesuffix("%").removesuffix("٪")
    try:
        return float(text)
    except ValueError:
        return None


def _is_data(
    row: Sequence[Any],
    below: int,
    titles: dict[int, str],
    usual: frozenset[str],
    table: Table,
    sums: _Sums,
) -> bool:
    """Whether a row is a record; what else it may be is noted in `table`."""
    filled = {c: row[c] for c in range(len(row)) if not is_blank(row[c])}
    if not filled:
        return False
    if below < 2 and all(isinstance(v, str) and is_unit(v) for v in filled.values()):
        table.unit_row.update({c: str(v) for c, v in filled.items()})
        return False
    figures = [key(text_of(v) or "") for v in filled.values()]
    if (
        below < 2
        and len(figures) > 2
        and figures
        in (
            [str(n) for n in range(1, len(figures) + 1)],
            [str(n) for n in range(len(figures), 0, -1)],
        )
    ):
        return False
    texts = [v for v in filled.values() if isinstance(v, str)]
    labels = [key(v).rstrip(":") for v in texts[:3]]
    if any(label in usual for label in labels):
        table.totals += 1
        return False
    odd = [
        display(v)
        for v, label in zip(texts[:3], labels, strict=False)
        if label.startswith(_TOTAL_LIKE) and len(label) < _LONG_LABEL
    ]
    if odd and len(filled) > 1 and sums.are_in(row, titles):
        table.proven_totals.append(odd[0])
        return False
    table.odd_totals += odd
    if len(filled) == 1 and len(titles) > 2:
        text = next(iter(filled.values()))
        if isinstance(text, str) and not is_remark(text) and len(key(text)) > 1:
            table.lone.append(display(text))
        return False
    return any(c in titles for c in filled)
