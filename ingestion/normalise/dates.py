"""Dates, instants and reporting periods in the forms that agencies write them.

In: raw text of a column, the type of its cells, the declared calendar. Out: Gregorian dates,
instants in UTC, or period kind and first day; or the reason why a cell stays unread.

Forms (trap D1): 1401/06/31, 1401-6-31, 1401.6.31, 31/06/1401, 14010631, 31 شهریور 1401, ISO 8601
with or without a time, 14 Nov 2026, 14th November 2026; digits of any of the three systems; the
name of a weekday before or behind, which must be that day's own. What is never done: adding a
year that is missing, rolling a day that does not exist to the next one (D8, D9), choosing between
day and month without a declared order (D7), taking a two-digit year without a declared pivot
(D2), converting a bare serial that was not declared as one.

Calendar (D3-D5): the declared one; a year that can only belong to the other is refused. Without a
declaration the year decides, except the 1430s to 1490s, which Jalali and lunar years share. A cell
that the sheet stores as a date is Gregorian whatever it shows, unless its year is a Jalali one:
some programs take 1401/06/30 for a day of AD 1401, so that is read as the Jalali day it meant.

A column holds few distinct dates: each distinct text is read once and joined back. Reading itself
is column-wise too; Jalali days come from a join with the table of months.

Run the tests: `pytest tests/unit/ingestion/test_dates.py`
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from ingestion.normalise.calendar import MONTHS_FA, CalendarError, months_frame, week_of
from ingestion.normalise.rules import Reading, no_reason
from ingestion.normalise.text import DIGITS, INVISIBLE, SPACES, key
from ingestion.spec.kinds import PeriodKind
from ingestion.table import CellType

Calendar = Literal["jalali", "gregorian"]
DateOrder = Literal["ymd", "dmy", "mdy"]
Serials = Literal["1900", "1904"]
RangeYear = Literal["first", "last"]

FACT_WINDOW: Final = (dt.date(2010, 1, 1), dt.date(2040, 12, 31))
PLAN_WINDOW: Final = (dt.date(2010, 1, 1), dt.date(2045, 12, 31))

_CLEAN: Final[dict[str, str]] = {
    **dict.fromkeys(INVISIBLE, ""),
    **dict.fromkeys(SPACES, " "),
    **DIGITS,
    **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014", "-"),
    "⁄": "/",
    "∕": "/",
    "٫": ".",
    "،": " ",
    "ي": "ی",
    "ى": "ی",
    "ك": "ک",
    "أ": "ا",
    "'": "",
}
_JALALI_MONTHS: Final[dict[str, int]] = {
    **{key(name): number for number, name in enumerate(MONTHS_FA, 1)},
    key("امرداد"): 5,
}
_ENGLISH: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_GREGORIAN_FA: Final = (
    ("ژانویه",),
    ("فوریه",),
    ("مارس",),
    ("آوریل", "اپریل"),
    ("مه", "می"),
    ("ژوئن",),
    ("ژوئیه", "جولای"),
    ("اوت", "آگوست"),
    ("سپتامبر",),
    ("اکتبر",),
    ("نوامبر",),
    ("دسامبر",),
)
_GREGORIAN_MONTHS: Final[dict[str, int]] = {
    **{name: number for number, name in enumerate(_ENGLISH, 1)},
    **{name[:3]: number for number, name in enumerate(_ENGLISH, 1)},
    "sept": 9,
    **{key(n): number for number, names in enumerate(_GREGORIAN_FA, 1) for n in names},
}
_MONTHS: Final = pl.DataFrame(
    [(n, m, "jalali") for n, m in _JALALI_MONTHS.items()]
    + [(n, m, "gregorian") for n, m in _GREGORIAN_MONTHS.items()],
    schema={"name": pl.Utf8, "named_month": pl.Int32, "named_calendar": pl.Utf8},
    orient="row",
)

_WEEKDAYS_FA: Final = (
    *(("دوشنبه",), ("سهشنبه",), ("چهارشنبه",), ("پنجشنبه",)),
    *(("جمعه", "آدینه"), ("شنبه",), ("یکشنبه",)),
)
_WEEKDAYS_EN: Final = (
    *(("monday", "mon"), ("tuesday", "tues", "tue"), ("wednesday", "wed")),
    *(("thursday", "thurs", "thur", "thu"), ("friday", "fri"), ("saturday", "sat")),
    ("sunday", "sun"),
)
# Monday = 1, as polars counts
_WEEKDAYS: Final[dict[str, int]] = {
    name: number
    for names in (_WEEKDAYS_FA, _WEEKDAYS_EN)
    for number, same in enumerate(names, 1)
    for name in same
}
_WEEKDAY: Final = (
    r"((?:یک|دو|سه|چهار|پنج)? ?شنبه|جمعه|آدینه|"
    + "|".join(name for names in _WEEKDAYS_EN for name in names)
    + ")"
)
# a whole day, so that «شنبه آبان ۱۴۰۵» does not become a month
_WHOLE_DAY: Final = (
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:\D.*)?|\d{8}(?: .*)?"
    r"|\d{1,2}[^\d:]*[^\W\d][^\d:]*\d{2,4}(?: .*)?"
    r"|[a-z]{3,9}\.? \d{1,2},? \d{4}(?: .*)?)"
)
_SERIAL: Final = r"^\d{5}(\.\d+)?$"
_BASES: Final[dict[Serials, dt.date]] = {
    "1900": dt.date(1899, 12, 30),
    "1904": dt.date(1904, 1, 1),
}

_TIME: Final = (
    r"(?:(?: ?t ?| +)(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?"
    r"(?: ?(?P<half>[ap]m|ق\.ظ\.?|ب\.ظ\.?))?"
    r" ?(?P<zone>z|utc|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?$"
)
_NAME: Final = r"(?P<name>[^\W\d_]+(?: ?[^\W\d_]+)*?)"
_FORMS: Final[dict[str, str]] = {
    "ymd": r"^(?P<y>\d{4})(?P<s1>[-/.])(?P<m>\d{1,2})(?P<s2>[-/.])(?P<d>\d{1,2})" + _TIME,
    "dmy": r"^(?P<d>\d{1,2})(?P<s1>[-/.])(?P<m>\d{1,2})(?P<s2>[-/.])(?P<y>\d{4})" + _TIME,
    "compact": r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})" + _TIME,
    "short": r"^(?P<y>\d{2})(?P<s1>[-/.])(?P<m>\d{1,2})(?P<s2>[-/.])(?P<d>\d{1,2})" + _TIME,
    "dname": r"^(?P<d>\d{1,2})(?: ?(?:ام|م)[ \-.])?(?: of )?[ \-./]*"
    + _NAME
    + r"[ \-.,/]*(?P<y>\d{4})"
    + _TIME,
    "dnameshort": r"^(?P<d>\d{1,2})[ \-./]*" + _NAME + r"[ \-.,/]+(?P<y>\d{2})" + _TIME,
    "named": r"^(?P<name>[a-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})" + _TIME,
}
_ANY_MONTH: Final = "(?:" + "|".join(_MONTHS["name"]) + ")(?: ?ماه)?"
_MISSING_YEAR: Final = (
    rf"^\d{{1,2}}(?: ?(?:ام|م) )? ?{_ANY_MONTH}$|^{_ANY_MONTH} ?\d{{1,2}}$|^\d{{1,2}}[-/]\d{{1,2}}$"
)
_ZERO: Final = (
    r"^0+$|^0?0:00(:00(\.0+)?)?$|^0000[-/]?00[-/]?00|^1900[-/]0?1[-/]0?0\b|^9999[-/.]|^99999999$"
    r"|^1899-12-3[01]|^1900-01-0[01]"
)


@dataclass(frozen=True)
class _Declared:
    """What the source file says of a column of dates."""

    calendar: Calendar | None = None
    pivot: int | None = None
    order: DateOrder | None = None
    serials: Serials | None = None
    range_year: RangeYear | None = None


@dataclass(frozen=True)
class Periods:
    """Reading of a period column; every series has its height.

    kind: Utf8 period kind, null where unread; start: Date, first day of the period; reason, detail:
    as in `Reading`.
    """

    kind: pl.Series
    start: pl.Series
    reason: pl.Series
    detail: pl.Series


def read_dates(
    texts: pl.Series,
    cell_kind: pl.Series | None = None,
    *,
    calendar: Calendar | None = None,
    pivot: int | None = None,
    order: DateOrder | None = None,
    serials: Serials | None = None,
    window: tuple[dt.date, dt.date] = FACT_WINDOW,
) -> Reading:
    """Calendar days as Date; a time of day is dropped after its zone was turned to Tehran's.

    `pivot` makes dates with two-digit years readable: a year up to it belongs to the current
    century (1400s or 2000s), a larger one to the century before. `order` says in which order the
    three numbers stand; without it Jalali years come first, and Gregorian ones only where no other
    order gives a day. `serials` reads bare numbers as days of a workbook with that base. Reasons:
    `not-a-date`, `invalid-date`, `missing-year`, `ambiguous-date`, `ambiguous-calendar`,
    `calendar-mismatch`, `unformatted-serial`, `zero-date`, `outside-window`, `weekday-mismatch`.
    """
    distinct, row = _distinct(texts, cell_kind)
    parsed = _parse_days(distinct, _Declared(calendar, pivot, order, serials))
    local = pl.when(pl.col("zone").is_not_null()).then(
        _utc().dt.convert_time_zone("Asia/Tehran").dt.date()
    )
    parsed = parsed.with_columns(local.otherwise(pl.col("day")).alias("value"))
    parsed = _within(parsed, pl.col("value"), window)
    return _joined_back(parsed, row)


def read_instants(
    texts: pl.Series,
    cell_kind: pl.Series | None = None,
    *,
    calendar: Calendar | None = None,
    pivot: int | None = None,
    order: DateOrder | None = None,
    serials: Serials | None = None,
    window: tuple[dt.date, dt.date] = FACT_WINDOW,
) -> Reading:
    """Points in time as Datetime(us, UTC); text without a zone is Tehran's clock (trap D22).

    A day without a time is its midnight. The hour that the clock skipped or had twice before
    September 2022 is refused (`ambiguous-time`); further reasons as in `read_dates`.
    """
    distinct, row = _distinct(texts, cell_kind)
    parsed = _parse_days(distinct, _Declared(calendar, pivot, order, serials))
    parsed = parsed.with_columns(_utc().alias("value"))
    parsed = parsed.with_columns(
        pl.when(
            pl.col("reason").is_null() & pl.col("day").is_not_null() & pl.col("value").is_null()
        )
        .then(pl.lit("ambiguous-time"))
        .otherwise(pl.col("reason"))
        .alias("reason")
    )
    parsed = _within(parsed, pl.col("value"), window)
    return _joined_back(parsed, row)


def read_periods(
    texts: pl.Series,
    cell_kind: pl.Series | None = None,
    *,
    period_kind: PeriodKind,
    calendar: Calendar | None = None,
    pivot: int | None = None,
    order: DateOrder | None = None,
    serials: Serials | None = None,
    range_year: RangeYear | None = None,
    window: tuple[dt.date, dt.date] = FACT_WINDOW,
) -> Periods:
    """Reporting periods; text may name its own kind: `gregorian_year:2016`, `week:1405-W35`.

    week: `1405-W35`, `هفته ۳۵ سال ۱۴۰۵`, or any day of the week; its Saturday is kept (D12).
    jalali_month: `1405/08`, `140508`, `آبان ۱۴۰۵`, or a day in it; `1405.1` is refused, for sheets
    make it of 1405.10. jalali_year, gregorian_year: four digits; `2015/16` and `2015-2016` are the
    year that `range_year` says. date: a day. Reasons: as in `read_dates`, and `not-a-period`,
    `iso-week`.
    """
    declared = _Declared(calendar, pivot, order, serials, range_year)
    distinct, row = _distinct(texts, cell_kind)
    prefix = r"^(week|jalali_month|jalali_year|gregorian_year|date):(.*)$"
    distinct = distinct.with_columns(
        pl.coalesce(pl.col("clean").str.extract(prefix, 1), pl.lit(period_kind)).alias("kind"),
        pl.coalesce(pl.col("clean").str.extract(prefix, 2), pl.col("clean"))
        .str.strip_chars(" ")
        .alias("clean"),
    )
    parts: list[pl.DataFrame] = []
    for (kind,), part in distinct.group_by("kind", maintain_order=True):
        parts.append(_parse_period(part, str(kind), declared))
    empty = {
        "id": pl.UInt32,
        "kind": pl.Utf8,
        "value": pl.Date,
        "reason": pl.Utf8,
        "detail": pl.Utf8,
    }
    parsed = pl.concat([p.select(*empty) for p in parts]) if parts else pl.DataFrame(schema=empty)
    parsed = _within(parsed, pl.col("value"), window).sort("id")
    kinds = parsed.select(pl.when(pl.col("value").is_not_null()).then("kind").alias("kind"))
    reading = _joined_back(parsed, row)
    detail = reading.detail if reading.detail is not None else no_reason(texts.len())
    return Periods(kinds.to_series().gather(row), reading.value, reading.reason, detail)


def _parse_period(frame: pl.DataFrame, kind: str, declared: _Declared) -> pl.DataFrame:
    """Adds value (Date), reason, detail to distinct texts of one period kind."""
    if kind == "week":
        return _parse_weeks(frame, declared)
    if kind == "jalali_month":
        return _parse_months(frame, declared)
    if kind in ("jalali_year", "gregorian_year"):
        return _parse_years(frame, kind, declared.range_year)
    return _days_only(frame, declared)


def _parse_weeks(frame: pl.DataFrame, declared: _Declared) -> pl.DataFrame:
    clean = pl.col("clean")
    frame = frame.with_columns(
        pl.coalesce(
            clean.str.extract(r"^(\d{4}) ?-? ?w ?\d{1,2}$", 1),
            clean.str.extract(r"^هفته \d{1,2}(?:ام|م)? ?(?:از )?(?:سال )?(\d{4})$", 1),
        )
        .cast(pl.Int32)
        .alias("label_year"),
        pl.coalesce(
            clean.str.extract(r"^\d{4} ?-? ?w ?(\d{1,2})$", 1),
            clean.str.extract(r"^هفته (\d{1,2})(?:ام|م)? ?(?:از )?(?:سال )?\d{4}$", 1),
        )
        .cast(pl.Int32)
        .alias("label_week"),
    )
    labels = frame.filter(pl.col("label_year").is_not_null())
    starts, reasons = [], []
    for year, number in labels.select("label_year", "label_week").iter_rows():
        start, reason = _labelled_week(year, number)
        starts.append(start)
        reasons.append(reason)
    labels = labels.with_columns(
        pl.Series("value", starts, dtype=pl.Date),
        pl.Series("reason", reasons, dtype=pl.Utf8),
        pl.lit(None, pl.Utf8).alias("detail"),
    )
    days = _days_only(frame.filter(pl.col("label_year").is_null()), declared)
    # Monday = 1 ... Saturday = 6; the week opens on Saturday
    saturday = pl.col("value") - pl.duration(days=(pl.col("value").dt.weekday() + 1) % 7)
    days = days.with_columns(saturday.cast(pl.Date).alias("value"))
    columns = ["id", "kind", "value", "reason", "detail"]
    return pl.concat([labels.select(columns), days.select(columns)])


def _labelled_week(year: int, number: int) -> tuple[dt.date | None, str | None]:
    if 1900 <= year <= 2100:
        return None, "iso-week"
    try:
        return week_of(year, number), None
    except CalendarError:
        return None, "invalid-date"


def _parse_months(frame: pl.DataFrame, declared: _Declared) -> pl.DataFrame:
    clean = pl.col("clean")
    year_first = r"^(\d{4}) ?[-/.]? ?(\d{1,2})$"
    month_first = r"^(\d{1,2})[-/.](\d{4})$"
    named = r"^([^\W\d_]+(?: ?[^\W\d_]+)*?)(?: سال)?[ \-]*(\d{4})$"
    compact = r"^(\d{4})(\d{2})$"
    frame = frame.with_columns(
        pl.coalesce(
            clean.str.extract(compact, 1),
            clean.str.extract(year_first, 1),
            clean.str.extract(month_first, 2),
            clean.str.extract(named, 2),
        )
        .cast(pl.Int32)
        .alias("year"),
        pl.coalesce(
            clean.str.extract(compact, 2),
            clean.str.extract(year_first, 2),
            clean.str.extract(month_first, 1),
        )
        .cast(pl.Int32)
        .alias("number"),
        _month_name(clean.str.extract(named, 1)).alias("name"),
    )
    frame = frame.join(_MONTHS, on="name", how="left", maintain_order="left")
    frame = frame.with_columns(
        pl.coalesce("number", "named_month").cast(pl.Int32).alias("month"),
    )
    table = months_frame().select("year", "month", pl.col("first").alias("value"))
    labels = frame.filter(pl.col("year").is_not_null()).join(
        table, on=["year", "month"], how="left", maintain_order="left"
    )
    gregorian = (pl.col("named_calendar") == "gregorian").fill_null(False) | pl.col(
        "year"
    ).is_between(1900, 2100)
    labels = labels.with_columns(
        pl.when(gregorian)
        .then(pl.lit("calendar-mismatch"))
        # 1405.10 typed as a number comes as 1405.1, which 1405.01 never does
        .when(clean.str.contains(r"^\d{4} ?\. ?1$"))
        .then(pl.lit("ambiguous-date"))
        .when(pl.col("month").is_null())
        .then(pl.lit("not-a-period"))
        .when(pl.col("value").is_null())
        .then(pl.lit("invalid-date"))
        .alias("reason"),
        pl.lit(None, pl.Utf8).alias("detail"),
    ).with_columns(pl.when(pl.col("reason").is_null()).then("value").alias("value"))
    days = _days_only(
        frame.filter(pl.col("year").is_null()).select("id", "clean", "weekday", "is_date", "kind"),
        declared,
    )
    opening = months_frame().select(pl.col("first")).sort("first")
    days = (
        days.with_row_index("order")
        .sort("value", nulls_last=True)
        .join_asof(opening, left_on="value", right_on="first")
        .sort("order")
        .with_columns(pl.col("first").alias("value"))
    )
    columns = ["id", "kind", "value", "reason", "detail"]
    return pl.concat([labels.select(columns), days.select(columns)])


def _parse_years(frame: pl.DataFrame, kind: str, range_year: RangeYear | None) -> pl.DataFrame:
    year = (
        pl.col("clean")
        .str.extract(r"^(?:سال ?)?(\d{4})(?:\.0)?(?: ?میلادی| ?شمسی| ?هجری شمسی)?$", 1)
        .cast(pl.Int32)
    )
    if range_year is not None:
        year = pl.coalesce(year, _year_of_range(range_year))
    says_gregorian = pl.col("clean").str.contains("میلادی")
    says_jalali = pl.col("clean").str.contains("شمسی")
    frame = frame.with_columns(year.alias("year"))
    if kind == "gregorian_year":
        fits = pl.col("year").is_between(1900, 2100) & ~says_jalali
        other = pl.col("year").is_between(1300, 1499) | says_jalali
        start = pl.date(pl.col("year"), 1, 1)
        frame = frame.with_columns(pl.when(fits).then(start).alias("value"))
    else:
        fits = pl.col("year").is_between(1300, 1498) & ~says_gregorian
        other = pl.col("year").is_between(1900, 2100) | says_gregorian
        table = months_frame().filter(pl.col("month") == 1).select("year", pl.col("first"))
        frame = frame.join(table, on="year", how="left", maintain_order="left")
        frame = frame.with_columns(pl.when(fits).then("first").alias("value"))
    return frame.with_columns(
        pl.when(pl.col("value").is_not_null())
        .then(None)
        .when(other)
        .then(pl.lit("calendar-mismatch"))
        .otherwise(pl.lit("not-a-period"))
        .alias("reason"),
        pl.lit(None, pl.Utf8).alias("detail"),
    )


def _year_of_range(which: RangeYear) -> pl.Expr:
    """The first or last year of `2015/16`, `1395-1396`, `۹۶-۱۳۹۵`: two years that follow."""
    text = pl.col("clean")
    early, late = r"^(?:سال ?)?(\d{4}) ?[-/] ?(\d{2}|\d{4})$", r"^(?:سال ?)?(\d{2}) ?[-/] ?(\d{4})$"
    one, other = text.str.extract(early, 1), text.str.extract(early, 2)
    # in a line from right to left the century may stand with either of them
    swapped, century = text.str.extract(late, 1), text.str.extract(late, 2)
    first = pl.coalesce(one, century).cast(pl.Int32)
    behind = pl.coalesce(other, swapped).cast(pl.Int32)
    last = pl.when(behind < 100).then((first + 1) // 100 * 100 + behind).otherwise(behind)
    return pl.when(last == first + 1).then(first if which == "first" else last)


def _days_only(frame: pl.DataFrame, declared: _Declared) -> pl.DataFrame:
    """Days as `value`, by the date in Tehran."""
    parsed = _parse_days(frame, declared)
    local = pl.when(pl.col("zone").is_not_null()).then(
        _utc().dt.convert_time_zone("Asia/Tehran").dt.date()
    )
    return parsed.with_columns(local.otherwise(pl.col("day")).alias("value"))


def _distinct(texts: pl.Series, cell_kind: pl.Series | None) -> tuple[pl.DataFrame, pl.Series]:
    """The distinct (text, stored as date) pairs cleaned, and for each row the pair's position.

    Columns: id (UInt32), text, is_date (Boolean), clean (Utf8), weekday (Int8, 1 = Monday, of a
    name beside the day). Null text is a pair of its own.
    """
    is_date = (
        pl.repeat(False, texts.len(), eager=True)
        if cell_kind is None
        else (cell_kind == int(CellType.DATE)).fill_null(False)
    )
    rows = pl.DataFrame({"text": texts, "is_date": is_date})
    distinct = rows.unique(maintain_order=True).with_row_index("id")
    row = rows.join(
        distinct, on=["text", "is_date"], how="left", nulls_equal=True, maintain_order="left"
    )["id"]
    clean = (
        pl.col("text")
        .str.replace_many(list(_CLEAN), list(_CLEAN.values()))
        .str.replace_all(" +", " ")
        .str.strip_chars(" ")
        .str.to_lowercase()
    )
    return _without_weekday(distinct.with_columns(clean.alias("clean"))), row


def _without_weekday(distinct: pl.DataFrame) -> pl.DataFrame:
    """`clean` without the name of a weekday beside a whole day; its number as `weekday`."""
    clean = pl.col("clean")
    before = rf"^{_WEEKDAY}[.,]? ?{_WHOLE_DAY}$"
    behind = rf"^{_WHOLE_DAY}[ (,]+{_WEEKDAY}\)?$"
    name = pl.coalesce(clean.str.extract(before, 1), clean.str.extract(behind, 2))
    day = pl.coalesce(clean.str.extract(before, 2), clean.str.extract(behind, 1))
    number = name.str.replace_all(" ", "").replace_strict(
        _WEEKDAYS, default=None, return_dtype=pl.Int8
    )
    return distinct.with_columns(
        number.alias("weekday"),
        pl.coalesce(day, clean)
        .str.replace(r"(\d)(?:st|nd|rd|th)\b", "$1")
        .str.strip_chars(" ")
        .alias("clean"),
    )


def _parse_days(frame: pl.DataFrame, declared: _Declared) -> pl.DataFrame:
    """Adds day (Date), hour, minute, second, micro, zone, reason, detail to distinct texts."""
    groups = (
        *("y", "m", "d", "s1", "s2", "name"),
        *("hour", "minute", "second", "fraction", "half", "zone"),
    )
    if declared.serials is not None:
        frame = frame.with_columns(_day_of_serial(declared.serials).alias("clean"))
    frame = frame.hstack(_matches(frame["clean"], groups))
    frame = frame.with_columns(
        pl.col("y", "m", "d", "hour", "minute", "second").cast(pl.Int32, strict=False),
        # seconds have at most six decimals here
        pl.col("fraction").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int32).alias("micro"),
        _month_name(pl.col("name")),
    ).join(_MONTHS, on="name", how="left", maintain_order="left")
    frame = _by_the_clock(frame)
    frame = frame.with_columns(pl.coalesce("m", "named_month").cast(pl.Int32).alias("m"))
    if declared.pivot is not None:
        frame = _whole_years(frame, declared, declared.pivot)
    frame = _month_order(frame, declared.order)
    frame = _calendar_of(frame, declared.calendar)
    frame = _days(frame)
    return _why_not(frame)


def _day_of_serial(base: Serials) -> pl.Expr:
    """The text with the day in place of a bare number; before March 1900 nothing is certain."""
    number = pl.col("clean").str.extract(r"^(\d{5})(?:\.0*)?$", 1).cast(pl.Int32)
    day = pl.lit(_BASES[base]) + pl.duration(days=number)
    return pl.coalesce(day.cast(pl.Date).dt.to_string("%Y-%m-%d"), "clean")


def _by_the_clock(frame: pl.DataFrame) -> pl.DataFrame:
    """Hours of a clock of twelve; 13 PM is no hour."""
    half, hour = pl.col("half"), pl.col("hour")
    afternoon = half.str.contains("^(?:pm|ب)")
    whole = pl.when(hour.is_between(1, 12)).then(
        hour % 12 + pl.when(afternoon).then(12).otherwise(0)
    )
    return frame.with_columns(
        pl.when(half.is_null()).then(hour).otherwise(whole.fill_null(99)).cast(pl.Int32)
    )


def _whole_years(frame: pl.DataFrame, declared: _Declared, pivot: int) -> pl.DataFrame:
    """Years of two digits with their century, in the declared order of the three numbers.

    Gregorian ones without an order stay open where another order gives another day.
    """
    short, named = pl.col("form") == "short", pl.col("form") == "dnameshort"
    by_name = pl.when(pl.col("named_calendar") == "gregorian").then(2000).otherwise(1400)
    base = pl.lit(2000 if declared.calendar == "gregorian" else 1400)
    base = pl.when(named).then(by_name).otherwise(base)
    first, second, third = pl.col("y"), pl.col("m"), pl.col("d")
    by_order = {
        None: (first, second, third),
        "ymd": (first, second, third),
        "dmy": (third, second, first),
        "mdy": (third, first, second),
    }
    y, m, d = by_order[declared.order]
    frame = frame.with_columns(
        pl.when(short).then(y).otherwise(first).alias("y"),
        pl.when(short).then(m).otherwise(second).alias("m"),
        pl.when(short).then(d).otherwise(third).alias("d"),
    )
    is_open = pl.lit(False)
    if declared.order is None and declared.calendar == "gregorian":
        is_day_first = (third <= 31) & (first <= 31) & ((second <= 12) | (first <= 12))
        is_open = short & is_day_first & (first != third)
    year = pl.col("y")
    century = base + pl.when(year <= pivot).then(0).otherwise(-100)
    settled = (short & ~is_open) | named
    return frame.with_columns(
        pl.when(settled).then(year + century).otherwise(year).alias("y"),
        pl.when(settled).then(pl.lit("ymd")).otherwise("form").alias("form"),
    )


def _matches(texts: pl.Series, groups: tuple[str, ...]) -> list[pl.Series]:
    """All groups (null where the form has none) and `form`, of the first form that each text fits.

    A form is asked only for what none before it fits: its pattern takes longer to make than most
    columns take to read.
    """
    names = [*groups, "form"]
    empty = pl.DataFrame(schema=dict.fromkeys(names, pl.Utf8)).with_columns(
        pl.Series("at", [], dtype=pl.UInt32)
    )
    found = [empty]
    at = pl.int_range(texts.len(), dtype=pl.UInt32, eager=True).rename("at")
    for form, pattern in _FORMS.items():
        rest = texts.gather(at)
        if rest.null_count() == rest.len():
            break
        match = rest.str.extract_groups(pattern).struct.unnest()
        missing = [pl.lit(None, pl.Utf8).alias(g) for g in groups if g not in match.columns]
        fits = match["d"].is_not_null()
        hits = match.with_columns(*missing, pl.lit(form).alias("form"), at).filter(fits)
        found.append(hits.select(*names, "at"))
        at = at.filter(~fits)
    found.append(empty.select(names).clear(at.len()).with_columns(at))
    return pl.concat(found).sort("at").drop("at").get_columns()


def _month_name(name: pl.Expr) -> pl.Expr:
    """The name without spaces and without the word for "month" behind it."""
    return name.str.replace_all(" ", "").str.replace(r"^(.+)ماه$", "$1")


def _month_order(frame: pl.DataFrame, order: DateOrder | None) -> pl.DataFrame:
    """Day-first Gregorian dates may be month-first; Jalali ones are never (trap D7).

    Adds `is_unsure`: both readings are days, and differ. A second number above 12 tells the
    month-first form apart, and is swapped. A declared order settles both.
    """
    gregorian = pl.col("y").is_between(1900, 2100) & (pl.col("form") == "dmy")
    unsure = gregorian & (pl.col("d") <= 12) & (pl.col("m") <= 12) & (pl.col("d") != pl.col("m"))
    swapped = gregorian & (pl.col("m") > 12)
    if order is not None:
        unsure, swapped = pl.lit(False), gregorian & pl.lit(order == "mdy")
    return frame.with_columns(
        unsure.fill_null(False).alias("is_unsure"),
        pl.when(swapped).then("d").otherwise("m").alias("m"),
        pl.when(swapped).then("m").otherwise("d").alias("d"),
    )


def _calendar_of(frame: pl.DataFrame, calendar: Calendar | None) -> pl.DataFrame:
    """Adds `in_calendar`, null where undecided or contradicted, and `calendar_fault`."""
    year = pl.col("y")
    gregorian, jalali = year.is_between(1900, 2100), year.is_between(1206, 1498)
    named = pl.col("named_calendar")
    by_name = pl.when((named == "jalali") & jalali | (named == "gregorian") & gregorian).then(named)
    by_year: pl.Expr
    if calendar == "jalali":
        by_year = pl.when(jalali).then(pl.lit("jalali"))
    elif calendar == "gregorian":
        by_year = pl.when(gregorian).then(pl.lit("gregorian"))
    else:
        by_year = (
            pl.when(gregorian)
            .then(pl.lit("gregorian"))
            .when(year.is_between(1300, 1430))
            .then(pl.lit("jalali"))
        )
    # what the sheet stores as a date is Gregorian, or a Jalali year in a Gregorian type (D4)
    stored = (
        pl.when(gregorian)
        .then(pl.lit("gregorian"))
        .when(jalali & pl.lit(calendar != "gregorian"))
        .then(pl.lit("jalali"))
    )
    chosen = (
        pl.when(pl.col("is_date"))
        .then(stored)
        .when(named.is_null())
        .then(by_year)
        .otherwise(by_name)
    )
    frame = frame.with_columns(chosen.alias("in_calendar"))
    contradicted = (
        pl.lit(False)
        if calendar is None
        else (named.is_not_null() & (pl.col("in_calendar") != calendar))
    )
    shared = year.is_between(1431, 1498)
    fault = (
        pl.when(year.is_null())
        .then(None)
        .when(contradicted.fill_null(False))
        .then(pl.lit("calendar-mismatch"))
        .when(pl.col("in_calendar").is_not_null())
        .then(None)
        .when((pl.lit(calendar is None)) & shared & named.is_null())
        .then(pl.lit("ambiguous-calendar"))
        .when(gregorian | jalali)
        .then(pl.lit("calendar-mismatch"))
        .otherwise(pl.lit("outside-window"))
    )
    return frame.with_columns(fault.alias("calendar_fault"))


def _days(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `day` (Date), null where the calendar has no such day."""
    table = months_frame().rename({"year": "y", "month": "m"})
    frame = frame.join(table, on=["y", "m"], how="left", maintain_order="left")
    d = pl.col("d")
    jalali = pl.when(d.is_between(1, pl.col("length"))).then(
        pl.col("first") + pl.duration(days=d - 1)
    )
    iso = pl.format(
        "{}-{}-{}",
        pl.col("y").cast(pl.Utf8).str.zfill(4),
        pl.col("m").cast(pl.Utf8).str.zfill(2),
        pl.col("d").cast(pl.Utf8).str.zfill(2),
    )
    return frame.with_columns(
        pl.when(pl.col("in_calendar") == "jalali")
        .then(jalali)
        .when(pl.col("in_calendar") == "gregorian")
        .then(iso.str.to_date("%Y-%m-%d", strict=False))
        .cast(pl.Date)
        .alias("day")
    )


def _why_not(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `reason` and `detail`; `day` is null wherever a reason is given."""
    clean, form = pl.col("clean"), pl.col("form")
    mixed_marks = (pl.col("s1") != pl.col("s2")).fill_null(False)
    bad_time = (
        (pl.col("hour") > 23) | (pl.col("minute") > 59) | (pl.col("second") > 59)
    ).fill_null(False)
    unknown_month = pl.col("name").is_not_null() & pl.col("named_month").is_null()
    reason = (
        pl.when(clean.is_null() | (clean == ""))
        .then(None)
        .when(clean.str.contains(_ZERO))
        .then(pl.lit("zero-date"))
        .when(form.is_null() & clean.str.contains(_MISSING_YEAR))
        .then(pl.lit("missing-year"))
        .when(form.is_null() & clean.str.contains(_SERIAL))
        .then(pl.lit("unformatted-serial"))
        .when(form.is_null() | mixed_marks | unknown_month)
        .then(pl.lit("not-a-date"))
        .when(form.is_in(["short", "dnameshort"]))
        .then(pl.lit("ambiguous-date"))
        .when(pl.col("calendar_fault").is_not_null())
        .then(pl.col("calendar_fault"))
        .when(pl.col("is_unsure"))
        .then(pl.lit("ambiguous-date"))
        .when(pl.col("day").is_null() | bad_time)
        .then(pl.lit("invalid-date"))
        .when(pl.col("weekday") != pl.col("day").dt.weekday())
        .then(pl.lit("weekday-mismatch"))
    )
    frame = frame.with_columns(reason.alias("reason"))
    return frame.with_columns(
        pl.when(pl.col("reason").is_null()).then("day").alias("day"),
        pl.lit(None, pl.Utf8).alias("detail"),
    )


def _utc() -> pl.Expr:
    """The instant of day, time and zone (Tehran's clock where none is given)."""
    local = pl.col("day").cast(pl.Datetime("us")) + pl.duration(
        hours=pl.col("hour").fill_null(0),
        minutes=pl.col("minute").fill_null(0),
        seconds=pl.col("second").fill_null(0),
        microseconds=pl.col("micro").fill_null(0),
    )
    zone = pl.col("zone")
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    offset = sign * (
        zone.str.extract(r"^[+-](\d{2})", 1).cast(pl.Int32) * 60
        + zone.str.extract(r"^[+-]\d{2}:?(\d{2})$", 1).cast(pl.Int32).fill_null(0)
    )
    utc = (local - pl.duration(minutes=offset.fill_null(0))).dt.replace_time_zone("UTC")
    tehran = local.dt.replace_time_zone(
        "Asia/Tehran", ambiguous="null", non_existent="null"
    ).dt.convert_time_zone("UTC")
    # until 2022 summer time began at midnight: the first hour of that day did not exist
    first_hour = (
        (local + pl.duration(hours=1))
        .dt.replace_time_zone("Asia/Tehran", ambiguous="null", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    day_only = pl.col("hour").is_null()
    return (
        pl.when(zone.is_not_null())
        .then(utc)
        .when(day_only & tehran.is_null())
        .then(first_hour)
        .otherwise(tehran)
    )


def _within(frame: pl.DataFrame, value: pl.Expr, window: tuple[dt.date, dt.date]) -> pl.DataFrame:
    """Values outside the window of sane dates become null with `outside-window` (trap D4)."""
    outside = ~value.cast(pl.Date).is_between(*window)
    frame = frame.with_columns(outside.fill_null(False).alias("is_outside"))
    return frame.with_columns(
        pl.when(~pl.col("is_outside") & pl.col("reason").is_null()).then(value).alias("value"),
        pl.when(pl.col("is_outside") & pl.col("reason").is_null())
        .then(pl.lit("outside-window"))
        .otherwise("reason")
        .alias("reason"),
        pl.when(pl.col("is_outside"))
        .then(pl.format("read as {}", value.cast(pl.Date).cast(pl.Utf8)))
        .otherwise("detail")
        .alias("detail"),
    )


def _joined_back(parsed: pl.DataFrame, row: pl.Series) -> Reading:
    return Reading(
        parsed["value"].gather(row), parsed["reason"].gather(row), parsed["detail"].gather(row)
    )
