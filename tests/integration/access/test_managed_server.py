"""Scoped logins on servers that are not ours, by an account that is no superuser."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.postgres import connect, migrate
from infra.postgres.access import grant, list_access, revoke
from infra.postgres.connect import BI_READER, ensure_bi_reader
from infra.settings import Settings
from infra.warehouse.child import LOCK
from ingestion.load import lock_source


def test_logins_are_made_and_locked_without_a_superuser(
    external_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_env(
        {"PAYESH_DATABASE_URL": external_postgres, "PAYESH_HOME": str(tmp_path / "home")}
    )
    migrate(settings)
    made = grant(settings, "north", agencies=["sim_a01"], provinces=["IR-02"], is_restricted=True)
    assert (made.login, made.agencies, made.provinces) == ("bi_north", ("sim_a01",), ("IR-02",))
    assert made.url is not None
    with psycopg.connect(made.url, autocommit=True) as connection:
        query = "select count(*) from marts.source_freshness"
        assert connection.execute(query).fetchall() == [(0,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("set role payesh_bi")
        with pytest.raises(psycopg.Error, match="no restricted mart"):
            connection.execute("select restricted.ask('heads', 'a good reason')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from restricted.request")
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(cli, ["access", "list"])
    assert told.exit_code == 0
    assert "province IR-02" in told.output
    assert revoke(settings, "north") == 0
    assert list_access(settings) == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(made.url)
    assert "nobody has asked" in CliRunner().invoke(cli, ["access", "log"]).output


def test_a_reader_holds_up_neither_loads_nor_builds_nor_releases(
    external_postgres: str, tmp_path: Path
) -> None:
    """Here anybody may take any advisory lock: nothing of ours may wait for one."""
    settings = Settings.from_env(
        {"PAYESH_DATABASE_URL": external_postgres, "PAYESH_HOME": str(tmp_path / "home")}
    )
    migrate(settings)
    with connect(settings, "bi", autocommit=True) as reader:
        for key in range(7_291_430_155_000, 7_291_430_155_010):
            reader.execute("select pg_advisory_lock(%s)", [key])
        reader.execute(
            "select pg_advisory_lock(hashtextextended('payesh.source/' || name, 0)),"
            " pg_advisory_lock(hashtext(name))"
            " from unnest(array['', 'sim_a01__progress', 'payesh.access', %s]) as name",
            [BI_READER],
        )
        for table in ("publication", "build_start", "build_at_work", "source_at_work", "access"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), reader.transaction():
                reader.execute(f"lock table ops.{table} in access share mode".encode())
        with connect(settings, "ingest") as loading:
            loading.execute("set local lock_timeout = '2s'")
            lock_source(loading, "sim_a01__progress")
        with connect(settings, "transform") as building:
            building.execute("set local lock_timeout = '2s'")
            building.execute(LOCK)
            building.rollback()
            building.execute("set local lock_timeout = '2s'")
            with pytest.raises(psycopg.Error, match="there is no build 1"):
                building.execute("select ops.publish(1, now())")
        assert grant(settings, "south", agencies=["sim_a02"]).login == "bi_south"
        ensure_bi_reader(settings)


def test_one_source_is_loaded_by_one_at_a_time(external_postgres: str, tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"PAYESH_DATABASE_URL": external_postgres, "PAYESH_HOME": str(tmp_path / "home")}
    )
    migrate(settings)
    with connect(settings, "ingest") as first, connect(settings, "ingest") as second:
        second.execute("set lock_timeout = '300ms'")
        second.commit()
        for _ in ("a source that is new", "one that is known"):
            lock_source(first, "sim_a01__progress")
            lock_source(second, "sim_a02__progress")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                lock_source(second, "sim_a01__progress")
            second.rollback()
            first.commit()
            lock_source(second, "sim_a01__progress")
            second.commit()
