"""Text keys: the form in which two spellings of one Persian name are the same.

In: raw text of cells, headers, names and aliases. Out: `key` / `key_series`, compared and joined
but never shown; `display`, shown and trimmed only. The raw text is kept beside both.

What a key forgets (traps T1-T7): Arabic letter forms (ي ى ك ة ۀ أ إ ٱ), presentation forms,
diacritics and tatweel, every space, joiner and direction mark, the digit system, Latin case.
What it keeps: ئ, ؤ, آ and punctuation. `loose_key` forgets آ, ؤ and ئ too; it serves suggestions
only and never decides.

Run the tests: `pytest tests/unit/ingestion/test_text.py`
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

import polars as pl

# Joiners, direction marks, isolates, byte order marks, soft hyphen, variation selectors (T3-T5).
INVISIBLE: Final = (
    "\u00ad\u061c\u180e\ufeff"
    + "".join(map(chr, range(0x200B, 0x2010)))
    + "".join(map(chr, range(0x202A, 0x202F)))
    + "".join(map(chr, range(0x2060, 0x2070)))
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)
SPACES: Final = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\u00a0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
# Arabic vowel signs, superscript alef, Koranic marks and tatweel.
_MARKS: Final = (
    "".join(map(chr, range(0x064B, 0x0660)))
    + "\u0640\u0670"
    + "".join(map(chr, range(0x0610, 0x061B)))
    + "".join(map(chr, range(0x06D6, 0x06DD)))
    + "".join(map(chr, range(0x06DF, 0x06E5)))
    + "\u06e7\u06e8\u06ea\u06eb\u06ec\u06ed"
)
PERSIAN_DIGITS: Final = "۰۱۲۳۴۵۶۷۸۹"
ARABIC_DIGITS: Final = "٠١٢٣٤٥٦٧٨٩"
DIGITS: Final[dict[str, str]] = {
    **{d: str(i) for i, d in enumerate(PERSIAN_DIGITS)},
    **{d: str(i) for i, d in enumerate(ARABIC_DIGITS)},
}
_LETTERS: Final[dict[str, str]] = {
    "ي": "ی",
    "ى": "ی",
    "ې": "ی",
    "ے": "ی",
    "ك": "ک",
    "ڪ": "ک",
    "ة": "ه",
    "ۀ": "ه",
    "ۂ": "ه",
    "ۃ": "ه",
    "ہ": "ه",
    "ھ": "ه",
    "ە": "ه",
    "أ": "ا",
    "إ": "ا",
    "ٱ": "ا",
}
# A Persian ye with a hamza above has no composed form in Unicode, yet it is the letter ئ.
_HAMZA_YE: Final = "\u06cc\u0654"

_DROP: Final = INVISIBLE + SPACES
_DROP_TABLE: Final = str.maketrans("", "", _DROP)
_KEY_MAP: Final[dict[str, str]] = {
    **dict.fromkeys(_DROP + _MARKS, ""),
    **_LETTERS,
    **DIGITS,
}
_KEY_TABLE: Final = str.maketrans(_KEY_MAP)
_LOOSE_TABLE: Final = str.maketrans({"آ": "ا", "ؤ": "و", "ئ": "ی"})

_PERSIAN_LETTERS: Final = frozenset("ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیيىكةۀإٱ")
_EDGES: Final = INVISIBLE + SPACES


def key(text: str) -> str:
    """The key of one text; equal for all spellings that mean the same name."""
    bare = unicodedata.normalize("NFKC", text.translate(_DROP_TABLE))
    return bare.replace(_HAMZA_YE, "ئ").translate(_KEY_TABLE).lower()


# what marks a footnote behind a name: raised digits, perhaps with a bracket, stars and daggers
FOOTNOTE: Final = (
    r"(?:\s*(?:[\u00b9\u00b2\u00b3\u2070\u2074-\u2079]+[)،,]?|[*\u2020\u2021\u203b]+))+\s*$"
)
_FOOTNOTE: Final = re.compile(FOOTNOTE)


def without_footnote(text: str) -> str:
    """The text without marks of footnotes at its end; a text of marks only stays as it is."""
    return _FOOTNOTE.sub("", text.rstrip(_EDGES)) or text


def loose_key(text: str) -> str:
    """`key` that also takes آ for ا, ؤ for و and ئ for ی: for suggestions, never for matching."""
    return key(text).translate(_LOOSE_TABLE)


def display(text: str) -> str:
    """The text as people see it: spaces and invisible marks at both ends removed, no more."""
    return text.strip(_EDGES)


def key_expr(expr: pl.Expr) -> pl.Expr:
    """`key` as a polars expression over a Utf8 column; null stays null."""
    bare = expr.str.replace_many(list(_DROP), [""] * len(_DROP)).str.normalize("NFKC")
    return (
        bare.str.replace_all(_HAMZA_YE, "ئ", literal=True)
        .str.replace_many(list(_KEY_MAP), list(_KEY_MAP.values()))
        .str.to_lowercase()
    )


def display_expr(expr: pl.Expr) -> pl.Expr:
    """`display` as a polars expression over a Utf8 column; null stays null."""
    return expr.str.strip_chars(_EDGES)


def key_series(texts: pl.Series) -> pl.Series:
    """The keys of a Utf8 series, same name and height; null stays null.

    Names repeat: every distinct text is normalised once and mapped back.
    """
    return map_distinct(texts, key_expr)


def display_series(texts: pl.Series) -> pl.Series:
    """`display` of a Utf8 series, same name and height; null stays null."""
    return texts.to_frame("t").select(display_expr(pl.col("t")).alias(texts.name)).to_series()


def persian_share(text: str) -> float:
    """Persian and Arabic letters as a share (0-1) of all letters; 0 when there is no letter.

    Readers hold a guessed encoding against it: text decoded wrongly is all letters and symbols,
    hardly any of them Persian (trap T10).
    """
    letters = sum(map(str.isalpha, text))
    if letters == 0:
        return 0.0
    folded = unicodedata.normalize("NFKC", text)
    persian = sum(char in _PERSIAN_LETTERS for char in folded)
    return min(1.0, persian / letters)


def map_distinct(texts: pl.Series, rule: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """`rule` applied to each distinct text of a series where that pays, and mapped back."""
    distinct = texts.drop_nulls().unique()
    if distinct.len() > texts.len() // 2:
        return texts.to_frame("t").select(rule(pl.col("t")).alias(texts.name)).to_series()
    mapped = distinct.to_frame("t").select(rule(pl.col("t"))).to_series()
    return texts.replace_strict(distinct, mapped, default=None, return_dtype=mapped.dtype)
