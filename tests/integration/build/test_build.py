"""The runner on a small dbt project: what a build takes in, and what a failure leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from infra.errors import RefusedError
from infra.postgres import connect
from infra.settings import PROJECT_ROOT, Settings
from infra.warehouse.build import (
    Build,
    WarehouseError,
    build_warehouse,
    find_build,
    finish_build,
    run_dbt,
    start_build,
)
from infra.warehouse.child import LOCK
from tests.integration.release.conftest import WEEK, insert_load

MODEL = """
{{ config(materialized='incremental', incremental_strategy='append',
    on_schema_change='fail') }}
select {{ var('build_id') }}::bigint as build_id, date '{{ var("as_of_week") }}' as week_start
"""
YML = """
version: 2
models:
  - name: nights
    description: One row a build.
    config:
      contract: {enforced: true}
      meta: {partition_by: week_start}
    constraints:
      - {type: primary_key, columns: [build_id]}
    columns:
      - {name: build_id, data_type: bigint, description: the build}
      - {name: week_start, data_type: date, description: the week}
"""
PROJECT = """
name: small
version: "1.0.0"
config-version: 2
profile: payesh
model-paths: ["models"]
macro-paths: ["macros"]
models:
  small:
    +schema: build
"""


@pytest.fixture
def small(fresh_database: Settings, tmp_path: Path) -> Settings:
    """Settings whose dbt project is one incremental mart, with the house's own profile."""
    project = tmp_path / "dbt_project"
    (project / "models").mkdir(parents=True)
    (project / "macros").mkdir()
    (project / "dbt_project.yml").write_text(PROJECT, encoding="utf-8")
    (project / "models" / "nights.sql").write_text(MODEL, encoding="utf-8")
    (project / "models" / "nights.yml").write_text(YML, encoding="utf-8")
    for name in ("profiles.yml", "macros/names.sql"):
        source = PROJECT_ROOT / "dbt_project" / name
        (project / name).write_bytes(source.read_bytes())
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "code.csv").write_text("a\n1\n", encoding="utf-8")
    return replace(fresh_database, project_root=tmp_path, reference_dir=reference)


def load(settings: Settings, text: str = "40") -> int:
    with connect(settings, "ingest") as connection:
        return insert_load(connection, "sim_a01__progress", {("P01", WEEK): text})


def taken(settings: Settings, build: Build) -> list[int]:
    with connect(settings, "transform") as connection:
        rows = connection.execute(
            "select load_id from ops.build_load where build_id = %s order by 1", [build.build_id]
        ).fetchall()
    return [row[0] for row in rows]


def test_nights_take_in_what_no_build_has_and_rebuild_only_for_a_reason(small: Settings) -> None:
    first_load = load(small)
    lines: list[str] = []
    first = build_warehouse(small, WEEK, "night-1", say=lines.append)
    assert (first.status, first.is_full_refresh, first.full_refresh_reason) == (
        "built",
        True,
        "first build",
    )
    assert taken(small, first) == [first_load]
    assert any("nights: success" in line for line in lines)
    second_load = load(small, "41")
    second = build_warehouse(small, WEEK, "night-2")
    assert (second.is_full_refresh, taken(small, second)) == (False, [second_load])
    with connect(small, "transform") as connection:
        rows = connection.execute("select build_id from build.nights order by 1").fetchall()
        results = connection.execute(
            "select build_id, unique_id, status from ops.dbt_run_result order by 1"
        ).fetchall()
        marts = connection.execute("select mart, grain, partition_by, columns from ops.mart")
        assert marts.fetchall() == [
            (
                "nights",
                ["build_id"],
                "week_start",
                {"build_id": "the build", "week_start": "the week"},
            )
        ]
    assert rows == [(first.build_id,), (second.build_id,)]
    assert results == [
        (first.build_id, "model.small.nights", "success"),
        (second.build_id, "model.small.nights", "success"),
    ]


def closed(settings: Settings, **changes: object) -> Build:
    """A build that counts as built without running dbt, for what the next one decides."""
    build = start_build(settings, WEEK)
    with connect(settings, "owner") as connection:
        connection.execute(
            "update ops.build set status = 'built' where build_id = %s", [build.build_id]
        )
        for column, value in changes.items():
            connection.execute(
                f"update ops.build set {column} = %s where build_id = %s".encode(),
                [value, build.build_id],
            )
    return build


def reason(settings: Settings, week: date = WEEK) -> str | None:
    return start_build(settings, week).full_refresh_reason


def test_reasons_for_a_full_refresh(small: Settings) -> None:
    closed(small)
    assert reason(small) is None
    model = small.project_root / "dbt_project" / "models" / "nights.yml"
    model.write_text(YML.replace("One row a build.", "A better sentence."), encoding="utf-8")
    assert reason(small) is None, "documentation changes no figure"
    model.write_text(YML.replace("date, desc", "timestamp, desc"), encoding="utf-8")
    assert reason(small) == "the warehouse's code has changed"
    model.write_text(YML, encoding="utf-8")
    assert reason(small) == "a full refresh has failed"
    closed(small)
    reference = small.reference_dir / "code.csv"
    reference.write_text("a\n2\n", encoding="utf-8")
    changed = start_build(small, WEEK)
    assert (changed.is_full_refresh, changed.changed_seeds) == (False, ("code",))
    reference.write_text("a\n1\n", encoding="utf-8")
    assert start_build(small, WEEK).changed_seeds == ("code",), "half-written, then taken back"
    closed(small)
    assert start_build(small, WEEK).changed_seeds == ()
    reference.write_text("b\n1\n", encoding="utf-8")
    assert reason(small) == "the columns of reference data have changed: code"
    reference.write_text("a\n1\n", encoding="utf-8")
    closed(small)
    (small.reference_dir / "more.csv").write_text("a\n1\n", encoding="utf-8")
    assert reason(small) == "reference data has changed"
    (small.reference_dir / "more.csv").unlink()
    closed(small, reference_files="{}")
    assert reason(small) is None, "a build of before each file was noted"
    reference.write_text("a\n3\n", encoding="utf-8")
    assert reason(small) == "reference data has changed"
    reference.write_text("a\n1\n", encoding="utf-8")
    closed(small)
    assert "moves back" in str(reason(small, WEEK - timedelta(weeks=1)))
    closed(small, relations=["build.gone", "build.also_gone"])
    assert reason(small) == "missing: build.also_gone, build.gone"
    assert start_build(small, WEEK, full_refresh=True).is_full_refresh


def test_a_failed_model_is_named_and_its_loads_are_taken_again(small: Settings) -> None:
    only = load(small)
    model = small.project_root / "dbt_project" / "models" / "nights.sql"
    model.write_text(MODEL + " where 1 / 0 > 0", encoding="utf-8")
    with pytest.raises(WarehouseError) as caught:
        build_warehouse(small, WEEK, "night-1")
    assert "nights (error)" in caught.value.what
    assert "division by zero" in caught.value.what
    assert Path(caught.value.where).exists()
    with connect(small, "transform") as connection:
        refused = connection.execute("select reason_code, reason from history.refusal").fetchone()
    assert refused is not None
    assert refused[0] == "build-failed"
    assert "division by zero" in refused[1]
    model.write_text(MODEL, encoding="utf-8")
    again = build_warehouse(small, WEEK, "night-2")
    assert taken(small, again) == [only]


def test_one_build_at_a_time(small: Settings) -> None:
    build = start_build(small, WEEK)
    with connect(small, "transform") as other:
        other.execute(LOCK)
        with pytest.raises(WarehouseError, match="another dbt is at work"):
            start_build(small, WEEK)
        with pytest.raises(WarehouseError, match="another dbt is at work"):
            run_dbt(small, build)
    overtaking = start_build(small, WEEK)
    assert find_build(small, build.build_id).status == "failed"
    with pytest.raises(WarehouseError, match="another has begun since"):
        run_dbt(small, build)
    finish_build(small, overtaking, status="failed")
    assert find_build(small, overtaking.build_id).status == "failed"


def test_the_lock_ends_with_dbt_not_with_who_started_it(small: Settings) -> None:
    """kill -9 of the parent: the child is ended too, and nothing stays locked."""
    start_build(small, WEEK)
    program = (
        "import sys, time, dataclasses, pathlib\n"
        "from infra.settings import Settings\n"
        "from infra.warehouse.build import find_build, run_dbt\n"
        "s = dataclasses.replace(Settings.from_env(), project_root=pathlib.Path(sys.argv[1]))\n"
        "run_dbt(s, find_build(s, 1))\n"
    )
    model = small.project_root / "dbt_project" / "models" / "nights.sql"
    model.write_text(MODEL + " from (select pg_sleep(60)) as nap", encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(small.project_root)],
        env={**small.to_env(), "PYTHONPATH": str(PROJECT_ROOT), "PATH": "/usr/bin:/bin"},
        cwd=PROJECT_ROOT,
    )
    try:
        assert wait_for(small, sleeping=True), "dbt never began"
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(small, sleeping=False), "dbt outlived its parent"
    assert start_build(small, WEEK).build_id == 2


def wait_for(settings: Settings, sleeping: bool) -> bool:
    """Wait up to 60 s until dbt's query sleeps, or until no session of a build is left."""
    deadline = time.monotonic() + 60
    query = "%pg_sleep%" if sleeping else "%"
    while time.monotonic() < deadline:
        with connect(settings, "admin") as connection:
            row = connection.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid() and query like %s"
                " and (application_name like 'payesh build%%' or application_name = 'dbt')",
                [query],
            ).fetchone()
        if row is not None and (row[0] > 0) == sleeping:
            return True
        time.sleep(0.2)
    return False


def test_weeks_open_on_saturday(small: Settings) -> None:
    with pytest.raises(RefusedError, match="no Saturday"):
        start_build(small, WEEK + timedelta(days=1))
    with pytest.raises(RefusedError, match="no build 12"):
        find_build(small, 12)


SEED_MODEL = """
{{ config(materialized='incremental', incremental_strategy='append',
    on_schema_change='fail') }}
select a::integer as a, {{ var('build_id') }}::bigint as build_id from {{ ref('code') }}
{% if is_incremental() %}where false{% endif %}
"""


def test_a_changed_seed_rebuilds_what_is_made_of_it_and_nothing_else(small: Settings) -> None:
    project = small.project_root / "dbt_project"
    (project / "seeds" / "reference").mkdir(parents=True)
    small = replace(small, reference_dir=project / "seeds" / "reference")
    code, other = (small.reference_dir / f"{name}.csv" for name in ("code", "other"))
    code.write_text("a\n1\n", encoding="utf-8")
    other.write_text("a\n1\n", encoding="utf-8")
    (project / "models" / "made.sql").write_text(SEED_MODEL, encoding="utf-8")
    yml = YML.replace("nights", "made").replace("[build_id]", "[a]")
    yml = yml.replace("{name: week_start, data_type: date, description: the week}",
        "{name: a, data_type: integer, description: the code}")  # fmt: skip
    yml = yml.replace("meta: {partition_by: week_start}", "meta: {published: true}")
    first = next(line for line in yml.splitlines() if "build_id, data_type" in line)
    lines = [line for line in yml.splitlines() if line != first]
    (project / "models" / "made.yml").write_text("\n".join([*lines, first]), encoding="utf-8")
    macro = PROJECT_ROOT / "dbt_project" / "macros" / "build.sql"
    refresh = macro.read_text(encoding="utf-8").split("{#\n    Whether this model")[1]
    (project / "macros" / "refresh.sql").write_text("{#" + refresh, encoding="utf-8")
    (project / "dbt_project.yml").write_text(
        PROJECT + 'seed-paths: ["seeds"]\nseeds:\n  small:\n    +schema: reference\n',
        encoding="utf-8",
    )
    build_warehouse(small, WEEK)
    other.write_text("a\n7\n", encoding="utf-8")
    second = build_warehouse(small, WEEK)
    assert made(small) == [(1, 1)], "nothing is made of the other"
    assert second.changed_seeds == ("other",)
    code.write_text("a\n2\n", encoding="utf-8")
    third = build_warehouse(small, WEEK)
    assert not third.is_full_refresh
    assert made(small) == [(2, third.build_id)]
    with connect(small, "transform") as connection:
        nights = connection.execute("select build_id from build.nights order by 1").fetchall()
        ran = connection.execute(
            "select unique_id from ops.dbt_run_result where build_id = %s"
            " and resource_type = 'seed'",
            [third.build_id],
        ).fetchall()
    assert nights == [(1,), (2,), (3,)], "a model beside it goes on by the delta"
    assert ran == [("seed.small.code",)]


def made(settings: Settings) -> list[tuple[int, int]]:
    with connect(settings, "transform") as connection:
        return connection.execute("select a, build_id from build.made order by 1").fetchall()


def test_what_no_release_shows_is_judged_again(small: Settings) -> None:
    """A refused night's partitions count as rewritten by the next, which may rewrite nothing."""
    refused = closed(small)
    with connect(small, "transform") as connection:
        connection.execute(
            "insert into ops.touched_partition values (%s, 'nights', %s)",
            [refused.build_id, WEEK],
        )
    following = start_build(small, WEEK)
    with connect(small, "transform") as connection:
        found = connection.execute(
            "select mart, partition_start from ops.touched_partition where build_id = %s",
            [following.build_id],
        ).fetchall()
    assert found == [("nights", WEEK)]
