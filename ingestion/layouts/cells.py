"""Python cell values of one column to polars: text, kind, number format.

In: a list of what a reader left in the cells. Out: series of the same length. Numbers become the
shortest text that gives the same number again, so that a decimal typed by a person comes back as
typed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ingestion.table import CellError, CellType

ERROR_NAMES: Final = (
    "#REF!",
    "#DIV/0!",
    "#N/A",
    "#VALUE!",
    "#NAME?",
    "#NULL!",
    "#NUM!",
    "#SPILL!",
    "#CALC!",
)
_SPACES: Final = " \t\r\n\u00a0\u200b\u200c\u200e\u200f\u202a\u202b\u202c\u2009\u3000\ufeff"
_BLANK: Final = f"^[{_SPACES}]*$"


@dataclass(frozen=True)
class Unvalued:
    """A formula without a computed value, put in its cell's place."""

    formula: str


@dataclass(frozen=True)
class Cells:
    """text: Utf8, null = blank; kind: UInt8 or None when all is text; formats: Utf8 or None."""

    text: pl.Series
    kind: pl.Series | None
    formats: pl.Series | None

    def take(self, rows: pl.Series) -> Cells:
        """The cells of some positions."""
        return Cells(
            self.text.gather(rows),
            None if self.kind is None else self.kind.gather(rows),
            None if self.formats is None else self.formats.gather(rows),
        )


def is_blank(value: Any) -> bool:
    """Nothing, or nothing that can be seen."""
    return value is None or (type(value) is str and not value.strip(_SPACES))


def stored_cells(texts: pl.Series, numbers: pl.Series) -> Cells:
    """Cells from texts (Utf8) and numbers (Float64) of which at most one is given for each."""
    text = without_blanks(texts)
    if numbers.null_count() == numbers.len():
        return _kinds(text, None, None)
    return _kinds(text, _written(numbers), None)


def _kinds(text: pl.Series, numbers: pl.Series | None, formats: pl.Series | None) -> Cells:
    """Texts beside numbers as text, each null where the other is given."""
    is_error = text.is_in(ERROR_NAMES)
    if numbers is None and not is_error.any():
        return Cells(text, None, formats)
    frame = pl.DataFrame({"text": text, "is_error": is_error}).select(
        "text",
        pl.when(pl.col("text").is_null())
        .then(int(CellType.BLANK))
        .when("is_error")
        .then(int(CellType.ERROR))
        .otherwise(int(CellType.TEXT))
        .cast(pl.UInt8)
        .alias("kind"),
    )
    if numbers is not None:
        frame = frame.select(
            pl.coalesce("text", numbers).alias("text"),
            pl.when(numbers.is_not_null())
            .then(pl.lit(int(CellType.NUMBER), pl.UInt8))
            .otherwise("kind")
            .alias("kind"),
        )
    return Cells(frame.get_column("text"), frame.get_column("kind"), formats)


def _written(floats: pl.Series) -> pl.Series:
    """The shortest text that gives each number again (Utf8)."""
    whole = (pl.col("f") == pl.col("f").round(0)) & (pl.col("f").abs() < 1e15)
    integers = pl.col("f").cast(pl.Int64, strict=False).cast(pl.Utf8)
    frame = floats.rename("f").to_frame()
    if frame.select((whole | pl.col("f").is_null()).all()).item():
        return frame.select(integers).to_series()
    return frame.select(
        pl.when(whole).then(integers).otherwise(pl.col("f").cast(pl.Utf8))
    ).to_series()


def to_cells(values: Sequence[Any], formats: Mapping[int, str] | None = None) -> Cells:
    """The column `values`; `formats` gives the number format of some of its positions."""
    types = set(map(type, values))
    text = pl.Series(
        "text", [v if type(v) is str else None for v in values] if str in types else [], pl.Utf8
    )
    if str not in types:
        text = pl.Series("text", [None], pl.Utf8).new_from_index(0, len(values))
    text = without_blanks(text)
    if types <= {str, type(None)} and not text.is_in(ERROR_NAMES).any():
        return Cells(text, None, None)
    frame = text.to_frame().with_columns(
        pl.when(pl.col("text").is_null())
        .then(int(CellType.BLANK))
        .when(pl.col("text").is_in(ERROR_NAMES))
        .then(int(CellType.ERROR))
        .otherwise(int(CellType.TEXT))
        .cast(pl.UInt8)
        .alias("kind")
    )
    if float in types or int in types:
        numbers = _number_text(values)
        frame = frame.with_columns(
            pl.coalesce("text", numbers).alias("text"),
            pl.when(numbers.is_not_null())
            .then(pl.lit(int(CellType.NUMBER), pl.UInt8))
            .otherwise("kind")
            .alias("kind"),
        )
    if types - {str, float, int, type(None)}:
        others = [None if type(v) in _PLAIN else _other(v) for v in values]
        frame = frame.with_columns(
            pl.coalesce(
                "text", pl.Series([o[0] if o else None for o in others], dtype=pl.Utf8)
            ).alias("text"),
            pl.coalesce(
                pl.Series([int(o[1]) if o else None for o in others], dtype=pl.UInt8), "kind"
            ).alias("kind"),
        )
    shown = None
    if formats:
        shown = pl.Series([formats.get(i) for i in range(len(values))], dtype=pl.Utf8)
    return Cells(frame.get_column("text"), frame.get_column("kind"), shown)


_PLAIN: Final = frozenset({str, float, int, type(None)})


def text_of(value: Any) -> str | None:
    """The text of one cell, as `to_cells` gives it for a column; None when it is blank."""
    if is_blank(value):
        return None
    if type(value) is str:
        return value
    if type(value) in (int, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return _other(value)[0]


def without_blanks(text: pl.Series) -> pl.Series:
    """A Utf8 series with null for texts of nothing that can be seen."""
    if not text.str.contains(_BLANK).any():
        return text
    frame = text.to_frame("text")
    seen = pl.col("text").str.strip_chars(_SPACES).str.len_bytes() > 0
    return frame.select(pl.when(seen).then("text").alias("text")).to_series()


def _number_text(values: Sequence[Any]) -> pl.Series:
    # int and float apart: an int beyond 2**53 must not pass through a float
    text = _written(pl.Series([v if type(v) is float else None for v in values], dtype=pl.Float64))
    if any(type(v) is int for v in values):
        ints = pl.Series([str(v) if type(v) is int else None for v in values], dtype=pl.Utf8)
        text = pl.select(pl.coalesce(text, ints)).to_series()
    return text


def _other(value: Any) -> tuple[str, CellType]:
    if isinstance(value, bool):
        return ("true" if value else "false"), CellType.BOOL
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat(), CellType.DATE
    if isinstance(value, dt.timedelta):
        return str(value), CellType.DATE
    if isinstance(value, CellError):
        return value.name, CellType.ERROR
    if isinstance(value, Unvalued):
        return value.formula, CellType.NO_VALUE
    raise TypeError(f"a reader left a {type(value).__name__} in a cell")
