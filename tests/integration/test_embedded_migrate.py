"""Migrations and roles, on the embedded server and on one that is not ours."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from infra.errors import PayeshError, RefusedError
from infra.postgres import (
    admin_url,
    bi_url,
    connect,
    ensure_database,
    head_revision,
    libpq_environment,
    migrate,
    role_url,
    sqlalchemy_url,
)
from infra.postgres import migrations as migrations_package
from infra.postgres.connect import ensure_bi_reader
from infra.settings import Settings


def _text(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def test_current_database_costs_one_query(fresh_database: Settings) -> None:
    migrate(fresh_database)
    started = time.monotonic()
    result = migrate(fresh_database)
    assert (result.before, result.after) == (head_revision(), head_revision())
    assert time.monotonic() - started < 0.5
    code = (
        "import sys; from infra.settings import Settings; from infra.postgres import migrate;"
        "migrate(Settings.from_env()); print('alembic' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**fresh_database.to_env(), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("role", ["owner", "ingest", "transform", "bi"])
def test_each_room_works_as_its_role(database: Settings, role: str) -> None:
    wanted = f"payesh_{role}"
    with connect(database, role) as connection:  # type: ignore[arg-type]
        assert _text(connection, "select current_user") == wanted
        assert _text(connection, "show timezone") == "UTC"
    url = sqlalchemy_url(database, role)  # type: ignore[arg-type]
    for driver in ("psycopg", "psycopg2"):
        engine = sqlalchemy.create_engine(url.replace("+psycopg:", f"+{driver}:"))
        with engine.connect() as bound:
            assert bound.scalar(sqlalchemy.text("select current_user")) == wanted
        engine.dispose()


def test_adbc_understands_role_addresses(database: Settings) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(role_url(database, "ingest")) as connection, connection.cursor() as cursor:
        cursor.execute("select current_user::text")
        assert cursor.fetchone() == ("payesh_ingest",)


def test_unknown_role_is_refused(database: Settings) -> None:
    with pytest.raises(RefusedError, match="no role boss"):
        role_url(database, "boss")  # type: ignore[arg-type]


def test_bi_login_reads_nothing_but_releases(database: Settings) -> None:
    with psycopg.connect(bi_url(database), autocommit=True) as connection:
        assert _text(connection, "select current_user") == "payesh_bi_reader"
        for query in ("select * from raw.snapshot", "select * from ops.night"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(query.encode())
        with pytest.raises(psycopg.errors.Error):
            connection.execute("create table public.mine (n integer)")


def test_no_role_but_owner_deletes(database: Settings) -> None:
    for role in ("ingest", "transform", "bi"):
        for statement in ("delete from raw.snapshot", "update raw.snapshot set sha256 = null"):
            with connect(database, role) as connection:  # type: ignore[arg-type]
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
                connection.rollback()


def test_P12_bi_password_is_private_and_rotates(database: Settings) -> None:
    path = database.home / "bi_password"
    assert path.stat().st_mode & 0o777 == 0o600
    old = bi_url(database)
    ensure_bi_reader(database, rotate=True)
    assert bi_url(database) != old
    with psycopg.connect(bi_url(database)):
        pass
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(old)


def test_lost_bi_password_is_made_again(fresh_database: Settings) -> None:
    (fresh_database.home / "bi_password").unlink()
    with pytest.raises(PayeshError, match="password can't be read"):
        bi_url(fresh_database)
    migrate(fresh_database)
    with psycopg.connect(bi_url(fresh_database)):
        pass


def test_failing_statement_names_file_and_line_and_changes_nothing(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_10_good.sql").write_text("create schema half_way;\n")
    (tmp_path / "0001_20_bad.sql").write_text("select '100%';\n\nselect nonsense from nowhere;\n")
    monkeypatch.setattr(migrations_package, "SQL_DIR", tmp_path)
    empty = replace(database, database_url=admin_url(database, "test_failing"))
    with pytest.raises(PayeshError, match="migration 0001 failed") as caught:
        migrate(empty)
    assert caught.value.where == "0001_20_bad.sql, line 3"
    with connect(empty, "admin") as connection:
        query = "select count(*) from pg_namespace where nspname = 'half_way'"
        assert _text(connection, query) == "0"


def test_newer_database_is_not_touched(fresh_database: Settings) -> None:
    with connect(fresh_database, "admin") as connection:
        connection.execute("update public.payesh_revision set version_num = '9999'")
    with pytest.raises(PayeshError, match=r"revision 9999, newer than this installation"):
        migrate(fresh_database)


@pytest.fixture
def external(external_postgres: str, tmp_path: Path) -> Settings:
    return Settings.from_env(
        {"PAYESH_DATABASE_URL": external_postgres, "PAYESH_HOME": str(tmp_path / "home")}
    )


def test_external_server_takes_the_same_migrations(external: Settings) -> None:
    """A login that is no superuser, a database that does not exist yet, four processes at once."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: migrate(external), range(4)))
    assert {result.after for result in results} == {head_revision()}
    assert not (external.home / "postgres.json").exists(), "no embedded server was started"
    for role in ("owner", "ingest", "transform", "bi"):
        with connect(external, role) as connection:  # type: ignore[arg-type]
            assert _text(connection, "select current_user") == f"payesh_{role}"
    with psycopg.connect(bi_url(external)) as connection:
        assert _text(connection, "select current_database()") == "monitoring"
    assert ensure_database(external, "airflow_metadata") is True
    assert ensure_database(external, "airflow_metadata") is False
    environment = libpq_environment(external, "transform")
    assert environment["PGPASSWORD"] == "a b/c@d"
    assert environment["PGSSLMODE"] == "disable"
    assert environment["PGOPTIONS"].endswith("-c role=payesh_transform")


def test_P12_no_message_shows_the_password(external: Settings) -> None:
    url = admin_url(external).replace("127.0.0.1:", "127.0.0.1:1").replace("a%20b", "s3cret")
    broken = replace(external, database_url="postgresql://house:s3cret@127.0.0.1:1/monitoring")
    for settings in (broken, replace(external, database_url=url.split("?")[0])):
        with pytest.raises((PayeshError, ValueError)) as caught:
            migrate(settings)
        assert "s3cret" not in str(caught.value)
