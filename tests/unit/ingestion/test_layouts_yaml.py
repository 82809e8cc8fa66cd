"""Workbooks and texts of agencies nobody asked for their form, read by a source file alone.

Each test writes the source file as YAML and the file's real bytes, and takes both through the
registry, the readers, the layouts and the contracts, as the pipeline does.
"""

from __future__ import annotations

import datetime as dt
import io
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.errors import IngestError, SpecError
from ingestion.layouts import extract
from ingestion.layouts.address import address
from ingestion.normalise.codelists import load_code_lists
from ingestion.pipeline import examine
from ingestion.spec.model import SourceSpec
from ingestion.spec.registry import LoadedSpec, load_spec
from ingestion.table import Grid, Merge, RawTable, Records
from tests.opened import opened

LISTS = load_code_lists(Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference")
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
HEAD = """\
source: mict__try
title: Tried
kind: {kind}
agency: mict
owner: {{name: n, email: n@example.invalid}}
connector: {{type: folder, path: .}}
"""
Rows = list[list[Any]]
Fix = Callable[[Any], None]


class Desk:
    """Writes a source file and reads bytes by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, layouts: str, kind: str = "indicator_value") -> LoadedSpec:
        path = self.folder / "mict__try.yml"
        path.write_text(
            HEAD.format(kind=kind) + textwrap.dedent(layouts).lstrip("\n"), encoding="utf-8"
        )
        return load_spec(path)

    def both(
        self, data: bytes, layouts: str, kind: str = "indicator_value"
    ) -> tuple[RawTable, Records]:
        raw, records = examine(self.load(layouts, kind).spec, [("f", data)], LISTS, NOW)
        balance = records.accepted.height + records.rows_refused + sum(records.non_data.values())
        assert records.rows_read == balance
        return raw, records

    def read(self, data: bytes, layouts: str, kind: str = "indicator_value") -> Records:
        return self.both(data, layouts, kind)[1]

    def refused(self, data: bytes, layouts: str, kind: str = "indicator_value") -> IngestError:
        with pytest.raises(IngestError) as caught:
            self.read(data, layouts, kind)
        return caught.value

    def bad(self, layouts: str, kind: str = "indicator_value") -> SpecError:
        with pytest.raises(SpecError) as caught:
            self.load(layouts, kind)
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def book(sheets: dict[str, Any], fix: Fix | None = None) -> bytes:
    workbook = openpyxl.Workbook()
    del workbook["Sheet"]
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        sheet.sheet_view.rightToLeft = True
        for row in rows:
            sheet.append(row)
    if fix is not None:
        fix(workbook)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def cells(records: Records, *columns: str) -> set[tuple[Any, ...]]:
    """The accepted records by some of their columns, numbers as floats."""
    names = columns or ("province_code", "period_start", "value")
    return {
        tuple(float(v) if hasattr(v, "as_tuple") else v for v in row)
        for row in records.accepted.select(names).iter_rows()
    }


def place(records: Records, field: str = "value") -> Iterable[str]:
    return [cells[field][0] for cells in opened(records)]


TEHRAN, QOM, FARS, GILAN = "IR-23", "IR-25", "IR-07", "IR-01"
Y1401, Y1402 = dt.date(2022, 3, 21), dt.date(2023, 3, 21)

# ------------------------------------------------------------------------------ year columns

YEARS = """
    layouts:
      - fields:
          province: {headers: [استان]}
        unpivot:
          columns:
            - pattern: سال {period}
              period_kind: jalali_year
              set: {indicator: landline}
"""


def test_twenty_year_columns_need_one_entry(desk: Desk) -> None:
    years = range(1385, 1405)
    digits = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
    rows = [
        ["جدول ۱- تلفن ثابت"],
        [
            "استان",
            *(f"سال {year}".translate(digits) if year % 2 else f"سال  {year}" for year in years),
        ],
        ["تهران", *range(100, 120)],
        ["قم", *range(200, 220)],
    ]
    raw, records = desk.both(book({"ب": rows}), YEARS + "        earliest: 2000-01-01\n")
    assert records.accepted.height == 40
    assert (TEHRAN, Y1401, 116.0) in cells(records)
    assert (QOM, dt.date(2006, 3, 21), 200.0) in cells(records)
    assert raw.extra_headers == []
    assert "ب!R2" in set(place(records, "period"))


def test_D4_years_before_the_window_are_refused_unless_the_source_says_so(desk: Desk) -> None:
    rows = [["استان", "سال ۱۳۷۵", "سال ۱۴۰۱"], ["تهران", 1, 2]]
    records = desk.read(book({"ب": rows}), YEARS)
    assert cells(records) == {(TEHRAN, Y1401, 2.0)}
    assert [f.reason_code for f in records.findings] == ["outside-window"]


def test_a_title_that_should_name_a_year_and_does_not_stops_the_file(desk: Desk) -> None:
    rows = [["استان", "سال ۱۴۰۱", "سال ۱۴۰۱ و ۱۴۰۲"], ["تهران", 1, 2]]
    error = desk.refused(book({"ب": rows}), YEARS)
    assert (error.code, error.locator) == ("unclear-title", "ب!1:1")
    assert "column C" in error.message
    ignoring = YEARS + "          ignore: [سال ۱۴۰۱ و ۱۴۰۲]\n"
    assert cells(desk.read(book({"ب": rows}), ignoring)) == {(TEHRAN, Y1401, 1.0)}


def test_D2_years_of_two_digits_need_a_pivot(desk: Desk) -> None:
    rows = [["استان", "سال ۹۹", "سال ۰۱"], ["تهران", 1, 2]]
    assert desk.refused(book({"ب": rows}), YEARS).code == "unclear-title"
    pivot = YEARS.replace("jalali_year", "jalali_year\n              two_digit_year_pivot: 10")
    assert cells(desk.read(book({"ب": rows}), pivot)) == {
        (TEHRAN, dt.date(2020, 3, 20), 1.0),
        (TEHRAN, Y1401, 2.0),
    }


def test_two_columns_of_one_year_are_not_chosen_between(desk: Desk) -> None:
    rows = [["استان", "سال ۱۴۰۱", "سال 1401"], ["تهران", 1, 2]]
    assert desk.refused(book({"ب": rows}), YEARS).code == "duplicate-header"


def test_figures_below_a_title_of_another_form_are_not_left_aside(desk: Desk) -> None:
    for title in ("پیش‌بینی", None):
        rows = [["ردیف", "استان", "سال ۱۴۰۱", title], [1, "تهران", 1, "۲٬۵۰۰"], [2, "قم", 1, None]]
        error = desk.refused(book({"ب": rows}), YEARS)
        assert (error.code, error.locator) == ("unclear-title", "ب!D2")
    notes = [["ردیف", "استان", "سال ۱۴۰۱", "شرح"], [1, "تهران", 1, "برآورد"]]
    assert desk.read(book({"ب": notes}), YEARS).accepted.height == 1


def test_a_year_table_without_any_year_is_refused(desk: Desk) -> None:
    rows = [["استان", "جمعیت"], ["تهران", 1]]
    error = desk.refused(book({"ب": rows}), YEARS)
    assert (error.code, "سال {period}" in error.message) == ("missing-column", True)


def test_X2_years_above_indicators_below_in_merged_headers(desk: Desk) -> None:
    rows = [
        ["استان", "۱۴۰۱", None, "۱۴۰۲", None],
        [None, "تلفن ثابت", "شاخص توسعه ICT", "تلفن ثابت", "شاخص توسعه ICT"],
        ["قم", 1, 2, 3, None],
    ]

    def merge(workbook: Any) -> None:
        for area in ("A1:A2", "B1:C1", "D1:E1"):
            workbook["ب"].merge_cells(area)

    layout = """
        layouts:
          - header_depth: 2
            fields:
              province: {headers: [استان]}
            unpivot:
              columns:
                - {pattern: "{period} / {indicator}", period_kind: jalali_year}
    """
    records = desk.read(book({"ب": rows}, merge), layout)
    assert cells(records, "indicator_code", "period_start", "value") == {
        ("landline", Y1401, 1.0),
        ("idi", Y1401, 2.0),
        ("landline", Y1402, 3.0),
    }
    assert records.non_data["blank_value"] == 1
    # a text table has no merged cells: the titles hold to the side only where the source says so
    text = "\n".join(";".join(str(v or "") for v in row) for row in rows).encode()
    error = desk.refused(text, layout)
    assert (error.code, "header_fill" in error.remedy) == ("unclear-title", True)
    assert "C 'شاخص توسعه ICT'" in error.message
    filled = layout.replace("header_depth: 2", "header_depth: 2\n            header_fill: true")
    assert cells(desk.read(text, filled)) == cells(records)


def test_months_by_name_in_the_titles_and_the_indicator_beside_them(desk: Desk) -> None:
    rows = [["استان", "تلفن ثابت فروردین ۱۴۰۲", "تلفن ثابت اردیبهشت ۱۴۰۲"], ["فارس", 5, 6]]
    layout = """
        layouts:
          - fields:
              province: {headers: [استان]}
            unpivot:
              columns:
                - pattern: "تلفن ثابت {period}"
                  period_kind: jalali_month
                  set: {indicator: landline}
    """
    records = desk.read(book({"ب": rows}), layout)
    assert cells(records) == {(FARS, Y1402, 5.0), (FARS, dt.date(2023, 4, 21), 6.0)}
    assert records.accepted["period_kind"].unique().to_list() == ["jalali_month"]


def test_P10_years_as_names_of_an_api(desk: Desk) -> None:
    layout = """
        layouts:
          - fields:
              province: {headers: [name]}
            unpivot:
              columns:
                - {pattern: "y{period}", period_kind: jalali_year, set: {indicator: landline}}
    """
    records = desk.read('[{"name":"قم","y1401":"۱۲","y1402":null}]'.encode(), layout)
    assert cells(records) == {(QOM, Y1401, 12.0)}
    error = desk.refused('[{"name":"قم","y1401":1,"z1402":2}]'.encode(), layout)
    assert (error.code, "'z1402'" in error.message) == ("unclear-title", True)


def test_wide_entries_with_the_same_fields_keep_their_own_units(desk: Desk) -> None:
    records = desk.read(
        book({"ب": [["استان", "تعداد idi ۱۴۰۳", "نرخ landline_rate ۱۴۰۳"], ["قم", 7, 0.5]]}),
        """
        layouts:
          - fields:
              province: {headers: [استان]}
            unpivot:
              columns:
                - {pattern: "تعداد {indicator} {period}", period_kind: jalali_year, unit: line}
                - {pattern: "نرخ {indicator} {period}", period_kind: jalali_year, unit: percent,
                   percent_scale: fraction}
        """,
    )
    assert cells(records, "indicator_code", "value", "unit") == {
        ("idi", 7.0, "line"), ("landline_rate", 50.0, "percent"),
    }  # fmt: skip


def test_a_wide_entry_says_which_period_its_titles_name(desk: Desk) -> None:
    assert "period_kind" in desk.bad(YEARS.replace("period_kind: jalali_year", "unit: line")).remedy
    wrong = desk.bad(YEARS.replace("سال {period}", "'{indicator}{unit} {period}'"))
    assert "need a word or sign" in wrong.message


# ------------------------------------------------------------------------------ groups of rows

GROUPS = """
    layouts:
      - group_rows: ["استان {province}"]
        fields:
          indicator: {headers: [شاخص]}
          period: {headers: [سال], period_kind: jalali_year}
          value: {headers: [مقدار]}
"""
GROUPED: Rows = [
    ["شاخص", "سال", "مقدار"],
    ["استان تهران", None, None],
    ["تلفن ثابت", 1401, 1],
    ["شاخص توسعه ICT", 1401, 2],
    ["جمع", None, 3],
    ["استان  قم", None, None],
    ["تلفن ثابت", 1401, 4],
    ["منبع: مرکز آمار ایران"],
]


def test_X2_a_heading_inside_the_table_holds_for_the_rows_below_it(desk: Desk) -> None:
    def merge(workbook: Any) -> None:
        for area in ("A2:C2", "A6:C6"):
            workbook["ب"].merge_cells(area)

    for fix in (merge, None):
        records = desk.read(book({"ب": GROUPED}, fix), GROUPS)
        assert cells(records, "province_code", "indicator_code", "value") == {
            (TEHRAN, "landline", 1.0),
            (TEHRAN, "idi", 2.0),
            (QOM, "landline", 4.0),
        }
        assert place(records, "province") == ["ب!A2", "ب!A2", "ب!A6"]
        assert records.non_data == {"header": 1, "group": 2, "total": 1, "note": 1}


def test_K9_rows_that_no_heading_speaks_of_are_refused_not_national(desk: Desk) -> None:
    above = [GROUPED[0], ["تلفن ثابت", 1401, 9], *GROUPED[1:]]
    after_total = [*GROUPED[:5], ["شاخص توسعه ICT", 1402, 9], *GROUPED[5:]]
    for rows, at in ((above, "ب!2"), (after_total, "ب!6")):
        records = desk.read(book({"ب": rows}), GROUPS)
        assert records.accepted.height == 3
        (finding,) = [f for f in records.findings if f.scope == "row"]
        assert (finding.reason_code, finding.field) == ("missing-key", "province")
        assert finding.locator == at


def test_a_heading_of_an_unknown_province_takes_its_rows_with_it(desk: Desk) -> None:
    rows = [*GROUPED[:5], ["استان خراسان", None, None], *GROUPED[6:]]
    records = desk.read(book({"ب": rows}), GROUPS)
    assert (records.accepted.height, records.rows_refused) == (2, 1)


def test_two_levels_of_headings(desk: Desk) -> None:
    layout = (
        GROUPS.replace('["استان {province}"]', '["سال {period}", "استان {province}"]')
        .replace("          period: {headers: [سال], period_kind: jalali_year}\n", "")
        .replace("value: {headers", "unit: {value: line}\n          value: {headers")
    )
    rows = [
        ["شاخص", "مقدار"],
        ["سال jalali_year:1401"],
        ["استان تهران"],
        ["تلفن ثابت", 1],
        ["سال jalali_year:1402"],
        ["تلفن ثابت", 2],
        ["استان قم"],
        ["تلفن ثابت", 3],
    ]
    records = desk.read(book({"ب": rows}), layout)
    assert cells(records) == {(TEHRAN, Y1401, 1.0), (QOM, Y1402, 3.0)}
    assert records.rows_refused == 1  # below a new year no province has been named yet


FILLED = """
    layouts:
      - fields:
          province: {headers: [استان], fill_down: true, required: false}
          indicator: {headers: [شاخص]}
          period: {value: "jalali_year:1401"}
          value: {headers: [مقدار]}
"""


def test_fill_down_gives_the_label_of_the_group_and_its_address(desk: Desk) -> None:
    rows = [
        ["استان", "شاخص", "مقدار"],
        ["تهران", "تلفن ثابت", 1],
        [None, "شاخص توسعه ICT", 2],
        ["جمع", None, 3],
        [None, "تلفن ثابت", 9],
        ["قم", "تلفن ثابت", 4],
    ]
    records = desk.read(book({"ب": rows}), FILLED)
    assert cells(records, "province_code", "indicator_code", "value") == {
        (TEHRAN, "landline", 1.0),
        (TEHRAN, "idi", 2.0),
        (QOM, "landline", 4.0),
    }
    assert place(records, "province") == ["ب!A2", "ب!A2", "ب!A6"]
    (finding,) = [f for f in records.findings if f.scope == "row"]
    assert (finding.reason_code, finding.row) == ("missing-key", 2)


# ------------------------------------------------------------------------------ several tables

TWO = """
    layouts:
      - fields:
          province: {headers: [استان]}
          period: {value: "jalali_year:1401"}
          value: {headers: [مقدار]}
        tables:
          - {after: "جدول ۱*", until: "جدول ۲*", set: {indicator: landline}}
          - {after: "جدول ۲*", set: {indicator: idi}, headers: {value: [عدد]}}
"""
STACKED: Rows = [
    ["وزارت ارتباطات"],
    ["جدول 1- تلفن ثابت"],
    ["استان", "مقدار"],
    ["تهران", 1],
    ["قم", 2],
    [],
    ["جدول ۲ ـ شاخص"],
    ["استان", "عدد"],
    ["تهران", 3],
]


def test_X9_stacked_tables_by_the_text_above_them(desk: Desk) -> None:
    records = desk.read(book({"ب": STACKED}), TWO)
    assert cells(records, "province_code", "indicator_code", "value") == {
        (TEHRAN, "landline", 1.0),
        (QOM, "landline", 2.0),
        (TEHRAN, "idi", 3.0),
    }
    assert place(records) == ["ب!B4", "ب!B5", "ب!B9"]
    # nine rows of the sheet, each of them once
    assert records.rows_read == 9
    assert records.non_data == {"header": 2, "out_of_scope": 3, "blank": 1}


def test_X9_an_anchor_that_is_missing_or_stands_twice_stops_the_file(desk: Desk) -> None:
    renamed = [*STACKED[:6], ["جدول سوم"], *STACKED[7:]]
    assert desk.refused(book({"ب": renamed}), TWO).code == "anchor-not-found"
    twice = [["جدول ۱ در زیر"], *STACKED]
    error = desk.refused(book({"ب": twice}), TWO)
    assert (error.code, "rows 1, 3" in error.message) == ("anchor-ambiguous", True)
    # a further sheet with the header but without the anchor is not passed over
    more = {"ب": STACKED, "پ": [["استان", "مقدار"], ["فارس", 7]]}
    assert desk.refused(book(more), TWO).locator == "پ"


FOOTED = """
    layouts:
      - fields:
          province: {headers: [استان]}
          indicator: {value: idi}
        unpivot:
          columns: [{pattern: "سال {period}", period_kind: jalali_year}]
"""


def test_N12_marks_of_footnotes_behind_titles_and_names_are_no_part_of_them(desk: Desk) -> None:
    rows: Rows = [
        ["استان¹", "سال ۱۴۰۲²", "سال ۱۴۰۳*"],
        ["قم*", 1, 2],
        ["البرز¹)", 3, 4],
        ["یزد۱", 5, 6],
    ]
    records = desk.read(book({"ب": rows}), FOOTED)
    assert {(p, v) for p, v in cells(records, "province_code", "value")} == {
        ("IR-25", 1.0), ("IR-25", 2.0), ("IR-30", 3.0), ("IR-30", 4.0),
    }  # fmt: skip
    assert {f.raw_text for f in records.findings} == {"یزد۱"}, "a digit in the line is none"
    titles: Rows = [["استان", "استان*", "سال ۱۴۰۲"], ["قم", "یزد", 1]]
    assert cells(desk.read(book({"ب": titles}), FOOTED), "province_code") == {("IR-25",)}
    twice: Rows = [["استان¹", "استان²", "سال ۱۴۰۲"], ["قم", "یزد", 1]]
    assert desk.refused(book({"ب": twice}), FOOTED).code == "duplicate-header"


def test_D26_titles_of_two_years_are_the_declared_one(desk: Desk) -> None:
    rows: Rows = [["استان", "سال ۱۴۰۲-۰۳", "سال ۱۴۰۳-۱۴۰۴"], ["قم", 1, 2]]
    assert desk.refused(book({"ب": rows}), FOOTED).code == "unclear-title"
    layout = FOOTED.replace("jalali_year}", "jalali_year, year_of_range: last}")
    records = desk.read(book({"ب": rows}), layout)
    assert cells(records, "period_start", "value") == {
        (dt.date(2024, 3, 20), 1.0), (dt.date(2025, 3, 21), 2.0),
    }  # fmt: skip


YEARLY = """
    layouts:
      - fields:
          province: {headers: [استان]}
          indicator: {value: idi}
          period: {value: "PERIOD"}
          value: {headers: [مقدار]}
"""


@pytest.mark.parametrize(
    ("period", "title", "fits"),
    [
        ("gregorian_year:2019", "Return for 2018/19", False),
        ("gregorian_year:2018", "Return for 2018/19", True),
        ("jalali_year:1404", "جدول ۳: شاخص‌های سال ۱۴۰۳", False),
        ("jalali_year:1404", "شاخص‌های سال ۱۴۰۴ در سنجش با سال ۱۴۰۳", True),
        ("jalali_year:1404", "۱۴۰۳", False),
        ("jalali_year:1404", "منتشرشده در سال ۱۴۰۵", True),
        ("jalali_year:1404", "تاریخ گزارش ۱۴۰۳/۰۸/۱۲", True),
        ("jalali_year:1404", "سرشماری ۱۳۹۵-۱۴۰۵", True),
        ("jalali_year:1404", "Fiscal year 2018", True),
        ("date:1404/02/01", "سال ۱۴۰۳", False),
        ("date:1404/02/01", "FY2025", True),
    ],
)
def test_S6_last_years_file_is_not_taken_for_this_years(
    desk: Desk, period: str, title: str, fits: bool
) -> None:
    data = book({"ب": [[title], [], ["استان", "مقدار"], ["قم", 1]]})
    layout = YEARLY.replace("PERIOD", period)
    if fits:
        assert cells(desk.read(data, layout), "value") == {(1.0,)}
        return
    assert desk.refused(data, layout).code == "period-mismatch"
    free = layout.replace("- fields:", "- other_years: true\n        fields:")
    assert cells(desk.read(data, free), "value") == {(1.0,)}


def test_S6_last_years_form_is_not_taken_for_this_years(desk: Desk) -> None:
    data = book({"ب": [["فرم سال ۱۴۰۳"], [], ["شاخص", 7]]})
    layout = """
        layouts:
          - fields:
              indicator: {value: idi}
              period: {value: "jalali_year:1404"}
              value: {cell: B3}
        """
    assert desk.refused(data, layout).code == "period-mismatch"
    assert cells(desk.read(data, layout.replace("1404", "1403")), "value") == {(7.0,)}


LISTED = """
    layouts:
      - fields:
          project: {headers: [پروژه]}
          agency: {headers: [دستگاه], required: false}
          period: {value: "week:1405-W35"}
          actual_pct: {headers: [واقعی], percent_scale: percent}
"""


def test_S6_a_file_of_another_agency_is_refused_whoevers_folder_it_lies_in(desk: Desk) -> None:
    def list_of(*agencies: str | None) -> bytes:
        rows: Rows = [[f"P0{n}", agency, 10 * n] for n, agency in enumerate(agencies, 1)]
        return book({"ب": [["پروژه", "دستگاه", "واقعی"], *rows]})

    def codes(data: bytes, more: str = "") -> list[str]:
        records = desk.read(
            data, more + LISTED.lstrip("\n").replace("\n    ", "\n")[4:], "progress"
        )
        return [f.reason_code for f in records.findings]

    mine, other, third = "mict", "judiciary", "aro"
    assert codes(list_of(other, other)) == ["foreign-agency"] * 2
    assert codes(list_of(mine, mine)) == []
    assert codes(list_of(mine, other)) == [], "a list of several agencies"
    assert codes(list_of(other, third)) == []
    assert codes(list_of(mine, other), "agencies: own\n") == ["foreign-agency"]
    assert codes(list_of(other, other), "agencies: any\n") == []


def test_K9_X2_a_total_merged_over_several_rows_is_the_total_of_all_of_them(desk: Desk) -> None:
    rows: Rows = [
        ["استان", "جنس", "مقدار"], ["جمع", "مرد", 12], [None, "زن", 14],
        ["قم", "مرد", 5], [None, "زن", 6], ["یزد", "مرد", 7], [None, "زن", 8],
    ]  # fmt: skip

    def merge(workbook: Any) -> None:
        for span in ("A2:A3", "A4:A5", "A6:A7"):
            workbook["ب"].merge_cells(span)

    layout = """
        layouts:
          - fields:
              province: {headers: [استان]}
              agency: {headers: [جنس], required: false, code_list: indicator}
              indicator: {value: idi}
              period: {value: "jalali_year:1404"}
              value: {headers: [مقدار], total_tolerance: 0}
        """
    raw, records = desk.both(book({"ب": rows}, merge), layout)
    assert records.non_data == {"header": 1, "total": 2}
    assert raw.columns["province"].text.to_list() == ["قم", "قم", "یزد", "یزد"]
    assert [total.at for total in raw.control_totals] == ["ب!C2", "ب!C3"]


POINTS = """
    layouts:
      - fields:
          province: {headers: [استان]}
          indicator: {value: idi}
          period: {value: "jalali_year:1404"}
          value: {headers: [پزشک]}
"""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2.830", "854"], [None, 854.0]),
        (["۲.۸۳۰", "۱.۰۲۴"], [None, None]),
        (["2.830", "0.5"], [2.83, 0.5]),
        (["2.830", "1,024"], [2.83, 1024.0]),
        (["2٫830", "7"], [2.83, 7.0]),
    ],
)
def test_N3_a_point_before_three_digits_alone_is_open(
    desk: Desk, texts: list[str], expected: list[float | None]
) -> None:
    lines = [f"{p};{t}" for p, t in zip(("قم", "یزد"), texts, strict=True)]
    data = "\n".join(["استان;پزشک", *lines]).encode()
    found = desk.read(data, POINTS).accepted["value"].to_list()
    assert [None if v is None else float(v) for v in found] == expected
    rows: Rows = [["استان", "پزشک"], ["قم", texts[0]], ["یزد", texts[1]]]
    assert desk.read(book({"ب": rows}), POINTS).accepted["value"].to_list() == found
    declared = POINTS.replace("[پزشک]", '[پزشک], decimal_mark: "."')
    assert None not in desk.read(data, declared).accepted["value"].to_list()
    stored: Rows = [["استان", "پزشک"], ["قم", 2.83], ["یزد", 1.024]]
    assert cells(desk.read(book({"ب": stored}), POINTS), "value") == {(2.83,), (1.024,)}


WIDE_TITLES = """
    layouts:
      - header_depth: 2
        fields:
          province: {headers: [شرح]}
          indicator: {value: idi}
          period: {value: "jalali_year:1404"}
          value: {headers: [مقدار]}
"""


def test_X2_a_title_merged_over_a_column_of_nothing_names_one_column(desk: Desk) -> None:
    def merge(workbook: Any) -> None:
        for span in ("A1:B2", "C1:D2", "A3:B3", "A4:B4"):
            workbook["ب"].merge_cells(span)

    rows: Rows = [["شرح", None, "مقدار", None], [], ["قم", None, 7], ["یزد", None, 8]]
    records = desk.read(book({"ب": rows}, merge), WIDE_TITLES)
    assert cells(records, "province_code", "value") == {("IR-25", 7.0), ("IR-21", 8.0)}


def test_X2_a_title_merged_over_two_columns_of_figures_names_neither(desk: Desk) -> None:
    def merge(workbook: Any) -> None:
        workbook["ب"].merge_cells("B1:C1")

    rows: Rows = [["شرح", "مقدار", None], ["قم", 7, 70], ["یزد", 8, 80]]
    layout = WIDE_TITLES.replace("header_depth: 2", "header_depth: 1")
    error = desk.refused(book({"ب": rows}, merge), layout)
    assert (error.code, error.locator) == ("duplicate-header", "ب!C2")
    second = layout.replace("[مقدار]", '["مقدار#2"]')
    assert cells(desk.read(book({"ب": rows}, merge), second), "value") == {(70.0,), (80.0,)}
    left = layout.replace("- header_depth: 1", "- columns: A:B")
    assert cells(desk.read(book({"ب": rows}, merge), left), "value") == {(7.0,), (8.0,)}


PORTFOLIO = """
    text: {encoding: cp1252}
    layouts:
      - fields: &fields
          project: {value: P01}
          author: {headers: [Project Name]}
          rated_on: {headers: [End Date], calendar: gregorian, date_order: dmy, DATES}
          period: {value: "gregorian_year:2023"}
          value: {headers: [Baseline (£m)], unit: £m}
"""


def test_N11_N12_D6_a_western_portfolio_withholds_figures_and_keeps_days_as_numbers(
    desk: Desk,
) -> None:
    text = (
        "Project Name;End Date;Baseline (£m)\n"
        "Submarine – first of its kind;31.03.2023;£33.73\n"
        "Prisons;45016;1,234.5 £m\n"
        "Rail;03.04.2023;Exempt under Section 43 of the Freedom of Information Act 2000\n"
        "Ports;31.12.22;£2bn\n"
    )
    layout = PORTFOLIO.replace("DATES", 'date_serials: "1900"').replace(" &fields", "")
    records = desk.read(text.encode("cp1252"), layout, "rating")
    assert cells(records, "author", "rated_on", "value") == {
        ("Submarine – first of its kind", dt.date(2023, 3, 31), 33.73),
        ("Prisons", dt.date(2023, 3, 31), 1234.5),
        ("Rail", dt.date(2023, 4, 3), None),
    }
    assert {(f.scope, f.reason_code) for f in records.findings} == {
        ("cell", "withheld"), ("row", "ambiguous-date"),
    }  # fmt: skip
    bare = desk.read(text.encode("cp1252"), layout.replace("unit: £m", "unit: m"), "rating")
    assert cells(bare, "value") == {(None,)}, "no other sign of money is taken off"


def test_T10_a_western_encoding_is_declared_never_guessed_and_never_hides_persian(
    desk: Desk,
) -> None:
    western = "Project Name;End Date;Baseline (£m)\nCafé;31.03.2023;1\n".encode("cp1252")
    layout = PORTFOLIO.replace(", DATES", "").replace(" &fields", "")
    undeclared = layout.replace("    text: {encoding: cp1252}\n", "")
    assert desk.refused(western, undeclared, "rating").code == "encoding-unknown"
    persian = "سازه;مدت;مبلغ\nراه آهن شرق;31.03.2023;1\n".encode("cp1256")
    assert desk.refused(persian, layout, "rating").code == "mojibake"


UNTITLED = """
    layouts:
      - header_depth: 2
        fields:
          province: {headers: ["@A"]}
          indicator: {value: idi}
        unpivot:
          columns: [{pattern: "{period} / سال", period_kind: jalali_year}]
          ignore: ["* / بهار"]
"""


def test_X1_a_column_of_names_without_a_title_is_named_by_its_letter(desk: Desk) -> None:
    def merge(workbook: Any) -> None:
        for span in ("B3:C3", "D3:E3"):
            workbook["ب"].merge_cells(span)

    rows: Rows = [
        ["نرخ بیکاری"], [], [None, "۱۴۰۲", None, "۱۴۰۳", None],
        [None, "بهار", "سال", "بهار", "سال"],
        ["قم", 1, 2, 3, 4], ["یزد", 5, 6, 7, 8],
    ]  # fmt: skip
    records = desk.read(book({"ب": rows}, merge), UNTITLED)
    assert cells(records, "province_code", "value") == {
        ("IR-25", 2.0), ("IR-25", 4.0), ("IR-21", 6.0), ("IR-21", 8.0),
    }  # fmt: skip
    unread = UNTITLED.replace("* / بهار", "* / تابستان")
    assert desk.refused(book({"ب": rows}, merge), unread).code == "unclear-title"
    titled = [list(row) for row in rows]
    titled[3][0] = "کد"
    error = desk.refused(book({"ب": titled}, merge), UNTITLED)
    assert error.code == "missing-column", "a column with a title is another one"


FUNDS = [
    ["جدول ۱: اعتبارات ملی"], ["استان", "مصوب"], ["تهران", 2], ["قم", 3], ["جمع", 5],
    ["جدول ۲: اعتبارات استانی"], ["استان", "مصوب"], ["البرز", 700], ["یزد", 900], ["جمع", 1700],
]  # fmt: skip


def test_N10_each_table_of_a_file_has_its_own_unit(desk: Desk) -> None:
    layout = """
        layouts:
          - fields:
              province: {headers: [استان]}
              period: {value: "jalali_year:1404"}
              allocated: {headers: [مصوب], unit: میلیارد ریال}
            tables:
              - {after: "جدول ۱*"}
              - {after: "جدول ۲*", fields: {allocated: {unit: میلیون ریال}}}
        """
    records = desk.read(book({"ب": FUNDS}), layout, "funding")
    assert cells(records, "province_code", "allocated_rial") == {
        ("IR-23", 2e9), ("IR-25", 3e9), ("IR-30", 7e8), ("IR-21", 9e8),
    }  # fmt: skip
    (finding,) = records.findings
    assert finding.reason_code == "total-differs", "the second table's rows give 1,600"
    assert finding.locator == "ب!B10"
    said = [[*row] for row in FUNDS]
    said[6][1] = "مصوب (میلیارد ریال)"
    wrong = layout.replace("headers: [مصوب]", "headers: [مصوب, مصوب (میلیارد ریال)]")
    assert desk.refused(book({"ب": said}), wrong, "funding").code == "unit-mismatch"
    bad = layout.replace("fields: {allocated", "fields: {spent")
    assert "nowhere mapped" in desk.bad(bad, "funding").message


def test_N4_each_table_of_a_file_has_its_own_scale(desk: Desk) -> None:
    rows: Rows = [
        ["الف: نسبت"], ["استان", "۱۴۰۳", "۱۴۰۴"], ["قم", 0.5, 1],
        ["ب: درصد"], ["استان", "۱۴۰۳", "۱۴۰۴"], ["یزد", 0.5, 70],
    ]  # fmt: skip
    records = desk.read(
        book({"ب": rows}),
        """
        layouts:
          - fields:
              province: {headers: [استان]}
              indicator: {value: landline_rate}
            unpivot:
              columns: [{pattern: "{period}", period_kind: jalali_year, unit: percent}]
            tables:
              - {after: "الف*", fields: {value: {percent_scale: fraction}}}
              - {after: "ب:*", fields: {value: {percent_scale: percent}}}
        """,
    )
    assert cells(records, "province_code", "value") == {
        ("IR-25", 50.0), ("IR-25", 100.0), ("IR-21", 0.5), ("IR-21", 70.0),
    }  # fmt: skip


def test_N4_wide_columns_with_the_same_constants_keep_their_own_scale(desk: Desk) -> None:
    rows: Rows = [["استان", "سال ۱۴۰۲", "سال ۱۴۰۳", "برآورد"], ["قم", 40, 45, 0.5]]
    records = desk.read(
        book({"ب": rows}),
        """
        layouts:
          - fields: {province: {headers: [استان]}}
            unpivot:
              columns:
                - {pattern: "سال {period}", set: {indicator: landline_rate},
                   period_kind: jalali_year, unit: percent}
                - {headers: [برآورد], set: {indicator: landline_rate, period: "jalali_year:1404"},
                   percent_scale: fraction, unit: percent}
        """,
    )
    assert {value for (value,) in cells(records, "value")} == {40.0, 45.0, 50.0}


def test_X9_a_table_ends_where_the_next_one_begins(desk: Desk) -> None:
    open_ended = TWO.replace(', until: "جدول ۲*"', "")
    assert cells(desk.read(book({"ب": STACKED}), open_ended)) == cells(
        desk.read(book({"ب": STACKED}), TWO)
    )
    shared = (
        TWO.replace('after: "جدول ۱*", until: "جدول ۲*"', 'columns: "A:B"')
        .replace('after: "جدول ۲*"', 'columns: "B:C"')
        .replace(", headers: {value: [عدد]}", ", headers: {province: [مقدار], value: [عدد]}")
    )
    rows = [["استان", "مقدار", "عدد"], ["تهران", "قم", 3]]
    assert desk.refused(book({"ب": rows}), shared).code == "overlapping-tables"


def test_X9_a_second_table_that_shares_only_the_names_title(desk: Desk) -> None:
    rows = [["استان", "مقدار"], ["گیلان", 1], [], ["استان", "ظرفیت"], ["قم", 900]]
    error = desk.refused(book({"ب": rows}), SPLIT.format(how="none"))
    assert (error.code, error.locator) == ("second-header", "ب!4")


def test_S9_a_stray_separator_in_a_turned_text_table_stops_the_file(desk: Desk) -> None:
    layout = SPLIT.format(how="none").replace("split: none", "transpose: true")
    good = "استان,تهران,قم,فارس\nمقدار,1,2,3\nمرکز,الف,ب,پ\nکد,7,8,9\n"
    assert desk.read(good.encode(), layout).accepted.height == 3
    error = desk.refused(good.replace(",2,", ",2,500,").encode(), layout)
    assert (error.code, error.locator) == ("shifted-row", "f!2")


SPLIT = """
    layouts:
      - split: {how}
        fields:
          province: {{headers: [استان]}}
          indicator: {{value: landline}}
          period: {{value: "jalali_year:1401"}}
          value: {{headers: [مقدار]}}
"""


def test_X9_tables_side_by_side_between_blank_columns(desk: Desk) -> None:
    rows = [
        ["استان‌های شمالی", None, None, None, "استان‌های مرکزی"],
        ["استان", "مقدار", None, None, "مقدار", "استان"],
        ["گیلان", 1, None, None, 2, "قم"],
        [None, None, None, None, 3, "تهران"],
    ]
    records = desk.read(book({"ب": rows}), SPLIT.format(how="columns"))
    assert {(p, v) for p, _, v in cells(records)} == {(GILAN, 1.0), (QOM, 2.0), (TEHRAN, 3.0)}
    assert place(records) == ["ب!B3", "ب!E3", "ب!E4"]
    assert "split: columns" in desk.refused(book({"ب": rows}), SPLIT.format(how="none")).remedy


def test_X9_stacked_and_side_by_side_between_blank_bands(desk: Desk) -> None:
    rows = [
        ["آمار ۱۴۰۱"],
        [],
        ["استان", "مقدار", None, "استان", "مقدار"],
        ["گیلان", 1, None, "قم", 2],
        [],
        ["استان", "مقدار"],
        ["تهران", 3],
        [],
        ["منبع: شرکت ارتباطات زیرساخت"],
    ]
    records = desk.read(book({"ب": rows}), SPLIT.format(how="both"))
    assert {(p, v) for p, _, v in cells(records)} == {(GILAN, 1.0), (QOM, 2.0), (TEHRAN, 3.0)}
    assert records.non_data == {"header": 3, "title": 1, "blank": 3, "note": 1}


def test_X9_figures_behind_a_blank_row_are_not_left_aside(desk: Desk) -> None:
    rows = [["استان", "مقدار"], ["گیلان", 1], [], ["قم", 2]]
    error = desk.refused(book({"ب": rows}), SPLIT.format(how="rows"))
    assert (error.code, error.locator) == ("table-without-header", "ب!4")
    assert desk.read(book({"ب": rows}), SPLIT.format(how="none")).accepted.height == 2


def test_only_some_columns_belong_to_the_table(desk: Desk) -> None:
    rows = [["استان", "مقدار", "استان", "مقدار"], ["گیلان", 1, "قم", 2]]
    layout = SPLIT.format(how="none").replace("split: none", 'columns: "C:D"')
    assert cells(desk.read(book({"ب": rows}), layout)) == {(QOM, Y1401, 2.0)}


def test_S9_a_turned_table_keeps_the_addresses_of_the_file(desk: Desk) -> None:
    rows = [
        ["گزارش", "وزارت", "سال", 1401],
        [],
        [None, "استان", "تهران", "قم", "جمع"],
        [None, "مقدار", 1, "#REF!", 3],
    ]
    layout = (
        SPLIT.format(how="none")
        .replace("split: none", "transpose: true")
        .replace(
            'period: {value: "jalali_year:1401"}', "period: {cell: D1, period_kind: jalali_year}"
        )
    )
    raw, records = desk.both(book({"ب": rows}), layout)
    assert cells(records) == {(TEHRAN, Y1401, 1.0), (QOM, Y1401, None)}
    assert place(records) == ["ب!C4", "ب!D4"]
    assert set(place(records, "period")) == {"ب!D1"}
    assert records.accepted["locator"].to_list() == ["ب!C", "ب!D"]
    assert [f.locator for f in records.findings] == ["ب!D4"]
    assert [t.at for t in raw.control_totals] == ["ب!E4"]


# ------------------------------------------------------------------------------ below the header


def test_rows_of_column_numbers_and_of_units_are_recognised(desk: Desk) -> None:
    rows = [
        ["ردیف", "استان", "مقدار"],
        ["(۱)", "(۲)", "(۳)"],
        [None, None, "هزار نفر"],
        [1, "تهران", 5],
        [2, "قم", 6],
    ]
    records = desk.read(book({"ب": rows}), SPLIT.format(how="none"))
    assert records.accepted.height == 2
    assert records.non_data == {"header": 2, "units": 1}


def test_a_row_of_numbers_is_data_where_names_are_numbers(desk: Desk) -> None:
    rows = [["ردیف", "استان", "مقدار"], [1, 2, 3], [2, 3, 9]]
    layout = SPLIT.format(how="none").replace("[استان]", "[استان], code_list: amar")
    records = desk.read(book({"ب": rows}), layout)
    assert records.non_data == {"header": 1}
    assert records.rows_read == 3


BUDGET = """
    layouts:
      - fields:
          province: {headers: [استان]}
          period: {value: "jalali_year:1401"}
          allocated: {headers: [مصوب], unit: million_rial}
"""


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        ([["استان", "مصوب"], [None, "(هزار ریال)"], ["تهران", 5]], "ب!B2"),
        ([["ارقام به میلیارد ریال"], ["استان", "مصوب"], ["تهران", 5]], "ب!A1"),
        ([[None, "(مبالغ: هزار تومان)"], ["استان", "مصوب"], ["تهران", 5]], "ب!B1"),
    ],
)
def test_N10_a_unit_on_the_sheet_that_is_not_the_declared_one_stops_the_file(
    desk: Desk, rows: Rows, at: str
) -> None:
    error = desk.refused(book({"ب": rows}), BUDGET, "funding")
    assert (error.code, error.locator) == ("unit-mismatch", at)


def test_N10_the_declared_unit_on_the_sheet_is_no_record(desk: Desk) -> None:
    rows = [["مبالغ به میلیون ریال"], ["استان", "مصوب"], [None, "میلیون ریال"], ["تهران", 5]]
    records = desk.read(book({"ب": rows}), BUDGET, "funding")
    assert cells(records, "province_code", "allocated_rial") == {(TEHRAN, 5e6)}
    assert records.non_data == {"title": 1, "header": 1, "units": 1}


# ------------------------------------------------------------------------------ editions


EDITIONS = """
    layouts:
      - valid_from: 2024-01-01
        fields:
          province: {headers: [نام استان]}
          period: {value: "jalali_year:1401"}
          indicator: {headers: [عنوان شاخص]}
          value: {headers: [عملکرد]}
      - valid_from: 2025-01-01
        fields:
          province: {headers: [استان]}
          period: {value: "jalali_year:1402"}
          indicator: {headers: [شاخص]}
          value: {headers: [مقدار]}
          unit: {headers: [واحد]}
"""


def test_S9_each_yearly_edition_is_read_by_its_own_layout(desk: Desk) -> None:
    old = [["نام استان", "عنوان شاخص", "عملکرد"], ["تهران", "تلفن ثابت", 1]]
    new = [["استان", "شاخص", "مقدار", "واحد"], ["تهران", "تلفن ثابت", 2, "خط"]]
    assert cells(desk.read(book({"ب": old}), EDITIONS)) == {(TEHRAN, Y1401, 1.0)}
    assert cells(desk.read(book({"ب": new}), EDITIONS)) == {(TEHRAN, Y1402, 2.0)}


def test_S9_a_renamed_column_does_not_make_a_file_old(desk: Desk) -> None:
    layouts = (
        EDITIONS.replace("نام استان", "استان")
        .replace("عنوان شاخص", "شاخص")
        .replace("عملکرد", "مقدار")
    )
    renamed = [["استان", "شاخص", "مقدار", "یکا"], ["تهران", "تلفن ثابت", 2, "خط"]]
    error = desk.refused(book({"ب": renamed}), layouts)
    assert (error.code, "واحد" in error.message) == ("missing-column", True)
    older = [row[:3] for row in renamed]
    assert cells(desk.read(book({"ب": older}), layouts)) == {(TEHRAN, Y1401, 2.0)}


def test_S9_when_no_edition_fits_the_message_names_what_both_lack(desk: Desk) -> None:
    error = desk.refused(book({"ب": [["استان", "شاخص", "رقم"], ["تهران", "x", 1]]}), EDITIONS)
    assert error.code == "missing-column"
    assert "The layout of 2024-01-01" in error.message
    assert "'رقم'" in error.message


def test_S9_the_order_of_layouts_of_one_date_does_not_matter(desk: Desk) -> None:
    """A short layout never reads a file of the long one's edition with a renamed column."""
    short = """
      - valid_from: 2024-01-01
        fields: &f
          province: {headers: [استان]}
          period: {value: "jalali_year:1401"}
          indicator: {value: idi}
          value: {headers: [مقدار]}
    """
    long = """
      - valid_from: 2024-01-01
        fields:
          province: {headers: [استان]}
          period: {value: "jalali_year:1401"}
          indicator: {headers: [شاخص]}
          value: {headers: [مقدار]}
          unit: {headers: [واحد]}
    """
    short = short.replace("&f", "")
    renamed = [["استان", "شاخص", "مقدار", "یکا"], ["تهران", "تلفن ثابت", 2, "خط"]]
    for pair in (short + long, long + short):
        layouts = "    layouts:" + pair.replace("\n    \n", "\n")
        assert desk.refused(book({"ب": renamed}), layouts).code == "missing-column"


def test_S9_a_form_without_labels_never_reads_another_edition(desk: Desk) -> None:
    layouts = """
    layouts:
      - valid_from: 2024-01-01
        fields:
          period: {value: "jalali_year:1401"}
          indicator: {value: landline}
          value: {cell: B2}
      - valid_from: 2025-01-01
        fields:
          province: {headers: [استان]}
          period: {value: "jalali_year:1402"}
          indicator: {value: landline}
          value: {headers: [مقدار]}
    """
    data = book({"ب": [["نام", "رقم"], ["تهران", 5]]})
    assert desk.refused(data, layouts).code == "header-not-found"
    checked = layouts.replace("value: {cell: B2}", "value: {cell: B2, label_cell: A1, label: نام}")
    assert desk.read(data, checked).accepted.height == 1


def test_layouts_of_one_date_are_told_apart_by_their_titles_or_refused(desk: Desk) -> None:
    same = EDITIONS.replace("2025-01-01", "2024-01-01")
    old = [["نام استان", "عنوان شاخص", "عملکرد"], ["تهران", "تلفن ثابت", 1]]
    assert cells(desk.read(book({"ب": old}), same)) == {(TEHRAN, Y1401, 1.0)}
    both = [[*old[0], "استان", "شاخص", "مقدار"], [*old[1], "قم", "تلفن ثابت", 2]]
    twice = same.replace("          unit: {headers: [واحد]}\n", "")
    assert desk.refused(book({"ب": both}), twice).code == "ambiguous-layout"


# ------------------------------------------------------------------------------ forms

FORM = """
    layouts:
      - fields:
          period: {cell: "جلد!B2", pattern: "سال {}", period_kind: jalali_year}
          province: {sheet_name: true, pattern: "استان {}"}
        sheets: ["استان *"]
        checks: [{cell: A1, text: "*فرم ۳*"}]
        cell_map: map.csv
"""


def form(shift: int = 0) -> bytes:
    sheets: dict[str, Rows] = {"جلد": [["فرم"], ["دوره", "سال ۱۴۰۱"]]}
    for number, name in enumerate(("تهران", "قم")):
        rows: Rows = [["وزارت - فرم 3"], *([[]] * shift)]
        rows += [[f"شاخص {i}", None, 100 * number + i if i != 7 else None] for i in range(60)]
        sheets[f"استان {name}"] = rows
    return book(sheets)


def write_map(desk: Desk, lines: Iterable[str], title: str = "indicator") -> None:
    text = "\n".join(("sheet,cell,label_cell,label," + title, *lines))
    (desk.folder / "map.csv").write_text(text + "\n", encoding="utf-8-sig")


MAP = [f"استان *,C{i + 2},A{i + 2},شاخص {i},sim_i0{i % 6 + 1}" for i in range(6)]


def test_a_form_of_many_sheets_by_a_map_in_csv(desk: Desk) -> None:
    write_map(desk, [*MAP, "", "استان *,C9,A9,شاخص ۷,landline"])
    records = desk.read(form(), FORM)
    assert records.accepted.height == 12
    assert (QOM, "sim_i03", Y1401, 102.0) in cells(
        records, "province_code", "indicator_code", "period_start", "value"
    )
    assert records.non_data == {"blank_value": 2, "out_of_scope": 2}
    assert "استان قم!C4" in place(records)
    assert set(place(records, "period")) == {"جلد!B2"}


def test_S9_a_form_with_an_inserted_row_is_refused_with_the_place_of_the_label(desk: Desk) -> None:
    write_map(desk, MAP)
    error = desk.refused(form(shift=1), FORM)
    assert (error.code, error.locator) == ("label-mismatch", "استان تهران!A2")
    assert "'شاخص 0' stands at استان تهران!A3" in error.message
    assert "(12 such cells)" in error.message
    assert desk.refused(form(), FORM.replace("فرم ۳", "فرم ۴")).locator == "استان تهران!A1"


def test_a_map_of_1944_cells_over_26_sheets_is_read_in_a_moment(desk: Desk) -> None:
    sheets = {
        f"Sch {n}": [["form", None, None], *([f"r{r}", None, n * 1000 + r] for r in range(76))]
        for n in range(26)
    }
    write_map(
        desk,
        [f"Sch {i // 75},C{i % 75 + 2},A{i % 75 + 2},r{i % 75},S{i:04d}" for i in range(1944)],
        "service",
    )
    layout = """
        layouts:
          - cells_into: transactions_total
            cell_map: map.csv
            fields:
              period: {value: "jalali_year:1401", period_kind: jalali_year}
              agency: {value: mict}
    """
    records = desk.read(book(sheets), layout, "service_status")
    assert records.accepted.height == 1944
    assert ("S1943", 25068.0) in cells(records, "service_code", "transactions_total")


def test_faults_of_a_map_name_its_line(desk: Desk) -> None:
    write_map(desk, [MAP[0], "استان *,,A3,x,sim_i01"])
    error = desk.bad(FORM)
    assert (error.path.name, error.line) == ("map.csv", 3)
    write_map(desk, [MAP[0], "استان *,C3"])
    assert (desk.bad(FORM).path.name, desk.bad(FORM).line) == ("map.csv", 3)
    write_map(desk, [MAP[0], MAP[0].replace("sim_i01", "sim_i02")])
    assert "same cell C2" in desk.bad(FORM).message
    write_map(desk, MAP, "indicatr")
    assert "no field 'indicatr'" in desk.bad(FORM).message
    (desk.folder / "map.csv").unlink()
    assert desk.bad(FORM).line == 13
    write_map(desk, [MAP[0].replace(",C2,", ",C,")])
    assert "'C' is no cell address" in desk.bad(FORM).message


def test_the_content_of_a_map_makes_a_new_version_of_the_source(desk: Desk) -> None:
    write_map(desk, MAP)
    first = desk.load(FORM).sha256
    write_map(desk, [*MAP, "استان *,C9,A9,شاخص ۷,landline"])
    assert desk.load(FORM).sha256 != first


def test_X2_one_merged_number_is_not_two_records(desk: Desk) -> None:
    layout = """
        layouts:
          - fields: {period: {value: "jalali_year:1401"}}
            cells:
              - {cell: B2, set: {indicator: landline}}
              - {cell: C2, set: {indicator: idi}}
    """
    data = book({"ب": [[], [None, 5, None]]}, lambda w: w["ب"].merge_cells("B2:C2"))
    error = desk.refused(data, layout)
    assert (error.code, error.locator) == ("duplicate-cell", "ب!B2")


def test_a_sheet_that_the_map_names_and_the_file_lacks(desk: Desk) -> None:
    write_map(desk, [*MAP, "خلاصه,C9,A9,شاخص ۷,landline"])
    assert desk.refused(form(), FORM).code == "missing-sheet"


def test_a_plain_form_checks_its_labels_too(desk: Desk) -> None:
    layout = """
        layouts:
          - fields:
              period: {value: "jalali_year:1401"}
              indicator: {value: landline}
              value: {cell: B2, label_cell: A2, label: "تعداد*"}
    """
    good = book({"ب": [["x"], ["تعداد خطوط", 4]]})
    assert desk.read(good, layout).accepted.height == 1
    shifted = book({"ب": [["x"], ["نام", 4], ["تعداد خطوط", 5]]})
    assert "stands at ب!A3" in desk.refused(shifted, layout).message


# ------------------------------------------------------------------------------ plain text

TEXT = """
    layouts:
      - fields:
          province: {headers: [استان]}
          indicator: {value: landline}
          period: {value: "jalali_year:1401"}
          value: {headers: [تعداد]}
          unit: {headers: [واحد], required: false}
"""
ALIGNED = """\
جدول ۳ - تلفن ثابت، به تفکیک استان

استان                  تعداد     واحد
----------------------------------------
تهران                   1234     خط
سیستان و بلوچستان         55
قم                       ۷۸۹     خط
کهگیلویه و بویراحمد               خط
منبع: وزارت ارتباطات
"""


def test_columns_that_stand_below_each_other_are_told_apart(desk: Desk) -> None:
    for form in (TEXT, "    text: {separator: aligned}\n" + TEXT):
        records = desk.read(ALIGNED.replace("،", "").encode(), form)
        assert {(p, v) for p, _, v in cells(records)} == {
            (TEHRAN, 1234.0),
            ("IR-11", 55.0),
            (QOM, 789.0),
            ("IR-17", None),
        }
        assert records.non_data == {"title": 1, "blank": 1, "header": 1, "note": 2}


def test_signs_that_are_no_separators_do_not_mislead(desk: Desk) -> None:
    assert desk.read(ALIGNED.encode(), TEXT).accepted.height == 4
    numbers = ALIGNED.replace("1234", "1,23").replace("55", "5,5").replace("۷۸۹", "۷,۸")
    assert desk.refused(numbers.encode(), TEXT).code == "header-not-found"


def test_an_aligned_cell_below_two_columns_stops_the_file(desk: Desk) -> None:
    lines = ALIGNED.replace("، به", "").splitlines()
    lines.insert(6, "آذربایجان غربی و شرقی و اردبیل  77  خط")
    error = desk.refused("\n".join(lines).encode(), "    text: {separator: aligned}\n" + TEXT)
    assert (error.code, "run into each other" in error.message) == ("columns-unclear", True)


def test_fixed_columns_in_cp1256_with_letters_that_take_no_room(desk: Desk) -> None:
    lines = ["استان     تعداد", "تهران     12", "قم           3", "فارس      4"]
    form = "    text: {columns: [1, 11], encoding: cp1256}\n" + TEXT
    records = desk.read("\r\n".join(lines).encode("cp1256"), form)
    assert {(p, v) for p, _, v in cells(records)} == {(TEHRAN, 12.0), (QOM, 3.0), (FARS, 4.0)}
    joined = "كهگيلويه وبويراحمد 7"
    error = desk.refused("\n".join([*lines, joined]).encode("cp1256"), form)
    assert (error.code, error.locator) == ("columns-unclear", "f:5")


def test_dots_that_lead_to_the_figure_are_no_text(desk: Desk) -> None:
    text = (
        "استان            تعداد\n"
        "تهران ........... 1234\n"
        "قم .............   789\n"
        "فارس ...........   ...\n"
        "گیلان ..........    12\n"
    )
    records = desk.read(text.encode(), TEXT)
    assert {(p, v) for p, _, v in cells(records)} == {
        (TEHRAN, 1234.0),
        (QOM, 789.0),
        (FARS, None),
        (GILAN, 12.0),
    }
    assert [f.raw_text for f in records.findings] == ["..."]


def test_a_tab_inside_an_aligned_table_has_no_width(desk: Desk) -> None:
    lines = ["استان     تعداد", "تهران\t12", "قم           3"]
    form = "    text: {columns: [1, 11]}\n" + TEXT
    error = desk.refused("\n".join(lines).encode(), form)
    assert (error.code, error.locator) == ("columns-unclear", "f:2")


def test_words_parted_by_single_blanks_need_a_declaration_and_no_gaps(desk: Desk) -> None:
    text = "گزارش سالانه تلفن\nاستان تعداد\nتهران 12\nقم 3\nفارس 4\n"
    assert desk.refused(text.encode(), TEXT).code == "header-not-found"
    declared = "    text: {separator: spaces}\n" + TEXT
    records = desk.read(text.encode(), declared)
    assert {(p, v) for p, _, v in cells(records)} == {(TEHRAN, 12.0), (QOM, 3.0), (FARS, 4.0)}
    two_words = text.replace("قم 3", "خراسان رضوی 3")
    error = desk.refused(two_words.encode(), declared)
    assert (error.code, error.locator) == ("columns-unclear", "f:4")


def test_tables_as_databases_print_them(desk: Desk) -> None:
    text = (
        "+-------+-------+\n| استان | تعداد |\n+-------+-------+\n"
        "| تهران | 12    |\n| قم    | 3     |\n+-------+-------+\n"
    )
    records = desk.read(text.encode(), TEXT)
    assert {(p, v) for p, _, v in cells(records)} == {(TEHRAN, 12.0), (QOM, 3.0)}
    plain = " استان | تعداد\n-------+-------\n تهران |    12\n قم    |     3\n"
    assert cells(desk.read(plain.encode(), TEXT)) == cells(records)


def test_a_declared_separator_and_bare_quotes(desk: Desk) -> None:
    text = 'استان~تعداد\nتهران~12\n"قم~3\n'
    declared = '    text: {separator: "~", quotes: false}\n' + TEXT
    records = desk.read(text.encode(), declared)
    assert (records.accepted.height, records.rows_refused) == (1, 1)
    assert desk.refused(text.encode(), declared.replace(", quotes: false", "")).code == (
        "broken-quotes"
    )


def test_T10_a_declared_encoding_is_not_believed_against_the_bytes(desk: Desk) -> None:
    declared = "    text: {encoding: utf-8}\n" + TEXT
    assert desk.refused("استان;تعداد\nتهران;1\n".encode("cp1256"), declared).code == "damaged-file"
    wrong = "    text: {encoding: cp1256}\n" + TEXT
    assert desk.refused("استان;تعداد\nتهران;1\n".encode(), wrong).code == "mojibake"


# ------------------------------------------------------------------------------ source files


@pytest.mark.parametrize(
    ("layouts", "said"),
    [
        ("    layouts:\n      - {cells: [{cell: B2}], transpose: true}\n", "cells go with"),
        ("    layouts:\n      - {split: rows, fields: {value: {cell: B2}}}\n", "needs fields with"),
        (
            "    layouts:\n      - group_rows: [استان]\n        fields: {value: {headers: [x]}}\n",
            "one {field}",
        ),
        (
            "    text: {separator: '::'}\n    layouts:\n      - fields: {value: {headers: [x]}}\n",
            "one character",
        ),
        ("    layouts:\n      - fields: {value: {cell: B2, label: x}}\n", "belong together"),
        ("    layouts:\n      - fields: {value: {headers: [x], pattern: سال}}\n", "one {}"),
    ],
)
def test_settings_that_make_no_sense_together(desk: Desk, layouts: str, said: str) -> None:
    assert said in desk.bad(layouts).message


# ------------------------------------------------------------------------------ at large


def test_X2_a_budget_book_with_thousands_of_merged_cells(desk: Desk) -> None:
    """Records two rows high, each of their cells merged; a merged heading for each province."""
    rows: Rows = [["برنامه", "شرح", "مصوب", "تخصیص"]]
    merges: list[Merge] = []
    for number in range(2000):
        if number % 500 == 0:
            merges.append(Merge(len(rows), 0, len(rows), 3))
            rows.append([f"استان {('تهران', 'قم', 'فارس', 'گیلان')[number // 500]}"])
        merges += [Merge(len(rows), c, len(rows) + 1, c) for c in range(4)]
        rows += [[f"P{number % 21 + 1:02d}", f"فصل {number}", 10, 5], []]
    source = desk.load(
        """
        layouts:
          - group_rows: ["استان {province}"]
            fields:
              project: {headers: [برنامه]}
              period: {value: "jalali_year:1401"}
              allocated: {headers: [مصوب], unit: rial}
              released: {headers: [تخصیص], unit: rial}
        """,
        "funding",
    ).spec
    raw = extract([Grid("بودجه", rows, merges)], source.layouts[0], source)
    assert (raw.height, raw.findings) == (2000, [])
    # the row that the last merged cells cover is not read: nothing stands in it
    assert {n.reason: n.count for n in raw.non_data} == {"header": 1, "group": 4, "blank": 1999}
    assert raw.columns["province"].at[-1] == "بودجه!A3005"


BLOCKS = st.lists(
    st.lists(
        st.tuples(st.integers(1, 4), st.booleans(), st.integers(1, 2), st.integers(1, 3)),
        min_size=1,
        max_size=3,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(BLOCKS, st.booleans(), st.booleans())
def test_X9_tables_in_any_arrangement_are_read_whole(
    bands: list[list[tuple[int, bool, int, int]]], titled: bool, turned: bool
) -> None:
    """Bands of tables beside each other: (rows, columns swapped, blank columns, blank rows)."""
    cells: dict[tuple[int, int], Any] = {}
    expected: dict[str, str] = {}
    top, value = 0, 0
    if titled:
        cells[0, 0], top = "گزارش", 2
    for band in bands:
        left, deepest, gap = 0, 0, 1
        for height, is_swapped, blank_columns, blank_rows in band:
            name, number = (1, 0) if is_swapped else (0, 1)
            cells[top, left + name], cells[top, left + number] = "استان", "مقدار"
            for row in range(1, height + 1):
                value += 1
                cells[top + row, left + name] = f"استان {value}"
                cells[top + row, left + number] = value
                r, c = top + row, left + number
                at = (c, r) if turned else (r, c)
                expected[str(value)] = address("ب", *at)
            left += 2 + blank_columns
            deepest, gap = max(deepest, height), max(gap, blank_rows)
        top += deepest + 1 + gap
    size = (max(r for r, _ in cells) + 1, max(c for _, c in cells) + 1)
    rows = [[cells.get((r, c)) for c in range(size[1])] for r in range(size[0])]
    if turned:
        rows = [list(column) for column in zip(*rows, strict=True)]
    source = SourceSpec.model_validate(
        {
            "source": "a__b",
            "title": "t",
            "kind": "indicator_value",
            "agency": "mict",
            "owner": {"name": "x", "email": "x@x.invalid"},
            "connector": {"type": "folder", "path": "."},
            "layouts": [
                {
                    "split": "both",
                    "transpose": turned,
                    "fields": {
                        "province": {"headers": ["استان"]},
                        "value": {"headers": ["مقدار"]},
                        "indicator": {"value": "idi"},
                        "period": {"value": "jalali_year:1401"},
                    },
                }
            ],
        }
    )
    raw = extract([Grid("ب", rows)], source.layouts[0], source)
    column = raw.columns["value"]
    assert dict(zip(column.text.to_list(), column.at.to_list(), strict=True)) == expected
    assert [f"استان {text}" for text in column.text] == raw.columns["province"].text.to_list()
