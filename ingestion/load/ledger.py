"""The ledger: what was asked for, what came, and what became of it.

In and out: rows of `raw.fetch`, `raw.snapshot`, `raw.load`, `raw.source`, `raw.retired_source`.

A *receipt* is a snapshot at the moment it came: a fetch with the outcome 'new'. The same bytes
may be received again later, after others have come between (an agency takes a correction back);
then there are two receipts of one snapshot. Each receipt of a source has its own `received_at`,
which orders versions; a load belongs to the receipt with its (snapshot_id, received_at).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from ingestion.spec.model import SourceSpec

_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Receipt:
    """A snapshot of `source` as it came at `received_at`; `parts` as in raw.snapshot.parts."""

    source: str
    snapshot_id: int
    sha256: str
    received_at: dt.datetime
    parts: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The first part's file name, for messages."""
        return str(self.parts[0].get("name", "")) if self.parts else ""


@dataclass(frozen=True)
class PreviousLoad:
    """The last load before a receipt that was not rejected; counts in rows."""

    load_id: int
    content_sha256: str | None
    spec_sha256: str
    rules_version: str
    rows: int
    period_min: dt.date | None
    period_max: dt.date | None


@dataclass(frozen=True)
class LoadRow:
    """A row of raw.load before it has its number."""

    receipt: Receipt
    kind: str
    spec_sha256: str
    rules_version: str
    status: str
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_unchanged: int
    non_data: dict[str, int]
    cells_quarantined: int
    content_sha256: str | None = None
    reject_code: str | None = None
    reject_detail: str | None = None
    control_totals: list[dict[str, str]] = field(default_factory=list)
    period_min: dt.date | None = None
    period_max: dt.date | None = None
    run_id: str | None = None
    places: dict[str, list[int | str | None]] | None = None


# ------------------------------------------------------------------------------- snapshots, fetches


def record_snapshot(
    connection: psycopg.Connection,
    source: str,
    sha256: str,
    parts: Sequence[dict[str, Any]],
    received_at: dt.datetime,
) -> int:
    """Write the snapshot's row if these bytes are new to the source; return its id."""
    row = connection.execute(
        """
        insert into raw.snapshot (source, sha256, byte_count, parts, received_at)
        values (%s, %s, %s, %s::jsonb, %s)
        on conflict (source, sha256) do nothing
        returning snapshot_id
        """,
        [
            source,
            sha256,
            sum(int(part["bytes"]) for part in parts),
            json.dumps(list(parts), ensure_ascii=False),
            received_at,
        ],
    ).fetchone()
    if row is not None:
        return int(row[0])
    known = connection.execute(
        "select snapshot_id from raw.snapshot where source = %s and sha256 = %s", [source, sha256]
    ).fetchone()
    if known is None:
        raise LookupError(f"snapshot {sha256} of {source} is neither new nor known")
    return int(known[0])


def record_fetch(
    connection: psycopg.Connection,
    source: str,
    outcome: str,
    attempted_at: dt.datetime,
    finished_at: dt.datetime,
    run_id: str | None,
    snapshot_id: int | None = None,
    error: tuple[str, str, str] | None = None,
) -> None:
    """Write one attempt; `error` is (code, message, remedy).

    For the outcome 'new', `attempted_at` is the receipt's own time.
    """
    code, message, remedy = error or (None, None, None)
    connection.execute(
        """
        insert into raw.fetch (
            source, attempted_at, finished_at, outcome, snapshot_id,
            error_code, error, remedy, run_id
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            source, attempted_at, max(attempted_at, finished_at), outcome, snapshot_id,
            code, message, remedy, run_id,
        ],
    )  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A receipt as far as fetching has to know it."""

    sha256: str
    received_at: dt.datetime
    name: str


def seen(connection: psycopg.Connection, source: str) -> list[Seen]:
    """All receipts of a source, in the order in which they came."""
    rows = connection.execute(
        """
        select
            snapshot.sha256,
            attempt.attempted_at,
            coalesce(snapshot.parts -> 0 ->> 'name', '') as name
        from raw.fetch as attempt
        inner join raw.snapshot as snapshot on attempt.snapshot_id = snapshot.snapshot_id
        where attempt.source = %s and attempt.outcome = 'new'
        order by attempt.attempted_at, attempt.fetch_id
        """,
        [source],
    ).fetchall()
    return [Seen(*row) for row in rows]


def free_instant(wanted: dt.datetime, taken: Iterable[dt.datetime]) -> dt.datetime:
    """The first instant from `wanted` on, in microseconds, that no receipt of the source has.

    Several files of one visit, or a clock that stands still, would else leave the order of
    versions to chance.
    """
    used = set(taken)
    while wanted in used:
        wanted += _MICROSECOND
    return wanted


# ---------------------------------------------------------------------------------------- pending


def pending(
    connection: psycopg.Connection, source: str, spec_sha256: str, rules_version: str
) -> list[Receipt]:
    """Receipts that have to be read, oldest first.

    A receipt is settled once a load of it was kept. A rejected one is tried again when the
    source file or the rules have changed, since nothing of it has got in. And a receipt is read
    once more when an *earlier* one has brought records after it was read: what was no news then
    may be news now (5, 6 and 5 again, the 6 read last, must end as 5). A changed source file
    does not read settled receipts again; that is a replay, and somebody's decision.
    """
    rows = connection.execute(
        """
        with receipt as (
            select attempt.fetch_id, attempt.snapshot_id, attempt.attempted_at as received_at
            from raw.fetch as attempt
            where attempt.source = %(source)s and attempt.outcome = 'new'
        ),

        done as (
            select
                snapshot_id,
                received_at,
                max(load_id) as load_id,
                bool_or(
                    status <> 'rejected'
                    or (spec_sha256 = %(spec)s and rules_version = %(rules)s)
                ) as is_settled
            from raw.load
            where source = %(source)s
            group by snapshot_id, received_at
        ),

        instant as (
            select received_at, max(load_id) filter (where rows_accepted > 0) as load_id
            from raw.load
            where source = %(source)s
            group by received_at
        ),

        earlier as (
            select
                received_at,
                max(load_id) over (
                    order by received_at rows between unbounded preceding and 1 preceding
                ) as load_id
            from instant
        )

        select receipt.snapshot_id, snapshot.sha256, receipt.received_at, snapshot.parts
        from receipt
        inner join raw.snapshot as snapshot on receipt.snapshot_id = snapshot.snapshot_id
        left join done
            on receipt.snapshot_id = done.snapshot_id and receipt.received_at = done.received_at
        left join earlier on receipt.received_at = earlier.received_at
        where
            done.load_id is null
            or not done.is_settled
            or earlier.load_id > done.load_id
        order by receipt.received_at, receipt.fetch_id
        """,
        {"source": source, "spec": spec_sha256, "rules": rules_version},
    ).fetchall()
    return [Receipt(source, row[0], row[1], row[2], row[3]) for row in rows]


def receipts_of(connection: psycopg.Connection, source: str, snapshot_id: int) -> list[Receipt]:
    """The receipts of one snapshot, oldest first; empty when the source never had it."""
    rows = connection.execute(
        """
        select snapshot.snapshot_id, snapshot.sha256, attempt.attempted_at, snapshot.parts
        from raw.fetch as attempt
        inner join raw.snapshot as snapshot on attempt.snapshot_id = snapshot.snapshot_id
        where attempt.source = %s and attempt.snapshot_id = %s and attempt.outcome = 'new'
        order by attempt.attempted_at, attempt.fetch_id
        """,
        [source, snapshot_id],
    ).fetchall()
    return [Receipt(source, row[0], row[1], row[2], row[3]) for row in rows]


def receipts_since(
    connection: psycopg.Connection,
    source: str,
    since: dt.datetime | None = None,
    sha256: str | None = None,
) -> list[Receipt]:
    """Receipts of a source from `since` on, oldest first; of one snapshot by the beginning of its
    hash."""
    rows = connection.execute(
        """
        select snapshot.snapshot_id, snapshot.sha256, attempt.attempted_at, snapshot.parts
        from raw.fetch as attempt
        inner join raw.snapshot as snapshot on attempt.snapshot_id = snapshot.snapshot_id
        where
            attempt.source = %(source)s and attempt.outcome = 'new'
            and (%(since)s::timestamptz is null or attempt.attempted_at >= %(since)s)
            and (%(sha256)s::text is null or starts_with(snapshot.sha256, %(sha256)s))
        order by attempt.attempted_at, attempt.fetch_id
        """,
        {"source": source, "since": since, "sha256": sha256},
    ).fetchall()
    return [Receipt(source, row[0], row[1], row[2], row[3]) for row in rows]


def last_load_of(
    connection: psycopg.Connection, receipt: Receipt, spec_sha256: str, rules_version: str
) -> int | None:
    """The newest load of this receipt under this source file and these rules."""
    row = connection.execute(
        """
        select max(load_id)
        from raw.load
        where source = %s and snapshot_id = %s and received_at = %s
            and spec_sha256 = %s and rules_version = %s
        """,
        [receipt.source, receipt.snapshot_id, receipt.received_at, spec_sha256, rules_version],
    ).fetchone()
    return None if row is None else row[0]


# ------------------------------------------------------------------------------------------ loads


def previous_load(
    connection: psycopg.Connection, source: str, received_at: dt.datetime
) -> PreviousLoad | None:
    """The last kept load among those of receipts before `received_at`."""
    row = connection.execute(
        """
        select
            load_id, content_sha256, spec_sha256, rules_version,
            rows_accepted + rows_unchanged, period_min, period_max
        from raw.load
        where source = %s and status <> 'rejected' and received_at < %s
        order by received_at desc, load_id desc
        limit 1
        """,
        [source, received_at],
    ).fetchone()
    return None if row is None else PreviousLoad(*row)


def has_records(connection: psycopg.Connection, source: str) -> bool:
    """Whether any load of this source has brought records."""
    return (
        connection.execute(
            "select 1 from raw.load where source = %s and rows_accepted > 0 limit 1", [source]
        ).fetchone()
        is not None
    )


def next_load(connection: psycopg.Connection) -> int:
    """A number for a load whose records are written before its ledger row."""
    row = connection.execute(
        "select nextval(pg_get_serial_sequence('raw.load', 'load_id'))"
    ).fetchone()
    if row is None:
        raise LookupError("raw.load gave no number")
    return int(row[0])


def record_load(connection: psycopg.Connection, load_id: int, load: LoadRow) -> None:
    """Write a load under the number that `next_load` gave; the table's check holds the balance."""
    connection.execute(
        """
        insert into raw.load (
            load_id, source, snapshot_id, kind, spec_sha256, rules_version, status, reject_code,
            reject_detail, content_sha256, rows_read, rows_accepted, rows_quarantined,
            rows_unchanged, rows_non_data, non_data, cells_quarantined, control_totals,
            period_min, period_max, received_at, run_id, places
        ) overriding system value values (
            %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s::jsonb,
            %s, %s, %s, %s, %s::jsonb
        )
        """,
        [
            load_id,
            load.receipt.source,
            load.receipt.snapshot_id,
            load.kind,
            load.spec_sha256,
            load.rules_version,
            load.status,
            load.reject_code,
            load.reject_detail,
            load.content_sha256,
            load.rows_read,
            load.rows_accepted,
            load.rows_quarantined,
            load.rows_unchanged,
            sum(load.non_data.values()),
            json.dumps(load.non_data),
            load.cells_quarantined,
            json.dumps(load.control_totals, ensure_ascii=False),
            load.period_min,
            load.period_max,
            load.receipt.received_at,
            load.run_id,
            None if load.places is None else json.dumps(load.places, ensure_ascii=False),
        ],
    )


# --------------------------------------------------------------------------------------- registry


def record_source(connection: psycopg.Connection, spec: SourceSpec, sha256: str) -> bool:
    """Put this version of a source file in force; return whether another one was before.

    A file that goes back to an earlier version takes that version's row into force again.
    """
    row = connection.execute(
        """
        select spec_sha256 from raw.source
        where source = %s order by valid_from desc limit 1
        """,
        [spec.source],
    ).fetchone()
    if row is not None and row[0] == sha256:
        return False
    schedule = spec.schedule
    connection.execute(
        """
        insert into raw.source (
            source, spec_sha256, valid_from, kind, title, title_fa, agency_code, province_code,
            owner_name, owner_email, tier, is_simulated, cadence, due_hours, grace_hours,
            owed_from, owed_to, spec
        ) values (
            %s, %s, clock_timestamp(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
            %s::jsonb
        )
        on conflict (source, spec_sha256) do update set valid_from = excluded.valid_from
        """,
        [
            spec.source,
            sha256,
            spec.kind,
            spec.title,
            spec.title_fa,
            spec.agency,
            spec.province,
            spec.owner.name,
            spec.owner.email,
            spec.tier,
            spec.simulated,
            schedule.cadence,
            schedule.due_hours,
            schedule.grace_hours,
            schedule.owed_from,
            schedule.owed_to,
            spec.model_dump_json(),
        ],
    )
    return True


def record_retired(
    connection: psycopg.Connection, source: str, retired_on: dt.date, reason: str
) -> bool:
    """Note a source as retired; return whether it was not yet."""
    row = connection.execute(
        """
        insert into raw.retired_source (source, retired_on, reason) values (%s, %s, %s)
        on conflict (source) do nothing
        returning source
        """,
        [source, retired_on, reason],
    ).fetchone()
    return row is not None
