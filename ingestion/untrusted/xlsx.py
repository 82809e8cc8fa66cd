"""The parts of an xlsx workbook that calamine drops (traps N4, N13, X4, X5, X6, X11).

In: the bytes of a workbook. Out: for a sheet its error values, formulas without a value or with
another workbook in them, hidden rows and columns, formats that scale, texts with raised digits
(footnote marks, which calamine appends to the number), and comments. The sheet's XML is parsed only
when a search of the raw bytes has found a trace of these.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from typing import Any, Final

from lxml import etree

from ingestion.untrusted.common import (
    BUILTIN_PERCENT,
    Refused,
    is_scaling,
    parser,
    position,
    raised,
    shows_a_plain_number,
)
from ingestion.untrusted.plain import MIN_BYTES, PlainSheet

# traces of formulas, hidden parts and errors in the raw XML
_MARKERS = (b"<f", b'hidden="1"', b'hidden="true"', b't="e"')
# where the writer gives every element a namespace prefix
_PREFIXED = (b":f>", b":f ", b":f/")
_RAISED = b'"superscript"'
# the formats of numbers that every spreadsheet program knows, those of percentages left out
_PLAIN_FORMATS: Final = frozenset(map(str, (*range(5), 11, 12, 13, *range(37, 41), 48, 49)))
# a reference to another workbook, by its number: [1]Sheet1!A1
_EXTERNAL = re.compile(r"\[\d+\]")


class Xlsx:
    """What calamine does not tell of an xlsx workbook, sheet by sheet."""

    def __init__(self, data: bytes) -> None:
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._names = {name.lstrip("/"): name for name in self._zip.namelist()}
        self._formats = self._scaling_formats()
        self._markers = (
            *_MARKERS,
            *(b's="%d"' % index for index in self._formats),
            _RAISED,
        )
        self._raised = self._raised_strings()
        self._has_links = any(name.startswith("xl/externalLinks/") for name in self._names)
        self._paths = self._sheet_paths()

    def plain(self, sheet: str) -> PlainSheet | None:
        """A large sheet that may be read column-wise; None for the others."""
        path = self._paths.get(sheet)
        if path is None or path not in self._names or self._raised:
            return None
        if self._zip.getinfo(self._names[path]).file_size < MIN_BYTES:
            return None
        return PlainSheet(
            self._zip,
            self._names[path],
            self._names.get("xl/sharedStrings.xml"),
            self._unusual_styles(),
        )

    def comments_of(self, sheet: str) -> dict[tuple[int, int], str]:
        """The comments on a sheet that holds nothing else that calamine drops."""
        return self._comments(self._paths[sheet])

    def _unusual_styles(self) -> list[int]:
        """Cell styles under which a number may be a date, a time or a percentage."""
        root = self._tree("xl/styles.xml")
        if root is None:
            return []
        codes = {
            node.get("numFmtId", ""): node.get("formatCode", "") for node in root.iter("{*}numFmt")
        }
        cells = root.find("{*}cellXfs")
        found = []
        for index, node in enumerate([] if cells is None else cells.iterfind("{*}xf")):
            number = node.get("numFmtId", "0")
            is_plain = number in _PLAIN_FORMATS and number not in codes
            if not is_plain and not shows_a_plain_number(codes.get(number, "")):
                found.append(index)
        return found

    def of(self, sheet: str) -> dict[str, Any]:
        path = self._paths.get(sheet)
        if path is None or path not in self._names:
            return {}
        found: dict[str, Any] = {}
        comments = self._comments(path)
        if comments:
            found["comments"] = comments
        if self._raised or self._has_marker(path):
            found.update(self._scan(path))
        return found

    def _tree(self, path: str) -> Any:
        if path not in self._names:
            return None
        with self._zip.open(self._names[path]) as file:
            try:
                return etree.parse(file, parser()).getroot()
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
        codes = dict(BUILTIN_PERCENT)
        for node in root.iter("{*}numFmt"):
            code = node.get("formatCode", "")
            if node.get("numFmtId", "").isdigit() and is_scaling(code):
                codes[int(node.get("numFmtId"))] = code
        found = {}
        cells = root.find("{*}cellXfs")
        for index, node in enumerate([] if cells is None else cells.iterfind("{*}xf")):
            number = node.get("numFmtId", "0")
            if number.isdigit() and int(number) in codes:
                found[index] = codes[int(number)]
        return found

    def _raised_strings(self) -> dict[str, str]:
        """Number of a shared string -> its text, for those with digits above the line."""
        path = self._names.get("xl/sharedStrings.xml")
        if path is None or _RAISED not in self._zip.read(path):
            return {}
        root = self._tree("xl/sharedStrings.xml")
        found = {}
        for number, node in enumerate(root.iterfind("{*}si")):
            text = _with_raised(node)
            if text is not None:
                found[str(number)] = text
        return found

    def _has_marker(self, path: str) -> bool:
        """Plain searches: a pattern of alternatives would take longer than reading the cells."""
        tail = b""
        markers = self._markers
        with self._zip.open(self._names[path]) as file:
            while block := file.read(1 << 20):
                if not tail and b"<worksheet" not in block[:4096]:
                    markers += _PREFIXED
                text = tail + block
                if any(marker in text for marker in markers):
                    return True
                tail = block[-32:]
        return False

    def _scan(self, path: str) -> dict[str, Any]:
        formats: dict[tuple[int, int], str] = {}
        errors: dict[tuple[int, int], str] = {}
        unvalued: dict[tuple[int, int], str] = {}
        external: dict[tuple[int, int], str] = {}
        texts: dict[tuple[int, int], str] = {}
        # formulas are written once and shared by number
        shared: dict[str | None, str] = {}
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
                        at = position(reference) if reference else (row, column + 1)
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
                        if formula is not None and self._has_links:
                            text = formula.text or shared.get(formula.get("si")) or ""
                            shared[formula.get("si") or None] = text
                            if _EXTERNAL.search(text):
                                external[at] = "=" + text
                        if node.get("t") == "s" and value is not None:
                            if value.text in self._raised:
                                texts[at] = self._raised[value.text]
                        elif node.get("t") == "inlineStr":
                            inline = _with_raised(node.find("{*}is"))
                            if inline is not None:
                                texts[at] = inline
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
            "external": external,
            "texts": texts,
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
                found[position(node.get("ref", ""))] = "".join(texts)
        return found


def _with_raised(node: Any) -> str | None:
    """The text of a string in pieces, if some of its digits stand above the line."""
    found = False
    parts: list[str] = []
    for run in [] if node is None else node.iterfind("{*}r"):
        text = "".join(t.text or "" for t in run.iterfind("{*}t"))
        style = run.find("{*}rPr/{*}vertAlign")
        if style is not None and style.get("val") == "superscript" and raised(text) != text:
            text, found = raised(text), True
        parts.append(text)
    return "".join(parts) if found else None
