"""What bytes are, by their first bytes and, for containers, by what lies inside (trap X10).

In: bytes. Out: a format name; `ReadError` with a code and a remedy for what is no table.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import Literal

from ingestion.errors import ReadError
from ingestion.readers.limits import Limits

Format = Literal["xlsx", "xls", "ods", "html", "json", "text"]

_SAVE_AS = "Save it as .xlsx or .csv and send it again."
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"{\\rtf", "a rich-text document"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"MIME-Version:", "a web archive (MHTML)"),
)
_TABLE = re.compile(rb"<\s*(table|html|body|!doctype\s+html)\b", re.IGNORECASE)


def detect(data: bytes, name: str, limits: Limits) -> Format:
    """The format of `data`.

    Raises `ReadError`: `empty-file`, `file-too-large`, `password-protected`, `damaged-file`,
    `archive-bomb`, `not-a-table`, `unsupported-format`.
    """
    if len(data) > limits.max_megabytes * 1_000_000:
        raise ReadError(
            "file-too-large",
            f"The file has {len(data) / 1e6:.0f} MB; at most {limits.max_megabytes:g} are read.",
            "Split it, or raise the limit for this source.",
            name,
        )
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head and not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise ReadError("empty-file", "The file is empty.", "Send the file again.", name)
    if data.startswith(b"PK"):
        return _zip(data, name, limits)
    if data.startswith(_OLE):
        return _ole(data, name)
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise ReadError("unsupported-format", f"The file is {what}.", _SAVE_AS, name)
    if head[:1] in (b"{", b"["):
        return "json"
    if head[:1] == b"<":
        if b"urn:schemas-microsoft-com:office:spreadsheet" in data[:8192]:
            raise ReadError(
                "unsupported-format", "The file is an Excel 2003 XML sheet.", _SAVE_AS, name
            )
        if _TABLE.search(data[:65536]):
            return "html"
        raise ReadError("unsupported-format", "The file is XML.", _SAVE_AS, name)
    return "text"


def _zip(data: bytes, name: str, limits: Limits) -> Format:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            mimetype = _mimetype(archive, names)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise ReadError(
            "damaged-file",
            f"The workbook is damaged or was cut off: {error}.",
            "Send the file again; if it opens in a spreadsheet program, save it anew first.",
            name,
        ) from None
    if not members:
        raise ReadError("empty-file", "The archive is empty.", "Send the file again.", name)
    unpacked = sum(member.file_size for member in members)
    floor = limits.ratio_floor_megabytes * 1_000_000
    bomb = next(
        (
            m
            for m in members
            if m.file_size > floor and m.file_size > limits.max_ratio * max(m.compress_size, 1)
        ),
        None,
    )
    too_big = unpacked > limits.max_unpacked_megabytes * 1_000_000
    if bomb is not None or too_big or len(members) > limits.max_members:
        detail = (
            f"'{bomb.filename}' unpacks to {bomb.file_size // max(bomb.compress_size, 1)} times "
            "its size"
            if bomb is not None
            else f"{len(members)} members unpack to {unpacked / 1e6:.0f} MB"
        )
        raise ReadError(
            "archive-bomb",
            f"The workbook is larger inside than is safe to read: {detail}.",
            "Delete unused rows, columns and pictures, save it anew and send it again.",
            name,
        )
    if any(member.flag_bits & 1 for member in members):
        raise _protected(name)
    if b"opendocument.spreadsheet" in mimetype:
        return "ods"
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "xl/workbook.bin" in names:
        raise ReadError(
            "unsupported-format", "The file is a binary workbook (.xlsb).", _SAVE_AS, name
        )
    if any(n.startswith(("word/", "ppt/")) for n in names) or b"opendocument" in mimetype:
        raise ReadError(
            "not-a-table", "The file is a text document or slides, no table.", _SAVE_AS, name
        )
    raise ReadError(
        "unsupported-format",
        "The file is a zip archive without a workbook inside.",
        "Send the workbook itself, unpacked.",
        name,
    )


def _mimetype(archive: zipfile.ZipFile, names: set[str]) -> bytes:
    """What an OpenDocument file says it is; some programs say so in the manifest only."""
    if "mimetype" in names and archive.getinfo("mimetype").file_size < 1000:
        return archive.read("mimetype")[:100]
    manifest = "META-INF/manifest.xml"
    if {manifest, "content.xml"} <= names and archive.getinfo(manifest).file_size < 100_000:
        return archive.read(manifest)
    return b""


def _ole(data: bytes, name: str) -> Format:
    def has(stream: str) -> bool:
        return stream.encode("utf-16-le") in data

    if has("EncryptedPackage"):
        raise _protected(name)
    if any(map(has, ("Workbook", "Book", "WORKBOOK", "BOOK"))):
        return "xls"
    if has("WordDocument") or has("PowerPoint Document"):
        raise ReadError(
            "not-a-table", "The file is a text document or slides, no table.", _SAVE_AS, name
        )
    raise ReadError(
        "damaged-file", "The old Office file holds no workbook.", "Send the file again.", name
    )


def _protected(name: str) -> ReadError:
    return ReadError(
        "password-protected",
        "The workbook is protected by a password.",
        "Remove the password, save it and send it again.",
        name,
    )
