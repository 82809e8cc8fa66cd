"""The entry of the room: what a reader gave, by the layout in force, to candidate records.

In: `Grid`s or `JsonRows`, the `Layout` and the source. Out: a `RawTable` whose rows and counts of
non-data add up to all rows read. Raises `LayoutError` when the form is not the declared one.
"""

from __future__ import annotations

import datetime as dt

from ingestion.errors import LayoutError
from ingestion.layouts.form import check_labels, extract_form
from ingestion.layouts.names import extract_names, names_found
from ingestion.layouts.pieces import join, lengthen
from ingestion.layouts.places import likeness
from ingestion.layouts.sheets import extract_sheets
from ingestion.spec.kinds import KINDS
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


# what another edition of a form looks like to a layout that is not its own
_ANOTHER_FORM = frozenset(
    {"header-not-found", "missing-column", "missing-sheet", "label-mismatch", "anchor-not-found"}
)


def extract_best(
    parts: list[Grid] | JsonRows, spec: SourceSpec, received_on: dt.date
) -> tuple[Layout, RawTable]:
    """The layout that fits a file received on a day, and what it reads.

    The newest layout in force is tried first. An older one is taken only where it is certain that
    the file is of its edition: it finds all its columns, and more of them than the newest does, or
    as many with no column left unknown. So a renamed column never makes a file "old" and its
    figures vanish. Of layouts with one date the one that finds most columns is taken.

    Raises `LayoutError`: what `extract` raises for the newest layout, with what the others lack;
    `ambiguous-layout` when two of one date fit alike; `no-layout`.
    """
    newest = layout_at(spec, received_on)
    candidates = [one for one in reversed(spec.layouts) if one.valid_from <= received_on]
    if len(candidates) == 1:
        return newest, extract(parts, newest, spec)
    errors: list[tuple[Layout, LayoutError]] = []
    to_beat = 0
    for date in sorted({one.valid_from for one in candidates}, reverse=True):
        read: list[tuple[int, Layout, RawTable]] = []
        for layout in (one for one in candidates if one.valid_from == date):
            try:
                table = extract(parts, layout, spec)
            except LayoutError as error:
                if error.code not in _ANOTHER_FORM:
                    raise
                errors.append((layout, error))
                if layout.is_table:
                    to_beat = max(to_beat, _likeness(parts, layout, spec))
                continue
            read.append((_likeness(parts, layout, spec), layout, table))
        fitting = [
            one
            for one in read
            if not errors
            or one[0] > to_beat
            or (one[0] == to_beat > 0 and not one[2].extra_headers)
        ]
        if fitting:
            return _one_of(fitting, spec)
    raise _none_fits(errors)


def _one_of(
    fitting: list[tuple[int, Layout, RawTable]], spec: SourceSpec
) -> tuple[Layout, RawTable]:
    best = max(found for found, _, _ in fitting)
    chosen = [(layout, table) for found, layout, table in fitting if found == best]
    if len(chosen) > 1:
        raise LayoutError(
            "ambiguous-layout",
            f"{len(chosen)} layouts that are valid from {chosen[0][0].valid_from} fit the file "
            "alike.",
            "Give them different valid_from dates, sheets, or headers that only one edition has.",
            spec.source,
        )
    return chosen[0]


def _none_fits(errors: list[tuple[Layout, LayoutError]]) -> LayoutError:
    first = errors[0][1]
    others = " ".join(
        f"The layout of {layout.valid_from}: {error.message}" for layout, error in errors[1:3]
    )
    message = f"{first.message} {others}".rstrip()
    return LayoutError(first.code, message, first.remedy, first.locator)


def _likeness(parts: list[Grid] | JsonRows, layout: Layout, spec: SourceSpec) -> int:
    """How many of its columns a layout finds in the file; for forms, of the labels it expects.

    A form without labels is like nothing: it would read any file.
    """
    kind = KINDS[spec.kind]
    if isinstance(parts, JsonRows):
        return names_found(parts, layout, kind)
    if not layout.is_table:
        labels = [one.label for one in layout.fields.values()]
        labels += [one.label for one in layout.cells]
        return len(layout.checks) + sum(label is not None for label in labels)
    return likeness(parts, layout, kind)


def extract(parts: list[Grid] | JsonRows, layout: Layout, spec: SourceSpec) -> RawTable:
    """Candidate records of one snapshot.

    Raises `LayoutError`: `header-not-found`, `missing-column`, `duplicate-header`,
    `second-header`, `missing-sheet`, `bad-cell-address`, `anchor-not-found`, `anchor-ambiguous`,
    `table-without-header`, `unclear-title`, `label-mismatch`, `duplicate-cell`, `unit-mismatch`.
    """
    if isinstance(parts, JsonRows):
        pieces = [extract_names(parts, layout, spec)]
    elif not layout.is_table:
        pieces = extract_form(parts, layout, spec)
    else:
        check_labels(parts, layout)
        pieces = extract_sheets(parts, layout, spec)
    return join([part for piece in pieces for part in lengthen(piece, f"{spec.source}.yml")])
