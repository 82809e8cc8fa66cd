"""Bring the database's schema up to date: alembic, under a lock, in one transaction.

In: `Settings`, and `migrations/sql/<revision>_*.sql`. Out: schemas, tables and roles at the
newest revision. Forward only: what is published stays readable, so nothing is ever dropped by
going back. When nothing is to be done, one query says so and alembic is not even imported.
Run it: `payesh migrate`
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from infra.errors import PayeshError
from infra.postgres.connect import (
    BI_READER,
    connect,
    ensure_bi_reader,
    ensure_database,
    open_url,
    role_url,
    sqlalchemy_url,
)
from infra.settings import Settings

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"
VERSION_TABLE: Final = "payesh_revision"
MINIMUM_SERVER: Final = 15

_LOCK_KEY = 7_291_430_155_001
"""Advisory lock of this database's migrations; any number, as long as nobody else takes it."""

_ALEMBIC = threading.Lock()
"""Alembic keeps its context in module globals: one upgrade at a time in a process."""


@dataclass(frozen=True, slots=True)
class Migration:
    """What `migrate` did. `before` is None on an empty database; equal revisions: nothing."""

    before: str | None
    after: str
    seconds: float


def head_revision() -> str:
    """Return the newest revision: revisions are numbered, the file name begins with it."""
    numbers = sorted(path.name.split("_", 1)[0] for path in MIGRATIONS.glob("versions/[0-9]*.py"))
    if not numbers:
        raise PayeshError(
            "the migrations are missing",
            str(MIGRATIONS / "versions"),
            "install the project again (`make setup`)",
        )
    return numbers[-1]


def current_revision(settings: Settings) -> str | None:
    """Return the database's revision, None when it has none or does not exist."""
    return _look(settings)[0]


def migrate(settings: Settings) -> Migration:
    """Create the database if missing and bring it to the newest revision.

    Also makes the BI login. Safe to call from several processes at once. Raises PayeshError:
    no server, server too old, a revision this code does not know, or a failing statement with
    its file and line; then nothing has changed.
    """
    started = time.monotonic()
    head = head_revision()
    before, has_reader = _look(settings)
    if before is not None and before > head:
        raise PayeshError(
            f"the database is at revision {before}, newer than this installation's {head}",
            str(MIGRATIONS),
            "update the project before using this database",
        )
    if before != head:
        if before is None:
            ensure_database(settings)
        _upgrade(settings)
    if before != head or not has_reader or not (settings.home / "bi_password").exists():
        ensure_bi_reader(settings)
    return Migration(before, head, time.monotonic() - started)


def _look(settings: Settings) -> tuple[str | None, bool]:
    """Return the database's revision and whether the BI login exists, by one query."""
    try:
        with psycopg.connect(role_url(settings, "admin"), connect_timeout=10) as connection:
            _require_version(connection)
            row = connection.execute(
                f"select (select max(version_num) from public.{VERSION_TABLE}),"
                " exists (select from pg_roles where rolname = %s)",
                [BI_READER],
            ).fetchone()
    except psycopg.errors.UndefinedTable:
        return None, False
    except psycopg.OperationalError as error:
        # libpq reports a missing database only in words, and those in the server's language:
        # ask the server itself.
        if _database_is_missing(settings):
            return None, False
        raise PayeshError(
            "no connection to Postgres", str(error).strip().splitlines()[0], "see `payesh doctor`"
        ) from error
    return (None, False) if row is None else (row[0], bool(row[1]))


def _database_is_missing(settings: Settings) -> bool:
    from infra.postgres.connect import admin_url, database_name

    with open_url(admin_url(settings, "postgres"), autocommit=True) as connection:
        return (
            connection.execute(
                "select 1 from pg_database where datname = %s", [database_name(settings)]
            ).fetchone()
            is None
        )


def _require_version(connection: psycopg.Connection) -> None:
    version = connection.info.server_version // 10_000
    if version < MINIMUM_SERVER:
        raise PayeshError(
            f"the server is Postgres {version}, at least {MINIMUM_SERVER} is needed",
            f"{connection.info.host}:{connection.info.port}",
            "use a newer server, or unset PAYESH_DATABASE_URL for the embedded one",
        )


def _upgrade(settings: Settings) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    # The embedded server may just have been asked to start: fail here, in plain words.
    connect(settings, "admin").close()
    engine = sqlalchemy.create_engine(
        sqlalchemy_url(settings, "admin"), poolclass=sqlalchemy.pool.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _ALEMBIC, engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"select pg_advisory_xact_lock({_LOCK_KEY})"))
        # Since Postgres 16 a login that is no superuser may administer the roles it creates, yet
        # not work as them, unless it asks for that (managed servers give no superuser).
        connection.execute(
            sqlalchemy.text(
                "select set_config('createrole_self_grant', 'set, inherit', true)"
                " where current_setting('server_version_num')::integer >= 160000"
            )
        )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
