"""Words that stand where a value should: blanks, yes and no, spreadsheet errors.

In: raw text and, for spreadsheet errors, the type of the cell. Out: what the words mean, each kind
of absence under its own code (traps N11, N13). Zero is a number and never an absence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

from ingestion.normalise.rules import Reading, no_reason
from ingestion.normalise.text import INVISIBLE, SPACES, key, key_series
from ingestion.table import CellType

NOT_APPLICABLE: Final = "not-applicable"
NOT_REPORTED: Final = "not-reported"
WITHHELD: Final = "withheld"

_ABSENT: Final[dict[str, tuple[str, ...]]] = {
    NOT_APPLICABLE: (
        "-",
        "–",
        "—",
        "−",
        "--",
        "---",
        "n/a",
        "na",
        "n.a.",
        "none",
        "not applicable",
        "ندارد",
        "موضوعیت ندارد",
        "مصداق ندارد",
        "کاربرد ندارد",
        "موردی ندارد",
    ),
    NOT_REPORTED: (
        "nd",
        "n.d.",
        "no data",
        "unknown",
        "not reported",
        "null",
        "nan",
        # of the United Nations, the World Bank and Eurostat
        "..",
        "...",
        ":",
        "?",
        "؟",
        "نامشخص",
        "نامعلوم",
        "گزارش نشده",
        "اعلام نشده",
        "اعلام نشد",
        "دریافت نشده",
        "فاقد اطلاعات",
        "بدون اطلاعات",
    ),
    WITHHELD: (
        "section 43",
        "section43",
        "withheld",
        "confidential",
        "محرمانه",
        "طبقه‌بندی شده",
        "غیرقابل انتشار",
    ),
}
_ABSENT_BY_KEY: Final[dict[str, str]] = {
    key(word): code for code, words in _ABSENT.items() for word in words
}
# reasons to withhold run on: "Exempt under Section 43 of the Freedom of Information Act ..."
_WITHHELD_BY: Final = tuple(
    map(key, ("exempt under section", "exempt from publication", "withheld under", "redacted"))
)
_TRUE: Final = (
    *("بله", "بلی", "آری", "دارد", "هست", "است", "درست", "انجام شده", "شده"),
    *("true", "yes", "y", "1", "✓", "✔", "☑", "✅"),
)
_FALSE: Final = (
    *("خیر", "نه", "ندارد", "نیست", "نادرست", "غلط", "انجام نشده", "نشده"),
    *("false", "no", "n", "0", "✗", "✘", "☒", "×", "❌"),
)
_ERROR: Final = (
    r"^#(REF!|DIV/0!|N/A|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!|FIELD!|BLOCKED!|CONNECT!|BUSY!"
    r"|UNKNOWN!|GETTING_DATA|EXTERNAL!|PYTHON!)$|^#{2,}$"
)


def blanks(texts: pl.Series, blank_words: Iterable[str] = ()) -> pl.Series:
    """Boolean: cells that hold nothing, nothing visible, or one of the declared blank words."""
    empty = texts.is_null() | (texts.str.strip_chars(SPACES + INVISIBLE) == "").fill_null(True)
    declared = [key(word) for word in blank_words]
    if not declared:
        return empty
    return empty | key_series(texts).is_in(declared).fill_null(False)


def cell_faults(texts: pl.Series, kind: pl.Series | None) -> pl.Series:
    """Utf8 reasons of cells that cannot hold a value: `error-value`, `formula-without-value`."""
    is_error = texts.str.contains("#", literal=True).fill_null(False)
    if is_error.any():
        is_error = is_error & texts.str.strip_chars(SPACES + INVISIBLE).str.contains(_ERROR)
    if kind is None:
        if not is_error.any():
            return no_reason(texts.len())
        return pl.select(pl.when(is_error).then(pl.lit("error-value")).alias("r")).to_series()
    return pl.select(
        pl.when(kind == int(CellType.NO_VALUE))
        .then(pl.lit("formula-without-value"))
        .when(is_error | (kind == int(CellType.ERROR)))
        .then(pl.lit("error-value"))
        .alias("r")
    ).to_series()


def absences(texts: pl.Series) -> pl.Series:
    """Utf8: `not-applicable`, `not-reported` or `withheld` where the text is such a word.

    Looked up by text key among the distinct texts that no number or date could be.
    """
    wordy = texts.str.contains(r"^[^0-9۰-۹٠-٩]*$|(?i)section").fill_null(False)
    if not wordy.any():
        return no_reason(texts.len())
    distinct = texts.filter(wordy).unique()
    codes = pl.Series("c", [_absence(key(text)) for text in distinct.to_list()], dtype=pl.Utf8)
    return texts.replace_strict(distinct, codes, default=None, return_dtype=pl.Utf8)


def _absence(text: str) -> str | None:
    """The code of a text key."""
    return WITHHELD if text.startswith(_WITHHELD_BY) else _ABSENT_BY_KEY.get(text)


def booleans(
    texts: pl.Series, true_words: Iterable[str] = (), false_words: Iterable[str] = ()
) -> Reading:
    """Yes or no by the declared words; the usual Persian and English ones where none is declared.

    Reason: `not-a-boolean`. Null stays null.
    """
    true, false = tuple(true_words), tuple(false_words)
    if not true and not false:
        true, false = _TRUE, _FALSE
    meaning = {
        **{key(w): True for w in (*true, "true")},
        **{key(w): False for w in (*false, "false")},
    }
    distinct = texts.drop_nulls().unique()
    values = pl.Series(
        "v", [meaning.get(key(text)) for text in distinct.to_list()], dtype=pl.Boolean
    )
    value = texts.replace_strict(distinct, values, default=None, return_dtype=pl.Boolean)
    unread = texts.is_not_null() & value.is_null()
    reason = pl.select(pl.when(unread).then(pl.lit("not-a-boolean")).alias("r")).to_series()
    return Reading(value, reason)
