"""Money in rial, whatever unit a source counts in.

In: a declared unit or the words behind a number. Out: powers of ten (every unit in use is one).
A toman is 10 rial. The unit is compulsory (trap N10): a column without one is not read, and a cell
whose own words name another unit than the declared one is refused, not converted behind anyone's
back.
"""

from __future__ import annotations

import re
from typing import Final

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
