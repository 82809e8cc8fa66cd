"""Fresh statistics for the planner, and block ranges summarised for the BRIN indexes.

In: the tables of raw, ops, quality, history and of dbt. Out: the same tables, analysed. A night
appends to few block ranges; those that are not summarised are read whole by every look-back.
Run it: `payesh upkeep statistics`
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from infra.postgres.connect import Role, connect
from infra.settings import Settings
from infra.upkeep.backup import SCHEMAS
from infra.upkeep.chores import Done

_OWNERS: Final[tuple[Role, ...]] = ("owner", "transform")


def refresh_statistics(settings: Settings) -> Done:
    """Analyse each table and summarise each BRIN index as the role that owns it."""
    tables = ranges = indexes = 0
    for role in _OWNERS:
        with connect(settings, role, autocommit=True) as connection:
            found = connection.execute(
                "select n.nspname, c.relname, c.relkind, a.amname, c.oid from pg_class as c"
                " join pg_namespace as n on c.relnamespace = n.oid"
                " left join pg_am as a on c.relam = a.oid"
                " where n.nspname = any(%s) and c.relkind in ('r', 'i')"
                " and pg_get_userbyid(c.relowner) = current_user order by n.nspname, c.relname",
                [list(SCHEMAS)],
            ).fetchall()
            for schema, name, kind, method, oid in found:
                if kind == "r":
                    connection.execute(
                        sql.SQL("analyze (skip_locked) {}").format(sql.Identifier(schema, name))
                    )
                    tables += 1
                elif method == "brin":
                    row = connection.execute(
                        "select brin_summarize_new_values(%s::oid::regclass)", [oid]
                    ).fetchone()
                    ranges += 0 if row is None else int(row[0])
                    indexes += 1
    return Done(
        "statistics",
        f"{tables} tables analysed, {ranges} block ranges of {indexes} BRIN indexes summarised",
        {"tables": tables, "indexes": indexes, "ranges": ranges},
    )
