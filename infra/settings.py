"""Where everything is: one frozen object read once from the environment.

In: `PAYESH_HOME`, `PAYESH_DATABASE_URL`, `PAYESH_SNAPSHOTS`, `PAYESH_SOURCES`,
    `PAYESH_SANDBOX` (`off` in production, `small` or `full` for the size of the simulated nation),
    `PAYESH_NOW` (simulated clock, sandbox only: an instant, or `@FILE` that holds one and is
    read anew each time, so that the clock can be moved under a running scheduler).
Out: `Settings`, and `quiet_environment()`: the variables that keep child processes from
    reporting usage or looking for newer versions.
See it: `payesh doctor`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from infra.errors import RefusedError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
TEHRAN = ZoneInfo("Asia/Tehran")
"""Weeks open on Saturday 00:00 here; everything is stored in UTC (trap D22)."""

_POSTGRES_SCHEMES = ("postgresql", "postgres")
_OFF = ("off", "0", "no", "false")
_ON = ("on", "1", "yes", "true")
_NATIONS = ("small", "full")
_DEFAULT_NATION = "full"


@dataclass(frozen=True, slots=True)
class Settings:
    """The installation's paths and switches. Immutable: pass it, never re-read the environment.

    `database_url` is None when the embedded server is used; `clock` is None when the real
    clock is used, `clock_file` is where it came from if from a file. `nation` is the size of the
    simulated nation ('small' or 'full') that a first start makes. Paths are absolute.
    """

    project_root: Path
    home: Path
    database_url: str | None
    snapshots_url: str
    source_folders: tuple[Path, ...]
    reference_dir: Path
    sandbox: bool
    clock: datetime | None
    nation: str = _DEFAULT_NATION
    clock_file: Path | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the environment (or `env`); raise RefusedError on a value that makes no sense."""
        env = os.environ if env is None else env
        root = PROJECT_ROOT
        home = _absolute(_value(env, "PAYESH_HOME") or str(root / ".payesh"))
        sandbox, nation = _sandbox(_value(env, "PAYESH_SANDBOX"))
        clock, clock_file = _clock_of(_value(env, "PAYESH_NOW"), sandbox)
        return cls(
            project_root=root,
            home=home,
            database_url=_database_url(_value(env, "PAYESH_DATABASE_URL")),
            snapshots_url=_value(env, "PAYESH_SNAPSHOTS") or str(home / "snapshots"),
            source_folders=_source_folders(env, root, home, sandbox),
            reference_dir=root / "dbt_project" / "seeds" / "reference",
            sandbox=sandbox,
            clock=clock,
            nation=nation,
            clock_file=clock_file,
        )

    def now(self) -> datetime:
        """Return the present instant in UTC: the simulated one when `PAYESH_NOW` is set."""
        return self.clock if self.clock is not None else datetime.now(UTC)

    @property
    def is_embedded(self) -> bool:
        """True when the house runs its own Postgres under `home`."""
        return self.database_url is None

    @property
    def log_dir(self) -> Path:
        return self.home / "logs"

    def to_env(self) -> dict[str, str]:
        """Return the variables that make a child process see these same settings."""
        built_in = {
            self.project_root / "ingestion" / "sources",
            self.home / "sandbox" / "sources",
        }
        env = {
            "PAYESH_HOME": str(self.home),
            "PAYESH_SNAPSHOTS": self.snapshots_url,
            "PAYESH_SOURCES": os.pathsep.join(
                str(folder) for folder in self.source_folders if folder not in built_in
            ),
            "PAYESH_SANDBOX": self.nation if self.sandbox else "off",
        }
        if self.database_url is not None:
            env["PAYESH_DATABASE_URL"] = self.database_url
        if self.clock_file is not None:
            env["PAYESH_NOW"] = f"@{self.clock_file}"
        elif self.clock is not None:
            env["PAYESH_NOW"] = self.clock.isoformat()
        return env


def quiet_environment() -> dict[str, str]:
    """Return the variables that switch off usage statistics and version look-ups everywhere.

    The one place that knows them. Merge into the environment of every child process (dbt,
    Airflow, Great Expectations) and into our own before importing those libraries.
    """
    return {
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _value(env: Mapping[str, str], name: str) -> str | None:
    """Return a variable's value; an empty one counts as unset (compose files leave such)."""
    return env.get(name, "").strip() or None


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))


def _database_url(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_complete = parts.hostname is not None and parts.path.strip("/") != ""
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        is_complete = port_is_valid = False
        parts = None
    if parts is None or parts.scheme not in _POSTGRES_SCHEMES or not is_complete:
        # The value itself may hold a password: name the variable, never its content (P12).
        raise RefusedError(
            "PAYESH_DATABASE_URL is not a complete Postgres address",
            "environment variable PAYESH_DATABASE_URL",
            "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or unset it to use the "
            "embedded server",
        )
    if not port_is_valid:
        raise RefusedError(
            "PAYESH_DATABASE_URL has port 0",
            "environment variable PAYESH_DATABASE_URL",
            "name the server's port, usually 5432",
        )
    return url


def _source_folders(
    env: Mapping[str, str], root: Path, home: Path, sandbox: bool
) -> tuple[Path, ...]:
    folders = [root / "ingestion" / "sources"]
    for entry in (_value(env, "PAYESH_SOURCES") or "").split(os.pathsep):
        if not entry.strip():
            continue
        folder = _absolute(entry.strip())
        if not folder.is_dir():
            raise RefusedError(
                "a registry folder does not exist",
                f"{folder} (from PAYESH_SOURCES)",
                "create the folder or take it out of PAYESH_SOURCES",
            )
        folders.append(folder)
    simulated = home / "sandbox" / "sources"
    if sandbox and simulated.is_dir():
        folders.append(simulated)
    return tuple(dict.fromkeys(folders))


def _sandbox(text: str | None) -> tuple[bool, str]:
    """Return whether a simulated nation takes part, and its size."""
    word = (text or "on").lower()
    if word in _OFF:
        return False, _DEFAULT_NATION
    if word in _ON:
        return True, _DEFAULT_NATION
    if word in _NATIONS:
        return True, word
    raise RefusedError(
        f"'{text}' is no setting of the sandbox",
        "environment variable PAYESH_SANDBOX",
        "one of: off, on, " + ", ".join(_NATIONS),
    )


def _clock_of(text: str | None, sandbox: bool) -> tuple[datetime | None, Path | None]:
    """Return the simulated instant and the file it was read from, if any."""
    if text is None or not text.startswith("@"):
        return _clock(text, sandbox), None
    path = _absolute(text[1:])
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            "the file of the simulated clock can't be read",
            f"{path} (from PAYESH_NOW)",
            "write an instant into it, or unset PAYESH_NOW",
        ) from error
    return _clock(found, sandbox), path


def _clock(text: str | None, sandbox: bool) -> datetime | None:
    if text is None:
        return None
    if not sandbox:
        raise RefusedError(
            "a simulated clock is set on an installation that is not a sandbox",
            "environment variable PAYESH_NOW with PAYESH_SANDBOX=off",
            "unset PAYESH_NOW",
        )
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise RefusedError(
            "the simulated clock is not an instant with a time zone",
            f"PAYESH_NOW={text}",
            "write it as 2026-11-21T06:00:00+03:30",
        )
    return instant.astimezone(UTC)
