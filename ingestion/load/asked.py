"""When a source was last asked so that its answer was kept (traps P8, P9).

In: the ledger. Out: `Asked`, from which a connector works out since when changes are missing. Only
answers that were loaded count: after a rejected one the next request reaches back behind it.
"""

from __future__ import annotations

import psycopg

from ingestion.connectors import Asked
from ingestion.connectors.http_json import ASKED_AT, SINCE


def last_asked(connection: psycopg.Connection, source: str) -> Asked:
    """The latest request of the source whose answer was loaded, and the latest for all records.

    Nothing is known of answers that came before requests were dated: then all is asked for.
    """
    row = connection.execute(
        """
        with kept as (
            select
                (snapshot.parts -> 0 -> 'headers' ->> %(asked_at)s)::timestamptz as asked_at,
                snapshot.parts -> 0 -> 'headers' ->> %(since)s as since
            from raw.snapshot as snapshot
            where
                snapshot.source = %(source)s
                and exists (
                    select from raw.load as kept_load
                    where
                        kept_load.snapshot_id = snapshot.snapshot_id
                        and kept_load.status <> 'rejected'
                )
        )

        select max(asked_at), max(asked_at) filter (where since is null) from kept
        """,
        {"source": source, "asked_at": ASKED_AT, "since": SINCE},
    ).fetchone()
    return Asked() if row is None else Asked(row[0], row[1])
