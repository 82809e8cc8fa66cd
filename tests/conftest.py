"""What every test may ask for: a home, a migrated database, a database of its own.

In: nothing; variables PAYESH_* of the caller are hidden, so no test touches a real home.
Out: `payesh_home`, `database` (one server a test process, shared), `fresh_database` (a copy of
the migrated database for this test alone, 0.1 s), `external_postgres` (a server that is not
ours, for PAYESH_DATABASE_URL).
Run them: `make test`
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, settings

from infra import embedded
from infra.postgres import admin_url, migrate
from infra.settings import Settings

_TEMPLATE = "payesh_template"

# A property is true or false, whatever else the machine is doing at that moment.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("house")


def _folder(prefix: str) -> Path:
    """Return a new folder that the server's unprivileged user can reach.

    Not pytest's tmp_path: it lies under a folder that is closed to other users.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    return folder


def _sweep_orphans() -> None:
    """Stop the servers of test runs that were killed before they could clean up."""
    for note in Path(tempfile.gettempdir()).glob("payesh-tests-*/owner.pid"):
        with contextlib.suppress(OSError, ValueError):
            if not psutil.pid_exists(int(note.read_text())):
                embedded.stop(Settings.from_env({"PAYESH_HOME": str(note.parent)}), timeout=10)
                shutil.rmtree(note.parent, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _no_real_home() -> Iterator[None]:
    """Hide the caller's installation: whoever forgets a fixture gets an empty home.

    And a small nation: a night of the whole one is dear.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PAYESH_")]:
            patch.delenv(name)
        folder = _folder("payesh-none-")
        patch.setenv("PAYESH_HOME", str(folder))
        # the whole nation is for people; tests that need it ask for it
        patch.setenv("PAYESH_SANDBOX", "small")
        yield
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def payesh_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty PAYESH_HOME for this test; a server started in it is stopped afterwards."""
    home = _folder("payesh-test-")
    monkeypatch.setenv("PAYESH_HOME", str(home))
    yield home
    settings = Settings.from_env({"PAYESH_HOME": str(home)})
    if embedded.status(settings).state != "absent":
        embedded.stop(settings)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def database() -> Iterator[Settings]:
    """Settings of a migrated embedded server, shared by all tests of this process.

    For tests that only read, or that clean up; others ask for `fresh_database`.
    """
    _sweep_orphans()
    home = _folder("payesh-tests-")
    (home / "owner.pid").write_text(str(os.getpid()))
    settings = Settings.from_env({"PAYESH_HOME": str(home)})
    try:
        migrate(settings)
        with psycopg.connect(admin_url(settings, "postgres"), autocommit=True) as connection:
            connection.execute(f"create database {_TEMPLATE} template payesh")
        yield settings
    finally:
        embedded.stop(settings, timeout=10)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def fresh_database(database: Settings) -> Iterator[Settings]:
    """Settings whose database is an empty, migrated copy of its own, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    maintenance = admin_url(database, "postgres")
    home = _folder("payesh-test-")
    shutil.copy(database.home / "bi_password", home / "bi_password")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"create database {name} template {_TEMPLATE}")
    try:
        yield replace(
            database,
            home=home,
            snapshots_url=str(home / "snapshots"),
            database_url=admin_url(database, name),
        )
    finally:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session", params=["oldest", "newest"])
def external_postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a server that the house did not make, for a login that is no superuser.

    Twice: the oldest Postgres of this machine that is supported (Debian 12 ships 15) and the
    newest, which is ours; rights of such logins changed in 16. The login may create databases
    and roles; its database does not exist.
    """
    programs = _external_programs(request.param)
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    base = _folder("payesh-external-")
    data = base / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if owner is not None:
        os.chown(base, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str) -> None:
        with tempfile.TemporaryFile("w+") as output:
            code = subprocess.run(
                [str(programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
                check=False,
            ).returncode
            output.seek(0)
            assert code == 0, f"{program}: {output.read()}"

    run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    run("pg_ctl", "start", "-w", "-D", str(data), "-l", str(base / "log"), "-o", options)
    try:
        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True
        ) as connection:
            connection.execute("create role house login createdb createrole password 'a b/c@d'")
        yield f"postgresql://house:a%20b%2Fc%40d@127.0.0.1:{port}/monitoring?sslmode=disable"
    finally:
        with contextlib.suppress(AssertionError):
            run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))
        shutil.rmtree(base, ignore_errors=True)


def _external_programs(which: str) -> Path:
    installed = sorted(
        (int(path.parent.parent.name), path.parent)
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if path.parent.parent.name.isdigit() and int(path.parent.parent.name) >= 15
    )
    return installed[0][1] if installed and which == "oldest" else embedded.binaries()
