"""The one family of errors that ingestion raises.

In: what a person needs to act: a stable code, what is wrong, what to do, and where.
Out: exceptions that the pipeline records in the ledger and the command line prints as they are.
"""

from __future__ import annotations

from pathlib import Path


class _ToldError(Exception):
    """An error for the person who reads it.

    `code` is lower-kebab and stable (alerts hang on it), `message` one sentence in plain words,
    `remedy` the next action, `locator` the file, sheet, cell, line or address concerned. No
    message carries a secret: whoever raises has masked it.
    """

    def __init__(self, code: str, message: str, remedy: str, locator: str = "") -> None:
        super().__init__(code, message, remedy, locator)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.locator = locator

    def __str__(self) -> str:
        where = f"{self.locator}: " if self.locator else ""
        return f"{where}{self.message} [{self.code}] {self.remedy}".rstrip()


class IngestError(_ToldError):
    """Something that stopped a source, and that the ledger records against it."""


class HouseError(_ToldError):
    """A fault of this installation, met while a source was read.

    Deliberately no IngestError: a file must not be recorded as refused because our own reader
    could not start. Nothing is recorded; the load fails and the next one takes the file again.
    """


class SpecError(IngestError):
    """A source file that cannot be used; `line` counts from 1, 0 when no line is to blame."""

    def __init__(self, path: Path, line: int, message: str, remedy: str) -> None:
        super().__init__("bad-spec", message, remedy, f"{path}:{line}" if line else str(path))
        self.path = path
        self.line = line

    def __reduce__(self) -> tuple[type[SpecError], tuple[Path, int, str, str]]:
        return type(self), (self.path, self.line, self.message, self.remedy)


class FetchError(IngestError):
    """The agency's side could not be reached, refused, or answered something else than data."""


class SnapshotError(IngestError):
    """The snapshot store could not keep or give back the exact bytes."""


class ReadError(IngestError):
    """Bytes that are no readable table: damaged, protected, empty, too large, unknown format."""


class LayoutError(IngestError):
    """A readable table without the columns, sheets or cells that the source file promises."""
