"""Rows of a table that are no records, known by their form: headings of groups, rows of units and
of column numbers under the header, rulings of text tables.

In: the rows below a header. Out: positions with their reason, headings with what they say. Nothing
here changes a cell; a unit that contradicts the declared one is refused (trap N10).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestion.errors import LayoutError
from ingestion.layouts.cells import is_blank, text_of
from ingestion.layouts.patterns import caught
from ingestion.layouts.words import is_unit
from ingestion.normalise.text import key
from ingestion.normalise.units import rial_power
from ingestion.spec.model import Layout

# rows below the header among which units and column numbers stand
SEARCHED_ROWS: Final = 3
# so many names are looked at to tell a numbering from names
LABELS_SEEN: Final = 200
_NUMBERED: Final = re.compile(r"^\(?(\d{1,3})\)?(?:=.*)?$")
_RULING: Final = re.compile(r"^[-=+_|:.\u2500-\u257f\u2014\u2013]{3,}$")
_RULES: Final = frozenset("-=+_|:.\u2014\u2013") | {chr(code) for code in range(0x2500, 0x2580)}
# titles such as «ارقام به میلیون ریال»: the unit of the whole table
_MONEY: Final = re.compile("(?:هزار|میلیون|میلیارد|تریلیون)*(?:ریال|تومان)")
_TITLE_UNIT: Final = re.compile(
    "(?:ارقام|مبالغ|مبلغ|واحد|اعداد)(?:به|:|بر?حسب|\\(|=)*((?:هزار|میلیون|میلیارد|تریلیون)*(?:ریال|تومان))"
)


@dataclass(frozen=True)
class Heading:
    """A heading inside the table: its row, what it says, and its level, 0 = the outermost."""

    row: int
    column: int
    level: int
    text: str


def heading_of(row: int, column: int, text: str, patterns: Sequence[str]) -> Heading | None:
    """The heading that a lone text is by the first of the patterns that fits."""
    for level, pattern in enumerate(patterns):
        found = caught(text, pattern)
        if found is not None:
            return Heading(row, column, level, next(iter(found.values())))
    return None


def in_force(
    headings: Sequence[Heading], level: int, keep: Sequence[int], state: Sequence[str | None]
) -> Iterator[Heading | None]:
    """For each data row the heading of `level` that holds for it.

    A heading ends those of its own and inner levels above it. Behind a total row some heading
    must follow: rows without one belong to no group for certain.
    """
    totals = [i for i, reason in enumerate(state) if reason == "total"]
    position = at_total = 0
    current: Heading | None = None
    latest = -1
    last_total = -1
    for row in keep:
        while position < len(headings) and headings[position].row < row:
            heading = headings[position]
            latest = heading.row
            if heading.level == level:
                current = heading
            elif heading.level < level:
                current = None
            position += 1
        while at_total < len(totals) and totals[at_total] < row:
            last_total = totals[at_total]
            at_total += 1
        yield current if last_total < latest else None


def below_header(
    rows: Sequence[Sequence[Any]],
    columns: Sequence[int],
    labels: Mapping[int, Sequence[Any]],
    layout: Layout,
) -> dict[int, str]:
    """Rows directly below the header that number the columns (`header`) or name units (`units`).

    `labels` are the values of the columns that hold names. A row of numbers is only taken for a
    numbering where the other rows of these columns hold words.
    """
    found: dict[int, str] = {}
    for i, row in enumerate(rows[:SEARCHED_ROWS]):
        if all(map(is_blank, row)):
            continue
        if _is_numbering(i, row, labels):
            found[i] = "header"
        elif _is_units(row, columns, labels, layout):
            found[i] = "units"
        else:
            break
    return found


def rulings(rows: Sequence[Sequence[Any]]) -> list[int]:
    """Rows of dashes, as programs print them between the rows of a text table."""
    found = []
    for i, row in enumerate(rows):
        # most rows are told by their first cell: a million of them must not take long
        first = next((value for value in row if value), None)
        if type(first) is not str or not (first[0] in _RULES or first[0].isspace()):
            continue
        filled = [value for value in row if not is_blank(value)]
        if filled and all(type(v) is str and _RULING.match(v.strip()) for v in filled):
            found.append(i)
    return found


def refuse_other_unit(text: str, declared: str, at: str) -> None:
    """Raise `unit-mismatch` when a unit of money is not the declared one."""
    power = rial_power(key(text).strip("()[]:«»"))
    if power is not None and power != rial_power(declared):
        raise _mismatch(text, declared, at)


def refuse_header_unit(title: str, declared: str, at: str) -> None:
    """Raise `unit-mismatch` when a column's own title names another unit of money."""
    powers = {rial_power(unit) for unit in _MONEY.findall(key(title))}
    if powers and rial_power(declared) not in powers:
        raise _mismatch(title, declared, at)


def refuse_title_unit(text: str, declared: Sequence[str], at: str) -> None:
    """Raise `unit-mismatch` when a title names a unit of money that no column was declared in.

    A unit that stands alone above the table, or in brackets, is the table's too.
    """
    bare = key(text)
    match = _TITLE_UNIT.search(bare)
    said = match.group(1) if match else bare.strip("()[]:«»").removeprefix("به")
    power = rial_power(said)
    if power is not None and power not in {rial_power(unit) for unit in declared}:
        raise _mismatch(text, ", ".join(sorted(set(declared))), at)


def _mismatch(text: str, declared: str, at: str) -> LayoutError:
    return LayoutError(
        "unit-mismatch",
        f"The sheet says '{text.strip()[:80]}', the source file says '{declared}'.",
        "Correct 'unit' in the source file, from the day on on which the agency changed it.",
        at,
    )


def _is_numbering(i: int, row: Sequence[Any], labels: Mapping[int, Sequence[Any]]) -> bool:
    texts = [key(text_of(value) or "") for value in row if not is_blank(value)]
    numbers = [_NUMBERED.match(text) for text in texts]
    if len(texts) < 3 or not all(numbers):
        return False
    found = [int(match.group(1)) for match in numbers if match]
    if found[0] > found[-1]:
        found.reverse()
    if found[0] not in (0, 1) or found != list(range(found[0], found[0] + len(found))):
        return False
    for values in labels.values():
        others = [key(text_of(v) or "") for n, v in enumerate(values[:LABELS_SEEN]) if n != i]
        words = sum(bool(text) and not text.isdigit() for text in others)
        if words and words >= sum(text.isdigit() for text in others):
            return True
    return False


def _is_units(
    row: Sequence[Any],
    columns: Sequence[int],
    labels: Mapping[int, Sequence[Any]],
    layout: Layout,
) -> bool:
    filled = {column: value for column, value in enumerate(row) if not is_blank(value)}
    if not all(type(v) is str and is_unit(v, layout.unit_words) for v in filled.values()):
        return False
    # the row of a record has its name, and names its unit in one column at most
    return bool(set(filled) & (set(columns) - set(labels)))
