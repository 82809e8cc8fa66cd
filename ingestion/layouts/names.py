"""JSON columns to fields, by name (traps P7, P10).

In: `JsonRows`. Out: one `Piece`. Names match exactly first, else by text key; dotted names reach
into nested objects.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.cells import text_of, without_blanks
from ingestion.layouts.form import cut_out
from ingestion.layouts.header import (
    Header,
    Target,
    match,
    refuse_missing,
    refuse_repeated,
    settle_titles,
    targets_of,
)
from ingestion.layouts.pieces import NUMERIC, Piece, Wide, constant, cut
from ingestion.layouts.words import is_figure, total_keys
from ingestion.normalise.text import key_series
from ingestion.readers.json_rows import PART, POINTER, escape
from ingestion.spec.kinds import KINDS, Kind
from ingestion.spec.model import Layout, SourceSpec
from ingestion.table import Column, ControlTotal, JsonRows, Places


def extract_names(rows: JsonRows, layout: Layout, spec: SourceSpec) -> Piece:
    """The mapped names of every record; records of nothing but nulls count as `blank`.

    Raises `LayoutError` (`missing-column`, `duplicate-header`), only when there are records.
    """
    kind = KINDS[spec.kind]
    frame = rows.frame
    names = [name for name in frame.columns if name not in (PART, POINTER)]
    header = _match(names, targets_of(layout, kind), frame)
    if frame.height and header.missing:
        raise refuse_missing(header, spec.source)
    if header.repeated:
        raise refuse_repeated(header, spec.source)
    settle_titles(header, kind, spec.source)
    at = frame.select(pl.format("{}#{}", PART, POINTER)).to_series().alias("at")
    columns: dict[str, Column] = {}
    piece = Piece(frame.height, at, columns)
    used: set[int] = set()
    for target, position in header.found.items():
        used.add(position)
        column = _column(frame, names[position], at)
        if target.wide is not None:
            piece.wide.append(Wide(target.wide, column, target.caught))
        elif target.field is not None:
            columns[target.field] = column
    piece.extra_headers = [name for i, name in enumerate(names) if i not in used]
    if layout.unpivot is not None:
        piece.into = layout.unpivot.into
        if any(wide.pattern for wide in layout.unpivot.columns):
            _refuse_unread(frame, piece.extra_headers, spec.source)
    _drop_non_data(piece, layout, kind)
    for name, mapping in layout.fields.items():
        if name in columns and mapping.pattern is not None:
            texts = [cut_out(text, mapping) for text in columns[name].text.to_list()]
            columns[name] = replace(columns[name], text=pl.Series(texts, dtype=pl.Utf8))
        if mapping.value is not None:
            columns[name] = constant(text_of(mapping.value), piece.height, f"{spec.source}.yml")
    return piece


def _refuse_unread(frame: pl.DataFrame, names: list[str], where: str) -> None:
    """Where names are known by their form, figures under one of another form stop the answer."""
    for name in names:
        texts = frame.get_column(name).drop_nulls().unique().head(1000)
        if any(is_figure(text) for text in texts.to_list()):
            raise LayoutError(
                "unclear-title",
                f"'{name}' holds figures, but the name is of none of the declared forms.",
                "Give it a pattern or headers under unpivot.columns, or list it under "
                "unpivot.ignore.",
                where,
            )


def names_found(rows: JsonRows, layout: Layout, kind: Kind) -> int:
    """How many of the names that the layout speaks of the records have."""
    names = [name for name in rows.frame.columns if name not in (PART, POINTER)]
    return _match(names, targets_of(layout, kind), rows.frame).score


def _match(names: list[str], targets: list[Target], frame: pl.DataFrame) -> Header:
    """Names by target; of several spellings the exact one, unless another fills its gaps.

    Records that write `actual` here and `Actual` there were renamed half-way: nobody can tell
    which of the two is the field, so such a target stays repeated.
    """
    header = match(0, 1, {i: (name,) for i, name in enumerate(names)}, targets)
    for target in list(header.repeated):
        exact = [c for c in header.repeated[target] if names[c] in target.aliases]
        others = [names[c] for c in header.repeated[target] if c not in exact]
        if len(exact) == 1 and not _fills_gaps(frame, names[exact[0]], others):
            header.found[target] = exact[0]
            del header.repeated[target]
    return header


def _fills_gaps(frame: pl.DataFrame, name: str, others: list[str]) -> bool:
    gaps = frame.filter(pl.col(name).is_null())
    return any(gaps[other].null_count() < gaps.height for other in others)


def _column(frame: pl.DataFrame, name: str, at: pl.Series) -> Column:
    text = without_blanks(frame.get_column(name))
    path = "/".join(escape(token) for token in name.split("."))
    return Column(text, Places(at, f"/{path}"), header=name)


def _drop_non_data(piece: Piece, layout: Layout, kind: Kind) -> None:
    """Count and leave out records without any value, and totals (trap K9)."""
    if not piece.height:
        return
    everything = [*piece.columns.values(), *(one.column for one in piece.wide)]
    blank = pl.Series([True]).new_from_index(0, piece.height)
    for column in everything:
        blank = blank & column.text.is_null()
    words = list(total_keys(layout.total_words))
    total = pl.Series([False]).new_from_index(0, piece.height)
    for one in kind.key_fields:
        if one.type == "code" and one.name in piece.columns:
            text = piece.columns[one.name].text
            names = text.drop_nulls().unique()
            is_total = text.is_in(names.filter(key_series(names).is_in(words)).implode())
            is_total = is_total.fill_null(value=False)
            piece.control_totals += _control_totals(piece, kind, text, is_total & ~total)
            total = total | is_total
    piece.non_data["blank"] += int(blank.sum())
    piece.non_data["total"] += int(total.sum())
    keep = ~(blank | total)
    if keep.all():
        return
    piece.height = int(keep.sum())
    piece.at = piece.at.filter(keep)
    piece.columns.update({name: cut(column, keep) for name, column in piece.columns.items()})
    piece.wide = [replace(one, column=cut(one.column, keep)) for one in piece.wide]


def _control_totals(
    piece: Piece, kind: Kind, label: pl.Series, rows: pl.Series
) -> list[ControlTotal]:
    numbers = [
        (name, "", column)
        for name, column in piece.columns.items()
        if kind.field(name).type in NUMERIC
    ]
    numbers += [(piece.into, f" / {one.column.header}", one.column) for one in piece.wide]
    return [
        ControlTotal(f"{label[i]}{suffix}", name, column.text[i], column.at[i])
        for i in rows.arg_true()
        for name, suffix, column in numbers
        if column.text[i] is not None
    ]
