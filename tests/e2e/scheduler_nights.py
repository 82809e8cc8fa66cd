"""Three nights and a day on the real scheduler, with faults, and with nobody called outside.

The short form of `payesh bench nights`: a dead or ailing agency, a corrupt workbook and a load that
is killed in the second night, the database restarted under running tasks in the third; then the
duties of the day. One run for all checks, in a network of its own where that is allowed: what any
program sends beyond loopback is seen there, and fails. Minutes long, so asked for by name.
Run it: `pytest tests/e2e/scheduler_nights.py`
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra import embedded, sandbox
from infra.airflow import supervisor
from infra.settings import PROJECT_ROOT, Settings

LONGEST = 1700
pytestmark = pytest.mark.timeout(LONGEST + 100)

HERE = Path(__file__).resolve().parent
GUARD = HERE / "guard"


@dataclass(frozen=True)
class Seen:
    """What the nights told, and who was called."""

    report: dict[str, Any]
    told: str
    packets: list[list[Any]]
    attempts: str


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    home = Path(tempfile.mkdtemp(prefix="payesh-nights-"))
    home.chmod(0o755)
    environment = _guarded(home) | {"PAYESH_HOME": str(home)}
    nights = [sys.executable, "-m", "infra.cli.main", "bench", "nights", "--json"]
    nights += ["--nights", "3", "--agencies", "2", "--provinces", "1"]
    try:
        out, err = _run([*_alone(home), *nights], environment)
        assert out, err
        packets = json.loads((home / "packets.json").read_text()) if _alone(home) else []
        attempts = (home / "calls").read_text() if (home / "calls").exists() else ""
        yield Seen(json.loads(out), err, packets, attempts)
    finally:
        for work in (home / "bench").glob("nights-*"):
            settings = Settings.from_env({"PAYESH_HOME": str(work)})
            supervisor.stop(settings)
            # killed already, only slow to be gone
            with contextlib.suppress(psutil.TimeoutExpired):
                sandbox.stop(settings)
            embedded.stop(settings)
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str], environment: dict[str, str]) -> tuple[str, str]:
    """Run to the end, or end the whole family when it takes too long."""
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _alone(home: Path) -> list[str]:
    """Return what runs a command in a network of its own; nothing where that takes more rights."""
    program = shutil.which("unshare")
    if program is None or os.geteuid() != 0:
        return []
    if subprocess.run([program, "-n", "true"], check=False).returncode != 0:
        return []
    watch = [sys.executable, str(HERE / "nobody_called.py"), str(home / "packets.json")]
    return [program, "-n", *watch]


def _guarded(home: Path) -> dict[str, str]:
    path = os.pathsep.join([str(GUARD), str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PAYESH_TEST_CALLS": str(home / "calls")}


@pytest.mark.parametrize(
    "call", ["socket.create_connection(('192.0.2.1', 80), 1)", "socket.getaddrinfo('a.test', 80)"]
)
def test_a_call_outside_would_be_seen(tmp_path: Path, call: str) -> None:
    code = f"import socket\ntry:\n    {call}\nexcept OSError as e:\n    print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=_guarded(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "lets nobody call" in done.stdout
    assert "socket." in (tmp_path / "calls").read_text()
    alone = _alone(tmp_path)
    if alone:
        subprocess.run([*alone, sys.executable, "-c", code], check=True, capture_output=True)
        packets = json.loads((tmp_path / "packets.json").read_text())
        names = Path("/etc/resolv.conf").read_text(encoding="utf-8")
        assert packets or ("getaddrinfo" in call and "127.0.0." in names)


def test_every_night_releases_and_everybody_is_told_once(seen: Seen) -> None:
    assert seen.report["faults"] == [], seen.told
    assert seen.report["is_complete"]
    assert [night["release_no"] for night in seen.report["nights"]] == [1, 2, 3]
    assert seen.report["notices"]["failure"] == seen.report["notices"]["recovery"] >= 2


def test_the_blows_did_strike(seen: Seen) -> None:
    _, second, third = seen.report["nights"]
    assert "killed while it loaded" in second["struck"]
    assert len(second["faults"]) == 2
    assert "stopped under running tasks" in third["struck"]


def test_the_marts_were_compared_with_the_truth_and_the_records_counted(seen: Seen) -> None:
    assert seen.report["cells"] > 1000
    assert seen.report["records"] > 100


def test_nobody_outside_was_called(seen: Seen) -> None:
    assert seen.packets == []
    assert seen.attempts == ""
