"""What the tasks decide by themselves: the week, the run's name, the weeks of the asset."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from infra.airflow import progress
from infra.airflow.faults import Fault, FaultError
from infra.airflow.policy import fetch_pool, pools, source_cron
from infra.airflow.tasks import _summary, _told, _weeks, as_of_week, run_id
from infra.settings import Settings


def context(
    logical_date: datetime | None, run_type: str = "scheduled", **conf: str
) -> dict[str, Any]:
    run = SimpleNamespace(
        dag_id="warehouse",
        run_id="scheduled__1",
        logical_date=logical_date,
        run_after=datetime(2026, 11, 20, 20, 29, tzinfo=UTC),
        conf=conf,
        run_type=run_type,
    )
    return {"dag_run": run, "params": {"as_of_week": conf.get("as_of_week")}}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    return Settings.from_env({"PAYESH_HOME": "/nonexistent/payesh"})


@pytest.mark.parametrize(
    ("instant", "week"),
    [
        # Saturday 2026-11-21 opens in Tehran at 20:30 UTC on Friday: until then the week from
        # 11-14 has not closed
        (datetime(2026, 11, 20, 20, 29, 59, tzinfo=UTC), date(2026, 11, 7)),
        (datetime(2026, 11, 20, 20, 30, 0, tzinfo=UTC), date(2026, 11, 14)),
        (datetime(2026, 11, 21, 0, 0, tzinfo=UTC), date(2026, 11, 14)),
    ],
)
def test_Q1_the_week_closes_on_friday_night_in_tehran(
    settings: Settings, instant: datetime, week: date
) -> None:
    assert as_of_week(context(instant), settings) == week


def test_Q2_a_night_caught_up_later_speaks_of_its_own_week(settings: Settings) -> None:
    weeks_ago = datetime(2026, 10, 10, 0, 0, tzinfo=UTC)
    assert as_of_week(context(weeks_ago), settings) == date(2026, 10, 3)


def test_a_run_by_asset_has_no_logical_date_and_takes_when_it_was_due(settings: Settings) -> None:
    assert as_of_week(context(None), settings) == date(2026, 11, 7)


def test_the_week_that_is_asked_for_wins(settings: Settings) -> None:
    asked = context(datetime(2026, 11, 21, tzinfo=UTC), as_of_week="2026-09-05")
    assert as_of_week(asked, settings) == date(2026, 9, 5)


def test_a_simulated_clock_is_the_clock() -> None:
    settings = Settings.from_env(
        {"PAYESH_HOME": "/nonexistent/payesh", "PAYESH_NOW": "2027-01-09T06:00:00+03:30"}
    )
    assert as_of_week(context(datetime(2026, 11, 21, tzinfo=UTC)), settings) == date(2027, 1, 2)


def test_Q2_a_backfilled_night_speaks_of_its_own_week_under_a_simulated_clock_too() -> None:
    settings = Settings.from_env(
        {"PAYESH_HOME": "/nonexistent/payesh", "PAYESH_NOW": "2027-01-09T06:00:00+03:30"}
    )
    asked = context(datetime(2026, 10, 10, tzinfo=UTC), run_type="backfill")
    assert as_of_week(asked, settings) == date(2026, 10, 3)


def test_records_carry_the_night_or_airflows_own_run() -> None:
    assert run_id(context(None, night="20261121T000000Z-1-abc")) == "20261121T000000Z-1-abc"
    assert run_id(context(None)) == "warehouse/scheduled__1"


def result(status: str = "loaded", **more: Any) -> Any:
    counts = dict.fromkeys(
        ("rows_read", "accepted", "quarantined", "unchanged", "cells_quarantined"), 1
    )
    return SimpleNamespace(status=status, **{"periods": set(), **counts, **more})


def test_the_assets_partitions_are_the_weeks_that_gained_records() -> None:
    periods = {("week", date(2026, 11, 14)), ("week", date(2026, 11, 7))}
    other = {("jalali_year", date(2026, 3, 21))}
    assert _weeks([result(periods=periods), result(periods=other)]) == ["2026-11-07", "2026-11-14"]


def test_the_summary_names_refused_files() -> None:
    assert "1 of 2 files refused" in _summary([result(), result(status="rejected")])


@dataclass
class Ears:
    heard: list[tuple[str, Fault]] = field(default_factory=list)

    def say(self, stage: str, text: str) -> None:
        raise AssertionError(text)

    def failed(self, stage: str, fault: Fault) -> None:
        self.heard.append((stage, fault))


@pytest.mark.parametrize(
    ("code", "is_final", "skips_retries"),
    [
        ("dead", False, False),
        ("server-error", False, False),
        ("login-page", False, True),
        ("missing-secret", False, True),
        ("anything", True, True),
    ],
)
def test_P5_only_what_time_can_heal_is_tried_again(
    code: str, is_final: bool, skips_retries: bool
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    ears = Ears()
    expected = AirflowFailException if skips_retries else FaultError
    with progress.listening(ears), pytest.raises(expected), _told("x.fetch"):
        raise FaultError(Fault(code, "what", "where", "fix"), is_final)
    assert [(stage, fault.code) for stage, fault in ears.heard] == [("x.fetch", code)]


def test_the_minute_of_a_source_is_stable_and_in_the_night() -> None:
    assert source_cron("sim_a01__progress") == source_cron("sim_a01__progress")
    minutes = set()
    for number in range(300):
        minute, hour, *rest = source_cron(f"source__{number}").split()
        assert rest == ["*", "*", "*"]
        assert 1 <= int(hour) < 3
        minutes.add((hour, minute))
    assert len(minutes) > 90, "sources must not all knock at once"


def test_pools_are_per_host_and_folders_share_one() -> None:
    def source(**connector: str) -> Any:
        return SimpleNamespace(spec=SimpleNamespace(connector=SimpleNamespace(**connector)))

    api = source(type="http_json", url="https://api.example.org/v1?x=1")
    same = source(type="http_file", url="https://api.example.org/other.xlsx")
    local = source(type="folder", path="../drop")
    bucket = source(type="folder", path="s3://bucket/reports")
    assert fetch_pool(api) == fetch_pool(same) == "host_api.example.org"
    assert fetch_pool(local) == "folder"
    assert fetch_pool(bucket) == "host_bucket"
    assert {"host_api.example.org", "folder", "load", "warehouse"} <= set(pools([api, local]))
