"""The parts of an old Excel workbook (.xls, BIFF8) that calamine drops (traps N4, N13, X4, X5).

In: the bytes of a workbook. Out: for a sheet its error values, formulas whose result is empty,
hidden rows and columns, formats that scale, and texts with raised digits (marks of footnotes).
Written from Microsoft's open specifications MS-CFB (the container) and MS-XLS (the records); only
the records that are asked for are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from ingestion.untrusted.common import BUILTIN_PERCENT, Refused, is_scaling, raised

_END = 0xFFFFFFFC  # sector numbers from here on are marks: end of chain, free, tables
_ERRORS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
}
_FORMULA, _EOF, _COLINFO, _BOUNDSHEET, _MULRK = 0x06, 0x0A, 0x7D, 0x85, 0xBD
_XF, _NUMBER, _BOOLERR, _ROW, _RK, _FORMAT = 0xE0, 0x203, 0x205, 0x208, 0x27E, 0x41E
_FONT, _SST, _LABELSST, _CONTINUE = 0x31, 0xFC, 0xFD, 0x3C
# their values would be left out without a word
_OLD_FORMULAS = (0x206, 0x406)
_BOF, _FILEPASS, _BIFF8 = 0x809, 0x2F, 0x600
_SUPERSCRIPT = 1


class Xls:
    """What calamine does not tell of an xls workbook, sheet by sheet."""

    def __init__(self, data: bytes) -> None:
        try:
            self._book = _stream(data, ("workbook", "book"))
            self._raised: dict[int, str] = {}
            self._refuse_others()
            self._sheets, self._formats = self._globals()
        except (struct.error, IndexError, ValueError) as error:
            raise Refused("damaged-file", f"The workbook is damaged: {error}.") from None

    def of(self, sheet: str) -> dict[str, Any]:
        """The details of the sheet."""
        start = self._sheets.get(sheet)
        if start is None:
            raise Refused("damaged-file", f"The sheet '{sheet}' is not where it should be.")
        try:
            return self._scan(sheet, start)
        except (struct.error, IndexError) as error:
            raise Refused("damaged-file", f"The sheet '{sheet}' is damaged: {error}.") from None

    def _refuse_others(self) -> None:
        """Older books write their texts otherwise; locked ones are noise."""
        for kind, _ in _records(self._book, 0):
            if kind == _FILEPASS:
                raise Refused("password-protected", "The workbook is protected by a password.")
        begin, _, version = struct.unpack_from("<HHH", self._book)
        if begin != _BOF or version != _BIFF8:
            # cells without their details are no use
            raise Refused("unsupported-format", "The workbook is of Excel 95 or older.")

    def _globals(self) -> tuple[dict[str, int], dict[int, str]]:
        """Where each sheet begins, and the cell styles whose format scales."""
        sheets: dict[str, int] = {}
        codes = dict(BUILTIN_PERCENT)
        styles: list[int] = []
        fonts: list[bool] = []
        strings: list[bytes] = []
        before = 0
        for kind, body in _records(self._book, 0):
            if kind == _FONT:
                fonts.append(struct.unpack_from("<H", body, 8)[0] == _SUPERSCRIPT)
            elif kind == _SST or (kind == _CONTINUE and before == _SST and strings):
                strings.append(body)
            before = _SST if kind == _CONTINUE and before == _SST else kind
            if kind == _BOUNDSHEET:
                sheets[_text(body, 7, body[6])] = struct.unpack_from("<I", body)[0]
            elif kind == _FORMAT:
                number, length = struct.unpack_from("<HH", body)
                code = _text(body, 5, length, flags_at=4)
                if is_scaling(code):
                    codes[number] = code
            elif kind == _XF:
                styles.append(struct.unpack_from("<H", body, 2)[0])
        # font 4 is never written: the fifth one is called 5
        upper = {i if i < 4 else i + 1 for i, is_raised in enumerate(fonts) if is_raised}
        if upper and strings:
            self._raised = _raised_strings(strings, upper)
        return sheets, {i: codes[number] for i, number in enumerate(styles) if number in codes}

    def _scan(self, sheet: str, start: int) -> dict[str, Any]:
        formats: dict[tuple[int, int], str] = {}
        errors: dict[tuple[int, int], str] = {}
        unvalued: dict[tuple[int, int], str] = {}
        texts: dict[tuple[int, int], str] = {}
        hidden_rows: list[int] = []
        hidden_columns: list[int] = []
        for kind, body in _records(self._book, start):
            if kind == _LABELSST and self._raised:
                row, column, _, number = struct.unpack_from("<HHHI", body)
                if number in self._raised:
                    texts[row, column] = self._raised[number]
            if kind in (_NUMBER, _RK, _FORMULA, _BOOLERR):
                row, column, style = struct.unpack_from("<HHH", body)
                at = (row, column)
                if kind != _BOOLERR and style in self._formats:
                    formats[at] = self._formats[style]
                if kind == _BOOLERR and body[7]:
                    errors[at] = _ERRORS.get(body[6], "#N/A")
                elif kind == _FORMULA and body[12:14] == b"\xff\xff":
                    if body[6] == 2:
                        errors[at] = _ERRORS.get(body[8], "#N/A")
                    elif body[6] == 3:
                        # an empty text, or never computed: the file does not tell which
                        unvalued[at] = "=(formula)"
            elif kind in _OLD_FORMULAS:
                raise Refused(
                    "unsupported-format",
                    f"The sheet '{sheet}' holds formulas as Excel 4 wrote them.",
                )
            elif kind == _MULRK:
                row, first = struct.unpack_from("<HH", body)
                for i in range((len(body) - 6) // 6):
                    style = struct.unpack_from("<H", body, 4 + 6 * i)[0]
                    if style in self._formats:
                        formats[row, first + i] = self._formats[style]
            elif kind == _ROW:
                if body[12] & 0x20:
                    hidden_rows.append(struct.unpack_from("<H", body)[0])
            elif kind == _COLINFO:
                first, last, _, _, flags = struct.unpack_from("<HHHHH", body)
                if flags & 1:
                    hidden_columns.extend(range(first, min(last, 255) + 1))
        return {
            "formats": formats,
            "errors": errors,
            "unvalued": unvalued,
            "texts": texts,
            "hidden_rows": hidden_rows,
            "hidden_columns": hidden_columns,
        }


class _Strings:
    """The bytes of the shared strings, which run on over several records."""

    def __init__(self, blocks: list[bytes]) -> None:
        self._blocks = blocks
        self._block = self._at = 0

    def take(self, size: int) -> bytes:
        """The next bytes, wherever one record ends and the next begins."""
        found = b""
        while len(found) < size:
            if self._at >= len(self._blocks[self._block]):
                self._block, self._at = self._block + 1, 0
            part = self._blocks[self._block][self._at : self._at + size - len(found)]
            self._at += len(part)
            found += part
        return found

    def letters(self, count: int, is_wide: bool) -> str:
        """The next letters; each record that they run into says anew how wide they are."""
        found = ""
        while len(found) < count:
            if self._at >= len(self._blocks[self._block]):
                self._block, self._at = self._block + 1, 0
                is_wide = bool(self.take(1)[0] & 1)
            size = 2 if is_wide else 1
            left = (len(self._blocks[self._block]) - self._at) // size
            if left == 0:
                raise ValueError("a letter is cut in two")
            part = self.take(size * min(count - len(found), left))
            found += "".join(
                chr(code) for code in struct.unpack(f"<{len(part) // size}{'BH'[is_wide]}", part)
            )
        return found


def _raised_strings(blocks: list[bytes], fonts: set[int]) -> dict[int, str]:
    """Number of a shared string -> its text, for those with digits above the line.

    Letters are counted as the runs count them, in halves of 32-bit characters.
    """
    source = _Strings(blocks)
    count = struct.unpack("<II", source.take(8))[1]
    found: dict[int, str] = {}
    for number in range(count):
        length, flags = struct.unpack("<HB", source.take(3))
        run_count = struct.unpack("<H", source.take(2))[0] if flags & 8 else 0
        extra = struct.unpack("<I", source.take(4))[0] if flags & 4 else 0
        text = source.letters(length, bool(flags & 1))
        runs = [struct.unpack("<HH", source.take(4)) for _ in range(run_count)]
        source.take(extra)
        if not any(font in fonts for _, font in runs):
            continue
        parts = [text[: runs[0][0]]]
        ends = [start for start, _ in runs[1:]] + [length]
        for (start, font), end in zip(runs, ends, strict=True):
            piece = text[start:end]
            parts.append(raised(piece) if font in fonts else piece)
        whole = "".join(parts)
        if whole != text:
            found[number] = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    return found


def _records(book: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """The records of one substream, nested ones (charts) left out."""
    at, depth = start, 0
    while at + 4 <= len(book):
        kind, size = struct.unpack_from("<HH", book, at)
        body = book[at + 4 : at + 4 + size]
        at += 4 + size
        if kind == _BOF:
            depth += 1
        elif kind == _EOF:
            depth -= 1
            if depth <= 0:
                return
        elif depth == 1:
            yield kind, body


def _text(body: bytes, start: int, length: int, flags_at: int | None = None) -> str:
    """A short unicode string; its flag byte stands before it: bit 0 = two bytes a letter."""
    wide = body[start if flags_at is None else flags_at] & 1
    begin = start + 1 if flags_at is None else start
    size = length * 2 if wide else length
    return body[begin : begin + size].decode("utf-16-le" if wide else "latin-1")


def _stream(data: bytes, names: tuple[str, ...]) -> bytes:
    """The bytes of the first stream with one of the names, out of the compound file."""
    sector = 1 << struct.unpack_from("<H", data, 30)[0]
    mini = 1 << struct.unpack_from("<H", data, 32)[0]
    first_directory, _, cutoff, first_mini = struct.unpack_from("<IIII", data, 48)
    first_difat, difat_count = struct.unpack_from("<II", data, 68)

    def block(number: int) -> bytes:
        return data[(number + 1) * sector : (number + 2) * sector]

    tables = list(struct.unpack_from("<109I", data, 76))
    for _ in range(min(difat_count, len(data) // sector)):
        if first_difat >= _END:
            break
        numbers = struct.unpack(f"<{sector // 4}I", block(first_difat))
        tables += numbers[:-1]
        first_difat = numbers[-1]
    fat: list[int] = []
    for number in tables:
        if number < _END:
            fat += struct.unpack(f"<{sector // 4}I", block(number))

    def chain(number: int, table: list[int]) -> Iterator[int]:
        for _ in range(len(table) + 1):
            if number >= _END:
                return
            yield number
            number = table[number]
        raise ValueError("a chain of sectors runs in a circle")

    directory = b"".join(map(block, chain(first_directory, fat)))
    entries: dict[str, tuple[int, int]] = {}
    for at in range(0, len(directory) - 127, 128):
        size = struct.unpack_from("<H", directory, at + 64)[0]
        name = directory[at : at + max(0, size - 2)].decode("utf-16-le", errors="replace")
        entries.setdefault(name.lower(), struct.unpack_from("<II", directory, at + 116))
    for name in names:
        if name not in entries:
            continue
        first, size = entries[name]
        if size >= cutoff:
            stream = b"".join(map(block, chain(first, fat)))
        else:
            # small streams lie in sectors of their own inside the root's stream
            root = b"".join(map(block, chain(entries["root entry"][0], fat)))
            mini_fat: list[int] = []
            for number in chain(first_mini, fat):
                mini_fat += struct.unpack(f"<{sector // 4}I", block(number))
            stream = b"".join(root[n * mini : (n + 1) * mini] for n in chain(first, mini_fat))
        if len(stream) < size:
            raise ValueError(f"{size - len(stream)} bytes of the workbook are missing")
        return stream[:size]
    raise ValueError("there is no workbook inside")
