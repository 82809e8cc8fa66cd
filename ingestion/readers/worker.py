"""The child process that opens untrusted workbooks (traps S11, X4, X5, X8, N13).

    python -I ingestion/readers/worker.py        # started by ingestion.readers.workbook

In, on standard input, for each file: an 8-byte length and a JSON header (`format`, `size`, limits),
then the bytes. Out, on standard output: length-prefixed pickles of built-in values and datetime
objects only: ("sheet", {...}), ("rows", [...]), ..., ("details", {...}), then ("end",) or
("error", code, message). The parent unpickles nothing else, so a taken-over child can lie about
cells but not run code outside.

calamine reads the cells. It drops error values, formulas that were never computed, hidden marks and
number formats; a streaming pass over the sheet's XML adds these, and only for sheets where a search
of the raw bytes has found a trace of them. Stand-alone by design: no import of the house, so it
starts in a few hundredths of a second and carries no polars in its address space.
"""

from __future__ import annotations

import io
import json
import pickle
import posixpath
import re
import resource
import struct
import sys
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import python_calamine
from lxml import etree

CHUNK_ROWS = 20_000
ERRORS = frozenset(
    {"#REF!", "#DIV/0!", "#N/A", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
)
_MARKERS = rb'<(?:\w+:)?f[ />]|hidden="(?:1|true)"|\bt="e"'
_BUILTIN_PERCENT = {9: "0%", 10: "0.00%"}
# what a number format shows literally: quoted, escaped, in brackets, or skipped space
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_CELL = re.compile(r"([A-Z]+)([0-9]+)$")


class Refused(Exception):  # noqa: N818 - an answer, not a fault of the program
    """What the parent will raise as ReadError(code, message)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        prefix = source.read(8)
        if len(prefix) < 8:
            return
        header = json.loads(source.read(struct.unpack(">Q", prefix)[0]))
        data = source.read(header["size"])
        _bound(header)
        try:
            for message in _read(data, header):
                _send(sink, message)
            _send(sink, ("end",))
        except Refused as refusal:
            _send(sink, ("error", refusal.code, refusal.message))
        except MemoryError:
            _send(sink, ("error", "workbook-too-large", "The workbook needs too much memory."))
        sink.flush()


def _bound(header: dict[str, Any]) -> None:
    """Limits for this file; processor time counts from what the process has used before."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(usage.ru_utime + usage.ru_stime) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + int(header["cpu_seconds"]), hard))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(header["memory_megabytes"]) << 20, hard))


def _send(sink: BinaryIO, message: tuple[Any, ...]) -> None:
    body = pickle.dumps(message, protocol=5)
    sink.write(struct.pack(">Q", len(body)))
    sink.write(body)


def _read(data: bytes, header: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    if header["format"] == "html":
        yield from _html(data, int(header["max_cells"]))
        return
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError:
        raise Refused("password-protected", "The workbook is protected by a password.") from None
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise Refused("damaged-file", f"The workbook cannot be opened: {error}.") from None
    details = _Xlsx(data) if header["format"] == "xlsx" else None
    budget = int(header["max_cells"])
    for meta in book.sheets_metadata:
        if meta.typ is not python_calamine.SheetTypeEnum.WorkSheet:
            continue
        try:
            sheet = book.get_sheet_by_name(meta.name)
        except (python_calamine.CalamineError, OSError, ValueError) as error:
            raise Refused(
                "damaged-file", f"The sheet '{meta.name}' cannot be read: {error}."
            ) from None
        start, end = sheet.start, sheet.end
        yield (
            "sheet",
            {
                "name": meta.name,
                "is_hidden": meta.visible is not python_calamine.SheetVisibleEnum.Visible,
                "merges": [(a[0], a[1], b[0], b[1]) for a, b in sheet.merged_cell_ranges or []],
            },
        )
        if start is not None and end is not None:
            # counted from A1, because addresses do
            budget -= (end[0] + 1) * (end[1] + 1)
            if budget < 0:
                raise Refused(
                    "too-many-cells",
                    f"The workbook has more than {header['max_cells']} cells "
                    f"(sheet '{meta.name}' reaches {_address(*end)}).",
                )
            yield from _rows(sheet, start[1])
        if details is not None:
            found = details.of(meta.name)
            if found:
                yield ("details", found)


def _rows(sheet: python_calamine.CalamineSheet, first_column: int) -> Iterator[tuple[Any, ...]]:
    """The rows from A1 on, in chunks: cells before the used range come as blanks.

    calamine itself gives the blank rows above the used range, but not the columns before it.
    """
    chunk: list[list[Any]] = []
    left = [""] * first_column
    for row in sheet.iter_rows():
        chunk.append(left + row if left else row)
        if len(chunk) >= CHUNK_ROWS:
            yield ("rows", chunk)
            chunk = []
    if chunk:
        yield ("rows", chunk)


# ------------------------------------------------------------------------------ xlsx details


class _Xlsx:
    """What calamine does not tell of an xlsx workbook, sheet by sheet."""

    def __init__(self, data: bytes) -> None:
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._names = {name.lstrip("/"): name for name in self._zip.namelist()}
        self._formats = self._scaling_formats()
        styles = b"|".join(str(index).encode() for index in sorted(self._formats))
        pattern = _MARKERS + (rb'|\bs="(?:' + styles + rb')"' if styles else b"")
        self._marker = re.compile(pattern)
        self._paths = self._sheet_paths()

    def of(self, sheet: str) -> dict[str, Any]:
        path = self._paths.get(sheet)
        if path is None or path not in self._names:
            return {}
        found: dict[str, Any] = {}
        comments = self._comments(path)
        if comments:
            found["comments"] = comments
        if self._has_marker(path):
            found.update(self._scan(path))
        return found

    def _tree(self, path: str) -> Any:
        if path not in self._names:
            return None
        with self._zip.open(self._names[path]) as file:
            try:
                return etree.parse(file, _parser()).getroot()
            except etree.XMLSyntaxError as error:
                raise Refused("damaged-file", f"'{path}' is damaged: {error}.") from None

    def _relations(self, path: str) -> dict[str, tuple[str, str]]:
        """Relation id -> (kind, path inside the archive) of a part."""
        folder, name = posixpath.split(path)
        root = self._tree(f"{folder}/_rels/{name}.rels")
        found = {}
        for node in [] if root is None else root:
            if not isinstance(node.tag, str) or node.get("TargetMode") == "External":
                continue
            target = node.get("Target", "")
            full = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}"
            kind = node.get("Type", "").rsplit("/", 1)[-1]
            found[node.get("Id", "")] = (kind, posixpath.normpath(full))
        return found

    def _sheet_paths(self) -> dict[str, str]:
        root = self._tree("xl/workbook.xml")
        relations = self._relations("xl/workbook.xml")
        found: dict[str, str] = {}
        for node in [] if root is None else root.iter("{*}sheet"):
            for key, value in node.attrib.items():
                if etree.QName(key).localname == "id" and value in relations:
                    found[node.get("name", "")] = relations[value][1]
        return found

    def _scaling_formats(self) -> dict[int, str]:
        """Cell styles whose number format shows a hundred times the value (trap N4)."""
        root = self._tree("xl/styles.xml")
        if root is None:
            return {}
        codes = dict(_BUILTIN_PERCENT)
        for node in root.iter("{*}numFmt"):
            code = node.get("formatCode", "")
            if node.get("numFmtId", "").isdigit() and "%" in _LITERAL.sub("", code):
                codes[int(node.get("numFmtId"))] = code
        found = {}
        cells = root.find("{*}cellXfs")
        for index, node in enumerate([] if cells is None else cells.iterfind("{*}xf")):
            number = node.get("numFmtId", "0")
            if number.isdigit() and int(number) in codes:
                found[index] = codes[int(number)]
        return found

    def _has_marker(self, path: str) -> bool:
        tail = b""
        with self._zip.open(self._names[path]) as file:
            while block := file.read(1 << 20):
                if self._marker.search(tail + block):
                    return True
                tail = block[-64:]
        return False

    def _scan(self, path: str) -> dict[str, Any]:
        formats: dict[tuple[int, int], str] = {}
        errors: dict[tuple[int, int], str] = {}
        unvalued: dict[tuple[int, int], str] = {}
        hidden_rows: list[int] = []
        hidden_columns: list[int] = []
        row = column = -1
        with self._zip.open(self._names[path]) as file:
            events = etree.iterparse(
                file,
                events=("start", "end"),
                tag=("{*}row", "{*}c", "{*}col"),
                resolve_entities=False,
                no_network=True,
                huge_tree=False,
            )
            try:
                for event, node in events:
                    name = etree.QName(node).localname
                    if event == "start":
                        if name == "row":
                            # the address may be left out: then it is the next one
                            row = int(node.get("r", row + 2)) - 1
                            column = -1
                            if node.get("hidden") in ("1", "true"):
                                hidden_rows.append(row)
                        continue
                    if name == "c":
                        reference = node.get("r")
                        at = _position(reference) if reference else (row, column + 1)
                        column = at[1]
                        style = node.get("s")
                        if style is not None and style.isdigit() and int(style) in self._formats:
                            formats[at] = self._formats[int(style)]
                        value = node.find("{*}v")
                        if node.get("t") == "e":
                            errors[at] = (value.text if value is not None else None) or "#N/A"
                        formula = node.find("{*}f")
                        empty = value is None or not value.text
                        if formula is not None and empty and node.get("t") != "str":
                            unvalued[at] = "=" + (formula.text or "")
                    elif name == "col" and node.get("hidden") in ("1", "true"):
                        last = min(int(node.get("max", "1")), 16_384)
                        hidden_columns.extend(range(int(node.get("min", "1")) - 1, last))
                    if name != "c":
                        node.clear()
                        while node.getprevious() is not None:
                            del node.getparent()[0]
            except (etree.XMLSyntaxError, ValueError) as error:
                raise Refused("damaged-file", f"'{path}' is damaged: {error}.") from None
        return {
            "formats": formats,
            "errors": errors,
            "unvalued": unvalued,
            "hidden_rows": hidden_rows,
            "hidden_columns": hidden_columns,
        }

    def _comments(self, path: str) -> dict[tuple[int, int], str]:
        found = {}
        for kind, target in self._relations(path).values():
            if kind != "comments":
                continue
            root = self._tree(target)
            for node in [] if root is None else root.iter("{*}comment"):
                texts = [t.text or "" for t in node.iter("{*}t")]
                if _CELL.match(node.get("ref", "")):
                    found[_position(node.get("ref"))] = "".join(texts)
        return found


def _parser() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)


def _position(reference: str) -> tuple[int, int]:
    """`B3` -> (2, 1)."""
    match = _CELL.match(reference)
    if match is None:
        raise ValueError(f"'{reference}' is no cell address")
    column = 0
    for letter in match.group(1):
        column = column * 26 + ord(letter) - 64
    return int(match.group(2)) - 1, column - 1


def _address(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


# ------------------------------------------------------------------------------ HTML tables


def _html(data: bytes, max_cells: int) -> Iterator[tuple[Any, ...]]:
    """Each innermost table of a page; spans become merged ranges."""
    from lxml import html

    try:
        root = html.document_fromstring(
            data, parser=html.HTMLParser(encoding="utf-8", no_network=True)
        )
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise Refused("damaged-file", f"The page cannot be read: {error}.") from None
    for node in root.iter("br"):
        node.tail = " " + (node.tail or "")
    number = 0
    budget = max_cells
    for table in root.iter("table"):
        if next(table.iterdescendants("table"), None) is not None:
            continue
        number += 1
        rows, merges, hidden = _html_table(table, budget)
        budget -= sum(map(len, rows))
        yield ("sheet", {"name": f"table {number}", "is_hidden": False, "merges": merges})
        yield ("rows", rows)
        if hidden:
            yield ("details", {"hidden_rows": hidden})
    if not number:
        raise Refused("html-without-table", "The file is a web page without a table.")


def _html_table(
    table: Any, budget: int
) -> tuple[list[list[Any]], list[tuple[int, int, int, int]], list[int]]:
    rows: list[list[Any]] = []
    merges: list[tuple[int, int, int, int]] = []
    hidden: list[int] = []
    taken: set[tuple[int, int]] = set()
    for top, line in enumerate(table.iter("tr")):
        row: list[Any] = []
        left = 0
        if "display:none" in (line.get("style") or "").replace(" ", "").lower():
            hidden.append(top)
        for cell in line.iterchildren("td", "th"):
            while (top, left) in taken:
                left += 1
            row.extend([""] * (left - len(row)))
            row.append(" ".join((cell.text_content() or "").split()))
            height, width = _span(cell, "rowspan"), _span(cell, "colspan")
            budget -= height * width
            if budget < 0:
                raise Refused("too-many-cells", "The page's tables have too many cells.")
            if height > 1 or width > 1:
                merges.append((top, left, top + height - 1, left + width - 1))
                taken.update((top + r, left + c) for r in range(height) for c in range(width))
            left += width
        rows.append(row)
    # a rowspan may promise rows that never come
    last = len(rows) - 1
    return rows, [(t, a, min(b, last), r) for t, a, b, r in merges], hidden


def _span(cell: Any, name: str) -> int:
    text = (cell.get(name) or "1").strip()
    return max(1, min(int(text), 65_534)) if text.isdigit() else 1


if __name__ == "__main__":
    main()
