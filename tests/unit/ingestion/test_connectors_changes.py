"""APIs that are asked for changes only, and rows that move between pages while they are fetched."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from ingestion.connectors import Asked, Fetched, collect
from ingestion.spec.model import SourceSpec
from tests.unit.ingestion.test_connectors import (
    PAGE,
    ROWS,
    Reply,
    Request,
    Server,
    fetch,
    ids,
    loaded,
    page,
    refused,
    server,
)

__all__ = ["server"]

NOW = dt.datetime(2026, 11, 21, 0, 30, tzinfo=dt.UTC)
ASKED = Asked(NOW - dt.timedelta(days=1), NOW - dt.timedelta(days=6))


class Clock:
    def now(self) -> dt.datetime:
        return NOW

    def secrets(self, ref: str, /) -> str:
        raise KeyError(ref)


def changes(server: Server, asked: Asked, **setting: Any) -> Fetched:
    connector = {
        "type": "http_json",
        "url": f"{server.url}/items",
        "params": {"lang": "fa"},
        "records_at": "/data",
        "updated_since": setting,
    }
    server.handle = lambda request: page(ROWS[:2])
    (fetched,) = collect(loaded(connector), Clock(), asked)
    return fetched


def test_P9_changes_are_asked_for_with_an_overlap(server: Server) -> None:
    fetched = changes(server, ASKED)
    assert server.requests[-1].query == {"lang": "fa", "updated_since": "2026-11-19T23:30:00Z"}
    assert fetched.since == NOW - dt.timedelta(days=1, hours=1)
    assert fetched.parts[0].headers["payesh-since"] == "2026-11-19T23:30:00+00:00"
    assert fetched.parts[0].headers["payesh-asked-at"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("setting", "written"),
    [
        (
            {"param": "from", "style": "epoch", "overlap_minutes": 0},
            str(int(NOW.timestamp()) - 86400),
        ),
        # half past midnight in UTC is four o'clock in Tehran: 1405/08/29 still with the overlap
        ({"param": "from", "style": "jalali", "overlap_minutes": 300}, "1405/08/28"),
        ({"param": "from", "style": "jalali", "overlap_minutes": 60}, "1405/08/29"),
    ],
)
def test_D22_the_instant_in_the_form_of_the_agency(
    server: Server, setting: dict[str, Any], written: str
) -> None:
    changes(server, ASKED, **setting)
    assert server.requests[-1].query["from"] == written


def test_P8_everything_is_asked_for_at_first_and_from_time_to_time(server: Server) -> None:
    week_ago = Asked(ASKED.at, NOW - dt.timedelta(days=7))
    for asked in (Asked(), Asked(ASKED.at, None), week_ago):
        fetched = changes(server, asked)
        assert "updated_since" not in server.requests[-1].query
        assert (fetched.since, "payesh-since" in fetched.parts[0].headers) == (None, False)
    assert changes(server, week_ago, full_every_days=30).since is not None


# ------------------------------------------------------------------------------ rows that move


class Moving:
    """An API of 25 rows, newest first; rows come in at its head while the first runs go on."""

    def __init__(self, restless_runs: int) -> None:
        self.restless_runs = restless_runs
        self.runs = 0

    def __call__(self, request: Request) -> Reply:
        number = int(request.query["page"]) - 1
        self.runs += number == 0
        rows = list(ROWS)
        if number and self.runs <= self.restless_runs:
            # one row comes in at the head, another goes at the tail: the total stays
            rows = [{"id": 100 + self.runs, "v": 0.0}, *ROWS[:-1]]
        return page(rows[number * 10 : number * 10 + 10], total=25)


@pytest.mark.parametrize("id_at", ["/id", None])
def test_P4_a_row_on_two_pages_starts_the_run_anew(server: Server, id_at: str | None) -> None:
    server.handle = Moving(restless_runs=1)
    assert ids(fetch(server, {**PAGE, "id_at": id_at}, concurrency=1)) == list(range(25))
    assert len(server.requests) == 6


def test_P4_rows_that_never_rest_are_refused(server: Server) -> None:
    server.handle = Moving(restless_runs=9)
    error = refused(server, {**PAGE, "id_at": "/id"}, concurrency=1)
    assert (error.code, "'9' came on two pages" in error.message) == ("total-changed", True)


def test_P4_two_records_alike_in_an_api_at_rest_are_its_own(server: Server) -> None:
    rows = [*ROWS[:10], ROWS[9], *ROWS[10:]]
    server.handle = lambda r: page(
        rows[(int(r.query["page"]) - 1) * 10 : int(r.query["page"]) * 10], total=len(rows)
    )
    assert sorted(ids(fetch(server, PAGE))) == sorted(row["id"] for row in rows)
    assert refused(server, {**PAGE, "id_at": "/id"}).code == "total-changed"


def test_P4_an_id_that_is_none_is_a_fault_of_the_source_file(server: Server) -> None:
    server.handle = lambda request: page(ROWS[:3], total=3)
    assert refused(server, {**PAGE, "id_at": "/code"}).code == "id-missing"


def test_settings_of_changes_reach_the_schema() -> None:
    schema = json.dumps(SourceSpec.model_json_schema())
    assert "full_every_days" in schema
    assert "overlap_minutes" in schema
