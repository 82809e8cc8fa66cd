"""From bytes to a grid or to record columns.

In: the bytes of one part, or all parts of a snapshot. Out: `Grid`s (one a sheet) or `JsonRows`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ingestion.errors import ReadError
from ingestion.readers.detect import detect
from ingestion.readers.json_rows import read_json
from ingestion.readers.limits import Limits
from ingestion.readers.text_table import read_text
from ingestion.readers.workbook import read_workbook
from ingestion.spec.model import TextForm
from ingestion.table import Grid, JsonRows

_DEFAULT = Limits()
_AS_IT_IS = TextForm()


def read(
    data: bytes,
    name: str,
    limits: Limits = _DEFAULT,
    records_at: str = "",
    text: TextForm = _AS_IT_IS,
) -> list[Grid] | JsonRows:
    """Read one file; `name` is for messages only, `text` says how text tables are cut.

    Raises `ReadError`.
    """
    kind = detect(data, name, limits)
    if kind == "json":
        return read_json([(name, data)], records_at)
    if kind == "text":
        return [read_text(data, name, limits, text)]
    return read_workbook(data, name, kind, limits)


def read_parts(
    parts: Iterable[tuple[str, bytes]],
    limits: Limits = _DEFAULT,
    records_at: str = "",
    text: TextForm = _AS_IT_IS,
) -> list[Grid] | JsonRows:
    """Read all parts of a snapshot as one: the pages of an API run, or the sheets of its files.

    Raises `ReadError`; `mixed-parts` when some are JSON and others tables.
    """
    pages: list[tuple[str, bytes]] = []
    grids: list[Grid] = []
    for name, data in parts:
        kind = detect(data, name, limits)
        if kind == "json":
            pages.append((name, data))
        elif kind == "text":
            grids.append(read_text(data, name, limits, text))
        else:
            grids.extend(read_workbook(data, name, kind, limits))
    if pages and grids:
        raise ReadError(
            "mixed-parts",
            f"Some parts are JSON and others are tables ({grids[0].name}).",
            "Fetch the source again; if it stays, ask the agency what it sends.",
            pages[0][0],
        )
    return grids if grids or not pages else read_json(pages, records_at)
