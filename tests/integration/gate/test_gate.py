"""The gate on a real database: an agency's fault stays its own, an empty mart stops the release."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations import GateError, Verdict, load_suites, run_gate
from expectations.suites import Suite
from infra.postgres import connect, role_url
from infra.release import publish
from ingestion.spec.model import SourceSpec
from tests.integration.release.conftest import NOON, WEEK, Warehouse

GOOD = "sim_a01__progress"
BAD = "sim_a02__progress"


def gate(
    warehouse: Warehouse, stage: Any, build_id: int, specs: Any = (), **options: Any
) -> Verdict:
    url = role_url(warehouse.settings, "transform")
    return run_gate(url, stage, build_id, WEEK, specs, now=NOON, **options)


def register(warehouse: Warehouse, *sources: str) -> None:
    with connect(warehouse.settings, "ingest") as connection:
        for source in sources:
            connection.execute(
                "insert into raw.source (source, spec_sha256, kind, title, agency_code,"
                " owner_name, owner_email, tier, is_simulated, cadence, due_hours, owed_from,"
                " spec) values (%s, 'spec', 'progress', %s, 'sim_a01', 'Owner', 'o@example.org',"
                " 2, true, 'weekly', 48, %s, %s)",
                [source, source, WEEK, json.dumps({"quality": {}})],
            )
            connection.execute(
                "insert into raw.fetch (source, attempted_at, finished_at, outcome)"
                " values (%s, %s, %s, 'new')",
                [source, NOON, NOON],
            )


def open_build(warehouse: Warehouse, loads: list[int]) -> int:
    return warehouse.build(loads, verdict=None, status="running")


def results(warehouse: Warehouse, gate_id: int) -> list[tuple[Any, ...]]:
    with connect(warehouse.settings, "transform") as connection:
        return connection.execute(
            "select suite, expectation, source, severity, message from quality.result"
            " where gate_id = %s and not is_success order by result_no",
            [gate_id],
        ).fetchall()


def test_a_good_night_passes(warehouse: Warehouse) -> None:
    register(warehouse, GOOD)
    build_id = open_build(warehouse, [warehouse.load({("P01", WEEK): "40"}, GOOD)])
    started = time.monotonic()
    verdict = gate(warehouse, "raw", build_id)
    assert time.monotonic() - started < 20
    assert (verdict.verdict, verdict.broken, verdict.held_sources) == ("pass", (), ())
    assert len(verdict.results) >= 15
    with connect(warehouse.settings, "transform") as connection:
        row = connection.execute(
            "select stage, verdict, build_id, count(*) from quality.gate"
            " inner join quality.result using (gate_id) group by 1, 2, 3"
        ).fetchone()
    assert row == ("raw", "pass", build_id, len(verdict.results))


def test_Q5_one_sources_fault_holds_back_that_source_only(warehouse: Warehouse) -> None:
    register(warehouse, GOOD, BAD)
    good = warehouse.load({("P01", WEEK): "40"}, GOOD)
    bad = warehouse.load({("P02", WEEK): "140", ("P03", WEEK): "50"}, BAD)
    build_id = open_build(warehouse, [good, bad])
    verdict = gate(warehouse, "raw", build_id)
    assert verdict.verdict == "warn"
    assert verdict.held_sources == (BAD,)
    assert BAD in verdict.message
    broken = results(warehouse, verdict.gate_id)
    assert [row[:4] for row in broken] == [
        ("raw_progress", "actual_is_a_percentage", BAD, "quarantine")
    ]
    assert "1 record(s) with actual progress outside 0 to 100" in broken[0][4]
    with connect(warehouse.settings, "transform") as connection:
        taken = connection.execute(
            "select load_id from ops.build_load where build_id = %s", [build_id]
        ).fetchall()
        held = connection.execute(
            "select held_sources from ops.build where build_id = %s", [build_id]
        ).fetchone()
    assert taken == [(good,)]
    assert held == ([BAD],)


def test_silent_and_failing_sources_are_told_not_punished(warehouse: Warehouse) -> None:
    register(warehouse, GOOD, BAD)
    with connect(warehouse.settings, "ingest") as connection:
        connection.execute(
            "insert into raw.fetch (source, attempted_at, finished_at, outcome, error_code)"
            " values (%s, %s, %s, 'failed', 'timeout')",
            [BAD, NOON + timedelta(hours=1), NOON + timedelta(hours=1)],
        )
    build_id = open_build(warehouse, [warehouse.load({("P01", WEEK): "40"}, GOOD)])
    verdict = gate(warehouse, "raw", build_id)
    assert verdict.verdict == "warn"
    assert [(r.expectation, r.source) for r in verdict.broken] == [
        ("source_answers", BAD),
        ("report_has_come", BAD),
    ]


def test_K2_falling_progress_is_told(warehouse: Warehouse) -> None:
    register(warehouse, GOOD)
    week_before = WEEK - timedelta(weeks=1)
    loads = [
        warehouse.load({("P01", week_before): "50"}, GOOD),
        warehouse.load({("P01", WEEK): "45"}, GOOD),
    ]
    verdict = gate(warehouse, "raw", open_build(warehouse, loads))
    assert [(r.expectation, r.severity) for r in verdict.broken] == [
        ("progress_does_not_fall", "warn")
    ]


def test_an_empty_registry_stops_the_night(warehouse: Warehouse) -> None:
    verdict = gate(warehouse, "raw", open_build(warehouse, []))
    assert verdict.verdict == "fail"
    assert verdict.broken[0].expectation == "sources_exist"


def spec(source: str, expectation: dict[str, Any]) -> SourceSpec:
    return SourceSpec.model_validate(
        {
            "source": source,
            "title": source,
            "kind": "progress",
            "agency": "sim_a01",
            "owner": {"name": "Owner", "email": "o@example.org"},
            "connector": {"type": "folder", "path": "drop"},
            "layouts": [
                {
                    "fields": {
                        "project": {"headers": ["project"]},
                        "period": {"headers": ["week"]},
                        "actual_pct": {"headers": ["actual"]},
                    }
                }
            ],
            "quality": {"expectations": [expectation]},
        }
    )


def test_a_sources_own_expectations_are_its_own(warehouse: Warehouse) -> None:
    register(warehouse, GOOD, BAD)
    loads = [
        warehouse.load({("P01", WEEK): "40"}, GOOD),
        warehouse.load({("P02", WEEK): "60"}, BAD),
    ]
    build_id = open_build(warehouse, loads)
    too_high = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "actual_pct", "max_value": 50},
    }
    specs = [spec(GOOD, too_high), spec(BAD, too_high)]
    assert gate(warehouse, "raw", build_id, specs).held_sources == (BAD,)
    # an expectation that can't be evaluated is the source's own mistake, and only told
    nonsense = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "nonsense"}}
    build_id = open_build(warehouse, loads)
    verdict = gate(warehouse, "raw", build_id, [spec(GOOD, nonsense)])
    assert (verdict.verdict, verdict.held_sources) == ("warn", ())
    assert "could not be judged" in verdict.broken[0].message


def rows_suite(*ids: str) -> list[Suite]:
    """The rows suite with these expectations only: the fixture has none of dbt's models."""
    [suite] = [suite for suite in load_suites(stage="marts") if suite.suite == "marts_rows"]
    kept = [one for one in suite.expectations if one.id in ids]
    assert len(kept) == len(ids)
    return [suite.model_copy(update={"expectations": kept})]


def test_Q4_an_empty_mart_refuses_the_release(warehouse: Warehouse) -> None:
    warehouse.rows = {("P01", WEEK): Decimal(40)}
    good = warehouse.build([], verdict="pass")
    assert publish(warehouse.settings, good).release_no == 1
    warehouse.rows = {}
    build_id = warehouse.build([], verdict=None)
    suites = rows_suite("mart_has_rows", "mart_is_fed")
    verdict = gate(warehouse, "marts", build_id, suites=suites)
    assert verdict.verdict == "fail"
    assert [one.expectation for one in verdict.broken] == ["mart_has_rows", "mart_is_fed"]
    assert "progress_weekly" in verdict.message
    result = publish(warehouse.settings, build_id)
    assert (result.outcome, result.release_no) == ("refused", 1)
    with connect(warehouse.settings, "transform") as connection:
        refusals = connection.execute(
            "select build_id, reason_code, standing_release from history.refusal"
        ).fetchall()
    assert refusals == [(build_id, "gate-failed", 1)]


def test_a_mart_that_nobody_feeds_yet_is_told_and_stops_nothing(warehouse: Warehouse) -> None:
    warehouse.rows = {}
    build_id = warehouse.build([], verdict=None)
    suites = rows_suite("mart_has_rows", "mart_is_fed")
    verdict = gate(warehouse, "marts", build_id, suites=suites)
    assert verdict.verdict == "warn"
    assert [one.expectation for one in verdict.broken] == ["mart_is_fed"]
    assert "no source that feeds it" in verdict.message


def test_only_what_the_build_has_rewritten_is_judged(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.rows = {("P01", WEEK): Decimal(40), ("P01", WEEK - timedelta(7)): Decimal(300)}
    publish(warehouse.settings, warehouse.build([], verdict="pass"))
    warehouse.rows["P01", WEEK] = Decimal(41)
    (tmp_path / "progress.yml").write_text(
        """
suite: progress
stage: marts
version: "1"
purpose: bounds
mart: progress_weekly
expectations:
  - id: rows
    type: expect_table_row_count_to_be_between
    kwargs: {min_value: 1, max_value: 1}
    severity: fail
    says: "{observed} rows"
  - id: bounds
    type: expect_column_values_to_be_between
    kwargs: {column: actual_pct, max_value: 100}
    severity: fail
    says: "{count} values over {max_value}: {observed}"
""",
        encoding="utf-8",
    )
    suites = load_suites(tmp_path)
    delta = warehouse.build([], verdict=None)
    assert gate(warehouse, "marts", delta, suites=suites).verdict == "pass"
    full = warehouse.build([], verdict=None, full=True)
    verdict = gate(warehouse, "marts", full, suites=suites)
    assert [r.message for r in verdict.broken] == ["2 rows", "1 values over 100: 300"]


def test_a_suite_without_its_mart_is_a_failure_not_a_pass(warehouse: Warehouse) -> None:
    warehouse.rows = {("P01", WEEK): Decimal(40)}
    build_id = warehouse.build([], verdict=None)
    suites = [s for s in load_suites(stage="marts") if s.suite == "provincial_balance"]
    verdict = gate(warehouse, "marts", build_id, suites=suites)
    assert verdict.verdict == "fail"
    assert "mart provincial_balance is not built" in verdict.message


def test_findings_are_a_live_view_with_age_and_state(warehouse: Warehouse) -> None:
    register(warehouse, GOOD, BAD)
    bad = warehouse.load({("P02", WEEK): "140"}, BAD)
    gate(warehouse, "raw", open_build(warehouse, [bad]))
    query = (
        "select rule, source, owner_name, severity, state from marts.data_quality_finding"
        " where source = 'sim_a02__progress'"
    )
    with connect(warehouse.settings, "bi") as connection:
        assert connection.execute(query).fetchall() == [
            ("raw_progress.actual_is_a_percentage", BAD, "Owner", "quarantine", "open")
        ]
    gate(warehouse, "raw", open_build(warehouse, []))
    with connect(warehouse.settings, "bi") as connection:
        assert [row[4] for row in connection.execute(query).fetchall()] == ["corrected"]


def test_an_unknown_build_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(GateError, match="no build 99"):
        gate(warehouse, "raw", 99)
