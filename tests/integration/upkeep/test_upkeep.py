"""Backups are proven before they count, damage is found, and nothing of value is ever removed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infra.embedded import binaries
from infra.errors import PayeshError, RefusedError
from infra.postgres import connect
from infra.settings import Settings
from infra.upkeep import backup as backup_room
from infra.upkeep.backup import backup
from infra.upkeep.logs import clean_logs
from infra.upkeep.run import run_chore
from infra.upkeep.snapshots import check_snapshots
from infra.upkeep.statistics import refresh_statistics
from ingestion.snapshots import Part, SnapshotStore

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)


def keep(settings: Settings, data: bytes) -> str:
    """Store bytes as a snapshot of some source; return their hash."""
    store = SnapshotStore(settings.snapshots_url)
    stored = store.put([Part(data, "week.xlsx", "drop")])
    with connect(settings, "ingest") as connection:
        connection.execute(
            "insert into raw.snapshot (source, sha256, byte_count, parts, received_at)"
            " values ('sim_a01__progress', %s, %s, %s, %s)",
            [
                stored.sha256,
                stored.byte_count,
                json.dumps([part.as_json() for part in stored.parts]),
                NOW,
            ],
        )
    return stored.sha256


def databases(settings: Settings) -> set[str]:
    with connect(settings, "admin") as connection:
        rows = connection.execute("select datname from pg_database").fetchall()
    return {row[0] for row in rows if row[0].startswith("payesh_restore")}


def test_a_backup_is_restored_and_counted_before_it_is_kept(fresh_database: Settings) -> None:
    keep(fresh_database, b"one")
    settings = replace(fresh_database, clock=NOW)
    done = backup(settings)
    path = settings.home / "backups" / "payesh-20261121T060000Z.dump"
    note = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert note["rows"]["raw.snapshot"] == 1
    assert done.facts["rows"] == sum(note["rows"].values())
    assert path.stat().st_mode & 0o077 == 0
    assert not databases(settings)
    listed = subprocess.run(
        [str(binaries() / "pg_restore"), "--list", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "payesh_revision" in listed
    assert "publish(" in listed


def test_a_backup_that_loses_a_row_is_refused_and_leaves_the_older_ones(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(fresh_database, b"one")
    folder = fresh_database.home / "backups"
    folder.mkdir()
    (folder / "payesh-20200101T000000Z.dump").write_bytes(b"an older one")
    monkeypatch.setenv("PAYESH_BACKUPS_KEPT", "1")

    def loses_a_row(settings: Settings, dump: object) -> Mapping[str, int]:
        return {"raw.snapshot": 0}

    monkeypatch.setattr(backup_room, "_restore", loses_a_row)
    monkeypatch.setattr(backup_room, "_dump", lambda settings, target: {"raw.snapshot": 1})
    with pytest.raises(PayeshError, match=r"raw\.snapshot 1 -> 0"):
        backup(fresh_database)
    assert [path.name for path in folder.iterdir()] == ["payesh-20200101T000000Z.dump"]


def test_only_the_newest_backups_stay_and_a_killed_ones_leftovers_go(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fresh_database.home / "backups"
    folder.mkdir()
    for name in ("payesh-20200101T000000Z", "payesh-20200108T000000Z"):
        (folder / f"{name}.dump").write_bytes(b"")
        (folder / f"{name}.json").write_text("{}")
    (folder / ".payesh-20200115T000000Z.dump.part").write_bytes(b"half")

    def dump(settings: Settings, target: object) -> dict[str, int]:
        target.write_bytes(b"new")  # type: ignore[attr-defined]
        return {}

    monkeypatch.setattr(backup_room, "_dump", dump)
    monkeypatch.setattr(backup_room, "_restore", lambda settings, path: {})
    monkeypatch.setenv("PAYESH_BACKUPS_KEPT", "2")
    backup(replace(fresh_database, clock=NOW))
    assert sorted(path.name for path in folder.iterdir()) == [
        "payesh-20200108T000000Z.dump",
        "payesh-20200108T000000Z.json",
        "payesh-20261121T060000Z.dump",
        "payesh-20261121T060000Z.json",
    ]


def test_damaged_and_missing_bytes_are_named_and_looked_at_again(fresh_database: Settings) -> None:
    sound, damaged = keep(fresh_database, b"sound"), keep(fresh_database, b"first words")
    assert check_snapshots(fresh_database).facts["new"] == 2
    third = keep(fresh_database, b"third")
    objects = fresh_database.home / "snapshots" / "objects"
    (objects / damaged[:2] / damaged).write_bytes(b"other words")
    (objects / third[:2] / third).unlink()
    for _ in range(2):  # a fault is not forgotten by having been told
        with pytest.raises(PayeshError) as raised:
            check_snapshots(fresh_database)
        assert damaged[:12] in raised.value.what
        assert third[:12] in raised.value.what
        assert sound[:12] not in raised.value.what


def test_old_logs_go_and_nothing_else(fresh_database: Settings) -> None:
    folder = fresh_database.log_dir / "airflow" / "dag_id=x"
    folder.mkdir(parents=True)
    old, young = folder / "old.log", folder / "young.log"
    kept = fresh_database.home / "snapshots" / "objects" / "ab" / "abc"
    kept.parent.mkdir(parents=True)
    for path in (old, young, kept):
        path.write_text("x")
    long_ago = time.time() - timedelta(days=31).total_seconds()
    os.utime(old, (long_ago, long_ago))
    os.utime(kept, (long_ago, long_ago))
    facts = clean_logs(fresh_database).facts
    assert (facts["files"], facts["metadata_cleaned"]) == (1, False)
    assert not old.exists()
    assert young.exists()
    assert kept.exists()


def test_statistics_are_refreshed_by_the_tables_owners(fresh_database: Settings) -> None:
    facts = refresh_statistics(fresh_database).facts
    assert facts["tables"] > 30
    assert facts["indexes"] >= 18


def test_switches_that_make_no_sense_are_refused(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_BACKUPS_KEPT", "0")
    with pytest.raises(RefusedError, match="PAYESH_BACKUPS_KEPT"):
        run_chore(fresh_database, "backup")
    with pytest.raises(RefusedError, match="no chore"):
        run_chore(fresh_database, "vacuum")
