"""Settings: what the environment may say, and what is refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.errors import RefusedError
from infra.settings import PROJECT_ROOT, TEHRAN, Settings, quiet_environment


def test_defaults_lie_in_the_project() -> None:
    settings = Settings.from_env({})
    assert settings.home == PROJECT_ROOT / ".payesh"
    assert settings.is_embedded
    assert settings.snapshots_url == str(PROJECT_ROOT / ".payesh" / "snapshots")
    assert settings.source_folders[0] == PROJECT_ROOT / "ingestion" / "sources"
    assert settings.reference_dir == PROJECT_ROOT / "dbt_project" / "seeds" / "reference"
    assert settings.sandbox
    assert settings.nation == "full"
    assert abs((settings.now() - datetime.now(UTC)).total_seconds()) < 5
    assert settings.now().tzinfo is UTC


def test_empty_variables_count_as_unset() -> None:
    """Compose files hand over `NAME=` for what nobody set."""
    names = ("HOME", "DATABASE_URL", "SNAPSHOTS", "SOURCES", "SANDBOX", "NOW")
    assert Settings.from_env({f"PAYESH_{name}": "" for name in names}) == Settings.from_env({})


def test_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"PAYESH_HOME": "here/../there"}).home == tmp_path / "there"


def test_further_registry_folders_and_the_sandbox_own(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    simulated = tmp_path / "home" / "sandbox" / "sources"
    for folder in (first, second, simulated):
        folder.mkdir(parents=True)
    env = {
        "PAYESH_HOME": str(tmp_path / "home"),
        "PAYESH_SOURCES": f"{first}{os.pathsep}{second}{os.pathsep}{first}",
    }
    assert Settings.from_env(env).source_folders[1:] == (first, second, simulated)
    env["PAYESH_SANDBOX"] = "off"
    assert Settings.from_env(env).source_folders[1:] == (first, second)


def test_missing_registry_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="does not exist") as caught:
        Settings.from_env({"PAYESH_SOURCES": str(tmp_path / "nowhere")})
    assert str(tmp_path / "nowhere") in caught.value.where


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@host/db",
        "postgresql://u:s3cret@host",
        "postgresql://u:s3cret@host:port/db",
        "host=db password=s3cret",
        "postgresql://u:s3cret@host:0/db",
    ],
)
def test_P12_bad_database_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(RefusedError) as caught:
        Settings.from_env({"PAYESH_DATABASE_URL": url})
    assert "s3cret" not in str(caught.value)
    assert "PAYESH_DATABASE_URL" in caught.value.where


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_external_database(scheme: str) -> None:
    url = f"{scheme}://u:p@db.example:5433/monitoring?sslmode=require"
    settings = Settings.from_env({"PAYESH_DATABASE_URL": url})
    assert settings.database_url == url
    assert not settings.is_embedded


def test_D22_simulated_clock_is_an_instant_in_utc() -> None:
    settings = Settings.from_env({"PAYESH_NOW": "2026-11-21T02:00:00+03:30"})
    assert settings.now() == datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    assert settings.now().astimezone(TEHRAN).date().isoformat() == "2026-11-21"


def test_the_simulated_clock_can_be_moved_by_a_file_and_children_read_the_same_file(
    tmp_path: Path,
) -> None:
    clock = tmp_path / "clock"
    environment = {"PAYESH_NOW": f"@{clock}"}
    with pytest.raises(RefusedError, match="can't be read"):
        Settings.from_env(environment)
    clock.write_text("2026-11-21T02:00:00+03:30\n", encoding="utf-8")
    first = Settings.from_env(environment)
    clock.write_text("2026-11-28T02:00:00+03:30\n", encoding="utf-8")
    later = Settings.from_env(first.to_env())
    assert later.clock_file == clock
    assert later.now() - first.now() == timedelta(days=7)


@pytest.mark.parametrize("text", ["2026-11-21T02:00:00", "tomorrow", "1405/08/30"])
def test_D22_clock_without_zone_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="time zone"):
        Settings.from_env({"PAYESH_NOW": text})


@pytest.mark.parametrize("off", ["off", "OFF", "0", "no", "false"])
def test_no_simulated_clock_outside_the_sandbox(off: str) -> None:
    with pytest.raises(RefusedError, match="simulated clock"):
        Settings.from_env({"PAYESH_NOW": "2026-11-21T02:00:00Z", "PAYESH_SANDBOX": off})


@pytest.mark.parametrize(("text", "nation"), [("small", "small"), ("FULL", "full")])
def test_the_size_of_the_nation_is_a_setting(text: str, nation: str) -> None:
    settings = Settings.from_env({"PAYESH_SANDBOX": text})
    assert settings.sandbox
    assert settings.nation == nation
    assert Settings.from_env(settings.to_env()) == settings


def test_an_unknown_nation_is_refused() -> None:
    with pytest.raises(RefusedError, match="huge"):
        Settings.from_env({"PAYESH_SANDBOX": "huge"})


def test_child_processes_see_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "home" / "sandbox" / "sources").mkdir(parents=True)
    settings = Settings.from_env(
        {
            "PAYESH_HOME": str(tmp_path / "home"),
            "PAYESH_DATABASE_URL": "postgresql://u:p@localhost:5432/db",
            "PAYESH_SOURCES": str(tmp_path / "more"),
            "PAYESH_SNAPSHOTS": "s3://bucket/snapshots",
            "PAYESH_NOW": "2026-11-21T02:00:00+03:30",
        }
    )
    assert Settings.from_env(settings.to_env()) == settings
    off = Settings.from_env({"PAYESH_SANDBOX": "off", "PAYESH_HOME": str(tmp_path / "home")})
    assert Settings.from_env(off.to_env()) == off


def test_nobody_is_told_that_we_run() -> None:
    quiet = quiet_environment()
    assert quiet["DO_NOT_TRACK"] == "1"
    assert quiet["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    assert quiet["GX_ANALYTICS_ENABLED"] == "false"
