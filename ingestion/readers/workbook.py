"""Workbooks and HTML tables to grids, opened in a child process with limits.

In: bytes of an xlsx, xlsm, xls, ods or HTML file. Out: one `Grid` a sheet. The child
(`ingestion.untrusted.worker`) is started once a process and kept; it is killed when it takes too
long, and whatever kills it becomes a `ReadError` here. It gets no environment, so no secret.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from ingestion.errors import HouseError, ReadError
from ingestion.readers.encoding import damage, decode
from ingestion.readers.limits import Limits
from ingestion.table import CellError, ColumnRows, Grid, Merge
from ingestion.untrusted.plain import NO_TEXT

# -I: neither the environment nor the current folder has a say in what the child imports
_COMMAND = [
    sys.executable,
    "-I",
    "-c",
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from ingestion.untrusted.worker import main; main()",
    str(Path(__file__).resolve().parents[2]),
]
_TOO_LARGE: Final = (
    "Delete stray cells far right and below, unused sheets and pictures; send it again."
)
_REMEDIES: Final = {
    "password-protected": "Remove the password, save it and send it again.",
    "workbook-too-large": _TOO_LARGE,
    "too-many-cells": _TOO_LARGE,
    "html-without-table": "The link may lead to a login page: check it in a browser.",
}
_NUL: Final = "\x00"
# a bound on what the child may make this process hold, above any limit of a file
_MAX_CELLS: Final = 200_000_000
_LAST_WORDS_SECONDS: Final = 5
_RESEND: Final = "Open it in a spreadsheet program, save it anew as .xlsx and send it again."


def read_workbook(
    data: bytes, name: str, kind: Literal["xlsx", "xls", "ods", "html"], limits: Limits
) -> list[Grid]:
    """The sheets of a workbook, or the tables of a page, in their order; chart sheets left out.

    Raises `ReadError`: `password-protected`, `damaged-file`, `too-many-cells`,
    `workbook-too-large` (memory), `workbook-timeout`, `reader-crashed`, `no-sheets`,
    `html-without-table`, `mojibake`.
    """
    if kind == "html":
        data = _page(data, name)
    grids = _CHILD.read(data, name, kind, limits)
    if not grids:
        raise ReadError("no-sheets", "The workbook has no sheet with cells.", _RESEND, name)
    for grid in grids:
        grid.is_delimited = kind == "html"
        fault = damage(_sample(grid, name))
        if fault is not None:
            raise ReadError("mojibake", fault, _RESEND, f"{name}: {grid.name}")
    return grids


def _page(data: bytes, name: str) -> bytes:
    """The page in UTF-8; its own word on its encoding is believed only where it is provable."""
    text, _ = decode(data, name)
    return text.encode()


def _sample(grid: Grid, name: str) -> str:
    texts: list[str] = []
    size = 0
    for row in grid.rows[:2000]:
        for value in row:
            if type(value) is str and _NUL in value:
                raise ReadError(
                    "mojibake",
                    "The texts of the workbook come with a NUL between their letters: its code "
                    "page is not the one that it names.",
                    _RESEND,
                    f"{name}: {grid.name}",
                )
            if type(value) is str and not value.isascii():
                texts.append(value)
                size += len(value)
        if size > 20_000:
            break
    return "\n".join(texts)


class _SafeUnpickler(pickle.Unpickler):
    """Built-in values and datetime objects; anything else from the child is an attack."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "datetime" and name in {"date", "datetime", "time", "timedelta"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"the reader sent {module}.{name}")


def _not_started(why: str) -> HouseError:
    return HouseError(
        "reader-not-started",
        f"The process that opens workbooks cannot start: {why}.",
        "Run `payesh doctor` and `make setup`; the file is kept and is loaded by the next run.",
        "ingestion.untrusted.worker",
    )


class _Child:
    """The reading process, shared by all threads of this process, one file at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._owner = 0

    def read(self, data: bytes, name: str, kind: str, limits: Limits) -> list[Grid]:
        with self._lock:
            process = self._started()
            timed_out = threading.Event()

            def give_up() -> None:
                timed_out.set()
                process.kill()

            clock = threading.Timer(limits.wall_seconds, give_up)
            clock.daemon = True
            clock.start()
            try:
                return self._exchange(process, data, name, kind, limits)
            except (EOFError, OSError, pickle.UnpicklingError) as error:
                raise self._post_mortem(process, name, timed_out.is_set(), error) from None
            except ReadError:
                raise  # its answer, complete: the child can go on
            except BaseException:
                # half an answer may be in the pipe
                self._discard()
                raise
            finally:
                clock.cancel()

    def close(self) -> None:
        with self._lock:
            if self._owner == os.getpid():
                self._discard()

    def _started(self) -> subprocess.Popen[bytes]:
        # a fork inherits the pipes of its parent's child: it must not speak into them
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._process
            self._discard()
        self._is_ready = False
        try:
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C.UTF-8"},
                cwd="/",
            )
        except OSError as error:
            raise _not_started(str(error)) from error
        self._owner = os.getpid()
        return self._process

    def _exchange(
        self,
        process: subprocess.Popen[bytes],
        data: bytes,
        name: str,
        kind: str,
        limits: Limits,
    ) -> list[Grid]:
        assert process.stdin is not None  # noqa: S101 - opened above with pipes
        header = json.dumps({"format": kind, "size": len(data), **asdict(limits)}).encode()
        process.stdin.write(struct.pack(">Q", len(header)) + header)
        process.stdin.write(data)
        process.stdin.flush()
        grids: list[Grid] = []
        cells: list[dict[int, tuple[bytes, bytes, bytes]]] = []
        while True:
            message = self._receive(process)
            match message:
                case ("ready",):
                    self._is_ready = True
                case ("sheet", meta):
                    grids.append(_grid(meta))
                case ("rows", rows):
                    _listed(grids[-1]).extend(rows)
                case ("cells", chunk):
                    cells.append(chunk)
                case ("texts", texts):
                    grids[-1].rows = _column_rows(cells, texts)
                    cells = []
                case ("again",):
                    grids.pop()
                    cells = []
                case ("details", details):
                    _add_details(grids[-1], details)
                case ("end",):
                    return grids
                case ("error", code, text):
                    raise ReadError(str(code), str(text), _REMEDIES.get(str(code), _RESEND), name)
                case _:
                    raise pickle.UnpicklingError("the reader sent no known message")

    @staticmethod
    def _receive(process: subprocess.Popen[bytes]) -> Any:
        assert process.stdout is not None  # noqa: S101 - opened above with pipes
        prefix = process.stdout.read(8)
        if len(prefix) < 8:
            raise EOFError
        size = struct.unpack(">Q", prefix)[0]
        body = process.stdout.read(size)
        if len(body) < size:
            raise EOFError
        return _SafeUnpickler(io.BytesIO(body)).load()

    def _post_mortem(
        self, process: subprocess.Popen[bytes], name: str, timed_out: bool, error: Exception
    ) -> ReadError | HouseError:
        """What the child died of, as far as its end tells; before "ready" it was our own fault."""
        lied = isinstance(error, pickle.UnpicklingError)
        if not lied:
            # its pipe closes a moment before it is gone
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_WORDS_SECONDS)
        status = process.poll()
        process.kill()
        process.wait()
        # it is dead, so its last words end here; they are few, a pipe holds them
        said = (
            process.stderr.read(20_000).decode(errors="replace").strip() if process.stderr else ""
        )
        self._discard()
        if not self._is_ready:
            return _not_started(said.splitlines()[-1][:200] if said else f"exit status {status}")
        if lied:
            return ReadError(
                "reader-crashed", f"The reader was taken over: {error}.", _RESEND, name
            )
        if timed_out or status == -signal.SIGXCPU:
            return ReadError(
                "workbook-timeout", "The workbook takes too long to read.", _TOO_LARGE, name
            )
        starved = "memory" in said.lower() or "capacity overflow" in said.lower()
        if starved or status in (-signal.SIGABRT, -signal.SIGKILL):
            return ReadError(
                "workbook-too-large",
                "The workbook needs more memory than it may have.",
                _TOO_LARGE,
                name,
            )
        last = said.splitlines()[-1][:200] if said else (str(error) or f"exit status {status}")
        return ReadError("reader-crashed", f"The workbook cannot be read: {last}.", _RESEND, name)

    def _discard(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue  # what was still unsent goes with the process


def _grid(meta: dict[str, Any]) -> Grid:
    merges = [Merge(*edges) for edges in meta["merges"]]
    return Grid(str(meta["name"]), [], merges, is_hidden=bool(meta["is_hidden"]))


def _listed(grid: Grid) -> list[list[Any]]:
    if isinstance(grid.rows, ColumnRows):
        raise pickle.UnpicklingError("the reader sent rows for a sheet of columns")
    return grid.rows


def _column_rows(
    chunks: list[dict[int, tuple[bytes, bytes, bytes]]], texts: list[str]
) -> ColumnRows:
    """The cells of a sheet: what the child says of them is checked, not believed."""
    words = pl.Series(texts, dtype=pl.Utf8)
    parts: dict[int, list[tuple[pl.Series, pl.Series, pl.Series]]] = {}
    height = width = 0
    for chunk in chunks:
        for at, (rows, numbers_of_texts, numbers) in chunk.items():
            part = (
                pl.Series(np.frombuffer(rows, np.uint32)),
                pl.Series(np.frombuffer(numbers_of_texts, np.uint32)),
                pl.Series(np.frombuffer(numbers, np.float64)).fill_nan(None),
            )
            if len({series.len() for series in part}) > 1:
                raise pickle.UnpicklingError("the reader sent cells of unequal length")
            parts.setdefault(int(at), []).append(part)
            height = max(height, int(part[0].max() or 0) + 1)  # type: ignore[arg-type]
            width = max(width, int(at) + 1)
    if width * height > _MAX_CELLS:
        raise pickle.UnpicklingError("the reader sent more cells than there may be")
    columns = []
    for at in range(width):
        text = pl.Series([None], dtype=pl.Utf8).new_from_index(0, height)
        number = pl.Series([None], dtype=pl.Float64).new_from_index(0, height)
        if at in parts:
            rows, index, value = (pl.concat(list(one)) for one in zip(*parts.pop(at), strict=True))
            index = index.replace(NO_TEXT, None)
            if (index >= words.len()).any():
                raise pickle.UnpicklingError("the reader sent the number of no text")
            place = pl.repeat(None, height, dtype=pl.UInt32, eager=True)
            place = place.scatter(rows, pl.int_range(rows.len(), dtype=pl.UInt32, eager=True))
            text, number = words.gather(index).gather(place), value.gather(place)
        columns.append((text, number))
    return ColumnRows(columns)


def _add_details(grid: Grid, details: dict[str, Any]) -> None:
    grid.hidden_rows = frozenset(details.get("hidden_rows", ()))
    grid.hidden_columns = frozenset(details.get("hidden_columns", ()))
    grid.number_formats = details.get("formats", {})
    grid.comments = details.get("comments", {})
    grid.merges.extend(Merge(*edges) for edges in details.get("merges", ()))
    grid.unvalued_formulas = details.get("unvalued", {})
    grid.external_formulas = details.get("external", {})
    for (row, column), text in details.get("texts", {}).items():
        _set(grid, row, column, text)
    for (row, column), shown in details.get("errors", {}).items():
        _set(grid, row, column, CellError(shown))
    for row, column in grid.unvalued_formulas:
        # the cell must exist for the layout to see that it has no value
        _set(grid, row, column, None)


def _set(grid: Grid, row: int, column: int, value: Any) -> None:
    rows = _listed(grid)
    while len(rows) <= row:
        rows.append([])
    cells = rows[row]
    cells.extend([None] * (column + 1 - len(cells)))
    cells[column] = value


_CHILD = _Child()
atexit.register(_CHILD.close)
