"""A figure opens to the records that made it, as the asked release knew them.

Run it: `pytest tests/warehouse/test_lineage.py`
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

LAST = dt.date(2026, 11, 14)
PROVINCES = ["IR-00", "IR-01", "IR-02"]


def _week(back: int) -> dt.date:
    return LAST - dt.timedelta(weeks=back)


def _at(day: int) -> dt.datetime:
    return dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def released(warehouse: Any) -> Any:
    """Two releases; the second corrects the lead's last week and a province's value."""
    for agency in ("sim_a01", "sim_a03"):
        warehouse.source(f"{agency}__progress", owed_from=_week(5))
    warehouse.source("sim_a01__plan", kind="target", cadence="once")
    warehouse.source("sim_p00__values", kind="indicator_value", cadence="once")

    def told(back: int, actual: float | None, **more: Any) -> dict[str, Any]:
        return {"project_code": "P01", "period_start": _week(back), "actual_pct": actual} | more

    lead = [told(back, 40 - back, has_output=back == 2 or None) for back in range(8)]
    lead += [
        told(1, 10, planned_pct=20, province_code="IR-02"),
        told(3, 10, planned_pct=20, province_code="IR-02"),
    ]
    warehouse.load("sim_a01__progress", "progress", lead, _at(20))
    warehouse.load(
        "sim_a03__progress", "progress", [told(0, 35), told(9, 5, planned_pct=30)], _at(20)
    )
    plan = [(_week(12), 0), (_week(-8), 100), (_week(-9), 90)]
    warehouse.load(
        "sim_a01__plan",
        "target",
        [{"project_code": "P01", "period_start": day, "target": pct} for day, pct in plan],
        _at(20),
    )
    warehouse.load(
        "sim_p00__values",
        "indicator_value",
        [
            {
                "indicator_code": "sim_i01",
                "province_code": code,
                "period_kind": "jalali_year",
                "period_start": dt.date(2025, 3, 21),
                "numerator": 3 + number,
                "denominator": 4,
            }
            for number, code in enumerate(PROVINCES)
        ],
        _at(20),
    )
    _release(warehouse, 1, warehouse.night(LAST, full=True))
    warehouse.load("sim_a01__progress", "progress", [told(0, 44)], _at(21))
    _release(warehouse, 2, warehouse.night(LAST))
    return warehouse


def _release(warehouse: Any, number: int, build_id: int) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "insert into history.release (release_no, build_id, as_of_week, published_at, kind, "
            "gate_verdict, changed_rows, coverage, content_sha256, inputs_sha256, code_sha256, "
            "reference_sha256) values (%s, %s, %s, now(), 'publish', 'pass', 0, '{}', '', '', '', "
            "'')",
            [number, build_id, LAST],
        )
        connection.execute(
            "insert into history.release_load select %s, load_id from ops.build_load "
            "where build_id = %s",
            [number, build_id],
        )


def _opened(
    warehouse: Any, mart: str, column: str, key: dict[str, Any], release: int = 2
) -> list[tuple[str, Any]]:
    """Return (role, value of the named field) of the records behind a figure."""
    condition = " and ".join(f"l.{name} = %s" for name in key)
    with warehouse.connect() as connection:
        connection.execute(f"set payesh.release = {release}".encode())
        found = connection.execute(
            f"select * from intermediate.lineage_{mart} as l "
            f"where mart_column = %s and {condition}".encode(),
            [column, *key.values()],
        ).fetchall()
        opened = []
        for row in found:
            if row["load_id"] is None:
                opened.append((row["role"], row["kind"]))
                continue
            record = connection.execute(
                f"select {row['field']} as value from raw.{row['kind']} "
                "where load_id = %s and record_no = %s".encode(),
                [row["load_id"], row["record_no"]],
            ).fetchone()
            assert record is not None
            opened.append((row["role"], record["value"]))
    return sorted(opened, key=str)


P01 = {"project_code": "P01", "week_start": LAST}


def test_S2_a_figure_opens_to_the_version_that_its_release_knew(released: Any) -> None:
    assert _opened(released, "project_progress_weekly", "actual_pct", P01, 1) == [("value", 40)]
    assert _opened(released, "project_progress_weekly", "actual_pct", P01, 2) == [("value", 44)]


def test_a_revert_knows_what_the_restored_release_knew(released: Any) -> None:
    with released.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "insert into history.release select 3, build_id, as_of_week, now(), 'revert', 1, "
            "gate_verdict, 0, coverage, '', '', '', '', null from history.release "
            "where release_no = 2"
        )
        row = connection.execute("select release_no from staging.stg_release_known").fetchone()
        assert row == {"release_no": 1}


def test_trend_opens_to_its_six_reported_weeks(released: Any) -> None:
    found = _opened(released, "project_progress_weekly", "trend_pct_per_week", P01)
    assert [value for _, value in found] == [35, 36, 37, 38, 39, 44]


def test_output_opens_to_the_week_that_told_it(released: Any) -> None:
    assert _opened(released, "project_progress_weekly", "has_output", P01) == [
        ("latest known", True)
    ]


def test_a_plan_opens_to_the_points_around_the_friday(released: Any) -> None:
    """Their weights give the figure back."""
    mart = released.one(
        "select planned_pct from build.project_progress_weekly "
        "where project_code = 'P01' and week_start = %s",
        [LAST],
    )
    rows = released.rows(
        "select t.target * l.weight as part from intermediate.lineage_project_progress_weekly "
        "as l join raw.target as t using (load_id, record_no) where l.project_code = 'P01' "
        "and l.week_start = %s and l.mart_column = 'planned_pct'",
        [LAST],
    )
    assert len(rows) == 2
    assert round(sum(row["part"] for row in rows), 4) == mart["planned_pct"]


def test_E7_conflicts_open_to_every_agency(released: Any) -> None:
    found = _opened(released, "project_progress_weekly", "conflicting_agencies", P01)
    assert found == [("value", 35), ("value", 44)]


def test_S7_a_missing_slice_opens_to_its_last_report(released: Any) -> None:
    key = {"project_code": "P01", "province_code": "IR-02", "week_start": LAST}
    mart = "project_province_weekly"
    assert _opened(released, mart, "actual_pct", key) == []
    assert _opened(released, mart, "weeks_since_report", key) == [("last report", _week(1))]
    key["week_start"] = _week(1)
    assert _opened(released, mart, "spi", key) == [("plan", 20), ("value", 10)]


def test_a_quotient_opens_to_both_of_its_parts(released: Any) -> None:
    key = {"indicator_code": "sim_i01", "province_code": "IR-01"}
    assert _opened(released, "provincial_indicator", "value", key) == [
        ("denominator", 4),
        ("numerator", 4),
    ]
    mean = _opened(released, "provincial_balance", "mean", {"indicator_code": "sim_i01"})
    assert [value for _, value in mean] == [3, 4, 5]


def test_a_headline_opens_to_its_projects_and_reports(released: Any) -> None:
    key = {"metric_code": "portfolio_actual_pct", "week_start": LAST}
    assert _opened(released, "macro_overview_weekly", "value", key) == [("value", 44)]
    key["metric_code"] = "reporting_rate_pct"
    found = _opened(released, "macro_overview_weekly", "value", key)
    assert ("first receipt", LAST) in found
    assert ("duty", "reference:source") in found


def test_no_figure_is_without_an_origin(released: Any) -> None:
    """Every value that is given, in every mart and column, has at least one line of lineage."""
    for mart, grain in {
        "project_progress_weekly": ["project_code", "week_start"],
        "project_province_weekly": ["project_code", "province_code", "week_start"],
        "agency_reporting_weekly": ["agency_code", "source", "period_kind", "period_start"],
        "provincial_indicator": ["indicator_code", "province_code", "period_kind", "period_start"],
        "provincial_balance": ["indicator_code", "period_kind", "period_start"],
        "macro_overview_weekly": ["metric_code", "week_start"],
    }.items():
        keys = ", ".join(f"m.{column}" for column in grain)
        same = " and ".join(f"l.{column} = m.{column}" for column in grain)
        rows = released.rows(
            f"""
            select c.key, {keys}
            from build.{mart} as m
            cross join lateral jsonb_each_text(to_jsonb(m)) as c
            where c.value is not null and c.value not in ('0', 'false', '0.000000', 'no_data',
                'insufficient', 'no_value', 'no_baseline', 'none_owed', 'no_target')
                and c.key <> all(%s)
                and not exists (
                    select from intermediate.lineage_{mart} as l
                    where {same} and l.mart_column = c.key
                )
            """,
            [grain],
        )
        assert rows == [], f"{mart}: {rows[:3]}"


def test_one_figure_opens_fast(released: Any) -> None:
    """A condition on the grain reaches the indexes: nothing is read whole."""
    plan = "\n".join(
        row["QUERY PLAN"]
        for row in released.rows(
            "explain select * from intermediate.lineage_project_progress_weekly "
            "where project_code = 'P01' and week_start = date '2026-11-14'"
        )
    )
    assert "Seq Scan on progress" not in plan
    started = dt.datetime.now(dt.UTC)
    released.rows(
        "select * from intermediate.lineage_project_progress_weekly "
        "where project_code = 'P01' and week_start = date '2026-11-14'"
    )
    assert (dt.datetime.now(dt.UTC) - started).total_seconds() < 2
