"""Owners hear of what they owe: once, when it is due, and once more when it is settled."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from infra.airflow.notifier import Channels, notify_deadline
from infra.airflow.reminders import Told, remind_of_quarantine, remind_of_reports
from infra.errors import RefusedError
from infra.postgres import connect
from infra.settings import Settings
from tests.integration.release.conftest import insert_load

WEEK = date(2026, 11, 14)
DUE = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
SOURCE = "sim_a01__progress"


@pytest.fixture
def house(fresh_database: Settings) -> Settings:
    """A source with a grace of 12 hours whose report of one week is missing in the release."""
    with connect(fresh_database, "ingest") as connection:
        for name in (SOURCE, "sim_a02__retired"):
            connection.execute(
                "insert into raw.source (source, spec_sha256, kind, title, agency_code,"
                " owner_name, owner_email, tier, is_simulated, cadence, due_hours, grace_hours,"
                " spec) values (%s, 'x', 'progress', 'Progress of X', 'sim_a01', 'Desk X',"
                " 'desk@example.org', 2, true, 'weekly', 48, 12, '{}')",
                [name],
            )
        connection.execute(
            "insert into raw.retired_source values ('sim_a02__retired', '2026-01-01', 'closed')"
        )
    with connect(fresh_database, "owner") as connection:
        connection.execute(
            "create table marts.agency_reporting_weekly (source text, period_kind text,"
            " period_start date, is_missing boolean, due_at timestamptz)"
        )
        connection.execute("grant select on marts.agency_reporting_weekly to payesh_transform")
        for name in (SOURCE, "sim_a02__retired"):
            connection.execute(
                "insert into marts.agency_reporting_weekly values (%s, 'week', %s, true, %s)",
                [name, WEEK, DUE],
            )
    return fresh_database


def at(settings: Settings, **after_due: float) -> Settings:
    return replace(settings, clock=DUE + timedelta(**after_due))


def notices(settings: Settings) -> str:
    path = settings.log_dir / "notices.log"
    return path.read_text("utf-8") if path.exists() else ""


def test_S5_a_late_report_is_asked_for_after_its_grace_and_once_a_week(house: Settings) -> None:
    channels = Channels()
    assert remind_of_reports(at(house, hours=11), channels) == Told(0, 0, 0)
    assert remind_of_reports(at(house, hours=13), channels) == Told(1, 1, 0)
    assert remind_of_reports(at(house, days=2), channels) == Told(1, 0, 0)
    assert remind_of_reports(at(house, days=8), channels) == Told(1, 1, 0)
    told = notices(house)
    assert told.count("reminder late.sim_a01__progress") == 2
    assert "1405-W35" in told
    assert "Desk X <desk@example.org>" in told
    assert "هنوز نرسیده است" in told
    assert "retired" not in told


def test_a_report_that_has_come_settles_the_reminder_once(house: Settings) -> None:
    remind_of_reports(at(house, hours=13), Channels())
    with connect(house, "owner") as connection:
        connection.execute("update marts.agency_reporting_weekly set is_missing = false")
    assert remind_of_reports(at(house, days=1), Channels()) == Told(0, 0, 1)
    assert remind_of_reports(at(house, days=2), Channels()) == Told(0, 0, 0)
    assert "رسیده است" in notices(house)


def test_before_the_first_release_nobody_is_late(fresh_database: Settings) -> None:
    assert remind_of_reports(fresh_database, Channels()) == Told(0, 0, 0)


def test_Q6_old_quarantine_goes_to_its_owner_with_count_and_age(
    house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(house, "ingest") as connection:
        load_id = insert_load(connection, SOURCE, {("P01", WEEK): "40"})
        for number in (1, 2):
            connection.execute(
                "insert into raw.quarantine (load_id, item_no, source, kind, scope, field,"
                " agency_code, locator, raw_text, reason_code, message, remedy, rule,"
                " received_at) values (%s, %s, %s, 'progress', 'cell', 'actual_pct', 'sim_a01',"
                " 'Sheet1!B9', 'x', 'not-a-number', 'No number.', 'Write one.', 'number', %s)",
                [load_id, number, SOURCE, DUE],
            )
    assert remind_of_quarantine(at(house, days=6), Channels()) == Told(0, 0, 0)
    assert remind_of_quarantine(at(house, days=8), Channels()) == Told(1, 1, 0)
    assert remind_of_quarantine(at(house, days=9), Channels()) == Told(1, 0, 0)
    told = notices(house)
    assert "2 cells, rows or files" in told
    assert "not-a-number" in told
    assert "payesh quarantine export sim_a01" in told
    monkeypatch.setenv("PAYESH_QUARANTINE_DAYS", "30")
    assert remind_of_quarantine(at(house, days=10), Channels()) == Told(0, 0, 1)
    monkeypatch.setenv("PAYESH_QUARANTINE_DAYS", "soon")
    with pytest.raises(RefusedError, match="PAYESH_QUARANTINE_DAYS"):
        remind_of_quarantine(house, Channels())


def test_a_release_that_is_late_is_told_to_the_operator_once(
    house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(house.home))
    monkeypatch.setenv("PAYESH_OPERATOR_EMAIL", "operator@example.org")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    run = {"dag_id": "warehouse", "dag_run_id": "scheduled__1", "state": "running"}
    # as the scheduler hands it over: plain data
    context = json.loads(json.dumps({"dag_run": run, "deadline": {"id": "1"}}))
    for _ in range(2):
        notify_deadline("the release", "05:00", context)
    told = notices(house)
    assert told.count("reminder warehouse.deadline") == 1
    assert "release-late" in told
    assert "by 05:00 Tehran time" in told
    assert "the run is running" in told
