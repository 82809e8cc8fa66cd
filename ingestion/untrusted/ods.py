"""The parts of an OpenDocument sheet that calamine drops (traps N4, N13, X2, X4, X5).

In: the bytes of an .ods file. Out: for a sheet its error values, formulas without a value, merged
ranges, hidden rows and columns, the cells that are percentages, and texts with raised digits (marks
of footnotes). The content is parsed only when
a search of the raw bytes has found a trace of these.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Set
from typing import Any

from lxml import etree

from ingestion.untrusted.common import Refused, raised

_CONTENT = "content.xml"
_MARKERS = (
    b'value-type="percentage"',
    b'value-type="error"',
    b"formula=",
    b"visibility=",
    b"-spanned=",
    b"text-position=",
)
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_EXTENSION = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
# cells without any of these are blank, whatever they stand for
_TELLING = frozenset(
    {
        *(f"{_OFFICE}value-type", f"{_TABLE}formula", f"{_EXTENSION}value-type"),
        *(f"{_TABLE}number-rows-spanned", f"{_TABLE}number-columns-spanned"),
    }
)
# a cell or row that stands for very many is formatting, not data
_MOST_REPEATS = 10_000


def with_mimetype(data: bytes) -> bytes:
    """The workbook with the entry by which calamine knows it; some programs leave it out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "mimetype" in archive.namelist() or _CONTENT not in archive.namelist():
            return data
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as whole:
            whole.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
            whole.writestr(_CONTENT, archive.read(_CONTENT))
            whole.writestr("META-INF/manifest.xml", archive.read("META-INF/manifest.xml"))
    return buffer.getvalue()


class Ods:
    """What calamine does not tell of an OpenDocument workbook, sheet by sheet."""

    def __init__(self, data: bytes) -> None:
        self._found: dict[str, dict[str, Any]] = {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if _CONTENT not in archive.namelist() or not self._has_marker(archive):
                return
            with archive.open(_CONTENT) as file:
                try:
                    self._scan(file)
                except (etree.XMLSyntaxError, ValueError) as error:
                    raise Refused("damaged-file", f"The content is damaged: {error}.") from None

    def of(self, sheet: str) -> dict[str, Any]:
        """The details of the sheet; empty when it has none."""
        return self._found.get(sheet, {})

    @staticmethod
    def _has_marker(archive: zipfile.ZipFile) -> bool:
        tail = b""
        with archive.open(_CONTENT) as file:
            while block := file.read(1 << 20):
                text = tail + block
                if any(marker in text for marker in _MARKERS):
                    return True
                tail = block[-32:]
        return False

    def _scan(self, file: Any) -> None:
        upper: set[str] = set()
        sheet = _Sheet(upper)
        events = etree.iterparse(
            file,
            events=("start", "end"),
            tag=(
                *(f"{_TABLE}table", f"{_TABLE}table-row", f"{_TABLE}table-column"),
                f"{_STYLE}style",
            ),
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
        )
        for event, node in events:
            if node.tag == f"{_TABLE}table":
                if event == "start":
                    sheet = _Sheet(upper)
                else:
                    self._found[node.get(f"{_TABLE}name", "")] = sheet.details()
            elif node.tag == f"{_STYLE}style":
                if event == "end" and _is_raised(node):
                    upper.add(node.get(f"{_STYLE}name", ""))
            elif event == "end":
                if node.tag == f"{_TABLE}table-row":
                    sheet.add_row(node)
                else:
                    sheet.add_column(node)
                node.clear()


class _Sheet:
    """The details of one sheet while its rows pass by."""

    def __init__(self, upper: set[str]) -> None:
        # the styles of letters above the line
        self._upper = upper
        self._texts: dict[tuple[int, int], str] = {}
        self._row = self._column = 0
        self._formats: dict[tuple[int, int], str] = {}
        self._errors: dict[tuple[int, int], str] = {}
        self._unvalued: dict[tuple[int, int], str] = {}
        self._external: dict[tuple[int, int], str] = {}
        self._merges: list[tuple[int, int, int, int]] = []
        self._hidden_rows: list[int] = []
        self._hidden_columns: list[int] = []

    def details(self) -> dict[str, Any]:
        return {
            "formats": self._formats,
            "errors": self._errors,
            "unvalued": self._unvalued,
            "external": self._external,
            "texts": self._texts,
            "merges": self._merges,
            "hidden_rows": self._hidden_rows,
            "hidden_columns": self._hidden_columns,
        }

    def add_column(self, node: Any) -> None:
        repeats = _number(node, "number-columns-repeated")
        if node.get(f"{_TABLE}visibility", "visible") != "visible":
            last = self._column + min(repeats, _MOST_REPEATS)
            self._hidden_columns.extend(range(self._column, last))
        self._column += repeats

    def add_row(self, node: Any) -> None:
        repeats = _number(node, "number-rows-repeated")
        rows = range(self._row, self._row + min(repeats, _MOST_REPEATS))
        if node.get(f"{_TABLE}visibility", "visible") != "visible":
            self._hidden_rows.extend(rows)
        column = 0
        for cell in node:
            if not isinstance(cell.tag, str):
                continue
            across = _number(cell, "number-columns-repeated")
            if not _TELLING.isdisjoint(cell.keys()):
                for c in range(column, column + min(across, _MOST_REPEATS)):
                    self._add_cell(cell, rows, c)
            column += across
        self._row += repeats

    def _add_cell(self, cell: Any, rows: range, column: int) -> None:
        kind = cell.get(f"{_OFFICE}value-type")
        formula = cell.get(f"{_TABLE}formula")
        down, right = _number(cell, "number-rows-spanned"), _number(cell, "number-columns-spanned")
        text = self._with_raised(cell) if self._upper and kind == "string" else None
        for row in rows:
            if text is not None:
                self._texts[row, column] = text
            if kind == "percentage":
                self._formats[row, column] = "0%"
            if cell.get(f"{_EXTENSION}value-type") == "error":
                self._errors[row, column] = "".join(cell.itertext()).strip() or "#N/A"
            elif formula is not None and kind is None:
                self._unvalued[row, column] = formula
            if formula is not None and "'file:" in formula:
                self._external[row, column] = formula
            if down > 1 or right > 1:
                self._merges.append((row, column, row + down - 1, column + right - 1))

    def _with_raised(self, cell: Any) -> str | None:
        """The text of a cell, if some of its digits stand above the line."""
        plain = "\n".join(_written(part, frozenset()) for part in cell.iterchildren(f"{_TEXT}p"))
        shown = "\n".join(_written(part, self._upper) for part in cell.iterchildren(f"{_TEXT}p"))
        return None if shown == plain else shown


def _is_raised(style: Any) -> bool:
    for node in style.iterchildren(f"{_STYLE}text-properties"):
        position = (node.get(f"{_STYLE}text-position") or "").split(" ")[0]
        is_height = position.endswith("%") and not position.startswith(("-", "0%"))
        if position == "super" or is_height:
            return True
    return False


def _written(node: Any, upper: Set[str]) -> str:
    """The letters of a paragraph, those in a raised style as such."""
    if node.tag == f"{_TEXT}s":
        return " " * int(node.get(f"{_TEXT}c") or 1)
    if node.tag == f"{_TEXT}tab":
        return "\t"
    if node.tag == f"{_TEXT}line-break":
        return "\n"
    parts = [node.text or ""]
    for part in node:
        if isinstance(part.tag, str):
            parts.append(_written(part, upper))
        parts.append(part.tail or "")
    text = "".join(parts)
    return raised(text) if node.get(f"{_TEXT}style-name") in upper else text


def _number(node: Any, name: str) -> int:
    return max(1, int(node.get(f"{_TABLE}{name}") or 1))
