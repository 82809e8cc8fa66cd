"""One large JSON document in pieces: the list of records under its pointer, some at a time.

In: the bytes of a document as blocks. Out: pieces of the list, each a JSON list of its own, with
the position of its first record. A cut is made only between two records, and proven: what stands
before it has every bracket closed. What can't be cut for certain is not: `NotInBatches`.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ingestion.readers.json_rows import tokens

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BETWEEN: Final = re.compile(rb"}\s*,\s*(?={)")
_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
# lists that may stand before that of the records, and cuts that may lie inside a record
_MOST_LISTS: Final = 50
_MOST_CUTS: Final = 200


class NotCut(Exception):  # noqa: N818 - a signal to the caller, no fault of anybody
    """The document has to be read as a whole."""


def pieces_of_array(
    blocks: Iterator[bytes], records_at: str, size: int
) -> Iterator[tuple[int, bytes]]:
    """(position of the first record, a JSON list of records) of about `size` bytes each.

    Raises `NotCut` when the list is not found for certain, or its end is not.
    """
    rest = next(blocks, b"").removeprefix(codecs.BOM_UTF8)
    start = _start(rest, records_at)
    head, buffer = rest[:start], bytearray(rest[start:])
    first = 0
    for block in itertools.chain([b""], blocks):
        buffer += block
        while len(buffer) >= size and (cut := _cut(buffer, size)):
            piece = bytes(buffer[:cut])
            yield first, b"[" + piece + b"]"
            first += _records(piece)
            del buffer[: _BETWEEN.match(buffer, cut - 1).end()]  # type: ignore[union-attr]
    yield first, b"[" + _last(head, bytes(buffer), records_at) + b"]"


def _start(head: bytes, records_at: str) -> int:
    """The position behind the bracket that opens the list of records."""
    plain = _blanked(head)
    at = -1
    for _ in range(_MOST_LISTS):
        at = plain.find(b"[", at + 1)
        if at < 0:
            break
        closed = head[: at + 1] + b"]" + _closing(plain[:at])
        if _found(closed, records_at) == []:
            return at + 1
    raise NotCut


def _blanked(text: bytes) -> bytes:
    """The text with its strings as blanks, every other byte where it was."""
    return _STRING.sub(lambda match: b" " * len(match.group()), text)


def _closing(plain: bytes) -> bytes:
    """The brackets that close what a text without strings has opened."""
    left: list[int] = []
    for char in plain.translate(None, _BRACKETS):
        if char in b"[{":
            left.append(char)
        elif left:
            left.pop()
    return bytes(b"]"[0] if char == b"["[0] else b"}"[0] for char in reversed(left))


def _found(document: bytes, records_at: str) -> Any:
    """What stands at the pointer; None where nothing does, or the document is none."""
    try:
        found = json.loads(document)
    except ValueError:
        return None
    for token in tokens(records_at):
        if isinstance(found, dict) and token in found:
            found = found[token]
        elif isinstance(found, list) and token.isdecimal() and int(token) < len(found):
            found = found[int(token)]
        else:
            return None
    return found


def _cut(buffer: bytearray, size: int) -> int:
    """The end of the last whole record up to about `size` bytes; 0 where none is certain."""
    window = bytes(buffer[: 2 * size])
    places = [match.start() + 1 for match in _BETWEEN.finditer(window)]
    for place in reversed(places[-_MOST_CUTS:]):
        if _is_closed(window[:place]):
            return place
    return 0


def _is_closed(piece: bytes) -> bool:
    """Whether every bracket outside of strings is closed in its order."""
    without = _STRING.sub(b"", piece)
    if b'"' in without:
        return False
    left = without.translate(None, _BRACKETS)
    while True:
        fewer = left.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(left):
            return not left
        left = fewer


def _records(piece: bytes) -> int:
    """How many records a piece of the list holds: objects that no other one holds."""
    left = _STRING.sub(b"", piece).translate(None, _BRACKETS)
    depth = count = 0
    if b"{" not in left.replace(b"{}", b""):
        return left.count(b"{}")
    for char in left:
        if char in b"{[":
            count += depth == 0
            depth += 1
        else:
            depth -= 1
    return count


def _last(head: bytes, rest: bytes, records_at: str) -> bytes:
    """The records before the end of the list; what follows it must close the document."""
    plain = _blanked(rest)
    at = len(plain)
    for _ in range(_MOST_LISTS):
        at = plain.rfind(b"]", 0, at)
        if at < 0:
            break
        if _found(head + rest[at:], records_at) == [] and _is_closed(rest[:at]):
            return rest[:at]
    raise NotCut
