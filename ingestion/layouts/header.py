"""Find the header of a table: which row, and which column is which field (traps X1, X2, S9).

In: a grid and the targets of the layout (mapped fields, wide columns, columns to ignore). Out: the
best header of the grid with what it has and what it lacks. A header is found by how many of the
targets it names, wherever it stands; titles, logos and notes above it name none.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ingestion.errors import LayoutError
from ingestion.layouts.address import letters
from ingestion.layouts.cells import is_blank, text_of
from ingestion.normalise.text import display, key
from ingestion.spec.kinds import Kind
from ingestion.spec.model import Layout, WideColumn
from ingestion.table import Grid

JOINT = " / "


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
            Target(column.headers[0], tuple(column.headers), True, wide=column)
            for column in layout.unpivot.columns
        ]
        targets += [Target(name, (name,), False) for name in layout.unpivot.ignore]
    return targets


def find_header(grid: Grid, layout: Layout, targets: Sequence[Target]) -> Header | None:
    """The best header within the first `search_rows` rows; None when no row names any target."""
    best: Header | None = None
    merged = _merged_cells(grid, layout.search_rows + layout.header_depth)
    exclude = grid.hidden_columns if layout.hidden == "exclude" else frozenset()
    for top in range(min(layout.search_rows, len(grid.rows) - layout.header_depth + 1)):
        levels = _levels(grid, top, layout.header_depth, merged, exclude)
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
    for target in targets:
        columns: list[int] = []
        wanted = [tuple(_key(p) for p in alias.split(JOINT)) for alias in target.aliases]
        joined = {"/".join(parts) for parts in wanted}
        columns = [c for c, parts in keys.items() if "/".join(parts) in joined]
        if not columns and depth > 1:
            # the last level alone names a column when only one column has it
            columns = [c for c, parts in keys.items() if any(parts[-len(w) :] == w for w in wanted)]
        if len(columns) > 1:
            header.repeated[target] = columns
        if columns:
            header.found[target] = columns[0]
            header.score += target.field is not None or target.wide is not None
        elif target.compulsory:
            header.missing.append(target)
    return header


def refuse_missing(header: Header, where: str) -> LayoutError:
    """The error for a header that lacks compulsory columns: what is wanted, what there is."""
    known = set(header.found.values())
    left = [title for column, title in sorted(header.titles.items()) if column not in known]
    wanted = "; ".join(
        f"{target.label} ({' | '.join(target.aliases)})" for target in header.missing
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
        "Give the full title of the right one under headers (levels joined by ' / '), or ask the "
        "agency to remove the other.",
        where,
    )


@lru_cache(maxsize=65_536)
def _key(text: str) -> str:
    return key(text)


def _merged_cells(grid: Grid, rows: int) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """Cell -> its merged range, for the rows in which a header may stand."""
    cells: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for merge in grid.merges:
        if merge.top >= rows:
            continue
        right = min(merge.right, merge.left + 2_000)
        for row in range(merge.top, min(merge.bottom, rows) + 1):
            for column in range(merge.left, right + 1):
                cells[row, column] = (merge.top, merge.left, merge.bottom, merge.right)
    return cells


def _levels(
    grid: Grid,
    top: int,
    depth: int,
    merged: dict[tuple[int, int], tuple[int, int, int, int]],
    exclude: frozenset[int],
) -> dict[int, tuple[str, ...]]:
    """Column -> the texts of its header levels, merged cells filled inside their range only.

    On the last level a range that spans columns names only its first one: two columns with one
    title would be a guess.
    """
    rows = [grid.rows[r] for r in range(top, top + depth)]
    width = max(map(len, rows), default=0)
    found: dict[int, tuple[str, ...]] = {}
    for column in range(width):
        if column in exclude:
            continue
        parts: list[str] = []
        for level, row in enumerate(rows):
            value = row[column] if column < len(row) else None
            span = merged.get((top + level, column))
            if span is not None and (span[1] == column or level < depth - 1):
                origin = grid.rows[span[0]]
                value = origin[span[1]] if span[1] < len(origin) else None
            if is_blank(value):
                continue
            text = text_of(value) or ""
            if not parts or _key(parts[-1]) != _key(text):
                parts.append(text)
        if parts:
            found[column] = tuple(parts)
    return found
