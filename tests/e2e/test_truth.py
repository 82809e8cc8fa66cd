"""Simulated nation -> fetch -> load -> dbt -> release: every cell of every mart is the truth.

Three nights through the real readers, rules, ledger, models and release functions, one of them
with an agency that does not answer. The truth is computed twice: from the receipts in the ledger,
as `payesh sandbox truth` does, and from the plan of the nights alone, without the database.

Of the small nations one is judged by default, all of them with `PAYESH_TRUTH_SEEDS=1405,7,11`;
the whole nation, five years of 56 reporters, with `PAYESH_TRUTH_SEEDS=full-1405,full-7,full-11`.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from psycopg.rows import dict_row

from expectations import run_gate
from infra import sandbox
from infra.bench.release import open_random_cells
from infra.ingest import ingest_context
from infra.postgres import admin_url, connect, role_url
from infra.postgres.connect import Role
from infra.recompute import Recomputed, Recomputer
from infra.recompute.search import altered
from infra.release import publish, verify
from infra.sandbox.calendar import WEEK, tehran_midnight
from infra.sandbox.reference import load_reference
from infra.sandbox.rules import load_rules
from infra.sandbox.truth import GRAINS, Delivery, marts
from infra.sandbox.truth.given import read_given
from infra.sandbox.truth.receipts import Night, nightly_deliveries, source_infos
from infra.sandbox.truth.run import GIVEN, truth_of
from infra.sandbox.world import World, WorldParams
from infra.settings import Settings
from infra.trace import trace
from infra.warehouse.build import Build, finish_build, run_dbt, start_build
from ingestion.errors import IngestError
from ingestion.pipeline import fetch, load, sync_registry
from ingestion.spec.registry import Registry, load_registry

Marts = dict[str, list[dict[str, Any]]]

# the three nights of a nation belong to its first test
pytestmark = pytest.mark.timeout(
    3_600 if "full" in os.environ.get("PAYESH_TRUTH_SEEDS", "") else 900
)

NATIONS = {
    "1405": WorldParams.of("small", dt.date(2026, 11, 14)),
    # the year ends in the second week, and the week of Nowruz lies in two years (trap D13)
    "7": WorldParams(dt.date(2026, 3, 7), seed=7, weeks=9, agencies=9, provinces=2),
    "11": WorldParams(dt.date(2025, 3, 15), seed=11, weeks=31, agencies=6, provinces=6),
    "full-1405": WorldParams.of("full", dt.date(2026, 11, 14)),
    "full-7": WorldParams.of("full", dt.date(2026, 3, 7), seed=7),
    "full-11": WorldParams.of("full", dt.date(2026, 8, 15), seed=11),
}
SEEDS = os.environ.get("PAYESH_TRUTH_SEEDS", "1405").split(",")
DEAD = "sim_a04"
UNREACHED = frozenset({f"{DEAD}__progress", f"{DEAD}__ratings"})


def _planned(params: WorldParams) -> list[Night]:
    """Return three nights: one in time, one late enough to be overdue for some, one in time."""
    return [
        Night(
            params.opened_on + step * WEEK,
            tehran_midnight(params.opened_on + (step + 1) * WEEK) + dt.timedelta(hours=hours),
            UNREACHED if step == 1 else frozenset(),
        )
        for step, hours in enumerate((6, 60, 6))
    ]


@dataclass
class Told:
    """What stood in the database after a night, and what the ledger's truth says of it."""

    published: Marts
    from_ledger: Marts
    unknown: list[str]
    failed: set[str]
    quarantined: int
    settings: Settings


@pytest.fixture(scope="module", params=SEEDS)
def params(request: pytest.FixtureRequest) -> WorldParams:
    return NATIONS[request.param]


@pytest.fixture(scope="module")
def nights(database: Settings, params: WorldParams) -> Iterator[list[Told]]:
    """Run the nights once for all tests of this module, in a database of their own."""
    name = f"truth_{secrets.token_hex(4)}"
    with psycopg.connect(admin_url(database, "postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template payesh_template")
    home = Path(tempfile.mkdtemp(prefix="payesh-truth-"))
    home.chmod(0o755)
    settings = replace(
        database,
        home=home,
        snapshots_url=str(home / "snapshots"),
        database_url=admin_url(database, name),
    )
    shutil.copy(database.home / "bi_password", home / "bi_password")
    try:
        with pytest.MonkeyPatch.context() as patch:
            yield [_night(settings, params, night, patch) for night in _planned(params)]
    finally:
        sandbox.stop(settings)
        with psycopg.connect(admin_url(database, "postgres"), autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")
        shutil.rmtree(home, ignore_errors=True)


def _night(
    settings: Settings, params: WorldParams, night: Night, patch: pytest.MonkeyPatch
) -> Told:
    settings = replace(settings, clock=night.received_at)
    sandbox.start(settings, params)
    sandbox.set_week(settings, night.as_of_week)
    sandbox.set_fault(settings, DEAD, "dead" if night.absent else None)
    for name, value in sandbox.secrets(settings).items():
        patch.setenv(name, value)
    context = ingest_context(settings)
    folders = [*settings.source_folders, settings.home / "sandbox" / "sources"]
    registry = load_registry(folders)
    assert registry.problems == []
    sync_registry(registry.specs.values(), context)
    failed: set[str] = set()
    quarantined = 0
    for source, loaded in registry.specs.items():
        try:
            fetch(loaded, context)
            results = load(loaded, context)
        except IngestError:
            failed.add(source)
            continue
        assert all(result.status != "rejected" for result in results), (source, results)
        quarantined += sum(result.cells_quarantined + result.quarantined for result in results)
    build = start_build(settings, night.as_of_week)
    _judge(settings, "raw", build, registry)
    run_dbt(settings, build)
    finish_build(settings, build)
    _judge(settings, "marts", build, registry)
    assert publish(settings, build).outcome == "published"
    world = sandbox.world_of(settings)
    truth = truth_of(settings, world, night.as_of_week)
    published = _published(settings)
    return Told(published, truth.marts, truth.unknown, failed, quarantined, settings)


def _published(settings: Settings) -> Marts:
    """Return every mart that there is: as BI reads it, or as it was built if BI may not see it."""
    with connect(settings, "transform") as connection:
        found = connection.execute(
            """
            select c.relname::text, max(n.nspname::text)
            from pg_class as c
            inner join pg_namespace as n on c.relnamespace = n.oid
            where n.nspname in ('build', 'marts') and c.relkind in ('r', 'p', 'v')
            group by c.relname
            """
        ).fetchall()
    places = {str(name): str(schema) for name, schema in found if name in GRAINS}
    readers: dict[str, Role] = {"marts": "bi", "build": "transform"}
    published: Marts = {}
    for place, role in readers.items():
        with connect(settings, role) as connection, connection.cursor(row_factory=dict_row) as rows:
            for mart in (mart for mart, schema in places.items() if schema == place):
                published[mart] = rows.execute(f"select * from {place}.{mart}").fetchall()
    return published


def _judge(
    settings: Settings, stage: Literal["raw", "marts"], build: Build, registry: Registry
) -> None:
    verdict = run_gate(
        role_url(settings, "transform"),
        stage,
        build.build_id,
        build.as_of_week,
        [loaded.spec for loaded in registry.specs.values()],
        now=settings.now(),
    )
    assert verdict.verdict != "fail", verdict.message


def _differences(published: Marts, wanted: Marts) -> list[str]:
    """Return every cell that differs, every row too many or too few."""
    found: list[str] = []
    for mart in published:
        grain = GRAINS[mart]
        rows = {tuple(row[c] for c in grain): row for row in published[mart]}
        truth = {tuple(row[c] for c in grain): row for row in wanted[mart]}
        assert len(rows) == len(published[mart]), f"{mart} repeats a key"
        found += [f"{mart} {key}: missing" for key in truth.keys() - rows.keys()]
        found += [f"{mart} {key}: not in the truth" for key in rows.keys() - truth.keys()]
        for key in truth.keys() & rows.keys():
            columns = rows[key].keys() - {"release_no"}
            found += [f"{mart}.{name}: unknown column" for name in columns ^ truth[key].keys()]
            found += [
                f"{mart} {key} {name}: is {rows[key][name]!r}, truth {truth[key][name]!r}"
                for name in columns & truth[key].keys()
                if rows[key][name] != truth[key][name]
            ]
    return sorted(found)


@pytest.mark.parametrize("number", range(3))
def test_every_mart_cell_equals_the_truth(nights: list[Told], number: int) -> None:
    told = nights[number]
    differences = _differences(told.published, told.from_ledger)
    assert not differences, f"{len(differences)} cells differ:\n" + "\n".join(differences[:40])
    assert told.unknown == []
    assert all(told.published.values())


def test_no_mart_goes_without_a_truth(nights: list[Told], database: Settings) -> None:
    models = (database.project_root / "dbt_project" / "models" / "marts").rglob("*.sql")
    built = {path.stem for path in models if not path.stem.startswith("dim_")}
    assert built <= GRAINS.keys()
    for told in nights:
        assert told.published.keys() == built


@pytest.mark.parametrize("number", range(3))
def test_the_ledger_received_what_was_sent(
    nights: list[Told], number: int, params: WorldParams, database: Settings
) -> None:
    """The truth from the plan of the nights alone: nothing was lost, nothing taken twice."""
    folder = database.reference_dir
    world = World(params, load_reference(folder))
    source_file = database.project_root / "ingestion" / "sources" / f"{GIVEN}.yml"
    given, rows = read_given(source_file, world.reference, folder)
    taken = _planned(params)[: number + 1]
    wanted = marts(
        [*source_infos(world), given],
        [*nightly_deliveries(world, taken), Delivery(GIVEN, taken[0].received_at, rows)],
        world.reference,
        taken[-1].as_of_week,
        load_rules(folder),
    )
    differences = _differences(nights[number].published, wanted)
    assert not differences, f"{len(differences)} cells differ:\n" + "\n".join(differences[:40])


def test_Q5_a_dead_agency_stops_nobody_else(nights: list[Told], params: WorldParams) -> None:
    assert [told.failed for told in nights] == [set(), UNREACHED, set()]
    [row] = [
        row
        for row in nights[1].published["agency_reporting_weekly"]
        if row["source"] == f"{DEAD}__progress" and row["period_start"] == params.opened_on + WEEK
    ]
    assert row["is_missing"]


def test_N13_N7_T8_the_ugly_cells_are_quarantined_once(
    nights: list[Told], params: WorldParams
) -> None:
    first, *later = [told.quarantined for told in nights]
    if params.has_lives:
        # a figure of a province before it was split off, too; a full answer tells it again (E3)
        assert first == 5
        assert max(later) <= 1
    else:
        assert (first, *later) == (4, 0, 0)


def test_any_figure_is_computed_again_from_its_cells(nights: list[Told]) -> None:
    """Random figures of all marts, from the kept bytes to the last published digit."""
    opened = open_random_cells(nights[-1].settings, 3 * len(GRAINS), None)
    assert (opened.faults, opened.differing, opened.unknown) == ([], [], [])
    assert (opened.equal, opened.marts) == (3 * len(GRAINS), set(GRAINS))


def test_a_figure_that_its_cells_do_not_give_is_told(nights: list[Told]) -> None:
    settings = nights[-1].settings
    row = next(
        row
        for row in nights[-1].published["project_progress_weekly"]
        if row["spi_t"] is not None
        and row["variance_pct"]
        and row["actual_pct"] > 2
        and row["planned_basis"] == "reported"
    )
    key = {"project_code": row["project_code"], "week_start": str(row["week_start"])}

    def again(column: str) -> Recomputed:
        found = trace(settings, "project_progress_weekly", column, key)
        return Recomputer(settings).again(found)

    sound = again("variance_pct")
    assert sound.state == "equal"
    assert sound.reread == sound.records > 0
    with connect(settings, "admin") as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "update raw.progress set actual_pct = actual_pct - 1 where project_code = %s"
            " and period_start = %s and actual_pct > 1",
            [row["project_code"], row["week_start"]],
        )
    told = again("variance_pct")
    assert told.state == "differs"
    assert "raw holds actual_pct" in str(told.note)
    assert told.value == row["variance_pct"], "the bytes still give what was published"
    with connect(settings, "admin") as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "update history.project_progress_weekly set spi_t = spi_t + 0.000001"
            " where project_code = %s and week_start = %s and release_to is null",
            [row["project_code"], row["week_start"]],
        )
    forged = again("spi_t")
    assert forged.state == "differs"
    assert forged.value == row["spi_t"]
    assert f"the formulas give {row['spi_t'].normalize():f}" in str(forged.note)
    wrong = [one.item for one in verify(settings, 3) if not one.is_intact]
    assert wrong == ["project_progress_weekly"]
    [cell] = altered(settings, 3, "project_progress_weekly")
    assert (cell.column, str(cell.key["week_start"])) == ("spi_t", key["week_start"])
    assert cell.recomputed == row["spi_t"]
