"""Money in rial, whatever unit a source counts in.

In: a declared unit or the words behind a number. Out: powers of ten (every unit in use is one).
A toman is 10 rial. The unit is compulsory (trap N10): a column without one is not read, and a cell
whose own words name another unit than the declared one is refused, not converted behind anyone's
back.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import polars as pl

from ingestion.normalise.text import key

_CURRENCY: Final = {"ریال": 0, "rial": 0, "rials": 0, "irr": 0, "تومان": 1, "toman": 1, "tomans": 1}
_MAGNITUDE: Final = {
    "هزار": 3,
    "thousand": 3,
    "میلیون": 6,
    "million": 6,
    "میلیارد": 9,
    "billion": 9,
    "تریلیون": 12,
    "trillion": 12,
}
# "hemmat", a thousand billion toman, is used as a unit of its own
_WHOLE: Final = {key("همت"): 13, "hemmat": 13}
_KEYED: Final[dict[str, tuple[str, int]]] = {
    **{key(word): ("magnitude", power) for word, power in _MAGNITUDE.items()},
    **{key(word): ("currency", power) for word, power in _CURRENCY.items()},
}
# a sign of money, a number, words without digits
_SIGNED: Final = re.compile(r"^([^\w.,+\-()]*)([-+(]?[\d.,٫٬،\u2212]+[)]?)([^\d.,٫٬،+\-()]*)$")
_WORDS: Final = re.compile("|".join(sorted(map(re.escape, _KEYED), key=len, reverse=True)))


def rial_power(unit: str) -> int | None:
    """The power of ten that turns one `unit` into rial; None when it is no full unit of money.

    Persian or English words in any spelling: `میلیون ریال`, `million_rial`, `هزار تومان`, `IRR`.
    A magnitude without a currency (`میلیون`) is no unit: rial or toman would be a guess.
    """
    bare = re.sub(r"[_\-./()]", "", key(unit))
    if bare in _WHOLE:
        return _WHOLE[bare]
    found = _WORDS.findall(bare)
    if "".join(found) != bare or not found:
        return None
    kinds = [_KEYED[word][0] for word in found]
    if kinds[-1] != "currency" or kinds.count("currency") != 1:
        return None
    return sum(_KEYED[word][1] for word in found)


def without_unit(texts: pl.Series, unit: str) -> pl.Series:
    """Numbers without the words or the sign of their own declared unit before or behind them.

    `£33.7`, `33.7 £m` and `£33.7m` are 33.7 of the unit `£m`; `£2bn` stays as it is, and is
    refused. Only whole words of the unit count, so that no other unit is ever taken off.
    """
    odd = texts.str.contains(r"[^0-9.,٫٬،+\-]").fill_null(False)
    if not odd.any():
        return texts
    at = odd.arg_true()
    own = key(unit)
    sign = "".join(char for char in own if unicodedata.category(char) == "Sc")
    words = {own, own.replace(sign, "") if sign else own} - {""}
    found = [_bare(text, sign, words) for text in texts.gather(at).to_list()]
    return texts.clone().scatter(at, pl.Series(found, dtype=pl.Utf8))


def _bare(text: str, sign: str, words: set[str]) -> str:
    match = _SIGNED.match(text)
    if match is None:
        return text
    before, number, after = match.group(1, 2, 3)
    is_signed = not before.strip() or key(before) == sign
    is_worded = not after.strip() or key(after) in words or (key(after) == sign and bool(sign))
    return number if is_signed and is_worded else text
