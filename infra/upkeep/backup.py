"""A backup that has been restored: dump, restore into a scratch database, count every row.

In: the house's database without Airflow's schema. Out:
`<PAYESH_HOME>/backups/payesh-<UTC time>.dump` (pg_restore's custom format, mode 0600: it holds what
the database holds) and beside it `.json` with its hash and the rows of each table. Rows are counted
in the very snapshot that is dumped, and counted again after the restore; a backup that does not
restore, or restores fewer rows, is not kept. The newest `PAYESH_BACKUPS_KEPT` (4) stay; older ones
go only after a newer one has been proven.
Airflow's tables and the snapshot store are not in it: the first hold no data, the second is
copied file by file (its objects never change).
Run it: `payesh upkeep backup`; restore: runbook `backup-failed`
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from infra.embedded import binaries
from infra.errors import PayeshError
from infra.postgres.connect import connect, libpq_environment, open_url, role_url
from infra.settings import Settings
from infra.upkeep.chores import Done, number_of

SCHEMAS: Final = (
    "raw",
    "ops",
    "quality",
    "history",
    "marts",
    "marts_as_of",
    "restricted",
    "reference",
    "staging",
    "intermediate",
    "build",
)
_LEFT_OUT: Final = ("airflow",)
_TIMEOUT: Final = 3 * 3600
_ADVICE: Final = "see the runbook backup-failed; the backups made before are untouched"


def backup(settings: Settings) -> Done:
    """Make a backup, prove it by restoring it, drop the oldest beyond those kept.

    Raises PayeshError when there is no space, a program fails, or a row is missing after the
    restore; then nothing new is kept and nothing old is dropped.
    """
    kept = number_of("PAYESH_BACKUPS_KEPT", 4)
    folder = settings.home / "backups"
    began = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for leftover in folder.glob(".*.part"):
            leftover.unlink()
    except OSError as error:
        raise _folder_fault(folder, error) from error
    _require_space(settings, folder)
    path = folder / f"payesh-{settings.now():%Y%m%dT%H%M%SZ}.dump"
    draft = folder / f".{path.name}.part"
    try:
        counts = _dump(settings, draft)
        restored = _restore(settings, draft)
        _compare(counts, restored, draft)
        facts = {
            "made_at": settings.now().isoformat(),
            "sha256": _sha256(draft),
            "bytes": draft.stat().st_size,
            "rows": counts,
        }
        note = path.with_suffix(".json")
        note.write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")
        note.chmod(0o600)
        draft.replace(path)
    except OSError as error:
        raise _folder_fault(folder, error) from error
    finally:
        draft.unlink(missing_ok=True)
    dropped = _drop_old(folder, kept)
    rows, size = sum(counts.values()), path.stat().st_size
    return Done(
        "backup",
        f"{path.name}: {rows:,} rows of {len(counts)} tables dumped, restored and counted"
        f" ({size / 1e6:,.1f} MB, {time.monotonic() - began:.0f} s)",
        {
            "file": str(path),
            "bytes": size,
            "tables": len(counts),
            "rows": rows,
            "dropped": [old.name for old in dropped],
        },
    )


def _dump(settings: Settings, target: Path) -> dict[str, int]:
    """Dump the house's schemas into `target`; return the rows of each table at that instant."""
    target.touch(mode=0o600)
    with connect(settings, "admin", application_name="payesh backup") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        (snapshot,) = connection.execute("select pg_export_snapshot()").fetchall()
        counts = _count(connection)
        _run(
            settings,
            "pg_dump",
            [
                "--format=custom",
                "--compress=3",
                "--no-password",
                f"--snapshot={snapshot[0]}",
                f"--file={target}",
                # Not a list of what to take: the revision, the only thing of ours in `public`,
                # can't be asked for beside schemas.
                *(f"--exclude-schema={name}" for name in _LEFT_OUT),
            ],
            libpq_environment(settings, "admin"),
        )
    return counts


def _restore(settings: Settings, dump: Path) -> dict[str, int]:
    """Restore into a scratch database, count its rows, drop it."""
    name = f"payesh_restore_{secrets.token_hex(4)}"
    with connect(settings, "admin", autocommit=True) as connection:
        _drop_leftovers(connection)
        connection.execute(
            sql.SQL("create database {} encoding 'UTF8' template template0").format(
                sql.Identifier(name)
            )
        )
        try:
            _run(
                settings,
                "pg_restore",
                ["--no-password", "--exit-on-error", f"--dbname={name}", str(dump)],
                libpq_environment(settings, "admin", name),
            )
            with open_url(role_url(settings, "admin", name)) as scratch:
                return _count(scratch)
        finally:
            connection.execute(
                sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            )


def _drop_leftovers(connection: psycopg.Connection) -> None:
    """Drop scratch databases of backups that were killed; nobody is connected to those."""
    found = connection.execute(
        "select d.datname from pg_database as d where d.datname ~ '^payesh_restore_[0-9a-f]{8}$'"
        " and not exists (select from pg_stat_activity as a where a.datname = d.datname)"
    ).fetchall()
    for (name,) in found:
        connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def _count(connection: psycopg.Connection) -> dict[str, int]:
    """Count the rows of each table of the house; partitions count as tables of their own."""
    tables = connection.execute(
        "select n.nspname, c.relname from pg_class as c"
        " join pg_namespace as n on c.relnamespace = n.oid"
        " where c.relkind = 'r' and n.nspname = any(%s) order by n.nspname, c.relname",
        [list(SCHEMAS)],
    ).fetchall()
    counts: dict[str, int] = {}
    for schema, table in tables:
        row = connection.execute(
            sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, table))
        ).fetchone()
        counts[f"{schema}.{table}"] = 0 if row is None else int(row[0])
    return counts


def _compare(dumped: Mapping[str, int], restored: Mapping[str, int], dump: Path) -> None:
    differing = [
        f"{table} {dumped.get(table, 'absent')} -> {restored.get(table, 'absent')}"
        for table in sorted(dumped.keys() | restored.keys())
        if dumped.get(table) != restored.get(table)
    ]
    if differing:
        raise PayeshError(
            f"the backup does not restore to what was dumped: {'; '.join(differing[:5])}",
            str(dump),
            _ADVICE,
        )


def _require_space(settings: Settings, folder: Path) -> None:
    with connect(settings, "admin") as connection:
        row = connection.execute("select pg_database_size(current_database())").fetchone()
    size = 0 if row is None else int(row[0])
    # the dump, and for our own server the restored copy on the same disk
    needed = size * (2 if settings.is_embedded else 1)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PayeshError(
            f"a backup may need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            str(folder),
            "free space there, or make `backups` in PAYESH_HOME a link to a larger disk",
        )


def _run(
    settings: Settings, program: str, arguments: list[str], connection: Mapping[str, str]
) -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": str(settings.home),
        **connection,
    }
    try:
        result = subprocess.run(
            [_program(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PayeshError(f"{program} did not run: {error}", program, _ADVICE) from error
    if result.returncode != 0:
        words = [line for line in result.stderr.splitlines() if line.strip()]
        raise PayeshError(
            f"{program} failed: {words[0] if words else f'exit code {result.returncode}'}",
            program,
            _ADVICE,
        )


def _program(name: str) -> str:
    """Return the path of a Postgres program: the embedded one, else the system's."""
    try:
        return str(binaries() / name)
    except PayeshError:
        found = shutil.which(name)
        if found is None:
            raise
        return found


def _drop_old(folder: Path, kept: int) -> list[Path]:
    old = sorted(folder.glob("payesh-*.dump"))[:-kept]
    for path in old:
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
    return old


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_fault(folder: Path, error: OSError) -> PayeshError:
    where: Any = error.filename or folder
    return PayeshError(
        f"the backup can't be written: {error.strerror or error}", str(where), _ADVICE
    )
