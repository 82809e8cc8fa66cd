"""Scoped logins on servers that are not ours, by an account that is no superuser."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.postgres import migrate
from infra.postgres.access import grant, list_access, revoke
from infra.settings import Settings


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
