"""Years that titles name, held against a period that the source file gives as a constant (S6).

In: the rows above a table and the constant. Out: `LayoutError` (`period-mismatch`) where a title
labels the file with other years only: last year's file, sent or described as this year's. Only what
can hardly be anything else counts as a label: `2018/19`, `سال ۱۴۰۳`, `FY2018`, a cell with a year
alone. Days of printing and publishing are none.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import polars as pl

from ingestion.errors import LayoutError
from ingestion.layouts.address import address
from ingestion.layouts.cells import text_of
from ingestion.normalise.calendar import to_jalali
from ingestion.normalise.dates import read_periods
from ingestion.normalise.text import DIGITS
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import FieldMap, SourceSpec

_DIGITS: Final = str.maketrans(DIGITS)
_YEAR: Final = r"(1[34]\d\d|19\d\d|20\d\d)"
_END: Final = r"(?![\d/.\-\u2013]*\d)"
_RANGE: Final = re.compile(rf"(?<![\d/.\-]){_YEAR} ?[-/\u2013] ?(\d\d(?:\d\d)?){_END}")
_NAMED: Final = re.compile(
    rf"(?:سال(?: مالی| تحصیلی| زراعی)?|fiscal year|financial year|year|fy) ?:? ?{_YEAR}{_END}",
    re.IGNORECASE,
)
_ALONE: Final = re.compile(rf"^\W*{_YEAR}\W*$")
_ABOUT_PRINTING: Final = re.compile(
    "publish|release|updat|print|issued|revis|base|تاریخ|منتشر|انتشار|چاپ|تهیه|پایه|ویرایش|ثابت",
    re.IGNORECASE,
)
_ANY_DAY: Final = (dt.date(1850, 1, 1), dt.date(2100, 12, 31))


def refuse_other_years(
    rows: Iterable[tuple[int, Sequence[Any]]], period: FieldMap | None, spec: SourceSpec, sheet: str
) -> None:
    """Raise `period-mismatch` when titles among `rows` (number, cells) label another year."""
    declared = _declared(period, spec)
    if declared is None:
        return
    labels: list[tuple[int, str, str]] = []
    for number, row in rows:
        for column, value in enumerate(row):
            text = text_of(value)
            if text is None:
                continue
            for year in labelled_years(text):
                is_same_calendar = (year < 1500) == (declared[0] < 1500) or year in declared
                if is_same_calendar:
                    labels.append((year, text, address(sheet, number, column)))
    if not labels or any(year in declared for year, _, _ in labels):
        return
    _, text, at = labels[0]
    raise LayoutError(
        "period-mismatch",
        f"The title says '{text.strip()[:80]}', the source file says "
        f"'{period.value if period else ''}'.",
        "Correct the period in the source file if this is the right file (`other_years: true` in "
        "the layout if its titles may speak of other years), else ask for the right one.",
        at,
    )


def labelled_years(text: str) -> list[int]:
    """The years by which a text labels a table; of `2018/19` the first."""
    if len(text) > 300 or _ABOUT_PRINTING.search(text):
        return []
    plain = text.translate(_DIGITS)
    found = [int(match) for match in _NAMED.findall(plain)]
    found += [int(match) for match in _ALONE.findall(plain)]
    for first, second in _RANGE.findall(plain):
        last = int(second) if len(second) == 4 else int(first) // 100 * 100 + int(second)
        # other pairs of years are months, or spans that a series covers
        if last % 100 == (int(first) + 1) % 100 and abs(last - int(first)) in (1, 99):
            found.append(int(first))
        elif last > int(first):
            found += range(int(first), min(last, int(first) + 200) + 1)
    return found


def _declared(period: FieldMap | None, spec: SourceSpec) -> tuple[int, ...] | None:
    """The Jalali and Gregorian years of a constant period, its own calendar first."""
    if period is None or period.value in (None, ""):
        return None
    found = read_periods(
        pl.Series([str(period.value)]),
        period_kind=period.period_kind or KINDS[spec.kind].period_kinds[0],
        calendar=period.calendar,
        window=_ANY_DAY,
    )
    start: dt.date | None = found.start[0]
    if start is None:
        return None
    jalali = to_jalali(start)[0]
    if found.kind[0] == "jalali_year":
        return (jalali,)
    if found.kind[0] == "gregorian_year":
        return (start.year,)
    return (jalali, start.year)
