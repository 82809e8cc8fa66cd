"""The schema's history: numbered revisions, each a set of plain SQL files.

In: `sql/<revision>_<order>_<subject>.sql`. Out: the same, executed in the order of their names.
Add one: `sql/0002_10_subject.sql` and `versions/0002_subject.py` (copy the newest).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from infra.errors import PayeshError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

SQL_DIR = Path(__file__).resolve().parent / "sql"

_MEMORY = """
create table if not exists public.payesh_migration_file (
    file_name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""
_REMEMBER = "insert into public.payesh_migration_file (file_name, sha256) values (%s, %s)"


def edited_files(applied: Mapping[str, str]) -> list[str]:
    """Return the files of `applied` (name -> sha256) that are no longer what was executed.

    An applied file must not change: databases made before and after would differ in silence.
    """
    return sorted(
        name
        for name, digest in applied.items()
        if not (SQL_DIR / name).is_file() or _digest(SQL_DIR / name) != digest
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def apply_sql(connection: Connection, revision: str) -> None:
    """Execute `sql/<revision>_*.sql` in the order of their names, inside the transaction.

    A file may `set local role`; the login's own role returns after each. Raises PayeshError
    with file and line of the statement that failed.
    """
    files = sorted(SQL_DIR.glob(f"{revision}_*.sql"))
    if not files:
        raise PayeshError(
            f"revision {revision} has no SQL files", str(SQL_DIR), "install the project again"
        )
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"migrations need psycopg 3, not {type(driver).__name__}")
    driver.execute(_MEMORY)
    for path in files:
        # Bytes and no parameters: the file reaches the server as it is, percent signs included.
        text = path.read_text(encoding="utf-8")
        try:
            driver.execute(text.encode("utf-8"))
            driver.execute("reset role")
            driver.execute(_REMEMBER, [path.name, _digest(path)])
        except psycopg.Error as error:
            position = int(error.diag.statement_position or 1)
            line = text.count("\n", 0, position - 1) + 1
            raise PayeshError(
                f"migration {revision} failed: {error.diag.message_primary or error}",
                f"{path.name}, line {line}",
                "nothing was changed; correct the cause and run `payesh migrate` again",
            ) from error
