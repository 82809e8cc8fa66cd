"""One mapped column -> one typed column, with the reason for every cell that stays unread.

In: a `Column` of raw text, the field of the kind and how the source file says to read it. Out:
`FieldReading`. Numbers, percentages and money are Decimal(38, scale), rounded half away from zero
once, here (trap N17); a loader takes them through Arrow decimals or as text without loss.

The order of questions is the same for every type: nothing there? a spreadsheet error? a word for
"no value"? and only then: which value?
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from ingestion.normalise import dates, numbers, percent, units, words
from ingestion.normalise.codelists import AMAR, CodeLists
from ingestion.normalise.rules import Reading, no_reason, rule
from ingestion.normalise.text import DIGITS, INVISIBLE, SPACES, display_series, key
from ingestion.spec.kinds import FieldType, KindField, PeriodKind
from ingestion.spec.model import FieldMap
from ingestion.table import CellType, Column, Places

RULE_OF_TYPE: Final[dict[FieldType, str]] = {
    "code": "code",
    "text": "text",
    "number": "number",
    "pct": "percent",
    "rial": "rial",
    "integer": "integer",
    "boolean": "boolean",
    "date": "date",
    "instant": "instant",
    "period": "period",
    "json": "json",
}
# a point before exactly three digits, at most three before it
_OPEN_POINT: Final = r"^\D*[1-9۱-۹١-٩]\d{0,2}\.\d{3}\D*$"
# digits before the decimal point that the columns of raw hold, by type and scale
_PCT_DIGITS: Final = 5
_RIAL_DIGITS: Final = 22
_WIDE_DIGITS: Final = {10: 18, 4: 5, 0: 24}
_MAX_INTEGER: Final = 2**31 - 1
_PERCENT_UNITS: Final = frozenset({"%", "٪", "percent", "pct", key("درصد")})
_NUMBERS: Final = frozenset({"number", "pct", "rial", "integer"})
# A column is read by its distinct cells if it is at least so long, and each stands in as many rows
_MANY_ROWS: Final = 2_000
_FEW: Final = 8
# so many pairs of a cell and a day are counted at most
_MANY_PAIRS: Final = 400_000
# dates that lie ahead by nature
_PLANS: Final = frozenset({"forecast_finish", "extended_to", "due_at", "due_period"})


@dataclass(frozen=True)
class FieldReading:
    """A typed column; every series has the table's height.

    value: null where blank or refused; reason: Utf8 code where refused; detail: Utf8 or None; rule:
    name and version of the rule that read it; period_kind: Utf8, for periods only; mixed: Boolean,
    cells that mix digit systems, or None; by_column: the column's cells decide together how each of
    them is read.
    """

    value: pl.Series
    reason: pl.Series
    detail: pl.Series | None
    rule: str
    period_kind: pl.Series | None = None
    mixed: pl.Series | None = None
    by_column: bool = False
    # where the column was read by its distinct cells
    of_distinct: Distinct | None = None
    # rows of a column of numbers that hold no plain number, where they were told apart
    odd: pl.Series | None = None


@dataclass(frozen=True)
class Distinct:
    """The distinct cells of a column: their texts, what was read of them, and for each row of the
    column the position of its cell (UInt32)."""

    texts: pl.Series
    value: pl.Series
    period_kind: pl.Series | None
    row: pl.Series

    def each(self, of_value: Callable[[pl.Series], pl.Series]) -> pl.Series:
        """For each row what `of_value` makes of its value; asked for the distinct ones only."""
        return of_value(self.value).gather(self.row)


@dataclass(frozen=True)
class ReadContext:
    """What reading needs beside the column: the day each row describes, and the code lists."""

    day: pl.Series | None
    code_lists: CodeLists
    default_period: PeriodKind
    is_plan: bool
    # the first day that a fact may describe; None = the usual one
    earliest: dt.date | None = None


@dataclass(frozen=True)
class _Ask:
    """One column to read: what it holds, what it should be, and how the source file says."""

    field: KindField
    column: Column
    setting: FieldMap
    context: ReadContext
    # for numbers: reasons of words for "no value", which stand no longer in the column; and which
    # of its texts are plain numbers
    absent: pl.Series | None = None
    is_plain: pl.Series | None = None


def dtype_of(field: KindField) -> pl.DataType:
    """The polars type in which a field's values leave the contracts."""
    if field.type in ("pct", "rial", "number"):
        return pl.Decimal(38, field.scale or 0)
    if field.type == "integer":
        return pl.Int32()
    if field.type == "boolean":
        return pl.Boolean()
    if field.type in ("date", "period"):
        return pl.Date()
    if field.type == "instant":
        return pl.Datetime("us", "UTC")
    return pl.Utf8()


def read_field(
    field: KindField, column: Column, setting: FieldMap, context: ReadContext
) -> FieldReading:
    """Read a whole column; a `code` field needs `context.day` (the period's first day).

    Where its cells repeat, each distinct one is read once: no rule looks at where a cell stands.
    """
    return _without_open_points(
        field, column, setting, _read_column(field, column, setting, context)
    )


def _without_open_points(
    field: KindField, column: Column, setting: FieldMap, reading: FieldReading
) -> FieldReading:
    """`2.830` is 2,830 in half of the world: where every point in a column of texts stands before
    three digits, and nothing else tells what it means, these cells are refused (trap N3).

    Numbers that a file or an answer stores as such have a point of their own and stay.
    """
    if field.type not in ("number", "rial", "integer") or setting.decimal_mark is not None:
        return reading
    texts = column.text
    dotted = texts.str.contains(".", literal=True).fill_null(False)
    if column.kind is not None:
        dotted = dotted & (column.kind != int(CellType.NUMBER)).fill_null(True)
    dotted = dotted & reading.value.is_not_null()
    if not dotted.any() or _is_of_document(column):
        return reading
    is_open = dotted & texts.str.contains(_OPEN_POINT).fill_null(False)
    groups = texts.str.contains(r"\d[,،٬]\d{3}").fill_null(False) & reading.value.is_not_null()
    if not is_open.any() or (dotted & ~is_open).any() or groups.any():
        return reading
    return replace(
        reading,
        value=_without(reading.value, is_open),
        reason=_when(is_open, "ambiguous-number", reading.reason),
        by_column=True,
        of_distinct=None,
    )


def _is_of_document(column: Column) -> bool:
    """Whether the cells are those of an answer, which has numbers beside its texts."""
    if column.places is not None:
        return column.places.place.startswith("/")
    return "#/" in str(column.at[0])


def _read_column(
    field: KindField, column: Column, setting: FieldMap, context: ReadContext
) -> FieldReading:
    found = _distinct(field, column, context)
    if found is None:
        return _read_cells(field, column, setting, context)
    cells, days, row = found
    read = _read_cells(field, cells, setting, replace(context, day=days))

    def spread(series: pl.Series | None) -> pl.Series | None:
        return None if series is None else series.gather(row)

    has_reason = read.reason.null_count() < read.reason.len()
    return FieldReading(
        value=read.value.gather(row),
        reason=read.reason.gather(row) if has_reason else no_reason(row.len()),
        detail=spread(read.detail) if has_reason else None,
        rule=read.rule,
        period_kind=spread(read.period_kind),
        mixed=spread(read.mixed),
        by_column=read.by_column,
        of_distinct=Distinct(cells.text, read.value, read.period_kind, row),
    )


def _distinct(
    field: KindField, column: Column, context: ReadContext
) -> tuple[Column, pl.Series | None, pl.Series] | None:
    """The distinct cells of a column, the day of each where the field needs one, and for each row
    the position of its cell; None where that would not pay."""
    height = column.text.len()
    if height < _MANY_ROWS or column.text.n_unique() * _FEW > height:
        return None
    kind, shown = _common(column.kind), _common(column.number_format)
    if kind is _DIFFERS or shown is _DIFFERS:
        return None
    texts = column.text.drop_nulls().unique(maintain_order=True)
    row = column.text.cast(pl.Enum(texts)).to_physical().cast(pl.UInt32)
    if column.text.null_count():
        row = row.fill_null(texts.len())
        texts = texts.extend(pl.Series([None], dtype=pl.Utf8))
    days: pl.Series | None = None
    if field.code_list is not None and context.day is not None:
        first = context.day.to_physical() - context.day.to_physical().min()
        span = int(first.max()) + 1  # type: ignore[arg-type]
        if span * texts.len() > _MANY_PAIRS:
            return None
        pair = row * span + first.cast(pl.UInt32)
        pairs = pair.unique()
        place = pl.zeros(span * texts.len(), dtype=pl.UInt32, eager=True)
        place = place.scatter(pairs, pl.int_range(pairs.len(), dtype=pl.UInt32, eager=True))
        row = place.gather(pair)
        texts = texts.gather(pairs // span)
        days = (pairs % span).cast(pl.Int32) + context.day.to_physical().min()
        days = days.cast(pl.Date)
        if pairs.len() * _FEW > height:
            return None

    def each(value: object, dtype: type[pl.DataType]) -> pl.Series | None:
        if value is None:
            return None
        return pl.Series([value], dtype=dtype).new_from_index(0, texts.len())

    cells = Column(
        texts, Places(texts, "="), each(kind, pl.UInt8), each(shown, pl.Utf8), column.header
    )
    return cells, days, row


_DIFFERS: Final = object()


def _common(series: pl.Series | None) -> object:
    """The one value of a series, None without a series, `_DIFFERS` where it has several."""
    if series is None:
        return None
    if series.n_unique() > 1:
        return _DIFFERS
    return series[0]


def _read_cells(
    field: KindField, column: Column, setting: FieldMap, context: ReadContext
) -> FieldReading:
    if field.type in _NUMBERS and not setting.blank_words and not _has_faults(column.kind):
        return _read_figures(field, column, setting, context)
    blank = words.blanks(column.text, setting.blank_words)
    texts = _without(column.text, blank)
    fault = words.cell_faults(texts, column.kind)
    texts = _without(texts, fault.is_not_null())
    reading = _READERS[field.type](_Ask(field, column.with_text(texts), setting, context))
    is_fault = fault.is_not_null()
    if not is_fault.any():
        return reading
    return replace(reading, reason=_either(fault, reading.reason))


def _has_faults(kind: pl.Series | None) -> bool:
    return kind is not None and bool(
        kind.is_in([int(CellType.ERROR), int(CellType.NO_VALUE)]).any()
    )


def _read_figures(
    field: KindField, column: Column, setting: FieldMap, context: ReadContext
) -> FieldReading:
    """A column of numbers: what is no plain number is asked for blanks, errors and words."""
    is_plain = numbers.plain_texts(column.text)
    odd = (~is_plain).fill_null(False).arg_true()
    if odd.len() == 0:
        nothing = no_reason(column.text.len())
        ask = _Ask(field, column, setting, context, nothing, is_plain)
        return replace(_READERS[field.type](ask), odd=odd)
    texts = column.text.gather(odd)
    texts = _without(texts, words.blanks(texts))
    fault = words.cell_faults(texts, None)
    texts = _without(texts, fault.is_not_null())
    absent = words.absences(texts)
    texts = _without(texts, absent.is_not_null())
    reason = _either(fault, absent)
    if texts.null_count():
        is_plain = is_plain.scatter(odd.filter(texts.is_null()), None)
        column = column.with_text(column.text.clone().scatter(odd, texts))
    if reason.null_count() == reason.len():
        reason = no_reason(column.text.len())
    else:
        reason = no_reason(column.text.len()).scatter(odd, reason)
    ask = _Ask(field, column, setting, context, reason, is_plain)
    return replace(_READERS[field.type](ask), odd=odd)


def _read_text(ask: _Ask) -> FieldReading:
    # Postgres has no character for NUL
    shown = display_series(ask.column.text).str.replace_all("\x00", "", literal=True)
    return FieldReading(shown, no_reason(shown.len()), None, rule("text"))


def _read_code(ask: _Ask) -> FieldReading:
    if ask.field.code_list is None:
        return _read_identifier(ask.column)
    by_number = ask.setting.code_list == AMAR
    name = (
        ask.field.code_list if by_number or ask.setting.code_list is None else ask.setting.code_list
    )
    codes = ask.context.code_lists.get(name)
    day = ask.context.day if ask.context.day is not None else _no_day(ask.column.text.len())
    texts, own = _whole_numbers(ask.column), _own_codes(ask)
    if own is not None:
        texts = _without(texts, own.is_not_null())
    found = codes.match(texts, day, numbers=by_number)
    value = found.value if own is None else _either(own, found.value)
    absent = words.absences(ask.column.text)
    unknown = (found.reason == f"unknown-{name}").fill_null(False)
    reason = _when(unknown & absent.is_not_null(), absent, found.reason)
    return FieldReading(value, reason, found.detail, rule("code"))


def _own_codes(ask: _Ask) -> pl.Series | None:
    """Codes of the field's own form, null where a text has another; None where none count."""
    if ask.field.own_codes is None:
        return None
    value = _read_identifier(ask.column).value
    is_own = value.str.contains(f"^(?:{ask.field.own_codes})$").fill_null(False)
    return _without(value, ~is_own) if is_own.any() else None


def _read_identifier(column: Column) -> FieldReading:
    """Free identifiers: text with Latin digits; numbers that lost digits are refused (N9)."""
    drop = list(INVISIBLE)
    texts = _whole_numbers(column)
    value = texts.str.replace_many(drop + list(DIGITS), [""] * len(drop) + list(DIGITS.values()))
    value = value.str.strip_chars(SPACES).str.replace_all("\x00", "", literal=True)
    lost = value.str.contains(r"^[0-9]+(\.[0-9]+)?[eE]\+?[0-9]+$")
    if column.kind is not None:
        # a spreadsheet keeps 15 digits of a number and writes zeros for the rest
        stored = column.kind == int(CellType.NUMBER)
        lost = lost | (stored & value.str.contains("^-?[0-9]{16,}$"))
    lost = lost.fill_null(False)
    absent = words.absences(column.text)
    reason = _when(lost, "rounded-identifier", absent)
    return FieldReading(_without(value, reason.is_not_null()), reason, None, rule("identifier"))


def _read_boolean(ask: _Ask) -> FieldReading:
    found = words.booleans(ask.column.text, ask.setting.true_words, ask.setting.false_words)
    absent = words.absences(ask.column.text)
    reason = _when(found.reason.is_not_null() & absent.is_not_null(), absent, found.reason)
    return FieldReading(found.value, reason, None, rule("boolean"))


def _read_number(ask: _Ask) -> FieldReading:
    is_share = (
        ask.setting.percent_scale is not None or key(ask.setting.unit or "") in _PERCENT_UNITS
    )
    if is_share:
        return _read_share(ask, ask.setting.percent_scale or "percent")
    absent, texts = _absences_aside(ask)
    if ask.setting.unit is not None:
        texts = units.without_unit(texts, ask.setting.unit)
    cleaned = numbers.clean(
        texts,
        is_number=_is_number(ask.column),
        decimal_mark=ask.setting.decimal_mark,
        is_plain=ask.is_plain,
    )
    reason = _either(absent, cleaned.reason)
    if ask.column.number_format is not None:
        shown = percent.shown_as_percent(ask.column.number_format, _is_number(ask.column))
        reason = _when(
            shown & cleaned.plain.is_not_null() & reason.is_null(),
            "unexpected-percent-sign",
            reason,
        )
    return _decimal(ask, cleaned, 0, reason, rule("number"))


def _read_pct(ask: _Ask) -> FieldReading:
    return _read_share(ask, ask.setting.percent_scale)


def _read_share(ask: _Ask, scale: percent.Scale | None) -> FieldReading:
    absent, texts = _absences_aside(ask)
    is_number = _is_number(ask.column)
    cleaned = numbers.clean(
        texts,
        is_number=is_number,
        decimal_mark=ask.setting.decimal_mark,
        is_plain=ask.is_plain,
        slash_is_point=True,
        allow_percent=True,
    )
    settled = percent.settle(
        cleaned.plain, cleaned.has_percent, ask.column.number_format, is_number, scale
    )
    reason = _either(_either(absent, cleaned.reason), settled.reason)
    reading = _decimal(ask, cleaned, settled.shift, reason, rule("percent"))
    is_refused = settled.reason.null_count() < settled.reason.len()
    return replace(reading, by_column=reading.by_column or is_refused)


def _read_rial(ask: _Ask) -> FieldReading:
    absent, texts = _absences_aside(ask)
    cleaned = numbers.clean(
        texts,
        is_number=_is_number(ask.column),
        decimal_mark=ask.setting.decimal_mark,
        is_plain=ask.is_plain,
        allow_unit=True,
    )
    reason = _either(absent, cleaned.reason)
    declared = None if ask.setting.unit is None else units.rial_power(ask.setting.unit)
    if declared is not None and cleaned.unit.null_count() == cleaned.unit.len():
        return _decimal(ask, cleaned, declared, reason, rule("rial"))
    said = cleaned.unit.drop_nulls().unique()
    powers = pl.Series("p", [units.rial_power(text) for text in said.to_list()], dtype=pl.Int32)
    own = cleaned.unit.replace_strict(said, powers, default=None, return_dtype=pl.Int32)
    has_own = cleaned.unit.is_not_null()
    unread = cleaned.plain.is_null()
    shift = pl.select(pl.coalesce(own, pl.lit(declared, pl.Int32)).alias("s")).to_series()
    if declared is None:
        fault = _when(has_own & own.is_null(), "not-a-number", no_reason(texts.len()))
        fault = _when(~has_own, "unit-not-declared", fault)
    else:
        fault = _when(has_own & own.is_null(), "not-a-number", no_reason(texts.len()))
        fault = _when((own != declared).fill_null(False), "unit-mismatch", fault)
    fault = _without(fault, unread)
    return _decimal(ask, cleaned, shift, _either(reason, fault), rule("rial"))


def _read_integer(ask: _Ask) -> FieldReading:
    absent, texts = _absences_aside(ask)
    cleaned = numbers.clean(
        texts,
        is_number=_is_number(ask.column),
        decimal_mark=ask.setting.decimal_mark,
        is_plain=ask.is_plain,
    )
    whole = cleaned.plain.str.replace(r"\.0+$", "")
    is_whole = whole.str.contains(r"^-?[0-9]+$")
    value = whole.cast(pl.Int64, strict=False)
    too_large = is_whole & (value.is_null() | (value.abs() > _MAX_INTEGER)).fill_null(True)
    reason = _either(absent, cleaned.reason)
    reason = _when(too_large.fill_null(False) & reason.is_null(), "number-too-large", reason)
    reason = _when((~is_whole).fill_null(False) & reason.is_null(), "not-an-integer", reason)
    value = _without(value, reason.is_not_null())
    low, high = _limits(ask)
    reason, value = _in_domain(value, reason, low, high)
    return FieldReading(
        value.cast(pl.Int32),
        reason,
        None,
        rule("integer"),
        mixed=cleaned.mixed,
        by_column=cleaned.by_column,
    )


def _read_date(ask: _Ask) -> FieldReading:
    return _read_day(dates.read_dates, ask)


def _read_instant(ask: _Ask) -> FieldReading:
    return _read_day(dates.read_instants, ask)


def _read_day(read: Callable[..., Reading], ask: _Ask) -> FieldReading:
    absent, texts = _absences_aside(ask)
    found = read(
        texts,
        ask.column.kind,
        calendar=ask.setting.calendar,
        pivot=ask.setting.two_digit_year_pivot,
        order=ask.setting.date_order,
        serials=ask.setting.date_serials,
        window=_window(ask),
    )
    reason = _either(absent, found.reason)
    return FieldReading(found.value, reason, found.detail, rule(RULE_OF_TYPE[ask.field.type]))


def _read_period(ask: _Ask) -> FieldReading:
    absent, texts = _absences_aside(ask)
    found = dates.read_periods(
        texts,
        ask.column.kind,
        period_kind=ask.setting.period_kind or ask.context.default_period,
        calendar=ask.setting.calendar,
        pivot=ask.setting.two_digit_year_pivot,
        order=ask.setting.date_order,
        serials=ask.setting.date_serials,
        range_year=ask.setting.year_of_range,
        window=_window(ask),
    )
    reason = _either(absent, found.reason)
    return FieldReading(found.start, reason, found.detail, rule("period"), found.kind)


def _read_json(ask: _Ask) -> FieldReading:
    distinct = ask.column.text.drop_nulls().unique()
    is_json = pl.Series("j", [_is_json(text) for text in distinct.to_list()], dtype=pl.Boolean)
    valid = ask.column.text.replace_strict(distinct, is_json, default=None, return_dtype=pl.Boolean)
    reason = _when((~valid).fill_null(False), "not-json", no_reason(valid.len()))
    return FieldReading(_without(ask.column.text, reason.is_not_null()), reason, None, rule("json"))


_Reader = Callable[[_Ask], FieldReading]
_READERS: Final[dict[FieldType, _Reader]] = {
    "code": _read_code,
    "text": _read_text,
    "number": _read_number,
    "pct": _read_pct,
    "rial": _read_rial,
    "integer": _read_integer,
    "boolean": _read_boolean,
    "date": _read_date,
    "instant": _read_instant,
    "period": _read_period,
    "json": _read_json,
}


def _decimal(
    ask: _Ask,
    cleaned: numbers.Cleaned,
    shift: int | pl.Series,
    reason: pl.Series,
    rule_name: str,
) -> FieldReading:
    """The last step of every decimal: scale, room and domain."""
    field, scale = ask.field, ask.field.scale or 0
    if field.type == "number" and scale == 0:
        # half a transaction is no rounding but another unit, or another column
        broken = cleaned.plain.str.contains(r"\.0*[1-9]").fill_null(False) & reason.is_null()
        reason = _when(broken, "not-an-integer", reason)
    plain = _without(cleaned.plain, reason.is_not_null())
    value = numbers.to_decimal(plain, scale, shift)
    digits = _PCT_DIGITS if field.type == "pct" else _RIAL_DIGITS
    if field.type == "number":
        digits = _WIDE_DIGITS[scale]
    # floats suffice here: the limit is a power of ten, and a value next to it is no figure
    too_large = plain.is_not_null() & (
        value.is_null() | (value.cast(pl.Float64).abs() >= 10**digits)
    ).fill_null(True)
    reason = _when(too_large, "number-too-large", reason)
    value = _without(value, too_large)
    low, high = _limits(ask)
    reason, value = _in_domain(value, reason, low, high)
    return FieldReading(
        value, reason, None, rule_name, mixed=cleaned.mixed, by_column=cleaned.by_column
    )


def _limits(ask: _Ask) -> tuple[float | None, float | None]:
    field, setting = ask.field, ask.setting
    return (
        field.minimum if setting.minimum is None else setting.minimum,
        field.maximum if setting.maximum is None else setting.maximum,
    )


def _in_domain(
    value: pl.Series, reason: pl.Series, low: float | None, high: float | None
) -> tuple[pl.Series, pl.Series]:
    """Values beyond the domain become null with `out-of-range` (traps N6, N7)."""
    if low is None and high is None:
        return reason, value
    size = value.cast(pl.Float64)
    outside = pl.repeat(False, value.len(), eager=True)
    if low is not None:
        outside = outside | (size < low).fill_null(False)
    if high is not None:
        outside = outside | (size > high).fill_null(False)
    if not outside.any():
        return reason, value
    return _when(outside, "out-of-range", reason), _without(value, outside)


def _absences_aside(ask: _Ask) -> tuple[pl.Series, pl.Series]:
    """(codes of words for "no value", the texts without them)."""
    texts = ask.column.text
    if ask.absent is not None:
        return ask.absent, texts
    absent = words.absences(texts)
    return absent, _without(texts, absent.is_not_null())


def _window(ask: _Ask) -> tuple[dt.date, dt.date]:
    lies_ahead = ask.context.is_plan or ask.field.name in _PLANS
    first, last = dates.PLAN_WINDOW if lies_ahead else dates.FACT_WINDOW
    return ask.context.earliest or first, last


def _is_number(column: Column) -> pl.Series | None:
    return None if column.kind is None else column.kind == int(CellType.NUMBER)


def _whole_numbers(column: Column) -> pl.Series:
    """Text of codes; a code stored as the number 12.0 is 12."""
    if column.kind is None:
        return column.text
    stored = column.kind == int(CellType.NUMBER)
    return _when(stored, column.text.str.replace(r"\.0$", ""), column.text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return "\\u0000" not in text


def _no_day(height: int) -> pl.Series:
    return pl.Series("day", [None], dtype=pl.Date).new_from_index(0, height)


def _without(series: pl.Series, mask: pl.Series) -> pl.Series:
    """`series` with nulls where `mask` is true."""
    if not mask.any():
        return series
    return pl.select(pl.when(~mask).then(series).alias(series.name)).to_series()


def _either(first: pl.Series, second: pl.Series) -> pl.Series:
    """`first` where it is given, else `second`."""
    if first.null_count() == first.len():
        return second
    return pl.select(pl.coalesce(first, second).alias(second.name)).to_series()


def _when(mask: pl.Series, then: pl.Series | str, otherwise: pl.Series) -> pl.Series:
    if not mask.any():
        return otherwise
    value = pl.lit(then) if isinstance(then, str) else then
    return pl.select(
        pl.when(mask).then(value).otherwise(otherwise).alias(otherwise.name)
    ).to_series()
