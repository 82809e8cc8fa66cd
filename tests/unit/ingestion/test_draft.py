"""Drafts of files that nobody has seen: what is right, what is asked, and nothing silently wrong.

A draft whose questions are answered must be a source file that the registry takes and that reads
the very figures of the file.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ingestion.draft import Draft, Origin, draft, render
from ingestion.draft.synonyms import load_synonyms
from ingestion.errors import IngestError, SpecError
from ingestion.normalise.codelists import load_code_lists
from ingestion.pipeline import examine
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import SourceSpec
from ingestion.spec.registry import load_spec
from ingestion.table import Records

LISTS = load_code_lists(Path(__file__).parents[3] / "dbt_project/seeds/reference")
NOW = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
OWNER = "owner: {name: n, email: n@example.invalid}\n"


def book(rows: Any, fix: Callable[[Any], None] | None = None) -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook["Sheet"]
    for row in rows:
        sheet.append(row)
    if fix is not None:
        fix(sheet)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def drafted(data: bytes, name: str = "file.xlsx", kind: str | None = None, **more: Any) -> Draft:
    connector = more.pop("connector", {"type": "folder", "path": "."})
    return draft([(name, data)], Origin(name, connector), LISTS, NOW, kind=kind, **more)


def asked(found: Draft) -> set[str]:
    """The settings that are asked for, without those that no file tells."""
    return {q.setting for q in found.questions} - {"owner", "agency"}


def fields(found: Draft) -> dict[str, Any]:
    return dict(found.content["layouts"][0].get("fields", {}))


def columns(found: Draft) -> dict[str, str]:
    return {name: f["headers"][0] for name, f in fields(found).items() if "headers" in f}


def answered(found: Draft, data: bytes, folder: Path, *edits: tuple[str, str]) -> Records:
    """What the file becomes once the questions are answered; the registry must take it."""
    text = re.sub(r"# QUESTION:.*\n", "", render(found)) + OWNER
    if "\nagency:" not in text:
        text += "agency: mict\n"
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after, 1)
    path = folder / f"{found.name}.yml"
    path.write_text(text, encoding="utf-8")
    return examine(load_spec(path).spec, [("f", data)], LISTS, NOW)[1]


def cells(records: Records, *names: str) -> list[tuple[Any, ...]]:
    rows = records.accepted.select(names).rows()
    return [tuple(str(v) if v is not None else None for v in row) for row in rows]


PROGRESS = [
    ["وزارت نمونه"],
    ["گزارش هفته منتهی به ۱۴۰۵/۰۸/۲۹"],
    [],
    ["ردیف", "نام استان", "نام پروژه", "پیشرفت برنامه‌ای", "پیشرفت واقعی"],
    [1, "تهران", "هویت هوشمند", "۵۰", "۴۵٫۵"],
    [2, "گيلان", "هویت هوشمند", "۴۰", "۳۰"],
    [3, "یزد", "سامانه مکان محور", "۲۰", "ندارد"],
    ["جمع کل", None, None, "۱۱۰", "۷۵٫۵"],
]


def test_a_persian_progress_form_is_read_without_a_question(tmp_path: Path) -> None:
    data = book(PROGRESS)
    found = drafted(data)
    assert found.kind == "progress"
    assert asked(found) == set()
    assert columns(found) == {
        "province": "نام استان",
        "project": "نام پروژه",
        "planned_pct": "پیشرفت برنامه‌ای",
        "actual_pct": "پیشرفت واقعی",
    }
    assert fields(found)["period"] == {
        "cell": "Sheet!A2",
        "pattern": "گزارش هفته منتهی به {}",
        "period_kind": "week",
    }
    assert found.reading["accepted"] == 3
    records = answered(found, data, tmp_path)
    assert cells(records, "period_start", "province_code", "actual_pct") == [
        ("2026-11-14", "IR-23", "45.5000"),
        ("2026-11-14", "IR-01", "30.0000"),
        ("2026-11-14", "IR-21", None),
    ]


def test_an_open_question_stops_the_file_with_its_line(tmp_path: Path) -> None:
    found = drafted(book(PROGRESS))
    path = tmp_path / f"{found.name}.yml"
    path.write_text(render(found), encoding="utf-8")
    with pytest.raises(SpecError, match="question of the draft is open: agency") as caught:
        load_spec(path)
    assert (
        path.read_text(encoding="utf-8")
        .splitlines()[caught.value.line - 1]
        .startswith("# QUESTION: agency")
    )


def test_year_columns_become_one_pattern(tmp_path: Path) -> None:
    data = book(
        [
            ["استان", "سال ۱۴۰۰", "سال ۱۴۰۱", "سال ۱۴۰۲"],
            ["تهران", 10, 11, 12],
            ["گیلان", 20, 21, 22],
            ["کل کشور", 30, 32, 34],
        ]
    )
    found = drafted(data)
    assert found.kind == "indicator_value"
    assert asked(found) == {"fields.indicator"}
    wide = found.content["layouts"][0]["unpivot"]["columns"]
    assert [(w["pattern"], w["period_kind"]) for w in wide] == [("سال {period}", "jalali_year")]
    records = answered(
        found, data, tmp_path, ("    unpivot:", "      indicator: {value: cellphone}\n    unpivot:")
    )
    assert ("2021-03-21", "IR-01", "20.0000000000") in cells(
        records, "period_start", "province_code", "value"
    )
    assert records.accepted.height == 6


def test_columns_of_indicators_by_their_titles(tmp_path: Path) -> None:
    data = book(
        [
            ["استان", "سال", "خطوط تلفن ثابت", "مشترکان تلفن همراه (نفر)"],
            ["تهران", 1402, 10, 20],
            ["یزد", 1402, 11, 21],
        ]
    )
    found = drafted(data)
    assert asked(found) == set()
    assert fields(found)["period"]["period_kind"] == "jalali_year"
    records = answered(found, data, tmp_path)
    assert sorted(cells(records, "indicator_code", "province_code", "value")) == [
        ("cellphone", "IR-21", "21.0000000000"),
        ("cellphone", "IR-23", "20.0000000000"),
        ("landline", "IR-21", "11.0000000000"),
        ("landline", "IR-23", "10.0000000000"),
    ]


def test_N4_shares_of_at_most_one_are_asked_never_scaled() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت برنامه‌ای", "پیشرفت واقعی"],
        ["هویت هوشمند", "1405-W35", 0.5, 0.4],
        ["سامانه مکان محور", "1405-W35", 0.8, 0.64],
    ]
    found = drafted(book(rows))
    assert asked(found) == {"fields.planned_pct.percent_scale", "fields.actual_pct.percent_scale"}
    assert "percent_scale" not in fields(found)["actual_pct"]


def test_N4_a_percent_format_settles_the_scale(tmp_path: Path) -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت برنامه‌ای", "پیشرفت واقعی"],
        ["هویت هوشمند", "1405-W35", 0.5, 0.4],
        ["سامانه مکان محور", "1405-W35", 0.8, 0.64],
    ]

    def fix(sheet: Any) -> None:
        for row in (2, 3):
            for column in (3, 4):
                sheet.cell(row, column).number_format = "0%"

    data = book(rows, fix)
    found = drafted(data)
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "actual_pct") == [("40.0000",), ("64.0000",)]


def test_N5_small_and_large_values_in_one_column_are_asked() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت واقعی"],
        ["هویت هوشمند", "1405-W35", 0.5],
        ["سامانه مکان محور", "1405-W35", 64],
    ]
    assert "fields.actual_pct.percent_scale" in asked(drafted(book(rows), kind="progress"))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("میلیون ریال", "5000000.00"), ("هزار تومان", "50000.00"), ("ریال", "5.00")],
)
def test_N10_the_unit_of_money_is_read_from_the_header(
    tmp_path: Path, unit: str, expected: str
) -> None:
    rows = [
        ["دستگاه", "سال", f"اعتبار مصوب ({unit})", f"پرداخت شده ({unit})", f"هزینه شده ({unit})"],
        ["sim_a01", 1404, 5, 4, 3],
        ["sim_a02", 1404, 6, 5, 4],
    ]
    data = book(rows)
    found = drafted(data)
    assert found.kind == "funding"
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "allocated_rial")[0] == (expected,)


@pytest.mark.parametrize("suffix", ["", " (میلیون)", " (ارقام به میلیون)"])
def test_N10_amounts_without_a_full_unit_are_asked(suffix: str) -> None:
    rows = [
        ["دستگاه", "سال", f"اعتبار مصوب{suffix}", f"هزینه شده{suffix}"],
        ["sim_a01", 1404, 5, 3],
        ["sim_a02", 1404, 6, 4],
    ]
    found = drafted(book(rows))
    assert asked(found) == {"fields.allocated.unit", "fields.spent.unit"}
    assert "unit" not in fields(found)["allocated"]


def test_a_service_inventory_with_words_for_nothing(tmp_path: Path) -> None:
    rows = [
        ["شناسه خدمت", "عنوان خدمت", "اختصاصی", "پنجره واحد دستگاه", "پنجره ملی", "تاریخ گزارش"],
        ["10011", "صدور گواهی", "بله", "خیر", "ND", "۱۴۰۵/۰۸/۰۱"],
        ["10012", "تمدید پروانه", "خیر", "بله", "بله", "۱۴۰۵/۰۸/۰۱"],
        ["10013", "استعلام", "بله", "NA", "خیر", "۱۴۰۵/۰۸/۰۱"],
    ]
    data = book(rows)
    found = drafted(data)
    assert found.kind == "service_status"
    assert asked(found) == {"fields.period.period_kind", "fields.period.headers"}
    assert columns(found)["on_agency_window"] == "پنجره واحد دستگاه"
    records = answered(
        found,
        data,
        tmp_path,
        ('headers: ["تاریخ گزارش"]', "headers: [تاریخ گزارش]\n        period_kind: date"),
    )
    assert cells(records, "service_code", "is_dedicated", "is_on_agency_window") == [
        ("10011", "True", "False"),
        ("10012", "False", "True"),
        ("10013", "True", None),
    ]


def test_a_page_of_an_api_is_drafted_with_its_pointer_and_its_paging(tmp_path: Path) -> None:
    page = {
        "meta": {"total": 3},
        "data": [
            {"projectCode": f"P0{n}", "week": "1405-W35", "plannedPct": 40 + n, "actualPct": 30 + n}
            for n in (1, 2)
        ],
    }
    data = json.dumps(page).encode()
    url = {"type": "http_json", "url": "https://agency.invalid/progress"}
    found = drafted(data, "progress", connector=url)
    assert found.content["connector"]["records_at"] == "/data"
    assert columns(found) == {
        "project": "projectCode",
        "period": "week",
        "planned_pct": "plannedPct",
        "actual_pct": "actualPct",
    }
    assert asked(found) == {"connector.paging"}
    assert cells(answered(found, data, tmp_path), "project_code", "actual_pct") == [
        ("P01", "31.0000"),
        ("P02", "32.0000"),
    ]


def test_P3_a_round_number_of_records_is_asked() -> None:
    rows = [{"project": "P01", "week": "1405-W35", "actual_pct": 2 + n} for n in range(100)]
    found = drafted(json.dumps(rows).encode(), "x", connector={"type": "http_json", "url": "u"})
    assert "connector.paging" in asked(found)


def test_T10_text_in_cp1256_with_semicolons(tmp_path: Path) -> None:
    text = "استان;شاخص;سال;مقدار\nتهران;تلفن همراه;1402;12\nیزد;تلفن همراه;1402;13\n"
    data = text.replace("ی", "ي").encode("cp1256")
    found = drafted(data, "figures.csv")
    assert found.kind == "indicator_value"
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "province_code", "value") == [
        ("IR-23", "12.0000000000"),
        ("IR-21", "13.0000000000"),
    ]


def test_X2_merged_headers_of_two_rows(tmp_path: Path) -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت", None],
        [None, None, "برنامه‌ای", "واقعی"],
        ["هویت هوشمند", "1405-W35", 50, 40],
        ["سامانه مکان محور", "1405-W35", 60, 45],
    ]

    def fix(sheet: Any) -> None:
        for area in ("A1:A2", "B1:B2", "C1:D1"):
            sheet.merge_cells(area)

    data = book(rows, fix)
    found = drafted(data)
    assert found.content["layouts"][0]["header_depth"] == 2
    assert asked(found) == set()
    assert columns(found)["actual_pct"] == "پیشرفت / واقعی"
    assert cells(answered(found, data, tmp_path), "planned_pct", "actual_pct") == [
        ("50.0000", "40.0000"),
        ("60.0000", "45.0000"),
    ]


def test_D5_dates_stored_as_serials_and_written_in_jalali(tmp_path: Path) -> None:
    rows = [
        ["شماره تیکت", "دستگاه", "تاریخ ایجاد", "مهلت", "عنوان", "هفته"],
        ["T-1", "sim_a01", dt.date(2026, 10, 1), "۱۴۰۵/۰۹/۱۰", "کندی", "1405-W34"],
        ["T-2", "sim_a02", dt.date(2026, 10, 2), "۱۴۰۵/۰۹/۱۱", "قطعی", "1405-W34"],
    ]
    data = book(rows)
    found = drafted(data)
    assert found.kind == "ticket"
    assert asked(found) == set()
    assert fields(found)["due_at"]["calendar"] == "jalali"
    assert "calendar" not in fields(found)["opened_at"]
    days = answered(found, data, tmp_path).accepted["due_at"].dt.convert_time_zone("Asia/Tehran")
    assert [str(day.date()) for day in days] == ["2026-12-01", "2026-12-02"]


def test_D2_two_digit_years_are_asked() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت واقعی", "پیش‌بینی پایان"],
        ["هویت هوشمند", "1405-W35", 50, "06/01/31"],
        ["سامانه مکان محور", "1405-W35", 60, "07/02/30"],
    ]
    found = drafted(book(rows), kind="progress")
    assert not {"calendar", "two_digit_year_pivot"} & set(fields(found).get("forecast_finish", {}))
    assert any("forecast_finish" in setting for setting in asked(found))


def test_D7_days_and_months_that_may_be_swapped_are_asked() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت واقعی", "پیش‌بینی پایان"],
        ["هویت هوشمند", "1405-W35", 50, "03/04/2027"],
        ["سامانه مکان محور", "1405-W35", 60, "05/06/2027"],
    ]
    found = drafted(book(rows), kind="progress")
    assert columns(found)["forecast_finish"] == "پیش‌بینی پایان"
    assert "date_order" not in fields(found)["forecast_finish"]
    assert "fields.forecast_finish.date_order" in asked(found)
    rows.append(["هویت هوشمند", "1405-W36", 50, "25/04/2027"])
    settled = drafted(book(rows), kind="progress")
    assert fields(settled)["forecast_finish"]["date_order"] == "dmy"
    assert asked(settled) == set()


def test_D25_a_day_of_preparation_is_no_period() -> None:
    rows = [
        ["تاریخ تهیه: ۱۴۰۵/۰۸/۳۰"],
        ["پروژه", "پیشرفت برنامه‌ای", "پیشرفت واقعی"],
        ["هویت هوشمند", 40, 30],
        ["سامانه مکان محور", 50, 44],
    ]
    found = drafted(book(rows), kind="progress")
    assert "period" not in fields(found)
    assert asked(found) == {"fields.period"}


def test_N3_three_digits_behind_a_point_in_every_cell_are_asked() -> None:
    head = ["استان", "شاخص", "سال", "مقدار"]
    doubtful = [head, ["تهران", "تلفن همراه", 1402, "1.500"], ["یزد", "تلفن همراه", 1402, "2.750"]]
    found = drafted(book(doubtful), kind="indicator_value")
    assert any("decimal_mark" in setting for setting in asked(found))
    stored = [head, ["تهران", "تلفن همراه", 1402, 1.125], ["یزد", "تلفن همراه", 1402, 2.75]]
    assert asked(drafted(book(stored), kind="indicator_value")) == set()


def test_N2_a_decimal_comma_is_declared_when_it_alone_reads_all(tmp_path: Path) -> None:
    rows = [
        ["استان", "شاخص", "سال", "مقدار"],
        ["تهران", "تلفن همراه", 1402, "1,5"],
        ["یزد", "تلفن همراه", 1402, "2,75"],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "value") == [
        ("1.5000000000",),
        ("2.7500000000",),
    ]


def test_E4_bare_numbers_of_provinces_are_asked() -> None:
    rows: list[list[Any]] = [["کد استان", "شاخص", "سال", "مقدار"]]
    rows += [[code, "تلفن همراه", 1402, 3] for code in ("01", "23", "21")]
    found = drafted(book(rows), kind="indicator_value")
    assert "fields.province.code_list" in asked(found)
    assert "code_list" not in fields(found)["province"]


def test_values_alone_prove_no_field() -> None:
    rows = [
        ["استان محل تولد مدیر", "پروژه", "هفته", "پیشرفت واقعی"],
        ["تهران", "هویت هوشمند", "1405-W35", 40],
        ["یزد", "سامانه مکان محور", "1405-W35", 30],
    ]
    found = drafted(book(rows))
    assert "province" not in fields(found)
    assert asked(found) == {"fields.province"}


def test_a_year_and_a_month_beside_it_are_asked() -> None:
    rows = [
        ["استان", "شاخص", "سال", "ماه", "مقدار"],
        ["تهران", "تلفن همراه", 1404, "آبان", 3],
        ["یزد", "تلفن همراه", 1404, "آذر", 4],
    ]
    assert "fields.period.headers" in asked(drafted(book(rows), kind="indicator_value"))


def test_N10_a_row_of_units_below_the_header_is_the_unit(tmp_path: Path) -> None:
    rows = [
        ["دستگاه", "سال", "اعتبار مصوب", "هزینه شده"],
        [None, None, "میلیون ریال", "میلیون ریال"],
        ["sim_a01", 1404, 5, 4],
        ["sim_a02", 1404, 6, 4],
    ]
    data = book(rows)
    found = drafted(data, kind="funding")
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "spent_rial")[0] == ("4000000.00",)


def test_years_above_and_indicators_below_in_a_text_table(tmp_path: Path) -> None:
    data = b"Province,2018,,2019,\n,idi,landline,idi,landline\nTehran,7,1,8,2\nYazd,6,3,5,4\n"
    found = drafted(data, "x.csv")
    assert asked(found) == set()
    records = answered(found, data, tmp_path)
    assert ("2019-01-01", "idi", "IR-21", "5.0000000000") in cells(
        records, "period_start", "indicator_code", "province_code", "value"
    )
    assert records.accepted.height == 8


def test_X9_tables_side_by_side_are_asked() -> None:
    rows = [
        ["استان", "سال", "تلفن همراه", None, "استان", "سال", "تلفن ثابت"],
        ["تهران", 1402, 4, None, "تهران", 1402, 3],
        ["یزد", 1402, 3, None, "گیلان", 1402, 9],
    ]
    assert {"fields.province", "fields.period"} <= asked(drafted(book(rows)))


def test_a_title_that_says_more_is_no_field() -> None:
    """«پیشرفت مالی» is neither the planned nor the actual physical progress."""
    rows = [
        ["پروژه", "هفته", "پیشرفت مالی"],
        ["هویت هوشمند", "1405-W35", 50],
        ["سامانه مکان محور", "1405-W35", 60],
    ]
    found = drafted(book(rows), kind="progress")
    assert not {"planned_pct", "actual_pct"} & set(fields(found))
    assert asked(found) & {"fields.planned_pct", "fields.actual_pct"}


def test_two_columns_for_one_field_are_asked() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت واقعی", "پیشرفت فیزیکی"],
        ["هویت هوشمند", "1405-W35", 50, 40],
        ["سامانه مکان محور", "1405-W35", 60, 30],
    ]
    found = drafted(book(rows), kind="progress")
    assert "actual_pct" not in fields(found)
    assert "fields.actual_pct" in asked(found)


def test_T8_names_that_no_list_has_are_no_code() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت واقعی"],
        ["طرح ناشناخته یک", "1405-W35", 50],
        ["طرح ناشناخته دو", "1405-W35", 60],
    ]
    found = drafted(book(rows), kind="progress")
    assert columns(found)["project"] == "پروژه"
    assert "fields.project.code_list" in asked(found)


def test_a_period_that_nothing_names_is_asked() -> None:
    rows = [["استان", "شاخص", "مقدار"], ["تهران", "تلفن همراه", 3], ["یزد", "تلفن همراه", 4]]
    found = drafted(book(rows))
    assert "period" not in fields(found)
    assert "fields.period" in asked(found)


def test_lone_texts_and_unknown_totals_are_asked() -> None:
    rows = [
        ["استان", "شاخص", "سال", "مقدار"],
        ["استان‌های مرزی"],
        ["گیلان", "تلفن همراه", 1402, 3],
        ["یزد", "تلفن همراه", 1402, 4],
        ["جمع استان‌های نمونه", None, 1402, 7],
    ]
    assert {"group_rows", "total_words"} <= asked(drafted(book(rows), kind="indicator_value"))


def test_P12_no_text_of_a_file_leaves_its_comment() -> None:
    rows = [
        ["استان", "شاخص", "سال", "مقدار", "x\nkind: progress"],
        ["تهران", "تلفن همراه", 1402, 3, "a"],
        ["یزد", "تلفن همراه", 1402, 4, "b"],
    ]
    text = render(drafted(book(rows)))
    assert "\nkind: progress" not in text
    assert text.count("\nkind:") == 1


def test_titles_of_known_sources_are_learned() -> None:
    head = {"source": "mict__a", "title": "t", "kind": "progress", "agency": "mict"}
    mapped = {"period": {"headers": ["W"]}, "project": {"headers": ["Prj"]}}
    spec = SourceSpec.model_validate(
        {
            **head,
            "owner": {"name": "n", "email": "e"},
            "connector": {"type": "folder", "path": "."},
            "layouts": [{"fields": mapped}],
        }
    )
    assert load_synonyms().score("progress", "project", "prj") == 0
    assert load_synonyms([spec]).score("progress", "project", "prj") == 1


def test_no_synonym_names_two_fields_of_a_kind() -> None:
    known = load_synonyms()
    for kind in KINDS:
        seen: dict[str, str] = {}
        for field, words in known.titles[kind].items():
            for word in words:
                assert seen.setdefault(word, field) == field, (kind, word)


def test_a_file_without_a_table_is_refused() -> None:
    with pytest.raises(IngestError):
        drafted(book([["سلام"]]))


def test_headings_that_name_provinces_become_groups(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["شاخص", "سال", "مقدار", "توضیح"],
        ["استان تهران"],
        ["تلفن همراه", 1402, 3, "الف"],
        ["خطوط تلفن ثابت", 1402, 4, "ب"],
        ["استان گیلان"],
        ["تلفن همراه", 1402, 5, "پ"],
        ["خطوط تلفن ثابت", 1402, 6, "ت"],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert found.content["layouts"][0]["group_rows"] == ["استان {province}"]
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "province_code", "value") == [
        ("IR-23", "3.0000000000"),
        ("IR-23", "4.0000000000"),
        ("IR-01", "5.0000000000"),
        ("IR-01", "6.0000000000"),
    ]
    rows[4] = ["سایر استان‌ها"]
    doubtful = drafted(book(rows), kind="indicator_value")
    assert "group_rows" not in doubtful.content["layouts"][0]
    assert "group_rows" in asked(doubtful)


def test_K9_a_label_whose_figures_are_sums_is_a_total(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["استان", "شاخص", "سال", "مقدار"],
        ["گیلان", "تلفن همراه", 1402, 3],
        ["یزد", "تلفن همراه", 1402, "۴٫۵"],
        ["جمع استان‌های نمونه", None, None, 7.5],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert found.content["layouts"][0]["total_words"] == ["جمع استان‌های نمونه"]
    assert asked(found) == set()
    assert answered(found, data, tmp_path).accepted.height == 2
    rows[3][3] = 8
    doubtful = drafted(book(rows), kind="indicator_value")
    assert "total_words" not in doubtful.content["layouts"][0]
    assert "total_words" in asked(doubtful)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("ارقام به میلیارد ریال", "میلیارد ریال"),
        ("(مبالغ: میلیون تومان)", "میلیون تومان"),
        ("واحد: هزار ریال", "هزار ریال"),
        ("Amounts in million rials", "million rials"),
    ],
)
def test_N10_a_unit_above_the_table_is_the_unit(tmp_path: Path, text: str, unit: str) -> None:
    rows: list[list[Any]] = [
        ["بودجه سال ۱۴۰۴", None, None, text],
        [],
        ["دستگاه", "سال", "اعتبار مصوب", "هزینه شده"],
        ["sim_a01", 1404, 5, 4],
        ["sim_a02", 1404, 6, 4],
    ]
    found = drafted(book(rows), kind="funding")
    assert fields(found)["spent"]["unit"] == unit
    assert asked(found) == set()
    rows[1] = ["ارقام به ریال"]
    assert "fields.spent.unit" in asked(drafted(book(rows), kind="funding"))


def test_the_year_in_a_file_s_name_is_no_period() -> None:
    """A report of 1402 may lie in budget1403.csv: only what stands in the file counts (S6)."""
    data = "استان;شاخص;مقدار\nتهران;تلفن همراه;12\nیزد;تلفن همراه;13\n".encode()
    found = drafted(data, "report1403.csv")
    assert "period" not in fields(found)
    assert "fields.period" in asked(found)
    (question,) = [q for q in found.questions if q.setting == "fields.period"]
    assert "2024-03-20" in question.text


def test_a_year_in_prose_above_the_table_is_no_period() -> None:
    rows = [
        ["این جدول بر پایه قانون برنامه و مصوبه دوره سوم که در سال ۱۴۰۱ به تصویب رسید تهیه شد"],
        [],
        ["استان", "شاخص", "مقدار"],
        ["تهران", "تلفن همراه", 3],
        ["یزد", "تلفن همراه", 4],
    ]
    found = drafted(book(rows))
    assert "period" not in fields(found)
    assert "fields.period" in asked(found)


def test_far_years_and_ranges_of_years(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["استان", "شاخص", "سال", "مقدار"],
        ["تهران", "تلفن همراه", 1365, 3],
        ["یزد", "تلفن همراه", 1375, 4],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert found.content["layouts"][0]["earliest"] == dt.date(1986, 1, 1)
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "period_start")[0] == ("1986-03-21",)
    wide = [["استان", "1394-95", "1395-96"], ["تهران", 3, 4], ["یزد", 5, 6]]
    assert "unpivot.columns.0.year_of_range" in asked(drafted(book(wide)))


def test_the_same_name_in_two_languages_is_one_field() -> None:
    rows = [
        ["service_id", "service_name_en", "service_name_fa", "week"],
        ["10", "Passport", "گذرنامه", "1405-W35"],
        ["11", "Visa", "روادید", "1405-W35"],
    ]
    found = drafted(book(rows), kind="service_status")
    assert columns(found)["service_title"] == "service_name_fa"
    assert "fields.service_title" not in asked(found)


def test_figures_that_no_list_knows_are_asked_one_by_one() -> None:
    rows = [["استان", "سال", "نرخ الف", "کد منطقه"], ["تهران", 1402, 1, 7], ["یزد", 1402, 3, 8]]
    found = drafted(book(rows), kind="indicator_value")
    assert columns(found)["value"] == "نرخ الف"
    assert asked(found) == {"fields.indicator"}
    rows = [["استان", "سال", "نرخ الف", "نرخ ب"], ["تهران", 1402, 1, 7], ["یزد", 1402, 3, 8]]
    found = drafted(book(rows), kind="indicator_value")
    assert asked(found) == {"unpivot.columns.0.set", "unpivot.columns.1.set"}


def test_parts_of_a_year_in_titles_are_asked() -> None:
    rows: list[list[Any]] = [
        ["استان", 1401, None, 1402, None],
        [None, "فصل بهار", "فصل پاییز", "فصل بهار", "فصل پاییز"],
        ["تهران", 1, 2, 3, 4],
        ["یزد", 5, 6, 7, 8],
    ]

    def fix(sheet: Any) -> None:
        for area in ("A1:A2", "B1:C1", "D1:E1"):
            sheet.merge_cells(area)

    found = drafted(book(rows, fix), kind="indicator_value")
    assert "unpivot.columns.0.period_kind" in asked(found)


def test_P1_records_behind_what_is_told_of_the_pages() -> None:
    page = [
        {"page": 1, "total": 3},
        [{"indicator": {"id": "idi"}, "date": y, "value": 2} for y in ("2015", "2016")],
    ]
    url = {"type": "http_json", "url": "https://agency.invalid/x"}
    found = drafted(json.dumps(page).encode(), "x", connector=url)
    assert found.content["connector"]["records_at"] == "/1"
    assert columns(found) == {"period": "date", "indicator": "indicator.id", "value": "value"}
    assert asked(found) == {"connector.paging"}
    assert found.reading["accepted"] == 2


def test_an_empty_column_is_no_period() -> None:
    rows: list[list[Any]] = [
        ["استان", "شاخص", "سال", "مقدار"],
        ["تهران", "تلفن همراه", None, 3],
        ["یزد", "تلفن همراه", None, 4],
    ]
    assert "fields.period" in asked(drafted(book(rows), kind="indicator_value"))


def test_N2_wide_columns_have_their_decimal_mark(tmp_path: Path) -> None:
    data = "استان;1400;1401\nتهران;1,5;2,75\nیزد;3,25;4,5\n".encode()
    found = drafted(data, "x.csv")
    assert found.content["layouts"][0]["unpivot"]["columns"][0]["decimal_mark"] == ","
    assert asked(found) == {"fields.indicator"}
    records = answered(
        found, data, tmp_path, ("    unpivot:", "      indicator: {value: cellphone}\n    unpivot:")
    )
    assert ("IR-23", "2.7500000000") in cells(records, "province_code", "value")


def test_names_without_a_title_are_mapped_by_their_letter(tmp_path: Path) -> None:
    rows = [[None, "سال ۱۴۰۰", "سال ۱۴۰۱"], ["تهران", 1, 2], ["یزد", 3, 4], ["گیلان", 5, 6]]
    data = book(rows)
    found = drafted(data)
    assert columns(found)["province"] == "@A"
    assert asked(found) == {"fields.indicator"}
    records = answered(
        found, data, tmp_path, ("    unpivot:", "      indicator: {value: cellphone}\n    unpivot:")
    )
    assert ("2021-03-21", "IR-01", "5.0000000000") in cells(
        records, "period_start", "province_code", "value"
    )


def test_T10_western_text_is_read_and_asked() -> None:
    data = "province,indicator,year,value,note\nTehran,idi,2015,3,caf\xe9\nYazd,idi,2015,4,\xa3\n"
    found = drafted(data.encode("cp1252"), "x.csv", kind="indicator_value")
    assert found.content["text"] == {"encoding": "cp1252"}
    assert asked(found) == {"text.encoding"}


FORM: list[list[Any]] = [
    ["فرم گزارش پیشرفت پروژه"],
    [],
    ["نام پروژه:", "هویت هوشمند", None, "دستگاه مجری:", "sim_a01"],
    ["هفته گزارش:", None, "1405-W35"],
    ["درصد پیشرفت برنامه‌ای:", 50],
    ["درصد پیشرفت فیزیکی:", 45.5],
    ["استان: تهران"],
    ["مهر و امضا"],
]


def test_a_form_is_read_by_its_labels(tmp_path: Path) -> None:
    data = book(FORM)
    found = drafted(data)
    assert found.kind == "progress"
    assert asked(found) == set()
    assert fields(found)["actual_pct"] == {
        "cell": "B6",
        "label_cell": "A6",
        "label": "درصد پیشرفت فیزیکی:",
        "percent_scale": "percent",
    }
    assert fields(found)["province"] == {"cell": "A7", "pattern": "استان: {}"}
    records = answered(found, data, tmp_path)
    assert cells(records, "period_start", "project_code", "province_code", "actual_pct") == [
        ("2026-11-14", "P02", "IR-23", "45.5000")
    ]


def test_sheets_of_one_form_are_records_and_another_sheet_is_asked(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    for name, province in (("Sheet", "تهران"), ("دوم", "یزد")):
        sheet = workbook["Sheet"] if name == "Sheet" else workbook.create_sheet(name)
        for row in [*FORM[:6], [f"استان: {province}"]]:
            sheet.append(row)
    workbook.create_sheet("راهنما").append(["این فرم را پر کنید"])
    buffer = io.BytesIO()
    workbook.save(buffer)
    found = drafted(buffer.getvalue())
    assert asked(found) == {"sheets"}
    records = answered(found, buffer.getvalue(), tmp_path)
    assert cells(records, "province_code") == [("IR-23",), ("IR-21",)]


def test_figures_of_a_form_that_no_field_takes_are_asked() -> None:
    found = drafted(book([*FORM, ["تعداد نفرات", 12]]))
    assert asked(found) == {"checks"}


def test_S9_titles_in_a_column_are_no_form() -> None:
    rows = [
        ["نام پروژه", "هویت هوشمند", "سامانه مکان محور"],
        ["هفته", "1405-W35", "1405-W35"],
        ["پیشرفت برنامه‌ای", 50, 60],
        ["پیشرفت واقعی", 40, 45],
        ["هزینه واقعی (ریال)", 5, 6],
    ]
    try:
        found = drafted(book(rows))
    except IngestError:
        return
    assert asked(found)


def test_X9_tables_below_each_other_are_told_by_their_captions(tmp_path: Path) -> None:
    head = ["شاخص", "سال", "مقدار"]
    rows: list[list[Any]] = [
        ["جدول ۱: استان تهران"],
        head,
        ["تلفن همراه", 1402, 3],
        ["خطوط تلفن ثابت", 1402, 4],
        [],
        ["جدول ۲: استان گیلان"],
        head,
        ["تلفن همراه", 1402, 5],
        ["خطوط تلفن ثابت", 1402, 6],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert found.content["layouts"][0]["tables"] == [
        {"after": "جدول ۱: استان تهران", "set": {"province": "IR-23"}},
        {"after": "جدول ۲: استان گیلان", "set": {"province": "IR-01"}},
    ]
    assert asked(found) == set()
    assert cells(answered(found, data, tmp_path), "province_code", "value") == [
        ("IR-23", "3.0000000000"),
        ("IR-23", "4.0000000000"),
        ("IR-01", "5.0000000000"),
        ("IR-01", "6.0000000000"),
    ]
    rows[5] = ["جدول ۲: سایر"]
    assert {"tables.0.set", "tables.1.set"} <= asked(drafted(book(rows), kind="indicator_value"))


def test_the_header_of_the_next_page_is_no_record(tmp_path: Path) -> None:
    head = ["استان", "شاخص", "سال", "مقدار"]
    rows: list[list[Any]] = [
        head,
        ["تهران", "تلفن همراه", 1402, 3],
        head,
        ["یزد", "تلفن همراه", 1402, 4],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert asked(found) == set()
    assert "tables" not in found.content["layouts"][0]
    assert answered(found, data, tmp_path).accepted.height == 2


def test_X9_tables_of_one_form_side_by_side_are_split(tmp_path: Path) -> None:
    head = ["استان", "شاخص", "سال", "مقدار"]
    rows: list[list[Any]] = [
        [*head, None, *head],
        ["تهران", "تلفن همراه", 1402, 3, None, "یزد", "تلفن همراه", 1402, 4],
        ["گیلان", "تلفن همراه", 1402, 5, None, "البرز", "تلفن همراه", 1402, 6],
    ]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert found.content["layouts"][0]["split"] == "columns"
    assert asked(found) == set()
    values = {
        value for _, value in cells(answered(found, data, tmp_path), "province_code", "value")
    }
    assert values == {"3.0000000000", "4.0000000000", "5.0000000000", "6.0000000000"}


def test_a_table_of_a_yearbook_needs_no_more_than_its_indicator(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["جدول ۱۲-۵- مشترکان تلفن همراه بر حسب استان: ۱۳۹۸-۱۴۰۰"],
        ["استان", "۱۳۹۸", "۱۳۹۹", "۱۴۰۰*"],
        ["کل کشور", 100, 110, 120],
        ["تهران", "۱٬۵۰۰", 2, 3],
        ["سيستان و بلوچستان", 4, 5, 6],
        ["* مقدماتی"],
        ["مأخذ: سازمان تنظیم مقررات"],
    ]
    data = book(rows)
    found = drafted(data)
    assert found.kind == "indicator_value"
    assert asked(found) == {"fields.indicator"}
    records = answered(
        found, data, tmp_path, ("    unpivot:", "      indicator: {value: cellphone}\n    unpivot:")
    )
    assert sorted(cells(records, "period_start", "province_code", "value")) == [
        ("2019-03-21", "IR-11", "4.0000000000"),
        ("2019-03-21", "IR-23", "1500.0000000000"),
        ("2020-03-20", "IR-11", "5.0000000000"),
        ("2020-03-20", "IR-23", "2.0000000000"),
        ("2021-03-21", "IR-11", "6.0000000000"),
        ("2021-03-21", "IR-23", "3.0000000000"),
    ]


def test_D2_years_of_two_digits_in_titles_are_asked(tmp_path: Path) -> None:
    rows = [["استان", "سال ۹۸", "سال ۰۰"], ["تهران", 1, 2], ["یزد", 3, 4]]
    data = book(rows)
    found = drafted(data, kind="indicator_value")
    assert asked(found) == {"unpivot.columns.0.two_digit_year_pivot", "fields.indicator"}
    records = answered(
        found,
        data,
        tmp_path,
        ("    unpivot:", "      indicator: {value: cellphone}\n    unpivot:"),
        (
            "period_kind: jalali_year",
            "period_kind: jalali_year\n          two_digit_year_pivot: 10",
        ),
    )
    assert {start for start, _ in cells(records, "period_start", "value")} == {
        "2019-03-21",
        "2021-03-21",
    }


def test_a_name_and_a_code_of_one_thing_are_one_field() -> None:
    data = (
        b"Province,Indicator Name,Indicator Code,2015,2016\n"
        b"Tehran,Population,SP.POP,1,2\nYazd,Population,SP.POP,3,4\n"
    )
    found = drafted(data, "x.csv", kind="indicator_value")
    assert columns(found)["indicator"] == "Indicator Name"
    assert asked(found) == {"fields.indicator.code_list"}
