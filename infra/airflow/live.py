"""Talks to the running Airflow: start runs, follow them to their end, read what became of them.

In: `Settings` of a house whose `payesh up` is running. Out: runs and their tasks as plain data,
through Airflow's own interface on 127.0.0.1. A server that is away for a while (the database is
being restarted, a component has died and is started again) is waited for.
Run it: part of `payesh nightly` beside a running scheduler, and of `payesh bench nights`
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import requests

from infra.airflow.environment import ADMIN_USER, admin_password
from infra.airflow.faults import Fault
from infra.airflow.supervisor import running
from infra.errors import PayeshError
from infra.settings import Settings

PATIENCE: Final = 300.0
"""Seconds that a server may be away before we give up."""
_SECONDS: Final = 30
_PAUSE: Final = 2.0
_PAGE: Final = 100
_ENDED: Final = ("success", "failed")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a DAG."""

    dag_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a run. `fault` is what it left when it failed."""

    task_id: str
    state: str
    tries: int
    seconds: float | None
    fault: Fault | None


class Live:
    """The Airflow of a house."""

    def __init__(self, settings: Settings, patience: float = PATIENCE) -> None:
        self.settings = settings
        self.patience = patience
        self._session = requests.Session()

    def dags(self) -> dict[str, dict[str, Any]]:
        """Return the DAGs that can be run, by id."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            query = {"limit": _PAGE, "offset": len(found)}
            page = self._ask("GET", "/dags", params=query)
            found |= {dag["dag_id"]: dag for dag in page["dags"]}
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def start(
        self,
        dag_id: str,
        run_id: str,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> Run:
        """Start a run of this name, unless there is one. PayeshError when Airflow refuses it."""
        body = {
            "dag_run_id": run_id,
            "conf": dict(conf),
            "logical_date": None if logical_date is None else logical_date.isoformat(),
        }
        self._ask("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)
        return Run(dag_id, run_id)

    def runs(self, dag_id: str = "~") -> list[dict[str, Any]]:
        """Return the newest hundred runs of a DAG, or of all."""
        query: dict[str, Any] = {"limit": _PAGE, "order_by": "-id"}
        found = self._ask("GET", f"/dags/{quote(dag_id, safe='~')}/dagRuns", params=query)
        return list(found["dag_runs"])

    def backfill(self, dag_id: str, begin: datetime, end: datetime) -> int:
        """Have Airflow make up the runs between two moments, one after the other; its number."""
        body = {
            "dag_id": dag_id,
            "from_date": begin.isoformat(),
            "to_date": end.isoformat(),
            "max_active_runs": 1,
            "reprocess_behavior": "completed",
        }
        return int(self._ask("POST", "/backfills", json=body)["id"])

    def wait_for_backfill(self, number: int) -> None:
        """Wait until a backfill is over."""
        while self._ask("GET", f"/backfills/{number}")["completed_at"] is None:
            time.sleep(_PAUSE)

    def wait(
        self, runs: list[Run], ended: Callable[[Run, str], None] = lambda *_: None
    ) -> dict[Run, str]:
        """Wait until all runs are over; return their states and tell each as it ends."""
        states: dict[Run, str] = {}
        while True:
            active = self._active({run.run_id for run in runs})
            for run in [run for run in runs if run not in states and run not in active]:
                state = str(self._ask("GET", self._path(run))["state"])
                if state in _ENDED:
                    states[run] = state
                    ended(run, state)
            if len(states) == len(runs):
                return states
            time.sleep(_PAUSE)

    def _active(self, run_ids: set[str]) -> set[Run]:
        """Return the runs of these names that are not over: one question, however many runs."""
        found: set[Run] = set()
        for run_id in run_ids:
            query: dict[str, Any] = {
                "state": ["queued", "running"],
                "run_id_pattern": run_id,
                "limit": _PAGE,
            }
            page = self._ask("GET", "/dags/~/dagRuns", params=query)["dag_runs"]
            found |= {Run(str(row["dag_id"]), str(row["dag_run_id"])) for row in page}
        return found

    def tasks(self, run: Run) -> dict[str, Task]:
        """Return the tasks of a run by name, with the faults of those that failed."""
        path = f"{self._path(run)}/taskInstances"
        found: dict[str, Task] = {}
        for row in self._ask("GET", path)["task_instances"]:
            name, state = str(row["task_id"]), str(row["state"] or "")
            fault = self._fault(path, name) if state == "failed" else None
            seconds = None if row["duration"] is None else float(row["duration"])
            found[name] = Task(name, state, int(row["try_number"]), seconds, fault)
        return found

    def _fault(self, path: str, task: str) -> Fault | None:
        from infra.airflow.tasks import FAULT_KEY

        entries = self._ask("GET", f"{path}/{quote(task)}/xcomEntries")["xcom_entries"]
        if not any(entry["key"] == FAULT_KEY for entry in entries):
            return None
        url = f"{path}/{quote(task)}/xcomEntries/{FAULT_KEY}"
        value = self._ask("GET", url, params={"deserialize": "false"})["value"]
        return Fault(**value) if isinstance(value, dict) else None

    def _path(self, run: Run) -> str:
        return f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}"

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Ask until there is an answer; what can't be heard is asked again, for `patience`."""
        deadline = time.monotonic() + self.patience
        while True:
            problem, answer = self._once(method, path, **more)
            if answer is not None:
                return answer
            if time.monotonic() > deadline:
                log = self.settings.log_dir / "airflow" / "api-server.log"
                raise PayeshError(
                    f"Airflow does not answer: {problem}", str(log), "see `payesh status`"
                )
            time.sleep(_PAUSE)

    def _once(self, method: str, path: str, **more: Any) -> tuple[str, dict[str, Any] | None]:
        live = running(self.settings)
        if live is None:
            return "it is not running", None
        try:
            if "Authorization" not in self._session.headers:
                self._session.headers["Authorization"] = f"Bearer {self._token(live.url)}"
            answer = self._session.request(
                method, f"{live.url}/api/v2{path}", timeout=_SECONDS, **more
            )
            if answer.status_code == requests.codes.unauthorized:
                # the token has grown old, or the server has a new secret
                del self._session.headers["Authorization"]
                return "it does not know us", None
            if answer.status_code >= requests.codes.internal_server_error:
                return f"HTTP {answer.status_code}", None
            if answer.status_code == requests.codes.conflict:
                # asked again after an answer that was lost: it is there
                return "", {}
            if not answer.ok:
                raise PayeshError(
                    f"Airflow refuses: HTTP {answer.status_code} {answer.text[:300]}",
                    f"{method} {path}",
                    "see `payesh status`",
                )
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            return f"{type(error).__name__}: {error}", None
        return "", found

    def _token(self, url: str) -> str:
        password = admin_password(self.settings)
        answer = self._session.post(
            f"{url}/auth/token",
            json={"username": ADMIN_USER, "password": password},
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])
