"""DAG tests: the real DAG folder over a small registry, parsed with all doors closed.

In: `dags/`. Out: `dag_bag`: the parsed folder, and how much work it was. No database is there, and
none must be needed.
"""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tests.airflow_home  # noqa: F401 - before Airflow is imported
from infra.settings import PROJECT_ROOT

SOURCE = """\
source: {name}
title: Simulated progress {name}
title_fa: پیشرفت شبیه‌سازی‌شده
kind: progress
agency: sim_a01
owner: {{name: Desk of {name}, email: {name}@example.org}}
tier: 2
simulated: true
schedule: {{cadence: weekly, due_hours: 48, owed_from: 2026-11-14}}
connector: {{type: http_json, url: "http://127.0.0.1:{port}/progress"}}
layouts:
  - fields:
      period: {{headers: [week], period_kind: week, calendar: gregorian}}
      project: {{headers: [project]}}
      agency: {{value: sim_a01}}
      actual_pct: {{headers: [actual], percent_scale: percent}}
"""


@dataclass(frozen=True)
class Parsed:
    """The folder as Airflow sees it."""

    dags: dict[str, Any]
    import_errors: dict[str, str]
    cpu_seconds: float


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry folder beside the shipped one, with two sources on two hosts."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for number, port in ((1, 9001), (2, 9002)):
        write_source(folder, f"sim_a01__progress{number}", port)
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PAYESH_SOURCES", str(folder))
    return folder


def write_source(folder: Path, name: str, port: int = 9001) -> Path:
    """Write a sound source file."""
    path = folder / f"{name}.yml"
    path.write_text(SOURCE.format(name=name, port=port), encoding="utf-8")
    return path


@pytest.fixture
def closed_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, no process: whoever tries fails the test."""
    # Airflow's own imports are not the DAG files' doing; croniter asks `file` about Python
    import croniter  # noqa: F401

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"parsing a DAG must not do this: {arguments!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)


def parse() -> Parsed:
    """Parse the DAG folder as Airflow's dag-processor does."""
    from airflow.dag_processing.dagbag import BundleDagBag

    began = time.process_time()
    folder = PROJECT_ROOT / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, bundle_name="payesh")
    return Parsed(dict(bag.dags), dict(bag.import_errors), time.process_time() - began)


@pytest.fixture
def dag_bag(sources: Path, closed_doors: None) -> Parsed:
    """The parsed folder, with no network, no database and no child process allowed."""
    return parse()
