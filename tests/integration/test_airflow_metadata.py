"""Airflow's tables on servers that are not ours, for a login that is no superuser."""

from __future__ import annotations

from pathlib import Path

import psycopg

from infra.airflow.environment import environment, metadata_url
from infra.airflow.metadata import ensure_metadata
from infra.postgres import connect, migrate
from infra.settings import Settings


def test_metadata_has_a_schema_and_a_role_of_its_own_on_any_server(
    external_postgres: str, payesh_home: Path
) -> None:
    settings = Settings.from_env(
        {"PAYESH_HOME": str(payesh_home), "PAYESH_DATABASE_URL": external_postgres}
    )
    migrate(settings)
    airflow = environment(settings)
    assert ensure_metadata(settings, airflow) is True
    assert ensure_metadata(settings, airflow) is False

    with connect(settings, "admin") as connection:
        owners = connection.execute(
            "select distinct tableowner, schemaname from pg_tables where tablename = 'dag_run'"
        ).fetchall()
    assert owners == [("payesh_airflow", "airflow")]
    with psycopg.connect(metadata_url(settings, "psycopg").replace("+psycopg", "")) as connection:
        rights = connection.execute(
            "select has_schema_privilege('raw', 'usage'), has_schema_privilege('history', 'usage')"
        ).fetchone()
    assert rights == (False, False), "what runs in Airflow's metadata can't reach the warehouse"


def test_P12_the_configuration_with_its_secrets_is_private_and_stable(payesh_home: Path) -> None:
    settings = Settings.from_env(
        {
            "PAYESH_HOME": str(payesh_home),
            "PAYESH_DATABASE_URL": "postgresql://house:p%25%40ss@127.0.0.1:1/db",
        }
    )
    first = environment(settings)
    text = first.config.read_text(encoding="utf-8")
    for path in (first.config, first.password_file, first.home / "secrets.json"):
        assert path.stat().st_mode & 0o077 == 0, path
    # a percent sign would start an interpolation; Airflow reads two of them as one
    assert "p%%25%%40ss" in text
    assert environment(settings).config.read_text(encoding="utf-8") == text
    assert environment(settings, port=18999).url.endswith(":18999")
    assert environment(settings).port == 18999, "the port is remembered"
    assert first.env["AIRFLOW_HOME"] == str(first.home)
    assert "p%25%40ss" not in " ".join(
        value for name, value in first.env.items() if name != "PAYESH_DATABASE_URL"
    )
