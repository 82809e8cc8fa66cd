"""Readers beside publications: one release at a time, no waiting, no errors.

A short form: 8 readers, 25 publications and reverts. The joined marts are read in one statement, as
a BI tool's query does.
"""

from __future__ import annotations

import threading
import time
from decimal import Decimal

from infra.postgres import connect
from infra.release import publish, revert
from tests.integration.release.conftest import WEEK, Warehouse

READERS = 8
NIGHTS = 25

# the overview is the mean of the projects: rows of two releases together would not add up
JOINED = """
select count(distinct p.release_no), min(p.release_no), max(o.release_no),
    avg(p.actual_pct)::numeric(20, 6), max(o.value)
from marts.progress_weekly as p
full join marts.overview_weekly as o on p.week_start = o.week_start
"""


def test_eight_readers_never_see_two_releases(warehouse: Warehouse) -> None:
    warehouse.rows = {(f"P{n:02}", WEEK): Decimal(0) for n in range(1, 24)}
    publish(warehouse.settings, warehouse.build([]))
    stop = threading.Event()
    mixed: list[tuple[object, ...]] = []
    faults: list[str] = []
    slowest: list[float] = []
    seen: set[int] = set()

    def reader() -> None:
        longest = 0.0
        try:
            with connect(warehouse.settings, "bi", autocommit=True) as connection:
                while not stop.is_set():
                    started = time.monotonic()
                    row = connection.execute(JOINED).fetchone()
                    longest = max(longest, time.monotonic() - started)
                    assert row is not None
                    releases, of_progress, of_overview, mean, told = row
                    if releases != 1 or of_progress != of_overview or mean != told:
                        mixed.append(row)
                    seen.add(of_progress)
        except Exception as error:  # noqa: BLE001 - a reader's fault is what is tested
            faults.append(repr(error))
        slowest.append(longest)

    readers = [threading.Thread(target=reader) for _ in range(READERS)]
    for one in readers:
        one.start()
    for night in range(1, NIGHTS + 1):
        warehouse.rows = {key: Decimal(night) for key in warehouse.rows}
        publish(warehouse.settings, warehouse.build([]))
        if night % 10 == 0:
            revert(warehouse.settings, night // 2)
    stop.set()
    for one in readers:
        one.join(timeout=30)
    assert faults == []
    assert mixed == []
    assert len(seen) > NIGHTS // 2, "the readers saw too few releases to prove anything"
    assert max(slowest) < 1.0
