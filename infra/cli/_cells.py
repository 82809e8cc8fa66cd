"""Read a cell again from the kept bytes: the proof under `payesh trace`.

In: the snapshot store and the readers of ingestion, the hash of a part, a locator (`Sheet!D7` or
`0#/data/3/actual`). Out: the text that stands there now. Files are read once a call of the
command; one that is large or that the readers refuse is reported, never guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.trace import CellReader, Reading

if TYPE_CHECKING:
    from infra.settings import Settings
    from ingestion.table import Grid

MAX_BYTES: Final = 25_000_000
"""A file above this takes seconds to read: its hash in the store is proof enough for a look."""

MAX_FILES: Final = 40


def cell_reader(settings: Settings, max_files: int = MAX_FILES) -> CellReader:
    """Return a reader over this installation's snapshot store, with its own cache."""
    from ingestion.errors import IngestError
    from ingestion.snapshots import SnapshotStore

    store = SnapshotStore(settings.snapshots_url)
    files: dict[str, Any] = {}

    def read_cell(sha256: str, name: str, locator: str) -> Reading:
        if sha256 not in files:
            if len(files) >= max_files:
                return Reading(None, f"only the first {max_files} files are read again")
            try:
                files[sha256] = _open(store.get(sha256), name)
            except IngestError as error:
                files[sha256] = str(error.message)
        content = files[sha256]
        if isinstance(content, str):
            return Reading(None, content)
        try:
            return Reading(_at(content, locator))
        except LookupError:
            return Reading(None, f"there is no {locator} in the kept file")

    return read_cell


def _open(data: bytes, name: str) -> Any:
    """Return the file's grids, its JSON document, or in words why it is not read."""
    from ingestion.readers import Limits, read
    from ingestion.readers.detect import detect
    from ingestion.readers.encoding import decode

    if len(data) > MAX_BYTES:
        return f"{len(data) / 1e6:.0f} MB are not read again for a look"
    if detect(data, name, Limits()) == "json":
        text, _ = decode(data, name)
        return {"json": _document(text, name)}
    return read(data, name)


def _document(text: str, name: str) -> Any:
    from ingestion.errors import ReadError
    from ingestion.readers.json_rows import load_document

    try:
        return load_document(text, name)
    except ReadError:
        return [load_document(line, name) for line in text.splitlines() if line.strip()]


def _at(content: Any, locator: str) -> str | None:
    if isinstance(content, dict):
        return _pointed(content["json"], locator.partition("#")[2])
    return _cell(content, locator)


def _pointed(document: Any, pointer: str) -> str | None:
    from ingestion.readers.json_rows import leaf_text, tokens

    found = document
    for token in tokens(pointer):
        found = found[int(token)] if isinstance(found, list) else found[token]
    return leaf_text(found)


def _cell(grids: list[Grid], locator: str) -> str | None:
    from ingestion.layouts.address import parse
    from ingestion.layouts.cells import text_of

    where = parse(locator)
    if where is None:
        raise LookupError(locator)
    sheet, row, column = where
    for grid in grids:
        if grid.name.strip() == (sheet or "").strip() or sheet is None:
            rows = grid.rows[row] if row < len(grid.rows) else []
            return text_of(rows[column] if column < len(rows) else None)
    raise LookupError(locator)
