"""Percentages: what the numbers of a column mean is settled once for the column.

In: cleaned numbers, the percent signs and number formats of their cells, the declared scale.
Out: the power of ten that makes each cell a percentage (0-100), or the reason why it stays unread.

A cell with its own evidence is certain: text with a percent sign is a percentage, a number shown
through a percent format is a fraction (traps N4, N5). All other cells of the column share one
scale. It is the declared one, unless the cells contradict it; without a declaration, values that
are all at most 1 could be either and are refused, and small beside large values are refused too.
Size is never judged row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from ingestion.normalise.rules import no_reason

Scale = Literal["percent", "fraction"]


@dataclass(frozen=True)
class PercentScale:
    """shift: power of ten (0 or 2), one number or one a row (Int32); reason: Utf8, null where the
    scale is certain."""

    shift: int | pl.Series
    reason: pl.Series


def settle(
    plain: pl.Series,
    has_percent: pl.Series,
    number_format: pl.Series | None,
    is_number: pl.Series | None,
    declared: Scale | None,
) -> PercentScale:
    """Reasons: `ambiguous-percent`, `mixed-percent-scale`, `percent-scale-contradicted`."""
    height = plain.len()
    if declared == "percent" and number_format is None:
        # a sign says the same as the declaration
        return PercentScale(0, no_reason(height))
    formatted = (
        pl.repeat(False, height, eager=True)
        if number_format is None
        else shown_as_percent(number_format, is_number)
    )
    size = plain.cast(pl.Float64, strict=False).abs()  # compared with 1 only, never stored
    unmarked = plain.is_not_null() & ~has_percent & ~formatted
    small = bool((unmarked & (size > 0) & (size <= 1)).fill_null(False).any())
    large = bool((unmarked & (size > 1)).fill_null(False).any())
    refusal: str | None = None
    shift_unmarked = 0
    if declared == "fraction":
        shift_unmarked = 2
        if large:
            refusal = "mixed-percent-scale" if small else "percent-scale-contradicted"
    elif declared is None and small:
        refusal = "mixed-percent-scale" if large else "ambiguous-percent"
    shift = (
        pl.select(
            pl.when(has_percent)
            .then(0)
            .when(formatted)
            .then(2)
            .otherwise(shift_unmarked)
            .cast(pl.Int32)
            .alias("shift")
        )
        .to_series()
        .rename("shift")
    )
    if refusal is None:
        return PercentScale(shift, no_reason(height))
    # zero is zero on either scale
    doubtful = (unmarked & (size > 0)).fill_null(False)
    reason = pl.select(pl.when(doubtful).then(pl.lit(refusal)).alias("reason")).to_series()
    return PercentScale(shift, reason)


def shown_as_percent(number_format: pl.Series, is_number: pl.Series | None) -> pl.Series:
    """Boolean: stored numbers that the sheet shows with a percent sign (not one in quotes)."""
    bare = number_format.str.replace_all(r'"[^"]*"|\\.', "")
    shown = bare.str.contains("[%٪]").fill_null(False)
    return shown if is_number is None else shown & is_number.fill_null(False)
