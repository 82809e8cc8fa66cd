"""The parts of an OpenDocument sheet that calamine drops (traps N4, N13, X2, X4, X5).

In: the bytes of an .ods file. Out: for a sheet its error values, formulas without a value, merged
ranges, hidden rows and columns, and the cells that are percentages. The content is parsed only when
a search of the raw bytes has found a trace of these.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from lxml import etree

from ingestion.untrusted.common import Refused

_CONTENT = "content.xml"
_MARKERS = (
    b'value-type="percentage"',
    b'value-type="error"',
    b"formula=",
    b"visibility=",
    b"-spanned=",
)
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_EXTENSION = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
# a cell or row that stands for very many is formatting, not data
_MOST_REPEATS = 10_000


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
        sheet = _Sheet()
        events = etree.iterparse(
            file,
            events=("start", "end"),
            tag=(f"{_TABLE}table", f"{_TABLE}table-row", f"{_TABLE}table-column"),
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
        )
        for event, node in events:
            if node.tag == f"{_TABLE}table":
                if event == "start":
                    sheet = _Sheet()
                else:
                    self._found[node.get(f"{_TABLE}name", "")] = sheet.details()
            elif event == "end":
                if node.tag == f"{_TABLE}table-row":
                    sheet.add_row(node)
                else:
                    sheet.add_column(node)
                node.clear()


class _Sheet:
    """The details of one sheet while its rows pass by."""

    def __init__(self) -> None:
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
            for c in range(column, column + min(across, _MOST_REPEATS)):
                self._add_cell(cell, rows, c)
            column += across
        self._row += repeats

    def _add_cell(self, cell: Any, rows: range, column: int) -> None:
        kind = cell.get(f"{_OFFICE}value-type")
        formula = cell.get(f"{_TABLE}formula")
        down, right = _number(cell, "number-rows-spanned"), _number(cell, "number-columns-spanned")
        for row in rows:
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


def _number(node: Any, name: str) -> int:
    return max(1, int(node.get(f"{_TABLE}{name}") or 1))
