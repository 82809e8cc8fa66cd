"""Find the header of a table: which row, and which column is which field (traps X1, X2, S9).

In: a grid and the targets of the layout (mapped fields, wide columns, columns to ignore). Out: the
best header of the grid with what it has and what it lacks. A header is found by how many of the
targets it names, wherever it stands; titles, logos and notes above it name none.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.address import letters, parse
from ingestion.layouts.cells import is_blank, text_of
from ingestion.layouts.patterns import caught, says
from ingestion.normalise.calendar import to_jalali, week_label
from ingestion.normalise.dates import read_periods
from ingestion.normalise.text import display, key, without_footnote
from ingestion.spec.kinds import Kind
from ingestion.spec.model import Layout, WideColumn
from ingestion.table import Grid

JOINT: Final = " / "
# what tells apart the columns below one merged title
BESIDE: Final = "#"
_LETTER: Final = re.compile("^@[A-Za-z]{1,3}$")
_IS_BESIDE: Final = re.compile(rf"{BESIDE}\d+$")
MARKS: Final = " *\u2020\u2021\u203b"
# titles of statistics reach far back; whether the records may is for the contract to say
_ANY_DAY: Final = (dt.date(1850, 1, 1), dt.date(2100, 12, 31))


@dataclass(frozen=True, eq=False)
class Target:
    """A column that the layout speaks of: a field, a wide column, or one to ignore.

    Compared by identity: each stands for one place in the source file.
    """

    label: str
    aliases: tuple[str, ...]
    compulsory: bool
    field: str | None = None
    wide: WideColumn | None = None
    # what the title of a wide column says of further fields, by name
    caught: tuple[tuple[str, str], ...] = ()

    @property
    def pattern(self) -> str | None:
        """The form of the titles of many columns; each found one becomes a target of its own."""
        if self.wide is None or self.aliases:
            return None
        return self.wide.pattern


@dataclass
class Header:
    """A row (and `depth` - 1 more) that names columns. `found`: column by target."""

    top: int
    depth: int
    titles: dict[int, str]
    found: dict[Target, int] = field(default_factory=dict)
    repeated: dict[Target, list[int]] = field(default_factory=dict)
    missing: list[Target] = field(default_factory=list)
    # how many of the targets other than the ignored ones were found
    score: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.missing


def targets_of(layout: Layout, kind: Kind) -> list[Target]:
    """The columns that the layout speaks of.

    A mapped column is compulsory unless its field says `required: false`: a column that was
    declared and has gone is a change of the form, not a blank.
    """
    targets = [
        Target(name, tuple(mapping.headers), mapping.required is not False, field=name)
        for name, mapping in layout.fields.items()
        if mapping.headers and kind.field(name)
    ]
    if layout.unpivot is not None:
        targets += [
            Target(
                column.headers[0] if column.headers else str(column.pattern),
                tuple(column.headers),
                True,
                wide=column,
            )
            for column in layout.unpivot.columns
        ]
        targets += [Target(name, (name,), False) for name in layout.unpivot.ignore]
    return targets


def find_header(
    grid: Grid, layout: Layout, targets: Sequence[Target], start: int = 0
) -> Header | None:
    """The best header within `search_rows` rows from `start`; None when no row names any target."""
    best: Header | None = None
    merged = _merged_cells(grid, start, start + layout.search_rows + layout.header_depth)
    last_filled = _last_filled(grid, merged)
    exclude = grid.hidden_columns if layout.hidden == "exclude" else frozenset()
    last = min(start + layout.search_rows, len(grid.rows) - layout.header_depth + 1)
    for top in range(start, last):
        levels = _levels(grid, top, layout, merged, exclude, last_filled)
        if not levels:
            continue
        header = match(top, layout.header_depth, levels, targets)
        if header.score and (best is None or header.score > best.score):
            best = header
    return best


def match(
    top: int, depth: int, levels: dict[int, tuple[str, ...]], targets: Sequence[Target]
) -> Header:
    """Hold the titles of one candidate row against the targets."""
    titles = {column: JOINT.join(parts) for column, parts in levels.items()}
    keys = {column: tuple(_key(part) for part in parts) for column, parts in levels.items()}
    header = Header(top, depth, titles)
    aliases = {_joined(alias) for target in targets for alias in target.aliases}
    others = {c: p for c, p in levels.items() if "/".join(keys[c]) not in aliases}
    for target in targets:
        if target.pattern is not None:
            continue
        columns: list[int] = []
        wanted = [tuple(_key(p) for p in alias.split(JOINT)) for alias in target.aliases]
        joined = {"/".join(parts) for parts in wanted}
        columns = [c for c, parts in keys.items() if "/".join(parts) in joined]
        if not columns and depth > 1:
            # the last level alone names a column when only one column has it
            columns = [c for c, parts in keys.items() if any(parts[-len(w) :] == w for w in wanted)]
        if not columns:
            columns = _marked(others, wanted)
        lettered = not columns and _by_letter(target.aliases, levels)
        if lettered:
            columns = lettered
        if len(columns) > 1:
            header.repeated[target] = columns
        if columns:
            header.found[target] = columns[0]
            # a column without a title tells nothing of where the header stands
            header.score += not lettered and (target.field is not None or target.wide is not None)
        elif target.compulsory:
            header.missing.append(target)
    _match_patterns(header, levels, [t for t in targets if t.pattern is not None])
    _match_ignored(header, targets)
    return header


def _match_ignored(header: Header, targets: Sequence[Target]) -> None:
    """Columns that carry no record by the form of their titles, unless something names them."""
    forms = [
        alias
        for target in targets
        if target.field is None and target.wide is None
        for alias in target.aliases
        if "*" in alias
    ]
    taken = set(header.found.values()) | {c for cs in header.repeated.values() for c in cs}
    for column, title in header.titles.items() if forms else ():
        if column not in taken and any(says(title, form) for form in forms):
            header.found[Target(title, (title,), False)] = column


def _by_letter(aliases: Sequence[str], levels: dict[int, tuple[str, ...]]) -> list[int]:
    """The column that `@A` names, if it has no title: one with a title is another column."""
    found = [place[2] for alias in aliases if (place := _lettered(alias)) is not None]
    return [column for column in found if column not in levels]


def _lettered(alias: str) -> tuple[str | None, int, int] | None:
    return parse(f"{alias[1:].upper()}1") if _LETTER.match(alias) else None


def _marked(levels: dict[int, tuple[str, ...]], wanted: Sequence[tuple[str, ...]]) -> list[int]:
    """Columns that have a wanted title but for the marks of footnotes behind it."""
    found = []
    for column, parts in levels.items():
        bare = tuple(_bare_key(part) for part in parts)
        if bare == tuple(_key(part) for part in parts):
            continue
        if bare in wanted or any(bare[-len(w) :] == w for w in wanted):
            found.append(column)
    return found


def _match_patterns(
    header: Header, levels: dict[int, tuple[str, ...]], targets: Sequence[Target]
) -> None:
    """Columns that no title names, by the form of theirs; each column by the first that fits."""
    taken = set(header.found.values()) | {c for cs in header.repeated.values() for c in cs}
    for target in targets:
        any_found = False
        for column, parts in levels.items():
            if column in taken or _IS_BESIDE.search(parts[-1]):
                continue
            said = _said(parts, target.pattern or "")
            if said is None:
                continue
            any_found = True
            taken.add(column)
            title = header.titles[column]
            one = Target(title, (title,), False, wide=target.wide, caught=tuple(said.items()))
            header.found[one] = column
        header.score += any_found
        if not any_found:
            header.missing.append(target)


def _said(parts: tuple[str, ...], pattern: str) -> dict[str, str] | None:
    """What the levels of a title say by a pattern with as many levels."""
    wanted = pattern.split(JOINT)
    if len(wanted) != len(parts):
        return None
    said: dict[str, str] = {}
    for part, form in zip(parts, wanted, strict=True):
        # a mark of a footnote behind a year
        found = caught(without_footnote(part.strip(MARKS)), form)
        if found is None:
            return None
        said.update(found)
    return said


def settle_titles(header: Header, kind: Kind, where: str) -> None:
    """Read the periods in the titles of wide columns, and refuse columns that say the same.

    Raises `LayoutError` (`unclear-title`, `duplicate-header`).
    """
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    for target, column in list(header.found.items()):
        if not target.caught or target.wide is None:
            continue
        settled = dict(target.caught)
        if "period" in settled:
            settled["period"] = _period(settled["period"], target, column, kind, where)
        same = tuple(sorted((*settled.items(), *target.wide.set.items())))
        if same in seen:
            twin = seen[same]
            raise refuse_repeated(replace(header, repeated={target: [twin, column]}), where)
        seen[same] = column
        del header.found[target]
        header.found[replace(target, caught=tuple(settled.items()))] = column


def _period(text: str, target: Target, column: int, kind: Kind, where: str) -> str:
    """`<period kind>:<label>` of the period that a title names."""
    wide = target.wide
    period_kind = (wide.period_kind if wide else None) or kind.period_kinds[0]
    said, text = text, _whole_year(without_footnote(text), period_kind, wide)
    found = read_periods(
        pl.Series([text]),
        period_kind=period_kind,
        calendar=wide.calendar if wide else None,
        pivot=wide.two_digit_year_pivot if wide else None,
        range_year=wide.year_of_range if wide else None,
        window=_ANY_DAY,
    )
    start: dt.date | None = found.start[0]
    if start is None:
        raise LayoutError(
            "unclear-title",
            f"The title '{display(target.label)}' of column {letters(column)} should name a "
            f"{period_kind}, but '{said}' is none ({found.reason[0]}).",
            "List the title under unpivot.ignore if the column carries no records, or give it an "
            "entry of its own with headers and set.",
            where,
        )
    if period_kind == "week":
        label = week_label(start)
    elif period_kind == "jalali_month":
        year, month, _ = to_jalali(start)
        label = f"{year}/{month:02d}"
    elif period_kind == "jalali_year":
        label = str(to_jalali(start)[0])
    elif period_kind == "gregorian_year":
        label = str(start.year)
    else:
        label = start.isoformat()
    return f"{period_kind}:{label}"


def _whole_year(text: str, period_kind: str, wide: WideColumn | None) -> str:
    """A year of two digits with its century, where the source file gives a pivot (trap D2)."""
    pivot = None if wide is None else wide.two_digit_year_pivot
    digits = key(text)
    is_short = len(digits) == 2 and digits.isdigit()
    if pivot is None or not is_short or period_kind not in ("jalali_year", "gregorian_year"):
        return text
    century = 1400 if period_kind == "jalali_year" else 2000
    year = int(digits)
    return str(century + year if year <= pivot else century - 100 + year)


def refuse_missing(header: Header, where: str) -> LayoutError:
    """The error for a header that lacks compulsory columns: what is wanted, what there is."""
    known = set(header.found.values())
    left = [title for column, title in sorted(header.titles.items()) if column not in known]
    wanted = "; ".join(
        f"{target.label} ({' | '.join(target.aliases) or 'a pattern of titles'})"
        for target in header.missing
    )
    close = [
        hit
        for target in header.missing
        for alias in target.aliases
        for hit in difflib.get_close_matches(alias, left, n=1, cutoff=0.6)
    ]
    hint = (
        f" '{close[0]}' looks like it: if it is the same, add it to the headers." if close else ""
    )
    return LayoutError(
        "missing-column",
        f"Compulsory columns are missing: {wanted}. Columns that are not mapped: "
        f"{', '.join(repr(display(t)) for t in left[:20]) or 'none'}.",
        "Add the new title under the field's headers (or a new layout with valid_from), or ask "
        f"the agency for the agreed form.{hint}",
        where,
    )


def refuse_repeated(header: Header, where: str) -> LayoutError:
    """The error for a column that stands twice (trap X9: tables side by side)."""
    target, columns = next(iter(header.repeated.items()))
    places = " and ".join(f"{letters(c)} '{display(header.titles[c])}'" for c in columns)
    return LayoutError(
        "duplicate-header",
        f"Several columns are '{target.label}': {places}.",
        "Give the full title of the right one under headers (levels joined by ' / '). For tables "
        "side by side write 'split: columns', or say under 'tables' or 'columns' where each lies.",
        where,
    )


@lru_cache(maxsize=65_536)
def _key(text: str) -> str:
    return key(text)


@lru_cache(maxsize=65_536)
def _bare_key(text: str) -> str:
    return key(without_footnote(text))


@lru_cache(maxsize=65_536)
def _joined(alias: str) -> str:
    return "/".join(_key(part) for part in alias.split(JOINT))


def _merged_cells(
    grid: Grid, start: int, rows: int
) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """Cell -> its merged range, for the rows in which a header may stand."""
    cells: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for merge in grid.merges:
        if merge.top >= rows or merge.bottom < start:
            continue
        right = min(merge.right, merge.left + 2_000)
        for row in range(merge.top, min(merge.bottom, rows) + 1):
            for column in range(merge.left, right + 1):
                cells[row, column] = (merge.top, merge.left, merge.bottom, merge.right)
    return cells


def _last_filled(
    grid: Grid, merged: dict[tuple[int, int], tuple[int, int, int, int]]
) -> dict[int, int]:
    """For columns beside the first one of a merged range the last row in which they hold
    something."""
    beside = {column for (_, column), span in merged.items() if column != span[1]}
    found: dict[int, int] = {}
    for number, row in enumerate(grid.rows if beside else ()):
        for column in beside:
            if column < len(row) and not is_blank(row[column]):
                found[column] = number
    return found


def _levels(
    grid: Grid,
    top: int,
    layout: Layout,
    merged: dict[tuple[int, int], tuple[int, int, int, int]],
    exclude: frozenset[int],
    last_filled: dict[int, int],
) -> dict[int, tuple[str, ...]]:
    """Column -> the texts of its header levels, merged cells filled inside their range only.

    On the last level a range that spans columns names only its first one: two columns with one
    title would be a guess. Others that hold something are called `title#2`, `title#3`.
    """
    depth = layout.header_depth
    rows = [grid.rows[r] for r in range(top, top + depth)]
    width = max(map(len, rows), default=0)
    found: dict[int, tuple[str, ...]] = {}
    # the last title of each upper level, for text tables whose titles hold to the side
    beside: dict[int, str] = {}
    for column in range(width):
        if column in exclude:
            continue
        parts: list[str] = []
        for level, row in enumerate(rows):
            value = row[column] if column < len(row) else None
            span = merged.get((top + level, column))
            reaches_down = span is not None and span[2] >= top + depth - 1
            if span is not None and (span[1] == column or not reaches_down):
                origin = grid.rows[span[0]]
                value = origin[span[1]] if span[1] < len(origin) else None
            elif span is not None and last_filled.get(column, -1) >= top + depth:
                origin = grid.rows[span[0]]
                first = text_of(origin[span[1]]) if span[1] < len(origin) else None
                value = first and f"{first}{BESIDE}{column - span[1] + 1}"
            if is_blank(value):
                below = rows[level + 1 :]
                has_own = any(not is_blank(r[column]) for r in below if column < len(r))
                if not layout.header_fill or level == depth - 1 or not has_own:
                    continue
                value = beside.get(level)
                if value is None:
                    continue
            elif level < depth - 1:
                # a new title ends what the levels below it said
                beside = {n: t for n, t in beside.items() if n < level}
                beside[level] = text_of(value) or ""
            text = text_of(value) or ""
            if not parts or _key(parts[-1]) != _key(text):
                parts.append(text)
        if parts:
            found[column] = tuple(parts)
    return found
