"""Made-up weekly progress, as an agency would send it: the same rows for the same number.

In: how many. Out: records, JSON lines, pages, a workbook. Persian names with Arabic letters here
and there, Jalali dates in Persian digits, every third figure with a Persian decimal mark.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import zipfile
from collections.abc import Iterable, Iterator
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
WORKBOOK_HEADERS: Final = (
    *("ردیف", "کد پروژه", "عنوان پروژه", "استان", "فعالیت", "هفته", "برنامه (درصد)"),
    *("واقعی (درصد)", "هزینه برنامه", "هزینه واقعی", "پایان پیش‌بینی", "خروجی دارد"),
    *("مسئول", "توضیحات"),
)
_TITLES: Final = (
    *("شبکه ملی اطلاعات", "دولت الکترونیک", "هویت دیجیتال", "مراکز داده", "پنجره واحد خدمات"),
    *("کارت هوشمند ملی", "فیبر نوری منازل", "سامانه یکپارچه سلامت", "آموزش مجازي مدارس"),
)
_WORKS: Final = (
    *("نصب و راه‌اندازی تجهیزات", "خرید و تأمین کالا", "طراحی تفصیلی", "آزمون پذیرش"),
    *("آموزش کاربران", "پشتیبانی و نگهداري", "عملیات اجرایی"),
)
_PEOPLE: Final = ("مدیر طرح", "معاونت فنی", "اداره کل استان", "پیمانکار اصلی", "مشاور")
_REMARKS: Final = (
    *(None, None, None, None, "طبق برنامه", "تأخیر در تأمین اعتبار", "در انتظار ابلاغ بخشنامه"),
    *("مصوب شورای راهبری", "بازدید میدانی انجام شد"),
)

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


WORKBOOK_SPEC: Final = """
source: sim_a01__{name}
title: Benchmark
kind: progress
agency: sim_a01
simulated: true
owner: {{name: Benchmark, email: benchmark@agency.example}}
connector: {connector}
layouts:
  - fields:
      project: {{headers: [کد پروژه]}}
      province: {{headers: [استان]}}
      activity: {{headers: [فعالیت]}}
      period: {{headers: [هفته], period_kind: week, calendar: jalali}}
      planned_pct: {{headers: [برنامه (درصد)], percent_scale: percent}}
      actual_pct: {{headers: [واقعی (درصد)], percent_scale: percent}}
      planned_cost: {{headers: [هزینه برنامه], unit: rial}}
      actual_cost: {{headers: [هزینه واقعی], unit: rial}}
      forecast_finish: {{headers: [پایان پیش‌بینی], calendar: jalali}}
      has_output: {{headers: [خروجی دارد]}}
      note: {{headers: [توضیحات], required: false}}
"""


def write_json_lines(path: Path, count: int) -> None:
    """One record a line."""
    with path.open("w", encoding="utf-8") as file:
        for record in records(count):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def workbook_rows(count: int) -> Iterator[tuple[Any, ...]]:
    """The records of `records` as a form shows them to people: with names beside the codes, Jalali
    days as text, a remark here and there; values in the order of `WORKBOOK_HEADERS`."""
    chance = Random(1406)  # noqa: S311 - figures for a benchmark, no secret
    for number, record in enumerate(records(count), start=1):
        index = int(record["project"][1:])
        activity = int(record["activity"][-2:])
        finish = to_jalali(FIRST_WEEK + dt.timedelta(days=5 * chance.randrange(400)))
        yield (
            number,
            record["project"],
            f"پروژه {_TITLES[index % len(_TITLES)]}".translate(_PERSIAN),
            record["province"],
            f"{_WORKS[activity % len(_WORKS)]} - مرحله {activity:02}".translate(_PERSIAN),
            record["week"],
            record["planned"],
            record["actual"],
            chance.randrange(10**6, 10**10),
            record["cost"],
            "{}/{:02}/{:02}".format(*finish).translate(_PERSIAN),
            "بله" if activity % 5 else "خیر",
            _PEOPLE[(index + activity) % len(_PEOPLE)],
            _REMARKS[chance.randrange(len(_REMARKS))],
        )


def write_workbook(path: Path, count: int) -> None:
    """One sheet with a title above the header, texts shared as spreadsheet programs share them;
    written by hand, since libraries take minutes for it."""
    shared: dict[str, int] = {}

    def cell(letter: str, number: int, value: Any) -> str:
        if value is None:
            return f'<c r="{letter}{number}" s="1"/>'
        if isinstance(value, str):
            index = shared.setdefault(value, len(shared))
            return f'<c r="{letter}{number}" s="1" t="s"><v>{index}</v></c>'
        return f'<c r="{letter}{number}" s="1"><v>{value}</v></c>'

    def row(number: int, values: Iterable[Any]) -> bytes:
        cells = "".join(map(cell, "ABCDEFGHIJKLMN", itertools.repeat(number), values))
        return f'<row r="{number}" spans="1:14">{cells}</row>'.encode()

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr(
            "_rels/.rels", _RELATIONS.format(_relation("officeDocument", "xl/workbook"))
        )
        archive.writestr("xl/workbook.xml", _BOOK)
        related = _relation("worksheet", "worksheets/sheet1") + _relation(
            "sharedStrings", "sharedStrings", 2
        )
        archive.writestr("xl/_rels/workbook.xml.rels", _RELATIONS.format(related))
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            sheet.write(row(1, ["گزارش هفتگی پیشرفت پروژه‌ها"]))
            sheet.write(row(2, ["ارقام هزینه به ریال"]))
            sheet.write(row(4, WORKBOOK_HEADERS))
            for number, values in enumerate(workbook_rows(count), start=5):
                sheet.write(row(number, values))
            sheet.write(b"</sheetData></worksheet>")
        items = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
        head = f'<sst xmlns="{_MAIN}" uniqueCount="{len(shared)}">'
        archive.writestr("xl/sharedStrings.xml", f"{head}{items}</sst>")


def _relation(kind: str, to: str, number: int = 1) -> str:
    return f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{to}.xml"/>'


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_BOOK = (
    f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="progress" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
_RELATIONS = f'<Relationships xmlns="{_PACKAGE}/relationships">{{}}</Relationships>'
_TYPES = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
    '<Override PartName="/xl/sharedStrings.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)
