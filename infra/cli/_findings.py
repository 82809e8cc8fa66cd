"""Findings in raw.quarantine: which still stand, and the workbook that goes back to an agency.

In: filters. Out: `FindingRow`s, newest first; a right-to-left Persian workbook, one line a cell.

A finding *stands* until a later load that was kept covers its period, which either lists it again
or is without it. One without a period (a refused file, an unreadable period) stands until a file
of the same name is loaded.
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
)


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

judged as (
    select
        found.*,
        decided.decision,
        decided.decided_by,
        decided.decided_at,
        decided.decision_reason,
        coalesce(decided.decision, '') <> 'dismiss' and not exists (
            select 1
            from raw.load as later
            inner join raw.snapshot as newer on later.snapshot_id = newer.snapshot_id
            where
                later.source = found.source
                and later.load_id > found.load_id
                and later.status <> 'rejected'
                and case
                    when found.period_start is null
                        then newer.parts -> 0 ->> 'name' = found.parts -> 0 ->> 'name'
                    else found.period_start between later.period_min and later.period_max
                end
        ) as is_standing
    from found
    left join lateral (
        -- of the same cell of the same file, under whichever load it was found
        select
            d.verdict || coalesce(' ' || d.value, '') as decision,
            d.decided_by,
            d.decided_at,
            d.reason as decision_reason
        from ops.decision as d
        where
            d.snapshot_id = found.snapshot_id
            and d.source = found.source
            and d.item_no is not null
            and d.reason_code = found.reason_code
            and d.field is not distinct from found.field
            and d.locator is not distinct from found.locator
        order by d.decision_id desc
        limit 1
    ) as decided on true
),

in_force as (
    select distinct on (source) source, title_fa, owner_name, owner_email
    from raw.source
    order by source, valid_from desc
)

select
    judged.load_id,
    judged.item_no,
    judged.source,
    in_force.title_fa,
    in_force.owner_name,
    in_force.owner_email,
    judged.kind,
    judged.scope,
    judged.reason_code,
    judged.field,
    judged.locator,
    judged.header,
    judged.raw_text,
    judged.message,
    judged.remedy,
    judged.rule,
    judged.record_no,
    judged.agency_code,
    judged.province_code,
    judged.period_kind,
    judged.period_start,
    judged.received_at,
    coalesce(
        judged.parts -> (
            case
                when judged.locator ~ '^[0-9]{1,6}#'
                    then split_part(judged.locator, '#', 1)::integer
                else 0
            end
        ) ->> 'name',
        ''
    ) as file_name,
    judged.sha256,
    judged.is_standing,
    judged.decision,
    judged.decided_by,
    judged.decided_at,
    judged.decision_reason
from judged
left join in_force on judged.source = in_force.source
where judged.is_standing or %(with_settled)s
order by judged.received_at desc, judged.load_id desc, judged.item_no
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
    ]


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
