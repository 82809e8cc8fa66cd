"""Keeps Airflow running: api-server, scheduler and dag-processor, and what they stand on.

In: `Settings`. Out: one supervising process with three children (and Celery workers, if any), each
in its own process group with its own log; a child that dies is started again after 1, 2, 4 ... 60
seconds. The embedded Postgres and the sandbox are looked after in the same loop. State is in
`<PAYESH_HOME>/airflow/supervisor.json`. Stopping goes in order, by process id, and ends what a
killed supervisor has left behind.
Run it: `payesh up`, `payesh down`
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import psutil
import requests

from infra.airflow.environment import (
    AirflowEnvironment,
    airflow_home,
    environment,
    free_port,
    workers,
)
from infra.airflow.lock import alone
from infra.airflow.metadata import close_dead_runs, ensure_metadata, ensure_pools
from infra.errors import PayeshError, RefusedError
from infra.settings import Settings

COMPONENTS: Final[dict[str, tuple[str, ...]]] = {
    "api-server": ("api-server",),
    # logs are read from the folder, which needs no server that listens on every address
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
"""In the order of starting. What does not serve the others is stopped first."""
_SERVES: Final = "api-server"
_WORKER: Final = "worker-"

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 25.0
_TICK: Final = 0.5
_CARE_SECONDS: Final = 5.0
_POOL_SECONDS: Final = 30.0
_SETTLED_SECONDS: Final = 300.0
_LONGEST_WAIT: Final = 60.0
_log = logging.getLogger("payesh.supervisor")


@dataclass
class Child:
    """One component as last seen. Times are seconds since the epoch."""

    name: str
    pid: int = 0
    created: float = 0.0
    restarts: int = 0
    failures: int = 0
    next_start: float = 0.0


@dataclass
class State:
    """The state file: who supervises, and the children. `phase`: starting, running, stopping."""

    pid: int
    created: float
    url: str
    phase: str = "starting"
    problem: str = ""
    children: list[Child] = field(default_factory=list)

    @classmethod
    def read(cls, settings: Settings) -> State | None:
        """Return the state file's content, None without one (or with a torn one)."""
        try:
            known = json.loads(_state_file(settings).read_text(encoding="utf-8"))
            children = [Child(**child) for child in known.pop("children")]
            return cls(**known, children=children)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, settings: Settings) -> None:
        """Replace the state file."""
        path = _state_file(settings)
        draft = path.with_name(f".{path.name}.tmp")
        draft.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        draft.replace(path)


@dataclass(frozen=True, slots=True)
class Report:
    """What `up` and `status` tell: is it running, where, and how each component does."""

    running: bool
    url: str
    password_file: Path
    components: dict[str, str]
    problem: str = ""
    started: bool = False
    seconds: float = 0.0


def components() -> dict[str, tuple[str, ...]]:
    """Return the components of this machine: with Celery, its workers too."""
    found = dict(COMPONENTS)
    for number in range(1, workers() + 1):
        name = f"{_WORKER}{number}"
        found[name] = ("celery", "worker", "--skip-serve-logs", "--celery-hostname", f"{name}@%h")
    return found


def running(settings: Settings) -> State | None:
    """Return the state of the live supervisor, None when there is none."""
    state = State.read(settings)
    if state is None or _process(state.pid, state.created) is None:
        return None
    return state


def start(
    settings: Settings, port: int | None = None, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Start the supervisor if it is not running and wait until all components are healthy.

    Expects a migrated database. Raises PayeshError when a component does not become healthy,
    naming its log; what was started goes on trying, `payesh down` ends it.
    """
    began = time.monotonic()
    live = running(settings)
    if live is not None:
        if port is not None and not live.url.endswith(f":{port}"):
            raise RefusedError(
                f"Airflow is running already, at {live.url}",
                f"option --port {port}",
                "run `payesh down` first to move it to another port",
            )
    else:
        # a night under way and a scheduler would both work on the same runs
        with alone(settings):
            _end_leftovers(settings)
            airflow = environment(settings, _choose_port(settings, port))
            say("bringing Airflow's tables up to date")
            ensure_metadata(settings, airflow)
            close_dead_runs(settings)
            say("starting api-server, scheduler and dag-processor")
            _spawn(airflow)
            _wait_announced(settings)
    report = _wait_healthy(settings, say)
    return Report(
        running=True,
        url=report.url,
        password_file=report.password_file,
        components=report.components,
        started=live is None,
        seconds=time.monotonic() - began,
    )


def stop(settings: Settings) -> bool:
    """Stop the supervisor and its children; return whether there was anything to stop."""
    state = State.read(settings)
    if state is None:
        return False
    supervisor = _process(state.pid, state.created)
    if supervisor is not None:
        supervisor.terminate()
        try:
            supervisor.wait(STOP_SECONDS * len(state.children) + 10)
        except psutil.TimeoutExpired:
            supervisor.kill()
            supervisor.wait(10)
    ended = _end_leftovers(settings)
    _state_file(settings).unlink(missing_ok=True)
    return supervisor is not None or ended > 0


def health(settings: Settings) -> Report:
    """Ask the running components how they are; never starts anything."""
    state = running(settings)
    home = airflow_home(settings)
    password_file = home / "admin_password.json"
    if state is None:
        return Report(False, "", password_file, {})
    components = {child.name: "down" for child in state.children}
    for child in state.children:
        if _process(child.pid, child.created) is not None:
            # a worker tells nobody how it is: it runs, or it is started again
            is_worker = child.name.startswith(_WORKER)
            components[child.name] = "healthy" if is_worker else "starting"
    try:
        told = requests.get(f"{state.url}/api/v2/monitor/health", timeout=3).json()
    except (requests.RequestException, ValueError):
        # Not listening yet, or no longer: the process table is all there is to tell.
        return Report(True, state.url, password_file, components, state.problem)
    components["api-server"] = "healthy"
    for ours, theirs in (("scheduler", "scheduler"), ("dag-processor", "dag_processor")):
        if told.get(theirs, {}).get("status") == "healthy" and components[ours] != "down":
            components[ours] = "healthy"
    return Report(True, state.url, password_file, components, state.problem)


def supervise(settings: Settings) -> None:
    """Run the loop until SIGTERM or SIGINT. The body of `python -m infra.airflow.supervisor`."""
    with _only_one(settings):
        _Supervisor(settings).run()


class _Supervisor:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.airflow = environment(settings)
        self.config = self.airflow.config.read_text(encoding="utf-8")
        self.is_stopping = False
        self.next_care = 0.0
        self.next_pools = 0.0
        self.handles: dict[str, subprocess.Popen[bytes]] = {}
        me = psutil.Process()
        self.state = State(
            me.pid, me.create_time(), self.airflow.url, children=[Child(n) for n in components()]
        )

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.state.write(self.settings)
        try:
            while not self.is_stopping:
                self._look()
                time.sleep(_TICK)
        finally:
            self.state.phase = "stopping"
            self._save()
            self._stop_children()

    def _on_signal(self, *_: object) -> None:
        self.is_stopping = True

    def _look(self) -> None:
        now = time.time()
        if now >= self.next_care:
            self.next_care = now + _CARE_SECONDS
            self._care(now)
        changed = False
        for child in self.state.children:
            changed |= self._tend(child, now)
        if changed:
            self.state.phase = "running" if all(c.pid for c in self.state.children) else "starting"
            self._save()

    def _care(self, now: float) -> None:
        """Keep Postgres, sandbox and pools in order; a fault is told and tried again."""
        try:
            # a simulated clock may have been moved
            self.settings = Settings.from_env()
            self.airflow = environment(self.settings)
            config = self.airflow.config.read_text(encoding="utf-8")
            if config != self.config:
                # The embedded server came back on another port: the children hold the old one.
                _log.warning("the configuration changed; restarting all components")
                self.config = config
                self._stop_children()
            if self.settings.sandbox:
                _keep_sandbox(self.settings)
            if now >= self.next_pools:
                self.next_pools = now + _POOL_SECONDS
                _refresh_pools(self.settings)
            problem = ""
        except Exception as error:  # noqa: BLE001 - Airflow must live on; `payesh status` tells it
            problem = str(error)
            if problem != self.state.problem:
                _log.exception("what Airflow stands on is not in order")
        if problem != self.state.problem:
            self.state.problem = problem
            self._save()

    def _tend(self, child: Child, now: float) -> bool:
        """Start what is not running; return whether something changed."""
        handle = self.handles.get(child.name)
        if handle is not None:
            code = handle.poll()
            if code is None:
                if child.failures and now - child.created > _SETTLED_SECONDS:
                    child.failures = 0
                return False
            del self.handles[child.name]
            # workers of a crashed scheduler would go on without it
            _kill_group(child.pid)
            child.failures += 1
            child.restarts += 1
            wait = min(2.0 ** (child.failures - 1), _LONGEST_WAIT)
            child.next_start = now + wait
            child.pid = 0
            _log.warning("%s ended with %s; starting again in %.0f s", child.name, code, wait)
            return True
        if now < child.next_start:
            return False
        started = _start_component(child.name, self.airflow)
        self.handles[child.name] = started
        child.pid = started.pid
        child.created = psutil.Process(started.pid).create_time()
        _log.info("%s started, pid %d", child.name, child.pid)
        return True

    def _stop_children(self) -> None:
        by_name = {child.name: child for child in self.state.children}
        for name in sorted(by_name, key=_stop_order):
            handle = self.handles.pop(name, None)
            child = by_name[name]
            if handle is not None:
                handle.terminate()
                try:
                    handle.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    _log.warning("%s does not stop; killed", name)
                _kill_group(handle.pid)
                handle.wait()
                _log.info("%s stopped", name)
            child.pid = 0
            self._save()

    def _save(self) -> None:
        try:
            self.state.write(self.settings)
        except OSError:
            # A full disk must not end the house; the log (if it can) says so.
            _log.exception("the supervisor's state can't be written")


def _start_component(name: str, airflow: AirflowEnvironment) -> subprocess.Popen[bytes]:
    airflow.log_dir.mkdir(parents=True, exist_ok=True)
    with (airflow.log_dir / f"{name}.log").open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "infra.airflow.component", *components()[name]],
            env={**os.environ, **airflow.env},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=airflow.home,
            start_new_session=True,
        )


def _kill_group(pid: int) -> None:
    """End what is left of a component's own process group (its leader has `pid`)."""
    if pid <= 0:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _spawn(airflow: AirflowEnvironment) -> None:
    airflow.log_dir.mkdir(parents=True, exist_ok=True)
    with (airflow.log_dir / "supervisor.log").open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.airflow.supervisor"],
            env={**os.environ, **airflow.env},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=airflow.home,
            start_new_session=True,
        )
    _detached.append(process)


def _wait_announced(settings: Settings) -> None:
    """Wait until the new supervisor has written its state: from then on a night refuses."""
    deadline = time.monotonic() + START_SECONDS
    while running(settings) is None and time.monotonic() < deadline:
        if _detached and _detached[-1].poll() is not None:
            break
        time.sleep(0.05)
    if running(settings) is None:
        log = settings.log_dir / "airflow" / "supervisor.log"
        raise PayeshError("Airflow's supervisor did not start", str(log), "read the log's end")


# The supervisor outlives us; a handle that is collected would warn of a process left running.
_detached: list[subprocess.Popen[bytes]] = []


def _wait_healthy(settings: Settings, say: Callable[[str], None]) -> Report:
    deadline = time.monotonic() + START_SECONDS
    told: dict[str, str] = {}
    appeared = False
    log = settings.log_dir / "airflow"
    while time.monotonic() < deadline:
        report = health(settings)
        for name, state in report.components.items():
            if told.get(name) != state and state == "healthy":
                say(f"{name} is healthy")
        told = dict(report.components)
        if report.components and all(state == "healthy" for state in told.values()):
            return report
        if appeared and not report.running:
            raise PayeshError(
                "Airflow's supervisor has ended", str(log / "supervisor.log"), "read the log's end"
            )
        appeared = appeared or report.running
        time.sleep(_TICK)
    waiting = sorted(name for name, state in told.items() if state != "healthy")
    raise PayeshError(
        f"not healthy after {START_SECONDS:.0f} s: {', '.join(waiting) or 'the supervisor'}",
        ", ".join(str(log / f"{name}.log") for name in waiting) or str(log / "supervisor.log"),
        "read the end of the log; `payesh down` stops what was started",
    )


def _choose_port(settings: Settings, wanted: int | None) -> int | None:
    """Return the port to use: the wanted one or the remembered one if free, else the next free."""
    if wanted is not None:
        if free_port(wanted) != wanted:
            raise RefusedError(
                f"port {wanted} is taken",
                f"127.0.0.1:{wanted}",
                "stop what listens there, or leave --port out to have a free one chosen",
            )
        return wanted
    remembered = environment(settings).port
    return free_port(remembered)


def _end_leftovers(settings: Settings) -> int:
    """End components whose supervisor was killed; return how many. Only pids that are ours."""
    state = State.read(settings)
    if state is None or _process(state.pid, state.created) is not None:
        return 0
    ended = 0
    for child in sorted(state.children, key=lambda c: _stop_order(c.name)):
        process = _process(child.pid, child.created)
        if process is None:
            continue
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            _log.warning("%s (pid %d) does not stop; killed", child.name, child.pid)
        _kill_group(child.pid)
        ended += 1
    return ended


def _process(pid: int, created: float) -> psutil.Process | None:
    """Return the process with this pid and birth, None when it is gone or somebody else's."""
    if pid <= 0:
        return None
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - created) < 1.0
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _stop_order(name: str) -> tuple[bool, bool, str]:
    """Workers end what they are at while there is a server to tell; the server goes last."""
    return name == _SERVES, name == "scheduler", name


def _state_file(settings: Settings) -> Path:
    return airflow_home(settings) / "supervisor.json"


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    with (airflow_home(settings) / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PayeshError(
                "another supervisor is running", str(airflow_home(settings)), "`payesh status`"
            ) from None
        yield


def _keep_sandbox(settings: Settings) -> None:
    """Have the simulated nation running, its clock at the last closed week, its keys at hand."""
    from infra.sandbox import secrets, set_week, start, status
    from ingestion.normalise.calendar import last_closed_week

    week = last_closed_week(settings.now())
    known = status(settings)
    if known is None or not known.is_running:
        start(settings)
    if known is None or known.as_of_week < week:
        set_week(settings, week)
    # components are started with this process's environment
    os.environ.update(secrets(settings))


def _refresh_pools(settings: Settings) -> None:
    from infra.airflow.policy import pools
    from infra.airflow.registry import registry
    from infra.postgres.connect import admin_url

    ensure_pools(admin_url(settings), pools(registry(settings).specs.values()))


def main() -> None:
    """Supervise until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    supervise(Settings.from_env())


if __name__ == "__main__":
    main()
