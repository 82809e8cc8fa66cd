"""The night says in three lines why it can't work, and changes nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from infra.airflow.environment import environment, free_port
from infra.airflow.night import captured_output
from infra.airflow.supervisor import Child, State, running, start, stop
from infra.errors import EXIT_FAILED, EXIT_REFUSED, PayeshError, RefusedError
from infra.settings import Settings


def payesh(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", *arguments],
        env={**os.environ, "PAYESH_HOME": str(home), "PAYESH_SANDBOX": "off", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_postgres_missing_is_said_with_its_address_and_a_remedy(payesh_home: Path) -> None:
    port = free_port(39000)
    done = payesh(
        payesh_home,
        "nightly",
        PAYESH_DATABASE_URL=f"postgresql://house:secret-word@127.0.0.1:{port}/payesh",
    )
    assert done.returncode == EXIT_FAILED
    assert "no connection to Postgres" in done.stderr
    assert f":{port}" in done.stderr or "doctor" in done.stderr
    assert "do" in done.stderr
    assert "secret-word" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_home_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    done = payesh(blocker / "home", "nightly")
    assert done.returncode == EXIT_FAILED
    assert "can't be written" in done.stderr
    assert "PAYESH_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_disk_for_the_log_stops_the_night_before_it_begins(
    payesh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: object, *_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(os, "open", full)
    with (
        pytest.raises(PayeshError, match="No space left") as caught,
        captured_output(Settings.from_env(), "night"),
    ):
        raise AssertionError("the night began without a log")
    assert "free space" in caught.value.fix


@pytest.mark.parametrize(
    ("week", "words"),
    [
        ("2090-01-07", "has not closed yet"),
        ("2999-01-05", "no week 2999-01-05"),
        ("2026-11-15", "not a Saturday"),
        ("1405-W99", "1405-W99"),
        ("soon", "no week soon"),
    ],
)
def test_D24_a_week_that_does_not_exist_or_has_not_closed_is_refused(
    payesh_home: Path, week: str, words: str
) -> None:
    done = payesh(payesh_home, "nightly", "--json", "--week", week)
    assert done.returncode == EXIT_REFUSED
    # progress lines may come first; the error is the last line, one JSON object
    error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
    assert words in error["what"]
    assert error["fix"]


def test_two_nights_at_once_are_refused(payesh_home: Path) -> None:
    with (payesh_home / "nightly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = payesh(payesh_home, "nightly")
    assert done.returncode == EXIT_REFUSED
    assert "another `payesh nightly` is running" in done.stderr


def test_a_night_beside_a_scheduler_that_is_being_stopped_is_refused(payesh_home: Path) -> None:
    me = psutil.Process()
    (payesh_home / "airflow").mkdir()
    settings = Settings.from_env()
    State(me.pid, me.create_time(), "http://127.0.0.1:8080", "stopping").write(settings)
    done = payesh(payesh_home, "nightly")
    assert done.returncode == EXIT_REFUSED
    assert "the scheduler is being stopped" in done.stderr


@contextmanager
def _taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_for_the_ui_is_refused_by_name(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _taken_port() as port, pytest.raises(RefusedError, match=f"port {port} is taken"):
        start(fresh_database, port)
    assert running(fresh_database) is None


def test_a_remembered_port_that_is_taken_gives_way_to_the_next(fresh_database: Settings) -> None:
    from infra.airflow.supervisor import _choose_port

    with _taken_port() as port:
        environment(fresh_database, port)
        chosen = _choose_port(fresh_database, None)
        assert chosen is not None
        assert chosen != port


def test_stale_state_of_a_dead_supervisor_is_not_taken_for_a_live_one(payesh_home: Path) -> None:
    (payesh_home / "airflow").mkdir()
    settings = Settings.from_env()
    me = psutil.Process()
    # this pid lives, but was born at another time: somebody else's process
    State(me.pid, me.create_time() - 1000, "x", children=[Child("scheduler", me.pid, 1.0)]).write(
        settings
    )
    assert running(settings) is None
    # must not end a process that is not ours (this one)
    assert stop(settings) is False
    assert me.is_running()


def test_torn_state_file_is_no_state(payesh_home: Path) -> None:
    (payesh_home / "airflow").mkdir()
    (payesh_home / "airflow" / "supervisor.json").write_text('{"pid": 1', encoding="utf-8")
    assert running(Settings.from_env()) is None
