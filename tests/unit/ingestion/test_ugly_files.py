"""Files as ministries and provinces publish them: read right, or refused loudly, never read wrong.

Each test builds the real bytes (a workbook, a text table, a page, an answer of an API) and takes
them through reading, layout and contract at once, as the pipeline does. Each of them stood for a
figure that was read wrong, or might have been.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from ingestion.errors import IngestError
from ingestion.normalise.codelists import load_code_lists
from ingestion.pipeline import examine
from ingestion.spec.model import SourceSpec
from ingestion.table import Records

LISTS = load_code_lists(Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference")
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
WEEK = "1405/08/23"
TEHRAN, ALBORZ, QOM, FARS, YAZD = "IR-23", "IR-30", "IR-25", "IR-07", "IR-21"

PROGRESS: dict[str, Any] = {
    "project": {"headers": ["پروژه"]},
    "period": {"headers": ["هفته"], "calendar": "jalali"},
    "planned_pct": {"headers": ["برنامه"], "percent_scale": "percent"},
    "actual_pct": {"headers": ["واقعی"], "percent_scale": "percent"},
}
HEAD = ["پروژه", "هفته", "برنامه", "واقعی"]
VALUES: dict[str, Any] = {
    "province": {"headers": ["استان"]},
    "indicator": {"value": "sim_i01"},
    "period": {"value": "jalali_year:1404"},
    "value": {"headers": ["مقدار", "تعداد"]},
}
BUDGET: dict[str, Any] = {
    "province": {"headers": ["استان"]},
    "period": {"value": "jalali_year:1404"},
    "allocated": {"headers": ["مصوب"], "unit": "میلیون ریال"},
    "released": {"headers": ["تخصیص"], "unit": "میلیون ریال"},
}

Rows = list[list[Any]]
Fix = Callable[[Any], None]


def spec(kind: str, fields: dict[str, Any], **layout: Any) -> SourceSpec:
    connector = layout.pop("connector", {"type": "folder", "path": "."})
    return SourceSpec.model_validate(
        {
            "source": "sim_a01__ugly",
            "title": "t",
            "kind": kind,
            "agency": "sim_a01",
            "owner": {"name": "n", "email": "n@example.invalid"},
            "connector": connector,
            "layouts": [{"fields": fields, **layout}],
        }
    )


def workbook(rows: Rows, fix: Fix | None = None) -> bytes:
    book = openpyxl.Workbook()
    del book["Sheet"]
    sheet = book.create_sheet("گزارش")
    sheet.sheet_view.rightToLeft = True
    for row in rows:
        sheet.append(row)
    if fix is not None:
        fix(sheet)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def read(data: bytes, source: SourceSpec) -> Records:
    _, records = examine(source, [("ugly", data)], LISTS, NOW)
    balance = records.accepted.height + records.rows_refused + sum(records.non_data.values())
    assert records.rows_read == balance
    return records


def values(data: bytes, **layout: Any) -> Records:
    return read(data, spec("indicator_value", VALUES, **layout))


def refused(data: bytes, source: SourceSpec) -> IngestError:
    with pytest.raises(IngestError) as caught:
        read(data, source)
    return caught.value


def by_province(records: Records, column: str = "value") -> dict[str, float | None]:
    """province code -> number, of the accepted records."""
    return {
        row["province_code"]: None if row[column] is None else float(row[column])
        for row in records.accepted.iter_rows(named=True)
    }


def faults(records: Records) -> list[tuple[str, str, str | None]]:
    return [(f.scope, f.reason_code, f.raw_text) for f in records.findings]


# ------------------------------------------------------------------------------ rows


def test_T11_N3_a_thousands_comma_without_quotes_does_not_cut_the_number() -> None:
    table = "استان,مقدار\nتهران,1,234\nالبرز,150\nقم,1,700\nفارس,20\nیزد,30\n"
    records = values(table.encode())
    assert by_province(records) == {ALBORZ: 150.0, FARS: 20.0, YAZD: 30.0}
    assert [(f.reason_code, f.locator) for f in records.findings] == [
        ("shifted-row", "ugly!2"),
        ("shifted-row", "ugly!4"),
    ]
    # a last column without a title is no shift as long as it is empty
    assert values("استان,مقدار\nتهران,1234,\nالبرز,1500,\n".encode()).accepted.height == 2


def test_X2_K9_a_forgotten_province_is_not_the_whole_country() -> None:
    fields = {**PROGRESS, "province": {"headers": ["استان"]}}
    rows: Rows = [
        ["استان", *HEAD],
        ["تهران", "P01", WEEK, 10, 20],
        [None, "P02", WEEK, 30, 40],
        ["البرز", "P01", WEEK, 50, 60],
    ]
    records = read(workbook(rows), spec("progress", fields))
    assert records.accepted["province_code"].to_list() == [TEHRAN, ALBORZ]
    assert [(f.reason_code, f.field, f.locator) for f in records.findings] == [
        ("missing-key", "province", "گزارش!A3")
    ]
    # a source may declare that a blank means the country
    fields["province"] = {"headers": ["استان"], "required": False}
    assert "" in read(workbook(rows), spec("progress", fields)).accepted["province_code"].to_list()


def test_X2_a_label_merged_over_its_rows_holds_for_all_of_them() -> None:
    fields = {**PROGRESS, "province": {"headers": ["استان"]}}
    rows: Rows = [
        ["استان", *HEAD],
        ["تهران", "P01", WEEK, 10, 20],
        [None, "P02", WEEK, 30, 40],
        ["البرز", "P01", WEEK, 50, 60],
    ]
    data = workbook(rows, lambda sheet: sheet.merge_cells("A2:A3"))
    records = read(data, spec("progress", fields))
    assert records.accepted["province_code"].to_list() == [TEHRAN, TEHRAN, ALBORZ]


def test_a_key_that_the_source_file_requires_refuses_its_row() -> None:
    fields = {**VALUES, "province": {"headers": ["استان"], "required": True}}
    source = spec("indicator_value", fields)
    answer = json.dumps([{"استان": None, "مقدار": 5}, {"استان": "قم", "مقدار": 6}])
    records = read(answer.encode(), source)
    assert by_province(records) == {QOM: 6.0}
    assert faults(records) == [("row", "missing-key", None)]


# ------------------------------------------------------------------------------ cells


SHEET = "xl/worksheets/sheet1.xml"


def surgery(data: bytes, changes: dict[str, str], **more: str) -> bytes:
    """A workbook with texts of its only sheet replaced, and further parts (`/` is `__`)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            for before, after in changes.items() if name == SHEET else ():
                assert text.count(before.encode()) == 1, f"'{before}' is not once in the sheet"
                text = text.replace(before.encode(), after.encode())
            new.writestr(name, text)
        for name, content in more.items():
            new.writestr(name.replace("__", "/") + ".xml", content)
    return buffer.getvalue()


def test_N12_the_mark_of_a_footnote_is_not_a_digit_of_a_workbooks_number() -> None:
    raised = '<rPr><vertAlign val="superscript"/></rPr>'
    texts = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<si><t>13</t></si><si><r><t>12</t></r><r>{raised}<t>1</t></r></si></sst>"
    )
    rows: Rows = [["استان", "مقدار"], ["تهران", "a"], ["البرز", "b"], ["قم", 14]]
    cells = {
        '<c r="B2" t="inlineStr"><is><t>a</t></is></c>': '<c r="B2" t="s"><v>1</v></c>',
        '<c r="B3" t="inlineStr"><is><t>b</t></is></c>': '<c r="B3" t="s"><v>0</v></c>',
    }
    records = values(surgery(workbook(rows), cells, xl__sharedStrings=texts))
    assert by_province(records) == {TEHRAN: None, ALBORZ: 13.0, QOM: 14.0}
    assert faults(records) == [("cell", "not-a-number", "12¹")]


def test_N12_footnotes_of_rich_cells_and_of_pages_are_told_apart_too() -> None:
    raised = InlineFont(vertAlign="superscript")
    rich = CellRichText("۱۲", TextBlock(raised, "۱"))
    records = values(workbook([["استان", "مقدار"], ["تهران", rich], ["البرز", 13]]))
    assert faults(records) == [("cell", "not-a-number", "۱۲¹")]
    page = (
        "<html><body><table><tr><th>استان<sup>*</sup></th><th>مقدار</th></tr>"
        "<tr><td>تهران</td><td>12<sup>1</sup></td></tr>"
        "<tr><td>البرز</td><td>13</td></tr></table>"
    )
    fields = {**VALUES, "province": {"headers": ["استان*"]}}
    records = read(page.encode(), spec("indicator_value", fields))
    assert by_province(records) == {TEHRAN: None, ALBORZ: 13.0}
    assert faults(records) == [("cell", "not-a-number", "12¹")]


@pytest.mark.parametrize(
    "text",
    ["12*", "۱۲(۱)", "12 [1]", "۴۵ (برآورد)", "~45", "حدود ۴۵", "45+", ">45", "۱۰ تا ۱۲", "4-5",
     "۱۲ مورد", "نامعلوم (۱۲)", "1/234", "12 345", "1.2.3", "۱۲٬۳۴", "--5", "1,23,456", "٪"],
)  # fmt: skip
def test_N12_N3_a_number_with_anything_beside_it_is_left_to_people(text: str) -> None:
    records = values(workbook([["استان", "مقدار"], ["تهران", text], ["البرز", 13]]))
    assert by_province(records) == {TEHRAN: None, ALBORZ: 13.0}
    assert [f.raw_text for f in records.findings] == [text]


def test_N6_N8_X12_numbers_kept_as_text_are_the_numbers() -> None:
    texts = ["(1,234)", "1,234-", "\u200f−5", "( 5 )", "'45", "١٢٬٣٤٥", "۱٫۵", " 7 ", "1E+03"]
    provinces = ["تهران", "البرز", "قم", "فارس", "یزد", "گیلان", "مازندران", "همدان", "سمنان"]

    def as_text(sheet: Any) -> None:
        for row in range(2, len(texts) + 2):
            sheet.cell(row, 2).number_format = "@"
            sheet.cell(row, 2).quotePrefix = True

    rows: Rows = [["استان", "مقدار"], *map(list, zip(provinces, texts, strict=True))]
    records = values(workbook(rows, as_text))
    found = [None if v is None else float(v) for v in records.accepted["value"].to_list()]
    assert found == [-1234, -1234, -5, -5, 45, 12345, 1.5, 7, 1000]


def test_X12_D4_dates_kept_as_text_or_as_numbers_are_jalali_days() -> None:
    texts: list[Any] = ["1405/08/23", "۱۴۰۵-۸-۲۳", 14050823, "۲۳ آبان ماه ۱۴۰۵", "1405.8.23"]
    rows = [HEAD] + [[f"P{i:02}", text, 50, 40] for i, text in enumerate(texts, 1)]
    records = read(workbook(rows), spec("progress", PROGRESS))
    assert records.accepted["period_start"].to_list() == [dt.date(2026, 11, 14)] * len(texts)


@pytest.mark.parametrize(
    "text",
    [46340, 1405, 140508, "05/08/23", "هفته ۳۵", "1405/08/16 الی 1405/08/22", "2026-W46",
     "1404/12/30", "1405/07/31", "۳۰/۱۲/۱۴۰۴", "1448/06/04", "0", "1900-01-00", "آبان"],
)  # fmt: skip
def test_D1_D2_D3_D8_D9_D23_weeks_that_are_no_day_for_certain_refuse_their_row(text: Any) -> None:
    records = read(workbook([HEAD, ["P01", text, 50, 40]]), spec("progress", PROGRESS))
    assert records.accepted.height == 0
    assert [(f.scope, f.field) for f in records.findings] == [("row", "period")]


def test_D1_a_month_typed_as_a_number_loses_its_zero() -> None:
    fields = {**VALUES, "period": {"headers": ["ماه"], "period_kind": "jalali_month"}}
    rows: Rows = [["استان", "ماه", "مقدار"], ["تهران", 1405.1, 5], ["البرز", 1405.02, 6]]
    records = read(workbook(rows), spec("indicator_value", fields))
    assert by_province(records) == {ALBORZ: 6.0}
    assert [(f.reason_code, f.raw_text) for f in records.findings] == [("ambiguous-date", "1405.1")]


def test_N4_a_format_may_show_a_percentage_that_the_column_does_not_hold() -> None:
    def percent(sheet: Any) -> None:
        sheet["C2"].number_format = "0%"
        sheet["C3"].number_format = '0"%"'
        sheet["D2"].number_format = "[Red]0.0%;-0.0%"

    rows: Rows = [HEAD, ["P01", WEEK, 0.455, 0.4], ["P02", WEEK, 45, "۴۱٪"], ["P03", WEEK, 46, 42]]
    records = read(workbook(rows, percent), spec("progress", PROGRESS))
    assert [float(v) for v in records.accepted["planned_pct"]] == [45.5, 45, 46]
    assert [float(v) for v in records.accepted["actual_pct"]] == [40, 41, 42]
    # a plain number that is shown as a percentage is neither
    shown = workbook(
        [["استان", "مقدار"], ["تهران", 0.45]], lambda s: s["B2"].__setattr__("number_format", "0%")
    )
    assert faults(values(shown)) == [("cell", "unexpected-percent-sign", "0.45")]


def test_N13_X5_what_a_formula_never_gave_is_not_blank_and_not_zero() -> None:
    rows: Rows = [["استان", "مقدار"], ["تهران", "=1+1"], ["البرز", "#DIV/0!"], ["قم", "#####"]]
    records = values(workbook(rows))
    assert by_province(records) == {TEHRAN: None, ALBORZ: None, QOM: None}
    assert [f.reason_code for f in records.findings] == [
        "formula-without-value",
        "error-value",
        "error-value",
    ]


def test_N2_a_date_made_of_a_fraction_by_the_sheet_is_no_number() -> None:
    rows: Rows = [["استان", "مقدار"], ["تهران", dt.date(2026, 4, 5)], ["البرز", dt.time(4, 5)]]
    records = values(workbook([*rows, ["قم", True]]))
    assert by_province(records) == {TEHRAN: None, ALBORZ: None, QOM: None}
    assert {f.reason_code for f in records.findings} == {"not-a-number"}


def linked(formula: str) -> bytes:
    data = workbook([["استان", "مقدار"], ["تهران", 12], ["البرز", 13]])
    change = {"<v>12</v>": f"<f>{formula}</f><v>12</v>"}
    return surgery(data, change, xl__externalLinks__externalLink1="<externalLink/>")


def test_X6_a_value_taken_from_another_workbook_is_pointed_out() -> None:
    records = values(linked("[1]Sheet1!A1*2"))
    assert by_province(records) == {TEHRAN: 12.0, ALBORZ: 13.0}
    (finding,) = records.findings
    assert (finding.scope, finding.reason_code, finding.locator, finding.raw_text) == (
        *("file", "external-link", "گزارش!B2", "=[1]Sheet1!A1*2"),
    )
    assert values(linked("SUM(A1:A1)+12")).findings == []


# ------------------------------------------------------------------------------ duties

EVENTS: dict[str, Any] = {
    "period": {"headers": ["تاریخ گزارش"], "calendar": "jalali", "period_kind": "date"},
    "obligation": {"headers": ["تکلیف"]},
    "event_date": {"headers": ["تاریخ"], "calendar": "jalali"},
    "status": {"headers": ["وضعیت"]},
    "anchor_event": {"headers": ["مبنا"]},
    "anchor_date": {"headers": ["تاریخ مبنا"], "calendar": "jalali"},
    "extended_to": {"headers": ["تمدید تا"], "calendar": "jalali"},
}
EVENT_HEAD = [field["headers"][0] for field in EVENTS.values()]


def events(*rows: list[Any]) -> Records:
    body = [[WEEK, *row] for row in rows]
    return read(workbook([EVENT_HEAD, *body]), spec("obligation_event", EVENTS))


@pytest.mark.parametrize(
    "words",
    ["پیش از شهریور ۱۴۰۵", "تا پایان سال ۱۴۰۵", "در شهریور ۱۴۰۵", "before September 2026",
     "in May 2026", "ظرف ۶ ماه", "فوراً", "به زودی", "به‌تدریج", "immediately", "مهر ۱۴۰۵"],
)  # fmt: skip
def test_D17_D18_words_for_a_deadline_are_never_made_a_day(words: str) -> None:
    records = events(["A2", "1405/08/01", "in_progress", None, None, words])
    assert records.accepted["extended_to"].to_list() == [None]
    assert [(f.scope, f.field, f.raw_text) for f in records.findings] == [
        ("cell", "extended_to", words)
    ]


def test_D20_acts_that_a_deadline_may_count_from_are_kept_apart_and_never_made_up() -> None:
    records = events(
        ["A2", "1401/01/15", "approved", "session", "1401/01/10", None],
        ["A2", "1401/01/27", "notified", "notification", "1401/01/27", None],
        ["A6", "1401/02/01", "notified", "notification", None, None],
    )
    found = records.accepted.select("obligation_code", "anchor_event", "anchor_on").rows()
    assert found == [
        ("A2", "session", dt.date(2022, 3, 30)),
        ("A2", "notification", dt.date(2022, 4, 16)),
        ("A6", "notification", None),
    ]


def test_D21_an_extension_is_an_event_of_its_own_beside_the_earlier_ones() -> None:
    records = events(
        ["A2", "1405/05/01", "extended", None, None, "1405/07/30"],
        ["A2", "1405/07/01", "extended", None, None, "1405/09/30"],
    )
    assert records.accepted["extended_to"].to_list() == [
        dt.date(2026, 10, 22),
        dt.date(2026, 12, 21),
    ]
    assert records.accepted["record_key"].n_unique() == 2


def test_D9_D8_a_day_that_the_calendar_has_not_is_not_the_next_one() -> None:
    records = events(["A2", "1404/12/30", "done", None, None, None])
    assert (records.accepted.height, [f.reason_code for f in records.findings]) == (
        *(0, ["invalid-date"]),
    )


def test_P11_D22_timestamps_without_a_zone_are_tehrans_under_both_offsets() -> None:
    fields = {**PROGRESS, "reported_at": {"headers": ["زمان"]}}
    rows = [
        ["P01", "1401/06/26", 50, 40, "2022-09-21 22:30"],  # still +04:30
        ["P02", "1401/07/09", 50, 40, "2022-10-01 00:30"],  # +03:30 for good
        ["P03", "1401/06/26", 50, 40, "2022-09-21 23:30"],  # an hour that came twice
    ]
    records = read(workbook([[*HEAD, "زمان"], *rows]), spec("progress", fields))
    first, second, twice = records.accepted["reported_at"].to_list()
    assert (first, second, twice) == (
        dt.datetime(2022, 9, 21, 18, tzinfo=dt.UTC),
        dt.datetime(2022, 9, 30, 21, tzinfo=dt.UTC),
        None,
    )
    assert [f.reason_code for f in records.findings] == ["ambiguous-time"]


# ------------------------------------------------------------------------------ units

MONEY = ["استان", "مصوب", "تخصیص"]
TOMAN = "(ارقام به میلیون تومان)"


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        ([["اعتبارات استانی"], [TOMAN], MONEY, ["تهران", 10, 5]], "گزارش!A2"),
        ([["مبالغ به هزار ریال", None, None], MONEY, ["تهران", 10, 5]], "گزارش!A1"),
        ([["اعتبارات", None, "میلیارد ریال"], MONEY, ["تهران", 10, 5]], "گزارش!C1"),
        ([MONEY, [TOMAN], ["تهران", 10, 5]], "گزارش!A2"),
        ([MONEY, [None, "میلیارد ریال", "میلیارد ریال"], ["تهران", 10, 5]], "گزارش!B2"),
    ],
)
def test_N10_a_unit_that_the_file_names_must_be_the_declared_one(rows: Rows, at: str) -> None:
    error = refused(workbook(rows), spec("funding", BUDGET))
    assert (error.code, error.locator) == ("unit-mismatch", at)


@pytest.mark.parametrize(
    "rows",
    [
        [["اعتبارات (ارقام: میلیون ریال)"], MONEY, ["تهران", 10, 5]],
        [["طرح‌های بالای ۱۰ میلیارد تومان"], MONEY, ["تهران", 10, 5]],
        [MONEY, ["واحد", "میلیون ریال", "میلیون ریال"], ["تهران", 10, 5]],
        [MONEY, ["تهران", "10 میلیون ریال", 5]],
    ],
)
def test_N10_the_declared_unit_may_be_named_and_other_sums_spoken_of(rows: Rows) -> None:
    records = read(workbook(rows), spec("funding", BUDGET))
    assert by_province(records, "allocated_rial") == {TEHRAN: 10_000_000.0}
    assert records.findings == []


def test_N10_a_title_that_names_its_unit_is_held_against_the_source_file() -> None:
    titled = {**BUDGET, "allocated": {"headers": ["مصوب (میلیون تومان)"], "unit": "میلیون ریال"}}
    data = workbook([["استان", "مصوب (میلیون تومان)", "تخصیص"], ["تهران", 10, 5]])
    assert refused(data, spec("funding", titled)).code == "unit-mismatch"
    titled["allocated"]["unit"] = "میلیون تومان"
    records = read(data, spec("funding", titled))
    assert by_province(records, "allocated_rial") == {TEHRAN: 100_000_000.0}


def test_N10_a_cell_that_names_another_unit_is_not_converted_behind_anyones_back() -> None:
    records = read(workbook([MONEY, ["تهران", "10 میلیارد ریال", 5]]), spec("funding", BUDGET))
    assert by_province(records, "allocated_rial") == {TEHRAN: None}
    assert faults(records) == [("cell", "unit-mismatch", "10 میلیارد ریال")]


def test_X1_X3_numbers_of_columns_units_and_sums_of_pages_are_no_records() -> None:
    numbered: Rows = [
        ["استان", "مصوب", "تخصیص", "مانده"],
        ["(۱)", "(۲)", "(۳)", "(۴=۲-۳)"],
        [None, "میلیون ریال", "میلیون ریال", "میلیون ریال"],
        ["تهران", 10, 5, 5],
        ["البرز", 20, 10, 10],
        ["جمع کل", 30, 15, 15],
    ]
    records = read(workbook(numbered), spec("funding", BUDGET))
    assert by_province(records, "allocated_rial") == {TEHRAN: 10_000_000.0, ALBORZ: 20_000_000.0}
    assert records.findings == []
    assert sum(records.non_data.values()) == 4


# ------------------------------------------------------------------------------ pages, answers


def test_X10_a_page_whose_row_has_more_cells_than_titles_does_not_lose_them() -> None:
    page = (
        "<table><tr><th>استان</th><th>مقدار</th></tr>"
        "<tr><td>تهران</td><td>12<td>13</tr>"
        "<tr><td>قم</td><td>1&nbsp;234</td></tr>"
        "<tr><td>فارس</td><td><s>45</s> 50</td></tr>"
        "<tr><td>یزد</td><td>7</td></tr></table>"
    )
    records = values(page.encode())
    assert by_province(records) == {QOM: None, FARS: None, YAZD: 7.0}
    assert [(f.reason_code, f.raw_text) for f in records.findings] == [
        ("shifted-row", None),
        ("ambiguous-number", "1 234"),
        ("not-a-number", "45 50"),
    ]


ANSWER: dict[str, Any] = {
    "project": {"headers": ["project"]},
    "period": {"headers": ["week"]},
    "planned_pct": {"headers": ["planned"], "percent_scale": "percent"},
    "actual_pct": {"headers": ["actual"], "percent_scale": "percent"},
}
API = {"type": "http_json", "url": "http://agency.invalid/x", "records_at": "/data"}


def answer(*records: str) -> Records:
    data = '{"data": [' + ",".join(records) + "]}"
    return read(data.encode(), spec("progress", ANSWER, connector=API))


def test_P10_a_name_that_changes_its_spelling_half_way_is_not_a_blank() -> None:
    first = '{"project": "P01", "week": "1405-W35", "planned": 50, "actual": 40}'
    renamed = '{"project": "P02", "week": "1405-W35", "planned": 50, "Actual": 41}'
    with pytest.raises(IngestError) as caught:
        answer(first, renamed)
    assert caught.value.code == "duplicate-header"
    # a second name that never stands in for the first is another field
    both = '{"project": "P02", "week": "1405-W35", "planned": 50, "actual": 41, "Actual": 9}'
    assert [float(v) for v in answer(first, both).accepted["actual_pct"]] == [40, 41]


@pytest.mark.parametrize(
    ("value", "reason"),
    [('"45,5"', "ambiguous-number"), ("true", "not-a-number"), ("[4]", "not-a-number"),
     ('"۴۵ از ۱۰۰"', "not-a-number"), ("1e400", "number-too-large"), ("-1", "out-of-range"),
     ('"NaN"', "not-reported"), ('"null"', "not-reported"), ("100.1", "out-of-range")],
)  # fmt: skip
def test_P7_N7_a_value_of_another_type_costs_its_cell_only(value: str, reason: str) -> None:
    record = f'{{"project": "P01", "week": "1405-W35", "planned": "۵۰٫۵", "actual": {value}}}'
    records = answer(record)
    assert [float(v) for v in records.accepted["planned_pct"]] == [50.5]
    assert [(f.scope, f.reason_code, f.field) for f in records.findings] == [
        ("cell", reason, "actual_pct")
    ]


@pytest.mark.parametrize("week", ["1794614400", "1794614400000", "35", '"W35"', '"2026-W46"'])
def test_P7_D4_a_number_of_seconds_or_a_bare_week_is_no_period(week: str) -> None:
    record = f'{{"project": "P01", "week": {week}, "planned": 50, "actual": 40}}'
    records = answer(record)
    assert records.accepted.height == 0
    assert [(f.scope, f.field) for f in records.findings] == [("row", "period")]


def test_P7_D22_an_instant_in_utc_belongs_to_tehrans_day() -> None:
    # Friday night in UTC is Saturday in Tehran: the next week
    late = '{"project": "P01", "week": "2026-11-13T21:00:00Z", "planned": 50, "actual": 40}'
    assert answer(late).accepted["period_start"].to_list() == [dt.date(2026, 11, 14)]
    early = late.replace("21:00", "20:00")
    assert answer(early).accepted["period_start"].to_list() == [dt.date(2026, 11, 7)]


@pytest.mark.parametrize(
    "body",
    [b'{"data": [{"project": "P01", "planned": NaN}]}', b'{"data": [{"project": "P01"',
     b'{"error": "token expired"}', b'{"data": [1, 2]}', b"[]]"],
)  # fmt: skip
def test_P6_P10_an_answer_that_is_not_the_agreed_one_is_refused(body: bytes) -> None:
    assert refused(body, spec("progress", ANSWER, connector=API)).remedy


def grouped(pattern: str, rows: Rows) -> Records:
    return read(workbook([HEAD, *rows]), spec("progress", PROGRESS, group_rows=[pattern]))


def groups(records: Records) -> list[tuple[str, str]]:
    return records.accepted.select("province_code", "project_code").rows()


def test_X2_X3_a_heading_with_the_sums_of_its_group_opens_it_all_the_same() -> None:
    rows: Rows = [
        ["استان تهران"],
        ["P01", WEEK, 10, 20],
        ["استان البرز", None, 50, 60],
        ["P02", WEEK, 50, 60],
        ["استان ناکجا", None, 5, 6],
        ["P03", WEEK, 5, 6],
    ]
    records = grouped("استان {province}", rows)
    assert groups(records) == [(TEHRAN, "P01"), (ALBORZ, "P02")]
    assert [(f.reason_code, f.raw_text) for f in records.findings] == [
        ("unknown-province", "ناکجا")
    ]


def test_X2_X3_a_row_that_may_be_a_heading_does_not_leave_the_next_ones_in_the_old_group() -> None:
    rows: Rows = [
        ["تهران"],
        ["P01", WEEK, 10, 20],
        ["البرز", None, 50, 60],
        ["P02", WEEK, 50, 60],
        ["P03", None, 1, 2],
        ["P04", WEEK, 5, 6],
    ]
    records = grouped("{province}", rows)
    assert groups(records) == [(TEHRAN, "P01"), (ALBORZ, "P02")]
    # nothing is lost: the two rows with a gap and the one below are in quarantine
    assert [f.scope for f in records.findings] == ["row"] * 3


# ------------------------------------------------------------------------------ other kinds

SERVICES: dict[str, Any] = {
    "service": {"headers": ["کد"]},
    "agency": {"value": "sim_a01"},
    "period": {"value": "jalali_year:1404"},
    "is_dedicated": {"headers": ["اختصاصی"], "true_words": ["D"], "false_words": ["C"]},
    "on_agency_window": {"headers": ["پنجره"], "true_words": ["Y"], "false_words": ["N"]},
    "transactions_total": {"headers": ["تراکنش"]},
}


def test_N9_N11_a_service_inventory_with_codes_for_every_kind_of_absence() -> None:
    rows: Rows = [
        ["کد", "اختصاصی", "پنجره", "تراکنش"],
        ["10011234000", "D", "y ", "1,234"],
        ["10011234001", "C", "N", "ND"],
        ["10011234002", "ND", "NA", "Section 43"],
        [10011234003, "D", "Y/N", 12.5],
        ["010011234003", "D", "Y", "2016"],
        ["1.0011E+10", "D", "Y", 3],
        [10**19, "D", "Y", 3],
        ["ندارد", "D", "Y", 3],
    ]
    records = read(workbook(rows), spec("service_status", SERVICES))
    assert records.accepted.select(
        "service_code", "is_dedicated", "is_on_agency_window", "transactions_total"
    ).rows() == [
        ("10011234000", True, True, 1234),
        ("10011234001", False, False, None),
        ("10011234002", None, None, None),
        ("10011234003", True, None, None),
        ("010011234003", True, True, 2016),
    ]
    assert sorted((f.reason_code, f.raw_text) for f in records.findings) == [
        ("not-a-boolean", "Y/N"),
        ("not-an-integer", "12.5"),
        ("not-applicable", "NA"),
        ("not-applicable", "ندارد"),
        ("not-reported", "ND"),
        ("not-reported", "ND"),
        ("rounded-identifier", "1.0011E+10"),
        ("rounded-identifier", "1e+19"),
        ("withheld", "Section 43"),
    ]


def test_K6_a_target_without_its_revision_does_not_become_the_original_one() -> None:
    fields: dict[str, Any] = {
        "project": {"headers": ["پروژه"]},
        "period": {"headers": ["تاریخ"], "calendar": "jalali", "period_kind": "date"},
        "revision": {"headers": ["اصلاحیه"]},
        "target": {"headers": ["هدف"]},
    }
    rows: Rows = [
        ["پروژه", "تاریخ", "اصلاحیه", "هدف"],
        ["P01", "1405/12/29", 0, 100],
        ["P01", "1406/06/31", "۱", 100],
        ["P02", "1405/12/29", None, 80],
    ]
    records = read(workbook(rows), spec("target", fields))
    assert records.accepted["revision"].to_list() == [0, 1]
    assert [(f.reason_code, f.field) for f in records.findings] == [("missing-key", "revision")]
    # a file without revisions at all is the original
    plain = [[row[0], row[1], None, row[3]] for row in rows[1:]]
    records = read(workbook([rows[0], *plain]), spec("target", fields))
    assert set(records.accepted["revision"].to_list()) == {0}


def test_E4_N9_bare_numbers_are_provinces_only_where_their_list_is_declared() -> None:
    rows: Rows = [["استان", "مقدار"], ["02", 1], [3, 2], ["۴", 3], ["31", 5], ["IR-05", 6]]
    declared = {**VALUES, "province": {"headers": ["استان"], "code_list": "amar"}}
    records = read(workbook(rows), spec("indicator_value", declared))
    assert records.accepted["province_code"].to_list() == ["IR-02", "IR-03", "IR-04", "IR-05"]
    assert [f.raw_text for f in records.findings] == ["31"]
    undeclared = values(workbook(rows))
    assert undeclared.accepted["province_code"].to_list() == ["IR-05"]
    assert undeclared.rows_refused == 4


def test_D7_D24_a_ticket_closed_before_it_was_opened_keeps_its_opening() -> None:
    fields: dict[str, Any] = {
        "ticket": {"headers": ["شماره"]},
        "agency": {"value": "sim_a01"},
        "period": {"value": "date:2026-11-14"},
        "opened_at": {"headers": ["باز"], "calendar": "jalali"},
        "closed_at": {"headers": ["بسته"], "calendar": "jalali"},
    }
    rows: Rows = [
        ["شماره", "باز", "بسته"],
        [1, "1405/08/01", "1405/07/30"],
        [2, "1405/08/01 14:30", "1405/08/02 24:00"],
        [3, "1405/09/30", None],
    ]
    records = read(workbook(rows), spec("ticket", fields))
    assert [value is not None for value in records.accepted["opened_at"]] == [True, True, False]
    assert records.accepted["closed_at"].null_count() == 3
    assert [f.reason_code for f in records.findings] == [
        "future-dated",
        "closed-before-opened",
        "invalid-date",
    ]


def test_K9_a_sum_without_a_label_is_not_the_country() -> None:
    rows: Rows = [
        ["ردیف", "استان", "مقدار"],
        [1, "تهران", 1],
        [2, "قم", 2],
        ["جمع", None, 3],
        [None, None, 3],
    ]
    records = values(workbook(rows))
    assert by_province(records) == {TEHRAN: 1.0, QOM: 2.0}
    assert [(f.reason_code, f.locator) for f in records.findings] == [("missing-key", "گزارش!B5")]
    assert [total.raw_text for total in records.control_totals] == ["3"]


def test_X4_filtered_rows_are_read_and_marked() -> None:
    def hide(sheet: Any) -> None:
        sheet.auto_filter.ref = "A1:B4"
        sheet.row_dimensions[3].hidden = True

    rows: Rows = [["استان", "مقدار"], ["تهران", 1], ["قم", 2], ["یزد", 3]]
    records = values(workbook(rows, hide))
    assert records.accepted["is_hidden"].to_list() == [False, True, False]
    assert [f.reason_code for f in records.findings] == ["hidden-rows"]
    left_out = values(workbook(rows, hide), hidden="exclude")
    assert by_province(left_out) == {TEHRAN: 1.0, YAZD: 3.0}
    assert left_out.non_data["hidden"] == 1


def test_T1_T9_E3_names_that_begin_alike_or_are_no_longer_one_are_not_guessed() -> None:
    rows: Rows = [
        ["استان", "مقدار"],
        ["كرمان", 1],
        ["کرمانشاه ", 2],
        ["خراسان", 3],
        ["تهران (شهر)", 4],
        ["کشور", 5],
        ["ستاد مرکزی", 6],
    ]
    records = values(workbook(rows))
    assert by_province(records) == {"IR-08": 1.0, "IR-05": 2.0}
    assert [(f.reason_code, f.raw_text) for f in records.findings] == [
        ("ambiguous-province", "خراسان"),
        ("unknown-province", "تهران (شهر)"),
        ("unknown-province", "کشور"),
        ("unknown-province", "ستاد مرکزی"),
    ]


def test_X2_two_header_levels_without_their_merges_are_not_guessed() -> None:
    text = "عنوان;برنامه;;هزینه;\n;مصوب;عملکرد;مصوب;عملکرد\nتهران;1;2;3;4\n"
    fields: dict[str, Any] = {
        "province": {"headers": ["عنوان"]},
        "period": {"value": "jalali_year:1404"},
        "allocated": {"headers": ["هزینه / مصوب"], "unit": "میلیون ریال"},
        "spent": {"headers": ["هزینه / عملکرد"], "unit": "میلیون ریال"},
    }
    error = refused(text.encode(), spec("funding", fields, header_depth=2))
    assert error.code == "missing-column"
    filled = read(text.encode(), spec("funding", fields, header_depth=2, header_fill=True))
    assert by_province(filled, "allocated_rial") == {TEHRAN: 3_000_000.0}
    assert by_province(filled, "spent_rial") == {TEHRAN: 4_000_000.0}


def test_D12_S3_two_days_of_one_week_contradict_each_other() -> None:
    rows: Rows = [HEAD] + [["P01", day, 50, 40 + n] for n, day in enumerate((WEEK, "1405/08/24"))]
    records = read(workbook(rows), spec("progress", PROGRESS))
    assert records.accepted.height == 0
    assert [f.reason_code for f in records.findings] == ["conflicting-rows"] * 2
