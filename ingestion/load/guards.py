"""Reasons to refuse a whole file although its rows can be read.

In: what a file says and what the source said before. Out: a `Rejection` or nothing. A refused
file leaves its snapshot, a ledger row and its findings; what was loaded before stays in force.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from dataclasses import field as default

import polars as pl
import psycopg
from psycopg import sql

from ingestion.load.ledger import PreviousLoad
from ingestion.load.typed import content_fields
from ingestion.spec.kinds import Kind, KindField
from ingestion.spec.model import SourceSpec
from ingestion.table import Records

RULE = "guard/1"

# Powers of ten that a wrong unit makes: rial for toman, thousands, millions; percent for fraction.
_JUMPS: dict[str, tuple[int, ...]] = {
    "pct": (-2, 2),
    "rial": (-6, -3, -1, 1, 3, 6),
    "number": (-6, -3, -2, -1, 1, 2, 3, 6),
}
_JUMP_WIDTH = 0.1
"""In decades: 10x means a ratio of 7.9 to 12.6."""
_JUMP_SHARE = 0.8
_MIN_PAIRS = 3
_SAMPLE = 2000

ACCEPTABLE = frozenset({"shrunk", "unit-jump", "too-few-rows", "too-many-quarantined"})
"""Refusals that somebody may overrule for one file: its content was looked at and is right."""


@dataclass(frozen=True)
class Rejection:
    """Why a file is refused, and what to do about it."""

    code: str
    message: str
    remedy: str


@dataclass
class Counts:
    """The rows of a file: read, refused, recognised as no records, readable (by period)."""

    rows_read: int = 0
    rows_refused: int = 0
    non_data: Counter[str] = default(default_factory=Counter)
    readable: int = 0
    by_period: Counter[dt.date] = default(default_factory=Counter)

    def add(self, records: Records, frame: pl.DataFrame) -> None:
        """Count what contracts made of a file or of a part; `frame` holds its accepted rows."""
        self.rows_read += records.rows_read
        self.rows_refused += records.rows_refused
        self.non_data.update(records.non_data)
        self.readable += frame.height
        counts = frame.group_by("period_start").len()
        self.by_period.update(dict(counts.iter_rows()))


def by_counts(spec: SourceSpec, counts: Counts, previous: PreviousLoad | None) -> Rejection | None:
    """Judge a file by how many rows it has and how many of them could be read."""
    candidates = counts.rows_read - sum(counts.non_data.values())
    if candidates == 0:
        if getattr(spec.connector, "may_be_empty", False):
            return None
        if previous is not None and previous.rows > 0:
            return Rejection(
                "empty-after-data",
                f"The file has no records; the last one had {previous.rows}.",
                "Ask the source's owner; what was loaded before stays in force.",
            )
        return Rejection(
            "no-records",
            "The file has no records.",
            "Check with `payesh source check` that the layout looks at the right sheet and header.",
        )
    quality = spec.quality
    if quality.min_rows is not None and counts.readable < quality.min_rows:
        return Rejection(
            "too-few-rows",
            f"{counts.readable} readable rows; the source file asks for {quality.min_rows}.",
            "Ask the source's owner for the whole report, or lower quality.min_rows.",
        )
    if counts.rows_refused > quality.max_quarantined_share * candidates:
        share = 100 * counts.rows_refused / candidates
        return Rejection(
            "too-many-quarantined",
            f"{counts.rows_refused} of {candidates} rows ({share:.0f} %) could not be read; the "
            f"limit is {100 * quality.max_quarantined_share:.0f} %.",
            "Look at the rows with `payesh quarantine list`; mostly the template has changed.",
        )
    return None


def by_shrinkage(
    connection: psycopg.Connection,
    spec: SourceSpec,
    counts: Counts,
    previous: PreviousLoad | None,
) -> Rejection | None:
    """Judge a file by its size against the last one's.

    A file that covers the last one's periods is held against all of it. One that opens a later
    period (a file a week) is held against what the last one brought for its own newest period.
    A file for past periods only may be as small as it likes: it is a correction.
    """
    if getattr(spec.connector, "updated_since", None) is not None:
        return None  # an answer of changes only is as small as they are
    share = spec.quality.max_shrinkage
    if share <= 0 or previous is None or counts.readable == 0:
        return None
    if previous.period_min is None or previous.period_max is None:
        return None
    first, last = min(counts.by_period), max(counts.by_period)
    if first <= previous.period_min and last >= previous.period_max:
        rows, before = counts.readable, previous.rows
        scope = "in all"
    elif last > previous.period_max:
        rows = counts.by_period[last]
        before = _brought(connection, spec.kind, previous.load_id, previous.period_max)
        scope = f"for the period from {last}"
    else:
        return None
    if rows >= share * before:
        return None
    return Rejection(
        "shrunk",
        f"{rows} rows {scope}; the last load had {before}, and less than {100 * share:.0f} % of "
        "that is refused.",
        "Ask the source's owner for the whole report, or lower quality.max_shrinkage.",
    )


def sample(kind: Kind, news: pl.DataFrame) -> pl.DataFrame:
    """As much of `news` as `by_unit` needs: numbers of the newest period, thinned out evenly."""
    names = ["record_key", "period_kind", "period_start"]
    names += [f.column for f in content_fields(kind) if f.type in _JUMPS]
    if "indicator_code" in news.columns:
        names.append("indicator_code")
    newest = news.filter(pl.col("period_start") == pl.col("period_start").max())
    return newest.select(names).gather_every(max(1, newest.height // _SAMPLE))


def by_unit(
    connection: psycopg.Connection,
    kind: Kind,
    source: str,
    received_at: dt.datetime,
    news: pl.DataFrame,
) -> Rejection | None:
    """Judge a file by its numbers against the same records' last ones (N10).

    `news` holds new versions only, or a sample of them. For the newest period among them each
    number is divided by the one that the source gave before for the same record, in this period
    or the two latest before it. A wrong unit multiplies all of a column by one power of ten;
    growth does not. At least three pairs, 80 % of them at the same power, are asked for.
    """
    fields = [f for f in content_fields(kind) if f.type in _JUMPS]
    if news.height == 0 or not fields:
        return None
    newest = news.sort("period_start").tail(1)
    period_kind, period = newest["period_kind"].item(), newest["period_start"].item()
    now = news.filter((pl.col("period_start") == period) & (pl.col("period_kind") == period_kind))
    now = now.gather_every(max(1, now.height // _SAMPLE))
    entities = now["record_key"].str.replace(r"^[^|]*\|", "")
    before = last_known(
        connection, kind, fields, source, received_at, period_kind, period, entities.to_list()
    )
    if not before:
        return None
    groups = (
        now["indicator_code"].to_list() if "indicator_code" in now.columns else [""] * now.height
    )
    for position, field in enumerate(fields):
        ratios: dict[str, list[float]] = defaultdict(list)
        values = now[field.column].cast(pl.Float64).to_list()
        for entity, group, value in zip(entities.to_list(), groups, values, strict=True):
            old = before.get(entity, ())[position] if entity in before else None
            if value and old and value / old > 0:
                ratios[group].append(value / old)
        for group, found in ratios.items():
            power = _jump(found, _JUMPS[field.type])
            if power is not None:
                what = f"{field.name} of {group}" if group else field.name
                return Rejection(
                    "unit-jump",
                    f"{what} is {_factor(power)} what it was before in {len(found)} records "
                    f"(median ratio {statistics.median(found):.4g}): the unit seems to differ.",
                    "Compare the file's unit with `unit` or `percent_scale` in the source file; "
                    "correct the source file, or ask for a corrected report.",
                )
    return None


def _brought(connection: psycopg.Connection, kind: str, load_id: int, period: dt.date) -> int:
    row = connection.execute(
        sql.SQL("select count(*) from {} where load_id = %s and period_start = %s").format(
            sql.Identifier("raw", kind)
        ),
        [load_id, period],
    ).fetchone()
    return 0 if row is None else int(row[0])


def last_known(
    connection: psycopg.Connection,
    kind: Kind,
    fields: list[KindField],
    source: str,
    received_at: dt.datetime,
    period_kind: str,
    period: dt.date,
    entities: list[str],
) -> dict[str, tuple[float | None, ...]]:
    """The last known numbers by entity (the record key without its period)."""
    table = sql.Identifier("raw", kind.name)
    periods: list[dt.date] = []
    bound = period + dt.timedelta(days=1)
    for _ in range(3):
        row = connection.execute(
            sql.SQL(
                "select max(period_start) from {} "
                "where source = %s and period_start < %s and received_at < %s"
            ).format(table),
            [source, bound, received_at],
        ).fetchone()
        if row is None or row[0] is None:
            break
        bound = row[0]
        periods.append(bound)
    if not periods:
        return {}
    keys = [f"{period_kind}:{start}|{entity}" for start in periods for entity in entities]
    rows = connection.execute(
        sql.SQL(
            """
            select distinct on (entity) entity, {numbers}
            from (
                select *, substr(record_key, strpos(record_key, '|') + 1) as entity
                from {table}
                where
                    source = %(source)s
                    and period_start = any(%(periods)s)
                    and record_key = any(%(keys)s)
                    and received_at < %(received_at)s
                    and not is_retracted
            ) as past
            order by entity, period_start desc, received_at desc, load_id desc, record_no desc
            """
        ).format(
            table=table,
            numbers=sql.SQL(", ").join(
                sql.SQL("{}::float8").format(sql.Identifier(f.column)) for f in fields
            ),
        ),
        {"source": source, "periods": periods, "keys": keys, "received_at": received_at},
    ).fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


def _jump(ratios: list[float], powers: tuple[int, ...]) -> int | None:
    """The power of ten at which the ratios lie, if they do."""
    if len(ratios) < _MIN_PAIRS:
        return None
    decades = [math.log10(ratio) for ratio in ratios]
    middle = statistics.median(decades)
    for power in powers:
        near = sum(abs(decade - power) <= _JUMP_WIDTH for decade in decades)
        if abs(middle - power) <= _JUMP_WIDTH and near >= _JUMP_SHARE * len(decades):
            return power
    return None


def _factor(power: int) -> str:
    return f"{10**power:,} times" if power > 0 else f"one {10**-power:,}th of"
