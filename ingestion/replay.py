"""Read kept snapshots again under today's source file, rules, code lists and decisions.

In: a `LoadedSpec`, a `Context`, which receipts. Out: loads like any other (ledger row, balance,
findings): a record gets a new version only where its typed content differs from the one in force
at that receipt. No network. `rehearse` does the same and takes it back, to show what would change.

A record that these bytes have brought and that is read from them no more was misread before: it is
withdrawn, or what was in force before them is again (`ingestion.load.missing`). A rehearsal counts
such records.

    payesh source diff NAME, payesh source replay NAME --since DATE
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql

from ingestion.errors import IngestError
from ingestion.load import (
    LoadResult,
    Receipt,
    Terms,
    decisions,
    ledger,
    lock_source,
    missing,
    transaction,
)
from ingestion.load import rehearse as store_for_now
from ingestion.load.typed import content_fields
from ingestion.pipeline import (
    Context,
    bytes_of,
    cell_decisions,
    examine,
    load,
    load_receipt,
    with_overruled,
)
from ingestion.spec.kinds import Kind
from ingestion.spec.registry import LoadedSpec

_MAX_CHANGES: Final = 1000


@dataclass(frozen=True)
class Change:
    """One field of one record that would be read otherwise; `before` None with `is_new`."""

    record_key: str
    field: str
    before: str | None
    after: str | None
    is_new: bool


@dataclass(frozen=True)
class Rehearsal:
    """What a replay would do with one receipt.

    `result` counts as a load does; `changes` are at most 1,000 cells; `error` (code, message) when
    the file can't be read at all; `no_longer_read` counts records that this receipt has brought
    and that today's reading does not give any more: they would be withdrawn.
    """

    receipt: Receipt
    result: LoadResult | None
    changes: list[Change] = field(default_factory=list)
    no_longer_read: int = 0
    error: tuple[str, str] | None = None


class _TakenBack(Exception):  # noqa: N818 - ends a rehearsal
    pass


def replay(
    loaded: LoadedSpec,
    ctx: Context,
    since: dt.datetime | None = None,
    sha256: str | None = None,
) -> list[LoadResult]:
    """Read the chosen receipts again, oldest first, and what depends on them.

    `sha256` may be the beginning of a snapshot's hash. Raises IngestError `unknown-snapshot` when
    there is no such receipt, LoadError, SnapshotError.
    """
    terms = Terms(loaded.spec, loaded.sha256, ctx.rules_version, ctx.run_id)
    results = [
        load_receipt(receipt, terms, ctx, "again")
        for receipt in _receipts(loaded, ctx, since, sha256)
    ]
    # later receipts that were no news then may be news now
    results += load(loaded, ctx)
    return [result for result in results if result is not None]


def rehearse(
    loaded: LoadedSpec,
    ctx: Context,
    since: dt.datetime | None = None,
    sha256: str | None = None,
) -> list[Rehearsal]:
    """What `replay` would do, in a transaction that is taken back; other loads of the source wait.

    Raises as `replay`.
    """
    terms = Terms(loaded.spec, loaded.sha256, ctx.rules_version, ctx.run_id)
    receipts = _receipts(loaded, ctx, since, sha256)
    found: list[Rehearsal] = []
    try:
        with transaction(ctx.database_url) as connection:
            lock_source(connection, loaded.spec.source)
            found += [_rehearsed(connection, receipt, terms, ctx) for receipt in receipts]
            raise _TakenBack
    except _TakenBack:
        return found


def _receipts(
    loaded: LoadedSpec, ctx: Context, since: dt.datetime | None, sha256: str | None
) -> list[Receipt]:
    source = loaded.spec.source
    with transaction(ctx.database_url) as connection:
        found = ledger.receipts_since(connection, source, since, sha256)
    if not found and sha256 is not None:
        raise IngestError(
            "unknown-snapshot",
            f"{source} never received a snapshot {sha256}.",
            "See `payesh quarantine show` or the table raw.snapshot for its hash.",
            source,
        )
    return found


def _rehearsed(
    connection: psycopg.Connection, receipt: Receipt, terms: Terms, ctx: Context
) -> Rehearsal:
    decided = decisions.of_snapshot(connection, receipt.source, receipt.snapshot_id)
    cells = cell_decisions(decided)
    try:
        _, records = examine(
            terms.spec, bytes_of(receipt, ctx), ctx.code_lists, receipt.received_at, decided=cells
        )
    except IngestError as error:
        return Rehearsal(receipt, None, error=(error.code, str(error)))
    keys = records.accepted["record_key"].hash()
    gone = len(missing.misread(connection, terms.kind, receipt, keys))
    result = store_for_now(connection, receipt, with_overruled(terms, decided), records)
    changes = _changes(connection, terms.kind, receipt, result.load_id)
    return Rehearsal(receipt, result, changes, gone)


def _changes(
    connection: psycopg.Connection, kind: Kind, receipt: Receipt, load_id: int
) -> list[Change]:
    """The cells in which the new versions differ from those before them."""
    names = [f.column for f in content_fields(kind)]
    listed = sql.SQL(", ").join(
        sql.SQL("{0}.{1}::text").format(sql.Identifier(side), sql.Identifier(name))
        for name in [*names, "is_retracted"]
        for side in ("new", "old")
    )
    rows = connection.execute(
        sql.SQL(
            """
            select new.record_key, old.record_key is null, {listed}
            from {table} as new
            left join lateral (
                select *
                from {table} as past
                where
                    past.source = new.source
                    and past.period_start = new.period_start
                    and past.record_key = new.record_key
                    and past.received_at <= new.received_at
                    and past.load_id <> new.load_id
                order by past.received_at desc, past.load_id desc, past.record_no desc
                limit 1
            ) as old on true
            where new.source = %s and new.load_id = %s
            order by new.record_no
            limit %s
            """
        ).format(listed=listed, table=sql.Identifier("raw", kind.name)),
        [receipt.source, load_id, _MAX_CHANGES],
    ).fetchall()
    found: list[Change] = []
    for key, is_new, *values in rows:
        pairs: list[tuple[Any, Any]] = list(zip(values[::2], values[1::2], strict=True))
        for name, (after, before) in zip([*names, "is_retracted"], pairs, strict=True):
            if after != before and not (is_new and after in (None, "", "false")):
                found.append(Change(key, name, before, after, is_new))
    return found[:_MAX_CHANGES]
