"""Text keys: traps T1 to T7 and T10, and that columns and single texts get the same key."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.normalise.text import (
    INVISIBLE,
    SPACES,
    display,
    display_series,
    key,
    key_series,
    loose_key,
    persian_share,
)

LETTERS = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیءآأؤئإٱةۀيىكABCxyz"
MARKS = "\u064b\u064e\u0651\u0654\u0640\u0670"
TEXTS = st.text(alphabet=LETTERS + MARKS + INVISIBLE[:12] + SPACES + "۰۱۲٣٤٥678-./()", max_size=30)


@pytest.mark.parametrize(
    ("one", "other"),
    [("علي", "علی"), ("عيسى", "عیسی"), ("كرمان", "کرمان"), ("مركزي", "مرکزی"), ("ڪ", "ک")],
)
def test_T1_arabic_and_persian_letters_have_one_key(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_T1_hamza_ye_is_a_letter_of_its_own() -> None:
    assert key("رئیس") != key("رییس")
    assert key("رئیس") == key("رئيس") == key("ر\u06cc\u0654یس") == key("ر\u064a\u0654یس")


@pytest.mark.parametrize(
    ("one", "other"),
    [("برنامة", "برنامه"), ("خانۀ", "خانه"), ("خانه\u0654", "خانه"), ("أحمد", "احمد"),
     ("إیران", "ایران"), ("ٱلف", "الف")],
)  # fmt: skip
def test_T2_heh_and_alef_forms_have_one_key(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_T2_alef_madda_falls_together_in_the_loose_key_only() -> None:
    assert key("آذربایجان") != key("اذربایجان")
    assert loose_key("آذربایجان") == loose_key("اذربایجان")
    assert key("آ") == key("ا\u0653")


def test_T3_joiner_and_spaces_do_not_count() -> None:
    assert key("پروژه\u200cها") == key("پروژهها") == key("پروژه ها") == "پروژهها"


@pytest.mark.parametrize(
    "text", ["ال\u200dبرز", "الـــبرز", "اَلبُرز", "ال\u00a0برز", "ال\u2009برز", "ال\u00adبرز"]
)
def test_T4_invisible_and_decorative_characters_do_not_count(text: str) -> None:
    assert key(text) == "البرز"


@pytest.mark.parametrize("mark", ["\u200f", "\u200e", "\u202b", "\u202c", "\u2067", "\ufeff"])
def test_T5_direction_marks_and_byte_order_marks_do_not_count(mark: str) -> None:
    assert key(f"{mark}تهران{mark}") == "تهران"


def test_T6_presentation_forms_are_their_letters() -> None:
    assert key("ﻻله") == "لاله"
    assert key("ﭘروژه") == "پروژه"
    assert key("ﺗﻬﺮﺍﻥ") == "تهران"


def test_T7_display_is_trimmed_and_otherwise_untouched() -> None:
    assert display("  البرز \u200f") == "البرز"
    assert display("پروژه\u200cهاي  ملي") == "پروژه\u200cهاي  ملي"
    assert display_series(pl.Series(["  البرز ", None])).to_list() == ["البرز", None]


def test_N1_digits_of_all_systems_have_one_key() -> None:
    assert key("شاخص ۱۲") == key("شاخص ١٢") == key("شاخص 12")


def test_latin_case_does_not_count_but_punctuation_does() -> None:
    assert key("IDI 2016") == key("idi2016")
    assert key("Lanndline 2020_Rate") != key("Lanndline 2020-Rate")


@given(st.lists(st.one_of(st.none(), TEXTS), max_size=20))
def test_a_column_gets_the_keys_of_its_texts(texts: list[str | None]) -> None:
    series = pl.Series("t", texts * 3, dtype=pl.Utf8)  # repeated: the path over distinct texts
    expected = [None if text is None else key(text) for text in texts]
    assert key_series(series).to_list() == expected * 3
    assert key_series(series[: len(texts)]).to_list() == expected


@given(TEXTS)
def test_a_key_is_its_own_key(text: str) -> None:
    assert key(key(text)) == key(text)


@given(TEXTS)
def test_a_key_has_nothing_that_cannot_be_seen(text: str) -> None:
    assert not set(key(text)) & set(INVISIBLE + SPACES)


def test_T10_share_of_persian_letters_tells_mojibake_apart() -> None:
    text = "استان البرز؛ پیشرفت ۴۵ درصد"
    assert persian_share(text) == 1.0
    assert persian_share(text.encode("utf-8").decode("cp1252", errors="replace")) < 0.1
    assert persian_share(text.encode("cp1256", errors="replace").decode("latin-1")) < 0.1
    assert persian_share("Alborz") == 0.0
    assert persian_share("123") == 0.0
