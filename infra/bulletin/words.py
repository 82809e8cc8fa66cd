"""Figures and dates as a Persian reader writes them.

In: decimals, whole numbers, days. Out: text in Persian digits: decimal mark ٫, thousands ٬, the
percent sign after the number (shown at its right, because the page isolates every figure from left
to right), a true minus in front, dates by the Jalali calendar (trap Q9).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from infra.settings import TEHRAN
from ingestion.normalise.calendar import to_jalali
from ingestion.normalise.text import PERSIAN_DIGITS

NOTHING: Final = "—"
MONTHS: Final = (
    "فروردین",
    "اردیبهشت",
    "خرداد",
    "تیر",
    "مرداد",
    "شهریور",
    "مهر",
    "آبان",
    "آذر",
    "دی",
    "بهمن",
    "اسفند",
)
_DIGITS: Final = str.maketrans("0123456789", PERSIAN_DIGITS)


def digits(text: object) -> str:
    """Return the text with its ASCII digits as Persian ones; nothing else changes."""
    return str(text).translate(_DIGITS)


def number(value: Decimal | int | None, places: int = 0) -> str:
    """Return a figure rounded half away from zero to `places`; a dash for none."""
    if value is None:
        return NOTHING
    step = Decimal(1).scaleb(-places)
    rounded = Decimal(value).quantize(step, rounding=ROUND_HALF_UP)
    sign = "−" if rounded < 0 else ""
    text = f"{abs(rounded):,.{places}f}"
    return sign + digits(text.replace(",", "٬").replace(".", "٫"))


def percent(value: Decimal | int | None, places: int = 1) -> str:
    """Return a figure that is in percent already, with its sign."""
    return NOTHING if value is None else f"{number(value, places)}٪"


def share(received: int | None, expected: int | None) -> str:
    """Return "received of expected" in words."""
    if received is None or expected is None:
        return NOTHING
    return f"{number(received)} از {number(expected)}"


def change(value: Decimal | int | None, places: int = 1) -> str:
    """Return a change with its sign, also where it is a rise."""
    if value is None:
        return NOTHING
    text = number(value, places)
    return f"+{text}" if value > 0 and any(d in text for d in PERSIAN_DIGITS[1:]) else text


def jalali(day: date) -> str:
    """Return the day as «۲۳ آبان ۱۴۰۵»."""
    year, month, number_ = to_jalali(day)
    return digits(f"{number_} {MONTHS[month - 1]} {year}")


def jalali_time(moment: datetime) -> str:
    """Return the moment in Tehran as «۳۰ آبان ۱۴۰۵ ساعت ۰۳:۴۵»."""
    local = moment.astimezone(TEHRAN)
    return f"{jalali(local.date())} ساعت {digits(f'{local:%H:%M}')}"


def week(label: str) -> str:
    """Return a week's label «1405-W35» in words."""
    year, _, number_ = label.partition("-W")
    return digits(f"هفتهٔ {int(number_)} سال {year}")
