"""The names and versions of the rules that read raw text.

In: nothing. Out: `RULES`, one version number a rule; `rule(name)`, the name that findings keep
(`number/1`); `RULES_VERSION`, what a load is stamped with; `Reading`, what every rule returns.

Whoever changes what a rule makes of some text raises its number here: loads under the old number
stay as they are, and a replay under the new one is told apart from them (trap Q7).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import polars as pl

RULES: Final[dict[str, int]] = {
    "blank": 1,
    "boolean": 1,
    "calendar": 1,
    "code": 2,
    "date": 2,
    "domain": 1,
    "duplicate": 1,
    "error-value": 1,
    "fall": 1,
    "future": 1,
    "identifier": 1,
    "instant": 2,
    "integer": 1,
    "json": 1,
    "key": 2,
    "layout": 3,
    "missing": 1,
    "mixed-digits": 1,
    "number": 3,
    "percent": 1,
    "period": 3,
    "rial": 2,
    "source": 2,
    "text": 1,
    "total": 1,
}


def rule(name: str) -> str:
    """`number` -> `number/1`; KeyError for a rule that is not registered."""
    return f"{name}/{RULES[name]}"


RULES_VERSION: Final = hashlib.sha256(
    ",".join(rule(name) for name in sorted(RULES)).encode()
).hexdigest()[:12]


@dataclass(frozen=True)
class Reading:
    """What a rule made of a column; every series has the column's height.

    value: typed, null where blank or refused; reason: Utf8, a code of
    `ingestion.contracts.reasons`, null where the cell was read or is blank; detail: Utf8, what to
    add to the message (suggestions, the other reading), or None when there is nothing to add.
    """

    value: pl.Series
    reason: pl.Series
    detail: pl.Series | None = None


def no_reason(height: int) -> pl.Series:
    """A reason series that refuses nothing."""
    return pl.Series("reason", [None], dtype=pl.Utf8).new_from_index(0, height)
