"""Addresses and connections: one login, and the role that each room works as.

In: `Settings` (embedded server, started on demand, or `PAYESH_DATABASE_URL`).
Out: libpq and SQLAlchemy addresses; psycopg connections. Every room logs in with the same
account and steps down to its role by `options=-c role=payesh_<role>` before its first
statement, so there is one secret to keep. Only BI tools get a login of their own, which can
do nothing but read marts.
See them: `payesh url`, `payesh url --role bi`
"""

from __future__ import annotations

import os
import secrets
from typing import Any, Final, Literal, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from infra.embedded import ensure_running
from infra.errors import PayeshError, RefusedError
from infra.settings import Settings

Role = Literal["admin", "owner", "ingest", "transform", "bi"]
"""`admin` is the login itself: migrations and databases, nothing else."""

BI_READER: Final = "payesh_bi_reader"
"""The login that BI tools use; member of payesh_bi."""

_CONNECT_SECONDS = 10


def admin_url(settings: Settings, database: str | None = None) -> str:
    """Return the login's libpq address, of the house's database or of `database`.

    Starts the embedded server when that is the one in use. Raises PayeshError when it can't.
    """
    url = settings.database_url or ensure_running(settings)
    if database is None:
        return url
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


def role_url(settings: Settings, role: Role, database: str | None = None) -> str:
    """Return a libpq address whose sessions work as `payesh_<role>`, in UTC.

    Understood by psycopg 2 and 3, ADBC, psql. Raises RefusedError on an unknown role.
    """
    return _with_role(admin_url(settings, database), role)


def sqlalchemy_url(
    settings: Settings, role: Role, driver: str = "psycopg", database: str | None = None
) -> str:
    """Return `role_url` for SQLAlchemy with `driver` (psycopg, psycopg2, asyncpg)."""
    parts = urlsplit(role_url(settings, role, database))
    return urlunsplit(parts._replace(scheme=f"postgresql+{driver}"))


def libpq_environment(
    settings: Settings, role: Role, database: str | None = None
) -> dict[str, str]:
    """Return PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGOPTIONS, ... for a child process.

    For programs such as psql, pg_dump and dbt: an address on a command line shows its password
    to every user of the machine (trap P12).
    """
    parts = urlsplit(role_url(settings, role, database))
    environment = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
    }
    named = {"options": "PGOPTIONS", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    for key, value in parse_qsl(parts.query):
        if key in named:
            environment[named[key]] = value
    return {key: value for key, value in environment.items() if value}


def connect(
    settings: Settings,
    role: Role,
    autocommit: bool = False,
    database: str | None = None,
    **options: Any,
) -> psycopg.Connection:
    """Return an open connection working as `payesh_<role>`; use it in a `with` statement.

    `options` go to psycopg.connect (row_factory, application_name, ...). Raises PayeshError
    when the server does not answer or refuses, never naming the password.
    """
    return open_url(
        role_url(settings, role, database),
        autocommit=autocommit,
        application_name=options.pop("application_name", f"payesh {role}"),
        **options,
    )


def open_url(url: str, **options: Any) -> psycopg.Connection:
    """Open a libpq address; raise PayeshError, saying what to do, instead of psycopg's own."""
    options.setdefault("connect_timeout", _CONNECT_SECONDS)
    try:
        connection: psycopg.Connection = psycopg.connect(url, **options)
    except psycopg.OperationalError as error:
        raise PayeshError(
            f"no connection to Postgres: {_reason(error)}", _place(url), _advice(error)
        ) from error
    return connection


def ensure_database(settings: Settings, name: str | None = None) -> bool:
    """Create the house's database, or another one `name` on its server; return whether it did.

    Raises PayeshError when the login may not create databases.
    """
    target = name or database_name(settings)
    for maintenance in ("postgres", "template1"):
        try:
            connection = open_url(admin_url(settings, maintenance), autocommit=True)
        except PayeshError:
            if maintenance == "template1":
                raise
            continue
        with connection:
            found = connection.execute(
                "select 1 from pg_database where datname = %s", [target]
            ).fetchone()
            if found is not None:
                return False
            try:
                connection.execute(
                    sql.SQL("create database {} encoding 'UTF8' template template0").format(
                        sql.Identifier(target)
                    )
                )
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                # Another command was faster.
                return False
            except psycopg.errors.InsufficientPrivilege as error:
                raise PayeshError(
                    f"the database {target} does not exist and may not be created",
                    _place(admin_url(settings)),
                    f"let its administrator run: create database {target} encoding 'UTF8'",
                ) from error
        return True
    return False


def database_name(settings: Settings) -> str:
    """Return the name of the house's database."""
    return unquote(urlsplit(admin_url(settings)).path.lstrip("/"))


def bi_url(settings: Settings) -> str:
    """Return the address for BI tools: login `payesh_bi_reader`, marts only, read-only.

    Its password is made by `ensure_bi_reader` (part of `payesh migrate`). Raises PayeshError
    before that.
    """
    path = settings.home / "bi_password"
    try:
        password = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise PayeshError(
            f"the BI login's password can't be read: {error.strerror}",
            str(path),
            "run `payesh migrate`; it makes the login and its password",
        ) from error
    parts = urlsplit(admin_url(settings))
    address = parts.netloc.rpartition("@")[2]
    login = f"{BI_READER}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{address}"))


def ensure_bi_reader(settings: Settings, rotate: bool = False) -> None:
    """Make the BI login work with the password kept in `PAYESH_HOME/bi_password` (mode 0600).

    A new password is made when there is none, or when `rotate`. Expects the role payesh_bi.
    """
    path = settings.home / "bi_password"
    if rotate or not path.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")
        draft.replace(path)
    password = path.read_text(encoding="utf-8").strip()
    login = sql.Identifier(BI_READER)
    with connect(settings, "admin") as connection:
        # two at once would both find no login and make it
        connection.execute("lock table ops.access in share row exclusive mode")
        known = connection.execute(
            "select 1 from pg_roles where rolname = %s", [BI_READER]
        ).fetchone()
        verb = sql.SQL("create" if known is None else "alter")
        connection.execute(
            sql.SQL("{} role {} login password {}").format(verb, login, sql.Literal(password))
        )
        connection.execute(sql.SQL("grant payesh_bi to {}").format(login))
        if known is None:
            connection.execute(
                sql.SQL("alter role {} set default_transaction_read_only = on").format(login)
            )


def _with_role(url: str, role: Role) -> str:
    if role not in get_args(Role):
        raise RefusedError(
            f"there is no role {role}", "argument role", f"use one of {', '.join(get_args(Role))}"
        )
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    wanted = [query.pop("options", ""), "-c timezone=UTC"]
    if role != "admin":
        wanted.append(f"-c role=payesh_{role}")
    query["options"] = " ".join(option for option in wanted if option)
    # quote, not quote_plus: libpq takes a plus sign literally.
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}, database {unquote(parts.path.lstrip('/'))}"


def _reason(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    fatal = [line.split("FATAL:", 1)[1].strip() for line in lines if "FATAL:" in line]
    return (fatal or lines or [type(error).__name__])[0]


def _advice(error: psycopg.Error) -> str:
    text = str(error)
    if "does not exist" in text:
        return "run `payesh migrate`; it creates the database and its roles"
    if "authentication" in text or "no password" in text:
        return "check user and password in PAYESH_DATABASE_URL"
    return "check that the server runs and PAYESH_DATABASE_URL is right; see `payesh doctor`"
