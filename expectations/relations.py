"""From a suite to the SQL of its relation.

In: a suite, the build, the catalogue `ops.mart`. Out: one `select` that Great Expectations wraps.
Values go in as literals because the library takes finished SQL; they are a number, a date and
names that the catalogue has checked.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

import psycopg
from psycopg import sql

from expectations.suites import Suite

_PARAMETER: Final = re.compile(r"(?<![:\w]):(build_id|as_of_week|release)\b")


class MissingMartError(Exception):
    """A suite speaks of a mart that the warehouse has not built."""


def relation_of(
    connection: psycopg.Connection, suite: Suite, build_id: int, as_of_week: date
) -> str:
    """Return the `select` behind a suite; MissingMartError when its mart is not in `ops.mart`."""
    if suite.query is not None:
        return _fill(suite.query, connection, build_id, as_of_week)
    if suite.each_mart:
        return _each_mart(connection)
    return _touched(connection, str(suite.mart), build_id)


def _fill(query: str, connection: psycopg.Connection, build_id: int, as_of_week: date) -> str:
    row = connection.execute("select coalesce(ops.current_release(), 0)").fetchone()
    values = {
        "build_id": str(int(build_id)),
        "as_of_week": f"date '{as_of_week.isoformat()}'",
        "release": str(0 if row is None else int(row[0])),
    }
    filled = _PARAMETER.sub(lambda match: values[match.group(1)], query).strip()
    # the library accepts nothing that does not begin with this word, a `with` for instance
    return filled if filled.lower().startswith("select") else f"select * from ({filled}) as asked"


def _each_mart(connection: psycopg.Connection) -> str:
    """A row a mart: counted once here, for every expectation would count all marts anew."""
    marts = [
        row[0]
        for row in connection.execute(
            "select mart from ops.mart where not is_retired order by mart"
        )
    ]
    if not marts:
        raise MissingMartError("no mart is registered: build the warehouse first")
    branches = [
        sql.SQL(
            "select {name}::text, (select count(*) from {table}),"
            " coalesce((select m.row_count from history.release_mart as m where m.mart = {name}"
            " order by m.release_no desc limit 1), 0)"
        ).format(name=sql.Literal(mart), table=sql.Identifier("build", mart))
        for mart in marts
    ]
    counted = connection.execute(sql.SQL(" union all ").join(branches)).fetchall()
    rows = sql.SQL(", ").join(
        sql.SQL("({}::text, {}::bigint, {}::bigint)").format(*map(sql.Literal, row))
        for row in counted
    )
    return (
        sql.SQL("select * from (values {}) as counted (mart, row_count, published_count)")
        .format(rows)
        .as_string(connection)
    )


def _touched(connection: psycopg.Connection, mart: str, build_id: int) -> str:
    """The mart's rows in the partitions that the build has rewritten; all where it says so."""
    row = connection.execute(
        "select partition_by from ops.mart where mart = %s and not is_retired", [mart]
    ).fetchone()
    if row is None:
        raise MissingMartError(f"mart {mart} is not built")
    table = sql.Identifier("build", mart)
    if row[0] is None:
        return sql.SQL("select * from {}").format(table).as_string(connection)
    whole = connection.execute(
        "select exists (select from ops.touched_partition where build_id = %(build)s"
        " and mart = %(mart)s and partition_start is null)"
        " or not exists (select from history.release_mart where mart = %(mart)s)"
        " or exists (select from ops.build where build_id = %(build)s and is_full_refresh)",
        {"build": build_id, "mart": mart},
    ).fetchone()
    if whole is not None and whole[0]:
        return sql.SQL("select * from {}").format(table).as_string(connection)
    return (
        sql.SQL(
            "select * from {table} where {partition} in (select partition_start"
            " from ops.touched_partition where build_id = {build} and mart = {mart})"
        )
        .format(
            table=table,
            partition=sql.Identifier(row[0]),
            build=sql.Literal(int(build_id)),
            mart=sql.Literal(mart),
        )
        .as_string(connection)
    )
