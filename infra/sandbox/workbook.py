"""Persian workbooks as provinces send them: right to left, merged titles, digits as text, totals.

In: the rows of a `WorkbookFile`. Out: the bytes of an .xlsx, the same for the same rows always
(fixed dates inside, no random ids), so that a second night meets the very same file.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.worksheet import Worksheet

from infra.sandbox.calendar import MONTHS_FA, WEEK
from infra.sandbox.reference import Reference
from infra.sandbox.rows import Dataset, Row, WorkbookFile

_PERSIAN = str.maketrans("0123456789.", "۰۱۲۳۴۵۶۷۸۹٫")
_ARABIC_LETTERS = str.maketrans("یک", "يك")
_MILLION = 1_000_000
_STAMP = (2026, 1, 1, 0, 0, 0)
_CREATED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

PROGRESS_GROUP = "پیشرفت (درصد)"
PROGRESS_TITLES = (
    ("ردیف", ""),
    ("عنوان پروژه", ""),
    ("استان", ""),
    ("هفته منتهی به", ""),
    (PROGRESS_GROUP, "برنامه‌ای"),
    (PROGRESS_GROUP, "واقعی"),
    ("هزینه‌کرد (میلیون ریال)", ""),
    ("خروجی ملموس", ""),
    ("ملاحظات", ""),
)
_GROUP_AT = 5
INDICATOR_TITLES = ("ردیف", "شاخص", "ماه گزارش", "مقدار", "صورت کسر", "مخرج کسر", "واحد")
OBLIGATION_TITLES = ("ردیف", "کد تکلیف", "تاریخ رویداد", "وضعیت", "درصد پیشرفت", "مستندات")
FUNDING_TITLES = ("ردیف", "استان", "ماه", "تخصیص (میلیون ریال)", "پرداخت", "هزینه‌کرد")
# what two projects were called until they were renamed; sheets keep the name of their time (E5)
FORMER_NAMES = {"P02": "هویت هوشمند ملی", "P05": "سامانه تدارکات الکترونیکی دولت"}
_RENAMED_AGO = 5 * WEEK
TRUE_WORD, FALSE_WORD = "دارد", "ندارد"


def render(dataset: Dataset, file: WorkbookFile, reference: Reference) -> bytes:
    """Return the bytes of `file`."""
    book = Workbook()
    book.properties.creator = "Payesh sandbox (simulated)"
    book.properties.created = _CREATED.replace(tzinfo=None)
    sheet = book.create_sheet()
    del book[book.sheetnames[0]]
    sheet.sheet_view.rightToLeft = True
    _WRITERS[dataset.kind](sheet, dataset, file, reference)
    out = io.BytesIO()
    book.save(out)
    return without_clock(out.getvalue())


def _write_progress(
    sheet: Worksheet, dataset: Dataset, file: WorkbookFile, reference: Reference
) -> None:
    sheet.title = "گزارش هفتگی"
    province = reference.provinces[dataset.province].name_fa
    width = len(PROGRESS_TITLES)
    _banner(sheet, 1, width, f"گزارش پیشرفت هفتگی پروژه‌ها - استان {province}")
    _banner(sheet, 2, width, "داده‌های این کاربرگ شبیه‌سازی شده است")
    top = 4
    for column, (upper, lower) in enumerate(PROGRESS_TITLES, start=1):
        sheet.cell(top, column, upper).font = Font(bold=True)
        if lower:
            sheet.cell(top + 1, column, lower).font = Font(bold=True)
            sheet.cell(top, column).value = upper if column == _GROUP_AT else None
        else:
            sheet.merge_cells(
                start_row=top, start_column=column, end_row=top + 1, end_column=column
            )
    sheet.merge_cells(start_row=top, start_column=_GROUP_AT, end_row=top, end_column=_GROUP_AT + 1)
    at = top + 2
    for number, row in enumerate(file.rows, start=1):
        ugly = {spoilt.field: spoilt.text for spoilt in row.ugly}
        cells: list[Any] = [
            number,
            _title(_name(row, file, reference), number),
            ugly.get("province", f"{province} " if number % 4 == 0 else province),
            _day(row.period_start + dt.timedelta(days=6), reference),
            ugly.get("planned_pct", _text(row, "planned_pct")),
            ugly.get("actual_pct", _figure(row, "actual_pct", as_text=number % 3 == 0)),
            _figure(row, "actual_cost", as_text=False),
            TRUE_WORD if row.values.get("has_output") else FALSE_WORD,
            None,
        ]
        _fill(sheet, at, cells)
        at += 1
    total = sum((Decimal(str(row.values["actual_cost"] or 0)) for row in file.rows), Decimal(0))
    total += file.gap
    _fill(sheet, at, [None, "جمع کل", None, None, None, None, _number(total), None, None])
    _banner(sheet, at + 2, width, "یادداشت: درصدها تجمعی و نسبت به کل پروژه است")
    _banner(sheet, at + 3, width, "تهیه‌کننده: میز شبیه‌سازی")


def _write_indicators(
    sheet: Worksheet, dataset: Dataset, file: WorkbookFile, reference: Reference
) -> None:
    sheet.title = "شاخص‌ها"
    province = reference.provinces[dataset.province].name_fa
    width = len(INDICATOR_TITLES)
    _banner(sheet, 1, width, f"جدول شاخص‌های استان {province} (شبیه‌سازی)")
    for column, title in enumerate(INDICATOR_TITLES, start=1):
        sheet.cell(3, column, title).font = Font(bold=True)
    for number, row in enumerate(file.rows, start=1):
        year, month, _ = reference.calendar.to_jalali(row.period_start)
        cells: list[Any] = [
            number,
            _title(reference.indicators[row.indicator].name_fa, number),
            f"{MONTHS_FA[month - 1]} {year}".translate(_PERSIAN),
            _figure(row, "value", as_text=number % 2 == 0),
            _text(row, "numerator"),
            _figure(row, "denominator", as_text=False),
            row.values["unit"],
        ]
        _fill(sheet, 3 + number, cells)
    _banner(sheet, len(file.rows) + 5, width, "یادداشت: ارقام نهایی نیست")


def _write_obligations(
    sheet: Worksheet, dataset: Dataset, file: WorkbookFile, reference: Reference
) -> None:
    sheet.title = "تکالیف"
    province = reference.provinces[dataset.province].name_fa
    width = len(OBLIGATION_TITLES)
    _banner(sheet, 1, width, f"وضعیت تکالیف استان {province} (شبیه‌سازی)")
    for column, title in enumerate(OBLIGATION_TITLES, start=1):
        sheet.cell(3, column, title).font = Font(bold=True)
    for number, row in enumerate(file.rows, start=1):
        cells: list[Any] = [
            number,
            f" {row.subject}" if number % 3 == 0 else row.subject,
            _day(row.period_start, reference),
            row.values["status"],
            _figure(row, "percent", as_text=number % 2 == 0),
            row.values["evidence"],
        ]
        _fill(sheet, 3 + number, cells)


def _write_funding(
    sheet: Worksheet, dataset: Dataset, file: WorkbookFile, reference: Reference
) -> None:
    sheet.title = "اعتبارات"
    province = reference.provinces[dataset.province].name_fa
    width = len(FUNDING_TITLES)
    _banner(sheet, 1, width, f"اعتبارات استان {province} (شبیه‌سازی)")
    for column, title in enumerate(FUNDING_TITLES, start=1):
        sheet.cell(3, column, title).font = Font(bold=True)
    names = ("allocated", "released", "spent")
    for number, row in enumerate(file.rows, start=1):
        year, month, _ = reference.calendar.to_jalali(row.period_start)
        sums = [Decimal(str(row.values[name])) / _MILLION for name in names]
        cells: list[Any] = [
            number,
            _title(province, number),
            f"{MONTHS_FA[month - 1]} {year}".translate(_PERSIAN),
            format(sums[0], "f").translate(_PERSIAN),
            _number(sums[1]),
            _number(sums[2]),
        ]
        _fill(sheet, 3 + number, cells)
    totals = [
        _number(sum((Decimal(str(row.values[name])) for row in file.rows), Decimal(0)) / _MILLION)
        for name in names
    ]
    _fill(sheet, 4 + len(file.rows), [None, "جمع کل", None, *totals])


_WRITERS: Final[dict[str, Callable[[Worksheet, Dataset, WorkbookFile, Reference], None]]] = {
    "progress": _write_progress,
    "indicator_value": _write_indicators,
    "obligation_event": _write_obligations,
    "funding": _write_funding,
}


def _banner(sheet: Worksheet, row: int, width: int, text: str) -> None:
    sheet.cell(row, 1, text).alignment = Alignment(horizontal="center")
    sheet.merge_cells(start_row=row, start_column=1, end_row=row, end_column=width)


def _fill(sheet: Worksheet, row: int, cells: list[Any]) -> None:
    for column, value in enumerate(cells, start=1):
        if value is None:
            continue
        cell = sheet.cell(row, column, value)
        if isinstance(value, str) and value.startswith("#"):
            cell.data_type = "e"


def _name(row: Row, file: WorkbookFile, reference: Reference) -> str:
    name = reference.projects[row.project].name_fa
    is_old = row.period_start < file.week - _RENAMED_AGO
    return FORMER_NAMES.get(row.project, name) if is_old else name


def _title(name: str, number: int) -> str:
    """Return a title as typed: Arabic letters in every second, a space after every fifth."""
    typed = name.translate(_ARABIC_LETTERS) if number % 2 else name
    return f"{typed} " if number % 5 == 0 else typed


def _day(day: dt.date, reference: Reference) -> str:
    year, month, number = reference.calendar.to_jalali(day)
    return f"{year}/{month:02d}/{number:02d}".translate(_PERSIAN)


def _text(row: Row, name: str) -> str | None:
    value = row.values[name]
    return None if value is None else format(Decimal(str(value)), "f").translate(_PERSIAN)


def _figure(row: Row, name: str, *, as_text: bool) -> str | int | float | None:
    value = row.values[name]
    if value is None:
        return None
    return _text(row, name) if as_text else _number(Decimal(str(value)))


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def without_clock(data: bytes) -> bytes:
    """Return the same workbook without the moment of its writing."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for info in source.infolist():
            content = source.read(info.filename)
            if info.filename == "docProps/core.xml":
                stamp = f"{_CREATED:%Y-%m-%dT%H:%M:%SZ}".encode()
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            plain = zipfile.ZipInfo(info.filename, _STAMP)
            plain.compress_type = zipfile.ZIP_DEFLATED
            plain.external_attr = 0o600 << 16
            target.writestr(plain, content)
    return out.getvalue()
