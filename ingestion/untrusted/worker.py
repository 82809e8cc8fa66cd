"""The child process that opens untrusted workbooks (traps S11, X4, X5, X8, N13).

Started and fed by `ingestion.readers.workbook`; runs `main()`. It says ("ready",) first, so that a
child that cannot even start is never mistaken for a workbook that cannot be read.

In, on standard input, for each file: an 8-byte length and a JSON header (`format`, `size`, limits),
then the bytes. Out, on standard output: length-prefixed pickles of built-in values and datetime
objects only: ("sheet", {...}), ("rows", [...]), ..., ("details", {...}), then ("end",) or
("error", code, message). A large sheet of plain values comes as ("cells", {...}), ...,
("texts", [...]), unless ("again",) takes it back. The parent unpickles nothing else, so a
taken-over child can lie about cells but not run code outside.

calamine reads the cells. What it drops (error values, formulas that were never computed, hidden
marks, number formats) the modules beside this one add.
"""

from __future__ import annotations

import io
import json
import pickle
import resource
import struct
import sys
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

import python_calamine

from ingestion.untrusted.common import Refused, address
from ingestion.untrusted.html_tables import read_html
from ingestion.untrusted.ods import Ods, with_mimetype
from ingestion.untrusted.plain import NotPlain
from ingestion.untrusted.xls import Xls
from ingestion.untrusted.xlsx import Xlsx

CHUNK_ROWS = 20_000
# with less memory than this, the libraries of the column-wise way cannot even start
PLAIN_MEGABYTES = 768


def main() -> None:
    """Serve files until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _send(sink, ("ready",))
    sink.flush()
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


_DETAILS: dict[str, type[Xlsx] | type[Xls] | type[Ods]] = {"xlsx": Xlsx, "xls": Xls, "ods": Ods}


def _read(data: bytes, header: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    if header["format"] == "html":
        yield from read_html(data, int(header["max_cells"]))
        return
    # first: it tells apart why an old workbook cannot be opened
    details = _DETAILS[header["format"]](data)
    if header["format"] == "ods":
        data = with_mimetype(data)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError:
        raise Refused("password-protected", "The workbook is protected by a password.") from None
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise Refused("damaged-file", f"The workbook cannot be opened: {error}.") from None
    budget = int(header["max_cells"])
    for meta in book.sheets_metadata:
        if meta.typ is not python_calamine.SheetTypeEnum.WorkSheet:
            continue
        is_hidden = meta.visible is not python_calamine.SheetVisibleEnum.Visible
        if isinstance(details, Xlsx) and int(header["memory_megabytes"]) >= PLAIN_MEGABYTES:
            cells = yield from _plain(details, meta.name, is_hidden, budget)
            if cells is not None:
                budget -= cells
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
                "is_hidden": is_hidden,
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
                    f"(sheet '{meta.name}' reaches {address(*end)}).",
                )
            yield from _rows(sheet, start[1])
        found = details.of(meta.name)
        if found:
            yield ("details", found)


def _plain(
    details: Xlsx, name: str, is_hidden: bool, budget: int
) -> Generator[tuple[Any, ...], None, int | None]:
    """A large sheet of plain values, column-wise; returns its cells, None when it is no such sheet.

    What was sent of a sheet that turns out to be none is taken back.
    """
    try:
        sheet = details.plain(name)
        if sheet is None:
            return None
        yield ("sheet", {"name": name, "is_hidden": is_hidden, "merges": []})
        try:
            for chunk in sheet.chunks(budget):
                yield ("cells", chunk)
        except NotPlain:
            yield ("again",)
            return None
    except NotPlain:
        return None
    yield ("texts", sheet.texts)
    found: dict[str, Any] = {"merges": sheet.merges}
    comments = details.comments_of(name)
    if comments:
        found["comments"] = comments
    yield ("details", found)
    return sheet.cells


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


if __name__ == "__main__":
    main()
