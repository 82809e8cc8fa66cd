"""From candidate rows to records: keys, cells, duplicates, the balance, lineage.

Traps N6, N7, N9, N10, N11, N13, D24, E3, K18, S6, T7, X4 and law 2 (nothing lost).
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import contracts
from ingestion.contracts import REASONS, judge, reason
from ingestion.contracts import fields as fields_module
from ingestion.contracts.fields import ReadContext, dtype_of, read_field
from ingestion.errors import IngestError
from ingestion.normalise.codelists import CodeLists, load_code_lists
from ingestion.normalise.rules import RULES, RULES_VERSION, rule
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import FieldMap, HttpJson, SourceSpec, UpdatedSince
from ingestion.table import CellType, Column, Finding, NonData, Places, RawTable, Records
from tests.opened import opened

SHIPPED = Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference"
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)  # Saturday noon in Tehran
WEEK = "1405/08/23"
LISTS: CodeLists = load_code_lists(SHIPPED)

PROGRESS: dict[str, Any] = {
    "period": {"headers": ["هفته"], "calendar": "jalali"},
    "project": {"headers": ["پروژه"]},
    "province": {"headers": ["استان"], "required": False},
    "activity": {"headers": ["فعالیت"], "required": False},
    "planned_pct": {"headers": ["برنامه"], "percent_scale": "percent"},
    "actual_pct": {"headers": ["واقعی"], "percent_scale": "percent"},
    "planned_cost": {"headers": ["هزینه"], "unit": "میلیون ریال", "required": False},
    "has_output": {"headers": ["خروجی"], "required": False},
    "note": {"headers": ["یادداشت"], "required": False},
}


def spec_of(kind: str, fields: dict[str, Any], **extra: Any) -> SourceSpec:
    layout = {"fields": fields, **extra.pop("layout", {})}
    return SourceSpec.model_validate(
        {
            "source": "sim_a01__test",
            "title": "a test",
            "kind": kind,
            "agency": "sim_a01",
            "owner": {"name": "n", "email": "n@example.invalid"},
            "connector": {"type": "folder", "path": "."},
            "layouts": [layout],
            **extra,
        }
    )


def table_of(columns: dict[str, list[str | None]], **kinds: list[CellType]) -> RawTable:
    height = len(next(iter(columns.values()), []))
    mapped = {}
    for letter, (name, texts) in zip("ABCDEFGHIJKL", columns.items(), strict=False):
        types = kinds.get(name)
        mapped[name] = Column(
            text=pl.Series("text", texts, dtype=pl.Utf8),
            at=pl.Series("at", [f"s!{letter}{row + 2}" for row in range(height)], dtype=pl.Utf8),
            kind=None if types is None else pl.Series([int(t) for t in types], dtype=pl.UInt8),
            header=f"title {name}",
        )
    at = pl.Series("at", [f"s!{row + 2}" for row in range(height)], dtype=pl.Utf8)
    return RawTable(height, mapped, at)


def run(
    columns: dict[str, list[str | None]],
    kind: str = "progress",
    fields: dict[str, Any] | None = None,
    *,
    now: dt.datetime = NOW,
    kinds: dict[str, list[CellType]] | None = None,
    **extra: Any,
) -> Records:
    chosen = PROGRESS if fields is None else fields
    spec = spec_of(kind, {n: f for n, f in chosen.items() if n in columns or "value" in f}, **extra)
    return judge(table_of(columns, **(kinds or {})), spec.layouts[0], spec, LISTS, now)


def progress(**columns: list[str | None]) -> Records:
    height = len(next(iter(columns.values())))
    base: dict[str, list[str | None]] = {
        "period": [WEEK] * height,
        "project": [f"P{row + 1:02}" for row in range(height)],
    }
    return run({**base, **columns})


def reasons(records: Records) -> list[tuple[str, str, str | None]]:
    return [(f.scope, f.reason_code, f.field) for f in records.findings]


# ------------------------------------------------------------------------------ shape


def test_accepted_has_the_columns_of_raw_in_order() -> None:
    records = progress(actual_pct=["45.5"], planned_pct=["۵۰"])
    common = [
        *("record_key", "period_kind", "period_start", "reported_at", "is_retracted", "is_hidden"),
        *("cells_required", "cells_filled", "locator", "lineage"),
    ]
    own = [
        f.column
        for f in KINDS["progress"].fields
        if f.name not in ("period", "reported_at", "retracted")
    ]
    assert records.accepted.columns == [*common, *own, "row"]
    row = records.accepted.row(0, named=True)
    assert row["record_key"] == "week:2026-11-14|P01|sim_a01||"
    assert (row["period_kind"], row["period_start"]) == ("week", dt.date(2026, 11, 14))
    assert (row["planned_pct"], row["actual_pct"]) == (Decimal(50), Decimal("45.5"))
    assert (row["agency_code"], row["province_code"], row["activity"]) == ("sim_a01", "", "")
    assert (row["cells_required"], row["cells_filled"]) == (2, 2)
    assert row["locator"] == "s!2"
    assert records.accepted["actual_pct"].dtype == pl.Decimal(38, 4)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_comes_out_typed_even_from_no_rows(kind: str) -> None:
    fields = {f.name: {"headers": [f.name]} for f in KINDS[kind].fields if f.required or f.is_key}
    records = run({name: [] for name in fields}, kind, fields)
    assert records.accepted.height == records.rows_read == 0
    for field in KINDS[kind].fields:
        assert records.accepted[field.column].dtype == dtype_of(field), field.name


def test_lineage_opens_every_cell() -> None:
    records = progress(actual_pct=['4"5\\', None], note=["a\nb\x00", "سلام"])
    first, second = opened(records)
    assert first == {
        "period": ["s!A2", WEEK, "title period"],
        "project": ["s!B2", "P01", "title project"],
        "actual_pct": ["s!C2", '4"5\\', "title actual_pct"],
        "note": ["s!D2", "a\nb␀", "title note"],
    }
    assert second["actual_pct"] == ["s!C3", None, "title actual_pct"]
    assert second["note"][1] == "سلام"


def test_constants_of_the_source_file_fill_fields_but_stand_in_no_cell() -> None:
    fields = {**PROGRESS, "project": {"value": "هویت هوشمند"}}
    records = run({"period": [WEEK], "actual_pct": ["1"]}, fields=fields, province="IR-02")
    row = records.accepted.row(0, named=True)
    assert (row["project_code"], row["province_code"]) == ("P02", "IR-02")
    assert set(opened(records)[0]) == {"period", "actual_pct"}


def test_a_source_file_with_an_unknown_agency_is_its_own_fault() -> None:
    with pytest.raises(IngestError) as caught:
        run({"period": [WEEK], "project": ["P01"], "actual_pct": ["1"]}, agency="sim_a99")
    assert caught.value.code == "unknown-agency"
    assert "sim_a99" in str(caught.value)


def test_optional_agencies_are_not_invented() -> None:
    fields = {
        "period": {"headers": ["p"]},
        "indicator": {"headers": ["i"]},
        "province": {"headers": ["o"]},
        "value": {"headers": ["v"], "unit": "line"},
    }
    columns: dict[str, list[str | None]] = {
        "period": ["gregorian_year:2016"],
        "indicator": ["idi"],
        "province": ["البرز"],
        "value": ["5.6"],
    }
    row = run(columns, "indicator_value", fields).accepted.row(0, named=True)
    assert row["record_key"] == "gregorian_year:2016-01-01|idi|IR-30|"
    assert row["agency_code"] == ""
    assert row["unit"] == "line"


# ------------------------------------------------------------------------------ rows and cells


def test_a_key_fault_refuses_the_row_with_one_finding_that_names_the_rest() -> None:
    records = progress(province=["مازندان", "البرز"], actual_pct=["x", "1"])
    assert records.rows_refused == 1
    assert records.accepted["row"].to_list() == [1]
    (finding,) = records.findings
    assert (finding.scope, finding.reason_code) == ("row", "unknown-province")
    assert (finding.locator, finding.header) == ("s!C2", "title province")
    assert (finding.raw_text, finding.row) == ("مازندان", 0)
    assert "مازندران" in finding.message
    assert "actual_pct: not-a-number" in finding.message


def test_another_fault_refuses_the_cell_and_the_row_lives_on() -> None:
    records = progress(planned_pct=["50", "50"], actual_pct=["#REF!", "12%"])
    assert records.rows_refused == 0
    assert records.accepted["actual_pct"].to_list() == [None, Decimal(12)]
    assert records.accepted["planned_pct"].to_list() == [Decimal(50)] * 2
    assert records.accepted["cells_filled"].to_list() == [1, 2]
    (finding,) = records.findings
    assert (finding.scope, finding.reason_code, finding.locator) == ("cell", "error-value", "s!D2")
    assert finding.rule == rule("error-value")
    assert "#REF!" in finding.message
    assert finding.remedy


def test_a_missing_key_refuses_the_row() -> None:
    records = progress(project=["P01", None], actual_pct=["1", "1"])
    assert reasons(records) == [("row", "missing-key", "project")]


def test_refused_rows_tell_who_and_when_as_far_as_read() -> None:
    records = progress(project=["P01", "P01x"], province=["مازندان", "البرز"])
    assert records.refused is not None
    assert records.refused.rows() == [
        (0, "sim_a01", None, "week", dt.date(2026, 11, 14)),
        (1, "sim_a01", "IR-30", "week", dt.date(2026, 11, 14)),
    ]


def test_findings_of_the_layout_stay_with_accepted_rows_and_join_those_of_refused_ones() -> None:
    columns: dict[str, list[str | None]] = {"period": [WEEK, "soon"], "project": ["P01", "P02"]}
    table = table_of(columns)
    found = Finding("cell", "merged-value", "s!C2", "m.", "r.", "layout/1", field="actual_pct")
    table.findings = [replace(found, row=0), replace(found, row=1), found]
    spec = spec_of("progress", {n: PROGRESS[n] for n in columns})
    records = judge(table, spec.layouts[0], spec, LISTS, NOW)
    assert [(f.scope, f.row) for f in records.findings] == [("cell", 0), ("cell", None), ("row", 1)]
    assert "actual_pct: merged-value" in records.findings[-1].message


@pytest.mark.parametrize(("text", "code"), [("120", "out-of-range"), ("-5", "out-of-range"),
                                            ("(5)", "out-of-range")])  # fmt: skip
def test_N6_N7_progress_outside_its_domain(text: str, code: str) -> None:
    records = progress(actual_pct=[text])
    assert reasons(records) == [("cell", code, "actual_pct")]
    assert records.accepted["actual_pct"].to_list() == [None]


def test_N7_a_source_may_widen_the_domain() -> None:
    fields = {**PROGRESS, "actual_pct": {**PROGRESS["actual_pct"], "maximum": 150}}
    records = run({"period": [WEEK], "project": ["P01"], "actual_pct": ["120"]}, fields=fields)
    assert records.accepted["actual_pct"].to_list() == [Decimal(120)]


@pytest.mark.parametrize(
    ("text", "code"),
    [("نامشخص", "not-reported"), ("-", "not-applicable"), ("محرمانه", "withheld"),
     ("Section 43", "withheld")],
)  # fmt: skip
def test_N11_absences_keep_their_own_code(text: str, code: str) -> None:
    assert reasons(progress(actual_pct=[text])) == [("cell", code, "actual_pct")]


def test_T15_a_dash_alone_means_none_and_is_never_a_formula() -> None:
    records = progress(actual_pct=["-"], note=["=1+1"])
    assert reasons(records) == [("cell", "not-applicable", "actual_pct")]
    assert records.accepted["note"].to_list() == ["=1+1"]


def test_P7_json_numbers_as_text_with_persian_digits_and_nulls() -> None:
    records = progress(actual_pct=["45.50", "۴۵٫۵", None, "4.55e1"], planned_pct=["1e2"] * 4)
    assert records.accepted["actual_pct"].to_list() == [
        Decimal("45.5"), Decimal("45.5"), None, Decimal("45.5"),
    ]  # fmt: skip
    assert records.accepted["planned_pct"].to_list() == [Decimal(100)] * 4
    assert records.findings == []


def test_columns_without_a_single_value_stay_empty_columns() -> None:
    names = [name for name in PROGRESS if name not in ("period", "project")]
    records = progress(**{name: [None, None] for name in names})
    assert records.findings == []
    assert records.accepted.height == 2
    assert records.accepted["cells_filled"].to_list() == [0, 0]


def test_D25_reported_and_described_and_received_are_three_things() -> None:
    fields = {**PROGRESS, "reported_at": {"headers": ["r"], "calendar": "jalali"}}
    columns: dict[str, list[str | None]] = {
        "period": [WEEK], "project": ["P01"], "reported_at": ["1405/08/25 10:00"],
    }  # fmt: skip
    row = run(columns, fields=fields).accepted.row(0, named=True)
    assert row["period_start"] == dt.date(2026, 11, 14)
    assert row["reported_at"] == dt.datetime(2026, 11, 16, 6, 30, tzinfo=dt.UTC)
    assert "received_at" not in row  # the loader's: one receipt for the whole file


def test_N11_declared_blank_words_and_blanks_are_no_findings() -> None:
    setting = {**PROGRESS["actual_pct"], "blank_words": ["نامشخص"]}
    columns: dict[str, list[str | None]] = {
        "period": [WEEK] * 3, "project": ["P01", "P02", "P03"], "actual_pct": ["نامشخص", None, " "],
    }  # fmt: skip
    records = run(columns, fields={**PROGRESS, "actual_pct": setting})
    assert records.findings == []
    assert records.accepted["cells_filled"].to_list() == [0, 0, 0]


def test_X5_formulas_without_value_are_named() -> None:
    columns: dict[str, list[str | None]] = {
        "period": [WEEK], "project": ["P01"], "actual_pct": ["=A1+A2"],
    }  # fmt: skip
    records = run(columns, kinds={"actual_pct": [CellType.NO_VALUE]})
    assert reasons(records) == [("cell", "formula-without-value", "actual_pct")]


def test_N10_money_is_stored_in_rial() -> None:
    records = progress(planned_cost=["12.5", "۱۲٫۵ میلیون ریال", "5 تومان", "7 prose"])
    assert records.accepted["planned_cost_rial"].to_list() == [
        Decimal(12_500_000), Decimal(12_500_000), None, None,
    ]  # fmt: skip
    assert [f.reason_code for f in records.findings] == ["unit-mismatch", "not-a-number"]


def test_N10_money_without_a_declared_unit_is_refused_unless_the_cell_names_it() -> None:
    fields = {**PROGRESS, "planned_cost": {"headers": ["هزینه"]}}
    columns: dict[str, list[str | None]] = {
        "period": [WEEK] * 2, "project": ["P01", "P02"], "planned_cost": ["12", "3 هزار تومان"],
    }  # fmt: skip
    records = run(columns, fields=fields)
    assert records.accepted["planned_cost_rial"].to_list() == [None, Decimal(30_000)]
    assert reasons(records) == [("cell", "unit-not-declared", "planned_cost")]


def test_N9_identifiers_that_lost_digits_refuse_the_row() -> None:
    fields = {"period": {"headers": ["p"]}, "service": {"headers": ["s"]}}
    texts: list[str | None] = ["0012345678", "12345678901234567000", "1E+15", "۰۰۷", "42.0"]
    columns = {"period": [WEEK] * 5, "service": texts}
    kinds = {
        "service": [CellType.TEXT, CellType.NUMBER, CellType.TEXT, CellType.TEXT, CellType.NUMBER]
    }
    records = run(columns, "service_status", fields, kinds=kinds)
    assert records.accepted["service_code"].to_list() == ["0012345678", "007", "42"]
    assert reasons(records) == [("row", "rounded-identifier", "service")] * 2


def test_N4_stored_fractions_shown_as_percent() -> None:
    table = table_of(
        {"period": [WEEK] * 2, "project": ["P01", "P02"], "actual_pct": ["0.45", "45"]},
        actual_pct=[CellType.NUMBER] * 2,
    )
    table.columns["actual_pct"].number_format = pl.Series(["0.0%", None])
    spec = spec_of("progress", {n: PROGRESS[n] for n in ("period", "project", "actual_pct")})
    records = judge(table, spec.layouts[0], spec, LISTS, NOW)
    assert records.accepted["actual_pct"].to_list() == [Decimal(45), Decimal(45)]


def test_N4_a_plain_number_shown_as_percent_is_refused_unless_its_unit_is_percent() -> None:
    fields = {
        "period": {"headers": ["p"]},
        "indicator": {"headers": ["i"]},
        "value": {"headers": ["v"]},
    }
    columns = {"period": ["1405/01"], "indicator": ["idi"], "value": ["0.45"]}
    period = {**fields["period"], "period_kind": "jalali_month"}
    for unit, expected in ((None, None), ("percent", Decimal(45)), ("درصد", Decimal(45))):
        chosen = {**fields, "period": period, "value": {"headers": ["v"], "unit": unit}}
        table = table_of(columns, value=[CellType.NUMBER])
        table.columns["value"].number_format = pl.Series(["0%"])
        spec = spec_of("indicator_value", chosen)
        records = judge(table, spec.layouts[0], spec, LISTS, NOW)
        assert records.accepted["value"].to_list() == [expected]


def test_has_output_reads_words() -> None:
    records = progress(has_output=["بله", "ندارد", "نامشخص", None])
    assert records.accepted["has_output"].to_list() == [True, False, None, None]
    assert reasons(records) == [("cell", "not-reported", "has_output")]


# ------------------------------------------------------------------------------ time


def test_D24_a_week_that_has_not_begun_refuses_the_row() -> None:
    saturday = dt.datetime(2026, 11, 20, 20, 30, tzinfo=dt.UTC)  # 21 November 00:00 in Tehran
    columns: dict[str, list[str | None]] = {
        "period": ["2026-11-21"], "project": ["P01"], "actual_pct": ["1"],
    }  # fmt: skip
    fields = {**PROGRESS, "period": {"headers": ["p"]}}
    assert run(columns, fields=fields, now=saturday).accepted.height == 1
    early = run(columns, fields=fields, now=saturday - dt.timedelta(seconds=1))
    assert reasons(early) == [("row", "future-period", "period")]


def test_D24_targets_may_lie_ahead() -> None:
    fields = {"period": {"headers": ["p"], "period_kind": "jalali_year"},
              "indicator": {"headers": ["i"]}, "target": {"headers": ["t"]}}  # fmt: skip
    columns = {"period": ["1420"], "indicator": ["idi"], "target": ["9.5"]}
    records = run(columns, "target", fields)
    assert records.accepted["revision"].to_list() == [0]
    assert records.accepted["record_key"].to_list() == ["jalali_year:2041-03-20|idi|||0"]


def test_D24_reports_dated_after_receipt_lose_the_date_only() -> None:
    fields = {**PROGRESS, "reported_at": {"headers": ["r"]}}
    columns: dict[str, list[str | None]] = {
        "period": [WEEK] * 2, "project": ["P01", "P02"],
        "reported_at": ["2026-11-22T08:00:00Z", "2026-11-23T08:00:00Z"],
    }  # fmt: skip
    records = run(columns, fields=fields)
    assert records.accepted["reported_at"].null_count() == 1
    assert reasons(records) == [("cell", "future-dated", "reported_at")]


def test_D24_a_ticket_closed_before_it_was_opened() -> None:
    fields = {name: {"headers": [name]} for name in ("period", "ticket", "opened_at", "closed_at")}
    columns = {
        "period": [WEEK],
        "ticket": ["T1"],
        "opened_at": ["1405/08/10"],
        "closed_at": ["1405/08/09"],
    }
    records = run(columns, "ticket", fields)
    assert reasons(records) == [("cell", "closed-before-opened", "closed_at")]
    assert records.accepted["project_code"].to_list() == [""]


def test_D3_a_calendar_is_declared_for_the_period() -> None:
    records = progress(period=["2026-11-14"], actual_pct=["1"])
    assert reasons(records) == [("row", "calendar-mismatch", "period")]


def test_E3_codes_are_judged_as_of_the_record_s_period() -> None:
    fields = {
        "period": {"headers": ["p"], "period_kind": "jalali_year"},
        "indicator": {"headers": ["i"]},
        "province": {"headers": ["o"]},
        "value": {"headers": ["v"]},
    }
    columns = {"period": ["1389", "1395"], "indicator": ["idi"] * 2, "province": ["البرز"] * 2,
               "value": ["1", "2"]}  # fmt: skip
    records = run(columns, "indicator_value", fields)
    assert records.accepted["period_start"].to_list() == [
        dt.date(2010, 3, 21),
        dt.date(2016, 3, 20),
    ]


def test_a_record_kind_has_its_own_period_kinds() -> None:
    fields = {**PROGRESS, "period": {"headers": ["p"]}}
    columns: dict[str, list[str | None]] = {"period": ["jalali_year:1404"], "project": ["P01"]}
    assert reasons(run(columns, fields=fields)) == [("row", "not-a-period", "period")]


# ------------------------------------------------------------------------------ rows among rows


def test_S1_the_same_row_again_is_counted_as_repeated() -> None:
    records = progress(project=["P01"] * 2, actual_pct=["1", "1"])
    assert records.accepted["row"].to_list() == [0]
    assert (records.rows_refused, records.non_data) == (0, {"repeated": 1})
    assert records.findings == []


def test_S1_the_same_row_in_other_words_refuses_the_later_one() -> None:
    records = progress(project=["P01"] * 3, actual_pct=["1", "1.0", "1"])
    assert records.accepted["row"].to_list() == [0]
    assert reasons(records) == [("row", "duplicate-row", None)]
    assert records.non_data == {"repeated": 1}


def test_S3_rows_that_contradict_each_other_are_all_refused() -> None:
    records = progress(project=["P01", "P02", "P01"], actual_pct=["1", "1", "2"])
    assert records.accepted["row"].to_list() == [1]
    assert reasons(records) == [("row", "conflicting-rows", None)] * 2
    assert [f.locator for f in records.findings] == ["s!2", "s!4"]
    assert "s!2, s!4" in records.findings[0].message


def test_T12_two_spellings_of_an_activity_are_one_record() -> None:
    records = progress(
        project=["P01"] * 2, activity=["فعاليت يك", "فعالیت یک"], actual_pct=["1", "2"]
    )
    assert [f.reason_code for f in records.findings] == ["conflicting-rows"] * 2
    kept = progress(activity=["فعاليت |يك"])
    assert kept.accepted["activity"].to_list() == ["فعاليت |يك"]
    assert kept.accepted["record_key"][0].endswith("||فعالیت¦یک")


def test_refused_rows_do_not_make_others_duplicates() -> None:
    records = progress(project=["P01", "P01"], period=[WEEK, "x"], actual_pct=["1", "2"])
    assert records.accepted["row"].to_list() == [0]
    assert reasons(records) == [("row", "not-a-date", "period")]


def test_S6_a_row_of_another_province_in_a_province_s_file() -> None:
    columns: dict[str, list[str | None]] = {
        "period": [WEEK] * 2, "project": ["P01"] * 2, "province": ["البرز", "قم"],
    }  # fmt: skip
    records = run(columns, province="IR-30")
    assert reasons(records) == [("row", "foreign-province", "province")]
    assert records.accepted["province_code"].to_list() == ["IR-30"]


@pytest.mark.parametrize(("indicator", "project"), [("idi", "P01"), (None, None)])
def test_a_target_has_exactly_one_subject(indicator: str | None, project: str | None) -> None:
    fields = {"period": {"headers": ["p"]}, "indicator": {"headers": ["i"]},
              "project": {"headers": ["j"]}, "target": {"headers": ["t"]}}  # fmt: skip
    columns = {"period": [WEEK], "indicator": [indicator], "project": [project], "target": ["1"]}
    assert reasons(run(columns, "target", fields)) == [("row", "one-subject", None)]


# ------------------------------------------------------------------------------ wide tables


def test_K8_each_wide_column_has_its_own_scale_and_unit() -> None:
    fields = {"province": {"headers": ["استان"]}}
    unpivot = {
        "columns": [
            {
                "headers": ["A"],
                "set": {"indicator": "idi", "period": "gregorian_year:2016"},
                "unit": "index",
            },
            {
                "headers": ["B"],
                "set": {"indicator": "landline_rate", "period": "gregorian_year:2016"},
                "percent_scale": "fraction",
                "unit": "percent",
            },
        ]
    }
    spec = spec_of("indicator_value", fields, layout={"unpivot": unpivot})
    table = table_of(
        {
            "province": ["البرز", "البرز", "قم", "قم"],
            "indicator": ["idi", "landline_rate"] * 2,
            "period": ["gregorian_year:2016"] * 4,
            "value": ["0.5", "0.5", "7.25", "1"],
        }
    )
    table.columns["value"].header = None
    table.columns["value"].headers = pl.Series(["A", "B"] * 2)
    table.ways = [
        {"value": FieldMap(value="", unit="index")},
        {"value": FieldMap(value="", unit="percent", percent_scale="fraction")},
    ]
    table.way = pl.Series([0, 1] * 2, dtype=pl.UInt16)
    records = judge(table, spec.layouts[0], spec, LISTS, NOW)
    assert records.findings == []
    values = records.accepted["value"].to_list()
    assert values == [Decimal("0.5"), Decimal(50), Decimal("7.25"), Decimal(100)]
    assert records.accepted["unit"].to_list() == ["index", "percent"] * 2
    assert [x["value"][2] for x in opened(records)] == ["A", "B"] * 2


def test_wide_columns_that_set_the_same_claim_a_row_once() -> None:
    same = {"set": {"indicator": "idi", "period": "gregorian_year:2016"}}
    unpivot = {"columns": [{"headers": ["A"], **same}, {"headers": ["B"], **same}]}
    spec = spec_of("indicator_value", {"province": {"headers": ["p"]}}, layout={"unpivot": unpivot})
    columns: dict[str, list[str | None]] = {
        "province": ["قم", "البرز"], "indicator": ["idi"] * 2,
        "period": ["gregorian_year:2016"] * 2, "value": ["1", "2"],
    }  # fmt: skip
    records = judge(table_of(columns), spec.layouts[0], spec, LISTS, NOW)
    assert records.accepted["value"].to_list() == [Decimal(1), Decimal(2)]


def test_S6_an_answer_of_changes_may_be_of_one_other_agency() -> None:
    fields = {"project": {"headers": ["p"]}, "agency": {"headers": ["a"]}}
    fields |= {"period": {"headers": ["w"]}, "actual_pct": {"headers": ["x"]}}
    columns: dict[str, list[str | None]] = {
        "project": ["P01"], "agency": ["judiciary"], "period": [WEEK], "actual_pct": ["40"],
    }  # fmt: skip
    spec = spec_of("progress", fields)
    whole = judge(table_of(columns), spec.layouts[0], spec, LISTS, NOW)
    assert [f.reason_code for f in whole.findings] == ["foreign-agency"]
    assert whole.by_column, "no part of a file can tell"
    api = HttpJson(type="http_json", url="http://a.invalid", updated_since=UpdatedSince())
    changes = spec.model_copy(update={"connector": api})
    assert judge(table_of(columns), spec.layouts[0], changes, LISTS, NOW).accepted.height == 1


# ------------------------------------------------------------------------------ remarks


def test_N1_mixed_digits_are_remarked_once_a_column_and_still_read() -> None:
    records = progress(actual_pct=["۱2", "٣۴", "5"])
    assert records.accepted["actual_pct"].to_list() == [Decimal(12), Decimal(34), Decimal(5)]
    (finding,) = records.findings
    assert (finding.scope, finding.reason_code, finding.locator) == ("file", "mixed-digits", "s!C2")


def test_X4_hidden_rows_are_marked_and_remarked() -> None:
    columns: dict[str, list[str | None]] = {"period": [WEEK] * 2, "project": ["P01", "P02"]}
    table = table_of(columns)
    table.hidden = pl.Series([False, True])
    spec = spec_of("progress", {n: PROGRESS[n] for n in columns})
    records = judge(table, spec.layouts[0], spec, LISTS, NOW)
    assert records.accepted["is_hidden"].to_list() == [False, True]
    assert reasons(records) == [("file", "hidden-rows", None)]


def test_T7_trimmed_cells_are_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        records = progress(province=["البرز ", "قم"])
    assert records.accepted["province_code"].to_list() == ["IR-30", "IR-25"]
    assert "province: spaces or marks around 1 cells" in caplog.text


# ------------------------------------------------------------------------------ the whole


CELLS = st.one_of(
    st.none(),
    st.sampled_from(["45", "۴۵", "120", "x", "#REF!", "-", "نامشخص", "1,5", "0.5", "50%", "٤٥٫٥"]),
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from([WEEK, "1405/08/30", "1402/12/30", None, "soon", "1406/01/01"]),
        st.sampled_from(["P01", "P02", "هویت هوشمند", "nothing", None]),
        st.sampled_from(["", None, "البرز", "خراسان", "كرمان "]),
        CELLS,
        CELLS,
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 5))
def test_law_2_every_row_and_cell_is_accounted_for(
    rows: list[tuple[Any, ...]], titles: int
) -> None:
    names = ("period", "project", "province", "planned_pct", "actual_pct")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    table = table_of(columns)
    table.non_data = [NonData("title", titles), NonData("title", 1)]
    spec = spec_of("progress", {n: PROGRESS[n] for n in names})
    records = judge(table, spec.layouts[0], spec, LISTS, NOW)
    assert records.rows_read == len(rows) + titles + 1
    total = records.accepted.height + records.rows_refused + sum(records.non_data.values())
    assert records.rows_read == total
    refused = [f.row for f in records.findings if f.scope == "row"]
    assert len(refused) == len(set(refused)) == records.rows_refused
    assert records.accepted["record_key"].is_unique().all()
    cells = {(f.row, f.field) for f in records.findings if f.scope == "cell"}
    for row in records.accepted.iter_rows(named=True):
        for name in ("planned_pct", "actual_pct"):
            raw = columns[name][row["row"]]
            # a value, a blank or a finding: never silence
            assert (row[name] is not None) + (raw is None) + ((row["row"], name) in cells) == 1


def test_Q7_every_reason_and_rule_is_listed() -> None:
    for code, entry in REASONS.items():
        assert entry.code == code
        for text in (entry.message, entry.remedy, entry.message_fa, entry.remedy_fa):
            assert text.strip(), code
    assert reason("unknown-service").message
    with pytest.raises(KeyError):
        reason("made-up")
    assert rule("number") == f"number/{RULES['number']}"
    assert len(RULES_VERSION) == 12


# refused as a whole, by whoever reads, lays out or loads the file: raised with a literal code
RAISED = re.compile(r'(?:ReadError|LayoutError|Rejection|Refused)\(\s*"([a-z0-9-]+)"')


def test_every_code_that_refuses_a_file_is_listed_too() -> None:
    rooms = Path(contracts.__file__).parents[1]
    codes = {
        code
        for room in ("readers", "untrusted", "layouts", "load")
        for path in sorted((rooms / room).rglob("*.py"))
        for code in RAISED.findall(path.read_text(encoding="utf-8"))
    }
    assert len(codes) > 20
    assert codes - set(REASONS) == set()


def test_received_at_must_have_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        run({"period": [WEEK], "project": ["P01"]}, now=dt.datetime(2026, 11, 21))  # noqa: DTZ001


# ------------------------------------------------------------------------------ quick ways


def test_addresses_that_follow_from_the_rows_are_kept_once() -> None:
    rows = pl.Series(["ب!2", "ب!3"])
    columns = {
        "period": Column(pl.Series([WEEK, WEEK]), Places(rows, "=ب!A1"), header=None),
        "project": Column(pl.Series(["P01", "P02"]), Places(rows, "B"), header="پروژه"),
        "actual_pct": Column(pl.Series(["12", None]), Places(rows, "AC"), header='a "b"'),
        "note": Column(pl.Series(['"\\', "\x00\n"]), Places(rows, "D"), header="n"),
    }
    fields = {
        "period": {"headers": ["p"], "calendar": "jalali"},
        "project": {"headers": ["q"]},
        "actual_pct": {"headers": ["a"], "percent_scale": "percent", "required": False},
        "note": {"headers": ["n"]},
    }
    source = spec_of("progress", fields)
    layout = source.layouts[0]
    records = judge(RawTable(2, columns, rows), layout, source, LISTS, NOW)
    assert [json.loads(text) for text in records.accepted["lineage"]] == [
        [WEEK, "P01", "12", '"\\'],
        [WEEK, "P02", None, "␀\n"],
    ]
    assert opened(records)[1] == {
        "period": ["ب!A1", WEEK, None],
        "project": ["ب!B3", "P02", "پروژه"],
        "actual_pct": ["ب!AC3", None, 'a "b"'],
        "note": ["ب!D3", "␀\n", "n"],
    }
    # rows that stand elsewhere than the cells say: each cell keeps its own address
    other = RawTable(2, columns, pl.Series(["ب!B2", "ب!B3"]))
    moved = judge(other, layout, source, LISTS, NOW)
    assert moved.places is None
    assert opened(moved) == [
        {name: [columns[name].at[row], *cell[1:]] for name, cell in cells.items()}
        for row, cells in enumerate(opened(records))
    ]


_CELLS = {
    "pct": [
        "45.5",
        "۴۵٫۵",
        "45%",
        " 12 ",
        "-",
        "",
        None,
        "#REF!",
        "1,5",
        "1.234",
        "x",
        "101",
        "0.5",
    ],
    "rial": ["1000", "1,234,567", "۱۲ میلیون ریال", "5 تومان", "ND", "1e3", "12.5", None, "-1"],
    "number": ["1", "2.5", "1.234", "1,5", "3%", "ندارد", "#N/A", "\u200f۵", None],
    "integer": ["1", "2.0", "2.5", "99999999999", "۳", "-", None],
    "code": ["IR-01", "تهران", "خراسان", "هیچ", "-", " البرز ", None, "1"],
    "text": ["a", " b ", "\u200c", "#x", None, "|"],
    "boolean": ["بله", "no", "?", None, "1"],
    "date": ["1405/08/23", "2026-11-14", "۱۴۰۵/۱۳/۰۱", "0", "-", None],
    "period": ["1405-W35", "1405/08/23", "week:1405-W01", "x", None],
    "json": ["[1]", "{", None, "\\u0000"],
}


@pytest.mark.parametrize("kind", sorted(_CELLS))
@pytest.mark.parametrize("cell_type", [None, CellType.TEXT, CellType.NUMBER, CellType.ERROR])
@pytest.mark.parametrize("setting", [{}, {"blank_words": ["1", "x"]}, {"decimal_mark": ","}])
def test_a_column_read_by_its_distinct_cells_is_the_column_read_cell_by_cell(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    cell_type: CellType | None,
    setting: dict[str, Any],
) -> None:
    field = next(
        f
        for one in KINDS.values()
        for f in one.fields
        if f.type == kind and (kind != "code" or f.code_list == "province")
    )
    # with a text that tells how others are read, and without
    for cells in (_CELLS[kind], [c for c in _CELLS[kind] if c != "1,5"]):
        texts = pl.Series((cells * 31)[: 29 * len(cells)], dtype=pl.Utf8)
        kinds = None
        if cell_type is not None:
            kinds = pl.Series([int(cell_type)], dtype=pl.UInt8).new_from_index(0, texts.len())
        column = Column(texts, Places(texts, "A"), kinds)
        days = pl.Series([dt.date(1975 + 15 * (i % 4), 1, 1) for i in range(texts.len())])
        context = ReadContext(days, LISTS, "week", is_plan=False)
        asked = FieldMap.model_validate({"headers": ["x"], "unit": "rial", **setting})
        read = {}
        for way, least in (("distinct", 0), ("each", 10**9)):
            monkeypatch.setattr(fields_module, "_MANY_ROWS", least)
            read[way] = read_field(field, column, asked, context)
        quick, slow = read["distinct"], read["each"]
        assert quick.of_distinct is not None
        assert slow.of_distinct is None
        assert quick.value.equals(slow.value, null_equal=True)
        assert quick.reason.equals(slow.reason)
        assert quick.by_column == slow.by_column
        assert quick.rule == slow.rule
        refused = slow.reason.is_not_null().arg_true()
        for name in ("detail", "period_kind", "mixed"):
            one, other = getattr(quick, name), getattr(slow, name)
            if name == "detail":
                one, other = (None if s is None else s.gather(refused) for s in (one, other))
            if one is None or other is None:
                assert not any(
                    s is not None and (s.cast(pl.Utf8) == "true").any() for s in (one, other)
                )
            else:
                assert one.equals(other)
        # numbers are asked for words and errors only where they are no plain numbers
        monkeypatch.setattr(fields_module, "_NUMBERS", frozenset())
        plain = read_field(field, column, asked, context)
        monkeypatch.undo()
        assert plain.value.equals(slow.value)
        assert plain.reason.equals(slow.reason)
