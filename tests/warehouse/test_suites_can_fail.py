"""Every expectation of the marts' own suites holds on good rows and breaks on bad ones.

In: the suites, the marts' contracts (empty tables are made from them), a few rows a mart. For each
expectation there is at least one change of those rows that it must find: an expectation without
one fails the test, so none is added that can't fail.
Run it: `pytest tests/warehouse/test_suites_can_fail.py`
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql

from expectations.runner import Task, evaluate
from expectations.suites import Suite, load_suites
from infra.settings import PROJECT_ROOT, Settings

Row = dict[str, Any]
Connection = psycopg.Connection[Any]
W = dt.date(2026, 11, 14)
BEFORE = W - dt.timedelta(weeks=1)
MODELS = PROJECT_ROOT / "dbt_project" / "models" / "marts"

DEBT = {
    "obligation_code": "A8",
    "agency_code": "sim_a01",
    "due_rule": "offset",
    "anchor_on": dt.date(2026, 4, 16),
    "due_calendar_on": dt.date(2026, 10, 19),
    "due_days30_on": dt.date(2026, 10, 13),
    "due_original_on": dt.date(2026, 10, 19),
    "due_revised_on": dt.date(2026, 10, 19),
    "state": "breached",
    "days_overdue": 32,
    "days_overdue_original": 32,
    "percent": 60,
    "events": 1,
}
WINDOW = {
    "agency_code": "sim_a01",
    "week_start": W,
    "services": 9,
    "dedicated": 6,
    "dedicated_on_window": 2,
    "passes_third_all": True,
    "high_use": 3,
    "high_use_on_window": 0,
    "passes_third_high_use": False,
    "high_use_first_violations": 2,
    "on_national_window": 1,
    "identity_cards": 0,
    "reengineered": 0,
    "sso": 0,
    "once_only": 0,
    "online_share": 0.25,
    "dashboard_built": True,
    "dashboard_operating": True,
    "dashboard_connected": False,
    "catalogue_first": 9,
}
SHARE = {
    "province_code": "IR-00",
    "period_kind": "jalali_year",
    "period_start": dt.date(2025, 3, 21),
    "digital_value": 3,
    "gdp": 30,
    "share_of_national": 0.75,
    "share_of_gdp": 0.1,
    "national_share": 0.08,
    "national_target": 0.1,
    "coverage": 0.064516,
}
MONEY = {
    "level": "agency",
    "code": "sim_a01",
    "period_kind": "jalali_year",
    "period_start": dt.date(2025, 3, 21),
    "allocated_rial": 1000,
    "released_rial": 600,
    "spent_rial": 300,
    "released_share": 0.6,
    "paid_share": 0.3,
    "realisation_share": 0.4,
    "realisation_coverage": 1,
    "gap": -0.1,
}
OBSTACLE = {
    "theme_code": "legal",
    "agency_code": "sim_a01",
    "week_start": W,
    "opened": 0,
    "resolved": 0,
    "open": 1,
    "overdue": 1,
    "median_age_days": 8,
    "oldest_age_days": 8,
    "escalated": 1,
}
TICKET = {
    "ticket_code": "t1",
    "agency_code": "sim_a01",
    "opened_on": BEFORE + dt.timedelta(days=5),
    "due_on": W,
    "age_days": 8,
    "state": "overdue",
}
MONTH = {
    "committee_code": "sim_c01",
    "month_start": dt.date(2026, 9, 23),
    "month_label": "1405/07",
    "meetings_due": 1,
    "meetings_held": 1,
    "meetings_minuted": 1,
    "decisions": 2,
    "decisions_implemented": 1,
    "is_missed": False,
}
HEAD = {
    "post_code": "post_a01",
    "holder_code": "h_a01_1",
    "instrument_code": "eitc_session_23",
    "agency_code": "sim_a01",
    "obligations": 4,
    "done_on_time": 2,
    "done_late": 1,
    "breached": 0,
    "score": 0.833333,
    "verdict": "commended",
    "reply_due_on": W + dt.timedelta(days=20),
    "state": "draft",
    "evidence": json.dumps({"A1": "x", "A4": "x", "A8": "x", "A9": "x"}),
}
RATING = {
    "project_code": "P01",
    "agency_code": "",
    "author": "m1",
    "rated_on": BEFORE,
    "scale": "five_point",
    "value": 4,
    "scale_min": 1,
    "scale_max": 5,
    "series_no": 1,
    "is_break": False,
    "reason_given": True,
}
WARNING = {
    "project_code": "P01",
    "week_start": W,
    "forecast_finish_on": W + dt.timedelta(days=41),
    "forecast_early_on": W + dt.timedelta(days=27),
    "forecast_late_on": W + dt.timedelta(days=69),
    "planned_finish_on": W + dt.timedelta(days=30),
    "probability_late": 0.8,
}
TRACK = {
    "horizon_weeks": 8,
    "forecasts": 50,
    "resolved": 40,
    "coverage_80": 0.8,
    "brier": 0.1,
    "brier_base_rate": 0.2,
    "is_shown": True,
}
CARD = {
    "agency_code": "sim_a01",
    "week_start": W,
    "performance_index": 0.9,
    "performance_coverage": 1,
    "reporting_quality_index": 0.5,
    "reporting_quality_coverage": 1,
    "quadrant": "works_well_reports_badly",
    "is_rank_eligible": True,
    "rank": 1,
}
PART = {
    "agency_code": "sim_a01",
    "week_start": W,
    "index_name": "performance",
    "component": "progress",
    "value": 0.9,
    "weight": 0.4,
    "contribution": 0.9,
}
OTHER_PART = PART | {
    "index_name": "reporting_quality",
    "component": "on_time",
    "value": 0.5,
    "contribution": 0.5,
}

GOOD: dict[str, list[Row]] = {
    "obligation_status": [
        DEBT,
        DEBT
        | dict.fromkeys([name for name in DEBT if name.startswith("due_") and "on" in name[-3:]])
        | {
            "obligation_code": "A10",
            "anchor_on": None,
            "due_rule": "conditional",
            "state": "dormant",
            "days_overdue": None,
            "days_overdue_original": None,
        },
    ],
    "service_window_compliance": [WINDOW],
    "digital_economy": [
        SHARE,
        SHARE | {"province_code": "IR-01", "digital_value": 1, "share_of_national": 0.25},
    ],
    "funding_alignment": [MONEY, MONEY | {"code": "sim_a02", "gap": None, "null_reason": "x"}],
    "bottleneck": [OBSTACLE, OBSTACLE | {"week_start": BEFORE, "opened": 1, "overdue": 0}],
    "bottleneck_ticket": [TICKET],
    "committee_followup": [
        MONTH,
        MONTH | {"month_start": dt.date(2026, 10, 23), "meetings_minuted": 0},
    ],
    "head_assessment": [HEAD],
    "rating_history": [
        RATING,
        RATING
        | {
            "rated_on": W,
            "scale": "three_point",
            "value": 3,
            "scale_max": 3,
            "series_no": 2,
            "is_break": True,
        },
    ],
    "early_warning": [WARNING],
    "early_warning_track": [TRACK | {"horizon_weeks": weeks} for weeks in (4, 8, 12)],
    "agency_scorecard_weekly": [CARD],
    "agency_scorecard_component": [PART, OTHER_PART],
}


@dataclass(frozen=True)
class Break:
    """What is wrong: columns of row `row`, a row added (the first one, changed) or all removed.

    `mart` is the one that is spoilt where the expectation reads a whole mart by its name.
    """

    columns: Row
    row: int = 0
    is_added: bool = False
    is_emptied: bool = False
    mart: str | None = None


BREAKS: dict[str, dict[str, list[Break]]] = {
    "obligation_status": {
        "every_debt_is_shown": [Break({"agency_code": "sim_a09"}), Break({}, is_emptied=True)],
        "state_is_known": [Break({"state": "late"})],
        "what_has_no_date_is_never_overdue": [
            Break({"state": "undated", "days_overdue": 0}),
            Break({"due_revised_on": W}, row=1),
        ],
        "overdue_means_late": [Break({"state": "live"}), Break({"days_overdue": 0})],
        "done_has_a_day": [Break({"state": "done_late"}), Break({"done_on": W})],
        "both_conventions_or_none": [
            Break({"due_days30_on": None}),
            Break({"due_original_on": None}),
        ],
        "percent_within_bounds": [Break({"percent": 100.5}), Break({"percent": -1})],
        "done_is_whole": [Break({"state": "done_late", "done_on": W})],
        "nothing_is_done_before_it_is_owed": [Break({"done_on": dt.date(2026, 4, 15)})],
    },
    "service_window_compliance": {
        "parts_fit_into_the_whole": [
            Break({"services": 0, "dedicated": 0}),
            Break({"dedicated": 10}),
            Break({"dedicated_on_window": 7}),
            Break({"high_use_on_window": 4}),
            Break({"high_use_first_violations": 3}),
            Break({"once_only": 10}),
            Break({"reengineered": -1}),
        ],
        "one_third_is_counted": [
            Break({"passes_third_all": False}),
            Break({"dedicated": 7}),
            Break({"passes_third_high_use": None}),
            Break({"high_use": 0}),
        ],
        "dashboards_are_built_before_they_run": [
            Break({"dashboard_built": False}),
            Break({"dashboard_connected": True, "dashboard_operating": False}),
        ],
        "online_share_is_a_share": [Break({"online_share": 1.5})],
        "agency_is_known": [Break({"agency_code": "nobody"})],
    },
    "digital_economy": {
        "shares_of_the_nation_add_up": [Break({"share_of_national": 0.751})],
        "one_nation_a_period": [
            Break({"national_share": 0.09}),
            Break({"national_share": None}),
            Break({"coverage": 1}),
        ],
        "coverage_is_a_share": [Break({"coverage": 1.1})],
        "province_is_known": [Break({"province_code": "IR-99"})],
        "less_than_the_whole_product": [Break({"share_of_gdp": 1.1})],
    },
    "funding_alignment": {
        "level_is_known": [Break({"level": "county"})],
        "no_gap_has_a_reason": [Break({"gap": None}), Break({"null_reason": "x"})],
        "gap_is_the_difference": [Break({"gap": 0.1})],
        "realisation_is_a_share": [
            Break({"realisation_share": 1.1}),
            Break({"realisation_coverage": -0.1}),
        ],
        "no_rial_is_counted_twice": [
            Break({"allocated_rial": 3001}),
            Break({"spent_rial": 901}),
            Break({"code": "sim_a03", "released_rial": 601}, is_added=True),
        ],
        "spent_is_released": [Break({"spent_rial": 601}), Break({"allocated_rial": 599})],
    },
    "bottleneck": {
        "parts_fit_into_the_whole": [
            Break({"overdue": 2}),
            Break({"escalated": 2}),
            Break({"median_age_days": 9}),
            Break({"oldest_age_days": None}),
            Break({"resolved": -1}),
        ],
        "every_ticket_opens_once": [
            Break({"opened": 1}, mart="bottleneck"),
            Break({"ticket_code": "t2"}, is_added=True, mart="bottleneck_ticket"),
        ],
        "no_week_is_left_out": [
            Break({"week_start": W + dt.timedelta(weeks=1)}, mart="bottleneck")
        ],
        "agency_is_known": [Break({"agency_code": "nobody"})],
        "theme_is_known": [Break({"theme_code": "weather"})],
    },
    "bottleneck_ticket": {
        "state_is_known": [Break({"state": "lost"})],
        "closed_has_a_day": [Break({"state": "closed"}), Break({"closed_on": W})],
        "overdue_was_due": [Break({"due_on": None})],
        "open_before_closed": [Break({"age_days": -1})],
    },
    "committee_followup": {
        "parts_fit_into_the_whole": [
            Break({"meetings_due": 2}),
            Break({"meetings_minuted": 2}),
            Break({"decisions_implemented": 3}),
            Break({"decisions": -1, "decisions_implemented": -2}),
        ],
        "missed_means_due_and_not_held": [Break({"is_missed": True})],
        "decisions_come_from_meetings": [Break({"meetings_held": 0, "meetings_minuted": 0})],
        "every_month_that_is_due": [
            Break({"committee_code": "sim_c09"}, mart="committee_followup")
        ],
        "held_is_minuted": [Break({"meetings_minuted": 0})],
    },
    "head_assessment": {
        "only_drafts": [Break({"state": "published"})],
        "verdict_follows_the_counts": [
            Break({"breached": 1}),
            Break({"verdict": "good"}),
            Break({"done_late": 0}),
            Break({"verdict": "insufficient"}),
        ],
        "evidence_is_whole": [Break({"obligations": 5}), Break({"obligations": 2})],
        "score_is_a_share": [Break({"score": 1.2})],
        "time_to_reply": [Break({"reply_due_on": None})],
    },
    "rating_history": {
        "series_begin_with_breaks": [
            Break({"series_no": 1}, row=1, mart="rating_history"),
            Break({"is_break": True}, mart="rating_history"),
        ],
        "one_scale_a_series": [Break({"series_no": 1}, row=1, mart="rating_history")],
        "value_lies_on_its_scale": [Break({"value": 6}), Break({"value": 0})],
        "scale_is_known": [Break({"scale_min": None})],
    },
    "early_warning": {
        "forecast_or_reason": [
            Break({"forecast_finish_on": None}),
            Break({"null_reason": "no_pace"}),
            Break({"null_reason": "no_pace", "forecast_finish_on": None}),
        ],
        "interval_is_in_order": [
            Break({"forecast_early_on": W + dt.timedelta(days=48)}),
            Break({"forecast_late_on": W + dt.timedelta(days=20)}),
            Break({"forecast_finish_on": W, "forecast_early_on": None}),
        ],
        "probability_is_one": [Break({"probability_late": 1.01})],
        "shown_only_where_it_wins": [Break({"is_shown": False}, row=1, mart="early_warning_track")],
        "every_project_every_week": [Break({"project_code": "P02"}, is_added=True)],
    },
    "early_warning_track": {
        "three_horizons": [Break({"horizon_weeks": 16}, is_added=True)],
        "horizon_is_known": [Break({"horizon_weeks": 16})],
        "resolved_were_forecast": [Break({"resolved": 51})],
        "scores_within_bounds": [
            Break({"coverage_80": 1.1}),
            Break({"brier": 1.1}),
            Break({"brier_base_rate": 0.26}),
            Break({"resolved": 0}),
        ],
        "shown_means_better": [Break({"brier": 0.21}), Break({"brier": None})],
        "interval_holds_what_it_says": [Break({"coverage_80": 0.4})],
    },
    "agency_scorecard_weekly": {
        "indices_are_shares": [
            Break({"performance_index": 1.1}),
            Break({"reporting_quality_coverage": -0.1}),
        ],
        "thin_indices_are_not_shown": [
            Break({"performance_coverage": 0.4}),
            Break({"reporting_quality_coverage": 0.4}),
        ],
        "quadrant_needs_both": [
            Break({"quadrant": None}),
            Break({"performance_index": None}),
            Break({"quadrant": "so_so"}),
        ],
        "only_the_eligible_are_ranked": [
            Break({"is_rank_eligible": False}),
            Break({"agency_code": "judiciary"}),
            Break({"agency_code": "sim_p00"}),
        ],
        "ranks_follow_the_index": [
            Break({"rank": 2}),
            Break({"agency_code": "sim_a02", "performance_index": 0.95}, is_added=True),
        ],
        "index_is_the_sum_of_its_parts": [
            Break({"performance_index": 0.91}),
            Break({"contribution": None}, row=1, mart="agency_scorecard_component"),
        ],
    },
    "agency_scorecard_component": {
        "component_is_a_share": [Break({"value": 1.1})],
        "contribution_needs_a_value": [Break({"value": None}), Break({"contribution": -0.1})],
        "every_component_is_told": [Break({"index_name": "performance"}, row=1)],
        "weights_are_those_in_force": [Break({"weight": 0.5})],
    },
}

PARTITIONED = {
    model["name"]: model["config"]["meta"]["partition_by"]
    for path in sorted(MODELS.glob("*.yml"))
    for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    if model["name"] in GOOD and "partition_by" in model["config"]["meta"]
}

_REFERENCE = """
create table reference.obligation_debtor (obligation_code text, agency_code text);
insert into reference.obligation_debtor values ('A8', 'sim_a01'), ('A10', 'sim_a01');
create table reference.agency (agency_code text, is_outside_government boolean, level text);
insert into reference.agency values ('sim_a01', false, 'national'), ('sim_a02', false, 'national'),
('judiciary', true, 'national'), ('sim_p00', false, 'provincial');
create table reference.province (province_code text);
insert into reference.province values ('IR-00'), ('IR-01');
create table reference.project (project_code text);
insert into reference.project values ('P01');
create table reference.theme (theme_code text);
insert into reference.theme values ('legal');
create table reference.committee (committee_code text, first_due_month date);
insert into reference.committee values ('sim_c01', '2026-09-23');
create table reference.scorecard_weight (
    version integer, valid_from date, index_name text, component text, weight numeric
);
insert into reference.scorecard_weight values (1, null, 'performance', 'progress', 0.4),
(1, null, 'reporting_quality', 'on_time', 0.4),
(2, '2026-12-01', 'performance', 'progress', 0.5);
create table intermediate.int_funding_latest (
    period_kind text, period_start date, allocated_rial numeric, released_rial numeric,
    spent_rial numeric, is_retracted boolean
);
insert into intermediate.int_funding_latest values
('jalali_year', '2025-03-21', 2000, 1200, 600, false),
('jalali_year', '2025-03-21', 9000, 9000, 9000, true);
"""


def _columns(mart: str) -> list[tuple[str, str]]:
    model = yaml.safe_load((MODELS / f"{mart}.yml").read_text(encoding="utf-8"))["models"][0]
    return [(column["name"], column["data_type"]) for column in model["columns"]]


def _fill(connection: Connection, table: sql.Identifier, mart: str, rows: list[Row]) -> None:
    """Make or empty a table in the form of a mart, and put these rows into it."""
    columns = _columns(mart)
    connection.execute(
        sql.SQL("create table if not exists {} ({})").format(
            table,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
                for name, kind in columns
            ),
        )
    )
    connection.execute(sql.SQL("truncate {}").format(table))
    for row in rows:
        unknown = row.keys() - {name for name, _ in columns}
        assert not unknown, f"{mart} has no {unknown}"
        connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join([sql.Placeholder()] * len(row)),
            ),
            list(row.values()),
        )


@pytest.fixture(scope="module")
def suites() -> dict[str, Suite]:
    return {suite.suite: suite for suite in load_suites(stage="marts")}


@pytest.fixture
def tables(fresh_database: Settings) -> Iterator[Connection]:
    """The marts with their good rows, and as much reference data as they are held against."""
    assert fresh_database.database_url is not None
    with psycopg.connect(fresh_database.database_url, autocommit=True) as connection:
        connection.execute(_REFERENCE)
        for mart, rows in GOOD.items():
            _fill(connection, sql.Identifier("build", mart), mart, rows)
        yield connection


def _spoilt(mart: str, fault: Break) -> list[Row]:
    rows = GOOD[mart]
    if fault.is_emptied:
        return []
    if fault.is_added:
        return [*rows, rows[0] | fault.columns]
    return [row | fault.columns if n == fault.row else row for n, row in enumerate(rows)]


def test_every_mart_has_a_suite_and_every_expectation_a_break(suites: dict[str, Suite]) -> None:
    marts = {path.stem for path in MODELS.glob("*.sql") if not path.stem.startswith("dim_")}
    assert {suite.mart for suite in suites.values()} >= marts
    for name, breaks in BREAKS.items():
        assert breaks.keys() == {one.id for one in suites[name].expectations}, name


def test_Q4_suites_hold_on_good_rows_and_break_on_bad_ones(
    tables: Connection, suites: dict[str, Suite], fresh_database: Settings
) -> None:
    def held(tasks: list[Task]) -> dict[str, bool]:
        outcomes = evaluate(str(fresh_database.database_url), tasks)
        assert not {key: one.fault for key, one in outcomes.items() if one.fault}
        return {f"{name} {identity}": one.is_success for (name, identity), one in outcomes.items()}

    def task(name: str, table: str, mart: str, only: str | None = None) -> Task:
        wanted = [one for one in suites[mart].expectations if only in (None, one.id)]
        return Task(name, f"select * from {table}", wanted)

    faults = [
        (mart, identity, fault)
        for mart, breaks in BREAKS.items()
        for identity, found in breaks.items()
        for fault in found
    ]
    tasks = [task(f"good {mart}", f"build.{mart}", mart) for mart in GOOD]
    # a night judges the partitions that it has rewritten, or none
    for mart, column in PARTITIONED.items():
        for last in ("=", ">"):
            part = f"build.{mart} where {column} {last} (select max({column}) from build.{mart})"
            tasks.append(task(f"good part {last} of {mart}", part, mart))
    for number, (mart, identity, fault) in enumerate(faults):
        if fault.mart is None:
            table = sql.Identifier("build", f"broken_{number}")
            _fill(tables, table, mart, _spoilt(mart, fault))
            tasks.append(task(f"{number}", f"build.broken_{number}", mart, identity))
    found = held(tasks)
    for number, (mart, identity, fault) in enumerate(faults):
        if fault.mart is not None:
            table = sql.Identifier("build", fault.mart)
            _fill(tables, table, fault.mart, _spoilt(fault.mart, fault))
            found |= held([task(f"{number}", f"build.{mart}", mart, identity)])
            _fill(tables, table, fault.mart, GOOD[fault.mart])
    assert [name for name, holds in found.items() if name.startswith("good") and not holds] == []
    assert [f for n, f in enumerate(faults) if found[f"{n} {f[1]}"]] == []
