"""However the records came in, night by night or all at once, the marts are the same (trap Q3).

A nation drawn at random (`nation.py`) reports in all nine kinds for some nights, with late
corrections years back, retractions, new baselines, late files, changed duties, and reference data
that change between nights. The house's own runner decides what is rebuilt. In the end a full
refresh must give the last night's tables, row by row; and every row that a night changed lies in
a partition that the night has declared as touched, because releases compare no others.
Run it: `pytest tests/warehouse/test_incremental_equals_full.py`; more nations:
`PAYESH_NATION_SEEDS=1,2,3 pytest ...`; without that one nation is drawn, another each day.
"""

from __future__ import annotations

import datetime as dt
import os

import pytest

from infra.warehouse.build import Build
from tests.warehouse.conftest import Runner, Warehouse
from tests.warehouse.nation import LAST, Nation

Dump = dict[str, dict[str, list[str]]]

SEEDS = [
    int(seed)
    for seed in os.environ.get(
        "PAYESH_NATION_SEEDS", str(dt.datetime.now(dt.UTC).date().toordinal())
    ).split(",")
]
WEEKS_BACK = (3, 2, 2, 1, 0)
"""A week each night; the third night follows one that broke off in the same week."""

pytestmark = pytest.mark.timeout(1800)


def _tables(warehouse: Warehouse) -> dict[str, str | None]:
    """Return what dbt keeps from night to night: marts with their partition, inner tables."""
    found: dict[str, str | None] = {
        f"build.{row['mart']}": row["partition_by"]
        for row in warehouse.rows("select mart, partition_by from ops.mart where not is_retired")
    }
    inner = warehouse.rows(
        "select tablename from pg_tables where schemaname = 'intermediate' order by 1"
    )
    return found | {f"intermediate.{row['tablename']}": None for row in inner}


def _dump(warehouse: Warehouse) -> Dump:
    """Return every table as text rows by partition; without one the whole table is one."""
    found: Dump = {}
    for table, column in _tables(warehouse).items():
        part = f"{column}::text" if column else "''"
        rows = warehouse.rows(
            f"select {part} as part, m::text as line from {table} as m order by 1, 2"
        )
        parts: dict[str, list[str]] = {}
        for row in rows:
            parts.setdefault(row["part"], []).append(row["line"])
        found[table] = parts
    return found


def _difference(one: Dump, other: Dump, table: str) -> list[tuple[list[str], list[str]]]:
    """Return rows of each side that the other does not have, by partition."""
    found = []
    for part in sorted({*one.get(table, {}), *other.get(table, {})}):
        left, right = one[table].get(part, []), other[table].get(part, [])
        if left != right:
            found.append((sorted({*left} - {*right})[:3], sorted({*right} - {*left})[:3]))
    return found


def _assert_declared(warehouse: Warehouse, builds: list[Build], before: Dump, after: Dump) -> None:
    touched: dict[str, set[str | None]] = {}
    for row in warehouse.rows(
        "select mart, partition_start::text as part from ops.touched_partition "
        "where build_id = any(%s)",
        [[build.build_id for build in builds]],
    ):
        touched.setdefault(f"build.{row['mart']}", set()).add(row["part"])
    for mart, partition_by in _tables(warehouse).items():
        if not mart.startswith("build.") or partition_by is None:
            continue
        parts = {*before[mart], *after[mart]}
        changed = {p for p in parts if before[mart].get(p) != after[mart].get(p)}
        declared = touched.get(mart, set())
        assert None in declared or changed <= declared, (
            f"{mart}: changed but not declared: {changed - declared}"
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_Q2_Q3_nights_equal_a_full_refresh(runner: Runner, seed: int) -> None:
    nation = Nation(seed, runner)
    before: Dump = {}
    told: list[list[str]] = []
    for number, back in enumerate(WEEKS_BACK):
        week = LAST - dt.timedelta(weeks=back)
        told.append(nation.night(week, number))
        builds = []
        if number == 2:
            builds.append(runner.broken_night(week, "+project_progress_weekly"))
        builds.append(runner.night(week))
        after = _dump(runner.warehouse)
        if number:
            _assert_declared(runner.warehouse, builds, before, after)
        before = after
    runner.night(LAST, full=True)
    full = _dump(runner.warehouse)
    assert before.keys() == full.keys()
    differing = {table: _difference(before, full, table) for table in full}
    assert not any(differing.values()), f"seed {seed}, {told}: " + "\n".join(
        f"{table}: {found[:2]}" for table, found in differing.items() if found
    )

    # no delta, same week: no figure moves
    again = runner.night(LAST)
    assert not again.is_full_refresh
    assert _dump(runner.warehouse) == full
