"""Form workbooks for agencies that have no system of their own, and the source file that reads one.

In: a record kind, an agency, the code lists and the day. Out: a Persian workbook (right to left,
cells that accept only what can be read, lists of codes by name, the form's edition in a cell), and
the source file under which what comes back loads. Both are made from the same columns, so they
can't part: a form of another edition is refused by the `checks` of the source file.
Run it: `payesh template progress --agency mict --out form.xlsx --spec sources/mict__progress.yml`
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Protection, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet
from ruamel.yaml.scalarstring import DoubleQuotedScalarString as Quoted

from ingestion.exchange.odcs import to_yaml
from ingestion.normalise.calendar import to_jalali, week_label, week_start
from ingestion.spec.kinds import KINDS, Kind, KindField, PeriodKind
from ingestion.spec.wording import Words, field_words, kind_words

# The edition of the forms: it changes when a column, its title or the reading of it does.
EDITION: Final = "1"
SHEET: Final = "گزارش"
LISTS: Final = "فهرست‌ها"
GUIDE: Final = "راهنما"
MONEY: Final = "میلیون ریال"
_HEADER_ROW: Final = 5
_YES, _NO = "بله", "خیر"
# kinds whose rows are about the agency itself though the kind would allow none
_OF_ITSELF: Final = frozenset({"funding"})
# what the receipt tells better than a person
_LEFT_OUT: Final = frozenset({"reported_at"})
_MONTHS: Final = 24
_WEEKS: Final = 60
_YEARS: Final = 10
# a list in a validation must be a range; Excel's own bound for lists in words is 255 letters
_WIDTHS: Final = {"text": 34, "json": 40, "code": 30, "period": 16}


@dataclass(frozen=True)
class Code:
    """An entry of a code list: its code and the name that people pick (the code where none)."""

    code: str
    name: str


@dataclass(frozen=True)
class _Column:
    field: KindField
    title: str
    words: Words
    # the range of the allowed texts on the sheet of lists, or None
    allowed: tuple[str, ...] | None
    form: str
    example: str


@dataclass(frozen=True)
class Form:
    """A form workbook's bytes and the text of the source file that reads it."""

    workbook: bytes
    spec: str
    columns: tuple[str, ...]


def make_form(
    kind_name: str,
    agency: Code,
    source: str,
    lists: Mapping[str, Sequence[Code]],
    on: dt.date,
    *,
    period_kind: PeriodKind | None = None,
    owner: tuple[str, str] | None = None,
    folder: str = "incoming",
    rows: int = 500,
) -> Form:
    """The form of the kind for one agency.

    `lists` gives the codes of each code list that are valid on the day `on`; `period_kind` defaults
    to the first one of the kind; `owner` is name and e-mail (without it the source file asks);
    `rows` is how many rows are prepared. Raises ValueError for a period kind that the kind has not.
    """
    kind = KINDS[kind_name]
    period = period_kind or kind.period_kinds[0]
    if period not in kind.period_kinds:
        raise ValueError(
            f"the kind '{kind_name}' has no period '{period}'; it has: "
            f"{', '.join(kind.period_kinds)}"
        )
    columns = [
        _column(kind, field, lists, period, on)
        for field in kind.fields
        if field.name not in _LEFT_OUT and not (field.name == "agency" and _is_own(kind, field))
    ]
    # what every row must have comes first, in the order of the key
    columns.sort(key=lambda c: (not (c.field.required or c.field.is_key), c.field.type == "text"))
    sign = f"نسخه فرم: {kind_name}-{period}-{EDITION}"
    workbook = _workbook(kind, agency, columns, sign, on, rows)
    spec = _spec(kind, agency, source, columns, sign, period, owner, folder)
    return Form(workbook, spec, tuple(column.title for column in columns))


# --------------------------------------------------------------------------------- columns


def _is_own(kind: Kind, field: KindField) -> bool:
    """Whether each row is about the agency that fills the form in, so that it need not say so."""
    return field.required or kind.name in _OF_ITSELF


def _column(
    kind: Kind,
    field: KindField,
    lists: Mapping[str, Sequence[Code]],
    period: PeriodKind,
    on: dt.date,
) -> _Column:
    words = field_words(kind.name, field.name)
    title, allowed, form, example = words.title_fa, None, "متن", "نمونه"
    year, month, day = to_jalali(on)
    today = f"{year}/{month:02}/{day:02}"
    match field.type:
        case "code" if field.code_list is not None:
            allowed = _choices(lists.get(field.code_list, ()))
            form, example = "یکی از فهرست", allowed[0] if allowed else ""
        case "code":
            # a code without a list of its own is taken as it stands: the codes that are known
            allowed = tuple(code.code for code in lists.get(field.name, ())) or None
            form, example = "شناسه، بی‌فاصله", allowed[0] if allowed else "A1"
        case "pct":
            title = title if "درصد" in title else f"{title} (درصد)"
            form, example = "عدد از ۰ تا ۱۰۰", "45.5"
        case "rial":
            title, form, example = f"{title} ({MONEY})", f"عدد، {MONEY}", "1200"
        case "number" if field.scale != 0:
            form, example = "عدد", "12.5"
        case "number" | "integer":
            form, example = "عدد صحیح", "0"
        case "boolean":
            allowed, form = (_YES, _NO), f"{_YES} یا {_NO}"
            example = _NO if field.name == "retracted" else _YES
        case "date":
            title, form, example = f"{title} (شمسی)", "تاریخ شمسی به شکل ۱۴۰۵/۰۸/۲۳", today
        case "instant":
            title = f"{title} (شمسی)"
            form, example = "تاریخ و ساعت شمسی به شکل ۱۴۰۵/۰۸/۲۳ ۱۴:۳۰", f"{today} 14:30"
        case "period":
            allowed = _periods(period, on)
            form, example = "یکی از فهرست", (allowed or (today,))[-1]
            if allowed is None:
                title, form = f"{title} (شمسی)", "تاریخ شمسی به شکل ۱۴۰۵/۰۸/۲۳"
        case "json":
            form = "فهرست JSON"
            example = '[{"no": 1, "title": "…", "agency": "…", "due_on": "2026-12-04"}]'
        case _:
            pass
    return _Column(field, title, words, allowed, form, example)


def _choices(codes: Sequence[Code]) -> tuple[str, ...] | None:
    """Names to pick from; the code where a name is missing or two codes share one."""
    names = [code.name for code in codes]
    shown = tuple(
        code.name if code.name and names.count(code.name) == 1 else code.code for code in codes
    )
    return shown or None


def _periods(period: PeriodKind, on: dt.date) -> tuple[str, ...] | None:
    """The periods that a report may be on: those past and the running one; None for single days."""
    year, month, _ = to_jalali(on)
    match period:
        case "week":
            last = week_start(on)
            return tuple(
                week_label(last - dt.timedelta(weeks=back)) for back in range(_WEEKS - 1, -1, -1)
            )
        case "jalali_month":
            count = year * 12 + month - 1
            return tuple(
                f"{n // 12}/{n % 12 + 1:02}" for n in range(count - _MONTHS + 1, count + 1)
            )
        case "jalali_year":
            return tuple(str(y) for y in range(year - _YEARS + 1, year + 1))
        case "gregorian_year":
            return tuple(str(y) for y in range(on.year - _YEARS + 1, on.year + 1))
        case _:
            return None


# --------------------------------------------------------------------------------- workbook

_LINE: Final = Side(style="thin", color="BFBFBF")
_BORDER: Final = Border(left=_LINE, right=_LINE, top=_LINE, bottom=_LINE)
_MUST: Final = PatternFill("solid", fgColor="1F4E5F")
_MAY: Final = PatternFill("solid", fgColor="6B8E9B")


def _workbook(
    kind: Kind, agency: Code, columns: Sequence[_Column], sign: str, on: dt.date, rows: int
) -> bytes:
    book = Workbook()
    book.properties.title = kind_words(kind.name).title_fa
    # the form of a day is the same bytes whenever it is made
    book.properties.created = book.properties.modified = dt.datetime.combine(on, dt.time())
    del book["Sheet"]
    sheet: Worksheet = book.create_sheet(SHEET)
    ranges = _lists_sheet(book, columns)
    _guide_sheet(book, kind, columns)
    sheet.sheet_view.rightToLeft = True
    sheet["A1"] = f"فرم {kind_words(kind.name).title_fa} - {agency.name or agency.code}"
    sheet["A1"].font = Font(bold=True, size=14)
    sheet["A2"] = sign
    sheet["A2"].font = Font(color="808080")
    sheet["A3"] = (
        "هر ردیف یک رکورد است. ستون‌های پررنگ الزامی‌اند. خانه‌ای را که مقدار ندارد خالی بگذارید و "
        f"صفر ننویسید. شرح ستون‌ها در برگه «{GUIDE}» است."
    )
    last = _HEADER_ROW + rows
    for number, column in enumerate(columns, start=1):
        letter = get_column_letter(number)
        head = sheet.cell(_HEADER_ROW, number, column.title)
        head.font = Font(bold=True, color="FFFFFF")
        head.fill = _MUST if column.field.required else _MAY
        head.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        head.border = _BORDER
        note = Comment(f"{column.words.about_fa}\n{column.form}", "Payesh")
        note.width, note.height = 320, 110
        head.comment = note
        sheet.column_dimensions[letter].width = _WIDTHS.get(column.field.type, 18)
        for row in range(_HEADER_ROW + 1, last + 1):
            cell = sheet.cell(row, number)
            cell.protection = Protection(locked=False)
            cell.border = _BORDER
            # text, so that no program makes a Gregorian date or a number of it
            if column.field.type not in ("number", "pct", "rial", "integer"):
                cell.number_format = "@"
        rule = _validation(column, letter, ranges.get(column.field.name))
        if rule is not None:
            rule.add(f"{letter}{_HEADER_ROW + 1}:{letter}{last}")
            sheet.add_data_validation(rule)
    sheet.row_dimensions[_HEADER_ROW].height = 34
    sheet.freeze_panes = f"A{_HEADER_ROW + 1}"
    sheet.print_title_rows = f"{_HEADER_ROW}:{_HEADER_ROW}"
    sheet.page_setup.orientation = "landscape"
    # titles and edition can't be changed by mistake; there is no password
    sheet.protection.sheet = True
    sheet.protection.formatColumns = False
    sheet.protection.formatRows = False
    sheet.protection.insertRows = False
    sheet.protection.sort = False
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _lists_sheet(book: Workbook, columns: Sequence[_Column]) -> dict[str, str]:
    """Write the allowed texts, one column a field; returns the range of each field."""
    sheet = book.create_sheet(LISTS)
    sheet.sheet_view.rightToLeft = True
    found: dict[str, str] = {}
    for column in columns:
        if column.allowed is None:
            continue
        number = len(found) + 1
        letter = get_column_letter(number)
        sheet.cell(1, number, column.title).font = Font(bold=True)
        for row, text in enumerate(column.allowed, start=2):
            sheet.cell(row, number, text).number_format = "@"
        end = len(column.allowed) + 1
        found[column.field.name] = f"'{LISTS}'!${letter}$2:${letter}${end}"
        sheet.column_dimensions[letter].width = 34
    sheet.protection.sheet = True
    return found


def _guide_sheet(book: Workbook, kind: Kind, columns: Sequence[_Column]) -> None:
    sheet = book.create_sheet(GUIDE)
    sheet.sheet_view.rightToLeft = True
    sheet.append([kind_words(kind.name).about_fa])
    sheet.append(["ستون", "معنا", "الزامی", "شکل مقدار", "نمونه"])
    for cell in sheet[2]:
        cell.font = Font(bold=True)
    for column in columns:
        must = _YES if column.field.required else _NO
        sheet.append([column.title, column.words.about_fa, must, column.form, column.example])
    for letter, width in zip("ABCDE", (32, 70, 10, 44, 30), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.protection.sheet = True


def _validation(column: _Column, letter: str, allowed: str | None) -> DataValidation | None:
    first = f"{letter}{_HEADER_ROW + 1}"
    rule: DataValidation | None = None
    if allowed is not None:
        rule = DataValidation(type="list", formula1=allowed, allow_blank=True)
    elif column.field.type == "integer" or column.field.scale == 0:
        rule = DataValidation(
            type="whole", operator="greaterThanOrEqual", formula1="0", allow_blank=True
        )
    elif column.field.type in ("number", "pct", "rial"):
        low, high = _bounds(column.field)
        rule = DataValidation(
            type="decimal", operator="between", formula1=low, formula2=high, allow_blank=True
        )
    elif column.field.type in ("date", "period"):
        rule = DataValidation(type="custom", formula1=_jalali_formula(first), allow_blank=True)
    elif column.field.type == "instant":
        rule = DataValidation(
            type="custom",
            formula1=f'AND(LEN({first})=16,MID({first},11,1)=" ",MID({first},14,1)=":")',
            allow_blank=True,
        )
    if rule is not None:
        # other codes than the listed ones may be right where the field says so
        is_open = column.field.type == "code" and (
            column.field.code_list is None or column.field.own_codes is not None
        )
        rule.errorTitle = column.title[:32]
        rule.error = f"{column.form}. نمونه: {column.example}"[:225]
        rule.showErrorMessage = not is_open
    return rule


def _bounds(field: KindField) -> tuple[str, str]:
    low = -1e15 if field.minimum is None else field.minimum
    high = 1e15 if field.maximum is None else field.maximum
    return f"{low:.0f}", f"{high:.0f}"


def _jalali_formula(cell: str) -> str:
    """Ten letters with slashes and a month of the year; the day itself is judged on receipt."""
    return (
        f'AND(LEN({cell})=10,MID({cell},5,1)="/",MID({cell},8,1)="/",'
        f"VALUE(MID({cell},6,2))>=1,VALUE(MID({cell},6,2))<=12)"
    )


# --------------------------------------------------------------------------------- source file


def _spec(
    kind: Kind,
    agency: Code,
    source: str,
    columns: Sequence[_Column],
    sign: str,
    period: PeriodKind,
    owner: tuple[str, str] | None,
    folder: str,
) -> str:
    words = kind_words(kind.name)
    content: dict[str, Any] = {
        "source": source,
        "title": f"{words.title} (form)",
        "title_fa": f"{words.title_fa} (فرم)",
        "kind": kind.name,
        "agency": agency.code,
    }
    if owner is not None:
        content["owner"] = {"name": owner[0], "email": owner[1]}
    content["schedule"] = {
        "cadence": {"week": "weekly", "jalali_month": "monthly", "date": "weekly"}.get(
            period, "yearly"
        )
    }
    # a required agency is the source's own anyway
    constants = {"agency": {"value": agency.code}} if kind.name in _OF_ITSELF else {}
    content["connector"] = {"type": "folder", "path": folder, "pattern": Quoted("*.xlsx")}
    content["layouts"] = [
        {
            "sheets": [SHEET],
            "checks": [{"cell": "A2", "text": sign}],
            "fields": {c.field.name: _field(c, period) for c in columns} | constants,
        }
    ]
    head = (
        f"# Reads the form workbook '{kind.name}', edition {EDITION}, made by `payesh template`.\n"
        "# A workbook of another edition is refused.\n"
    )
    if owner is None:
        head += "# QUESTION: owner: whom does the operator turn to? (name, email)\n"
    return head + to_yaml(content)


def _field(column: _Column, period: PeriodKind) -> dict[str, Any]:
    field = column.field
    found: dict[str, Any] = {"headers": [column.title]}
    match field.type:
        case "period":
            found["period_kind"] = period
            if period != "gregorian_year":
                found["calendar"] = "jalali"
        case "date" | "instant":
            found["calendar"] = "jalali"
        case "pct":
            found["percent_scale"] = "percent"
        case "rial":
            found["unit"] = MONEY
        case "boolean":
            found["true_words"], found["false_words"] = [_YES], [_NO]
        case "number":
            found["decimal_mark"] = Quoted(".")
        case _:
            pass
    # a key that may be blank says so: the whole country, the whole project
    if field.is_key and not field.required and field.type != "period":
        found["required"] = False
    return found
