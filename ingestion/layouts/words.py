"""The words by which a row is known to be a total or a remark, as text keys.

A total is recognised by the whole cell, never by its beginning: «جمع آوری داده» is a project.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ingestion.normalise.text import key

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
REMARK_KEYS: Final = tuple(sorted({key(word) for word in _REMARKS}))


def total_keys(more: Iterable[str] = ()) -> frozenset[str]:
    """The keys of the usual total labels and of those that a layout adds."""
    return frozenset(key(word) for word in (*_TOTALS, *more))


def is_remark(text: str) -> bool:
    """Whether a text that stands alone in its row begins like a note, source or signature."""
    return key(text).startswith(REMARK_KEYS)
