"""Total rows against their rows: found when they differ, never put right, never a record."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ingestion.contracts import judge
from ingestion.layouts import extract
from ingestion.normalise.codelists import load_code_lists
from ingestion.spec.model import SourceSpec
from ingestion.table import Finding, Grid

LISTS = load_code_lists(Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference")
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
HEAD = ["استان", "مصوب", "سهم"]


def totals(rows: list[list[Any]], **share: Any) -> list[Finding]:
    """What is found about the totals of a table of money (in million rial) and shares."""
    spec = SourceSpec.model_validate(
        {
            "source": "sim_a01__budget",
            "title": "t",
            "kind": "funding" if not share else "indicator_value",
            "agency": "sim_a01",
            "owner": {"name": "n", "email": "n@example.invalid"},
            "connector": {"type": "folder", "path": "."},
            "layouts": [{"fields": _fields(share)}],
        }
    )
    layout = spec.layouts[0]
    table = extract([Grid("ب", [HEAD, *rows])], layout, spec)
    records = judge(table, layout, spec, LISTS, NOW)
    assert all(code for code in records.accepted["province_code"]), "no total becomes a record"
    return [f for f in records.findings if f.reason_code == "total-differs"]


def _fields(share: dict[str, Any]) -> dict[str, Any]:
    period = {"value": "jalali_year:1404"}
    province = {"headers": ["استان"]}
    if not share:
        money = {"headers": ["مصوب"], "unit": "میلیون ریال"}
        return {"province": province, "period": period, "allocated": money}
    value = {"headers": ["سهم"], "percent_scale": "percent", **share}
    return {
        "province": province,
        "period": period,
        "indicator": {"value": "sim_i01"},
        "value": value,
    }


def test_K9_K10_a_total_that_its_rows_do_not_give_is_told_with_the_gap() -> None:
    rows: list[list[Any]] = [["تهران", "۱۰۰", None], ["البرز", 50, None], ["جمع کل", 160, None]]
    (found,) = totals(rows)
    assert (found.scope, found.locator, found.raw_text) == ("file", "ب!B4", "160")
    assert "160,000,000" in found.message
    assert "the gap is 10,000,000" in found.message
    assert totals([*rows[:2], ["جمع کل", 150, None]]) == []


def test_K9_subtotals_and_totals_above_their_rows_agree() -> None:
    rows: list[list[Any]] = [
        ["کل کشور", 180, None],
        ["تهران", 100, None],
        ["البرز", 50, None],
        ["جمع", 150, None],
        ["قم", 30, None],
        ["جمع", 30, None],
        ["جمع کل", 180, None],
    ]
    assert totals(rows) == []
    rows[3][1] = 151
    assert [f.locator for f in totals(rows)] == ["ب!B5"]


def test_K9_where_a_row_could_not_be_read_there_is_nothing_to_compare() -> None:
    assert totals([["تهران", "۱۰۰ (برآورد)", None], ["البرز", 50, None], ["جمع", 150, None]]) == []
    # a blank is no fault: the total is compared, and tells what is missing
    assert len(totals([["تهران", None, None], ["البرز", 50, None], ["جمع", 150, None]])) == 1


def test_K9_fractions_of_a_float_are_no_difference() -> None:
    rows = [["تهران", 0.1, None], ["البرز", 0.2, None], ["جمع", 0.30000000000000004, None]]
    assert totals(rows) == []


@pytest.mark.parametrize(("total", "tolerance", "differs"), [
    (100, 0.2, False), (100, 0.05, True), ("۱۰۰", 0.1, False), (99.9, 0, False), (98, 0.5, True),
])  # fmt: skip
def test_N14_shares_may_miss_a_hundred_by_the_declared_rounding(
    total: Any, tolerance: float, differs: bool
) -> None:
    rows = [["تهران", None, 33.3], ["البرز", None, 33.3], ["قم", None, 33.3], ["جمع", None, total]]
    assert bool(totals(rows, total_tolerance=tolerance)) is differs


def test_N14_without_a_declared_tolerance_a_total_of_shares_may_be_a_mean() -> None:
    rows = [["تهران", None, 30], ["البرز", None, 50], ["کل کشور", None, 40]]
    assert totals(rows, minimum=0) == []


def test_K9_sums_of_pages_and_what_is_carried_over_are_totals_too() -> None:
    rows: list[list[Any]] = [
        ["تهران", 100, None],
        ["البرز", 50, None],
        ["جمع صفحه", 150, None],
        HEAD,
        ["نقل از صفحه قبل", 150, None],
        ["قم", 30, None],
        ["جمع این صفحه", 30, None],
        ["جمع کل", 180, None],
    ]
    assert totals(rows) == []
    rows[4][1] = 140
    assert [f.raw_text for f in totals(rows)] == ["140"]
