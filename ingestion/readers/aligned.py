"""Text tables without separators: cells that stand below each other, or are parted by blanks.

In: the lines of a text and how they are to be cut. Out: rows of cells. A cut is made only where it
is proven: by blanks that run through all lines of the table, by declared columns that cut through
no word, or by the same number of words in every line. A line that can't be cut for certain stops
the file; titles and notes, which run across columns, stay one cell.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingestion.errors import ReadError
from ingestion.normalise.text import INVISIBLE

# rulings are no cells, but they tell nothing of columns either
_RULING: Final = re.compile(r"^[\s\-=_+|.\u2500-\u257f]+$")
_LEADERS: Final = re.compile(r" *\.{4,} *")
_CELL: Final = re.compile(r"\S+(?:[ \u00a0]\S+)*")
_MIN_LINES: Final = 3
_SHARE: Final = 0.6


@dataclass(frozen=True)
class _Token:
    """A text of a line and where it stands, in characters that take up room."""

    text: str
    start: int
    end: int


def by_spaces(lines: Sequence[str], name: str) -> list[list[str]]:
    """Each run of blanks parts two cells.

    From the first to the last line with the usual number of cells every line must have it: a blank
    cell or a name of two words would move all cells behind it. Raises `ReadError`
    (`columns-unclear`).
    """
    rows = [line.split() for line in lines]
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return [[line] for line in lines]
    width, count = widths.most_common(1)[0]
    if count < _MIN_LINES - 1:
        raise _unclear("The lines have different numbers of words.", name, 1)
    within = [i for i, row in enumerate(rows) if len(row) == width]
    found: list[list[str]] = []
    for i, row in enumerate(rows):
        if len(row) == width:
            found.append(row)
        elif not row or i < within[0] or i > within[-1] or _RULING.match(lines[i]):
            found.append([lines[i].strip()])
        else:
            raise _unclear(
                f"Line {i + 1} has {len(row)} words, the others have {width}.", name, i + 1
            )
    return found


def by_columns(lines: Sequence[str], starts: Sequence[int], name: str) -> list[list[str]]:
    """Cut at declared positions, counted from 1 in visible characters.

    A line in which a word runs across a cut is a title or note where it has no digits, and is
    refused otherwise. Raises `ReadError` (`columns-unclear`).
    """
    _refuse_tabs(lines, name)
    cuts = [start - 1 for start in starts]
    if cuts and cuts[0] > 0:
        cuts.insert(0, 0)
    found: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        seen = _visible(line)
        if any(
            cut < len(seen) and not seen[cut].isspace() and not seen[cut - 1].isspace()
            for cut in cuts
            if cut > 0
        ):
            if any(char.isdigit() for char in line) and not _RULING.match(line):
                raise _unclear(f"A column begins inside a word of line {number}.", name, number)
            found.append([line.strip()])
            continue
        ends = [*cuts[1:], len(seen)]
        found.append(["".join(seen[cut:end]).strip() for cut, end in zip(cuts, ends, strict=True)])
    return found


def by_alignment(lines: Sequence[str], name: str) -> list[list[str]]:
    """Cells that stand below each other, two blanks apart.

    The columns are the places of the cells of all lines that have the usual number of them; these
    may not touch. Cells of other lines must each stand in one column: a line may leave columns
    blank. Raises `ReadError` (`columns-unclear`).
    """
    _refuse_tabs(lines, name)
    # dots that lead the eye from a name to its figure are blanks; «...» alone is a value
    tokens = [_tokens(_LEADERS.sub(lambda m: " " * len(m.group()), line)) for line in lines]
    wide = Counter(len(t) for t, line in zip(tokens, lines, strict=True) if _counts(t, line))
    if not wide:
        raise _unclear("No line has two texts with two blanks between them.", name, 1)
    most = max(wide.values())
    width = max(n for n, count in wide.items() if count >= _SHARE * most)
    model = [i for i, t in enumerate(tokens) if len(t) == width and not _RULING.match(lines[i])]
    if len(model) < _MIN_LINES or len(model) < 0.5 * sum(wide.values()):
        raise _unclear("The lines have different numbers of cells.", name, 1)
    columns = [
        (min(tokens[i][c].start for i in model), max(tokens[i][c].end for i in model))
        for c in range(width)
    ]
    for left, right in itertools.pairwise(columns):
        if left[1] >= right[0]:
            raise _unclear(
                f"The columns around character {right[0] + 1} run into each other.", name, 1
            )
    return [
        _placed(tokens[i], columns, line, i, model[0] <= i <= model[-1], name)
        for i, line in enumerate(lines)
    ]


def _refuse_tabs(lines: Sequence[str], name: str) -> None:
    for number, line in enumerate(lines, 1):
        if "\t" in line.strip():
            raise _unclear(
                f"Line {number} holds a tab, which has no width of its own.", name, number
            )


def _placed(
    tokens: Sequence[_Token],
    columns: Sequence[tuple[int, int]],
    line: str,
    index: int,
    is_inside: bool,
    name: str,
) -> list[str]:
    row = [""] * len(columns)
    if _RULING.match(line):
        return [line.strip()]
    for token in tokens:
        touched = [
            c for c, (start, end) in enumerate(columns) if token.start < end and token.end > start
        ]
        if len(touched) != 1 or row[touched[0]]:
            if not is_inside or len(tokens) == 1:
                # a title or a note runs across
                return [line.strip()]
            raise _unclear(
                f"'{token.text[:40]}' in line {index + 1} stands below no single column.",
                name,
                index + 1,
            )
        row[touched[0]] = token.text
    return row


def _counts(tokens: Sequence[_Token], line: str) -> bool:
    return len(tokens) > 1 and not _RULING.match(line)


def _tokens(line: str) -> list[_Token]:
    """The texts of a line that two blanks part, with their places in visible characters."""
    places: list[int] = []
    at = 0
    for char in line:
        places.append(at)
        at += not _takes_no_room(char)
    places.append(at)
    return [
        _Token(match.group(), places[match.start()], places[match.end()])
        for match in _CELL.finditer(line)
    ]


def _visible(line: str) -> list[str]:
    """The line by places; marks that take no room stay with the letter before them."""
    found: list[str] = []
    for char in line:
        if found and _takes_no_room(char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _takes_no_room(char: str) -> bool:
    return char in INVISIBLE or unicodedata.combining(char) != 0


def _unclear(message: str, name: str, line: int) -> ReadError:
    return ReadError(
        "columns-unclear",
        message,
        "Say in the source file how the text is cut, 'text: {columns: [1, 25, 40]}' with the first "
        "character of each column or 'text: {separator: ...}', or ask for a CSV export.",
        f"{name}:{line}",
    )
