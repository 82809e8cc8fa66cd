"""Numbers as people and programs write them, read exactly or refused.

In: the raw text of a column. Out: `Cleaned`, the plain decimal text of every cell, its percent
sign and unit words; `to_decimal`, exact decimals of a declared scale, rounded half away from zero.

Grammar (traps N1-N3, N6, N8, N12). Persian, Arabic and Latin digits count alike; `٫` and `.` are
decimal marks, `٬` groups thousands. A comma groups thousands when groups of three fit; any other
comma is ambiguous, and once a column holds one (or groups by dots), its `1,234` and `1.234` are
ambiguous too. A declared decimal mark settles all of this. `4/5` is 4.5 only in a percent column
or where `/` is the declared mark. Signs may lead, trail, or be brackets. Digits inside prose are
never read.

A float never takes part: text goes to decimals. Text that is plain already, the bulk of every
file, passes one regular expression and nothing else.

Run the tests: `pytest tests/unit/ingestion/test_numbers.py`
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

import polars as pl

from ingestion.normalise.rules import no_reason
from ingestion.normalise.text import DIGITS, INVISIBLE, SPACES

DecimalMark = Literal[".", ",", "/", "٫"]

_PLAIN: Final = r"^-?[0-9]+(\.[0-9]+)?$"
_LONGEST_PLACE: Final = 2  # a digit and the point before the decimal places
_ONE_DOT_GROUP: Final = r"^-?[1-9][0-9]{0,2}\.[0-9]{3}$"
# Private characters stand for what a mark means once the column's grammar is applied.
_POINT: Final = "\ue000"
_GROUP: Final = "\ue001"
_COMMA: Final = "\ue002"

_MINUS: Final = "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d"
_PERCENT: Final = "٪％﹪"
_BASE_MAP: Final[dict[str, str]] = {
    **dict.fromkeys(INVISIBLE, ""),
    **dict.fromkeys(SPACES, " "),
    **DIGITS,
    **dict.fromkeys(_MINUS, "-"),
    **dict.fromkeys(_PERCENT, "%"),
    "٫": _POINT,
    "٬": _GROUP,
    "،": ",",
    "’": "'",
    "‘": "'",
    "ي": "ی",
    "ى": "ی",
    "ك": "ک",
}
_PERCENT_WORDS: Final = r"%|درصد|percent"
# Powers of ten that a stored value may have at all; beyond them nothing is meant.
_MAX_EXPONENT: Final = 40


@dataclass(frozen=True)
class Cleaned:
    """A column of numbers before scale and unit are applied; every series has its height.

    plain: Utf8 `-12.5`, null where blank or refused; reason: Utf8; has_percent: Boolean, the text
    itself carries a percent sign or word; unit: Utf8, trailing words (only if they were asked
    for); mixed: Boolean, the cell mixes digit systems; by_column: some cell tells how the column's
    other cells are to be read, so no part of the column can be read without the rest.
    """

    plain: pl.Series
    reason: pl.Series
    has_percent: pl.Series
    unit: pl.Series
    mixed: pl.Series
    by_column: bool = False


def clean(
    texts: pl.Series,
    *,
    is_number: pl.Series | None = None,
    decimal_mark: DecimalMark | None = None,
    slash_is_point: bool = False,
    allow_percent: bool = False,
    allow_unit: bool = False,
    is_plain: pl.Series | None = None,
) -> Cleaned:
    """Plain decimal text of each cell; null cells stay null without a reason.

    `is_plain` is what `plain_texts` gives for the same texts, where it is known already.

    `is_number` (Boolean) marks cells that the file itself stores as numbers: their text is the
    program's, so the declared decimal mark does not touch them.
    Reasons: `ambiguous-number`, `not-a-number`, `number-too-large`, `unexpected-percent-sign`.
    """
    height = texts.len()
    if is_plain is None:
        is_plain = plain_texts(texts)
    odd = (~is_plain).fill_null(False).arg_true()
    false = pl.repeat(False, height, eager=True)
    stored = false if is_number is None else is_number.fill_null(False)
    nothing = no_reason(height)
    # a decimal comma leaves "1.234" to mean a thousand, so even plain text needs the grammar
    if decimal_mark == ",":
        odd = (texts.is_not_null() & ~(is_plain & stored)).fill_null(False).arg_true()
    if odd.len() == 0:
        return Cleaned(texts, nothing, false, nothing, false)
    frame, swaps_marks = _read_odd(
        texts.gather(odd),
        decimal_mark=decimal_mark,
        slash_is_point=slash_is_point,
        allow_percent=allow_percent,
        allow_unit=allow_unit,
    )
    plain = _put(texts, odd, frame["plain"])
    reason = _put(nothing, odd, frame["reason"])
    if swaps_marks and decimal_mark is None:
        # the column writes 1.234.567 or 12,5 somewhere: its 1.234 may be a thousand
        doubtful = (texts.str.contains(_ONE_DOT_GROUP) & ~stored).fill_null(False).arg_true()
        plain = _put(plain, doubtful, pl.repeat(None, doubtful.len(), dtype=pl.Utf8, eager=True))
        reason = _put(reason, doubtful, _repeated("ambiguous-number", doubtful.len()))
    return Cleaned(
        plain=plain,
        reason=reason,
        has_percent=_put(false, odd, frame["has_percent"]),
        unit=_put(nothing, odd, frame["unit"]),
        mixed=_put(false, odd, frame["mixed"]),
        by_column=swaps_marks and decimal_mark is None,
    )


def plain_texts(texts: pl.Series) -> pl.Series:
    """Boolean: texts that are a number as it is stored, and so no word, blank or error; null stays.

    With a decimal comma declared it may still mean another number.
    """
    return texts.str.contains(_PLAIN)


def to_decimal(plain: pl.Series, scale: int, shift: int | pl.Series = 0) -> pl.Series:
    """`plain` x 10^shift as Decimal(38, scale), rounded half away from zero; null stays null.

    `shift` is one number or one a row (Int32). What 38 digits cannot hold becomes null: the
    caller knows which cells had text.
    """
    if isinstance(shift, int):
        return _rounded(_shifted(plain, shift), scale)
    values = pl.Series(plain.name, [None], dtype=pl.Decimal(38, scale))
    values = values.new_from_index(0, plain.len())
    for amount in shift.drop_nulls().unique().to_list():
        at = (shift == amount).fill_null(False).arg_true()
        values = _put(values, at, to_decimal(plain.gather(at), scale, int(amount)))
    return values


def _read_odd(
    texts: pl.Series,
    *,
    decimal_mark: DecimalMark | None,
    slash_is_point: bool,
    allow_percent: bool,
    allow_unit: bool,
) -> tuple[pl.DataFrame, bool]:
    """Read the cells that are not plain text.

    (columns plain, reason, has_percent, unit, mixed; whether some cell groups by dots or seems to
    have a decimal comma).
    """
    marks = dict(_BASE_MAP)
    if decimal_mark == ",":
        marks |= {",": _POINT, "،": _POINT, ".": _GROUP}
    else:
        marks |= {",": _COMMA, "،": _COMMA, ".": _POINT}
        if decimal_mark == "/" or (slash_is_point and decimal_mark is None):
            marks["/"] = _POINT
    raw = pl.col("raw")
    frame = (
        texts.rename("raw")
        .to_frame()
        .select(
            raw.str.replace_many(list(marks), list(marks.values())).alias("body"),
            (
                raw.str.contains("[0-9]").cast(pl.Int8)
                + raw.str.contains("[۰-۹]").cast(pl.Int8)
                + raw.str.contains("[٠-٩]").cast(pl.Int8)
                > 1
            ).alias("mixed"),
        )
    )
    body = pl.col("body")
    # most cells are plain once their digits are: only the others meet the whole grammar
    simple = frame["body"].str.contains(rf"^-?[0-9]+({_POINT}[0-9]+)?$")
    frame = frame.with_columns(
        pl.when(pl.lit(simple)).then(body.str.replace(_POINT, ".", literal=True)).alias("plain"),
        pl.lit(None, pl.Utf8).alias("reason"),
        pl.lit(False).alias("has_percent"),
        pl.lit(None, pl.Utf8).alias("unit"),
    )
    rest = (~simple).arg_true()
    if rest.len() == 0:
        return frame, False
    settled = decimal_mark is not None
    parsed, swaps_marks = _parse(frame["body"].gather(rest), allow_percent, allow_unit, settled)
    names = ("plain", "reason", "has_percent", "unit")
    return frame.with_columns(_put(frame[name], rest, parsed[name]) for name in names), swaps_marks


def _parse(
    bodies: pl.Series, allow_percent: bool, allow_unit: bool, settled: bool
) -> tuple[pl.DataFrame, bool]:
    """The whole grammar, on text whose marks were told apart; `settled` by a declared mark."""
    body = pl.col("body")
    frame = bodies.rename("body").to_frame()
    frame = frame.with_columns(body.str.strip_chars(" ").str.replace(r"^'+ *", ""))
    frame = frame.with_columns(
        body.str.contains(rf"^(?i:{_PERCENT_WORDS})|(?i:{_PERCENT_WORDS})$").alias("has_percent")
    )
    if allow_percent:
        frame = frame.with_columns(
            body.str.replace(rf"^(?i:{_PERCENT_WORDS})\s*", "")
            .str.replace(rf"\s*(?i:{_PERCENT_WORDS})$", "")
            .alias("body")
        )
    if allow_unit:
        # a number first, then words without any digit: "12.5 میلیون ریال"
        split = rf"^([-+()0-9,{_POINT}{_GROUP}{_COMMA} ]*[0-9)-]) *([\p{{L}}﷼][^0-9]*)$"
        frame = frame.with_columns(
            body.str.extract(split, 2).str.strip_chars(" ").alias("unit"),
            pl.coalesce(body.str.extract(split, 1), body).str.strip_chars(" ").alias("body"),
        )
    else:
        frame = frame.with_columns(pl.lit(None, pl.Utf8).alias("unit"))
    # signs: trailing minus, brackets, a plus; a second sign leaves a text that is no number
    frame = frame.with_columns(
        body.str.replace(r"^\(\s*([^()+-]*?)\s*\)$", "-$1")
        .str.replace(r"^([^+-]*[^+\- ]) *-$", "-$1")
        .str.replace(r"^\+ *([^+-])", "$1")
        .str.replace(r"^- +", "-")
        .alias("body")
    )
    grouped = (
        rf"^-?[1-9][0-9]{{0,2}}({_COMMA}[0-9]{{3}})+({_POINT}[0-9]+)?$"
        rf"|^-?[1-9][0-9]{{0,2}}({_GROUP}[0-9]{{3}})+({_POINT}[0-9]+)?$"
    )
    frame = frame.with_columns(
        body.str.contains(rf"^-?([0-9]+({_POINT}[0-9]+)?|{_POINT}[0-9]+)$").alias("is_simple"),
        body.str.contains(grouped).alias("is_grouped"),
        body.str.contains(rf"^-?[1-9][0-9]{{0,2}}{_COMMA}[0-9]{{3}}$").alias("is_single"),
        body.str.contains(rf"^-?[0-9]*({_COMMA}[0-9]*)+({_POINT}[0-9]*)?$").alias("has_comma"),
        body.str.contains(
            rf"^-?[0-9]+(/[0-9]+|( [0-9]{{3}})+({_POINT}[0-9]+)?"
            rf"|[{_POINT}{_GROUP}][0-9{_POINT}{_GROUP}{_COMMA}]+)$"
        ).alias("is_unclear"),
        body.str.contains(
            rf"^-?[1-9][0-9]{{0,2}}({_POINT}[0-9]{{3}}){{2,}}$"
            rf"|^-?[1-9][0-9]{{0,2}}({_POINT}[0-9]{{3}})+{_COMMA}[0-9]+$"
        ).alias("groups_by_dots"),
        body.str.contains(rf"^-?[0-9]+({_POINT}[0-9]+)?[eE][+-]?[0-9]+$").alias("is_power"),
    )
    comma_is_decimal = bool((frame["has_comma"] & ~frame["is_grouped"]).any())
    doubtful = pl.col("is_single") & pl.lit(comma_is_decimal and not settled)
    reads = (pl.col("is_simple") | pl.col("is_grouped")) & ~doubtful
    plain = body.str.replace_many([_COMMA, _GROUP, _POINT], ["", "", "."]).str.replace(
        r"^(-?)\.", "${1}0."
    )
    frame = frame.with_columns(
        pl.when(reads).then(plain).alias("plain"),
        pl.when(reads | pl.col("is_power"))
        .then(None)
        .when(doubtful | pl.col("has_comma") | pl.col("is_unclear"))
        .then(pl.lit("ambiguous-number"))
        .when(pl.col("has_percent") & pl.lit(not allow_percent))
        .then(pl.lit("unexpected-percent-sign"))
        .otherwise(pl.lit("not-a-number"))
        .alias("reason"),
    )
    return _powers(frame), comma_is_decimal or bool(frame["groups_by_dots"].any())


def _powers(frame: pl.DataFrame) -> pl.DataFrame:
    """Powers of ten written out (`1E+05` -> `100000`); they are few, so each is read by Decimal."""
    at = frame["is_power"].arg_true()
    if at.len() == 0:
        return frame
    plain: list[str | None] = []
    for body in frame["body"].gather(at).to_list():
        plain.append(_written_out(body.replace(_POINT, ".")))
    series = pl.Series("plain", plain, dtype=pl.Utf8)
    too_large = pl.Series("r", ["number-too-large" if p is None else None for p in plain], pl.Utf8)
    return frame.with_columns(
        _put(frame["plain"], at, series), _put(frame["reason"], at, too_large).alias("reason")
    )


def _written_out(text: str) -> str | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if number and abs(number.adjusted()) > _MAX_EXPONENT:
        return None if number.adjusted() > 0 else "0"
    return format(number, "f")


def _shifted(plain: pl.Series, shift: int) -> pl.Series:
    """The decimal point of plain text moved right by `shift` places, exactly."""
    if shift == 0:
        return plain
    if shift < 0:
        raise ValueError("a unit smaller than the stored one is not defined")
    text = pl.col("p")
    whole = text.str.extract(r"^-?([0-9]+)", 1)
    part = text.str.extract(r"\.([0-9]+)$", 1).fill_null("").str.pad_end(shift, "0")
    rest = part.str.slice(shift)
    return (
        plain.rename("p")
        .to_frame()
        .select(
            pl.concat_str(
                text.str.extract(r"^(-?)", 1),
                whole,
                part.str.slice(0, shift),
                pl.when(rest.str.len_bytes() > 0)
                .then(pl.concat_str(pl.lit("."), rest))
                .otherwise(pl.lit("")),
            ).alias(plain.name)
        )
        .to_series()
    )


def _rounded(plain: pl.Series, scale: int) -> pl.Series:
    """Decimal(38, scale); the text is cut after one digit more, which alone decides half-up."""
    # looking for longer fractions costs a quarter of cutting them, and hardly a file has any
    longest = plain.str.len_bytes().max()
    if longest is None or int(longest) <= scale + 1 + _LONGEST_PLACE:  # type: ignore[arg-type]
        pass
    elif plain.str.contains(rf"\.[0-9]{{{scale + 2}}}").any():
        plain = plain.str.replace(rf"(\.[0-9]{{{scale + 1}}})[0-9]+$", "$1")
    wide = plain.cast(pl.Decimal(38, scale + 1), strict=False)
    return wide.round(scale, mode="half_away_from_zero").cast(pl.Decimal(38, scale))


def _put(into: pl.Series, at: pl.Series, values: pl.Series) -> pl.Series:
    """A copy of `into` with `values` at the positions `at`."""
    return into.clone().scatter(at, values)


def _repeated(text: str, height: int) -> pl.Series:
    return pl.Series([text], dtype=pl.Utf8).new_from_index(0, height)
