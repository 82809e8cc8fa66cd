"""What a file says that raw does not know yet.

In: typed records of one receipt. Out: which rows are news. A row is no news when the latest
version of its (source, record_key), among those received up to this receipt, says the same.
Rows that raw has and the file has not are left alone: vanishing is no delete (S8), it is told of
by `ingestion.load.missing`.
"""

from __future__ import annotations

import datetime as dt

import polars as pl
import psycopg
from psycopg import sql

from ingestion.load.copytext import copy_out
from ingestion.load.typed import stored_content
from ingestion.spec.kinds import Kind


class Heads:
    """The latest versions of a source's records as known before a receipt, period by period.

    Only the periods that a file touches are read, each once, by the index on (source,
    period_start, record_key).
    """

    def __init__(
        self, connection: psycopg.Connection, kind: Kind, source: str, received_at: dt.datetime
    ) -> None:
        self._connection = connection
        self._kind = kind
        self._source = source
        self._received_at = received_at
        self._by_period: dict[dt.date, pl.Series] = {}

    @property
    def by_period(self) -> dict[dt.date, pl.Series]:
        """The content lines in force, of the periods that the file touches."""
        return self._by_period

    def is_news(self, frame: pl.DataFrame, rows: pl.Series) -> pl.Series:
        """Return for each row of `frame` whether it is a new version (Boolean).

        `rows` are the `content` lines of `frame`.
        """
        periods: list[dt.date] = frame["period_start"].unique().sort().to_list()
        self._read([period for period in periods if period not in self._by_period])
        known = [self._by_period[p] for p in periods if self._by_period[p].len()]
        if not known:
            return pl.Series("is_news", [True]).new_from_index(0, frame.height)
        # A line starts with the record's key, and each key has one head: membership is equality.
        return ~rows.is_in(pl.concat(known).implode()).rename("is_news")

    def _read(self, periods: list[dt.date]) -> None:
        if not periods:
            return
        query = sql.SQL(
            """
            select period_start, {content}
            from (
                select distinct on (record_key) *
                from {table}
                where source = %s and period_start = any(%s) and received_at <= %s
                order by record_key, received_at desc, load_id desc, record_no desc
            ) as head
            """
        ).format(content=stored_content(self._kind), table=sql.Identifier("raw", self._kind.name))
        found = copy_out(self._connection, query, [self._source, periods, self._received_at])
        day_and_line = found.str.splitn("\t", 2).struct.unnest()
        days = day_and_line.to_series(0).str.to_date("%Y-%m-%d")
        lines = day_and_line.to_series(1).alias("line")
        for period in periods:
            self._by_period[period] = lines.filter(days == period)
