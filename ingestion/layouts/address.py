"""Cell addresses: `Sheet!D7` to zero-based positions and back."""

from __future__ import annotations

import re

_CELL = re.compile(r"^\$?([A-Za-z]{1,3})\$?([1-9][0-9]{0,6})$")


def letters(column: int) -> str:
    """The letters of a zero-based column: 0 -> A, 16383 -> XFD."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def address(sheet: str, row: int, column: int) -> str:
    """`Sheet!D7` of a zero-based position."""
    return f"{sheet}!{letters(column)}{row + 1}"


def parse(text: str) -> tuple[str | None, int, int] | None:
    """Sheet (None when not named), row and column of `D7` or `Sheet!D7`; None for anything else."""
    sheet, mark, cell = text.rpartition("!")
    match = _CELL.match(cell.strip())
    if match is None:
        return None
    column = 0
    for letter in match.group(1).upper():
        column = column * 26 + ord(letter) - 64
    return (sheet.strip().strip("'") if mark else None), int(match.group(2)) - 1, column - 1
