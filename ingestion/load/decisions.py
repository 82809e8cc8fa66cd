"""What people have decided about what could not be read: kept for ever, applied by a replay.

In and out: rows of `ops.decision`. A decision is about one finding (the cell is to be read as
another text, it counts as not reported, the finding is dismissed) or about a load that a guard
refused (its content was looked at and is right). The newest decision on a finding counts.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg.rows import class_row

Verdict = Literal["accept-as", "not-reported", "dismiss", "accept-load"]


@dataclass(frozen=True)
class Decision:
    """A row of `ops.decision`. `value` is given for accept-as, `item_no` for all but accept-load;
    reason code, field, locator and raw text are those of the finding."""

    decision_id: int
    verdict: Verdict
    source: str
    snapshot_id: int
    load_id: int
    item_no: int | None
    reason_code: str
    field: str | None
    locator: str | None
    raw_text: str | None
    value: str | None
    reason: str
    decided_by: str
    decided_at: dt.datetime

    @property
    def changes_a_cell(self) -> bool:
        """Whether a replay reads a cell otherwise."""
        return self.verdict in ("accept-as", "not-reported")


_COLUMNS = """
    decision_id, verdict, source, snapshot_id, load_id, item_no, reason_code, field, locator,
    raw_text, value, reason, decided_by, decided_at
"""


def decide_finding(
    connection: psycopg.Connection,
    load_id: int,
    item_no: int,
    verdict: Verdict,
    value: str | None,
    reason: str,
    decided_by: str,
) -> Decision:
    """Write a decision about one finding. Raises LookupError when there is no such finding."""
    return _one(
        connection,
        f"""
        insert into ops.decision (
            verdict, source, snapshot_id, load_id, item_no, reason_code, field, locator, raw_text,
            value, reason, decided_by
        )
        select
            %s, q.source, load.snapshot_id, q.load_id, q.item_no, q.reason_code, q.field,
            q.locator, q.raw_text, %s, %s, %s
        from raw.quarantine as q
        inner join raw.load as load on q.load_id = load.load_id
        where q.load_id = %s and q.item_no = %s
        returning {_COLUMNS}
        """,
        [verdict, value, reason, decided_by, load_id, item_no],
    )


def decide_load(
    connection: psycopg.Connection, source: str, load_id: int, reason: str, decided_by: str
) -> Decision:
    """Overrule the guard that refused a load. Raises LookupError: no such refused load."""
    return _one(
        connection,
        f"""
        insert into ops.decision (
            verdict, source, snapshot_id, load_id, reason_code, reason, decided_by
        )
        select 'accept-load', source, snapshot_id, load_id, reject_code, %s, %s
        from raw.load
        where load_id = %s and source = %s and status = 'rejected'
        returning {_COLUMNS}
        """,
        [reason, decided_by, load_id, source],
    )


def of_snapshot(
    connection: psycopg.Connection,
    source: str,
    snapshot_id: int,
    until: dt.datetime | None = None,
) -> list[Decision]:
    """The decisions that count for a snapshot: the newest on each cell, and on each guard.

    `until` leaves out what was decided later: what a load of that moment went by.
    """
    with connection.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(
            f"""
            select distinct on (verdict = 'accept-load', locator, field, reason_code) {_COLUMNS}
            from ops.decision
            where
                source = %s and snapshot_id = %s
                and decided_at <= coalesce(%s, 'infinity'::timestamptz)
            order by
                verdict = 'accept-load', locator, field, reason_code, decision_id desc
            """,
            [source, snapshot_id, until],
        ).fetchall()


def _one(connection: psycopg.Connection, statement: str, values: list[object]) -> Decision:
    with connection.cursor(row_factory=class_row(Decision)) as cursor:
        row = cursor.execute(statement.encode(), values).fetchone()
    if row is None:
        raise LookupError("there is nothing to decide under this number")
    return row
