"""The proofs of `payesh bench release` in a short form, and that each of them can fail."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from infra.bench.release import (
    differing,
    open_random_cells,
    play_nights,
    publish_on_history,
    readers_beside_publications,
)
from infra.postgres import connect
from infra.release import publish
from infra.settings import Settings
from infra.trace import Reading
from tests.integration.release.conftest import WEEK, Warehouse


def test_readers_of_six_marts_see_one_release_at_a_time(fresh_database: Settings) -> None:
    seen = readers_beside_publications(fresh_database, readers=8, publications=20)
    assert (seen.mixed, seen.faults) == ([], [])
    assert len(seen.releases) > 15, "the readers saw too few releases to prove anything"
    # a second is the limit, proven by the bench on an idle machine; here other tests run beside
    assert seen.slowest < 2.0


def test_every_night_reads_back_byte_for_byte(fresh_database: Settings) -> None:
    dumps = play_nights(fresh_database, 13)
    assert sorted(dumps) == list(range(1, 15)), "13 nights, and once back"
    assert len({bytes(b"".join(one.values())) for one in dumps.values()}) == 13
    assert differing(fresh_database, dumps) == []
    with connect(fresh_database, "admin") as connection:
        # somebody with all rights and no scruples
        connection.execute("set session_replication_role = replica")
        connection.execute("update history.bench_2 set note = 'x' where release_from = 4")
    assert {one for one in differing(fresh_database, dumps) if one.startswith("4 ")} == {
        "4 bench_2"
    }


def test_one_week_on_a_history_costs_that_week(fresh_database: Settings) -> None:
    night = publish_on_history(fresh_database, rows=60_000, per_week=1_000)
    assert night.changed == 1_000 + 2 * _corrected(fresh_database)
    assert night.seconds < 3
    assert night.statements >= 4
    assert night.most_rows <= 1, "a check that holds brings no rows out of the database"


def _corrected(settings: Settings) -> int:
    with connect(settings, "owner") as connection:
        row = connection.execute(
            "select count(*) from history.bench_1 where release_to = 2"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_random_figures_open_or_are_told(warehouse: Warehouse) -> None:
    values = {("P01", WEEK): "40", ("P02", WEEK - timedelta(weeks=1)): "10.5"}
    load = warehouse.load(values)
    warehouse.rows = {key: Decimal(text) for key, text in values.items()}
    publish(warehouse.settings, warehouse.build([load]))

    def holds(_sha: str, _name: str, locator: str) -> Reading:
        return Reading({"Sheet1!B2": "40", "Sheet1!B3": "10.5"}[locator])

    opened = open_random_cells(warehouse.settings, 20, holds)
    assert (opened.cells, opened.marts) == (20, {"overview_weekly", "progress_weekly"})
    assert opened.held > 0
    # the hand-made overview declares no lineage: its figures have no origin, and that is told
    assert {one.split(".")[0] for one in opened.faults} == {"overview_weekly"}
    forged = open_random_cells(warehouse.settings, 20, lambda *_: Reading("41"))
    assert any("the bytes now give '41'" in one for one in forged.faults)
