"""The schema's history: numbered revisions, each a set of plain SQL files.

In: `sql/<revision>_<order>_<subject>.sql`. Out: the same, executed in the order of their names.
Add one: `sql/0002_10_subject.sql` and `versions/0002_subject.py` (copy the newest).
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy.engine import Connection

from infra.errors import PayeshError

SQL_DIR = Path(__file__).resolve().parent / "sql"


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
    for path in files:
        # Bytes and no parameters: the file reaches the server as it is, percent signs included.
        text = path.read_text(encoding="utf-8")
        try:
            driver.execute(text.encode("utf-8"))
            driver.execute("reset role")
        except psycopg.Error as error:
            position = int(error.diag.statement_position or 1)
            line = text.count("\n", 0, position - 1) + 1
            raise PayeshError(
                f"migration {revision} failed: {error.diag.message_primary or error}",
                f"{path.name}, line {line}",
                "nothing was changed; correct the cause and run `payesh migrate` again",
            ) from error
