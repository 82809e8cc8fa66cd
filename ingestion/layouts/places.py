"""Where in a file its tables lie: on which sheets, in which part of them, under which header.

In: grids and a layout with mapped columns. Out: a `Place` for each table, and the rows outside of
all tables counted by reason, each once. A sheet or part that may be the table in another form
stops the file: nothing that looks like data is left aside unread (law 3).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ingestion.errors import LayoutError
from ingestion.layouts.cells import is_blank, text_of
from ingestion.layouts.header import (
    Header,
    Target,
    find_header,
    refuse_missing,
    refuse_repeated,
    settle_titles,
    targets_of,
)
from ingestion.layouts.region import Window, address_back, is_loose_table, turned, windows
from ingestion.layouts.select import is_selected, out_of_scope, select
from ingestion.normalise.text import display
from ingestion.spec.kinds import Kind
from ingestion.spec.model import FieldMap, Layout, Table, Unpivot
from ingestion.table import Grid

# of the compulsory columns: a sheet that has so many is the table in a changed form, not another
_LIKENESS = 0.5


@dataclass(frozen=True)
class Place:
    """A table: its window of the sheet `origin` and its header, read by `layout`."""

    origin: Grid
    window: Window
    header: Header
    layout: Layout
    # how fields are read here, where it differs from the declared layout's
    settings: Mapping[str, FieldMap] = field(default_factory=dict)


def find_places(
    grids: Sequence[Grid], layout: Layout, kind: Kind
) -> tuple[list[Place], Counter[str]]:
    """The tables in the order of the file, and the rows outside of them by reason.

    Without `sheets` every sheet with the header is read; a sheet that has half of the compulsory
    columns but not all is a changed form. Raises `LayoutError`: `header-not-found`,
    `missing-column`, `duplicate-header`, `missing-sheet`, `anchor-not-found`, `anchor-ambiguous`,
    `table-without-header`, `unclear-title`.
    """
    places: list[Place] = []
    parts = parts_of(layout)
    for number, part in enumerate(parts):
        stops = [one.after for one in parts if one.after is not None and one.after != part.after]
        found = _of_part(grids, part, kind, stops)
        own = _settings(layout.tables[number], part) if layout.tables else {}
        places += [replace(place, settings=own) for place in found]
    _refuse_overlaps(places)
    placed = {id(place.origin) for place in places}
    for part in parts:
        _refuse_unanchored([g for g in grids if id(g) not in placed], part, kind)
    return places, _outside(grids, layout, places)


def _refuse_unanchored(grids: Sequence[Grid], layout: Layout, kind: Kind) -> None:
    """A sheet that should have the table, or has its header, but not the text above it."""
    if layout.after is None or not grids:
        return
    targets = targets_of(layout, kind)
    for grid in select(grids, layout.model_copy(update={"sheets": []}))[0]:
        header = find_header(turned(grid) if layout.transpose else grid, layout, targets)
        is_named = (
            bool(layout.sheets)
            and is_selected(grid, layout)
            and _is_filled(Window(grid, 0, len(grid.rows)))
        )
        if is_named or (not layout.sheets and header is not None and header.is_complete):
            raise _no_anchor([grid], layout)


def _no_anchor(grids: Sequence[Grid], layout: Layout) -> LayoutError:
    return LayoutError(
        "anchor-not-found",
        f"No cell of {', '.join(repr(g.name) for g in grids)} says '{layout.after}', below which "
        "the table should stand.",
        "Correct 'after' in the source file ('*' stands for anything), name the sheets that have "
        "the table under 'sheets', or ask the agency for the agreed form.",
        grids[0].name if grids else "",
    )


def parts_of(layout: Layout) -> list[Layout]:
    """The layout of each declared table; the layout itself when it declares none."""
    found: list[Layout] = []
    for table in layout.tables:
        fields = dict(layout.fields)
        for name, titles in table.headers.items():
            fields[name] = fields[name].model_copy(update={"headers": titles})
        fields.update({name: FieldMap(value=text) for name, text in table.set.items()})
        for name, own in table.fields.items():
            if name in fields:
                fields[name] = fields[name].model_copy(update=own.given)
        found.append(
            layout.model_copy(
                update={
                    "sheets": table.sheets or layout.sheets,
                    "after": table.after or layout.after,
                    "until": table.until or layout.until,
                    "columns": table.columns or layout.columns,
                    "fields": fields,
                    "tables": [],
                    "unpivot": _unpivot_of(layout.unpivot, table),
                }
            )
        )
    return found or [layout]


def _unpivot_of(unpivot: Unpivot | None, table: Table) -> Unpivot | None:
    """The wide columns with the unit and scale that the table gives them."""
    if unpivot is None or unpivot.into not in table.fields:
        return unpivot
    given = table.fields[unpivot.into].given
    own: dict[str, Any] = {n: given[n] for n in ("unit", "percent_scale") if n in given}
    columns = [column.model_copy(update=own) for column in unpivot.columns]
    return unpivot.model_copy(update={"columns": columns})


def _settings(table: Table, part: Layout) -> dict[str, FieldMap]:
    """The whole settings of the fields that the table reads in its own way."""
    nothing = FieldMap(value="")
    return {
        name: part.fields.get(name, nothing.model_copy(update=own.given))
        for name, own in table.fields.items()
    }


def likeness(grids: Sequence[Grid], layout: Layout, kind: Kind) -> int:
    """How many of its columns the layout finds in the file's best header."""
    best = 0
    for part in parts_of(layout):
        targets = targets_of(part, kind)
        for grid in grids:
            sheet = turned(grid) if part.transpose else grid
            header = find_header(sheet, part, targets)
            best = max(best, 0 if header is None else header.score)
    return best


def _refuse_overlaps(places: Sequence[Place]) -> None:
    """No cell belongs to two tables."""
    for number, place in enumerate(places):
        for other in places[:number]:
            if other.origin is place.origin and other.window.overlaps(place.window):
                raise LayoutError(
                    "overlapping-tables",
                    f"Two declared tables of the sheet share the rows {place.window.top + 1} to "
                    f"{min(place.window.bottom, other.window.bottom)}.",
                    "Say where each begins and ends with 'after', 'until' or 'columns'.",
                    place.origin.name,
                )


def _of_part(
    grids: Sequence[Grid], layout: Layout, kind: Kind, stops: Sequence[str]
) -> list[Place]:
    targets = targets_of(layout, kind)
    compulsory = max(1, sum(target.compulsory for target in targets))
    chosen, _ = select(grids, layout)
    places: list[Place] = []
    unlike: list[tuple[Grid, Header]] = []
    anchored = False
    for grid in chosen:
        sheet = turned(grid) if layout.transpose else grid
        parts = windows(sheet, layout, stops)
        anchored = anchored or bool(parts)
        here: list[Place] = []
        without: list[Window] = []
        for window in parts:
            header = find_header(window.grid, layout, targets, window.top)
            if header is not None and header.is_complete:
                if layout.transpose and grid.is_delimited:
                    _refuse_shifted(grid, header)
                here.append(Place(grid, window, header, layout))
                continue
            without.append(window)
            has = 0 if header is None else compulsory - len(header.missing)
            is_alike = has >= 2 and has >= _LIKENESS * compulsory
            is_named = bool(layout.sheets) and not window.is_part
            if header is not None and (is_named or is_alike):
                raise _refused(refuse_missing(header, _spot(grid, header)), grid, layout)
            if header is not None:
                unlike.append((grid, header))
        if layout.sheets and not here and any(map(_is_filled, without)):
            raise _no_header(grid, layout, targets)
        _refuse_loose(grid, layout, here, without)
        places += here
    if not places:
        if layout.after is not None and not anchored:
            raise _no_anchor(chosen, layout)
        if unlike:
            grid, header = max(unlike, key=lambda pair: pair[1].score)
            raise _refused(refuse_missing(header, _spot(grid, header)), grid, layout)
        raise _no_header(grids[0], layout, targets)
    for place in places:
        spot = _spot(place.origin, place.header)
        if place.header.repeated:
            raise _refused(refuse_repeated(place.header, spot), place.origin, layout)
        try:
            settle_titles(place.header, kind, spot)
        except LayoutError as error:
            raise _refused(error, place.origin, layout) from None
    return places


def _refuse_shifted(grid: Grid, header: Header) -> None:
    """Lines of a turned text table with different numbers of cells: a stray separator has moved
    figures below the names of others."""
    widths = {
        line: max((n for n, v in enumerate(grid.rows[line], 1) if not is_blank(v)), default=0)
        for line in header.found.values()
    }
    first = next(iter(widths.values()), 0)
    for line, width in widths.items():
        if width > first:
            raise LayoutError(
                "shifted-row",
                f"Line {line + 1} has {width} cells, the line of the names has {first}.",
                "Put numbers with a separator inside in quotes, or export with another separator.",
                f"{grid.name}!{line + 1}",
            )


def _refuse_loose(
    grid: Grid, layout: Layout, here: Sequence[Place], without: Sequence[Window]
) -> None:
    """Parts beside or below a table that hold data without a header stop the file."""
    if not here:
        return
    first = min(place.window.top for place in here)
    for window in without:
        if window.top >= first and is_loose_table(window.grid, window.top, window.bottom):
            raise _refused(
                LayoutError(
                    "table-without-header",
                    f"The rows {window.top + 1} to {window.bottom} hold figures, but no header "
                    "stands above them.",
                    "Leave out 'split' if blank rows or columns stand inside the table; else say "
                    "with 'after', 'until' or 'columns' where the tables lie.",
                    f"{grid.name}!{window.top + 1}",
                ),
                grid,
                layout,
            )


def _refused(error: LayoutError, grid: Grid, layout: Layout) -> LayoutError:
    """The error with the address that it has in the file."""
    if not layout.transpose:
        return error
    first = error.locator.split(":")[0] if ":" in error.locator else error.locator
    note = "The table is turned (transpose: true), so rows stand for columns here."
    return LayoutError(
        error.code, f"{error.message} {note}", error.remedy, address_back(first, grid.name)
    )


def _outside(grids: Sequence[Grid], layout: Layout, places: Sequence[Place]) -> Counter[str]:
    """Rows outside of every table: on other sheets, and above, between and below the tables."""
    counts: Counter[str] = Counter()
    by_sheet: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        by_sheet[id(place.origin)].append(place)
    for grid in grids:
        here = by_sheet.get(id(grid))
        if here is None:
            is_left = layout.hidden == "exclude" and grid.is_hidden
            counts.update(out_of_scope([(grid, "hidden" if is_left else "out_of_scope")]))
            continue
        if len(here) == 1 and here[0].window.grid is grid:
            continue
        rows = (turned(grid) if layout.transpose else grid).rows
        covered: set[int] = set()
        for place in here:
            window = place.window
            filled = [r for r in range(window.top, window.bottom) if _has_text(window.grid, r)]
            covered.update(range(window.top, max(filled, default=window.top) + 1))
        first = min(place.window.top for place in here)
        last = max((n for n, row in enumerate(rows) if not all(map(is_blank, row))), default=-1)
        for number, row in enumerate(rows[: last + 1]):
            if number in covered:
                continue
            if all(map(is_blank, row)):
                counts["blank"] += 1
            elif layout.split != "none" and not layout.tables:
                counts["title" if number < first else "note"] += 1
            else:
                counts["out_of_scope"] += 1
    return counts


def _has_text(grid: Grid, row: int) -> bool:
    return row < len(grid.rows) and not all(map(is_blank, grid.rows[row]))


def _is_filled(window: Window) -> bool:
    return any(_has_text(window.grid, row) for row in range(window.top, window.bottom))


def _spot(grid: Grid, header: Header) -> str:
    return f"{grid.name}!{header.top + 1}:{header.top + header.depth}"


def _no_header(grid: Grid, layout: Layout, targets: Sequence[Target]) -> LayoutError:
    wanted = ", ".join(f"'{target.label}'" for target in targets if target.compulsory)
    titles = ", ".join(
        f"'{target.aliases[0] if target.aliases else target.pattern}'"
        for target in targets
        if target.compulsory
    )
    seen = [
        display(text_of(v) or "")
        for row in grid.rows[: layout.search_rows]
        for v in row
        if type(v) is str and not is_blank(v)
    ]
    widths = [sum(not is_blank(v) for v in row) for row in grid.rows[: layout.search_rows]]
    remedy = (
        "Check that this is the right file; if the form has changed, add its titles to the source "
        "file."
    )
    if grid.is_delimited and max(widths, default=0) <= 1:
        remedy += (
            " No separator was found in this text: say how it is cut with 'text: {separator: "
            "aligned}', 'text: {separator: spaces}' or 'text: {columns: [...]}'."
        )
    return LayoutError(
        "header-not-found",
        f"No row within the first {layout.search_rows} names any of the columns {titles or wanted}."
        f" The sheet begins with: {', '.join(repr(t[:40]) for t in seen[:12]) or 'nothing'}.",
        remedy,
        grid.name,
    )
