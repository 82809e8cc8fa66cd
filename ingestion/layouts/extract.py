"""The entry of the room: what a reader gave, by the layout in force, to candidate records.

In: `Grid`s or `JsonRows`, the `Layout` and the source. Out: a `RawTable` whose rows and counts of
non-data add up to all rows read. Raises `LayoutError` when the form is not the declared one.
"""

from __future__ import annotations

import datetime as dt

from ingestion.errors import LayoutError
from ingestion.layouts.form import extract_form
from ingestion.layouts.names import extract_names
from ingestion.layouts.pieces import join, lengthen
from ingestion.layouts.sheets import extract_sheets
from ingestion.spec.model import Layout, SourceSpec
from ingestion.table import Grid, JsonRows, RawTable


def layout_at(spec: SourceSpec, received_on: dt.date) -> Layout:
    """The layout in force for a file received on a day.

    Raises `LayoutError` (`no-layout`) when the first layout begins later.
    """
    in_force = [layout for layout in spec.layouts if layout.valid_from <= received_on]
    if not in_force:
        raise LayoutError(
            "no-layout",
            f"No layout is in force on {received_on}: the first begins on "
            f"{spec.layouts[0].valid_from}.",
            "Correct valid_from of the first layout in the source file.",
            spec.source,
        )
    return in_force[-1]


def extract(parts: list[Grid] | JsonRows, layout: Layout, spec: SourceSpec) -> RawTable:
    """Candidate records of one snapshot.

    Raises `LayoutError`: `header-not-found`, `missing-column`, `duplicate-header`,
    `second-header`, `missing-sheet`, `bad-cell-address`.
    """
    if isinstance(parts, JsonRows):
        pieces = [extract_names(parts, layout, spec)]
    elif layout.unpivot is None and not any(f.headers for f in layout.fields.values()):
        pieces = extract_form(parts, layout, spec)
    else:
        pieces = extract_sheets(parts, layout, spec)
    return join([lengthen(piece, f"{spec.source}.yml") for piece in pieces])
