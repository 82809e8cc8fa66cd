"""The cells of records as `raw.opened` gives them in the database, from records in memory."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from ingestion.table import Places, Records


def opened(records: Records) -> list[dict[str, list[Any]]]:
    """For each accepted record {"<field>": [address, raw text, header]}."""
    found = []
    for locator, text in records.accepted.select("locator", "lineage").iter_rows():
        cells = json.loads(text)
        if isinstance(cells, list):
            assert records.places is not None
            row = pl.Series([locator])
            cells = {
                name: [Places(row, str(place)).texts()[0], cells[int(position or 0)], header]
                for name, (position, place, header) in records.places.items()
            }
        found.append(cells)
    return found
