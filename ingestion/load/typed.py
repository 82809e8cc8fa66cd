"""Records as contracts leave them -> exactly the columns that raw has, and the content of a row.

In: `Records.accepted` and its kind. Out: a frame whose text form equals what Postgres prints for
the same values, and per row the *content*: what makes two versions of a record the same.

Not part of the content: where the cell stood, when it was received, and `reported_at`; a
publication of unchanged figures under a new date is not an update (S10).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl
import psycopg
from psycopg import sql

from ingestion.load.copytext import json_text, lines
from ingestion.spec.kinds import Kind, KindField
from ingestion.table import Finding

COMMON_COLUMNS = (
    "record_key",
    "period_kind",
    "period_start",
    "reported_at",
    "is_retracted",
    "is_hidden",
    "cells_required",
    "cells_filled",
    "locator",
    "lineage",
)
_COMMON_TYPES: dict[str, pl.DataType] = {
    "record_key": pl.String(),
    "period_kind": pl.String(),
    "period_start": pl.Date(),
    "reported_at": pl.Datetime("us", "UTC"),
    "is_retracted": pl.Boolean(),
    "is_hidden": pl.Boolean(),
    "cells_required": pl.Int16(),
    "cells_filled": pl.Int16(),
    "locator": pl.String(),
    "lineage": pl.String(),
}
_PRECISION = 38
_INSTANT_SQL = """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def own_fields(kind: Kind) -> tuple[KindField, ...]:
    """The fields with a column of their own in `raw.<kind>`, beside those that all kinds share."""
    return tuple(f for f in kind.fields if f.column not in _COMMON_TYPES)


def content_fields(kind: Kind) -> tuple[KindField, ...]:
    """The fields whose change makes a new version; the key is compared as `record_key`."""
    return tuple(f for f in own_fields(kind) if not f.is_key)


def typed(accepted: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Return the raw columns of `accepted` in their exact types, `row` (UInt32) last.

    Decimal text or decimals with more places than the column keeps are a fault of whoever made
    them and raise ValueError: rounding here would be a second rounding rule (N17). So do missing
    columns and keys that occur twice.
    """
    fields = own_fields(kind)
    wanted = [*COMMON_COLUMNS, *(f.column for f in fields), "row"]
    missing = [name for name in wanted if name not in accepted.columns]
    if missing:
        raise ValueError(f"records of kind {kind.name} lack the columns {', '.join(missing)}")
    columns = [accepted[name].cast(dtype) for name, dtype in _COMMON_TYPES.items()]
    columns += [_own(accepted[field.column], field) for field in fields]
    columns.append(accepted["row"].cast(pl.UInt32))
    frame = pl.DataFrame(columns)
    if frame["record_key"].n_unique() != frame.height:
        twice = frame["record_key"].filter(frame["record_key"].is_duplicated()).head(1).to_list()
        raise ValueError(f"the key {twice[0]!r} occurs twice among the accepted records")
    return frame.with_columns(json_text(frame["lineage"]))


def _own(series: pl.Series, field: KindField) -> pl.Series:
    if field.type in ("pct", "rial", "number"):
        return _decimal(series, field)
    if field.type == "integer":
        return series.cast(pl.Int64)
    if field.type == "boolean":
        return series.cast(pl.Boolean)
    if field.type == "date":
        return series.cast(pl.Date)
    if field.type == "instant":
        return series.cast(pl.Datetime("us", "UTC"))
    if field.type == "json":
        return json_text(series.cast(pl.String))
    text = series.cast(pl.String)
    # raw keeps '' for an absent key part or code of a list, so that joins need no null rule
    return text.fill_null("") if field.is_key or field.code_list else text


def _decimal(series: pl.Series, field: KindField) -> pl.Series:
    scale = field.scale or 0
    exact = series.cast(pl.Decimal(_PRECISION, scale))
    if series.dtype == pl.String:
        if series.str.contains("[eE]").any():
            raise ValueError(f"{field.name}: exponents are not plain decimal text")
        places = series.str.extract(r"\.(\d*?)0*$").str.len_chars()
        is_lossy = (places > scale).any()
    elif isinstance(series.dtype, pl.Decimal) and series.dtype.scale > scale:
        is_lossy = (exact.cast(series.dtype) != series).any()
    elif series.dtype.is_float():
        raise ValueError(f"{field.name}: floats are not exact; give decimals or decimal text")
    else:
        is_lossy = False
    if is_lossy:
        raise ValueError(f"{field.name}: more than {scale} decimal places reached the loader")
    return exact


def content(connection: psycopg.Connection, frame: pl.DataFrame, kind: Kind) -> pl.Series:
    """Return what each row of a `typed` frame says, as COPY lines equal to `stored_content`."""
    fields = content_fields(kind)
    chosen = frame.select("record_key", "is_retracted", *(f.column for f in fields))
    for field in fields:
        if field.type == "json":
            chosen = chosen.with_columns(_as_jsonb(connection, chosen[field.column]))
    return lines(chosen)


def stored_content(kind: Kind) -> sql.Composed:
    """The select list that gives `content` for rows of `raw.<kind>`, with alias-free columns."""
    columns: list[sql.Composable] = [sql.Identifier("record_key"), _boolean("is_retracted")]
    for field in content_fields(kind):
        name = sql.Identifier(field.column)
        if field.type == "instant":
            columns.append(sql.SQL(_INSTANT_SQL).format(name))
        elif field.type == "date":
            columns.append(sql.SQL("to_char({}, 'YYYY-MM-DD')").format(name))
        elif field.type == "boolean":
            columns.append(_boolean(field.column))
        else:
            columns.append(sql.SQL("{}::text").format(name))
    return sql.SQL(", ").join(columns)


def _boolean(column: str) -> sql.Composed:
    # COPY prints booleans as t and f, text prints them as polars does
    return sql.SQL("{}::text").format(sql.Identifier(column))


def _as_jsonb(connection: psycopg.Connection, series: pl.Series) -> pl.Series:
    """Let Postgres write each document the way it prints a stored one."""
    rows = connection.execute(
        "select d::jsonb::text from unnest(%s::text[]) with ordinality as t(d, n) order by n",
        [series.to_list()],
    ).fetchall()
    return pl.Series(series.name, [row[0] for row in rows], dtype=pl.String)


class ContentHash:
    """Hash what a file says, whatever the order of its rows and where in it they stand (S1).

    Rows are hashed one by one and their hashes added up, so that a file which is read in batches
    has the hash of the whole and none of its rows need be kept.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add(self, rows: pl.Series) -> None:
        """Take in `content` lines."""
        sha256, to_int = hashlib.sha256, int.from_bytes
        for line in rows.cast(pl.Binary).to_list():
            self._sum += to_int(sha256(line).digest(), "big")
        self._count += rows.len()

    def hexdigest(self, findings: Sequence[Finding]) -> str:
        """The hash; refused rows and cells count by what was wrong with them."""
        total = self._sum % (1 << 256)
        digest = hashlib.sha256(f"{self._count}\n{total:064x}\n".encode())
        for item in sorted(
            f"{f.scope}\t{f.reason_code}\t{f.field or ''}\t{f.raw_text or ''}" for f in findings
        ):
            digest.update(item.encode())
            digest.update(b"\n")
        return digest.hexdigest()
