"""Airflow's own tables: made and upgraded when the version changed, else left alone.

In: `Settings`. Out: schema `airflow` at the head of the installed Airflow; the pools that the
registry's hosts need. When nothing is to be done one query says so and Airflow, whose import
takes seconds, is not loaded.
Run it: part of `payesh nightly` and `payesh up`
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from infra.airflow.environment import (
    METADATA_ROLE,
    METADATA_SCHEMA,
    AirflowEnvironment,
)
from infra.errors import PayeshError
from infra.postgres.connect import connect, open_url
from infra.settings import Settings

_LOCK_KEY: Final = 7_291_430_155_002
"""Advisory lock of the metadata upgrade; differs from that of the house's migrations."""

_UPGRADE: Final = (
    "from airflow.utils.db import initdb, upgradedb, _get_current_revision\n"
    "from airflow.utils.session import create_session\n"
    "from airflow.settings import Session\n"
    "upgradedb()\n"
    "with create_session() as session:\n"
    "    print('revision', _get_current_revision(session))\n"
)


def ensure_metadata(settings: Settings, airflow: AirflowEnvironment) -> bool:
    """Bring Airflow's tables to the installed version; return whether there was work.

    Raises PayeshError naming the log when the upgrade fails.
    """
    stamp = airflow.home / "metadata.json"
    installed = version("apache-airflow")
    with connect(settings, "admin") as connection:
        if _stamped(stamp) == (installed, _revision(connection)):
            return False
        connection.execute("select pg_advisory_lock(%s)", [_LOCK_KEY])
        _ensure_schema(connection)
        connection.commit()
        revision = _upgrade(airflow)
    _write(stamp, {"airflow": installed, "revision": revision})
    return True


def ensure_pools(url: str, slots: Mapping[str, int]) -> int:
    """Make the pools that are missing; return how many. Slots set by an operator are kept."""
    if not slots:
        return 0
    with open_url(url) as connection:
        made = connection.execute(
            sql.SQL(
                "insert into {}.slot_pool (pool, slots, description, include_deferred)"
                " select name, slots, 'made by Payesh', false"
                " from unnest(%s::text[], %s::int[]) as wanted(name, slots)"
                " on conflict (pool) do nothing"
            ).format(sql.Identifier(METADATA_SCHEMA)),
            [list(slots), list(slots.values())],
        )
        return made.rowcount


def close_dead_runs(settings: Settings) -> int:
    """End runs that a killed `payesh nightly` has left as running; return how many.

    Call it only while no night is running. Left alone, the scheduler would take them up, wait for
    tasks that nobody works on any more, and raise an alarm.
    """
    with connect(settings, "admin") as connection:
        if _revision(connection) is None:
            return 0
        dead = connection.execute(
            sql.SQL(
                "update {0}.dag_run set state = 'failed', end_date = now()"
                " where state in ('queued', 'running') and triggered_by = 'TEST'"
                " returning dag_id, run_id"
            ).format(sql.Identifier(METADATA_SCHEMA))
        ).fetchall()
        for dag_id, run_id in dead:
            connection.execute(
                sql.SQL(
                    "update {0}.task_instance set state = 'failed', end_date = now()"
                    " where dag_id = %s and run_id = %s and (state is null or state not in"
                    " ('success', 'failed', 'skipped', 'upstream_failed', 'removed'))"
                ).format(sql.Identifier(METADATA_SCHEMA)),
                [dag_id, run_id],
            )
    return len(dead)


def _stamped(path: Path) -> tuple[str, str] | None:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return str(known["airflow"]), str(known["revision"])
    except (OSError, ValueError, KeyError):
        # No stamp or a torn one: the upgrade looks for itself.
        return None


def _write(path: Path, content: Mapping[str, str]) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(path)


def _revision(connection: psycopg.Connection) -> str | None:
    table = f"{METADATA_SCHEMA}.alembic_version"
    found = connection.execute("select to_regclass(%s)", [table]).fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute(
        sql.SQL("select version_num from {}.alembic_version").format(
            sql.Identifier(METADATA_SCHEMA)
        )
    ).fetchone()
    return None if row is None else str(row[0])


def _ensure_schema(connection: psycopg.Connection) -> None:
    """Make the role and its schema; the login becomes a member, as with the house's roles."""
    role, schema = sql.Identifier(METADATA_ROLE), sql.Identifier(METADATA_SCHEMA)
    is_modern = connection.info.server_version >= 160_000
    if is_modern:
        # since 16 who creates a role may administer it, yet not become it, unless this is said
        connection.execute("set local createrole_self_grant = 'set, inherit'")
    known = connection.execute(
        "select 1 from pg_roles where rolname = %s", [METADATA_ROLE]
    ).fetchone()
    if known is None:
        connection.execute(sql.SQL("create role {} nologin").format(role))
    may_become = connection.execute(
        "select pg_has_role(current_user, %s, %s)",
        [METADATA_ROLE, "set" if is_modern else "member"],
    ).fetchone()
    if may_become is None or not may_become[0]:
        connection.execute(sql.SQL("grant {} to current_user").format(role))
    connection.execute(
        sql.SQL("create schema if not exists {} authorization {}").format(schema, role)
    )


def _upgrade(airflow: AirflowEnvironment) -> str:
    airflow.log_dir.mkdir(parents=True, exist_ok=True)
    log = airflow.log_dir / "metadata.log"
    with log.open("w", encoding="utf-8") as sink:
        done = subprocess.run(
            [sys.executable, "-c", _UPGRADE],
            env={**os.environ, **airflow.env},
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            check=False,
        )
        sink.write(done.stdout)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines or not lines[-1].startswith("revision "):
        raise PayeshError(
            "Airflow's tables could not be brought to its version",
            str(log),
            "read the log's end; if the schema is from a newer Airflow, install that one",
        )
    return lines[-1].removeprefix("revision ").strip()
