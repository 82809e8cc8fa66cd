"""Exact arithmetic for the ground truth: fractions inside, decimals rounded once at the end.

In: fractions. Out: `Decimal` of a declared scale, halves away from zero, as the marts store them.
Roots and logarithms are taken at 60 digits and rounded to the mart's scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)
Number = Fraction | Decimal | int


def exact(value: Decimal | int | None) -> Fraction | None:
    """Return `value` as a fraction."""
    return None if value is None else Fraction(value)


def rounded(value: Number | None, places: int) -> Decimal | None:
    """Return `value` with `places` decimals, halves away from zero."""
    if value is None:
        return None
    scaled = abs(Fraction(value)) * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if 2 * rest >= scaled.denominator:
        whole += 1
    return Decimal(-whole if value < 0 else whole).scaleb(-places, _WIDE)


def ratio(numerator: Number | None, denominator: Number | None) -> Fraction | None:
    """Return the quotient, None where a part is missing or the divisor is zero (trap N16)."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    return Fraction(numerator) / Fraction(denominator)


def median(values: Sequence[Fraction]) -> Fraction | None:
    """Return the middle value, or the mean of the two middle ones."""
    if not values:
        return None
    ordered = sorted(values)
    half, odd = divmod(len(ordered), 2)
    return ordered[half] if odd else (ordered[half - 1] + ordered[half]) / 2


def wide(value: Fraction) -> Decimal:
    """Return a fraction at 60 digits."""
    return _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))


def root(value: Fraction) -> Decimal:
    """Return the square root at 60 digits."""
    return _WIDE.sqrt(wide(value))


def times_log(value: Fraction) -> Decimal:
    """Return x·ln x at 60 digits; 0·ln 0 = 0."""
    if value == 0:
        return Decimal(0)
    return _WIDE.multiply(wide(value), _WIDE.ln(wide(value)))


def quotient(numerator: Decimal, denominator: Fraction) -> Decimal:
    """Return a 60-digit number divided by a fraction, at 60 digits."""
    return _WIDE.divide(numerator, wide(denominator))


def product(left: Fraction, right: Decimal) -> Decimal:
    """Return a fraction times a 60-digit number, at 60 digits."""
    return _WIDE.multiply(wide(left), right)


def total(values: Sequence[Decimal]) -> Decimal:
    """Return the sum at 60 digits."""
    found = Decimal(0)
    for value in values:
        found = _WIDE.add(found, value)
    return found
