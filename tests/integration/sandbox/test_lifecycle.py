"""The sandbox's server: one, on its port, obeys clock and faults, stops by its own pid."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from infra import sandbox
from infra.errors import RefusedError
from infra.sandbox import WorldParams
from infra.sandbox.calendar import WEEK
from infra.sandbox.faults import FAULTS
from infra.sandbox.state import Paths, read_state, write_state
from infra.settings import Settings
from ingestion.connectors import Fetched, collect
from ingestion.errors import IngestError
from ingestion.spec.registry import load_spec

OPENED_ON = dt.date(2026, 11, 14)
SMALL = WorldParams(OPENED_ON, weeks=6, agencies=3, provinces=1)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    found = Settings.from_env({"PAYESH_HOME": str(tmp_path / "home")})
    yield found
    sandbox.stop(found)


def _get(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return bytes(response.read())


def test_start_is_idempotent_and_the_port_is_kept(settings: Settings) -> None:
    first = sandbox.start(settings, SMALL)
    again = sandbox.start(settings)
    assert first.is_running
    assert (again.pid, again.url) == (first.pid, first.url)
    assert {path.stem for path in first.sources_dir.glob("*.yml")} == set(first.sources)
    assert f"{first.url}/sim_a01/progress" in (
        first.sources_dir / "sim_a01__progress.yml"
    ).read_text(encoding="utf-8")
    assert sandbox.stop(settings)
    assert not sandbox.stop(settings)
    assert not psutil.pid_exists(first.pid or 0)
    assert sandbox.start(settings).url == first.url


def test_two_starts_at_once_make_one_server(settings: Settings) -> None:
    found: list[sandbox.SandboxInfo] = []
    threads = [
        threading.Thread(target=lambda: found.append(sandbox.start(settings, SMALL)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({info.pid for info in found}) == 1
    assert len(found) == 3


def test_kill_9_and_a_foreign_pid_are_survived(settings: Settings) -> None:
    first = sandbox.start(settings, SMALL)
    os.kill(first.pid or 0, signal.SIGKILL)
    psutil.Process(first.pid).wait(5)
    second = sandbox.start(settings)
    assert second.is_running
    assert second.pid != first.pid
    sandbox.stop(settings)
    # the pid of somebody else (this process) is never taken for the server
    paths = Paths.of(settings)
    state = read_state(paths)
    assert state is not None
    write_state(paths, replace(state, pid=os.getpid(), pid_started=1.0))
    assert not sandbox.stop(settings)
    assert sandbox.start(settings).is_running


def test_a_taken_port_is_left_alone(settings: Settings) -> None:
    first = sandbox.start(settings, SMALL)
    sandbox.stop(settings)
    port = int(first.url.rsplit(":", 1)[1])
    with socket.create_server(("127.0.0.1", port)):
        moved = sandbox.start(settings)
        assert moved.url != first.url
    text = (moved.sources_dir / "sim_a01__progress.yml").read_text(encoding="utf-8")
    assert moved.url in text


def test_another_nation_is_refused(settings: Settings) -> None:
    sandbox.start(settings, SMALL)
    with pytest.raises(RefusedError, match="another sandbox nation"):
        sandbox.start(settings, WorldParams(OPENED_ON, seed=2, weeks=6, agencies=3, provinces=1))


def test_no_sandbox_in_production(tmp_path: Path) -> None:
    settings = Settings.from_env({"PAYESH_HOME": str(tmp_path), "PAYESH_SANDBOX": "off"})
    with pytest.raises(RefusedError, match="no sandbox"):
        sandbox.start(settings)


def test_the_clock_brings_just_what_is_new(settings: Settings) -> None:
    info = sandbox.start(settings, SMALL)
    url = f"{info.url}/sim_a01/progress?size=5000"
    before = json.loads(_get(url))["data"]
    files = {path: path.read_bytes() for path in info.drop_dir.rglob("*.xlsx")}
    arrived = sandbox.set_week(settings, OPENED_ON + WEEK)
    after = json.loads(_get(url))["data"]
    assert {record["period"] for record in after} - {record["period"] for record in before} == {
        (OPENED_ON + WEEK).isoformat()
    }
    assert arrived
    assert files.keys().isdisjoint(arrived)
    assert all(path.read_bytes() == content for path, content in files.items())
    assert sandbox.set_week(settings, OPENED_ON + WEEK) == []
    with pytest.raises(RefusedError, match="no week"):
        sandbox.set_week(settings, OPENED_ON + dt.timedelta(days=1))


def test_P12_a_key_is_asked_for_and_kept_from_others(settings: Settings) -> None:
    info = sandbox.start(settings, SMALL)
    url = f"{info.url}/sim_a02/progress"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _get(url)
    key = sandbox.secrets(settings)["PAYESH_SECRET_SIM_A02"]
    assert json.loads(_get(url, **{"X-Api-Key": key}))["result"]["total"] > 0
    mode = Paths.of(settings).state.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert key not in info.log_file.read_text()
    assert all(key not in path.read_text("utf-8") for path in info.sources_dir.iterdir())


def test_P2_P5_P6_faults_begin_and_end(settings: Settings) -> None:
    info = sandbox.start(settings, SMALL)
    url = f"{info.url}/sim_a01/progress"
    whole = _get(url)
    sandbox.set_fault(settings, "sim_a01", "500")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        _get(url)
    sandbox.set_fault(settings, "sim_a01", "429")
    with pytest.raises(urllib.error.HTTPError) as limited:
        _get(url)
    assert limited.value.code == 429
    assert limited.value.headers["Retry-After"] == "1"
    sandbox.set_fault(settings, "sim_a01", "dead")
    with pytest.raises(OSError):
        _get(url)
    sandbox.set_fault(settings, "sim_a01", "login-page")
    assert b"<html" in _get(url)
    sandbox.set_fault(settings, "sim_a01", "empty")
    assert json.loads(_get(url))["data"] == []
    sandbox.set_fault(settings, "sim_a01", "repeat-page")
    assert _get(f"{url}?page=2") == _get(f"{url}?page=1") == whole
    assert sandbox.set_fault(settings, "sim_a01", None).faults == {}
    assert _get(url) == whole
    assert _get(f"{url}?page=2") != whole


def _collected(settings: Settings, fault: str | None, agency: str = "sim_a01") -> list[Fetched]:
    """Fetch the agency's progress as the pipeline does, without its patience."""
    loaded = load_spec(settings.home / "sandbox" / "sources" / f"{agency}__progress.yml")
    hasty = {"retries": 0, "read_timeout_seconds": 0.3}
    connector = loaded.spec.connector.model_copy(update=hasty)
    spec = loaded.spec.model_copy(update={"connector": connector})
    sandbox.set_fault(settings, agency, fault)
    keys = sandbox.secrets(settings)
    asker = SimpleNamespace(
        now=lambda: dt.datetime.now(dt.UTC), secrets=lambda ref: keys[ref.removeprefix("env:")]
    )
    return collect(replace(loaded, spec=spec), asker)


def test_P1_P2_P5_P6_S11_the_house_calls_each_fault_by_its_name(
    settings: Settings,
) -> None:
    sandbox.start(settings, SMALL)
    told: dict[str, str] = {}
    late = ("empty", "renamed-field", "shrunken")
    for fault in FAULTS.values():
        if fault.medium == "api" and fault.name not in late:
            with pytest.raises(IngestError) as refused:
                _collected(settings, fault.name)
            told[fault.name] = refused.value.code
    assert told == {name: FAULTS[name].code for name in told}
    # what is not seen on the way in is told by the records
    [whole] = _collected(settings, None)
    [shrunken] = _collected(settings, "shrunken")
    [empty] = _collected(settings, "empty")
    assert (shrunken.row_count, empty.row_count) == (-(-(whole.row_count or 0) // 10), 0)
    [renamed] = _collected(settings, "renamed-field")
    assert b'"period_v2":' in renamed.parts[0].data


def test_a_corrupt_workbook_comes_and_goes(settings: Settings) -> None:
    info = sandbox.start(settings, SMALL)
    sandbox.set_fault(settings, "sim_p02", "corrupt-workbook")
    broken = info.drop_dir / "sim_p02" / "progress-1405-W35-corrupt-workbook.xlsx"
    assert broken.read_bytes()[:2] == b"PK"
    sandbox.set_fault(settings, "sim_p02", None)
    assert not broken.exists()


@pytest.mark.parametrize(
    ("agency", "fault"),
    [("sim_a99", "500"), ("sim_a01", "tired"), ("sim_a01", "corrupt-workbook"), ("sim_p02", "500")],
)
def test_impossible_faults_are_refused(settings: Settings, agency: str, fault: str) -> None:
    sandbox.start(settings, SMALL)
    with pytest.raises(RefusedError):
        sandbox.set_fault(settings, agency, fault)
