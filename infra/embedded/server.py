"""Start, stop and look at the embedded Postgres. Idempotent, and safe to call from many.

In: `Settings`. Out: the address `postgresql://payesh:...@127.0.0.1:PORT/payesh`.
Recovers from kill -9, a stale postmaster.pid, a port taken by others and an initdb that was
cut short (it works in a draft folder that is renamed when whole).
Run it: `payesh up`, `payesh down`, `payesh doctor`
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.embedded.cluster import (
    Cluster,
    find,
    prepare,
    prepare_home,
    read_state,
    write_state,
)
from infra.errors import PayeshError
from infra.settings import Settings

HOST = "127.0.0.1"
SUPERUSER = "payesh"
DATABASE = "payesh"

_FIRST_PORT = 15432
_PORTS = 400
_START_ATTEMPTS = 5
_LOCK_SECONDS = 120.0
_ANSWER_SECONDS = 5.0
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
"""The shortest question of the Postgres protocol; the answer is one letter."""

_LOG_LIMIT_BYTES = 50_000_000
_NEEDED_BYTES = 300_000_000
"""An empty cluster with its first write-ahead log takes 60 MB; below this nothing good starts."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the embedded server without touching it.

    `state`: "absent" (never started here), "stopped" or "running".
    """

    state: str
    base: Path | None
    port: int | None
    pid: int | None
    log_file: Path | None


def status(settings: Settings) -> Status:
    """Return the server's state; changes nothing. Raises PayeshError without its programs."""
    cluster = find(settings)
    if cluster is None:
        return Status("absent", None, None, None, None)
    running = _running(cluster)
    if running is None:
        return Status("stopped", cluster.base, None, None, cluster.log_file)
    pid, port = running
    return Status("running", cluster.base, port, pid, cluster.log_file)


def ensure_running(settings: Settings) -> str:
    """Return the running server's superuser address, creating and starting it when needed.

    Raises PayeshError: programs missing, no disk, no permission, data of another version, or
    a server that does not come up (with the end of its log).
    """
    cluster = find(settings)
    if cluster is not None:
        running = _running(cluster)
        if running is not None:
            return _address(cluster, running[1])
    prepare_home(settings)
    with _lock(settings):
        cluster = prepare(settings)
        running = _running(cluster)
        if running is None:
            _require_space(cluster.base)
            _initialise(cluster)
            port = _start(cluster, _remembered_port(settings))
        else:
            port = running[1]
        write_state(settings, {"base": str(cluster.base), "port": str(port)})
        return _address(cluster, port)


def stop(settings: Settings, timeout: float = 30.0) -> bool:
    """Stop the server if it runs; return whether it did.

    Sessions are closed (fast shutdown). After `timeout` seconds the server is told to stop at
    once and recovers at its next start; nothing committed is lost either way.
    """
    cluster = find(settings)
    if cluster is None:
        return False
    with _lock(settings):
        running = _running(cluster)
        if running is None:
            return False
        pid = running[0]
        for sign, wait in ((signal.SIGINT, timeout), (signal.SIGQUIT, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            if _wait_until_gone(pid, wait):
                return True
    raise PayeshError(
        "the embedded Postgres did not stop",
        f"process {pid}, log {cluster.log_file}",
        f"look into its log; end it with `kill -9 {pid}` if it hangs, nothing committed is lost",
    )


@contextlib.contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """Let one process at a time create, start or stop the server of this home."""
    path = settings.home / "postgres.lock"
    deadline = time.monotonic() + _LOCK_SECONDS
    with path.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PayeshError(
                        "another command has been starting or stopping Postgres for too long",
                        str(path),
                        "wait for it, or end the command that holds this lock",
                    ) from None
                time.sleep(0.05)
        yield


def _running(cluster: Cluster) -> tuple[int, int] | None:
    """Return (pid, port) of the server on this data folder when it accepts connections.

    A pid file alone proves nothing: after kill -9 or a reboot its number may belong to anyone.
    """
    noted = _pid_file(cluster)
    if noted is None:
        return None
    pid, port, is_ready = noted
    if not is_ready or not _is_postmaster(cluster, pid):
        return None
    return (pid, port) if _answers(port) else None


def _answers(port: int) -> bool:
    """True when a Postgres answers there: a dying one still accepts connections for a moment."""
    try:
        with socket.create_connection((HOST, port), timeout=_ANSWER_SECONDS) as connection:
            connection.sendall(_SSL_REQUEST)
            return connection.recv(1) in (b"N", b"S")
    except OSError:
        return False


def _pid_file(cluster: Cluster) -> tuple[int, int, bool] | None:
    """Return (pid, port, ready) from postmaster.pid, None when there is none or it is torn."""
    try:
        lines = (cluster.data_dir / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), int(lines[3]), len(lines) > 7 and lines[7].strip() == "ready"
    except (OSError, ValueError, IndexError):
        return None


def _is_postmaster(cluster: Cluster, pid: int) -> bool:
    """True when `pid` is a Postgres that works in this very data folder."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()) == cluster.data_dir.resolve()
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, OSError):
        return False


def _address(cluster: Cluster, port: int) -> str:
    try:
        password = cluster.password_file.read_text().strip()
    except OSError as error:
        raise PayeshError(
            f"the embedded Postgres' password can't be read: {error.strerror}",
            str(cluster.password_file),
            "run as the user that started it first",
        ) from error
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{DATABASE}"


def _require_space(base: Path) -> None:
    free = shutil.disk_usage(base).free
    if free < _NEEDED_BYTES:
        raise PayeshError(
            f"the disk is full: {free // 1_000_000} MB free, {_NEEDED_BYTES // 1_000_000} needed",
            str(base),
            "free some space, or set PAYESH_HOME to a folder on another disk",
        )


def _initialise(cluster: Cluster) -> None:
    """Make the data folder: whole or not at all."""
    _remove_drafts(cluster)
    if cluster.version:
        _check_version(cluster)
        return
    draft = Path(tempfile.mkdtemp(prefix="data.draft-", dir=cluster.base))
    cluster.own(draft, 0o700)
    password_file = cluster.base / f"{draft.name}.password"
    try:
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24) + "\n")
        cluster.own(password_file, 0o600)
        result = cluster.run(
            "initdb",
            [
                f"--pgdata={draft}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=PG_UNICODE_FAST",
                "--locale=C",
            ],
        )
        if result.returncode != 0:
            raise PayeshError(
                f"initdb failed: {_last_line(result.stdout)}",
                str(cluster.base),
                "check free space and permissions of this folder, then run the command again",
            )
        with (draft / "postgresql.conf").open("a", encoding="utf-8") as handle:
            handle.write("include_if_exists 'payesh.conf'\n")
        password_file.rename(draft / "payesh_password")
        draft.rename(cluster.data_dir)
    finally:
        password_file.unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)


def _remove_drafts(cluster: Cluster) -> None:
    """Sweep what an interrupted initdb or copy left; the lock says nobody works in them."""
    for leftover in cluster.base.glob("*.draft-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    for leftover in cluster.base.glob("programs.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if cluster.data_dir.exists() and not cluster.version:
        raise PayeshError(
            "the data folder of the embedded Postgres is damaged: it has no PG_VERSION",
            str(cluster.data_dir),
            "restore it from a backup, or move it away to begin with an empty one",
        )


def _check_version(cluster: Cluster) -> None:
    result = cluster.run("postgres", ["--version"])
    words = result.stdout.split()
    installed = words[2].split(".")[0] if len(words) > 2 else "?"
    if installed != cluster.version:
        raise PayeshError(
            f"the data was written by Postgres {cluster.version}, installed is {installed}",
            str(cluster.data_dir),
            f"dump with {cluster.version} and restore into a new PAYESH_HOME; see the runbook",
        )


def _remembered_port(settings: Settings) -> int:
    try:
        return int(read_state(settings).get("port", ""))
    except ValueError:
        # Homes differ in their first choice, so that two on one machine seldom collide.
        return _FIRST_PORT + sum(str(settings.home).encode()) % _PORTS


def _free_port(wanted: int, taken: set[int]) -> int:
    candidates: list[int] = [wanted, *range(_FIRST_PORT, _FIRST_PORT + _PORTS)]
    for port in candidates:
        if port in taken:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise PayeshError(
        "no free port for the embedded Postgres",
        f"{HOST}, ports {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1}",
        "stop what listens there, or set PAYESH_DATABASE_URL to use a Postgres of your own",
    )


def _start(cluster: Cluster, wanted: int) -> int:
    """Start the server and return its port, choosing another one while the wanted is taken."""
    _drop_stranger_pid_file(cluster)
    _rotate_log(cluster)
    _write_configuration(cluster)
    taken: set[int] = set()
    seen = 0
    for attempt in range(_START_ATTEMPTS):
        port = _free_port(wanted, taken)
        seen = cluster.log_file.stat().st_size if cluster.log_file.exists() else 0
        result = cluster.run(
            "pg_ctl",
            [
                "start",
                f"--pgdata={cluster.data_dir}",
                f"--log={cluster.log_file}",
                "--wait",
                "--timeout=90",
                f"--options=-p {port}",
                "--silent",
            ],
        )
        if result.returncode == 0:
            return port
        told = _log_since(cluster, seen)
        if "could not bind" in told or "Address already in use" in told:
            taken.add(port)
        elif "pre-existing shared memory" in told or "is starting up" in told:
            # Back ends of a killed server are still leaving, or crash recovery is long.
            time.sleep(0.5 * (attempt + 1))
        else:
            break
        running = _running(cluster)
        if running is not None:
            return running[1]
    raise PayeshError(
        f"the embedded Postgres did not start: {_fault(_log_since(cluster, seen))}",
        str(cluster.log_file),
        "read the end of this log; `payesh doctor` checks disk, memory and permissions",
    )


def _drop_stranger_pid_file(cluster: Cluster) -> None:
    """Remove a pid file whose number now belongs to another program.

    Postgres takes any living process of its own user for a running server. A dead number is
    left for Postgres to judge: it also checks for back ends that outlived a killed server.
    """
    noted = _pid_file(cluster)
    if noted is None:
        return
    pid = noted[0]
    if psutil.pid_exists(pid) and not _is_postmaster(cluster, pid):
        (cluster.data_dir / "postmaster.pid").unlink(missing_ok=True)


def _rotate_log(cluster: Cluster) -> None:
    log = cluster.log_file
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    if not log.exists():
        log.touch(mode=0o600)
        cluster.own(log, 0o600)


def _write_configuration(cluster: Cluster) -> None:
    """Write `payesh.conf` from this machine's memory, at every start: machines get resized."""
    memory_mb: int = psutil.virtual_memory().total // 2**20
    shared_mb = max(64, min(512, memory_mb // 8))
    shared_memory = Path("/dev/shm")  # noqa: S108
    # Containers often give /dev/shm 64 MB, on which parallel queries then fail.
    dynamic = (
        "posix"
        if shared_memory.is_dir() and shutil.disk_usage(shared_memory).total > 2**28
        else "mmap"
    )
    options = {
        "listen_addresses": f"'{HOST}'",
        "unix_socket_directories": "''",
        "max_connections": "150",
        "password_encryption": "'scram-sha-256'",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "fsync": "on",
        "shared_buffers": f"'{shared_mb}MB'",
        "dynamic_shared_memory_type": dynamic,
        "effective_cache_size": f"'{max(128, memory_mb // 2)}MB'",
        "work_mem": f"'{max(4, min(32, memory_mb // 256))}MB'",
        "maintenance_work_mem": f"'{max(32, min(256, memory_mb // 16))}MB'",
        "max_wal_size": "'4GB'" if memory_mb > 4096 else "'1GB'",
        "checkpoint_timeout": "'15min'",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "jit": "off",
        "log_line_prefix": "'%m [%p] %q%u@%d %a '",
        "log_min_duration_statement": "'30s'",
        "log_lock_waits": "on",
        "idle_in_transaction_session_timeout": "'30min'",
    }
    text = "# Written by `payesh` at every start; own settings go to postgresql.auto.conf.\n"
    text += "".join(f"{name} = {value}\n" for name, value in options.items())
    path = cluster.data_dir / "payesh.conf"
    path.write_text(text, encoding="utf-8")
    cluster.own(path, 0o600)


def _log_since(cluster: Cluster, position: int) -> str:
    try:
        with cluster.log_file.open("rb") as handle:
            handle.seek(position)
            return handle.read(200_000).decode("utf-8", "replace")
    except OSError as error:
        return f"its log can't be read: {error}"


def _fault(log: str) -> str:
    """Return the sentence of the log that says most."""
    for mark in ("FATAL:", "PANIC:", "ERROR:"):
        for line in log.splitlines():
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return _last_line(log)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "could not" in line.lower()]
    return (errors or lines or ["no output"])[-1]


def _wait_until_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
