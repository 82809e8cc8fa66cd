"""Hooks: a named pure function over the raw texts of a delivery, for what no setting can say.

In: a `RawTable` and the name that a layout gives (`hook: code_before_name`). Out: the table with
the texts that the function has put in place, and without the rows that it has left out, counted as
no data under `hook`. A changed cell keeps what stood in the file, and its lineage names the hook,
so that a figure still opens to its cell.

A hook is a module of this folder, called by its name, with a docstring and

    def apply(frame: pandas.DataFrame) -> pandas.DataFrame

`frame` has a column of texts (str, None for a blank) for each field that the layout maps, and a row
for each candidate record; it may be a part of the delivery, so that a hook can only judge a row by
itself. The answer has the same columns and the same or fewer rows, under the same index. What a
hook does never changes under its name: other behaviour is another hook, so that a source file says
for ever how its deliveries were read.

Before you write one: headers, patterns, fill_down, code lists with aliases, blank and true words
say nearly everything (`infra/docs/guides/cookbook.md`).
Run it: `payesh hook list`
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl

from ingestion.errors import HouseError
from ingestion.table import CellType, Column, NonData, RawTable

if TYPE_CHECKING:
    import pandas as pd

    Hook = Callable[[pd.DataFrame], pd.DataFrame]

REASON: Final = "hook"


def names() -> list[str]:
    """The hooks that a layout may name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def about(name: str) -> str:
    """What a hook does, in its own words."""
    return inspect.cleandoc(importlib.import_module(f"{__name__}.{name}").__doc__ or "")


def with_hook(table: RawTable, name: str | None) -> RawTable:
    """`table` as the hook `name` leaves it, or as it is where a layout names none.

    Raises HouseError `hook-broke` for a hook that fails or gives
    back what it must not: that is a fault of the house, and refuses no file.
    """
    if name is None:
        return table
    before = _frame(table)
    after = _applied(name, before)
    kept = pl.Series(sorted(after.index), dtype=pl.UInt32)
    changed = {
        field: _changed(table.columns[field], before[field], after[field], f"hook {name}")
        for field in before.columns
    }
    found = replace(table, columns={**table.columns, **changed})
    return found if kept.len() == table.height else _only(found, kept)


def _frame(table: RawTable) -> pd.DataFrame:
    import pandas as pd

    mapped = {name: c.text.to_list() for name, c in table.columns.items() if _is_of_file(c)}
    return pd.DataFrame(mapped, index=range(table.height), dtype=object)


def _is_of_file(column: Column) -> bool:
    # a constant of the source file stands at the source file
    return not column.at.str.ends_with(".yml").all()


def _applied(name: str, before: pd.DataFrame) -> pd.DataFrame:
    hook: Hook = importlib.import_module(f"{__name__}.{name}").apply
    try:
        after = hook(before.copy())
        wrong = _wrong(before, after)
    except Exception as error:  # noqa: BLE001 - whatever it raises is told with its name
        wrong = f"{type(error).__name__}: {error}"[:200]
    if wrong is not None:
        raise HouseError(
            "hook-broke",
            f"The hook '{name}' can't be used on this delivery: {wrong}.",
            f"Mend ingestion/hooks/{name}.py and its test; the file is kept and loaded then.",
            f"ingestion/hooks/{name}.py",
        )
    return after.astype(object).where(after.notna(), None)


def _wrong(before: pd.DataFrame, after: pd.DataFrame) -> str | None:
    if list(after.columns) != list(before.columns):
        return f"it gives the columns {list(after.columns)} for {list(before.columns)}"
    if not after.index.is_unique or not after.index.isin(before.index).all():
        return "it adds rows or changes their index"
    for field in after.columns:
        values = after[field].dropna()
        other = next((value for value in values if not isinstance(value, str)), None)
        if other is not None:
            return f"{field} holds {other!r}, which is no text"
    return None


def _changed(column: Column, before: pd.Series, after: pd.Series, note: str) -> Column:
    """The column with the hook's texts; each changed cell remembers what stands in the file."""
    old = before.loc[after.index]
    rows = [
        int(row)
        for row, was, now in zip(after.index, old, after, strict=True)
        if was != now and not (was is None and now is None)
    ]
    if not rows:
        return column
    texts = [after.loc[row] for row in rows]
    decided = {
        row: (column.text[row], f"{note}: {'' if text is None else text}".strip())
        for row, text in zip(rows, texts, strict=True)
    }
    kinds = [int(CellType.BLANK if text is None else CellType.TEXT) for text in texts]
    return replace(
        column,
        text=_put(column.text, rows, texts),
        kind=None if column.kind is None else _put(column.kind, rows, kinds),
        number_format=None
        if column.number_format is None
        else _put(column.number_format, rows, [None] * len(rows)),
        decided={**column.decided, **decided},
    )


def _put(series: pl.Series, rows: list[int], values: Sequence[object]) -> pl.Series:
    return series.clone().scatter(rows, pl.Series(values, dtype=series.dtype))


def _only(table: RawTable, kept: pl.Series) -> RawTable:
    """The rows that the hook has kept; the others are counted, and their findings go with them."""
    place = {int(row): number for number, row in enumerate(kept)}

    def taken(series: pl.Series | None) -> pl.Series | None:
        return None if series is None else series.gather(kept)

    columns = {
        name: replace(
            column,
            text=column.text.gather(kept),
            at=column.at.gather(kept),
            kind=taken(column.kind),
            number_format=taken(column.number_format),
            headers=taken(column.headers),
            decided={place[row]: what for row, what in column.decided.items() if row in place},
        )
        for name, column in table.columns.items()
    }
    findings = [
        finding if finding.row is None else replace(finding, row=place[finding.row])
        for finding in table.findings
        if finding.row is None or finding.row in place
    ]
    dropped = NonData(REASON, table.height - kept.len())
    return replace(
        table,
        height=kept.len(),
        columns=columns,
        at=table.at.gather(kept),
        hidden=taken(table.hidden),
        faults=taken(table.faults),
        non_data=[*table.non_data, dropped],
        findings=findings,
    )
