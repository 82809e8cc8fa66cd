"""What a connector needs from outside: the clock and the secrets, and what it gives back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ingestion.errors import IngestError
from ingestion.snapshots import Part


class CollectContext(Protocol):
    """The part of the pipeline's context that connectors use.

    `now()` gives an aware datetime; `secrets(ref)` the value behind `env:NAME` or
    `airflow:CONNECTION_ID`, raising when there is none.
    """

    def now(self) -> dt.datetime: ...

    def secrets(self, ref: str, /) -> str: ...


@dataclass
class Fetched:
    """One future snapshot: a file, or all pages of an API run in order.

    `row_count` is the number of records in the pages (None for files): an empty answer where the
    last one had rows is for the pipeline to judge. `since` is set when only changes since then
    were asked for: such an answer may be empty. `problem` tells why a file of a folder could
    not be taken; it has no parts then, and the others go on.
    """

    parts: list[Part]
    received_at: dt.datetime
    row_count: int | None = None
    problem: IngestError | None = None
    since: dt.datetime | None = None


@dataclass(frozen=True)
class Asked:
    """When a source was last asked so that the answer was loaded: for anything, and for all."""

    at: dt.datetime | None = None
    for_all_at: dt.datetime | None = None


@dataclass
class Mask:
    """Secrets that must not appear in any message or stored address (trap P12)."""

    values: set[str] = field(default_factory=set)

    def add(self, secrets: Iterable[str]) -> None:
        # a one-letter "secret" would blank out half of every message
        self.values.update(secret for secret in secrets if len(secret) > 3)

    def __call__(self, text: object) -> str:
        shown = str(text)
        for secret in sorted(self.values, key=len, reverse=True):
            shown = shown.replace(secret, "***")
        return shown
