"""Rows of the reference CSVs and the few types that their cells have.

In: the folder `dbt_project/seeds/reference`. Out: dictionaries of text by column, typed by the
functions below. Shared by `reference` (who there is) and `rules` (what they owe).
"""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

from infra.errors import RefusedError


def seed_rows(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a seed; RefusedError names the file that can't be read."""
    path = folder / f"{name}.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(csv.DictReader(lines))
    except OSError as error:
        raise RefusedError(
            f"reference data cannot be read: {error.strerror or error}",
            str(path),
            "restore the file from the repository",
        ) from error


def seed_date(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def seed_decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def seed_flag(text: str) -> bool:
    return text.strip().lower() == "true"
