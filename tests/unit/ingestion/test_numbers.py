"""Numbers, words for "no value", booleans and money: traps N1 to N13."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.normalise.numbers import clean, to_decimal
from ingestion.normalise.text import ARABIC_DIGITS, PERSIAN_DIGITS
from ingestion.normalise.units import rial_power
from ingestion.normalise.words import absences, blanks, booleans, cell_faults
from ingestion.table import CellType

FA = str.maketrans("0123456789.-", PERSIAN_DIGITS + "٫−")
AR = str.maketrans("0123456789", ARABIC_DIGITS)
NUMBERS = st.decimals(
    min_value=Decimal("-1e17"), max_value=Decimal("1e17"), allow_nan=False, places=12
)


def one(text: str, **grammar: object) -> tuple[str | None, str | None]:
    cleaned = clean(pl.Series([text]), **grammar)  # type: ignore[arg-type]
    return cleaned.plain[0], cleaned.reason[0]


def column(*texts: str | None, **grammar: object) -> list[str | None]:
    cleaned = clean(pl.Series(texts, dtype=pl.Utf8), **grammar)  # type: ignore[arg-type]
    return [p if r is None else r for p, r in zip(cleaned.plain, cleaned.reason, strict=True)]


@pytest.mark.parametrize("text", ["۱۲٫۵", "١٢٫٥", "12.5", "۱2٫٥", " 12.5 ", "'12.5", "+12.5"])
def test_N1_digits_of_all_systems(text: str) -> None:
    assert one(text) == ("12.5", None)


def test_N1_mixtures_within_a_cell_are_flagged() -> None:
    mixed = clean(pl.Series(["۱2", "٤۵", "۱۲", "12", "۱۲٫۵", None])).mixed
    assert mixed.to_list() == [True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("۱٬۲۳۴٫۵", "1234.5"),
        ("1,234,567", "1234567"),
        ("۱،۲۳۴،۵۶۷", "1234567"),
        ("1,234.5", "1234.5"),
        ("12.5", "12.5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("1.234", "1.234"),
    ],
)
def test_N2_marks(text: str, value: str) -> None:
    assert one(text) == (value, None)


def test_N2_slash_is_a_decimal_mark_in_percent_columns_only() -> None:
    assert one("۴/۵", slash_is_point=True) == ("4.5", None)
    assert one("۴/۵") == (None, "ambiguous-number")
    assert one("۴/۵", decimal_mark="/") == ("4.5", None)
    assert one("1/2/3", slash_is_point=True)[1] is not None


def test_N3_groups_of_three_are_thousands_else_ambiguous() -> None:
    assert column("1,234") == ["1234"]
    for text in ("1,5", "0,123", "1,23,456", "1234,567", "1,234,56", "1.234.567", "12 345"):
        assert one(text) == (None, "ambiguous-number"), text


def test_N3_one_decimal_comma_makes_the_columns_single_groups_ambiguous() -> None:
    assert column("1,234", "1,5", "1,234,567", "12") == [
        "ambiguous-number",
        "ambiguous-number",
        "1234567",
        "12",
    ]


def test_N3_a_column_that_groups_by_dots_leaves_its_single_groups_open() -> None:
    unsure = "ambiguous-number"
    assert column("1.234.567", "1.234", "12.5", "0.125") == [unsure, unsure, "12.5", "0.125"]
    assert column("1.234,5", "1.234", "12") == [unsure, unsure, "12"]
    assert column("12,5", "1.234") == [unsure, unsure]
    # what the program stores as a number has a point for a decimal mark
    texts = pl.Series(["1.234.567", "1.234"])
    cleaned = clean(texts, is_number=pl.Series([False, True]))
    assert cleaned.plain.to_list() == [None, "1.234"]


def test_N3_a_declared_mark_settles_the_column() -> None:
    assert column("1,234", "1,5", "1.234", "1.234,5", decimal_mark=",") == [
        "1.234",
        "1.5",
        "1234",
        "1234.5",
    ]
    assert column("1.5", decimal_mark=",") == ["ambiguous-number"]


def test_N3_the_declared_mark_does_not_touch_stored_numbers() -> None:
    texts = pl.Series(["1.234", "1.234"])
    cleaned = clean(texts, is_number=pl.Series([True, False]), decimal_mark=",")
    assert cleaned.plain.to_list() == ["1.234", "1234"]


@pytest.mark.parametrize(
    "text", ["-5", "−5", "(5)", "5-", "۵-", "\u200f−۵", "- 5", "\u200e(۵)", "–5"]
)
def test_N6_negatives(text: str) -> None:
    assert one(text) == ("-5", None)


@pytest.mark.parametrize("text", ["--5", "(-5)", "5--", "+-5", "5-7", "- ", "()"])
def test_N6_two_signs_are_no_number(text: str) -> None:
    assert one(text)[0] is None
    assert one(text)[1] is not None


@pytest.mark.parametrize(
    ("text", "value"), [("1E+05", "100000"), ("1.5e-3", "0.0015"), ("-2e0", "-2"), ("1e-50", "0")]
)
def test_N8_powers_of_ten(text: str, value: str) -> None:
    assert one(text) == (value, None)


def test_N8_floating_dust_is_rounded_once_at_the_fields_scale() -> None:
    plain = clean(pl.Series(["0.30000000000000004", "'007", "1e999"])).plain
    assert to_decimal(plain, 4).to_list() == [Decimal("0.3000"), Decimal(7), None]


@given(NUMBERS, st.sampled_from([0, 2, 4, 10]))
def test_N17_decimals_are_exact_and_rounded_half_away_from_zero(value: Decimal, scale: int) -> None:
    expected = value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    text = format(value, "f")
    for spelling in (text, text.translate(FA), text.translate(AR)):
        cleaned = clean(pl.Series([spelling]))
        assert cleaned.reason.null_count() == 1, spelling
        assert to_decimal(cleaned.plain, scale)[0] == expected


def grouped(digits: str, mark: str) -> str:
    head = len(digits) % 3 or 3
    return mark.join([digits[:head], *(digits[i : i + 3] for i in range(head, len(digits), 3))])


SIGNS = [
    ("{}", 1),
    ("+{}", 1),
    ("-{}", -1),
    ("−{}", -1),
    ("{}-", -1),
    ("({})", -1),
    ("\u200f- {}", -1),
]
SYSTEMS = [None, str.maketrans("0123456789", PERSIAN_DIGITS), AR]


@given(
    st.integers(0, 10**15),
    st.from_regex(r"[0-9]{0,6}", fullmatch=True),
    st.sampled_from(["", ",", "٬", "،"]),
    st.sampled_from([".", "٫"]),
    st.sampled_from(SIGNS),
    st.sampled_from(SYSTEMS),
)
def test_N2_N6_every_certain_spelling_is_that_number(
    whole: int, part: str, group: str, point: str, sign: tuple[str, int], system: dict[int, str]
) -> None:
    form, factor = sign
    body = grouped(str(whole), group) + (point + part if part else "")
    text = form.format(body.translate(system) if system else body)
    plain, why = one(text)
    assert why is None, text
    assert plain is not None
    assert Decimal(plain) == factor * Decimal(f"{whole}.{part or 0}")


@given(
    st.integers(0, 10**7),
    st.from_regex(r"[0-9]{1,6}", fullmatch=True),
    st.sampled_from([",", "،", "/", " ", "٬"]),
)
def test_N3_a_doubtful_spelling_is_thousands_or_nothing(whole: int, part: str, mark: str) -> None:
    plain, why = one(f"{whole}{mark}{part}")
    if plain is None:
        assert why == ("not-a-number" if mark == " " and len(part) != 3 else "ambiguous-number")
    else:
        assert len(part) == 3
        assert 1 <= whole <= 999
        assert plain == f"{whole}{part}"


@given(NUMBERS, st.sampled_from([1, 2, 3, 6, 7]))
def test_N17_a_shift_is_a_multiplication(value: Decimal, shift: int) -> None:
    expected = (value * 10**shift).quantize(Decimal("0.01"), ROUND_HALF_UP)
    plain = pl.Series([format(value, "f"), None])
    assert to_decimal(plain, 2, shift).to_list() == [expected, None]
    assert to_decimal(plain, 2, pl.Series([shift, None], dtype=pl.Int32))[0] == expected


@given(st.text(max_size=12))
def test_never_a_number_out_of_prose(text: str) -> None:
    plain, reason = one(text)
    assert (plain is None) == (reason is not None)
    if any(char.isalpha() and char not in "eE" for char in text):
        assert plain is None


@pytest.mark.parametrize(
    "text", ["Section 43", "variance less than 5%", "حدود ۵۰", "5 of 7", "۴۵ نفر"]
)
def test_N12_prose_with_digits_is_no_number(text: str) -> None:
    assert one(text) == (None, "not-a-number") or one(text) == (None, "unexpected-percent-sign")


@pytest.mark.parametrize("text", ["45%", "٪۴۵", "45 درصد"])
def test_N4_a_percent_sign_in_a_plain_number_is_refused(text: str) -> None:
    assert one(text) == (None, "unexpected-percent-sign")


@pytest.mark.parametrize(
    ("unit", "power"),
    [
        ("ریال", 0),
        ("ريال", 0),
        ("﷼", 0),
        ("IRR", 0),
        ("تومان", 1),
        ("هزار ریال", 3),
        ("میلیون ریال", 6),
        ("million_rial", 6),
        ("میلیون تومان", 7),
        ("میلیارد ریال", 9),
        ("هزار میلیارد تومان", 13),
        ("همت", 13),
    ],
)
def test_N10_units_of_money(unit: str, power: int) -> None:
    assert rial_power(unit) == power


@pytest.mark.parametrize("unit", ["میلیون", "دلار", "", "ریال تومان", "million", "درصد"])
def test_N10_what_is_no_full_unit_is_refused(unit: str) -> None:
    assert rial_power(unit) is None


def test_N10_words_behind_a_number_are_kept_apart() -> None:
    texts = pl.Series(["۱۲٫۵ میلیارد تومان", "1,000ریال", "5 prose 6", "7"])
    cleaned = clean(texts, allow_unit=True)
    assert cleaned.plain.to_list() == ["12.5", "1000", None, "7"]
    assert cleaned.unit.to_list()[:2] == ["میلیارد تومان", "ریال"]
    assert cleaned.unit[3] is None


def test_N11_kinds_of_absence_are_told_apart_and_zero_is_a_number() -> None:
    texts = pl.Series(
        [
            "-",
            "–",
            "ندارد",
            "NA",
            "n/a",
            "نامشخص",
            "ND",
            "UNKNOWN",
            "Section 43",
            "محرمانه",
            "0",
            "٠",
            "43",
            None,
        ]
    )
    none, unknown, kept = "not-applicable", "not-reported", "withheld"
    assert absences(texts).to_list() == [
        *[none] * 5, *[unknown] * 3, *[kept] * 2, None, None, None, None
    ]  # fmt: skip
    assert column("0", "٠") == ["0", "0"]


def test_N11_blanks_are_what_holds_nothing_visible_or_a_declared_word() -> None:
    texts = pl.Series([None, "", " \u200f", "\u00a0", "ثبت نشده", "0", "-"])
    assert blanks(texts).to_list() == [True, True, True, True, False, False, False]
    assert blanks(texts, ["ثبت‌نشده"]).to_list() == [True, True, True, True, True, False, False]


@pytest.mark.parametrize(
    "text", ["#REF!", "#DIV/0!", "#N/A", "#VALUE!", "#NAME?", "#####", " #NUM! "]
)
def test_N13_spreadsheet_errors_are_named(text: str) -> None:
    assert cell_faults(pl.Series([text]), None).to_list() == ["error-value"]


def test_N13_X5_cell_types_tell_errors_and_formulas_without_value() -> None:
    kinds = [CellType.ERROR, CellType.NO_VALUE, CellType.TEXT, CellType.NUMBER]
    texts = pl.Series(["#REF!", "A1+A2", "#hash tag", "5"])
    found = cell_faults(texts, pl.Series(kinds, dtype=pl.UInt8))
    assert found.to_list() == ["error-value", "formula-without-value", None, None]


def test_booleans_by_words() -> None:
    texts = pl.Series(["بله", "خير", "دارد", "ندارد", "✓", "✗", "TRUE", "0", "شاید", None])
    reading = booleans(texts)
    assert reading.value.to_list() == [
        *(True, False, True, False, True, False, True, False, None, None)
    ]
    assert reading.reason.to_list() == [None] * 8 + ["not-a-boolean", None]


def test_declared_words_replace_the_usual_ones() -> None:
    reading = booleans(pl.Series(["فعال", "غیر فعال", "بله"]), ["فعال"], ["غیرفعال"])
    assert reading.value.to_list() == [True, False, None]
    assert reading.reason.to_list() == [None, None, "not-a-boolean"]
