"""Who may see what, tried from the outside: each login tries to get past its rows and rights.

One small published warehouse with two agencies, two provinces and a restricted mart; logins as
`payesh access grant` makes them. Every attempt is a login of its own on the wire, not a `set role`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from infra.errors import RefusedError
from infra.postgres import access as access_room
from infra.postgres import admin_url, bi_url, connect
from infra.postgres.access import grant, list_access, list_requests, login_of, revoke
from infra.release import diff, publish
from infra.settings import Settings
from infra.trace import trace

MARK = "secret-of-"
"""Every value of an agency or province begins so: a leak is found by looking for the others'."""

_WAREHOUSE = f"""
create table build.agency_work (agency_code text not null, week_start date not null,
    value numeric(9, 4), note text);
create table build.province_work (province_code text not null, week_start date not null,
    note text);
create table build.money (level text not null, code text not null, note text);
create table build.headline (metric_code text not null, note text);
create table build.dim_agency (agency_code text not null, name_fa text);
create table build.heads (post_code text not null, note text);
insert into build.agency_work
select 'sim_a' || lpad(a::text, 2, '0'), date '2026-11-14' - 7 * w, a, '{MARK}sim_a0' || a
from generate_series(1, 3) as a cross join generate_series(0, 2) as w;
insert into build.province_work values
('IR-02', '2026-11-14', '{MARK}IR-02'), ('IR-03', '2026-11-14', '{MARK}IR-03');
insert into build.money values
('agency', 'sim_a01', '{MARK}sim_a01'), ('agency', 'sim_a02', '{MARK}sim_a02'),
('province', 'IR-02', '{MARK}IR-02'), ('province', 'sim_a01', '{MARK}IR-99');
insert into build.headline values ('all', '{MARK}nation');
insert into build.dim_agency values ('sim_a01', 'یک'), ('sim_a02', 'دو');
insert into build.heads values ('post_1', '{MARK}head');
insert into ops.mart (mart, grain, description, is_restricted) values
('agency_work', '{{agency_code,week_start}}', '', false),
('province_work', '{{province_code,week_start}}', '', false),
('money', '{{level,code}}', '', false), ('headline', '{{metric_code}}', '', false),
('dim_agency', '{{agency_code}}', '', false), ('heads', '{{post_code}}', '', true);
insert into ops.build (as_of_week, is_full_refresh, code_sha256, reference_sha256, finished_at,
    status) values ('2026-11-14', false, 'c', 'r', now(), 'built');
insert into quality.gate (build_id, stage, verdict, started_at, finished_at)
values (1, 'marts', 'pass', now(), now());
"""

_SOURCE = (
    "insert into raw.source (source, spec_sha256, spec, kind, title, agency_code, owner_name,"
    " owner_email, tier, is_simulated, cadence, due_hours, grace_hours)"
)


@dataclass
class House:
    settings: Settings
    urls: dict[str, str]

    def open(self, who: str) -> psycopg.Connection:
        return psycopg.connect(self.urls[who], autocommit=True)

    def read(self, who: str, query: str) -> list[tuple[object, ...]]:
        with self.open(who) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def house(database: Settings) -> Iterator[House]:
    """A published warehouse; logins one (agency), two (both provinces' neighbour), and others."""
    name = f"test_{secrets.token_hex(6)}"
    tag = secrets.token_hex(3)
    maintenance = admin_url(database, "postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"create database {name} template payesh_template")
    settings = replace(database, database_url=admin_url(database, name))
    urls = {"nation": bi_url(settings)}
    try:
        with connect(settings, "transform") as connection:
            connection.execute(_WAREHOUSE.encode())
        assert publish(settings, 1).release_no == 1
        with connect(settings, "transform") as connection:
            connection.execute("update build.agency_work set value = value + 10")
            connection.execute("insert into build.heads values ('post_2', 'x')")
            connection.execute(
                "insert into ops.build (as_of_week, is_full_refresh, code_sha256,"
                " reference_sha256, finished_at, status)"
                " values ('2026-11-14', false, 'c', 'r', now(), 'built')"
            )
            connection.execute(
                "insert into quality.gate (build_id, stage, verdict, started_at, finished_at)"
                " values (2, 'marts', 'pass', now(), now())"
            )
        assert publish(settings, 2).release_no == 2
        wanted: dict[str, dict[str, tuple[str, ...]]] = {
            "agency": {"agencies": ("sim_a01",)},
            "province": {"provinces": ("IR-02",)},
            "leaver": {"agencies": ("sim_a02",)},
        }
        for who, codes in wanted.items():
            urls[who] = grant(settings, f"{who}_{tag}", **codes).url or ""
        urls["auditor"] = grant(settings, f"auditor_{tag}", is_restricted=True).url or ""
        yield House(settings, urls)
    finally:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")
            for row in connection.execute(
                "select rolname from pg_roles where rolname like %s", [f"bi\\_%\\_{tag}"]
            ).fetchall():
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(row[0])))


VIEWS = [
    f"{schema}.{mart}"
    for schema in ("marts", "marts_as_of")
    for mart in ("agency_work", "province_work", "money")
]


@pytest.mark.parametrize(
    ("who", "own"), [("agency", {f"{MARK}sim_a01"}), ("province", {f"{MARK}IR-02"})]
)
def test_each_login_sees_its_rows_and_no_others(house: House, who: str, own: set[str]) -> None:
    seen = set()
    for release in (1, 2):
        with house.open(who) as connection:
            connection.execute(f"set payesh.release = {release}".encode())
            for view in VIEWS:
                seen |= {row[0] for row in connection.execute(f"select note from {view}".encode())}
    assert seen == own
    assert len(house.read(who, "select * from marts.dim_agency")) == 2


def test_nation_wide_login_sees_all_and_as_of(house: House) -> None:
    assert len(house.read("nation", "select * from marts.agency_work")) == 9
    assert house.read("nation", "select note from marts.headline") == [(f"{MARK}nation",)]
    with house.open("nation") as connection:
        connection.execute("set payesh.release = 1")
        query = "select max(value) from marts_as_of.agency_work"
        assert connection.execute(query).fetchall()[0][0] == 3


DENIED = [
    # national figures, base tables, what stands behind them
    "select * from marts.headline",
    "select * from marts_as_of.headline",
    "select * from marts.kpi_lineage",
    "select * from history.agency_work",
    "select * from history.heads",
    "select * from build.agency_work",
    "select * from raw.progress",
    "select * from raw.quarantine",
    "select * from ops.access",
    "select * from ops.mart",
    "select * from ops.release_history",
    "select * from ops.data_quality_finding",
    "select * from quality.result",
    "select * from restricted.request",
    "select * from pg_authid",
    # functions that work with their owner's rights
    "select ops.diff_mart('agency_work', 1, 2)",
    "select ops.lineage_of('agency_work', '{}')",
    "select ops.open_record('progress', 1, 1, 'actual_pct')",
    "select ops.publish(1, now())",
    "select ops.revert(1, now())",
    "select ops.create_views('agency_work')",
    "select ops.protect_rows('agency_work')",
    "select ops.scope_condition('agency_work')",
    "select restricted.ask('heads', 'because I can')",
    "select restricted.open(1)",
    # becoming somebody else
    "set role payesh_bi",
    "set role payesh_owner",
    "set role payesh_reader",
    "set role payesh_transform",
    "set role payesh_restricted",
    "set session authorization payesh_bi_reader",
    "grant payesh_bi to current_user",
    "alter role current_user superuser",
    "alter role current_user bypassrls",
    "create role another login",
    # row-level security switched off
    "set row_security = off; select * from marts.agency_work",
    "alter table history.agency_work disable row level security",
    "drop policy seen on history.agency_work",
    "create policy mine on history.agency_work using (true)",
    "alter view marts.agency_work owner to current_user",
    "create or replace view marts.agency_work as select 1",
    # files, programs, other servers
    "copy history.agency_work to stdout",
    "copy (select * from history.agency_work) to stdout",
    "copy (select 1) to '/tmp/payesh-out'",
    "copy (select 1) to program 'id'",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('.')",
    "select lo_import('/etc/passwd')",
    "select lo_export(1, '/tmp/payesh-out')",
    "create extension postgres_fdw",
    "create extension dblink",
    # leaving something behind
    "insert into marts.agency_work (agency_code) values ('sim_a01')",
    "update marts.agency_work set note = 'x'",
    "delete from marts.agency_work",
    "insert into history.agency_work (agency_code) values ('sim_a01')",
    "update history.agency_work set note = 'x'",
    "delete from history.release",
    "truncate history.agency_work",
    "create table marts.mine (n integer)",
    "create table public.mine (n integer)",
    "create schema mine",
    "create function public.mine() returns integer language sql as 'select 1'",
    "create view public.mine as select * from history.agency_work",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "comment on view marts.agency_work is 'x'",
    "begin; lock table marts.agency_work in access exclusive mode",
    # holding up builds and publications
    "select pg_advisory_lock(7291430155003)",
    "select pg_try_advisory_lock(7291430155002)",
    "select pg_advisory_xact_lock_shared(7291430155003)",
    "begin; lock table ops.publication in access share mode",
    "begin; lock table ops.build_at_work in exclusive mode",
    "begin; lock table ops.source_at_work in row share mode",
    "select ops.lock_source('sim_a01__progress')",
    "select ops.try_build_lock()",
    # the lines behind what is published to others
    "select * from ops.lineage_lines('agency_work', '{}')",
    "alter system set fsync = off",
    "alter database postgres set search_path = x",
]


@pytest.mark.parametrize("who", ["agency", "province"])
def test_each_way_around_is_closed_and_tells_nothing(house: House, who: str) -> None:
    opened = []
    told = []
    with house.open(who) as connection:
        connection.execute("set default_transaction_read_only = off")
        for statement in DENIED:
            try:
                cursor = connection.cursor()
                if statement.startswith("copy") and statement.endswith("stdout"):
                    with cursor.copy(statement.encode()) as rows:
                        opened.append((statement, bytes(next(iter(rows)))))
                else:
                    cursor.execute(statement.encode())
                    opened.append((statement, b""))
            except psycopg.Error as error:
                if not isinstance(error, psycopg.errors.InsufficientPrivilege):
                    opened.append((statement, str(error).encode()))
                if MARK in str(error):
                    told.append((statement, str(error)))
            connection.execute("rollback")
            connection.execute("reset row_security")
    assert opened == []
    assert told == []


def test_a_function_of_the_readers_own_meets_no_hidden_row(house: House) -> None:
    """A cheap condition runs before a view's own, unless the row-level policy comes first."""
    with house.open("agency") as connection:
        heard: list[str] = []
        connection.add_notice_handler(lambda note: heard.append(note.message_primary or ""))
        connection.execute(
            "create function pg_temp.listen(text) returns boolean language plpgsql"
            " cost 0.0000001 as $$ begin raise notice 'met %', $1; return true; end $$"
        )
        for view in ("agency_work", "province_work", "money"):
            for schema in ("marts", "marts_as_of"):
                connection.execute(
                    f"select count(*) from {schema}.{view} where pg_temp.listen(note)".encode()
                )
        connection.execute("select * from marts.source_freshness where pg_temp.listen(source)")
        connection.execute(
            "select * from marts.data_quality_finding where pg_temp.listen(source || message)"
        )
    assert {one for one in heard if MARK in one} == {f"met {MARK}sim_a01"}
    assert "sim_a02" not in " ".join(heard)


@pytest.mark.parametrize(
    "probe",
    [
        "select note::integer from marts.agency_work",
        "select 1 / (case when agency_code = 'sim_a01' then 1 else 0 end) from marts.agency_work",
        "select ('{\"' || note || '\"')::jsonb from marts_as_of.agency_work",
        "explain (verbose, costs) select * from marts.agency_work where note > 'secret-of-sim_a02'",
        "explain (analyze, verbose, buffers) select * from marts.agency_work",
        "select most_common_vals::text from pg_stats where tablename = 'agency_work'",
        "select query from pg_stat_activity",
        "select definition from pg_views where schemaname = 'marts'",
        "select prosrc from pg_proc where prosrc like '%seen%'",
        "table information_schema.tables",
    ],
)
def test_errors_plans_and_catalogues_tell_no_value(house: House, probe: str) -> None:
    with connect(house.settings, "owner") as connection:
        connection.execute("analyze history.agency_work")
    with house.open("agency") as connection:
        try:
            told = str(connection.execute(probe.encode()).fetchall())
        except psycopg.Error as error:
            told = str(error)
    # what the reader wrote himself comes back to him
    for other in ("sim_a02", "sim_a03", "IR-02", "nation", "head"):
        assert f"{MARK}{other}" not in told.replace("'secret-of-sim_a02'", "")


def test_shadows_and_settings_change_nothing(house: House) -> None:
    """Temporary look-alikes of what the owner's functions read are never looked at."""
    with house.open("agency") as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute(
            "create temporary table access (login text, agency_code text, province_code text,"
            " revoked_at timestamptz)"
        )
        connection.execute("insert into access values (session_user, 'sim_a02', null, null)")
        connection.execute(
            "create function pg_temp.pg_has_role(name, name, text) returns boolean"
            " language sql as 'select true'"
        )
        connection.execute(
            "create function pg_temp.array_agg(text) returns text[]"
            " language sql as $$select '{sim_a02}'::text[]$$"
        )
        connection.execute("set search_path = pg_temp, pg_catalog, ops, history, marts")
        connection.execute("set payesh.release = '1'")
        connection.execute("set payesh.agency = 'sim_a02'")
        for view in ("marts.agency_work", "marts_as_of.agency_work"):
            rows = connection.execute(f"select distinct note from {view}".encode()).fetchall()
            assert rows == [(f"{MARK}sim_a01",)]
        with pytest.raises(psycopg.Error, match="no release 99"):
            connection.execute("set payesh.release = 99; select * from marts_as_of.agency_work")


def test_what_belongs_to_others_stays_out_of_live_views(house: House) -> None:
    with connect(house.settings, "transform") as connection:
        connection.execute(
            "select ops.refuse(2, '2026-11-14', %s, 'dbt-failed', %s)",
            [datetime(2026, 11, 21, tzinfo=UTC), f"{MARK}sim_a02 is late"],
        )
    told = house.read("agency", "select outcome, reason from marts.release_history order by 1")
    assert told[-1] == ("refused", None)
    assert (f"{MARK}sim_a02 is late",) in house.read(
        "nation", "select reason from marts.release_history"
    )


def test_a_login_of_no_grant_sees_nothing(house: House) -> None:
    """Fail closed: membership alone, without a row that says what is seen, gives no row."""
    with connect(house.settings, "admin") as connection:
        connection.execute("create role bi_stranger login password 'x'")
        connection.execute("grant payesh_bi_scoped to bi_stranger")
    try:
        url = house.urls["agency"]
        parts = url.split("@")
        with psycopg.connect(f"postgresql://bi_stranger:x@{parts[-1]}") as connection:
            for view in VIEWS:
                assert connection.execute(f"select * from {view}".encode()).fetchall() == []
    finally:
        with connect(house.settings, "admin") as connection:
            connection.execute("drop role bi_stranger")


def test_whoever_was_scoped_stays_scoped(house: House) -> None:
    """A nation-wide role given by mistake to an agency's login opens nothing."""
    login = psycopg.conninfo.conninfo_to_dict(house.urls["agency"])["user"]
    with connect(house.settings, "admin") as connection:
        connection.execute(sql.SQL("grant payesh_bi to {}").format(sql.Identifier(str(login))))
    try:
        rows = house.read("agency", "select distinct note from marts.agency_work")
        assert rows == [(f"{MARK}sim_a01",)]
    finally:
        with connect(house.settings, "admin") as connection:
            connection.execute(
                sql.SQL("revoke payesh_bi from {}").format(sql.Identifier(str(login)))
            )


def test_revoking_ends_sessions_and_keeps_the_record(house: House) -> None:
    login = str(psycopg.conninfo.conninfo_to_dict(house.urls["leaver"])["user"])
    session = house.open("leaver")
    assert session.execute("select count(*) from marts.agency_work").fetchall() == [(3,)]
    assert revoke(house.settings, login) == 1
    with pytest.raises(psycopg.OperationalError):
        session.execute("select count(*) from marts.agency_work")
    with pytest.raises(psycopg.OperationalError):
        house.open("leaver")
    kept = [one for one in list_access(house.settings, with_revoked=True) if one.login == login]
    assert [(one.what, one.code, one.can_log_in) for one in kept] == [("agency", "sim_a02", False)]
    assert login not in {one.login for one in list_access(house.settings)}
    back = grant(house.settings, login, agencies=["sim_a03"], new_password=True)
    house.urls["leaver"] = back.url or ""
    assert house.read("leaver", "select distinct note from marts.agency_work") == [
        (f"{MARK}sim_a03",)
    ]


def test_P12_password_is_told_once_and_never_sent_in_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    real = access_room._set_login

    def spy(connection: psycopg.Connection, login: str, password: str, *, is_new: bool) -> None:
        class Listening:
            pgconn = connection.pgconn

            def execute(self, statement: sql.Composable) -> object:
                sent.append(statement.as_string(connection))
                return connection.execute(statement)

        real(Listening(), login, password, is_new=is_new)  # type: ignore[arg-type]
        assert all(password not in one for one in sent)

    monkeypatch.setattr(access_room, "_set_login", spy)
    login = str(psycopg.conninfo.conninfo_to_dict(house.urls["agency"])["user"])
    assert grant(house.settings, login, agencies=["sim_a01"]).url is None
    again = grant(house.settings, login, new_password=True)
    assert again.url != house.urls["agency"]
    assert "SCRAM-SHA-256$" in sent[0]
    with pytest.raises(psycopg.OperationalError, match="password"):
        house.open("agency")
    house.urls["agency"] = again.url or ""
    assert again.agencies == ("sim_a01",)


@pytest.mark.parametrize(
    ("name", "codes", "complaint"),
    [
        ("postgres'; drop", {"agencies": ["sim_a01"]}, "can't be the name"),
        ("bi_reader", {"agencies": ["sim_a01"]}, "can't be the name"),
        ("Ministry", {"agencies": ["sim_a01"]}, "can't be the name"),
        ("someone", {"agencies": ["sim_a1"]}, "no agency sim_a1"),
        ("someone", {"provinces": ["02"]}, "no province 02"),
        ("someone", {}, "nothing is granted"),
    ],
)
def test_mistaken_grants_are_refused(
    house: House, name: str, codes: dict[str, list[str]], complaint: str
) -> None:
    with pytest.raises(RefusedError, match=complaint):
        grant(house.settings, name, **codes)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="no login"):
        revoke(house.settings, "nobody_at_all")
    assert login_of("payesh_owner") == "bi_payesh_owner", "no account of the house is meant"


# ---------------------------------------------------------------- restricted data
def test_restricted_data_only_against_a_committed_request(house: House) -> None:
    with psycopg.connect(house.urls["auditor"]) as connection:
        for statement in ("select * from history.heads", "select * from marts.heads"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement.encode())
            connection.rollback()
        ask = "select restricted.ask('heads', 'quarterly review of heads')"
        number = connection.execute(ask).fetchall()[0][0]
        # reading and rolling back would leave no trace: refused
        with pytest.raises(psycopg.Error, match="has not been committed"):
            connection.execute("select restricted.open(%s)", [number])
        connection.rollback()
        with pytest.raises(psycopg.Error, match="no request"):
            connection.execute("select restricted.open(%s)", [number])
        connection.rollback()
        number = connection.execute(ask).fetchall()[0][0]
        connection.commit()
        rows = connection.execute("select restricted.open(%s)", [number]).fetchall()
        assert ({"post_code": "post_1", "note": f"{MARK}head"},) in rows
        connection.rollback()
    noted = list_requests(house.settings)
    assert (noted[0].request_no, noted[0].mart, noted[0].reason) == (
        number,
        "heads",
        "quarterly review of heads",
    )
    with psycopg.connect(house.urls["auditor"]) as connection:
        connection.execute("select restricted.open(%s)", [number])
    assert list_requests(house.settings)[0].readings == 1


def test_requests_are_their_makers_and_age(house: House) -> None:
    with psycopg.connect(house.urls["auditor"], autocommit=True) as connection:
        for reason in ("", "short"):
            with pytest.raises(psycopg.Error, match="a reason is needed"):
                connection.execute("select restricted.ask('heads', %s)", [reason])
        for mart in ("agency_work", "nothing"):
            with pytest.raises(psycopg.Error, match="no restricted mart"):
                connection.execute("select restricted.ask(%s, 'a good reason')", [mart])
        number = connection.execute(
            "select restricted.ask('heads', 'a good reason', 1)"
        ).fetchall()[0][0]
    # the house's own account is no exception: a request is for who made it
    with connect(house.settings, "admin") as connection:
        with pytest.raises(psycopg.Error, match=f"no request {number}"):
            connection.execute("select restricted.open(%s)", [number])
        connection.rollback()
        for change in (
            "delete from restricted.request",
            "update restricted.reading set row_count = 0",
        ):
            connection.execute("set role payesh_owner")
            with pytest.raises(psycopg.Error, match="can't be changed"):
                connection.execute(change.encode())
            connection.rollback()


def test_restricted_marts_have_no_views_and_no_lineage(house: House) -> None:
    with connect(house.settings, "admin") as connection:
        names = connection.execute(
            "select c.relname from pg_class as c where c.relnamespace = any"
            " (array['marts'::regnamespace, 'marts_as_of'::regnamespace])"
        ).fetchall()
        comment = connection.execute(
            "select obj_description('marts.kpi_lineage'::regclass)"
        ).fetchall()[0][0]
    assert "heads" not in {row[0] for row in names}
    with pytest.raises(RefusedError, match="mart heads is restricted"):
        trace(house.settings, "heads", "note", {"post_code": "post_1"})
    compared = diff(house.settings, 1, 2)
    assert "agency_work" in compared.rows
    assert "heads" not in compared.rows
    with pytest.raises(RefusedError, match="no published mart heads"):
        diff(house.settings, 1, 2, "heads")
    assert "heads" not in json.dumps(comment)
    assert "agency_work" in comment
