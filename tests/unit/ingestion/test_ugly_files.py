"""Files as ministries and provinces publish them: read right, or refused loudly, never read wrong.

Each test builds the real bytes (a workbook, a text table, a page, an answer of an API) and takes
them through reading, layout and contract at once, as the pipeline does. Each of them stood for a
figure that was read wrong, or might have been.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

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
