"""The warehouse starts early once a week, when enough has arrived, and never beside the night."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from infra.airflow.early import Standing, standing
from infra.postgres import connect
from infra.settings import Settings
from tests.integration.release.conftest import insert_load

WEEK = date(2026, 11, 14)
DAY = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (Standing(10, 8, 0, True), False),
        (Standing(10, 9, 0, True), True),
        (Standing(10, 10, 8, True), True),
        (Standing(10, 10, 9, True), False),  # published with enough: the rest waits for the night
        (Standing(10, 10, 0, False), False),  # a build has just run
        (Standing(0, 0, 0, True), False),
    ],
)
def test_enough_is_reached_once(found: Standing, wanted: bool) -> None:
    assert found.is_enough(0.9) is wanted


def test_what_is_owed_loaded_and_released_is_counted(fresh_database: Settings) -> None:
    settings = replace(fresh_database, clock=DAY)
    with connect(settings, "ingest") as connection:
        for name, cadence, owed_from in (
            ("sim_a01__progress", "weekly", "2026-11-14"),
            ("sim_a02__progress", "weekly", "2026-11-14"),
            ("sim_a03__later", "weekly", "2026-11-21"),
            ("sim_a04__yearly", "yearly", "2026-01-01"),
        ):
            connection.execute(
                "insert into raw.source (source, spec_sha256, kind, title, agency_code,"
                " owner_name, owner_email, tier, is_simulated, cadence, due_hours, owed_from,"
                " spec) values (%s, 'x', 'progress', 'X', 'sim_a01', 'Desk', 'd@example.org', 2,"
                " true, %s, 48, %s, '{}')",
                [name, cadence, owed_from],
            )
        insert_load(connection, "sim_a01__progress", {("P01", WEEK): "40"})
        insert_load(connection, "sim_a02__progress", {("P01", date(2026, 11, 7)): "40"})
        insert_load(connection, "sim_a04__yearly", {("P01", WEEK): "40"})
    assert standing(settings) == Standing(2, 1, 0, True)
    with connect(settings, "transform") as connection:
        connection.execute(
            "insert into ops.build (as_of_week, is_full_refresh, code_sha256, reference_sha256,"
            " started_at, status) values (%s, true, 'c', 'r', %s, 'failed')",
            [WEEK, DAY],
        )
    assert standing(settings) == Standing(2, 1, 0, False)
