"""The words by which a row is known to be a total or a remark, as text keys.

A total is recognised by the whole cell, never by its beginning: «جمع آوری داده» is a project.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ingestion.normalise.text import key
from ingestion.normalise.units import rial_power

_TOTALS: Final = (
    "جمع",
    "جمع کل",
    "جمع‌کل:",
    "جمع:",
    "مجموع",
    "مجموع کل",
    "کل",
    "کل کشور",
    "کل استان",
    "کل استان‌ها",
    "جمع کشور",
    "جمع کل کشور",
    "جمع استان",
    "جمع استان‌ها",
    "جمع ستون",
    "سرجمع",
    "زیرجمع",
    "جمع جزء",
    "جمع صفحه",
    "جمع این صفحه",
    "جمع تا این صفحه",
    "نقل از صفحه قبل",
    "جمع نقل از صفحه قبل",
    "نقل به صفحه بعد",
    "total",
    "total:",
    "totals",
    "grand total",
    "sub total",
    "subtotal",
    "sum",
    "whole country",
)
_REMARKS: Final = (
    "توضیح",
    "یادداشت",
    "ملاحظات:",
    "تذکر",
    "نکته",
    "منبع:",
    "منبع ",
    "مأخذ",
    "ماخذ",
    "تهیه کننده",
    "تهیه‌کننده",
    "تنظیم کننده",
    "تأیید کننده",
    "تایید کننده",
    "امضا",
    "مهر و امضا",
    "نام و امضا",
    "تاریخ تهیه",
    "تاریخ گزارش",
    "note:",
    "notes:",
    "source:",
    "prepared by",
    "signature",
    "*",
    "※",
    "†",
)
ROW_NUMBER_KEYS: Final = frozenset(map(key, ("ردیف", "شماره ردیف", "ر", "row", "no", "no.", "#")))
_FIGURE: Final = re.compile(r"^[-+(]?\d[\d.,/٫٬،%٪)]*$")
REMARK_KEYS: Final = tuple(sorted({key(word) for word in _REMARKS}))


def total_keys(more: Iterable[str] = ()) -> frozenset[str]:
    """The keys of the usual total labels and of those that a layout adds."""
    return frozenset(key(word) for word in (*_TOTALS, *more))


def is_remark(text: str, more: Iterable[str] = ()) -> bool:
    """Whether a text that stands alone in its row begins like a note, source or signature."""
    return key(text).startswith((*REMARK_KEYS, *map(key, more)))


def is_figure(value: object) -> bool:
    """Whether a cell holds a number, as such or written."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return True
    return isinstance(value, str) and _FIGURE.match(key(value)) is not None


_UNITS: Final = frozenset(
    key(word)
    for word in (
        *("درصد", "٪", "%", "نفر", "عدد", "فقره", "مورد", "خانوار", "دستگاه", "واحد", "پروژه"),
        *("تن", "کیلوگرم", "کیلومتر", "متر", "مترمربع", "مترمکعب", "هکتار", "لیتر", "تعداد"),
        *("سال", "ماه", "روز", "ساعت", "دقیقه", "هزار", "میلیون", "میلیارد", "مگاوات"),
        *("کیلووات ساعت", "مگابیت بر ثانیه", "گیگابیت بر ثانیه", "شاخص", "نسبت", "مشترک", "خط"),
        *("percent", "pct", "persons", "number", "count", "tonnes", "km", "kg", "hours", "days"),
        *("unit", "mbps", "gbps", "mw", "index", "ratio", "households", "subscribers", "lines"),
    )
)
_SIZES: Final = tuple(key(word) for word in ("هزار", "میلیون", "میلیارد", "thousand", "million"))


def is_unit(text: str, more: Iterable[str] = ()) -> bool:
    """Whether a text is the name of a unit, perhaps in brackets or behind a magnitude."""
    bare = key(text).strip("()[]:«»")
    if bare in _UNITS or bare in {key(word) for word in more} or rial_power(bare) is not None:
        return True
    return any(bare.startswith(size) and bare[len(size) :] in _UNITS for size in _SIZES)
