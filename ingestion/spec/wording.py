"""What record kinds, their fields and the settings of source files are called and mean.

In: `ingestion/spec/wording.yml` and `settings.yml`. Out: `Words` for a kind or a field, read by the
contracts that agencies sign, by the form workbooks and by the reference; a sentence for each
setting of a source file, for the reference and for editors.
Run the tests: `pytest tests/unit/ingestion/test_exchange.py`
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = Path(__file__).with_name("wording.yml")
SETTINGS: Final = Path(__file__).with_name("settings.yml")


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


@cache
def settings_words() -> dict[str, dict[str, str]]:
    """A sentence for each setting, by the class of `ingestion.spec.model` and its name."""
    with SETTINGS.open(encoding="utf-8") as file:
        found: dict[str, dict[str, str]] = yaml.safe_load(file)
    return found


def with_descriptions(schema: dict[str, Any], root: str) -> dict[str, Any]:
    """A JSON Schema of the source file with the sentence of each setting, which editors show."""
    described = {**schema, "$defs": {}}
    for name, part in [(root, described), *schema.get("$defs", {}).items()]:
        words = settings_words().get(name, {})
        properties = {
            key: {**value, "description": words[key]} if key in words else value
            for key, value in part.get("properties", {}).items()
        }
        if name == root:
            described["properties"] = properties
        else:
            described["$defs"][name] = {**part, "properties": properties} if properties else part
    return described
