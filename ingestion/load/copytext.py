r"""Frames as the text that COPY reads and writes, so that both sides can be compared line by line.

In: polars frames of any types that raw holds. Out: the same values in the text form of COPY
(PostgreSQL manual, COPY, "Text Format"): tab between columns, `\N` for null, backslash escapes.
One form serves three ends: it is what goes to the server, what comes back from it, and what is
hashed, so "equal" has one meaning.

Measured on 300,000 progress rows, 2 cores, all in one transaction: text 3.2-3.4 s, CSV 3.4-3.9 s,
Arrow through ADBC 4.1-4.6 s. The server's share dominates (four indexes, jsonb), and text also
keeps decimal digits exact without a second connection.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

_SPECIAL = r"[\x00\x08-\x0d\\]"
# The order matters: a backslash added by a later replacement must not be doubled.
_ESCAPES = (
    ("\x00", "\ufffd"),
    ("\\", "\\\\"),
    ("\x08", "\\b"),
    ("\t", "\\t"),
    ("\n", "\\n"),
    ("\x0b", "\\v"),
    ("\x0c", "\\f"),
    ("\r", "\\r"),
)
_NULL = "\\N"
_SLICE_ROWS = 20_000

INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def escaped(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with each column as COPY text (Utf8; null stays null).

    NUL, which Postgres cannot store, becomes U+FFFD. Decimals keep their scale, instants are
    UTC with microseconds.
    """
    return frame.select([_escaped(frame[name]) for name in frame.columns])


def _escaped(series: pl.Series) -> pl.Series:
    if series.dtype == pl.String:
        text = series
    elif isinstance(series.dtype, pl.Datetime):
        if series.dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC")
        return series.dt.to_string(INSTANT_FORMAT)
    else:
        return series.cast(pl.String)
    if not text.str.contains(_SPECIAL).any():
        return text
    for character, escape in _ESCAPES:
        text = text.str.replace_all(character, escape, literal=True)
    return text


def json_text(series: pl.Series) -> pl.Series:
    r"""Return a column of JSON documents that jsonb accepts: `\u0000` becomes U+FFFD.

    Only documents that hold the escape are parsed; the others pass untouched.
    """
    suspect = series.str.contains("\\u0000", literal=True).fill_null(False)
    if not suspect.any():
        return series
    mended = [
        _without_nul(text) if is_suspect else text
        for text, is_suspect in zip(series.to_list(), suspect.to_list(), strict=True)
    ]
    return pl.Series(series.name, mended, dtype=pl.String)


def _without_nul(document: str) -> str:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\x00", "\ufffd")
        if isinstance(value, list):
            return [clean(item) for item in value]
        if isinstance(value, dict):
            return {clean(key): clean(item) for key, item in value.items()}
        return value

    return json.dumps(clean(json.loads(document)), ensure_ascii=False)


def lines(frame: pl.DataFrame) -> pl.Series:
    """Return each row of `frame` as one COPY line without its newline (Utf8, no nulls)."""
    if frame.height == 0:
        return pl.Series("line", [], dtype=pl.String)
    text = escaped(frame)
    joined = pl.concat_str([pl.col(name).fill_null(_NULL) for name in text.columns], separator="\t")
    return text.select(joined.alias("line")).to_series()


def copy_in(connection: psycopg.Connection, schema: str, table: str, frame: pl.DataFrame) -> None:
    """Append `frame` to `schema.table` inside the connection's transaction.

    Columns are matched by name; one without any value is left out, since a column of raw that may
    be null has no other default. Slices keep the text of a large load out of memory.
    """
    if frame.height == 0:
        return
    frame = frame.select(s for s in frame.get_columns() if s.null_count() < frame.height)
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(sql.Identifier(name) for name in frame.columns),
    )
    with connection.cursor() as cursor, cursor.copy(statement) as stream:
        for block in _blocks(frame):
            stream.write(block)


def _blocks(frame: pl.DataFrame) -> Iterator[bytes]:
    for part in frame.iter_slices(_SLICE_ROWS):
        buffer = io.BytesIO()
        _printable(part).write_csv(
            buffer, include_header=False, separator="\t", null_value=_NULL, quote_style="never"
        )
        yield buffer.getvalue()


def _printable(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that the CSV writer prints as COPY reads them: numbers, days and booleans as they
    are, all others as text."""
    return pl.DataFrame([_printed(frame[name]) for name in frame.columns])


def _printed(series: pl.Series) -> pl.Series:
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        return series
    if not series.dtype.is_temporal():
        return _escaped(series)
    # the source's name, the receipt, the period: few are told apart, and printing takes long
    distinct = series.unique()
    if distinct.len() * 8 > series.len():
        return _escaped(series)
    return series.replace_strict(distinct, _escaped(distinct), return_dtype=pl.String)


def copy_out(
    connection: psycopg.Connection, query: sql.Composable, parameters: Sequence[Any]
) -> pl.Series:
    """Return the rows of `query` as COPY lines (Utf8, the form of `lines`)."""
    statement = sql.SQL("copy ({}) to stdout").format(query)
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(statement, parameters) as stream:
        for block in stream:
            buffer.write(block)
    if buffer.tell() == 0:
        return pl.Series("line", [], dtype=pl.String)
    buffer.seek(0)
    # Every line break inside a value is escaped, so one physical line is one row; U+0001 as
    # separator would split values that hold it, so the text is cut by newline alone.
    text = pl.Series("line", [buffer.getvalue().decode("utf-8")])
    return text.str.strip_suffix("\n").str.split("\n").explode().rename("line")
