"""kill -9 at each step of a load: nothing of it stays, and running again ends in the same state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from decimal import Decimal

import psycopg
import pytest

from infra.postgres import role_url
from infra.settings import PROJECT_ROOT, Settings

# The child loads three rows and one finding, and is killed where `point` says. Slices of one row,
# so that a kill in the middle of COPY has sent some of the rows and not others.
_CHILD = """
    import os, signal, sys
    from ingestion.load import copytext, ledger, write
    from tests.integration.ingestion.conftest import House, progress, records
    from tests.integration.ingestion.test_load import cell

    url, point = sys.argv[1:]
    house = House(None, url)
    receipt = house.receive("bytes")
    copytext._SLICE_ROWS = 1

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    def after(module, name):
        original = getattr(module, name)
        def wrapped(*args, **kwargs):
            result = original(*args, **kwargs)
            die()
            return result
        setattr(module, name, wrapped)

    def in_the_middle_of_copy():
        original = copytext._blocks
        def blocks(frame):
            for number, block in enumerate(original(frame)):
                if number == 2:
                    die()
                yield block
        copytext._blocks = blocks

    {
        "before the ledger": lambda: setattr(ledger, "record_load", die),
        "after the ledger": lambda: after(ledger, "record_load"),
        "in the middle of copy": in_the_middle_of_copy,
        "after the records": lambda: after(write, "copy_in"),
        "after the findings": lambda: after(write, "_copy_findings"),
        "never": lambda: None,
    }[point]()
    rows = [progress(f"P0{n}", str(40 + n)) for n in range(1, 4)]
    done = write.store(url, receipt, house.terms, records(rows, findings=[cell(1)]))
    print(done.status if done else "already")
"""

POINTS = (
    "before the ledger",
    "after the ledger",
    "in the middle of copy",
    "after the records",
    "after the findings",
)


def _run(url: str, point: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_CHILD), url, point],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _state(url: str) -> tuple[object, ...]:
    with psycopg.connect(url) as connection:
        return tuple(
            connection.execute(statement).fetchall()
            for statement in (
                "select record_no, project_code, actual_pct from raw.progress order by 1",
                "select item_no, record_no, reason_code from raw.quarantine order by 1",
                "select status, rows_read, rows_accepted, cells_quarantined from raw.load",
                "select count(*) from raw.snapshot",
            )
        )


@pytest.mark.parametrize("point", POINTS)
def test_S13_a_killed_load_leaves_nothing_and_is_made_good(
    fresh_database: Settings, point: str
) -> None:
    url = role_url(fresh_database, "ingest")
    killed = _run(url, point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert _state(url) == ([], [], [], [(1,)]), "only the snapshot, committed by the fetch, stays"

    again = _run(url, "never")
    assert (again.returncode, again.stdout.strip()) == (0, "loaded"), again.stderr
    expected = (
        [(1, "P01", Decimal("41")), (2, "P02", Decimal("42")), (3, "P03", Decimal("43"))],
        [(1, 2, "ambiguous-number")],
        [("loaded", 3, 3, 1)],
        [(1,)],
    )
    assert _state(url) == expected
    third = _run(url, "never")
    assert (third.returncode, third.stdout.strip()) == (0, "already"), third.stderr
    assert _state(url) == expected
