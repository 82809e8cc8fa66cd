"""What record kinds and their fields are called, in Persian and English.

In: `ingestion/spec/wording.yml`. Out: `Words` for a kind or a field, read by the contracts that
agencies sign, by the form workbooks and by the spec reference. The titles of fields are synonyms
for `payesh source draft` as well.
Run the tests: `pytest tests/unit/ingestion/test_exchange.py`
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = Path(__file__).with_name("wording.yml")


@dataclass(frozen=True)
class Words:
    """Title and one sentence of meaning, in both languages."""

    title: str
    title_fa: str
    about: str
    about_fa: str


@cache
def _entries() -> dict[str, dict[str, Any]]:
    with FILE.open(encoding="utf-8") as file:
        entries: dict[str, dict[str, Any]] = yaml.safe_load(file)
    return entries


def kind_words(kind: str) -> Words:
    """The words of the record kind `kind`; KeyError where it has none."""
    return Words(**_entries()[kind]["_"])


def field_words(kind: str, field: str) -> Words:
    """The words of a field: the kind's own, else the common ones; KeyError where it has none."""
    entries = _entries()
    return Words(**(entries[kind].get(field) or entries["common"][field]))
