"""What a file says that raw does not know yet.

In: typed records of one receipt. Out: which rows are news. A row is no news when the latest
version of its (source, record_key), among those received up to this receipt, says the same.
Rows that raw has and the file has not are left alone: vanishing is no delete (S8).
"""

from __future__ import annotations

import datetime as dt

import polars as pl
import psycopg
from psycopg import sql

from ingestion.load.copytext import copy_out
from ingestion.load.typed import stored_content
from ingestion.spec.kinds import Kind


def is_news(
    connection: psycopg.Connection,
    kind: Kind,
    source: str,
    received_at: dt.datetime,
    frame: pl.DataFrame,
    rows: pl.Series,
) -> pl.Series:
    """Return for each row of `frame` whether it is a new version (Boolean).

    `rows` are the `content` lines of `frame`. Only the periods that the file touches are read.
    """
    if frame.height == 0:
        return pl.Series("is_news", [], dtype=pl.Boolean)
    known = heads(connection, kind, source, received_at, frame["period_start"])
    if len(known) == 0:
        return pl.Series("is_news", [True]).new_from_index(0, frame.height)
    # A line starts with the record's key, and each key has one head: membership is equality.
    return ~rows.is_in(known.implode()).rename("is_news")


def heads(
    connection: psycopg.Connection,
    kind: Kind,
    source: str,
    received_at: dt.datetime,
    periods: pl.Series,
) -> pl.Series:
    """Return the content lines of the latest version of each key in `periods`.

    Served by the index on (source, period_start, record_key).
    """
    query = sql.SQL(
        """
        select {content}
        from (
            select distinct on (record_key) *
            from {table}
            where source = %s and period_start = any(%s) and received_at <= %s
            order by record_key, received_at desc, load_id desc, record_no desc
        ) as head
        """
    ).format(content=stored_content(kind), table=sql.Identifier("raw", kind.name))
    return copy_out(connection, query, [source, periods.unique().sort().to_list(), received_at])
