"""Start, stop, move and disturb the sandbox nation. Idempotent, and safe to call from many.

In: `Settings`, and on the first start the nation's size. Out: a server of its own session on
127.0.0.1, workbooks in the drop folder, source files in `PAYESH_HOME/sandbox/sources`.
Run it: `payesh sandbox start|stop|status|fault`
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import functools
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from infra.errors import PayeshError, RefusedError
from infra.sandbox import server
from infra.sandbox.calendar import WEEK, last_closed_week, week_start
from infra.sandbox.faults import FAULTS, fault_of, faulty_file, spoil_file, why_not
from infra.sandbox.pages import page_size
from infra.sandbox.reference import load_reference
from infra.sandbox.rows import Dataset
from infra.sandbox.sources import secret_name, source_text
from infra.sandbox.state import (
    Control,
    Paths,
    State,
    read_control,
    read_state,
    write_control,
    write_state,
)
from infra.sandbox.world import MAX_WEEKS, World, WorldParams
from infra.settings import Settings, quiet_environment

_FIRST_PORT = 18432
_PORTS = 400
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LOG_LIMIT_BYTES = 20_000_000

# servers that this very process has started: they have to be reaped here
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class SandboxInfo:
    """The sandbox as it stands. `pid` is None and `is_running` False when its server is down."""

    url: str
    pid: int | None
    is_running: bool
    params: WorldParams
    as_of_week: dt.date
    as_of_label: str
    faults: dict[str, str]
    sources: tuple[str, ...]
    sources_dir: Path
    drop_dir: Path
    log_file: Path


def start(settings: Settings, params: WorldParams | None = None) -> SandboxInfo:
    """Make the nation if there is none, start its server if it is down; return what runs.

    `params` count on the first start only; later ones refuse a different nation. Raises
    RefusedError (another nation lives here), PayeshError (no disk, no port, no start).
    """
    paths = Paths.of(settings)
    with _locked(paths):
        state = read_state(paths)
        if state is None:
            state = _found_nation(settings, paths, params)
        elif params is not None and params != state.params:
            raise RefusedError(
                "another sandbox nation lives here already",
                f"{paths.state}: {_describe(state.params)}",
                "use it as it is, or replace it with `payesh sandbox start --fresh ...`",
            )
        world = _world(settings, state)
        control = read_control(paths)
        if control is None:
            control = Control(state.params.opened_on).moved(state.params.opened_on, settings.now())
            write_control(paths, control)
        if not _is_running(state):
            state = _launch(settings, paths, state)
        _write_sources(paths, world, state.url)
        _drop(paths, world, control)
    return _info(paths, state, control, world)


def stop(settings: Settings) -> bool:
    """Stop the server, if it runs and is ours; return whether it did run."""
    paths = Paths.of(settings)
    if not paths.state.exists():
        return False
    with _locked(paths):
        state = read_state(paths)
        if state is None:
            return False
        process = _process(state)
        if process is not None:
            _end(process)
        write_state(paths, replace(state, pid=None, pid_started=None))
        return process is not None


def remove(settings: Settings) -> None:
    """Stop the server and forget the nation: state, source files, workbooks."""
    paths = Paths.of(settings)
    stop(settings)
    if paths.folder.exists():
        try:
            shutil.rmtree(paths.folder)
        except OSError as error:
            raise PayeshError(
                f"the sandbox's folder can't be deleted: {error.strerror or error}",
                str(paths.folder),
                "delete it by hand",
            ) from error


def status(settings: Settings) -> SandboxInfo | None:
    """Return what is known without changing anything; None when there is no sandbox."""
    paths = Paths.of(settings)
    state, control = read_state(paths), read_control(paths)
    if state is None or control is None:
        return None
    return _info(paths, state, control, _world(settings, state))


def world_of(settings: Settings) -> World:
    """Return the nation that lives under this home; RefusedError when there is none."""
    state = read_state(Paths.of(settings))
    if state is None:
        raise _absent(settings)
    return _world(settings, state)


def secrets(settings: Settings) -> dict[str, str]:
    """Return the made-up keys that the simulated sources refer to, by environment variable."""
    state = read_state(Paths.of(settings))
    return {} if state is None else dict(state.secrets)


def set_week(settings: Settings, week: dt.date) -> list[Path]:
    """Move the clock to the night after `week` (its Saturday); return the workbooks that arrived.

    APIs then show the nation as at that week; workbooks that have been dropped stay. Raises
    RefusedError for a week before the nation's first or far beyond its backlog.
    """
    paths = Paths.of(settings)
    with _locked(paths):
        state, control = read_state(paths), read_control(paths)
        if state is None or control is None:
            raise _absent(settings)
        label = _world(settings, state).reference.calendar.week_label
        first, last = state.params.first_week, state.params.opened_on + MAX_WEEKS * WEEK
        if week_start(week) != week or not first <= week <= last:
            raise RefusedError(
                f"the sandbox has no week {week}",
                f"its weeks: {label(first)} ({first}) to {label(last)} ({last})",
                "name one of these by its label or its Saturday",
            )
        control = control.moved(week, settings.now())
        write_control(paths, control)
        return _drop(paths, _world(settings, state), control)


def set_fault(settings: Settings, agency: str, fault: str | None) -> SandboxInfo:
    """Begin a fault of one reporter, or end it (None); return the new state.

    Raises RefusedError on a fault that is unknown (see `infra.sandbox.faults`) or not for it.
    """
    paths = Paths.of(settings)
    with _locked(paths):
        state, control = read_state(paths), read_control(paths)
        if state is None or control is None:
            raise _absent(settings)
        world = _world(settings, state)
        media = {dataset.agency: dataset.medium for dataset in world.datasets}
        if agency not in media:
            raise RefusedError(
                f"the sandbox has no reporter {agency}",
                "payesh sandbox fault",
                "one of: " + ", ".join(media),
            )
        if fault is not None and fault not in FAULTS:
            raise RefusedError(
                f"the sandbox knows no fault {fault}",
                "payesh sandbox fault",
                "one of: " + ", ".join(FAULTS) + ", clear",
            )
        reason = None if fault is None else why_not(fault, agency, media[agency])
        if reason is not None:
            raise RefusedError(
                f"{agency} can't have the fault {fault}: {reason}",
                "payesh sandbox fault",
                "workbooks are provinces' (sim_p..), APIs are agencies' (sim_a..)",
            )
        faults = {name: kind for name, kind in control.faults.items() if name != agency}
        if fault is not None:
            faults[agency] = fault
        control = replace(control, faults=faults)
        write_control(paths, control)
        _drop(paths, world, control)
    return _info(paths, state, control, world)


# ---------------------------------------------------------------------- the nation
def _found_nation(settings: Settings, paths: Paths, params: WorldParams | None) -> State:
    if not settings.sandbox:
        raise RefusedError(
            "this installation has no sandbox",
            "environment variable PAYESH_SANDBOX=off",
            "unset it, or use another PAYESH_HOME for the sandbox",
        )
    if params is None:
        params = WorldParams.of(settings.nation, last_closed_week(settings.now()))
    state = State(params=params, port=_free_port(()), token=_token(paths, params))
    world = _world(settings, state)
    # Keys of nobody's house: they guard nothing but the way in which a key travels.
    keys = {
        secret_name(agency): hashlib.sha256(f"{state.token}/{agency}".encode()).hexdigest()[:32]
        for agency in world.agencies
    }
    state = replace(state, secrets=keys)
    write_state(paths, state)
    return state


def _token(paths: Paths, params: WorldParams) -> str:
    text = f"{paths.folder}/{params.seed}/{params.opened_on}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _world(settings: Settings, state: State) -> World:
    folder = settings.reference_dir
    files = ((path.name, path.stat()) for path in sorted(folder.glob("*.csv")))
    marks = tuple((name, found.st_mtime_ns, found.st_size) for name, found in files)
    return _drawn(state.params, folder, marks)


@functools.lru_cache(maxsize=2)
def _drawn(params: WorldParams, folder: Path, _: tuple[tuple[str, int, int], ...]) -> World:
    """Draw a nation once in a process: it remembers what it has told, and that is dear."""
    return World(params, load_reference(folder))


def _write_sources(paths: Paths, world: World, url: str) -> None:
    try:
        paths.sources.mkdir(parents=True, exist_ok=True)
        size = page_size(world)
        for dataset in world.datasets:
            path = paths.sources / f"{dataset.source}.yml"
            text = source_text(dataset, url, size)
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                _replace(paths, path, text.encode())
    except OSError as error:
        raise _unwritable(paths.sources, error) from error


def _drop(paths: Paths, world: World, control: Control) -> list[Path]:
    """Bring the drop folders to the clock and the faults; return the files that are new."""
    from infra.sandbox.workbook import render

    arrived: list[Path] = []
    try:
        for dataset in world.datasets:
            if dataset.medium != "workbook":
                continue
            folder = paths.drop / dataset.agency
            folder.mkdir(parents=True, exist_ok=True)
            for file in world.files(dataset.source, control.as_of_week):
                path = folder / file.name
                if not path.exists():
                    _replace(paths, path, render(dataset, file, world.reference))
                    arrived.append(path)
            if dataset.kind == "progress":
                arrived += _drop_faulty(paths, world, control, dataset, folder)
    except OSError as error:
        raise _unwritable(paths.drop, error) from error
    return arrived


def _drop_faulty(
    paths: Paths, world: World, control: Control, dataset: Dataset, folder: Path
) -> list[Path]:
    """Bring the faulty file that was asked for beside the ordinary ones; take others away."""
    from infra.sandbox.workbook import render

    fault = control.faults.get(dataset.agency)
    for path in folder.glob(f"{dataset.name}-*.xlsx"):
        if fault_of(path.name) not in (None, fault):
            path.unlink()
    if fault is None:
        return []
    file = faulty_file(world, dataset, fault, control.as_of_week)
    path = folder / file.name
    if path.exists():
        return []
    data = render(dataset, file, world.reference)
    _replace(paths, path, spoil_file(fault, data, file.rows))
    return [path]


def _replace(paths: Paths, path: Path, content: bytes) -> None:
    """Move a finished file into place: no reader meets half of one (trap S12)."""
    draft = paths.folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# ---------------------------------------------------------------------- the server's process
def _launch(settings: Settings, paths: Paths, state: State) -> State:
    """Start the server on its remembered port, or on another when that is taken."""
    tried: list[int] = []
    while len(tried) < 5:
        port = state.port if not tried else _free_port(tried)
        tried.append(port)
        state = replace(state, port=port, pid=None, pid_started=None)
        write_state(paths, state)
        process = _spawn(settings, paths)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            code = process.poll()
            if code == server.PORT_TAKEN:
                break
            if code is not None:
                raise PayeshError(
                    f"the sandbox's server ended with code {code}: {_end_of(paths.log)}",
                    str(paths.log),
                    "see the log; `payesh sandbox start --fresh` makes a new nation",
                )
            if _answers(state):
                started = psutil.Process(process.pid).create_time()
                state = replace(state, pid=process.pid, pid_started=started)
                write_state(paths, state)
                _children[process.pid] = process
                return state
            time.sleep(0.05)
        else:
            process.kill()
            process.wait()
            raise PayeshError(
                f"the sandbox's server did not answer within {_START_SECONDS:.0f} s",
                str(paths.log),
                "look at the log and start it again",
            )
    raise PayeshError(
        "no port for the sandbox's server",
        "127.0.0.1, ports " + ", ".join(map(str, tried)),
        "end whatever listens there",
    )


def _spawn(settings: Settings, paths: Paths) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "infra.sandbox.server",
        "--home",
        str(paths.home),
        "--reference",
        str(settings.reference_dir),
    ]
    environment = {**os.environ, **quiet_environment(), **settings.to_env()}
    try:
        paths.log.parent.mkdir(parents=True, exist_ok=True)
        if paths.log.exists() and paths.log.stat().st_size > _LOG_LIMIT_BYTES:
            paths.log.replace(paths.log.with_suffix(".log.1"))
        with paths.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=settings.project_root,
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise _unwritable(paths.log, error) from error


def _is_running(state: State) -> bool:
    return _process(state) is not None and _answers(state)


def _process(state: State) -> psutil.Process | None:
    """Return the server's process, if that pid is still the one that was started."""
    if state.pid is None or state.pid_started is None:
        return None
    try:
        process = psutil.Process(state.pid)
        is_ours = abs(process.create_time() - state.pid_started) < 1.0
        is_alive = process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if is_ours and is_alive else None


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
    child = _children.pop(process.pid, None)
    if child is not None:
        child.wait(_STOP_SECONDS)


def _answers(state: State) -> bool:
    """True when the server on this port is this sandbox's own."""
    connection = http.client.HTTPConnection("127.0.0.1", state.port, timeout=2)
    try:
        connection.request("GET", "/health")
        found = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(found, dict) and found.get("sandbox") == state.token


def _free_port(taken: list[int] | tuple[int, ...]) -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise PayeshError(
        "no free port for the sandbox's server",
        f"127.0.0.1, ports {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1}",
        "end whatever listens there",
    )


@contextlib.contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
        lock = paths.lock.open("w")
    except OSError as error:
        raise _unwritable(paths.folder, error) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---------------------------------------------------------------------- words
def _info(paths: Paths, state: State, control: Control, world: World) -> SandboxInfo:
    is_running = _is_running(state)
    return SandboxInfo(
        url=state.url,
        pid=state.pid if is_running else None,
        is_running=is_running,
        params=state.params,
        as_of_week=control.as_of_week,
        as_of_label=world.reference.calendar.week_label(control.as_of_week),
        faults=dict(control.faults),
        sources=tuple(dataset.source for dataset in world.datasets),
        sources_dir=paths.sources,
        drop_dir=paths.drop,
        log_file=paths.log,
    )


def _describe(params: WorldParams) -> str:
    return (
        f"seed {params.seed}, {params.weeks} weeks up to {params.opened_on}, "
        f"{params.agencies} agencies, {params.provinces} provinces"
    )


def _end_of(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"its log can't be read ({error.strerror})"
    return lines[-1] if lines else "it left no word"


def _absent(settings: Settings) -> RefusedError:
    return RefusedError(
        "there is no sandbox here", str(Paths.of(settings).folder), "run `payesh sandbox start`"
    )


def _unwritable(path: Path, error: OSError) -> PayeshError:
    return PayeshError(
        f"the sandbox can't write there: {error.strerror or error}",
        str(path),
        "free some space or fix the folder's permissions",
    )
