"""The loader's connection, its errors in plain words, and one lock for each source.

In: a libpq address whose sessions work as `payesh_ingest`. Out: psycopg connections.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from ingestion.errors import IngestError

_CONNECT_SECONDS = 10


class LoadError(IngestError):
    """The database could not be reached or refused what was written; nothing was kept."""


@contextlib.contextmanager
def transaction(url: str) -> Iterator[psycopg.Connection]:
    """Open a connection, commit at the end, roll back on any error.

    Raises LoadError in place of psycopg's own errors; the address is never shown.
    """
    try:
        connection: psycopg.Connection = psycopg.connect(
            url, connect_timeout=_CONNECT_SECONDS, application_name="payesh ingest"
        )
    except psycopg.OperationalError as error:
        raise LoadError(
            "database-unreachable",
            f"no connection to Postgres: {_reason(error)}",
            "check that the server runs and see `payesh doctor`; nothing is lost, run it again",
        ) from error
    try:
        with connection:
            yield connection
    except psycopg.errors.DiskFull as error:
        raise LoadError(
            "database-disk-full",
            f"Postgres has no disk left: {_reason(error)}",
            "free space on the database's disk and run it again; nothing was written",
        ) from error
    except psycopg.OperationalError as error:
        raise LoadError(
            "database-lost",
            f"the connection to Postgres broke: {_reason(error)}",
            "run it again; what was not committed has left no trace",
        ) from error
    except psycopg.Error as error:
        raise LoadError(
            "database-refused",
            f"Postgres refused the statement: {_reason(error)}",
            "run `payesh migrate`; if it stays, this is a fault of the house: report it",
        ) from error


def lock_source(connection: psycopg.Connection, source: str) -> None:
    """Wait until no other transaction writes this source; released when this one ends (S13)."""
    # a row's lock, not an advisory one: that could be taken by anybody who may log in
    connection.execute("select ops.lock_source(%s)", [source])


def _reason(error: psycopg.Error) -> str:
    text = [line.strip() for line in str(error).splitlines() if line.strip()]
    return text[0] if text else type(error).__name__
