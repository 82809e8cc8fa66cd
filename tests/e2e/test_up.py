"""`payesh up` and `payesh down`: the real components, found healthy, crashed, and gone.

One start for all checks: it takes some ten seconds.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import requests

from infra.airflow.environment import environment
from infra.airflow.supervisor import State, health, running, start, stop
from infra.postgres import admin_url, migrate
from infra.settings import Settings


def _children(settings: Settings) -> dict[str, int]:
    state = State.read(settings)
    assert state is not None
    return {child.name: child.pid for child in state.children}


def _wait_for_new_pid(settings: Settings, name: str, old: int) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pid = _children(settings)[name]
        if pid not in (0, old):
            return pid
        time.sleep(0.2)
    raise AssertionError(f"{name} was not started again")


def _listening_addresses(pids: set[int]) -> set[str]:
    found = set()
    for connection in psutil.net_connections("tcp"):
        if connection.pid in pids and connection.status == psutil.CONN_LISTEN:
            found.add(connection.laddr.ip)
    return found


@pytest.mark.timeout(240)
def test_up_is_reachable_restarts_what_dies_and_down_leaves_nothing(
    payesh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_SANDBOX", "off")
    settings = Settings.from_env()
    migrate(settings)
    try:
        report = start(settings)
        assert set(report.components.values()) == {"healthy"}
        assert report.started
        assert start(settings).started is False, "a second `up` starts nothing"

        airflow = environment(settings)
        assert airflow.password_file.stat().st_mode & 0o077 == 0
        assert airflow.config.stat().st_mode & 0o077 == 0
        answer = requests.post(
            f"{report.url}/auth/token",
            json={"username": "admin", "password": airflow.password()},
            timeout=10,
        )
        answer.raise_for_status()
        login = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        listed = requests.get(f"{report.url}/api/v2/dags", headers=login, timeout=10).json()
        known = {dag["dag_id"]: dag for dag in listed["dags"]}
        assert "warehouse" in known
        assert not known["warehouse"]["is_paused"]
        # what is new waits for its next night
        assert known["warehouse"]["next_dagrun_run_after"] is not None
        runs = requests.get(f"{report.url}/api/v2/dags/~/dagRuns", headers=login, timeout=10)
        # `early` looks every half hour by day whether enough has come; all else waits for its time
        started = {run["dag_id"] for run in runs.json()["dag_runs"]}
        assert started <= {"early"}

        before = _children(settings)
        supervisor = State.read(settings)
        assert supervisor is not None
        family = {child.pid for child in psutil.Process(supervisor.pid).children(recursive=True)}
        assert _listening_addresses(family) <= {"127.0.0.1"}

        os.kill(before["dag-processor"], signal.SIGKILL)
        _wait_for_new_pid(settings, "dag-processor", before["dag-processor"])

        # the supervisor itself is killed: `down` still ends what it has left
        last = _children(settings)
        os.kill(supervisor.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while running(settings) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert health(settings).running is False
        assert stop(settings) is True
        assert not [pid for pid in last.values() if psutil.pid_exists(pid)]
        assert admin_url(settings)
    finally:
        stop(settings)
