"""What the modules of the child share: the refusal, addresses, number formats, safe XML.

In: nothing. Out: small functions. The rooms of the house are not imported here.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

_CELL = re.compile(r"([A-Z]+)([0-9]+)$")
# what a number format shows literally: quoted, escaped, in brackets, or skipped space
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
BUILTIN_PERCENT = {9: "0%", 10: "0.00%"}
_RAISED = str.maketrans(
    {digit: "⁰¹²³⁴⁵⁶⁷⁸⁹"[i % 10] for i, digit in enumerate("0123456789۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩")}
)


class Refused(Exception):  # noqa: N818 - an answer, not a fault of the program
    """What the parent will raise as ReadError(code, message)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def is_scaling(code: str) -> bool:
    """Whether a number format shows a hundred times the value; a literal % sign does not."""
    return "%" in _LITERAL.sub("", code)


def shows_a_plain_number(code: str) -> bool:
    """Whether a number format can show nothing but the number itself, perhaps with words."""
    bare = re.sub(r'"[^"]*"|\\.|_.|\*.|\[(?:Red|Blue|Black|White|Green)\]', "", code)
    return bool(re.fullmatch(r"(?:General|@|E[+-]|[#0?,.;()+ -])+", bare))


def raised(text: str) -> str:
    """Text that stands above the line, its digits as such: the mark of a footnote is no digit."""
    return text.translate(_RAISED)


def parser() -> Any:
    """An XML parser that opens nothing and expands nothing."""
    return etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)


def position(reference: str) -> tuple[int, int]:
    """`B3` -> (2, 1), zero-based row and column."""
    match = _CELL.match(reference)
    if match is None:
        raise ValueError(f"'{reference}' is no cell address")
    column = 0
    for letter in match.group(1):
        column = column * 26 + ord(letter) - 64
    return int(match.group(2)) - 1, column - 1


def address(row: int, column: int) -> str:
    """(2, 1) -> `B3`."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"
