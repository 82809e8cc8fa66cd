"""BI logins that see one agency's or one province's rows, and those that may ask for restricted
data.

In: a name, codes of agencies and provinces. Out: Postgres logins, rows of `ops.access`. What a
login sees is decided in the database (row-level security, by the account that logged in), so it
holds for every tool. Passwords are kept nowhere: shown once, made anew on request.
Run it: `payesh access grant NAME --agency CODE | --province CODE | --restricted`
"""

from __future__ import annotations

import csv
import difflib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from infra.errors import PayeshError, RefusedError
from infra.postgres.connect import admin_url, connect
from infra.settings import Settings

PREFIX: Final = "bi_"
"""Of every login made here: no other account of the server can be meant by a name."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,40}")
_LOCK: Final = "lock table ops.access in share row exclusive mode"
"""One change of logins at a time; readers of the table do not wait."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A login as it is now. `url` only when a password has just been made: it is shown once."""

    login: str
    agencies: tuple[str, ...]
    provinces: tuple[str, ...]
    is_restricted: bool
    url: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """What one login was granted; `what` is agency, province or restricted, `code` '' for the last.

    `can_log_in` is false when the login is gone or locked.
    """

    login: str
    what: Literal["agency", "province", "restricted"]
    code: str
    granted_at: datetime | None
    granted_by: str | None
    revoked_at: datetime | None
    can_log_in: bool


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for restricted data, why, and how often the answer was opened."""

    request_no: int
    login: str
    asked_at: datetime
    mart: str
    release_no: int
    reason: str
    readings: int


def login_of(name: str) -> str:
    """Return the login behind a name: `mazandaran` and `bi_mazandaran` are `bi_mazandaran`.

    Raises RefusedError on a name that can't be a login.
    """
    bare = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(bare) or bare == "reader":
        raise RefusedError(
            f"{name} can't be the name of a login",
            "NAME",
            "write small Latin letters, digits and _, beginning with a letter",
        )
    return PREFIX + bare


def grant(
    settings: Settings,
    name: str,
    agencies: Sequence[str] = (),
    provinces: Sequence[str] = (),
    is_restricted: bool = False,
    new_password: bool = False,
) -> Granted:
    """Make a login, or let it see more. A new login, or `new_password`, gets a password.

    Raises RefusedError on an unknown code, or when nothing is granted to a login that is new.
    """
    login = login_of(name)
    _require_codes(settings, "agency", agencies)
    _require_codes(settings, "province", provinces)
    password = None
    with connect(settings, "admin") as connection:
        connection.execute(_LOCK)
        state = _state(connection, login)
        if not (agencies or provinces or is_restricted) and not (state and new_password):
            raise RefusedError(
                f"nothing is granted to {login}",
                "payesh access grant",
                "name what it may see: --agency CODE, --province CODE or --restricted",
            )
        if not state or new_password:
            password = secrets.token_urlsafe(24)
            _set_login(connection, login, password, is_new=state is None)
        if agencies or provinces:
            connection.execute(
                sql.SQL("grant payesh_bi_scoped to {}").format(sql.Identifier(login))
            )
        if is_restricted:
            connection.execute(
                sql.SQL("grant payesh_restricted to {}").format(sql.Identifier(login))
            )
        for column, codes in (("agency_code", agencies), ("province_code", provinces)):
            for code in dict.fromkeys(codes):
                connection.execute(
                    sql.SQL(
                        "insert into ops.access (login, {}) values (%s, %s) on conflict do nothing"
                    ).format(sql.Identifier(column)),
                    [login, code],
                )
        seen = _seen(connection, login)
    return Granted(login, *seen, url=None if password is None else _url(settings, login, password))


def revoke(settings: Settings, name: str) -> int:
    """Take everything from a login, lock it and end its sessions; return how many it ended.

    What it had been granted stays on record. Raises RefusedError on an unknown login.
    """
    login = login_of(name)
    with connect(settings, "admin") as connection:
        connection.execute(_LOCK)
        if _state(connection, login) is None:
            known = sorted({one.login for one in list_access(settings)})
            near = difflib.get_close_matches(login, known, n=1)
            raise RefusedError(
                f"there is no login {login}",
                "payesh access revoke",
                f"did you mean {near[0]}?" if near else "see `payesh access list`",
            )
        connection.execute(
            "update ops.access set revoked_at = clock_timestamp(), revoked_by = session_user"
            " where login = %s and revoked_at is null",
            [login],
        )
        connection.execute(
            sql.SQL("revoke payesh_bi_scoped, payesh_restricted from {0}").format(
                sql.Identifier(login)
            )
        )
        # it stays, locked: the records of what it read and was granted name it
        connection.execute(
            sql.SQL("alter role {} nologin password null").format(sql.Identifier(login))
        )
        connection.commit()
        sessions = [
            row[0]
            for row in connection.execute(
                "select pid from pg_stat_activity where usename = %s", [login]
            )
        ]
        ended = 0
        for pid in sessions:
            try:
                with connection.transaction():
                    row = connection.execute("select pg_terminate_backend(%s)", [pid]).fetchone()
            except psycopg.errors.InsufficientPrivilege as error:
                raise PayeshError(
                    f"{login} is locked and sees nothing any more, but {len(sessions)} session(s)"
                    " could not be ended",
                    f"pg_terminate_backend: {error.diag.message_primary}",
                    "let the server's administrator end them",
                ) from error
            ended += bool(row and row[0])
    return ended


def list_access(settings: Settings, with_revoked: bool = False) -> list[Access]:
    """Return what each login has been granted, by login."""
    with connect(settings, "admin") as connection:
        rows = connection.execute(
            "with granted as ("
            " select a.login, case when a.agency_code is null then 'province' else 'agency' end"
            " as what, coalesce(a.agency_code, a.province_code) as code, a.granted_at,"
            " a.granted_by, a.revoked_at from ops.access as a"
            " union all"
            " select member.rolname, 'restricted', '', null, null, null"
            " from pg_auth_members as m"
            " inner join pg_roles as member on m.member = member.oid"
            " inner join pg_roles as given on m.roleid = given.oid"
            " where given.rolname = 'payesh_restricted' and member.rolname like 'bi\\_%%')"
            " select g.login, g.what, g.code, g.granted_at, g.granted_by, g.revoked_at,"
            " coalesce(r.rolcanlogin, false) from granted as g"
            " left join pg_roles as r on r.rolname = g.login"
            " where g.revoked_at is null or %s"
            " order by g.login, g.revoked_at nulls first, g.what, g.code",
            [with_revoked],
        ).fetchall()
    return [Access(*row) for row in rows]


def list_requests(settings: Settings, limit: int = 50) -> list[Request]:
    """Return the newest `limit` requests for restricted data, newest first."""
    with connect(settings, "owner") as connection:
        rows = connection.execute(
            "select r.request_no, r.login, r.asked_at, r.mart, r.release_no, r.reason,"
            " (select count(*) from restricted.reading as d where d.request_no = r.request_no)"
            " from restricted.request as r order by r.request_no desc limit %s",
            [limit],
        ).fetchall()
    return [Request(*row) for row in rows]


def _state(connection: psycopg.Connection, login: str) -> bool | None:
    """Return whether the login may log in; None when there is none."""
    row = connection.execute(
        "select rolcanlogin from pg_roles where rolname = %s", [login]
    ).fetchone()
    return None if row is None else bool(row[0])


def _set_login(connection: psycopg.Connection, login: str, password: str, *, is_new: bool) -> None:
    # hashed here: the server's log may show statements
    hashed = connection.pgconn.encrypt_password(
        password.encode(), login.encode(), b"scram-sha-256"
    ).decode()
    role = sql.Identifier(login)
    connection.execute(
        sql.SQL("{} role {} login nocreatedb nocreaterole password {}").format(
            sql.SQL("create" if is_new else "alter"), role, sql.Literal(hashed)
        )
    )
    if is_new:
        connection.execute(sql.SQL("alter role {} connection limit 20").format(role))
        connection.execute(sql.SQL("alter role {} set search_path = marts").format(role))
        connection.execute(sql.SQL("alter role {} set statement_timeout = '10min'").format(role))


def _seen(
    connection: psycopg.Connection, login: str
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    rows = connection.execute(
        "select agency_code, province_code from ops.access"
        " where login = %s and revoked_at is null order by 1, 2",
        [login],
    ).fetchall()
    restricted = connection.execute(
        "select pg_has_role(%s, 'payesh_restricted', 'member')", [login]
    ).fetchone()
    return (
        tuple(agency for agency, _ in rows if agency is not None),
        tuple(province for _, province in rows if province is not None),
        bool(restricted and restricted[0]),
    )


def _require_codes(
    settings: Settings, what: Literal["agency", "province"], codes: Sequence[str]
) -> None:
    if not codes:
        return
    path = settings.reference_dir / f"{what}.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        known = [row[f"{what}_code"] for row in csv.DictReader(file)]
    for code in codes:
        if code not in known:
            near = difflib.get_close_matches(code, known, n=1)
            raise RefusedError(
                f"there is no {what} {code}",
                f"--{what}",
                f"did you mean {near[0]}?" if near else f"see {path.name}",
            )


def _url(settings: Settings, login: str, password: str) -> str:
    parts = urlsplit(admin_url(settings))
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@{address}"))
