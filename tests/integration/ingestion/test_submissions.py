"""How reports come in over time: several weeks in a file, windows that overlap, rows that vanish.

Whole files through fetch and load, into a database of their own.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.postgres import role_url
from infra.settings import Settings
from ingestion import pipeline
from ingestion.connectors import Fetched
from ingestion.snapshots import Part
from tests.integration.ingestion.test_pipeline import _API, Mill, record

WEEKS = ("1405/08/09", "1405/08/16", "1405/08/23")
NATIONAL_ID = "0012345679"


@pytest.fixture
def mill(fresh_database: Settings, tmp_path: Path) -> Mill:
    return Mill(tmp_path, fresh_database)


@pytest.fixture
def api(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, str]]]:
    """An API: each visit takes the next list of records."""
    mill.write(_API)
    queue: list[list[dict[str, str]]] = []

    def collect(_: Any, ctx: Any, asked: object = None) -> list[Fetched]:
        rows = queue.pop(0)
        part = Part(json.dumps(rows, ensure_ascii=False).encode(), "page-1.json", "http://x", 200)
        return [Fetched(parts=[part], received_at=ctx.now(), row_count=len(rows))]

    monkeypatch.setattr(pipeline, "collect", collect)
    return queue


def versions(mill: Mill) -> list[tuple[Any, ...]]:
    """(project, week, actual) of every stored version, in the order of receipt."""
    return mill.query(
        "select project_code, period_start::text, actual_pct from raw.progress "
        "order by received_at, load_id, project_code, period_start"
    )


def test_S4_a_missing_week_and_then_one_file_for_three(mill: Mill) -> None:
    mill.drop("first.csv", f"{WEEKS[0]};P01;50;40")
    mill.visit(hours=14 * 24)
    rows = [f"{week};P01;50;{actual}" for week, actual in zip(WEEKS, (40, 44, 48), strict=True)]
    mill.drop("three weeks.csv", *rows)
    ((loaded,),) = [mill.visit()[1]]
    assert (loaded.accepted, loaded.unchanged) == (2, 1), "the week that is known is no news"
    assert {day.isoformat() for _, day in loaded.periods} == {"2026-11-07", "2026-11-14"}
    assert versions(mill) == [
        ("P01", "2026-10-31", Decimal(40)),
        ("P01", "2026-11-07", Decimal(44)),
        ("P01", "2026-11-14", Decimal(48)),
    ]
    # lateness is each week's own: first received with this file, not with the first one
    first = mill.query(
        "select period_start::text, min(received_at)::date::text from raw.progress "
        "group by period_start order by period_start"
    )
    assert [day for _, day in first] == ["2026-11-21", "2026-12-05", "2026-12-05"]


def test_P9_S13_windows_that_overlap_lose_nothing_and_double_nothing(
    mill: Mill, api: list[list[dict[str, str]]]
) -> None:
    # an agency gives what changed since a time, with some overlap; two records share that instant
    api.append([record("P01", "40", WEEKS[0]), record("P02", "30", WEEKS[0])])
    api.append([record("P02", "30", WEEKS[0]), record("P01", "44", WEEKS[1])])
    api.append([record("P01", "44", WEEKS[1]), record("P02", "33", WEEKS[1])])
    counts = []
    for _ in range(3):
        ((loaded,),) = [mill.visit()[1]]
        counts.append((loaded.accepted, loaded.unchanged, loaded.quarantined))
    assert counts == [(2, 0, 0), (1, 1, 0), (1, 1, 0)]
    assert versions(mill) == [
        ("P01", "2026-10-31", Decimal(40)),
        ("P02", "2026-10-31", Decimal(30)),
        ("P01", "2026-11-07", Decimal(44)),
        ("P02", "2026-11-07", Decimal(33)),
    ]


def test_P8_S8_a_record_that_is_gone_from_the_whole_answer_is_not_deleted(
    mill: Mill, api: list[list[dict[str, str]]]
) -> None:
    everything = [record(f"P{n:02}", str(20 + n)) for n in range(1, 6)]
    api += [everything, [*everything[:2], *everything[3:]], everything]
    for rows in (5, 4, 5):
        ((loaded,),) = [mill.visit()[1]]
        # the whole key set comes each time, so the ledger tells how many were there
        assert (loaded.rows_read, loaded.quarantined) == (rows, 0)
    assert mill.latest()["P03"] == Decimal(23), "no longer reported is not deleted"
    assert len(versions(mill)) == 5, "and its return is no new version"


def test_P11_an_instant_without_a_zone_is_tehrans_clock(
    mill: Mill, api: list[list[dict[str, str]]]
) -> None:
    text = _API.rstrip() + "\n      reported_at: {headers: [زمان]}\n"
    mill.write(text)
    times = ["2026-11-14T00:30:00", "2026-11-13T21:00:00Z", "۱۴۰۵/۰۸/۲۳ ۰۰:۳۰"]
    api.append(
        [{**record(f"P{n:02}", "40"), "زمان": time} for n, time in enumerate(times, start=1)]
    )
    mill.visit()
    found = mill.query("select distinct reported_at at time zone 'UTC' from raw.progress")
    assert found == [(dt.datetime(2026, 11, 13, 21, 0),)]  # noqa: DTZ001 - asked for without zone


def test_T14_P12_free_text_stays_out_of_reach_of_those_who_read_marts(
    mill: Mill, fresh_database: Settings
) -> None:
    text = _FOLDER_WITH_NOTES
    mill.write(text)
    header = "هفته;پروژه;برنامه;واقعی;شرح"
    note = f"آقای نمونه {NATIONAL_ID}"
    mill.drop("a.csv", f"{WEEKS[2]};P01;50;40;{note}", f"{WEEKS[2]};P02;50;{note};", header=header)
    mill.visit()
    assert mill.query("select note from raw.progress where project_code = 'P01'") == [(note,)]
    with psycopg.connect(role_url(fresh_database, "bi"), autocommit=True) as connection:
        for table in ("raw.progress", "raw.quarantine", "raw.snapshot", "raw.load"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}")
        told = connection.execute(
            "select raw_text, message from marts.data_quality_finding where reason_code = %s",
            ["not-a-number"],
        ).fetchall()
    assert len(told) == 1, "the finding itself is there"
    assert NATIONAL_ID not in "".join(told[0]), "the number of a person is not"


_FOLDER_WITH_NOTES = (
    _API.replace(
        "connector: {type: http_json, url: 'http://127.0.0.1:1/x', retries: 0}",
        'connector: {type: folder, path: drop, pattern: "*.csv", stable_seconds: 0}',
    ).rstrip()
    + "\n      note: {headers: [شرح]}\n"
)
