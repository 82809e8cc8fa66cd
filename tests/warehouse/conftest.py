"""A warehouse for tests: raw rows in by SQL, dbt in this process, marts out as rows.

In: the session's embedded server. Out: `warehouse`, empty at the start of each test module:
`source`, `load` and the kinds' row makers fill raw, `night` builds as the runner does.
Run them: `pytest tests/warehouse`
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import yaml
from dbt.cli.main import dbtRunner, dbtRunnerResult
from psycopg.rows import dict_row

from infra.postgres import admin_url
from infra.settings import PROJECT_ROOT, Settings, quiet_environment
from infra.warehouse.build import Build, finish_build, run_dbt, start_build
from ingestion.spec.kinds import KINDS

Row = dict[str, Any]

KEYS = {
    name: tuple(one.column for one in kind.key_fields if one.type != "period")
    for name, kind in KINDS.items()
}
"""Key columns beside the period, in the order of the record key."""

REQUIRED = {
    name: tuple(kind.field(one).column for one in kind.compulsory) for name, kind in KINDS.items()
}

WEEK = dt.date(2026, 11, 14)
"""1405-W35, the last week of most tests."""


def week(back: int) -> dt.date:
    """Return the Saturday `back` weeks before `WEEK`."""
    return WEEK - dt.timedelta(weeks=back)


@dataclass
class Warehouse:
    """One database, one dbt project; see the module."""

    url: str
    target: Path
    snapshots: dict[str, int] = field(default_factory=dict)
    is_seeded: bool = False

    def connect(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self.url, autocommit=True, row_factory=dict_row)

    def source(
        self,
        source: str,
        kind: str = "progress",
        agency: str | None = None,
        owed_from: dt.date | None = None,
        due_hours: float | None = 10,
        grace_hours: float = 0,
        cadence: str = "weekly",
        simulated: bool = True,
        owed_to: dt.date | None = None,
    ) -> None:
        """Register a version of a source file."""
        with self.connect() as connection:
            connection.execute(
                """
                insert into raw.source (
                    source, spec_sha256, valid_from, kind, title, agency_code, owner_name,
                    owner_email, tier, is_simulated, cadence, due_hours, grace_hours, owed_from,
                    owed_to, spec
                )
                values (%s, %s, clock_timestamp(), %s, 't', %s, 'o', 'o@example.org', 2, %s, %s,
                        %s, %s, %s, %s, '{}')
                """,
                [
                    source,
                    secrets.token_hex(32),
                    kind,
                    agency or source.split("__")[0],
                    simulated,
                    cadence,
                    due_hours if owed_from else None,
                    grace_hours,
                    owed_from,
                    owed_to,
                ],
            )

    def load(
        self,
        source: str,
        kind: str,
        rows: Sequence[Mapping[str, Any]],
        received_at: dt.datetime,
        quarantine: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """Store one load as the loader would; returns its number.

        A row holds `period_start` (and `period_kind`, default week) and columns of the kind;
        `retracted` marks a tombstone.
        """
        with self.connect() as connection, connection.transaction():
            sha = secrets.token_hex(32)
            snapshot = connection.execute(
                "insert into raw.snapshot (source, sha256, byte_count, parts, received_at) "
                "values (%s, %s, 1, '[]', %s) returning snapshot_id",
                [source, sha, received_at],
            ).fetchone()
            assert snapshot is not None
            total = len(rows)
            loaded = connection.execute(
                "insert into raw.load (source, snapshot_id, kind, spec_sha256, rules_version, "
                "status, rows_read, rows_accepted, rows_quarantined, rows_unchanged, "
                "rows_non_data, received_at) "
                "values (%s, %s, %s, 'x', '1', 'loaded', %s, %s, 0, 0, 0, %s) returning load_id",
                [source, snapshot["snapshot_id"], kind, total, total, received_at],
            ).fetchone()
            assert loaded is not None
            load_id = int(loaded["load_id"])
            for number, given in enumerate(rows, start=1):
                self._record(connection, load_id, number, source, kind, given, received_at)
            for number, item in enumerate(quarantine, start=1):
                connection.execute(
                    "insert into raw.quarantine (load_id, item_no, source, kind, scope, "
                    "reason_code, locator, message, remedy, rule, period_kind, period_start, "
                    "received_at) values (%s, %s, %s, %s, %s, 'test', 'a!A1', 'm', 'r', 'x/1', "
                    "'week', %s, %s)",
                    [
                        load_id,
                        number,
                        source,
                        kind,
                        item["scope"],
                        item["period_start"],
                        received_at,
                    ],
                )
        return load_id

    def _record(
        self,
        connection: psycopg.Connection[Row],
        load_id: int,
        number: int,
        source: str,
        kind: str,
        given: Mapping[str, Any],
        received_at: dt.datetime,
    ) -> None:
        row = dict(given)
        retracted = bool(row.pop("retracted", False))
        row.setdefault("period_kind", "week")
        for name in KEYS[kind]:
            row.setdefault(name, 0 if name == "revision" else "")
        if kind == "progress" and not row["agency_code"]:
            row["agency_code"] = source.split("__")[0]
        if isinstance(row.get("decisions"), list):
            row["decisions"] = json.dumps(row["decisions"])
        key = "|".join(
            [f"{row['period_kind']}:{row['period_start']}", *(str(row[n]) for n in KEYS[kind])]
        )
        required = REQUIRED[kind]
        lineage = {
            name: [f"s!{name}{number}", str(value), name]
            for name, value in row.items()
            if value is not None and name not in ("period_kind",)
        }
        row |= {
            "load_id": load_id,
            "record_no": number,
            "source": source,
            "record_key": key,
            "received_at": received_at,
            "is_retracted": retracted,
            "cells_required": len(required),
            "cells_filled": sum(row.get(name) is not None for name in required),
            "locator": f"s!A{number}",
            "lineage": json.dumps(lineage),
        }
        names = ", ".join(row)
        marks = ", ".join(["%s"] * len(row))
        connection.execute(
            f"insert into raw.{kind} ({names}) values ({marks})".encode(), list(row.values())
        )

    def night(
        self,
        as_of_week: dt.date = WEEK,
        full: bool = False,
        select: str | None = None,
        finish: bool = True,
        held: Sequence[int] = (),
    ) -> int:
        """Build as the runner does: take in the new loads but those held back, run dbt, close."""
        with self.connect() as connection:
            build = connection.execute(
                "insert into ops.build (as_of_week, is_full_refresh, code_sha256, "
                "reference_sha256) values (%s, %s, 'c', 'r') returning build_id",
                [as_of_week, full],
            ).fetchone()
            assert build is not None
            build_id = int(build["build_id"])
            connection.execute(
                "insert into ops.build_load (build_id, load_id) select %s, l.load_id "
                "from raw.load as l where l.status = 'loaded' and l.load_id <> all(%s) "
                "and not exists ("
                "select from ops.build_load as t join ops.build as b using (build_id) "
                "where t.load_id = l.load_id and b.status = 'built')",
                [build_id, list(held)],
            )
        if not self.is_seeded:
            self.dbt("seed")
            self.is_seeded = True
        arguments = []
        if full:
            arguments.append("--full-refresh")
            self._drop_views()
        if select:
            arguments += ["--select", *select.split()]
        self.dbt("run", *arguments, build_id=build_id, as_of_week=as_of_week)
        with self.connect() as connection:
            connection.execute(
                "update ops.build set status = %s, finished_at = clock_timestamp() "
                "where build_id = %s",
                ["built" if finish else "failed", build_id],
            )
        return build_id

    def _drop_views(self) -> None:
        """Drop dbt's views at once, as the runner does: several threads would wait in a ring."""
        with self.connect() as connection:
            views = connection.execute(
                "select format('%I.%I', schemaname, viewname) as name from pg_views "
                "where viewowner = 'payesh_transform' order by 1"
            ).fetchall()
            if views:
                names = ", ".join(row["name"] for row in views)
                connection.execute(f"drop view {names} cascade".encode())

    def compiled(self, template: str) -> str:
        """Return the SQL that dbt makes of a template with the project's macros."""
        result = self.dbt("compile", "--inline", template)
        return str(result.result.results[0].node.compiled_code)

    def dbt(
        self,
        *arguments: str,
        build_id: int = 0,
        as_of_week: dt.date = WEEK,
        must_succeed: bool = True,
    ) -> dbtRunnerResult:
        """Run a dbt command; an AssertionError names the nodes that failed and why."""
        command = list(itertools.takewhile(lambda word: not word.startswith("--"), arguments))
        parts = urlsplit(self.url)
        project = PROJECT_ROOT / "dbt_project"
        variables = {
            **quiet_environment(),
            "DBT_PG_HOST": parts.hostname or "",
            "DBT_PG_PORT": str(parts.port),
            "DBT_PG_USER": unquote(parts.username or ""),
            "DBT_PG_PASSWORD": unquote(parts.password or ""),
            "DBT_PG_DBNAME": parts.path.lstrip("/"),
            "PAYESH_BUILD_ID": str(build_id or ""),
            "PAYESH_AS_OF_WEEK": as_of_week.isoformat(),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            result = dbtRunner().invoke(
                [
                    *command,
                    "--project-dir",
                    str(project),
                    "--profiles-dir",
                    str(project),
                    "--target-path",
                    str(self.target),
                    "--log-path",
                    str(self.target),
                    "--quiet",
                    *arguments[len(command) :],
                ]
            )
        failed = [
            f"{one.node.name}: {one.message}"
            for one in getattr(result.result, "results", None) or []
            if one.status in ("error", "fail")
        ]
        assert result.success or not must_succeed, "\n".join(failed) or str(result.exception)
        return result

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with self.connect() as connection:
            return connection.execute(query.encode(), list(parameters)).fetchall()

    def one(self, query: str, parameters: Sequence[Any] = ()) -> Row:
        found = self.rows(query, parameters)
        assert len(found) == 1, f"{len(found)} rows: {query}"
        return found[0]

    def mart(self, name: str) -> list[Row]:
        """Return a mart whole, in the order of all its columns."""
        return self.rows(f"select * from build.{name} as m order by m.*::text")


@dataclass
class Runner:
    """The warehouse's own runner over a copy of the dbt project, whose reference data may change.

    What is rebuilt is thereby decided as in a real night.
    """

    warehouse: Warehouse
    settings: Settings

    def night(self, as_of_week: dt.date, full: bool = False) -> Build:
        build = start_build(self.settings, as_of_week, full_refresh=full)
        run_dbt(self.settings, build)
        return finish_build(self.settings, build)

    def broken_night(self, as_of_week: dt.date, select: str) -> Build:
        """A night that ends half-way: its loads are taken in again by the next one."""
        build = start_build(self.settings, as_of_week)
        run_dbt(self.settings, build, select=select)
        return build

    def edit(self, seed: str, change: Callable[[list[dict[str, str]]], None]) -> None:
        """Rewrite a reference table: `change` gets its rows as text and alters them in place."""
        path = self.settings.reference_dir / f"{seed}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            names = list(reader.fieldnames or ())
        change(rows)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture
def runner(database: Settings, dbt_target: Path, dbt_project: Path) -> Iterator[Runner]:
    """A runner with reference data of its own, over an empty database of this test's own."""
    home = Path(tempfile.mkdtemp(prefix="payesh-warehouse-"))
    name = f"nights_{secrets.token_hex(6)}"
    maintenance = admin_url(database, "postgres")
    seeds = dbt_project / "seeds"
    shutil.rmtree(seeds)
    shutil.copytree(PROJECT_ROOT / "dbt_project" / "seeds", seeds)
    for path in seeds.rglob("*.yml"):
        bare = _without_tests(yaml.safe_load(path.read_text(encoding="utf-8")))
        path.write_text(yaml.safe_dump(bare, allow_unicode=True), encoding="utf-8")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"create database {name} template payesh_template".encode())
    url = admin_url(database, name)
    (home / "dbt").mkdir()
    # the parsed project is kept from one test to the next
    (home / "dbt" / "target").symlink_to(dbt_project.parent / "target")
    try:
        yield Runner(
            Warehouse(url, dbt_target),
            replace(
                database,
                project_root=dbt_project.parent,
                home=home,
                database_url=url,
                reference_dir=seeds / "reference",
            ),
        )
    finally:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project, and beside it an empty folder `target`.

    What computes no figure is left out (tests, views of origin): other modules see to these, and
    a night takes half the time.
    """
    folder = tmp_path_factory.mktemp("project")
    (folder / "target").mkdir()
    project = folder / "dbt_project"
    shutil.copytree(
        PROJECT_ROOT / "dbt_project",
        project,
        ignore=shutil.ignore_patterns("target", "logs", "lineage", "*_formulas.yml"),
    )
    for path in (project / "models").rglob("*.yml"):
        bare = _without_tests(yaml.safe_load(path.read_text(encoding="utf-8")))
        path.write_text(yaml.safe_dump(bare, allow_unicode=True), encoding="utf-8")
    return project


def _without_tests(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_tests(value) for key, value in node.items() if key != "data_tests"}
    return [_without_tests(value) for value in node] if isinstance(node, list) else node


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One target folder a process: parsed once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def warehouse(database: Settings, dbt_target: Path) -> Iterator[Warehouse]:
    """An empty, migrated database of this module's own."""
    name = f"warehouse_{secrets.token_hex(6)}"
    maintenance = admin_url(database, "postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"create database {name} template payesh_template".encode())
    try:
        yield Warehouse(admin_url(database, name), dbt_target)
    finally:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())
