"""A small warehouse made by hand: two marts, their records, nights that build and judge them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from infra.postgres import connect
from infra.settings import Settings

WEEK = date(2026, 11, 14)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

_WAREHOUSE = """
create table build.progress_weekly (
    project_code text not null,
    week_start date not null,
    actual_pct numeric(9, 4),
    note text
);
create table build.overview_weekly (
    metric_code text not null,
    week_start date not null,
    value numeric(20, 6)
);
create view intermediate.lineage_progress_weekly as
select distinct on (r.record_key)
    r.project_code, r.period_start as week_start, 'actual_pct'::text as mart_column,
    'value'::text as role, 'progress'::text as kind, r.load_id, r.record_no,
    'actual_pct'::text as field, 1::numeric as weight
from raw.progress as r
where r.load_id in (select load_id from ops.load_in_release)
order by r.record_key, r.received_at desc, r.load_id desc;
insert into ops.mart (mart, grain, partition_by, description, columns) values
('progress_weekly', '{project_code,week_start}', 'week_start', 'Progress by project and week.',
 '{"actual_pct": "Actual progress as reported, percent."}'),
('overview_weekly', '{metric_code,week_start}', 'week_start', 'Headline figures.', '{}');
"""


@dataclass
class Warehouse:
    """Does what ingestion, dbt and the gate do, with as little as these tests need."""

    settings: Settings
    rows: dict[tuple[str, date], Decimal | None] = field(default_factory=dict)
    builds: int = 0

    def load(self, values: dict[tuple[str, date], str], source: str = "sim_a01__progress") -> int:
        """Load one file of progress figures, cell B2 down, and return its load_id."""
        with connect(self.settings, "ingest") as connection:
            return insert_load(connection, source, values)

    def build(
        self,
        loads: list[int],
        verdict: str | None = "pass",
        touched: bool = True,
        status: str = "built",
        full: bool = False,
        week: date = WEEK,
    ) -> int:
        """Build both marts from the rows held here; `touched` as an honest dbt would say it."""
        with connect(self.settings, "transform") as c:
            row = c.execute(
                "insert into ops.build (as_of_week, is_full_refresh, code_sha256,"
                " reference_sha256, finished_at, status) values (%s, %s, 'c0de', 'ref', now(), %s)"
                " returning build_id",
                [week, full, status],
            ).fetchone()
            assert row is not None
            build_id: int = row[0]
            for load_id in loads:
                c.execute("insert into ops.build_load values (%s, %s)", [build_id, load_id])
            before = {
                (p, w): v
                for p, w, v in c.execute(
                    "select project_code, week_start, actual_pct from build.progress_weekly"
                )
            }
            weeks = {
                key[1]
                for key in before.keys() | self.rows.keys()
                if before.get(key, "absent") != self.rows.get(key, "absent")
            }
            c.execute("delete from build.progress_weekly")
            c.execute("delete from build.overview_weekly")
            with c.cursor() as cursor:
                cursor.executemany(
                    "insert into build.progress_weekly values (%s, %s, %s, null)",
                    [(p, w, v) for (p, w), v in self.rows.items()],
                )
            c.execute(
                "insert into build.overview_weekly"
                " select 'mean_pct', week_start, avg(actual_pct) from build.progress_weekly"
                " group by week_start"
            )
            if touched:
                for mart in ("progress_weekly", "overview_weekly"):
                    for one in sorted(weeks):
                        c.execute(
                            "insert into ops.touched_partition values (%s, %s, %s)",
                            [build_id, mart, one],
                        )
            if verdict is not None:
                judge(c, build_id, verdict)
        return build_id


def judge(connection: psycopg.Connection, build_id: int, verdict: str) -> None:
    """Record a verdict of the marts gate."""
    row = connection.execute(
        "insert into quality.gate (build_id, stage, verdict, started_at, finished_at)"
        " values (%s, 'marts', %s, now(), now()) returning gate_id",
        [build_id, verdict],
    ).fetchone()
    assert row is not None
    if verdict == "fail":
        connection.execute(
            "insert into quality.result values (%s, 1, 'progress_weekly', null, 'rows_exist',"
            " 'build.progress_weekly', null, 'fail', false, null, null,"
            " 'progress_weekly is empty', '1')",
            [row[0]],
        )


def insert_load(
    connection: psycopg.Connection, source: str, values: dict[tuple[str, date], str]
) -> int:
    """Insert snapshot, load and progress records as the loader does; return the load_id."""
    found = connection.execute("select coalesce(max(snapshot_id), 0) from raw.snapshot").fetchone()
    assert found is not None
    number = found[0] + 1
    received = NOON + timedelta(minutes=number)
    sha = f"{number:064x}"
    parts = [{"sha256": sha, "bytes": 10, "name": f"week{number}.xlsx", "origin": "drop"}]
    snapshot = connection.execute(
        "insert into raw.snapshot (source, sha256, byte_count, parts, received_at)"
        " values (%s, %s, 10, %s, %s) returning snapshot_id",
        [source, sha, json.dumps(parts), received],
    ).fetchone()
    assert snapshot is not None
    load = connection.execute(
        "insert into raw.load (source, snapshot_id, kind, spec_sha256, rules_version, status,"
        " content_sha256, rows_read, rows_accepted, rows_quarantined, rows_unchanged,"
        " rows_non_data, period_min, period_max, received_at) values (%s, %s, 'progress', 'spec',"
        " '1', 'loaded', %s, %s, %s, 0, 0, 0, %s, %s, %s) returning load_id",
        [
            source,
            snapshot[0],
            sha,
            len(values),
            len(values),
            min(w for _, w in values),
            max(w for _, w in values),
            received,
        ],
    ).fetchone()
    assert load is not None
    for no, ((project, week), text) in enumerate(sorted(values.items()), start=1):
        lineage = {
            "actual_pct": [f"Sheet1!B{no + 1}", text, "پیشرفت واقعی"],
            "project": [f"Sheet1!A{no + 1}", project, "پروژه"],
        }
        connection.execute(
            "insert into raw.progress (load_id, record_no, source, record_key, period_kind,"
            " period_start, received_at, cells_required, cells_filled, locator, lineage,"
            " project_code, agency_code, actual_pct) values (%s, %s, %s, %s, 'week', %s, %s, 2, 1,"
            " %s, %s, %s, 'sim_a01', %s)",
            [
                load[0],
                no,
                source,
                f"week:{week}|{project}|sim_a01||",
                week,
                received,
                f"Sheet1!A{no + 1}",
                json.dumps(lineage),
                project,
                Decimal(text),
            ],
        )
    return int(load[0])


@pytest.fixture
def warehouse(fresh_database: Settings) -> Warehouse:
    """An empty hand-made warehouse in a database of its own."""
    with connect(fresh_database, "transform") as connection:
        connection.execute(_WAREHOUSE.encode())
    return Warehouse(fresh_database)
