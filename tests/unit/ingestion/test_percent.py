"""What the numbers of a percent column mean: traps N4 and N5."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from ingestion.normalise.numbers import clean, to_decimal
from ingestion.normalise.percent import Scale, settle, shown_as_percent


def read(
    texts: list[str], declared: Scale | None, formats: list[str | None] | None = None
) -> list[Decimal | str]:
    cleaned = clean(pl.Series(texts), slash_is_point=True, allow_percent=True)
    number_format = None if formats is None else pl.Series(formats, dtype=pl.Utf8)
    is_number = None if formats is None else number_format.is_not_null()
    settled = settle(cleaned.plain, cleaned.has_percent, number_format, is_number, declared)
    values = to_decimal(cleaned.plain, 4, settled.shift)
    return [v if r is None else r for v, r in zip(values, settled.reason, strict=True)]


@pytest.mark.parametrize("text", ["۴۵٪", "45%", "٪۴۵", "45 درصد", "45٫0٪"])
@pytest.mark.parametrize("declared", ["percent", "fraction", None])
def test_N4_a_percent_sign_is_certain_whatever_is_declared(
    text: str, declared: Scale | None
) -> None:
    assert read([text], declared) == [45]


@pytest.mark.parametrize("declared", ["percent", "fraction", None])
def test_N4_a_percent_format_is_certain_whatever_is_declared(declared: Scale | None) -> None:
    assert read(["0.45", "0.07"], declared, ["0%", "0.00%"]) == [45, 7]


def test_N4_a_percent_sign_inside_quotes_is_no_percent_format() -> None:
    formats = pl.Series(["0%", '0.0"%"', r"0\%", "0.00", None, "0٪"])
    assert shown_as_percent(formats, None).to_list() == [True, False, False, False, False, True]


def test_N4_the_declared_scale_decides_for_the_column() -> None:
    assert read(["0.45", "1", "0"], "percent") == [Decimal("0.45"), 1, 0]
    assert read(["0.45", "1", "0"], "fraction") == [45, 100, 0]


def test_N4_without_declaration_small_values_are_ambiguous() -> None:
    assert read(["0.64"], None) == ["ambiguous-percent"]
    assert read(["0.64", "1", "0"], None) == ["ambiguous-percent", "ambiguous-percent", 0]
    assert read(["64", "45", "0"], None) == [64, 45, 0]
    assert read(["0", "0"], None) == [0, 0]


def test_N5_values_on_both_sides_of_one_refuse_the_column() -> None:
    mixed = "mixed-percent-scale"
    assert read(["0.45", "45", "0"], "fraction") == [mixed, mixed, 0]
    assert read(["0.45", "45"], None) == [mixed, mixed]
    # declared percentages may be small: the template said so
    assert read(["0.45", "45"], "percent") == [Decimal("0.45"), 45]


def test_N5_fractions_above_one_contradict_the_declaration() -> None:
    assert read(["45", "60"], "fraction") == ["percent-scale-contradicted"] * 2


def test_N5_certain_cells_do_not_count_as_evidence_for_the_others() -> None:
    assert read(["45%", "0.6"], "fraction") == [45, 60]
    assert read(["45%", "0.6"], None) == [45, "ambiguous-percent"]
