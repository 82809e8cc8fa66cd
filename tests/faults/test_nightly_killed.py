"""A night that was killed leaves nothing behind that the next one, or the scheduler, falls over."""

from __future__ import annotations

import psycopg
import pytest

from infra.airflow.environment import environment, metadata_url
from infra.airflow.lock import alone
from infra.airflow.metadata import close_dead_runs, ensure_metadata, ensure_pools
from infra.airflow.supervisor import start
from infra.errors import RefusedError
from infra.postgres import admin_url
from infra.settings import Settings


def test_metadata_is_made_once_and_left_alone_afterwards(fresh_database: Settings) -> None:
    airflow = environment(fresh_database)
    assert ensure_metadata(fresh_database, airflow) is True
    assert ensure_metadata(fresh_database, airflow) is False
    (airflow.home / "metadata.json").write_text("{", encoding="utf-8")
    assert ensure_metadata(fresh_database, airflow) is True, "a torn stamp is no stamp"

    plain = metadata_url(fresh_database, "psycopg").replace("+psycopg", "")
    assert ensure_pools(plain, {"host_x": 2, "load": 4}) == 2
    assert ensure_pools(plain, {"host_x": 9, "load": 4, "folder": 1}) == 1
    with psycopg.connect(plain) as connection:
        kept = connection.execute("select slots from slot_pool where pool = 'host_x'").fetchone()
        assert kept == (2,), "what an operator may have set is kept"
        role = connection.execute("select current_user").fetchone()
        assert role == ("payesh_airflow",)

    _leave_a_killed_run(fresh_database)
    assert close_dead_runs(fresh_database) == 1
    assert close_dead_runs(fresh_database) == 0
    with psycopg.connect(admin_url(fresh_database)) as connection:
        states = connection.execute(
            "select dag_id, state from airflow.dag_run order by dag_id"
        ).fetchall()
    assert states == [("by_nightly", "failed"), ("by_scheduler", "running")]


def _leave_a_killed_run(settings: Settings) -> None:
    with psycopg.connect(admin_url(settings)) as connection:
        for dag_id, trigger in (("by_nightly", "TEST"), ("by_scheduler", "TIMETABLE")):
            connection.execute(
                "insert into airflow.dag_run (dag_id, run_id, state, run_type, triggered_by,"
                " run_after, log_template_id, span_status, clear_number)"
                " values (%s, 'r', 'running', 'manual', %s, now(),"
                " (select min(id) from airflow.log_template), 'not_started', 0)",
                [dag_id, trigger],
            )


def test_no_dead_runs_where_airflow_was_never_used(fresh_database: Settings) -> None:
    assert close_dead_runs(fresh_database) == 0


def test_up_is_refused_while_a_night_is_running(fresh_database: Settings) -> None:
    with alone(fresh_database), pytest.raises(RefusedError, match="another `payesh nightly`"):
        start(fresh_database)
