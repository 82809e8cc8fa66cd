"""Airflow's home, written from `Settings`: one configuration file, secrets of its own, loopback.

In: `Settings`. Out: `<PAYESH_HOME>/airflow/airflow.cfg` (mode 0600: it holds the metadata
address and the secrets), and the variables that make a process use it. Metadata lives in schema
`airflow` of the house's database, as the role `payesh_airflow`, which sees nothing else.
Tasks run in processes of the scheduler, or by Celery workers (`PAYESH_EXECUTOR=celery`,
`PAYESH_BROKER_URL`, `PAYESH_WORKERS`). Anything can be overridden by Airflow's own
`AIRFLOW__SECTION__KEY` variables.
See it: `payesh status`, or `AIRFLOW_HOME=.payesh/airflow airflow config list`
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from infra.errors import PayeshError, RefusedError
from infra.postgres.connect import admin_url
from infra.settings import Settings, quiet_environment

METADATA_SCHEMA: Final = "airflow"
METADATA_ROLE: Final = "payesh_airflow"
ADMIN_USER: Final = "admin"
_ADMIN_FILE: Final = "admin_password.json"
BUNDLE: Final = "payesh"
FIRST_PORT: Final = 8080
_PORTS_TRIED: Final = 200
_EXECUTORS: Final = {"local": "LocalExecutor", "celery": "CeleryExecutor"}
_MOST_WORKERS: Final = 32


@dataclass(frozen=True, slots=True)
class AirflowEnvironment:
    """Where this installation's Airflow is.

    `env` makes a child process use it; `url` is the address of the user interface, whether or
    not it is running; `password_file` holds the password of `ADMIN_USER` as JSON.
    """

    home: Path
    config: Path
    dags_folder: Path
    log_dir: Path
    url: str
    port: int
    password_file: Path
    env: Mapping[str, str]

    def password(self) -> str:
        """Return the admin password; PayeshError when the file is gone."""
        return _password(self.password_file)


def airflow_home(settings: Settings) -> Path:
    """Return the folder of this installation's Airflow."""
    return settings.home / "airflow"


def admin_password(settings: Settings) -> str:
    """Return the admin password without touching anything; PayeshError when there is none."""
    return _password(airflow_home(settings) / _ADMIN_FILE)


def _password(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[ADMIN_USER])
    except (OSError, ValueError, KeyError) as error:
        raise PayeshError(
            "the password of Airflow's admin can't be read",
            str(path),
            "delete the file and run `payesh up` again; a new one is made",
        ) from error


def environment(settings: Settings, port: int | None = None) -> AirflowEnvironment:
    """Write Airflow's configuration where it differs from what is there, and describe it.

    Starts the embedded database server if that is the one in use, because its address is part
    of the configuration. `port` fixes the port of the user interface; else the remembered one,
    else the first free one. Raises PayeshError when the home is not writable.
    """
    home = airflow_home(settings)
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        state = _state(home, port)
        password_file = home / _ADMIN_FILE
        if not password_file.exists():
            _write_private(password_file, json.dumps({ADMIN_USER: secrets.token_urlsafe(12)}))
        config = home / "airflow.cfg"
        text = _render(settings, state, password_file)
        if not config.exists() or config.read_text(encoding="utf-8") != text:
            _write_private(config, text)
    except OSError as error:
        raise PayeshError(
            f"Airflow's folder can't be written: {error.strerror or error}",
            str(error.filename or home),
            "free space there or make it writable, or set PAYESH_HOME to another folder",
        ) from error
    return AirflowEnvironment(
        home=home,
        config=config,
        dags_folder=dags_folder(settings),
        log_dir=settings.log_dir / "airflow",
        url=f"http://127.0.0.1:{state['port']}",
        port=int(state["port"]),
        password_file=password_file,
        env={
            **quiet_environment(),
            **settings.to_env(),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONFIG": str(config),
            "PYTHONPATH": os.pathsep.join(_python_path(settings)),
        },
    )


def executor() -> str:
    """Return how tasks are run (`PAYESH_EXECUTOR`): `local`, in processes here, or `celery`."""
    name = os.environ.get("PAYESH_EXECUTOR", "").strip().lower() or "local"
    if name not in _EXECUTORS:
        raise RefusedError(
            f"there is no executor {name}",
            "environment variable PAYESH_EXECUTOR",
            "use local, or celery with a Redis in PAYESH_BROKER_URL",
        )
    return name


def broker_url() -> str:
    """Return the broker of the Celery workers (`PAYESH_BROKER_URL`); RefusedError without one."""
    url = os.environ.get("PAYESH_BROKER_URL", "").strip()
    if urlsplit(url).scheme not in ("redis", "rediss"):
        # the address holds a password: name the variable, never its content (P12)
        raise RefusedError(
            "PAYESH_EXECUTOR=celery needs the address of a Redis",
            "environment variable PAYESH_BROKER_URL",
            "write redis://:PASSWORD@HOST:6379/0",
        )
    return url


def workers() -> int:
    """Return how many Celery workers this machine runs (`PAYESH_WORKERS`, 2); 0 elsewhere."""
    text = os.environ.get("PAYESH_WORKERS", "").strip() or "2"
    if not text.isdecimal() or int(text) > _MOST_WORKERS:
        raise RefusedError(
            f"PAYESH_WORKERS is not a whole number up to {_MOST_WORKERS}",
            f"PAYESH_WORKERS={text}",
            "for example 2",
        )
    return int(text) if executor() == "celery" else 0


def _executor() -> dict[str, object]:
    return {"executor": _EXECUTORS[executor()]}


def dags_folder(settings: Settings) -> Path:
    """Return the folder of the DAG files."""
    return settings.project_root / "dags"


def bundles(folder: Path) -> str:
    """Return Airflow's `dag_bundle_config_list` with this folder as the house's only bundle."""
    bundle = {
        "name": BUNDLE,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder), "refresh_interval": 30},
    }
    return json.dumps([bundle])


def free_port(first: int) -> int:
    """Return `first` or the next port on 127.0.0.1 that nobody listens on."""
    for port in range(first, first + _PORTS_TRIED):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PayeshError(
        "no free port for Airflow",
        f"127.0.0.1:{first}-{first + _PORTS_TRIED - 1}",
        "stop what listens there, or name a port with `payesh up --port`",
    )


def metadata_url(settings: Settings, driver: str) -> str:
    """Return the SQLAlchemy address of Airflow's metadata with `driver`.

    Every session is the metadata role in its own schema, so Airflow's tables and the
    warehouse's never meet.
    """
    parts = urlsplit(admin_url(settings))
    query = dict(parse_qsl(parts.query))
    wanted = (
        query.get("options", ""),
        "-c timezone=UTC",
        f"-c role={METADATA_ROLE}",
        f"-c search_path={METADATA_SCHEMA}",
    )
    query["options"] = " ".join(option for option in wanted if option)
    return urlunsplit(
        parts._replace(
            scheme=f"postgresql+{driver}",
            # quote, not quote_plus: libpq takes a plus sign literally
            query=urlencode(query, quote_via=quote),
        )
    )


def _python_path(settings: Settings) -> list[str]:
    """Put the project first; DAG files import our packages whatever the working directory."""
    present = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    root = str(settings.project_root)
    return [root, *(entry for entry in present if entry != root)]


def _state(home: Path, port: int | None) -> dict[str, str]:
    """Return the secrets and the port, making what is missing; kept in a private file."""
    path = home / "secrets.json"
    known: dict[str, str] = {}
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            # A half-written file of a full disk; connections encrypted with it never existed.
            known = {}
    wanted = dict(known)
    wanted.setdefault("fernet_key", base64.urlsafe_b64encode(os.urandom(32)).decode())
    wanted.setdefault("jwt_secret", secrets.token_urlsafe(48))
    wanted.setdefault("api_secret", secrets.token_urlsafe(48))
    if port is not None:
        wanted["port"] = str(port)
    elif "port" not in wanted:
        wanted["port"] = str(free_port(FIRST_PORT))
    if wanted != known:
        _write_private(path, json.dumps(wanted))
    return wanted


def _write_private(path: Path, text: str) -> None:
    """Write whole or not at all, readable by this user only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _render(settings: Settings, state: Mapping[str, str], passwords: Path) -> str:
    base_url = f"http://127.0.0.1:{state['port']}"
    logs = settings.log_dir / "airflow"
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": dags_folder(settings),
            "plugins_folder": Path(__file__).resolve().parent / "plugins",
            **_executor(),
            # slots; on two cores a fifth task at a time only slows the other four
            "parallelism": max(4, 2 * (os.cpu_count() or 1)),
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "max_active_runs_per_dag": 1,
            "fernet_key": state["fernet_key"],
            "auth_manager": (
                "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
            ),
            "simple_auth_manager_users": f"{ADMIN_USER}:admin",
            "simple_auth_manager_passwords_file": passwords,
            # the default asks the name service; the house calls nobody
            "hostname_callable": "socket.gethostname",
            "execution_api_server_url": f"{base_url}/execution/",
            "dagbag_import_timeout": 60,
        },
        "database": {
            "sql_alchemy_conn": metadata_url(settings, "psycopg2"),
            "sql_alchemy_conn_async": metadata_url(settings, "psycopg_async"),
            "sql_alchemy_pool_size": 5,
        },
        "logging": {
            "base_log_folder": logs,
            "dag_processor_child_process_log_directory": logs / "dag_processor",
            "colored_console_log": False,
        },
        "api": {
            "host": "127.0.0.1",
            "port": state["port"],
            "base_url": base_url,
            "secret_key": state["api_secret"],
            "workers": 1,
            "instance_name": "Payesh",
        },
        "api_auth": {"jwt_secret": state["jwt_secret"]},
        "scheduler": {
            "catchup_by_default": False,
            "scheduler_heartbeat_sec": 5,
            # a killed worker's task is given back after this long
            "task_instance_heartbeat_timeout": 120,
            # and what a killed scheduler had queued, after this: five minutes are a long night
            "orphaned_tasks_check_interval": 30,
            # what a worker had taken when the database went is queued for ever; no slot is waited
            # for in the queue, so three minutes there are proof
            "task_queued_timeout": 180,
            "task_queued_timeout_check_interval": 60,
        },
        "dag_processor": {
            "dag_bundle_config_list": bundles(dags_folder(settings)),
            "refresh_interval": 30,
            # each time all source files are read: a new one waits a minute at the most
            "min_file_process_interval": 45,
            "parsing_processes": 1,
            "dag_file_processor_timeout": 90,
        },
    }
    if executor() == "celery":
        sections["celery"] = {
            "broker_url": broker_url(),
            "result_backend": f"db+{metadata_url(settings, 'psycopg2')}",
            "worker_concurrency": 2,
        }
        sections["celery_broker_transport_options"] = {
            # a task that a killed worker had taken is delivered again after this; loads are safe
            # to run twice, and none is allowed to run longer
            "visibility_timeout": 7200,
        }
    lines = ["# Written by Payesh; changes here are lost. Override with AIRFLOW__SECTION__KEY."]
    for section, options in sections.items():
        lines += ["", f"[{section}]"]
        # the file is read with interpolation: a percent sign is written twice
        lines += [f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()]
    return "\n".join(lines) + "\n"
