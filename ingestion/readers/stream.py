"""A large JSON answer in batches of records, so that memory does not grow with the file.

In: the parts of a snapshot as blocks of bytes. Out: `JsonRows` of some ten thousand records each,
with the pointers that `read_json` gives. Pages are read one by one, JSON lines and the list of one
large document piece by piece.

What can't be read in batches for certain is not tried: `NotInBatches` says to read the whole. So
the batches below each other are always what `read_json` makes of the whole.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterable, Iterator

import polars as pl

from ingestion.readers.detect import detect
from ingestion.readers.encoding import damage, decode
from ingestion.readers.json_array import NotCut, pieces_of_array
from ingestion.readers.json_rows import POINTER, is_json_lines, joined, part_frame, plain_lines
from ingestion.readers.limits import Limits
from ingestion.table import JsonRows

BATCH_ROWS = 60_000
"""Records of a batch: below, the fixed cost of each batch shows; above, only memory grows."""

_PIECE = 1_500_000
"""Bytes parsed at once: the parser needs some thirty times as much."""


class NotInBatches(Exception):  # noqa: N818 - a signal to the caller, no fault of anybody
    """The snapshot has to be read as a whole."""


def stream_json(
    parts: Iterable[tuple[str, int, Iterable[bytes]]],
    records_at: str,
    limits: Limits,
) -> Iterator[JsonRows]:
    """Batches of the records in `parts`: (name, byte count, blocks of bytes) in order.

    Raises `NotInBatches`, `ReadError` as `read_json` does, and what the blocks raise.
    """
    waiting: list[pl.DataFrame] = []
    rows = 0
    names: set[str] | None = None
    for frame in _frames(parts, records_at, limits):
        waiting.append(frame)
        rows += frame.height
        if rows < BATCH_ROWS:
            continue
        batch = joined(waiting)
        names = _same_names(batch, names)
        yield batch
        waiting, rows = [], 0
    if waiting:
        batch = joined(waiting)
        _same_names(batch, names)
        yield batch


def _same_names(batch: JsonRows, names: set[str] | None) -> set[str]:
    """A name that only some batches have would be a column of the whole: then read the whole."""
    found = set(batch.frame.columns)
    if names is not None and found != names:
        raise NotInBatches
    return found


def _frames(
    parts: Iterable[tuple[str, int, Iterable[bytes]]], records_at: str, limits: Limits
) -> Iterator[pl.DataFrame]:
    for index, (name, byte_count, blocks) in enumerate(parts):
        if byte_count > limits.max_megabytes * 1_000_000:
            raise NotInBatches
        if byte_count <= _PIECE:
            data = b"".join(blocks)
            if detect(data, name, limits) != "json":
                raise NotInBatches
            yield part_frame(index, name, decode(data, name)[0], records_at)
        else:
            yield from _of_large_part(index, name, blocks, records_at, limits)


def _of_large_part(
    index: int, name: str, blocks: Iterable[bytes], records_at: str, limits: Limits
) -> Iterator[pl.DataFrame]:
    blocks = iter(blocks)
    head = next(blocks, b"")
    if detect(head, name, limits) != "json":
        raise NotInBatches
    begin = _beginning(head)
    blocks = itertools.chain([head], blocks)
    if records_at or not begin.endswith("\n") or not is_json_lines(begin):
        yield from _of_document(index, name, blocks, records_at)
        return
    pieces = _pieces(blocks)
    head = next(pieces, b"")
    line = 0
    piece = head.removeprefix(codecs.BOM_UTF8)
    while piece:
        try:
            whole = pl.Series([piece]).cast(pl.String)
        except pl.exceptions.PolarsError:
            raise NotInBatches from None
        frame = plain_lines(index, whole, line)
        if frame is None and not piece.isspace():
            frame = part_frame(index, name, piece.decode("utf-8"), records_at, line)
        if frame is not None:
            yield frame
        line += piece.count(b"\n")
        piece = next(pieces, b"")


def _beginning(head: bytes) -> str:
    """The whole lines, else the letters, with which a part in UTF-8 begins."""
    lines = head[: head.rfind(b"\n", 0, _PIECE) + 1] or head[:_PIECE]
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(lines).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise NotInBatches from None
    if damage(text) is not None:
        raise NotInBatches  # read as a whole, it is refused with the reason
    return text


def _of_document(
    index: int, name: str, blocks: Iterator[bytes], records_at: str
) -> Iterator[pl.DataFrame]:
    """The list of records of one document, piece by piece."""
    try:
        for first, piece in pieces_of_array(blocks, records_at, _PIECE):
            frame = part_frame(index, name, piece.decode("utf-8"), "")
            positions = pl.int_range(first, first + frame.height, eager=True).cast(pl.Utf8)
            yield frame.with_columns(
                pl.concat_str(pl.lit(records_at + "/"), positions).alias(POINTER)
            )
    except (NotCut, UnicodeDecodeError):
        raise NotInBatches from None


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes cut behind line ends, each piece of about the size that is parsed at once."""
    rest = bytearray()
    for block in blocks:
        for start in range(0, len(block), _PIECE):
            before = len(rest)
            rest += block[start : start + _PIECE]
            if len(rest) < _PIECE:
                continue
            end = rest.rfind(b"\n", 0 if before < _PIECE else before) + 1
            if end:
                yield bytes(rest[:end])
                del rest[:end]
    if rest:
        yield bytes(rest)
