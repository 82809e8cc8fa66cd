"""Made-up weekly progress, as an agency would send it: the same rows for the same number.

In: how many. Out: records, JSON lines, pages, a workbook. Persian names with Arabic letters here
and there, Jalali dates in Persian digits, every third figure with a Persian decimal mark.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final
from xml.sax.saxutils import escape

from ingestion.normalise.calendar import to_jalali
from ingestion.normalise.text import PERSIAN_DIGITS

FIRST_WEEK: Final = dt.date(2015, 3, 21)
HEADERS: Final = ("project", "province", "activity", "week", "planned", "actual", "cost")
_PERSIAN: Final = str.maketrans("0123456789", PERSIAN_DIGITS)
_PROVINCES: Final = (
    *("تهران", "اصفهان", "خراسان رضوي", "آذربایجان شرقی", "فارس"),
    *("كرمان", "گيلان", "مازندران", "سیستان و بلوچستان", "یزد"),
)
_ACTIVITIES: Final = 48

SPEC: Final = """
source: sim_a01__{name}
title: Benchmark
kind: progress
agency: sim_a01
simulated: true
owner: {{name: Benchmark, email: benchmark@agency.example}}
connector: {connector}
layouts:
  - fields:
      project: {{headers: [project]}}
      province: {{headers: [province]}}
      activity: {{headers: [activity]}}
      period: {{headers: [week], period_kind: week, calendar: jalali}}
      planned_pct: {{headers: [planned], percent_scale: percent}}
      actual_pct: {{headers: [actual], percent_scale: percent}}
      actual_cost: {{headers: [cost], unit: rial}}
"""


def records(count: int) -> Iterator[dict[str, Any]]:
    """`count` records, no two with one key, week after week."""
    chance = Random(1405)  # noqa: S311 - figures for a benchmark, no secret
    made = 0
    for number in itertools.count():
        year, month, day = to_jalali(FIRST_WEEK + dt.timedelta(weeks=number))
        week = f"{year}/{month:02}/{day:02}".translate(_PERSIAN)
        for project, province, activity in itertools.product(
            range(1, 22), _PROVINCES, range(_ACTIVITIES)
        ):
            if made == count:
                return
            made += 1
            actual: Any = chance.randrange(10_001) / 100
            if activity % 3 == 0:
                actual = str(actual).translate(_PERSIAN).replace(".", "٫")
            yield {
                "project": f"P{project:02}",
                "province": province,
                "activity": f"act-{activity:02}",
                "week": week,
                "planned": chance.randrange(10_001) / 100,
                "actual": actual,
                "cost": chance.randrange(10**6, 10**10),
            }


def write_json_lines(path: Path, count: int) -> None:
    """One record a line."""
    with path.open("w", encoding="utf-8") as file:
        for record in records(count):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_workbook(path: Path, count: int) -> None:
    """One sheet, texts within the cells; written by hand, since libraries take minutes for it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS.format(kind="officeDocument", to="xl/workbook"))
        archive.writestr("xl/workbook.xml", _BOOK)
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            _RELATIONS.format(kind="worksheet", to="worksheets/sheet1"),
        )
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            sheet.write(_row(1, dict(zip(HEADERS, HEADERS, strict=True))))
            for number, record in enumerate(records(count), start=2):
                sheet.write(_row(number, record))
            sheet.write(b"</sheetData></worksheet>")


def _row(number: int, record: dict[str, Any]) -> bytes:
    cells = []
    for letter, name in zip("ABCDEFG", HEADERS, strict=True):
        value = record[name]
        if isinstance(value, str):
            text = f"<is><t>{escape(value)}</t></is>"
            cells.append(f'<c r="{letter}{number}" t="inlineStr">{text}</c>')
        else:
            cells.append(f'<c r="{letter}{number}"><v>{value}</v></c>')
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_BOOK = (
    f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="progress" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
_RELATIONS = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/{{kind}}" Target="{{to}}.xml"/></Relationships>'
)
_TYPES = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
