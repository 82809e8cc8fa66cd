"""Which sheets of a file a layout speaks of."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Sequence

from ingestion.errors import LayoutError
from ingestion.layouts.cells import is_blank
from ingestion.normalise.text import key
from ingestion.spec.model import Layout
from ingestion.table import Grid


def select(grids: Sequence[Grid], layout: Layout) -> tuple[list[Grid], list[tuple[Grid, str]]]:
    """The sheets to read, and those left out with the reason (`out_of_scope`, `hidden`).

    Names are compared as text keys (trap X14), `*` and `?` stand for any letters. Raises
    `LayoutError` (`missing-sheet`) for a pattern that matches no sheet.
    """
    for pattern in layout.sheets:
        if not any(_matches(grid, pattern) for grid in grids):
            raise LayoutError(
                "missing-sheet",
                f"No sheet is called '{pattern}'; the file has: "
                f"{', '.join(repr(grid.name) for grid in grids)}.",
                "Correct sheets in the source file, or ask the agency for the agreed form.",
                grids[0].name if grids else "",
            )
    chosen: list[Grid] = []
    left: list[tuple[Grid, str]] = []
    for grid in grids:
        if not is_selected(grid, layout):
            left.append((grid, "out_of_scope"))
        elif grid.is_hidden and layout.hidden == "exclude":
            left.append((grid, "hidden"))
        else:
            chosen.append(grid)
    return chosen, left


def is_selected(grid: Grid, layout: Layout) -> bool:
    """Whether the layout speaks of a sheet of this name."""
    return not layout.sheets or any(_matches(grid, pattern) for pattern in layout.sheets)


def out_of_scope(left: Sequence[tuple[Grid, str]]) -> Counter[str]:
    """Filled rows of the sheets left out, by reason."""
    counts: Counter[str] = Counter()
    for grid, reason in left:
        counts[reason] += sum(not all(map(is_blank, row)) for row in grid.rows)
    return counts


def _matches(grid: Grid, pattern: str) -> bool:
    return fnmatch.fnmatchcase(key(grid.name), key(pattern))
