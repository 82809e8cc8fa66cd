"""Codes for forms and documents for contracts, from the reference data and the registry.

In: the folder of reference CSVs, names of kinds and sources. Out: `Code`s valid on a day, contract
documents by file name.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.cli._sources import find_source, registry
from infra.errors import RefusedError
from infra.settings import Settings
from ingestion.exchange.form import Code
from ingestion.exchange.odcs import kind_contract, source_contract
from ingestion.spec.kinds import KINDS


def reference_codes(folder: Path, on: dt.date) -> dict[str, list[Code]]:
    """The entries of each code list that are valid on the day `on`, with their Persian names."""
    found: dict[str, list[Code]] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            column = f"{path.stem}_code"
            if reader.fieldnames is None or reader.fieldnames[0] != column:
                continue
            found[path.stem] = [
                Code(row[column], row.get("name_fa") or "") for row in reader if _is_valid(row, on)
            ]
    return found


def _is_valid(row: dict[str, str], on: dt.date) -> bool:
    start, end = row.get("valid_from"), row.get("valid_to")
    return (not start or dt.date.fromisoformat(start) <= on) and (
        not end or on <= dt.date.fromisoformat(end)
    )


def agency_of(lists: dict[str, list[Code]], code: str, folder: Path) -> Code:
    """The agency called `code`; RefusedError names where the list stands."""
    for agency in lists.get("agency", []):
        if agency.code == code:
            return agency
    raise RefusedError(
        f"there is no agency '{code}'",
        "--agency",
        f"give a code of {folder / 'agency.csv'}, or add the agency there first",
    )


def contracts(names: Sequence[str], settings: Settings) -> dict[str, dict[str, Any]]:
    """Contract documents by name: of the kinds and sources named, or of all where none is."""
    today = settings.now().date()
    if not names:
        found = registry(settings)
        return {kind: kind_contract(kind) for kind in KINDS} | {
            name: source_contract(loaded.spec, today) for name, loaded in found.specs.items()
        }
    return {
        name: kind_contract(name)
        if name in KINDS
        else source_contract(find_source(name, settings).spec, today)
        for name in names
    }
