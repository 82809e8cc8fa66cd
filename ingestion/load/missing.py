"""Records that raw has and a delivery has not: told of, and withdrawn only by a replay (S8, P8).

In: what a file said of the periods that it covers, and what was in force there before. Out:
findings `no-longer-reported` for records that the file has left out; they stay in force, for
leaving out is no withdrawing. A file that holds less than half of a period is a correction, not
a whole delivery, and an answer of changes only says nothing of what it leaves out (S7).

A replay is different: there the same bytes are read again under a corrected source file, and a
record that they do not give any more was misread before. `withdraw` puts what was in force before
these bytes back in its place, or a tombstone where nothing was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from ingestion.connectors.http_json import SINCE
from ingestion.load.ledger import Receipt
from ingestion.load.typed import COMMON_COLUMNS, own_fields
from ingestion.normalise.rules import rule
from ingestion.spec.kinds import Kind
from ingestion.spec.model import SourceSpec
from ingestion.table import Finding

_SHOWN: Final = 200
_UNESCAPED: Final = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


@dataclass(frozen=True)
class Missing:
    """Findings about records that a delivery leaves out, and by their `row` whom they concern."""

    findings: list[Finding]
    about: pl.DataFrame


def left_out(
    heads: dict[dt.date, pl.Series], keys: pl.Series, receipt: Receipt, spec: SourceSpec
) -> list[str]:
    """The keys in force in the periods of a whole delivery that it does not hold.

    `heads` are content lines by period, `keys` the hashes of all keys of the file.
    """
    if spec.quality.max_shrinkage <= 0 or _is_of_changes_only(receipt):
        return []
    found: list[str] = []
    for period in sorted(heads):
        in_force = heads[period].str.extract("^([^\t]*)\tfalse").drop_nulls()
        if in_force.str.contains("\\", literal=True).any():
            in_force = in_force.str.replace_many(list(_UNESCAPED), list(_UNESCAPED.values()))
        gone = in_force.filter(~in_force.hash().is_in(keys.implode()))
        if gone.len() <= spec.quality.max_shrinkage * in_force.len():
            found += gone.sort().to_list()
    return found


def _is_of_changes_only(receipt: Receipt) -> bool:
    return any(SINCE in (part.get("headers") or {}) for part in receipt.parts)


def told(
    connection: psycopg.Connection, kind: Kind, receipt: Receipt, keys: Sequence[str], first: int
) -> Missing:
    """A finding for each record left out, as many as anybody reads; `first` numbers their rows."""
    names = {column.name for column in _described(connection, kind)}
    wanted = ["agency_code", "province_code"]
    selected = [
        sql.Identifier(name)
        if name in names
        else sql.SQL("null as {}").format(sql.Identifier(name))
        for name in wanted
    ]
    rows = connection.execute(
        sql.SQL(
            """
            select distinct on (record_key)
                record_key, period_kind, period_start, received_at, {who}
            from {table}
            where source = %s and record_key = any(%s) and received_at <= %s
            order by record_key, received_at desc, load_id desc, record_no desc
            """
        ).format(who=sql.SQL(", ").join(selected), table=sql.Identifier("raw", kind.name)),
        [receipt.source, list(keys[:_SHOWN]), receipt.received_at],
    ).fetchall()
    findings = [
        Finding(
            "file",
            "no-longer-reported",
            receipt.name or receipt.sha256,
            f"The record {record} is missing from this delivery; it was last changed by the one of "
            f"{received:%Y-%m-%d} and stays in force.",
            "Ask whether it was forgotten, or has ended; what has ended is withdrawn or reported "
            "with its reason, never left out.",
            rule("missing"),
            raw_text=record,
            row=first + number,
        )
        for number, (record, _, _, received, _, _) in enumerate(rows)
    ]
    if len(keys) > _SHOWN:
        findings.append(
            Finding(
                "file",
                "no-longer-reported",
                receipt.name or receipt.sha256,
                f"{len(keys) - _SHOWN} further records are missing from this delivery; they stay "
                "in force.",
                "Ask the source's owner for the whole report.",
                rule("missing"),
            )
        )
    about = pl.DataFrame(
        [(f.row, agency, province, row[1], row[2]) for f, row in zip(findings, rows, strict=False)
         for agency, province in [(row[4], row[5])]],
        schema={
            "row": pl.UInt32,
            "agency_code": pl.String,
            "province_code": pl.String,
            "period_kind": pl.String,
            "period_start": pl.Date,
        },
        orient="row",
    )  # fmt: skip
    return Missing(findings, about)


def _described(connection: psycopg.Connection, kind: Kind) -> Sequence[psycopg.Column]:
    query = sql.SQL("select * from {} limit 0").format(sql.Identifier("raw", kind.name))
    return connection.execute(query).description or []


def misread(
    connection: psycopg.Connection, kind: Kind, receipt: Receipt, keys: pl.Series
) -> list[str]:
    """The records that these bytes have brought, in force when they came, and not read now.

    What came later is judged when its own bytes are read again. `keys` are the hashes of all keys
    that are read.
    """
    rows = connection.execute(
        sql.SQL(
            """
            select record_key
            from (
                select distinct on (record_key) record_key, received_at, is_retracted
                from {table}
                where source = %s and received_at <= %s and record_key in (
                    select past.record_key from {table} as past
                    where past.source = %s and past.received_at = %s
                )
                order by record_key, received_at desc, load_id desc, record_no desc
            ) as head
            where received_at = %s and not is_retracted
            order by record_key
            """
        ).format(table=sql.Identifier("raw", kind.name)),
        [receipt.source, receipt.received_at] * 2 + [receipt.received_at],
    ).fetchall()
    known = pl.Series("key", [row[0] for row in rows], dtype=pl.String)
    return known.filter(~known.hash().is_in(keys.implode())).to_list()


def withdraw(
    connection: psycopg.Connection,
    kind: Kind,
    receipt: Receipt,
    load_id: int,
    first: int,
    keys: Sequence[str],
) -> set[tuple[str, dt.date]]:
    """Put in force again what was in force before these bytes came, or a tombstone; the periods.

    `first` is the number of the first record. A tombstone keeps the cells that it was read from;
    what is in force again stands in another file, so it names the load and record that brought it.
    """
    columns = [*COMMON_COLUMNS, *(field.column for field in own_fields(kind))]
    changed = ("is_retracted", "locator", "lineage")
    kept = [sql.Identifier(name) for name in columns if name not in changed]
    rows = connection.execute(
        sql.SQL(
            """
            insert into {table} (
                load_id, record_no, source, received_at, is_retracted, locator, lineage, {columns}
            )
            select
                %(load)s,
                %(first)s + row_number() over (order by record_key) - 1,
                %(source)s,
                %(received)s,
                is_retracted or received_at = %(received)s,
                case
                    when received_at = %(received)s then locator
                    else format('load %%s, record %%s', load_id, record_no)
                end,
                case
                    when received_at = %(received)s then raw.opened(load_id, locator, lineage)
                    else '{{}}'::jsonb
                end,
                {columns}
            from (
                select distinct on (record_key) *
                from {table}
                where
                    source = %(source)s
                    and record_key = any(%(keys)s)
                    and received_at <= %(received)s
                order by
                    record_key, received_at = %(received)s, received_at desc, load_id desc,
                    record_no desc
            ) as before
            returning period_kind, period_start
            """
        ).format(table=sql.Identifier("raw", kind.name), columns=sql.SQL(", ").join(kept)),
        {
            "load": load_id,
            "first": first,
            "source": receipt.source,
            "received": receipt.received_at,
            "keys": list(keys),
        },
    ).fetchall()
    return {(row[0], row[1]) for row in rows}
