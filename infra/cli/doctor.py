"""Say what is wrong with this installation and what to do about it.

In: the machine, `.venv`, `PAYESH_HOME`, the database. Out: one line a check, ok, warn or fail,
with the next action; exit code 3 when anything fails, 1 on warnings under --strict. Starts and
changes nothing. Every check stands alone: it must be useful where everything else is broken,
so libraries are imported inside the checks.
Run it: `payesh doctor`
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from infra.cli.output import emit, json_option
from infra.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, PayeshError, RefusedError
from infra.settings import Settings

State = Literal["ok", "warn", "fail"]

_GOOD_FREE_BYTES: Final = 5_000_000_000
_LEAST_FREE_BYTES: Final = 500_000_000
_GOOD_MEMORY_BYTES: Final = 2_000_000_000
_CLOCK_TOLERANCE: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it stands, what was found, what to do."""

    name: str
    state: State
    found: str
    fix: str = ""


@click.command()
@click.option("--strict", is_flag=True, help="Exit with 1 when there are warnings.")
@json_option
@click.pass_context
def command(ctx: click.Context, strict: bool) -> None:
    """Say what is wrong with this installation and what to do about it."""
    checks = examine()
    worst = _worst(checks)
    emit(
        ctx,
        _report(checks),
        {
            "state": worst,
            "checks": [
                {"name": c.name, "state": c.state, "found": c.found, "fix": c.fix} for c in checks
            ],
        },
    )
    if worst == "fail":
        ctx.exit(EXIT_FAILED)
    ctx.exit(EXIT_FINDINGS if strict and worst == "warn" else EXIT_DONE)


def examine() -> list[Check]:
    """Run every check and return the lines, in the order a person would look."""
    checks = [*_guarded("python", check_python), *_guarded("packages", check_packages)]
    checks += _guarded("time zone", check_time_zone)
    try:
        settings = Settings.from_env()
    except RefusedError as error:
        checks.append(Check("settings", "fail", f"{error.what} ({error.where})", error.fix))
        return checks
    rooms: tuple[tuple[str, Callable[[Settings], Iterator[Check]]], ...] = (
        ("home", check_home),
        ("disk", check_disk),
        ("memory", check_memory),
        ("clock", check_clock),
        ("server", check_server),
        ("database", check_database),
        ("snapshots", check_snapshots),
        ("registry", check_registry),
        ("reference", check_reference),
        ("dbt", check_dbt),
        ("airflow", check_airflow),
        ("sandbox", check_sandbox),
    )
    for name, room in rooms:
        checks += _guarded(name, lambda room=room: room(settings))  # type: ignore[misc]
    return checks


def _guarded(name: str, check: Callable[[], Iterator[Check]]) -> list[Check]:
    """Run a check; whatever breaks inside is itself a finding and hides no other check."""
    found: list[Check] = []
    try:
        found.extend(check())
    except PayeshError as error:
        where = f" ({error.where})" if error.where else ""
        found.append(Check(name, "fail", f"{error.what}{where}", error.fix))
    except ImportError as error:
        found.append(Check(name, "fail", f"can't be loaded: {error}", "run `make setup`"))
    except Exception as error:
        told = f"the check itself failed: {type(error).__name__}: {error}"
        found.append(Check(name, "fail", told, "report this line to the maintainers"))
    return found


def check_python() -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] == (3, 11):
        yield Check("python", "ok", f"{version} at {sys.executable}")
    else:
        yield Check("python", "fail", f"{version}, 3.11 is needed", "run `make setup`")


def check_packages(root: Path | None = None) -> Iterator[Check]:
    """Compare what is installed with `requirements.lock`."""
    root = root or Path(__file__).resolve().parents[2]
    lock = root / "requirements.lock"
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        yield Check("packages", "fail", f"{lock}: {error.strerror}", "clone the project again")
        return
    wanted = dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", text, re.MULTILINE))
    missing: list[str] = []
    other: list[str] = []
    for name, version in wanted.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed != version:
            other.append(f"{name} {installed} instead of {version}")
    if missing:
        told = f"{len(missing)} of {len(wanted)} missing: {_some(missing)}"
        yield Check("packages", "fail", told, "run `make setup`")
    if other:
        told = f"{len(other)} of another version: {_some(other)}"
        yield Check("packages", "warn", told, "run `make setup`")
    if not missing and not other:
        yield Check("packages", "ok", f"all {len(wanted)} as locked")


def check_time_zone() -> Iterator[Check]:
    """Tehran had summer time until 1401/06/31 and has none since (trap D22)."""
    fix = "install current time zone data: run `make setup` (package tzdata)"
    try:
        tehran = ZoneInfo("Asia/Tehran")
    except ZoneInfoNotFoundError:
        yield Check("time zone", "fail", "Asia/Tehran is unknown here", fix)
        return
    expected = {
        datetime(2022, 8, 1, tzinfo=tehran): timedelta(hours=4, minutes=30),
        datetime(2023, 8, 1, tzinfo=tehran): timedelta(hours=3, minutes=30),
        datetime(2026, 8, 1, tzinfo=tehran): timedelta(hours=3, minutes=30),
    }
    wrong = [f"{at:%Y-%m-%d}" for at, offset in expected.items() if at.utcoffset() != offset]
    if wrong:
        yield Check("time zone", "fail", f"Asia/Tehran is wrong on {', '.join(wrong)}", fix)
    else:
        yield Check("time zone", "ok", "Asia/Tehran, without summer time since 1401/06/31")


def check_home(settings: Settings) -> Iterator[Check]:
    from infra.embedded.cluster import prepare_home

    if not settings.home.exists():
        parent = next(folder for folder in settings.home.parents if folder.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Check("home", "ok", f"{settings.home} (made by the first command)")
        else:
            fix = "fix its permissions, or set PAYESH_HOME to another folder"
            yield Check("home", "fail", f"{settings.home} can't be made in {parent}", fix)
        return
    prepare_home(settings)
    yield Check("home", "ok", f"{settings.home} is writable")


def check_disk(settings: Settings) -> Iterator[Check]:
    place = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    usage = shutil.disk_usage(place)
    told = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.0f} GB"
    fix = "free some space, or move PAYESH_HOME to another disk"
    state: State = "ok"
    if usage.free < _GOOD_FREE_BYTES:
        state = "fail" if usage.free < _LEAST_FREE_BYTES else "warn"
    yield Check("disk", state, told, "" if state == "ok" else fix)
    files = os.statvfs(place)
    if files.f_files and files.f_favail < 20_000:
        yield Check("disk", "warn", f"{files.f_favail} more files fit", "delete old small files")


def check_memory(_: Settings) -> Iterator[Check]:
    import psutil

    memory = psutil.virtual_memory()
    told = f"{memory.available / 1e9:.1f} GB available of {memory.total / 1e9:.0f} GB"
    if memory.available < _GOOD_MEMORY_BYTES:
        yield Check("memory", "warn", told, "a nightly run needs about 2 GB: end other programs")
    else:
        yield Check("memory", "ok", told)


def check_clock(settings: Settings) -> Iterator[Check]:
    if settings.clock is not None:
        told = f"simulated: {settings.clock.isoformat()}"
        yield Check("clock", "warn", told, "unset PAYESH_NOW to use the real one")
    elif datetime.now(UTC).year < 2026:
        told = f"{datetime.now(UTC).isoformat()} lies before this program was written"
        yield Check("clock", "fail", told, "set the machine's clock (timedatectl set-ntp true)")
    else:
        yield Check("clock", "ok", f"{settings.now():%Y-%m-%d %H:%M} UTC")


def check_server(settings: Settings) -> Iterator[Check]:
    """The server's process: the embedded one, or the address of another."""
    if settings.database_url is not None:
        parts = urlsplit(settings.database_url)
        place = f"{parts.hostname}:{parts.port or 5432}"
        if _listens(parts.hostname or "", parts.port or 5432):
            yield Check("server", "ok", f"external, {place}")
        else:
            fix = "start it, or correct PAYESH_DATABASE_URL (unset: embedded server)"
            yield Check("server", "fail", f"external, nothing listens at {place}", fix)
        return
    from infra import embedded
    from infra.embedded.cluster import read_state

    embedded.binaries()
    status = embedded.status(settings)
    if status.state == "running":
        yield Check("server", "ok", f"embedded, port {status.port}, process {status.pid}")
        return
    told = "embedded, stopped" if status.state == "stopped" else "embedded, not yet made"
    port = read_state(settings).get("port", "")
    if port.isdigit() and _listens("127.0.0.1", int(port)):
        told += f"; its port {port} is used by another program, it will take another"
    yield Check("server", "ok", f"{told}; it starts with whatever needs it")


def check_database(settings: Settings) -> Iterator[Check]:
    """Reachable, at the newest revision, roles usable, BI login working, clock agreeing."""
    from infra import embedded

    if settings.is_embedded and embedded.status(settings).state != "running":
        yield Check("database", "ok", "not looked at: the server is stopped")
        return
    from infra.postgres.connect import Role, bi_url, connect, open_url
    from infra.postgres.migrate import current_revision, head_revision

    head = head_revision()
    current = current_revision(settings)
    if current is None:
        yield Check("database", "warn", "empty or not made yet", "run `payesh migrate`")
        return
    if current > head:
        told = f"at revision {current}, this installation knows {head}"
        yield Check("database", "fail", told, "update the project")
        return
    if current < head:
        told = f"at revision {current}, {head} is there to be applied"
        yield Check("database", "warn", told, "run `payesh migrate`")
    else:
        yield Check("database", "ok", f"at revision {current}")
    edited = _edited_migrations(settings)
    if edited:
        told = f"applied migrations that were edited since: {_some(edited)}"
        fix = "restore these files and write a further revision; a sandbox may be made anew"
        yield Check("database", "warn", told, fix)
    refused: list[str] = []
    for role in get_args(Role)[1:]:
        try:
            connect(settings, role).close()
        except PayeshError as error:
            refused.append(f"payesh_{role} ({error.what})")
    if refused:
        fix = "grant them to the login of PAYESH_DATABASE_URL, see the runbook on roles"
        yield Check("roles", "fail", f"not usable: {'; '.join(refused)}", fix)
    else:
        yield Check("roles", "ok", "owner, ingest, transform, bi")
    try:
        open_url(bi_url(settings)).close()
        yield Check("BI login", "ok", "payesh_bi_reader; its address: `payesh url --role bi`")
    except PayeshError as error:
        fix = "run `payesh migrate --rotate-bi-password`"
        yield Check("BI login", "warn", f"does not work: {error.what}", fix)
    with connect(settings, "admin") as connection:
        row = connection.execute("select clock_timestamp()").fetchone()
    away = abs(datetime.now(UTC) - row[0]) if row else timedelta()
    if away > _CLOCK_TOLERANCE:
        told = f"the server's differs by {away.total_seconds():.0f} s"
        yield Check("clock", "warn", told, "set both by NTP: lateness is judged by receipt")


def _edited_migrations(settings: Settings) -> list[str]:
    from infra.postgres.connect import connect
    from infra.postgres.migrations import edited_files

    with connect(settings, "admin") as connection:
        known = connection.execute("select to_regclass('public.payesh_migration_file')").fetchone()
        if known is None or known[0] is None:
            return []
        rows = connection.execute("select file_name, sha256 from public.payesh_migration_file")
        return edited_files({str(name): str(digest) for name, digest in rows})


def check_snapshots(settings: Settings) -> Iterator[Check]:
    url = settings.snapshots_url
    scheme, separator, _ = url.partition("://")
    if separator and scheme != "file":
        import fsspec

        try:
            fsspec.get_filesystem_class(scheme)
        except (ValueError, ImportError) as error:
            fix = "install its fsspec package, or use a local folder in PAYESH_SNAPSHOTS"
            yield Check("snapshots", "fail", f"{scheme}:// can't be opened: {error}", fix)
            return
        yield Check("snapshots", "ok", f"kept in {scheme}:// (reached when first used)")
        return
    folder = Path(url.removeprefix("file://"))
    exists = folder.is_dir()
    if exists and not os.access(folder, os.W_OK | os.X_OK):
        fix = "fix its permissions, or set PAYESH_SNAPSHOTS"
        yield Check("snapshots", "fail", f"{folder} is not writable", fix)
    else:
        yield Check("snapshots", "ok", f"{folder}" + ("" if exists else " (made when first used)"))


def check_registry(settings: Settings) -> Iterator[Check]:
    """Every source file parses; one bad file stops that source only, so it is a warning."""
    from ingestion.spec.registry import load_registry

    registry = load_registry(settings.source_folders)
    if registry.specs:
        yield Check("registry", "ok", f"{len(registry.specs)} sources")
    else:
        folders = ", ".join(str(folder) for folder in settings.source_folders)
        yield Check("registry", "fail", f"no source in {folders}", "see `payesh source new`")
    for problem in registry.problems:
        where = f"{problem.path}:{problem.line}" if problem.line else f"{problem.path}"
        yield Check("registry", "warn", f"{where}: {problem.message}", problem.remedy)


def check_reference(settings: Settings) -> Iterator[Check]:
    folder = settings.reference_dir
    needed = ("province.csv", "agency.csv", "project.csv", "indicator.csv", "obligation.csv")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        told = f"missing in {folder}: {', '.join(missing)}"
        yield Check("reference", "fail", told, "restore them from the project's history")
    else:
        yield Check("reference", "ok", f"{len(list(folder.glob('*.csv')))} tables")


def check_dbt(settings: Settings) -> Iterator[Check]:
    folder = settings.project_root / "dbt_project"
    missing = [n for n in ("dbt_project.yml", "profiles.yml") if not (folder / n).is_file()]
    if missing:
        told = f"missing in {folder}: {', '.join(missing)}"
        yield Check("dbt", "fail", told, "restore them from the project's history")
        return
    version = importlib.metadata.version("dbt-core")
    yield Check("dbt", "ok", f"dbt {version}, project and profile present")


def check_airflow(settings: Settings) -> Iterator[Check]:
    version = importlib.metadata.version("apache-airflow")
    config = settings.home / "airflow" / "airflow.cfg"
    dags = settings.project_root / "dags"
    if not list(dags.glob("*.py")):
        yield Check("airflow", "fail", f"no DAG in {dags}", "clone the project again")
    elif not config.exists():
        yield Check("airflow", "ok", f"{version}; its home is made by the first run")
    elif not os.access(config, os.R_OK | os.W_OK):
        fix = "run as the user that owns it"
        yield Check("airflow", "fail", f"{config} is not readable and writable", fix)
    else:
        yield Check("airflow", "ok", f"{version}, home {config.parent}")


def check_sandbox(settings: Settings) -> Iterator[Check]:
    if not settings.sandbox:
        yield Check("sandbox", "ok", "off: no simulated source takes part")
        return
    from infra.sandbox import lifecycle

    try:
        info = lifecycle.status(settings)
    except Exception as error:
        fix = "run `payesh sandbox stop`, then `payesh sandbox start`"
        yield Check("sandbox", "warn", f"its state can't be read: {error}", fix)
        return
    if info is None:
        yield Check("sandbox", "ok", "not started; the first nightly run does it")
    elif info.is_running:
        told = f"simulated nation at {info.url}, week {info.as_of_label}"
        yield Check("sandbox", "ok", told)
        for part, fault in sorted(info.faults.items()):
            fix = f"`payesh sandbox fault {part} clear` ends it"
            yield Check("sandbox", "warn", f"{part} is made to fail: {fault}", fix)
    else:
        told = f"nothing answers at {info.url}: its sources would fail"
        yield Check("sandbox", "warn", told, "run `payesh sandbox start` (the nightly run does)")


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=3.0):
            return True
    except OSError:
        return False


def _some(items: list[str], most: int = 3) -> str:
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def _worst(checks: list[Check]) -> State:
    states = {check.state for check in checks}
    return "fail" if "fail" in states else "warn" if "warn" in states else "ok"


def _report(checks: list[Check]) -> str:
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        label = click.style(f"{check.state:<4}", fg=colours[check.state], bold=check.state != "ok")
        lines.append(f"{label}  {check.name:<{width}}  {check.found}")
        if check.fix and check.state != "ok":
            lines.append(f"{'':<4}  {'':<{width}}  do: {check.fix}")
    worst = _worst(checks)
    closing = {
        "ok": "all well",
        "warn": "usable; see the warnings",
        "fail": "not usable until the failures are mended",
    }
    return "\n".join([*lines, closing[worst]])
