"""What can go wrong on request: the faults of simulated agencies and provinces, and their making.

In: an answer or a week's workbook as it ought to be, and the name of a fault. Out: the spoilt
answer or file. Each fault names the traps it sets and what the house says to it. A fault never
changes the truth: the refused adds nothing, what is taken says nothing new, but for the cells and
rows that `spoilt_rows` marks. See them: `payesh sandbox fault`
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from infra.sandbox.pages import Answer
from infra.sandbox.rows import Row, Ugly, WorkbookFile
from infra.sandbox.shapes import Shape, shape_of

if TYPE_CHECKING:
    import datetime as dt

    from openpyxl.worksheet.worksheet import Worksheet

    from infra.sandbox.rows import Dataset
    from infra.sandbox.world import World

_FIRST_ROW: Final = 6
_PROJECT, _PROVINCE, _DAY, _PLANNED, _ACTUAL, _COST = 2, 3, 4, 5, 6, 7
_BOMB_BYTES: Final = 120_000_000
# a compound file as Office writes them around encrypted workbooks, as far as anybody looks
_LOCKED: Final = (
    bytes.fromhex("d0cf11e0a1b11ae1")
    + bytes(504)
    + "EncryptedPackage".encode("utf-16-le")
    + bytes(512)
)
_LOGIN_PAGE: Final = (
    "<!doctype html><html dir='rtl'><title>ورود به سامانه</title>"
    "<form method='post'><input name='user'><input name='password' type='password'></form></html>"
)
_WEB_TABLE: Final = "<html><body><table><tr><td>ورود به سامانه</td></tr></table></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: whose, which traps it sets, what happens, and the code that the house answers with.

    `code` is that of the refusal (`refuses`), or else of the finding beside what is taken; '' where
    nothing is to be found. `needs` restricts it to agencies that tell a total or have no changes
    on request.
    """

    name: str
    medium: Literal["api", "workbook"]
    traps: tuple[str, ...]
    what: str
    code: str
    refuses: bool = True
    needs: Literal["", "total", "whole"] = ""


FAULTS: Final[dict[str, Fault]] = {
    fault.name: fault
    for fault in (
        Fault("dead", "api", ("P5",), "the line closes without a word", "unreachable"),
        Fault("slow", "api", ("P5",), "each answer takes a minute", "timeout"),
        Fault("500", "api", ("P5",), "its own error, each time", "server-error"),
        Fault("429", "api", ("P5",), "too many requests, Retry-After", "rate-limited"),
        Fault("cut-off", "api", ("P5",), "answers break off in the middle", "cut-off"),
        Fault("expired-key", "api", ("P6",), "the key is valid no more", "unauthorised"),
        Fault("login-page", "api", ("P6",), "200 with a page to log in", "login-page"),
        Fault("error-body", "api", ("P6",), "200 with an error inside", "error-body"),
        Fault("empty", "api", ("P6",), "200 with an empty list", "empty-after-data"),
        Fault("bad-json", "api", ("S11",), "half of the JSON text", "not-json"),
        Fault("repeat-page", "api", ("P2",), "the first page again for ever", "repeated-page"),
        Fault(
            "restless",
            "api",
            ("P1", "P4"),
            "another total with each page",
            "total-changed",
            needs="total",
        ),
        Fault("renamed-field", "api", ("P10",), "the period under a new name", "missing-column"),
        Fault("shrunken", "api", ("S7",), "a tenth of the records", "shrunk", needs="whole"),
        Fault("corrupt-workbook", "workbook", ("S11",), "half of a file", "damaged-file"),
        Fault("empty-file", "workbook", ("S11",), "a file of no bytes", "empty-file"),
        Fault("header-only", "workbook", ("S11",), "a template not filled in", "empty-after-data"),
        Fault("password", "workbook", ("S11",), "a locked workbook", "password-protected"),
        Fault("zip-bomb", "workbook", ("S11",), "120 MB inside 120 kB", "archive-bomb"),
        Fault("far-cell", "workbook", ("S11", "X8"), "a cell at XFD1048576", "workbook-too-large"),
        Fault("web-page", "workbook", ("X10",), "a page saved as .xlsx", "header-not-found"),
        Fault("new-template", "workbook", ("S9",), "a compulsory column renamed", "missing-column"),
        Fault(
            "other-province",
            "workbook",
            ("S6",),
            "another province's rows under this one's name",
            "too-many-quarantined",
        ),
        Fault(
            "next-year",
            "workbook",
            ("D24",),
            "a report on weeks that have not begun",
            "too-many-quarantined",
        ),
        Fault("resaved", "workbook", ("S1",), "the same cells in other bytes", "", refuses=False),
        Fault("hidden-row", "workbook", ("X4",), "a row is hidden", "hidden-rows", refuses=False),
        Fault(
            "wrong-total",
            "workbook",
            ("K9", "K10"),
            "the total is not the sum",
            "total-differs",
            refuses=False,
        ),
        Fault(
            "formula",
            "workbook",
            ("X5",),
            "a formula that nobody calculated",
            "formula-without-value",
            refuses=False,
        ),
        Fault(
            "contradiction",
            "workbook",
            ("S3",),
            "one project twice with two figures",
            "conflicting-rows",
            refuses=False,
        ),
    )
}


def why_not(fault: str, agency: str, medium: str) -> str | None:
    """Return why a reporter can't have a fault; None when it can."""
    found = FAULTS[fault]
    if found.medium != medium:
        return f"{fault} is a fault of {'APIs' if found.medium == 'api' else 'workbooks'}"
    shape = shape_of(agency) if medium == "api" else None
    if found.needs == "total" and shape is not None and shape.paging.total_at is None:
        return f"{agency} tells no total"
    if found.needs == "whole" and shape is not None and shape.since is not None:
        return f"{agency} is asked for changes only: they are as few as they are"
    return None


# ---------------------------------------------------------------------- answers
def refusal(fault: str | None) -> Answer | None:
    """Return what an agency says before it looks at any question; None: it looks."""
    answers = {
        "500": Answer(500, '{"error":"خطای داخلی سامانه"}'.encode()),
        "429": Answer(429, b'{"error":"too many requests"}', headers={"Retry-After": "1"}),
        "expired-key": Answer(401, b'{"error":"expired"}', headers={"WWW-Authenticate": "Key"}),
        "login-page": Answer(200, _LOGIN_PAGE.encode(), "text/html; charset=utf-8"),
        "error-body": Answer(200, '{"error":{"code":17,"message":"سرویس در دسترس نیست"}}'.encode()),
    }
    return answers.get(fault or "")


def spoil(answer: Answer, fault: str | None, shape: Shape, number: int) -> Answer:
    """Return the answer as `fault` leaves it; `number` is that of the request."""
    if fault == "bad-json":
        return dataclasses.replace(answer, body=answer.body[: len(answer.body) // 2])
    if fault == "renamed-field":
        leaf = json.dumps(shape.names["period"].split(".")[-1], ensure_ascii=False)
        renamed = f"{leaf[:-1]}_v2{leaf[-1]}"
        body = answer.body.replace(f"{leaf}:".encode(), f"{renamed}:".encode())
        return dataclasses.replace(answer, body=body)
    if fault == "restless" and shape.paging.total_at is not None:
        document = json.loads(answer.body)
        place: Any = document
        *parents, leaf = shape.paging.total_at.removeprefix("/").split("/")
        for parent in parents:
            place = place[parent]
        place[leaf] += number
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return dataclasses.replace(answer, body=body)
    return answer


# ---------------------------------------------------------------------- workbooks
def faulty_file(world: World, dataset: Dataset, fault: str, week: dt.date) -> WorkbookFile:
    """Return the week's report as a file of its own, under a name that tells the fault."""
    newest = {v.row.key: v.row for v in world.versions(dataset.source, week)}
    last = max(row.period_start for row in newest.values())
    rows = [row for row in newest.values() if row.period_start == last and not row.ugly]
    label = world.reference.calendar.week_label(week)
    name = f"{dataset.name}-{label}-{fault}.xlsx"
    return WorkbookFile(name, week, tuple(sorted(rows, key=lambda row: row.project)))


def fault_of(name: str) -> str | None:
    """Return the fault that a file's name tells, None for an ordinary report."""
    stem = name.removesuffix(".xlsx")
    return next((fault for fault in FAULTS if stem.endswith(f"-{fault}")), None)


def spoilt_rows(fault: str, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the rows of a faulty file as a perfect reader takes them."""
    if FAULTS[fault].refuses:
        return ()
    if fault == "formula":
        first, *rest = rows
        values = {**first.values, "actual_pct": None}
        ugly = (Ugly("actual_pct", "=E6*1.01"),)
        return (dataclasses.replace(first, values=values, ugly=ugly), *rest)
    if fault == "contradiction":
        # of two figures for one project neither is taken
        first, _, *rest = rows
        refused = (Ugly("project", "", scope="row"),)
        twice = dataclasses.replace(first, ugly=refused)
        return (twice, twice, *rest)
    return rows


def spoil_file(fault: str, data: bytes, rows: tuple[Row, ...]) -> bytes:
    """Return the bytes of a workbook as `fault` leaves them."""
    plain: Mapping[str, Callable[[], bytes]] = {
        "corrupt-workbook": lambda: data[: len(data) // 2],
        "empty-file": lambda: b"",
        "password": lambda: _LOCKED,
        "web-page": lambda: _WEB_TABLE.encode(),
        "zip-bomb": lambda: _bomb(data),
    }
    if fault in plain:
        return plain[fault]()
    return _edited(data, lambda sheet: _EDITS[fault](sheet, len(rows)))


def _edited(data: bytes, edit: Callable[[Worksheet], None]) -> bytes:
    from openpyxl import load_workbook

    from infra.sandbox.workbook import without_clock

    book = load_workbook(io.BytesIO(data))
    edit(book[book.sheetnames[0]])
    out = io.BytesIO()
    book.save(out)
    return without_clock(out.getvalue())


def _bomb(data: bytes) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for info in source.infolist():
            content = source.read(info.filename)
            if info.filename.startswith("xl/worksheets/"):
                blanks = b"<sheetData>" + b" " * _BOMB_BYTES
                content = content.replace(b"<sheetData>", blanks)
            plain = zipfile.ZipInfo(info.filename, info.date_time)
            plain.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(plain, content)
    return out.getvalue()


def _elsewhere(sheet: Worksheet, count: int) -> None:
    for row in range(_FIRST_ROW, _FIRST_ROW + count):
        cell = sheet.cell(row, _PROVINCE)
        cell.value = "قم" if str(cell.value).strip() == "یزد" else "یزد"


def _postdate(sheet: Worksheet, count: int) -> None:
    for row in range(_FIRST_ROW, _FIRST_ROW + count):
        sheet.cell(row, _DAY).value = "۱۴۱۰/۱۱/۱۰"


def _clear(sheet: Worksheet, count: int) -> None:
    # the total goes as well
    for row in range(_FIRST_ROW, _FIRST_ROW + count + 1):
        for column in range(1, _COST + 3):
            sheet.cell(row, column).value = None


def _rename(sheet: Worksheet, _: int) -> None:
    sheet.cell(_FIRST_ROW - 1, _ACTUAL).value = "سنجه نو"


def _hide(sheet: Worksheet, _: int) -> None:
    sheet.row_dimensions[_FIRST_ROW + 1].hidden = True


def _miscount(sheet: Worksheet, count: int) -> None:
    cell = sheet.cell(_FIRST_ROW + count, _COST)
    cell.value = int(str(cell.value)) + 1_000


def _calculate(sheet: Worksheet, _: int) -> None:
    sheet.cell(_FIRST_ROW, _ACTUAL).value = f"=E{_FIRST_ROW}*1.01"


def _contradict(sheet: Worksheet, _: int) -> None:
    # the second project's row now speaks of the first; its cost stays, and with it the total
    for column in (_PROJECT, _PROVINCE, _DAY, _PLANNED):
        sheet.cell(_FIRST_ROW + 1, column).value = sheet.cell(_FIRST_ROW, column).value
    sheet.cell(_FIRST_ROW + 1, _ACTUAL).value = 1.5


def _reach_far(sheet: Worksheet, _: int) -> None:
    sheet["XFD1048576"] = "x"


def _nothing(sheet: Worksheet, _: int) -> None:
    sheet.sheet_properties.tabColor = "00FF00"


_EDITS: Final[dict[str, Callable[[Worksheet, int], None]]] = {
    "header-only": _clear,
    "far-cell": _reach_far,
    "new-template": _rename,
    "other-province": _elsewhere,
    "next-year": _postdate,
    "resaved": _nothing,
    "hidden-row": _hide,
    "wrong-total": _miscount,
    "formula": _calculate,
    "contradiction": _contradict,
}
