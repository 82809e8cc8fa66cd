"""`payesh doctor` on installations that are broken in the ways installations break."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra import embedded
from infra.cli import doctor
from infra.cli.doctor import Check
from infra.errors import PayeshError
from infra.postgres import connect, migrate
from infra.postgres import migrations as migrations_package
from infra.settings import Settings


def _named(checks: list[Check], name: str) -> list[Check]:
    return [check for check in checks if check.name == name]


def _state(settings: Settings, name: str) -> str:
    room = getattr(doctor, f"check_{name}")
    return max((c.state for c in room(settings)), key=["ok", "warn", "fail"].index)


@pytest.fixture
def settings(payesh_home: Path) -> Settings:
    return Settings.from_env()


def _doctor(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_new_installation_is_not_called_broken(settings: Settings) -> None:
    for name in ("home", "disk", "server", "database", "snapshots", "airflow", "sandbox"):
        assert _state(settings, name) == "ok", name
    assert embedded.status(settings).state == "absent", "looking changes nothing"


def test_running_installation(fresh_database: Settings) -> None:
    checks = list(doctor.check_database(fresh_database))
    assert [check.name for check in checks] == ["database", "roles", "BI login"]
    assert {check.state for check in checks} == {"ok"}


def test_database_down(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    answer = _doctor(
        {"PAYESH_DATABASE_URL": f"postgresql://u:s3cret@127.0.0.1:{port}/db"}, "--json"
    )
    assert answer.returncode == 3
    report = json.loads(answer.stdout)
    assert report["state"] == "fail"
    found = {check["name"]: check for check in report["checks"]}
    assert f"127.0.0.1:{port}" in found["server"]["found"]
    assert found["server"]["fix"]
    assert found["database"]["state"] == "fail"
    assert found["home"]["state"] == "ok", "one fault hides no other check"
    assert "s3cret" not in answer.stdout + answer.stderr


def test_impossible_setting_still_shows_the_rest(settings: Settings) -> None:
    answer = _doctor({"PAYESH_NOW": "tomorrow"})
    assert answer.returncode == 3
    assert "fail  settings" in answer.stdout
    assert "python" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_old_schema_and_newer_schema(fresh_database: Settings) -> None:
    for revision, state, fix in (("0000", "warn", "payesh migrate"), ("9999", "fail", "update")):
        with connect(fresh_database, "admin") as connection:
            connection.execute("update public.payesh_revision set version_num = %s", [revision])
        check = next(doctor.check_database(fresh_database))
        assert (check.name, check.state) == ("database", state)
        assert fix in check.fix


def test_applied_migration_that_was_edited(
    fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(migrations_package.SQL_DIR, tmp_path / "sql")
    monkeypatch.setattr(migrations_package, "SQL_DIR", tmp_path / "sql")
    assert len(_named(list(doctor.check_database(fresh_database)), "database")) == 1
    with (tmp_path / "sql" / "0001_10_roles.sql").open("a") as handle:
        handle.write("-- an afterthought\n")
    (_, warning) = _named(list(doctor.check_database(fresh_database)), "database")
    assert warning.state == "warn"
    assert "0001_10_roles.sql" in warning.found


def test_bi_password_that_no_longer_fits(fresh_database: Settings) -> None:
    (fresh_database.home / "bi_password").write_text("another\n")
    (check,) = _named(list(doctor.check_database(fresh_database)), "BI login")
    assert check.state == "warn"
    assert "rotate" in check.fix


def test_empty_database(database: Settings) -> None:
    from infra.postgres import admin_url

    nowhere = replace(database, database_url=admin_url(database, "never_made"))
    (check,) = doctor.check_database(nowhere)
    assert (check.state, check.fix) == ("warn", "run `payesh migrate`")


def test_port_taken_while_stopped(settings: Settings) -> None:
    migrate(settings)
    port = embedded.status(settings).port
    embedded.stop(settings)
    assert port is not None
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        (check,) = doctor.check_server(settings)
    assert f"port {port} is used by another program" in check.found


def test_missing_server_programs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise PayeshError("the embedded Postgres programs are missing", "wheel", "`make setup`")

    monkeypatch.setattr(embedded, "binaries", missing)
    (check,) = doctor._guarded("server", lambda: doctor.check_server(settings))
    assert (check.state, check.fix) == ("fail", "`make setup`")


def test_packages_missing_or_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "click==0.1 \\\n    --hash=sha256:00\nnot-a-package==1.0 \\\n    --hash=sha256:00\n"
        "rich[all]==0.2\n"
    )
    checks = list(doctor.check_packages(tmp_path))
    assert [check.state for check in checks] == ["fail", "warn"]
    assert "not-a-package" in checks[0].found
    assert "click" in checks[1].found
    assert "rich" in checks[1].found
    (absent,) = doctor.check_packages(tmp_path / "elsewhere")
    assert absent.state == "fail"


def test_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for least, state in ((0, "warn"), (10**18, "fail")):
        monkeypatch.setattr(doctor, "_GOOD_FREE_BYTES", 10**18)
        monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", least)
        assert _state(settings, "disk") == state


def test_home_that_is_a_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    (check,) = doctor._guarded(
        "home", lambda: doctor.check_home(replace(settings, home=tmp_path / "home"))
    )
    assert check.state == "fail"
    assert "PAYESH_HOME" in check.fix


def test_broken_source_file_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "agency__broken.yml").write_text("source: [\n")
    folders = (*settings.source_folders, tmp_path)
    checks = list(doctor.check_registry(replace(settings, source_folders=folders)))
    assert any(c.state == "warn" and "agency__broken.yml" in c.found for c in checks)
    nothing = replace(settings, source_folders=(tmp_path / "empty",))
    (tmp_path / "empty").mkdir()
    assert _state(nothing, "registry") == "fail"


def test_incomplete_checkout(settings: Settings, tmp_path: Path) -> None:
    bare = replace(settings, project_root=tmp_path, reference_dir=tmp_path / "reference")
    assert _state(bare, "dbt") == "fail"
    assert _state(bare, "airflow") == "fail"
    assert _state(bare, "reference") == "fail"


def test_sandbox_that_has_died(settings: Settings) -> None:
    from infra.sandbox import lifecycle

    info = lifecycle.start(settings)
    try:
        assert _state(settings, "sandbox") == "ok"
        assert info.pid is not None
        os.kill(info.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(info.pid)] if psutil.pid_exists(info.pid) else [], 10)
        assert _state(settings, "sandbox") == "warn"
    finally:
        lifecycle.stop(settings)
    (settings.home / "sandbox" / "state.json").write_text("{torn")
    assert _state(settings, "sandbox") == "warn"
    assert _state(replace(settings, sandbox=False), "sandbox") == "ok"


def test_snapshot_store_that_cannot_be_opened(settings: Settings) -> None:
    assert _state(replace(settings, snapshots_url="nosuch://bucket"), "snapshots") == "fail"


def test_D22_old_time_zone_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoneinfo import ZoneInfo

    assert {check.state for check in doctor.check_time_zone()} == {"ok"}
    # Kabul keeps +04:30 all year: what data from before 2022 says of Tehran's summers.
    monkeypatch.setattr(doctor, "ZoneInfo", lambda _: ZoneInfo("Asia/Kabul"))
    assert {check.state for check in doctor.check_time_zone()} == {"fail"}


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> list[Check]:
        raise ZeroDivisionError("by zero")

    (check,) = doctor._guarded("odd", broken)  # type: ignore[arg-type]
    assert check.state == "fail"
    assert "ZeroDivisionError" in check.found
