"""Findings in raw.quarantine: which still stand, and the workbook that goes back to an agency.

In: filters. Out: `FindingRow`s, newest first; a right-to-left Persian workbook, one line a cell.

A finding *stands* until a later load that was kept covers its period, which either lists it again
or is without it. One without a period (a refused file, an unreadable period) stands until a file
of the same name is loaded. The rule is that of `ops.quarantine_state`. National ids, telephone
numbers and addresses of people are left out of all that is shown (trap P12).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from ingestion.contracts.reasons import Reason, reason
from ingestion.normalise.calendar import to_jalali, week_label

_TEHRAN = ZoneInfo("Asia/Tehran")
_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_CELL_LIMIT = 32_767
_SHEET_LIMIT = 1_000_000
_SCOPES = {"file": "فایل", "row": "ردیف", "cell": "خانه"}
_COLUMNS: tuple[tuple[str, int], ...] = (
    ("ردیف", 7),
    ("منبع", 34),
    ("فایل", 30),
    ("برگه", 16),
    ("نشانی", 14),
    ("دامنه", 9),
    ("عنوان ستون", 22),
    ("متن خانه", 28),
    ("استان", 10),
    ("دوره", 16),
    ("مشکل", 52),
    ("راه اصلاح", 52),
    ("کد", 22),
    ("تاریخ دریافت", 14),
    ("شناسه", 12),
    ("وضعیت", 30),
)
_STATES = {
    "open": "باز",
    "aged": "باز، بیش از چهار هفته",
    "repeated": "در فایل بعدی تکرار شد",
    "corrected": "با ارسال بعدی اصلاح شد",
}


@dataclass(frozen=True)
class Filter:
    """What to look for; None = all. `week` is the Saturday that opens a week."""

    source: str | None = None
    agency: str | None = None
    province: str | None = None
    reason: str | None = None
    week: dt.date | None = None
    with_settled: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class FindingRow:
    """One finding with the file that it is in and whose it is."""

    load_id: int
    item_no: int
    source: str
    title_fa: str | None
    owner_name: str | None
    owner_email: str | None
    kind: str
    scope: str
    reason_code: str
    field: str | None
    locator: str
    header: str | None
    raw_text: str | None
    message: str
    remedy: str
    rule: str
    record_no: int | None
    agency_code: str | None
    province_code: str | None
    period_kind: str | None
    period_start: dt.date | None
    received_at: dt.datetime
    file_name: str
    sha256: str
    state: str
    is_standing: bool
    decision: str | None
    decided_by: str | None
    decided_at: dt.datetime | None
    decision_reason: str | None

    @property
    def number(self) -> str:
        """How people name it: load and item."""
        return f"{self.load_id}-{self.item_no}"


_QUERY = """
with

found as (
    select q.*, snapshot.snapshot_id, snapshot.parts, snapshot.sha256
    from raw.quarantine as q
    inner join raw.load as load on q.load_id = load.load_id
    inner join raw.snapshot as snapshot on load.snapshot_id = snapshot.snapshot_id
    where
        (%(source)s::text is null or q.source = %(source)s)
        and (%(agency)s::text is null or q.agency_code = %(agency)s)
        and (%(province)s::text is null or q.province_code = %(province)s)
        and (%(reason)s::text is null or q.reason_code = %(reason)s)
        and (%(week)s::date is null or (q.period_start = %(week)s and q.period_kind = 'week'))
        and (%(load_id)s::bigint is null or q.load_id = %(load_id)s)
        and (%(item_no)s::integer is null or q.item_no = %(item_no)s)
),

in_force as (
    select distinct on (source) source, title_fa, owner_name, owner_email
    from raw.source
    order by source, valid_from desc
)

select
    found.load_id,
    found.item_no,
    found.source,
    in_force.title_fa,
    in_force.owner_name,
    in_force.owner_email,
    found.kind,
    found.scope,
    found.reason_code,
    found.field,
    found.locator,
    found.header,
    ops.masked(found.raw_text) as raw_text,
    ops.masked(found.message) as message,
    found.remedy,
    found.rule,
    found.record_no,
    found.agency_code,
    found.province_code,
    found.period_kind,
    found.period_start,
    found.received_at,
    coalesce(
        found.parts -> (
            case
                when found.locator ~ '^[0-9]{1,6}#'
                    then split_part(found.locator, '#', 1)::integer
                else 0
            end
        ) ->> 'name',
        ''
    ) as file_name,
    found.sha256,
    became.state,
    became.is_standing,
    became.decision || coalesce(' ' || ops.masked(became.decided_value), '') as decision,
    became.decided_by,
    became.decided_at,
    ops.masked(became.decision_reason) as decision_reason
from found
inner join ops.quarantine_state as became
    on found.load_id = became.load_id and found.item_no = became.item_no
left join in_force on found.source = in_force.source
where became.is_standing or %(with_settled)s
order by found.received_at desc, found.load_id desc, found.item_no
limit %(limit)s
"""


def findings(connection: psycopg.Connection, wanted: Filter) -> list[FindingRow]:
    """The findings that `wanted` asks for, newest first."""
    parameters = {f.name: getattr(wanted, f.name) for f in fields(Filter)}
    rows = connection.execute(_QUERY, {**parameters, "load_id": None, "item_no": None}).fetchall()
    return [FindingRow(*row) for row in rows]


def finding(connection: psycopg.Connection, load_id: int, item_no: int) -> FindingRow | None:
    """One finding by its number, settled or not."""
    parameters = {f.name: getattr(Filter(with_settled=True), f.name) for f in fields(Filter)}
    row = connection.execute(
        _QUERY, {**parameters, "load_id": load_id, "item_no": item_no}
    ).fetchone()
    return None if row is None else FindingRow(*row)


def reporters(connection: psycopg.Connection) -> list[str]:
    """The agencies that own a source or have a finding."""
    rows = connection.execute(
        "select agency_code from raw.source union "
        "select agency_code from raw.quarantine where agency_code is not null order by 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


# -------------------------------------------------------------------------------------- workbook


def write_workbook(
    path: Path, agency: str, rows: Sequence[FindingRow], made_at: dt.datetime
) -> None:
    """Write the findings of an agency as a right-to-left Persian workbook, ready to send back.

    Text from the agency's own files stays text: it can't become a formula here (T15).
    """
    book = Workbook()
    sheet = book.active
    if not isinstance(sheet, Worksheet):
        raise TypeError("a new workbook has no sheet")
    sheet.title = "موارد نیازمند اصلاح"
    sheet.sheet_view.rightToLeft = True
    _put(sheet, 1, 1, f"موارد نیازمند اصلاح، دستگاه {agency}", bold=True)
    _put(sheet, 2, 1, f"تاریخ تهیه: {_jalali(made_at)}، تعداد: {_digits(len(rows))}")
    _put(
        sheet,
        3,
        1,
        "هر سطر یک مورد است که خوانده نشد. خانه را در فایل اصلی اصلاح و همان فایل را دوباره "
        "ارسال کنید؛ این فایل را پر نکنید.",
    )
    for column, (title, width) in enumerate(_COLUMNS, start=1):
        _put(sheet, 5, column, title, bold=True)
        sheet.cell(5, column).fill = PatternFill("solid", start_color="FFD9E1F2")
        sheet.column_dimensions[get_column_letter(column)].width = width
    for line, row in enumerate(rows[:_SHEET_LIMIT], start=6):
        for column, text in enumerate(_texts(line - 5, row), start=1):
            _put(sheet, line, column, text)
    sheet.freeze_panes = "A6"
    sheet.auto_filter.ref = f"A5:{get_column_letter(len(_COLUMNS))}{max(6, 5 + len(rows))}"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    book.save(draft)
    draft.replace(path)


def _texts(number: int, row: FindingRow) -> list[str]:
    sheet, address = _place(row.locator)
    known = _known(row.reason_code)
    problem = row.message
    if known is not None:
        # the raw text may hold braces, so it goes in last and by replacement
        problem = known.message_fa.replace("{field}", row.header or row.field or "")
        problem = problem.replace("{detail}", "").replace("{raw}", row.raw_text or "")
        problem = problem.rstrip(": ")
    return [
        _digits(number),
        row.title_fa or row.source,
        row.file_name,
        sheet,
        address,
        _SCOPES.get(row.scope, row.scope),
        row.header or row.field or "",
        row.raw_text or "",
        row.province_code or "",
        _period(row.period_kind, row.period_start),
        problem,
        known.remedy_fa if known is not None else row.remedy,
        row.reason_code,
        _jalali(row.received_at),
        row.number,
        _state(row),
    ]


def _state(row: FindingRow) -> str:
    """What became of a finding, for the agency."""
    if row.state != "decided":
        return _STATES[row.state]
    when = "" if row.decided_at is None else f" در {_jalali(row.decided_at)}"
    return f"تصمیم {row.decided_by}{when}: {row.decision} ({row.decision_reason})"


def _known(code: str) -> Reason | None:
    """The reason in both languages; None for codes of rules that have only their own words."""
    try:
        return reason(code)
    except KeyError:
        return None


def _put(sheet: Worksheet, line: int, column: int, text: str, *, bold: bool = False) -> None:
    cell = sheet.cell(line, column)
    clean = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)
    cell.value = clean if len(clean) <= _CELL_LIMIT else f"{clean[: _CELL_LIMIT - 1]}…"
    # openpyxl takes a leading '=' for a formula; spreadsheet programs do so on editing, and with
    # + - @ when the sheet is saved as CSV: the quote prefix keeps them all text
    cell.data_type = "s"
    cell.quotePrefix = clean[:1] in ("=", "+", "-", "@", "\t", "\r")
    cell.alignment = Alignment(horizontal="right", vertical="top", wrap_text=line >= 5)
    if bold:
        cell.font = Font(bold=True)


def _place(locator: str) -> tuple[str, str]:
    """Sheet and cell of `sheet!D7`; for JSON the pointer alone."""
    sheet, mark, address = locator.rpartition("!")
    if mark and re.fullmatch(r"[A-Z]{0,3}[0-9]*(:[A-Z]{0,3}[0-9]*)?", address):
        return sheet, address
    return "", locator


def _period(kind: str | None, start: dt.date | None) -> str:
    if kind is None or start is None:
        return ""
    if kind == "week":
        year, _, week = week_label(start).partition("-W")
        return f"هفته {_digits(int(week))} سال {year.translate(_PERSIAN)}"
    if kind == "gregorian_year":
        return str(start.year)
    year_no, month, day = to_jalali(start)
    parts = {"jalali_year": f"{year_no}", "jalali_month": f"{year_no}/{month:02}"}
    return parts.get(kind, f"{year_no}/{month:02}/{day:02}").translate(_PERSIAN)


def _jalali(instant: dt.datetime) -> str:
    year, month, day = to_jalali(instant.astimezone(_TEHRAN).date())
    return f"{year}/{month:02}/{day:02}".translate(_PERSIAN)


def _digits(number: int) -> str:
    return str(number).translate(_PERSIAN)
