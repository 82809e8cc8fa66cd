"""Text tables (csv, tsv and their Persian relatives) to a grid.

In: bytes whose format is text. Out: one `Grid` of strings. The separator is proven by the number of
columns being the same all the way down (trap T11), never taken from the file's name.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Final

from ingestion.errors import ReadError
from ingestion.readers.aligned import by_alignment, by_columns, by_spaces
from ingestion.readers.encoding import decode
from ingestion.readers.limits import Limits
from ingestion.spec.model import TextForm
from ingestion.table import Grid

_ANY: Final = TextForm()

# In the order of trust: a comma is also a decimal or thousands mark.
SEPARATORS: Final = ("\t", ";", "؛", "|", ",", "،")
_SNIFF_CHARS: Final = 200_000
_SNIFF_ROWS: Final = 300
_CSV_FIELD_LIMIT: Final = 1_000_000


def read_text(data: bytes, name: str, limits: Limits, form: TextForm = _ANY) -> Grid:
    """The table in `data`, cut as `form` says, else as the text itself proves.

    Raises `ReadError`: what `decode` raises, `separator-unclear`, `columns-unclear`,
    `broken-quotes`, `too-many-cells`, `empty-file`.
    """
    text, _ = decode(data, name, form.encoding)
    if not text.strip():
        raise ReadError("empty-file", "The file is empty.", "Send the file again.", name)
    if form.columns or form.separator in ("spaces", "aligned"):
        return _without_separator(text, name, limits, form)
    separator = form.separator or _declared(text) or _sniffed(text, name)
    if separator is None:
        return _perhaps_aligned(text, name, limits)
    body = text.split("\n", 1)[1] if _declared(text) else text
    skipped = 1 if _declared(text) else 0
    csv.field_size_limit(_CSV_FIELD_LIMIT)
    reader = csv.reader(
        io.StringIO(body, newline=""),
        delimiter=separator,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if form.quotes else csv.QUOTE_NONE,
    )
    rows: list[list[str]] = [[f"sep={separator}"]] if skipped else []
    cells = 0
    try:
        for row in reader:
            cells += len(row)
            if cells > limits.max_cells:
                raise ReadError(
                    "too-many-cells",
                    f"The table has more than {limits.max_cells} cells.",
                    "Split it, or raise the limit for this source.",
                    f"{name}:{reader.line_num + skipped}",
                )
            rows.append(row)
    except csv.Error as error:
        raise ReadError(
            "broken-quotes",
            f"The table breaks off in line {reader.line_num + skipped}: {error}.",
            "Close the quotes in this line or the ones before, and send the file again.",
            f"{name}:{reader.line_num + skipped}",
        ) from None
    return Grid(name, rows, is_delimited=True)


def _without_separator(text: str, name: str, limits: Limits, form: TextForm) -> Grid:
    lines = text.splitlines()
    if form.columns:
        rows = by_columns(lines, form.columns, name)
    elif form.separator == "spaces":
        rows = by_spaces(lines, name)
    else:
        rows = by_alignment(lines, name)
    if sum(map(len, rows)) > limits.max_cells:
        raise ReadError(
            "too-many-cells",
            f"The table has more than {limits.max_cells} cells.",
            "Split it, or raise the limit for this source.",
            name,
        )
    return Grid(name, list(rows), is_delimited=True)


def _perhaps_aligned(text: str, name: str, limits: Limits) -> Grid:
    """A text without separators: columns where they are proven, else a single one."""
    lines = text.splitlines()
    try:
        return _without_separator(text, name, limits, TextForm(separator="aligned"))
    except ReadError as error:
        if error.code != "columns-unclear":
            raise
    return Grid(name, [[line] for line in lines], is_delimited=True)


def _sniffed(text: str, name: str) -> str | None:
    """The separator; None when the text has none, or has its signs only inside aligned cells."""
    if not any(separator in text for separator in SEPARATORS):
        return None
    try:
        return sniff_separator(text, name)
    except ReadError:
        try:
            by_alignment(text.splitlines(), name)
        except ReadError:
            pass
        else:
            return None
        raise


def sniff_separator(text: str, name: str = "") -> str:
    """The separator that gives the same number of columns (2 or more) all the way down.

    A table of one column has no separator; ',' is returned for it. Of two that are confirmed the
    one wins whose columns begin earlier: a header holds no decimal commas and no prose. Raises
    `ReadError` (`separator-unclear`) when none is confirmed.
    """
    sample = text[:_SNIFF_CHARS]
    if len(text) > _SNIFF_CHARS:
        sample = sample.rsplit("\n", 1)[0]
    scores: dict[str, tuple[float, int]] = {}  # share of lines that agree, first such line
    for separator in SEPARATORS:
        if separator not in sample:
            continue
        widths = _widths(sample, separator)
        wide = [width for width in widths if width > 1]
        if not wide:
            continue
        width, count = Counter(wide).most_common(1)[0]
        # Titles and notes have one column; they neither confirm nor deny. But a separator that
        # most rows lack is a sign inside the text.
        share = min(count / len(wide), 2 * len(wide) / len(widths))
        scores[separator] = (share, widths.index(width))
    if not scores:
        return ","
    best = max(score for score, _ in scores.values())
    if best < 0.6:
        tried = ", ".join(f"{s!r} ({score:.0%})" for s, (score, _) in scores.items())
        raise ReadError(
            "separator-unclear",
            f"No separator gives the same number of columns in most lines: {tried}.",
            "Say which one it is with 'text: {separator: ...}' in the source file, or export the "
            "table again with ';' or tab between the columns.",
            name,
        )
    confirmed = [s for s in SEPARATORS if s in scores and scores[s][0] >= best - 0.05]
    return min(confirmed, key=lambda s: scores[s][1])


def _widths(sample: str, separator: str) -> list[int]:
    widths: list[int] = []
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                widths.append(len(row))
            if len(widths) >= _SNIFF_ROWS:
                break
    except csv.Error:
        return widths
    return widths


def _declared(text: str) -> str | None:
    """Excel's own first line `sep=;`."""
    first = text[:10].split("\n", 1)[0].rstrip("\r")
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4]
    return None
