"""What else the live scheduler has to do, once each, beside the nights: by day, one after another.

In: a house under `payesh up` whose nights are over, its simulated clock past five in the morning.
Out: what was not as it ought to be: a late release without its alert and its all-clear, a backfill
beside a live run, a source file that does not become a DAG by itself, chores, bulletin, reminders
and the early start.
Run it: part of `payesh bench nights`
"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Final

from infra.airflow.live import Live, Run
from infra.airflow.policy import RELEASE_WITHIN, source_dag_id
from infra.bench.sink import Sink
from infra.settings import Settings

LATE: Final = RELEASE_WITHIN + dt.timedelta(hours=1)
_PICK_UP_SECONDS: Final = 240.0
_NOTICE_SECONDS: Final = 60.0
_NIGHTS_AGAIN: Final = 2
_NEW: Final = "sim_a01__picked_up"
_SOURCE: Final = f"""\
source: {_NEW}
title: Picked up while the scheduler runs
kind: progress
agency: sim_a01
owner: {{name: Desk, email: desk@example.org}}
simulated: true
schedule: {{cadence: once}}
connector: {{type: folder, path: empty, pattern: "*.csv"}}
layouts:
  - fields:
      period: {{headers: [week], period_kind: week, calendar: gregorian}}
      project: {{headers: [project]}}
      agency: {{value: sim_a01}}
      actual_pct: {{headers: [actual], percent_scale: percent}}
"""


def by_day(settings: Settings, sink: Sink, more_sources: Path, source: str) -> list[str]:
    """Have everything done once; return what was not as it ought to be."""
    live = Live(settings)
    write_source(more_sources)
    mark = f"day__{settings.now():%Y%m%dT%H%M%S}"
    dag_id = source_dag_id(source)
    today = settings.now()
    problems: list[str] = []

    live_run = live.start(dag_id, mark, {})
    again = live.backfill(dag_id, today - dt.timedelta(days=_NIGHTS_AGAIN), today)
    late = live.start("warehouse", mark, {}, logical_date=today - LATE)
    others = [live.start(name, mark, {}) for name in ("bulletin", "reminders", "upkeep", "early")]
    states = live.wait([live_run, late, *others])
    problems += [
        f"{run.dag_id} by day: {state}" for run, state in states.items() if state != "success"
    ]

    live.wait_for_backfill(again)
    again_runs = [run for run in live.runs(dag_id) if run["run_type"] == "backfill"]
    if len(again_runs) < _NIGHTS_AGAIN:
        problems.append(f"the backfill made {len(again_runs)} runs of {dag_id}")
    problems += [
        f"{dag_id} {run['dag_run_id']}: {run['state']}"
        for run in again_runs
        if run["state"] != "success"
    ]
    problems += _alert(sink)
    problems += _picked_up(live, mark)
    return problems


def write_source(folder: Path) -> None:
    """Add a source file, as an engineer does while everything runs."""
    (folder / "empty").mkdir(exist_ok=True)
    draft = folder / f".{_NEW}"
    draft.write_text(_SOURCE, encoding="utf-8")
    draft.replace(folder / f"{_NEW}.yml")


def _alert(sink: Sink) -> list[str]:
    """The release was late: the operator heard of it once, and once that it is out."""
    told: list[str] = []
    deadline = time.monotonic() + _NOTICE_SECONDS
    while time.monotonic() < deadline:
        told = [post["kind"] for post in sink.posts if post["key"] == "warehouse.deadline"]
        if len(told) >= 2:
            break
        time.sleep(0.5)
    if told != ["reminder", "settled"]:
        return [f"of a late release was told {told}, ought to be an alert and an all-clear"]
    return []


def _picked_up(live: Live, mark: str) -> list[str]:
    dag_id = source_dag_id(_NEW)
    deadline = time.monotonic() + _PICK_UP_SECONDS
    while dag_id not in live.dags():
        if time.monotonic() > deadline:
            return [f"{dag_id} is unknown {_PICK_UP_SECONDS:.0f} s after its file was written"]
        time.sleep(2)
    run = Run(dag_id, mark)
    live.start(dag_id, mark, {})
    state = live.wait([run])[run]
    return [] if state == "success" else [f"{dag_id}: {state}"]
